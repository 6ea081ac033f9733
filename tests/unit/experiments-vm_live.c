/* Jobs of live guests: what goes together, and the process that a section describes. */
#include "experiments/kinds.h"
#include "experiments/vm_live.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>

static struct job *read_job(const char *text)
{
	struct job *job;
	struct err err;

	if (job_new(job_sections, &job) || job_parse(job, text, "J", &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	return job;
}

/* Whether the job is refused with these words, or with NULL, is fine. */
static void check(const char *text, const char *words)
{
	struct job *job = read_job(text);
	struct err err = {0};
	int rc = vm_live_check(job, &err);
	bool good = words ? rc && err.exit_code == 2 && strstr(err.msg, words) : rc == 0;

	if (!good)
		printf("  %s\n  says '%s', not '%s'\n", text, rc ? err.msg : "nothing",
		       words ? words : "nothing");
	CU_ASSERT(good);
	job_free(job);
}

#define LINUX	"vm l { live = linux memory = 64mb run = true } "
#define PROCESS "vm p { live = process memory = 1mb program = true } "

static void test_together(void)
{
	check("vm a { trace = x }", NULL);
	check(LINUX, NULL);
	check(PROCESS LINUX, NULL);
	check(LINUX "vm l { smp = 2 kernel = k initrd = i append = a disk = d accel = tcg }", NULL);
	check(LINUX "vm l { disk = d disk_rate = 100 }", NULL);
	check(LINUX "vm l { balloon = off balloon_cap = 50% shares = 3 min = 1mb }", NULL);
	check(LINUX "vm a { trace = x }", "vm a is no live guest");
	check("vm a { trace = x } " PROCESS, "vm a is no live guest");
	check("vm a { trace = x smp = 2 }", "J:1: vm.a.smp is nothing for a VM with live = none");
	check("vm a { trace = x start = 2s }", "vm.a.start is nothing");
	check("vm a { trace = x program = true }", "vm.a.program is nothing");
	check("vm a { trace = x disk_rate = 1 }", "vm.a.disk_rate is nothing");
	check(PROCESS "vm p { run = x }", "vm.p.run is nothing for a VM with live = process");
	check(LINUX "vm l { program = x }", "vm.l.program is nothing for a VM with live = linux");
	check(LINUX "vm l { trace = x }", "vm.l.trace is nothing");
	check(LINUX "vm l { translation = ept }", "vm.l.translation is nothing");
	check(LINUX "vm l { os = linux }", "vm.l.os is nothing");
	check(LINUX "run { oracle = on }", "run.oracle is nothing for live guests");
	check(LINUX "host { backing = ram }", "host.backing is nothing for live guests");
	check("vm a { trace = x } run { oracle = on } host { backing = ram }", NULL);
}

static void test_ends(void)
{
	check("vm l { live = linux memory = 64mb }", "vm l never ends");
	check(LINUX "vm l { disk_rate = 9 }", "vm.l.disk_rate: of which disk? give vm.l.disk");
	check("vm l { live = linux memory = 64mb } live { time = 1s }", NULL);
	check("vm l { live = linux memory = 64mb initrd = i }", NULL);
	check("vm l { live = linux run = true }", "give vm.l.memory");
	check("vm p { live = process memory = 1mb }", "give vm.p.program");
}

static struct words words_of(const char *program, int *rc, struct err *err)
{
	char text[300];
	struct guestproc g;
	struct words words = {0};

	snprintf(text, sizeof text, "vm p { live = process memory = 1mb program = '%s' }", program);
	struct job *job = read_job(text);
	*rc = vm_live_guest(job, 0, &g, &words, err);
	if (*rc == 0) {
		CU_ASSERT_PTR_EQUAL(g.argv, words.argv);
		CU_ASSERT(!g.linux_guest && g.memory == 1 << 20 && !g.no_balloon);
		CU_ASSERT_STRING_EQUAL(g.name, "p");
	}
	job_free(job);
	return words;
}

static void test_words(void)
{
	struct err err = {0};
	int rc;

	struct words w = words_of("/bin/x -a \"two words\"", &rc, &err);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_STRING_EQUAL(w.argv[0], "/bin/x");
	CU_ASSERT_STRING_EQUAL(w.argv[1], "-a");
	CU_ASSERT_STRING_EQUAL(w.argv[2], "two words");
	CU_ASSERT_PTR_NULL(w.argv[3]);
	words_free(&w);
	/* Not one of ours: for $PATH. */
	w = words_of("no-such-program", &rc, &err);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_STRING_EQUAL(w.argv[0], "no-such-program");
	words_free(&w);
	static const char *const bad[] = {"a; b", "a | b", "a > b", "$(a)",
					  "`a`",  "a & b", "\"a",   "  "};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		w = words_of(bad[i], &rc, &err);
		CU_ASSERT(rc && err.exit_code == 2 && strstr(err.msg, "J:1: vm.p.program: "));
		if (rc == 0)
			printf("  %s is taken\n", bad[i]);
		words_free(&w);
	}
}

static void test_linux(void)
{
	struct job *job = read_job("vm l { live = linux memory = 64mb run = 'a b' smp = 3 "
				   "share_group = g balloon = off }"
				   "vm k { live = linux memory = 64mb run = x accel = kvm }");
	struct words words = {0};
	struct guestproc g;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(vm_live_guest(job, 0, &g, &words, &err), 0);
	CU_ASSERT(g.linux_guest && g.dies_with_us && g.no_balloon && g.qemu.cpus == 3);
	CU_ASSERT_STRING_EQUAL(g.group, "g");
	CU_ASSERT_STRING_EQUAL(g.qemu.run, "a b");
	CU_ASSERT_PTR_NULL(g.qemu.accel); /* to be found out */
	CU_ASSERT_EQUAL_FATAL(vm_live_guest(job, 1, &g, &words, &err), 0);
	CU_ASSERT_STRING_EQUAL(g.qemu.accel, "kvm");
	CU_ASSERT(!g.no_balloon);
	job_free(job);
}

TESTS("experiments/vm_live", {"what goes together", test_together},
      {"what would never end", test_ends}, {"a program's words", test_words},
      {"a Linux guest", test_linux})
