#include "test.h"

#include "core/rng.h"
#include "live/program.h"

#include <elf.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

/* A program file of these bytes. */
static void put(const void *bytes, size_t n)
{
	snprintf(path, sizeof path, "/tmp/ballast-program.%d", (int)getpid());
	FILE *f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, n, f), n);
	fclose(f);
	chmod(path, 0755);
}

static void refused(const char *words)
{
	struct err err = {0};
	bool own = false;

	CU_ASSERT_NOT_EQUAL(program_check(path, &own, &err), 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	if (!strstr(err.msg, words)) {
		printf("  '%s', not '%s'\n", err.msg, words);
		CU_FAIL("another reason");
	}
	unlink(path);
}

struct image {
	Elf64_Ehdr head;
	Elf64_Phdr segment[2];
	char text[32];
};

static struct image image(void)
{
	struct image i = {
		.head = {.e_machine = EM_X86_64,
			 .e_phoff = offsetof(struct image, segment),
			 .e_phnum = 2,
			 .e_phentsize = sizeof(Elf64_Phdr)},
		.segment = {{.p_type = PT_LOAD}, {.p_type = PT_INTERP}},
	};

	memcpy(i.head.e_ident, ELFMAG, SELFMAG);
	i.head.e_ident[EI_CLASS] = ELFCLASS64;
	return i;
}

static void programs_are_told_from_others(void)
{
	struct image i = image();
	struct err err;
	bool own = true;

	put(&i, sizeof i);
	CU_ASSERT_EQUAL(program_check(path, &own, &err), 0);
	CU_ASSERT_FALSE(own);
	CU_ASSERT_FALSE(program_names(path, "BALLAST_RAM"));
	strcpy(i.text, "x BALLAST_RAM");
	put(&i, sizeof i);
	CU_ASSERT_EQUAL(program_check(path, &own, &err), 0);
	CU_ASSERT_TRUE(own);
	CU_ASSERT_TRUE(program_names(path, "BALLAST_RAM"));
	unlink(path);
	refused("no such program");
	i.segment[1].p_type = PT_LOAD;
	put(&i, sizeof i);
	refused("statically linked");
	i.head.e_machine = EM_AARCH64;
	put(&i, sizeof i);
	refused("no 64-bit program of this machine's");
	CU_ASSERT_EQUAL(program_check("sh", &own, &err), 0);
	CU_ASSERT_FALSE(program_names("no-such-program", "x"));
}

static void scripts_are_judged_by_what_runs_them(void)
{
	static const char good[] = "#! /bin/sh -e\nexit\n", env[] = "#!/usr/bin/env python3\n",
			  gone[] = "#!/no/such/shell\n", none[] = "#!\n";
	struct err err;
	bool own;

	put(good, sizeof good - 1);
	CU_ASSERT_EQUAL(program_check(path, &own, &err), 0);
	put(env, sizeof env - 1);
	refused("started by env");
	put(gone, sizeof gone - 1);
	refused("there is no /no/such/shell");
	put(none, sizeof none - 1);
	refused("which shall run it");
	put("", 0);
	refused("neither a program nor a script");
	put("true\n", 5);
	refused("neither a program nor a script");
	put(ELFMAG, SELFMAG);
	refused("neither a program nor a script");
}

/* Whatever the header says: an answer, and nothing read that is not there. */
static void headers_lie(void)
{
	struct rng rng;

	rng_init(&rng, test_seed(11), "programs", 0);
	for (int n = 0; n < 2000; n++) {
		struct image i = image();
		uint8_t *bytes = (uint8_t *)&i;
		struct err err;
		bool own;
		for (int k = 0; k < 4; k++)
			bytes[8 + rng_below(&rng, sizeof i.head - 8)] =
				(uint8_t)rng_below(&rng, 256);
		if (n % 4 == 0)
			i.head.e_phoff = UINT64_MAX - rng_below(&rng, 200);
		put(&i, sizeof i.head + rng_below(&rng, sizeof i - sizeof i.head + 1));
		int rc = program_check(path, &own, &err);
		CU_ASSERT_TRUE(rc == 0 || err.exit_code == 2);
	}
	unlink(path);
}

TESTS("programs that can be guests",
      {"programs are told from others", programs_are_told_from_others},
      {"scripts are judged by what runs them", scripts_are_judged_by_what_runs_them},
      {"headers lie", headers_lie})
