#include "test.h"

#include "live/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/ballast-qemu.XXXXXX";
static char kernel[64], image[64];

static void make_file(char *path, size_t size, const char *name, mode_t mode)
{
	snprintf(path, size, "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT, mode);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	close(fd);
}

/* A folder with what there must be, as $PATH. */
static void begin(void)
{
	char qemu[64];

	memcpy(strrchr(folder, '.') + 1, "XXXXXX", 6);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	make_file(qemu, sizeof qemu, "qemu-system-x86_64", 0755);
	make_file(kernel, sizeof kernel, "kernel", 0644);
	make_file(image, sizeof image, "image", 0644);
	setenv("PATH", folder, 1);
}

static void end(void)
{
	static const char *const names[] = {"qemu-system-x86_64", "kernel", "image"};
	char path[64];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

static struct qemu_opts opts_for(const char *accel)
{
	return (struct qemu_opts){.memory = 64 << 20,
				  .cpus = 2,
				  .accel = accel,
				  .ram = "/ram",
				  .kernel = kernel,
				  .initrd = image};
}

/* The argument behind an option, or "". */
static const char *after(const struct qemu_command *c, const char *option)
{
	for (size_t i = 0; i + 1 < c->n; i++) {
		if (strcmp(c->argv[i], option) == 0)
			return c->argv[i + 1];
	}
	return "";
}

static void nothing_pins_guest_memory(void)
{
	struct qemu_command c;
	struct qemu_opts opts;
	struct err err;

	begin();
	opts = opts_for("tcg");
	opts.disk = image;
	opts.append = "more=1";
	CU_ASSERT_EQUAL_FATAL(qemu_command(&opts, &c, &err), 0);
	CU_ASSERT_STRING_EQUAL(after(&c, "-accel"), "tcg,thread=multi");
	CU_ASSERT_STRING_EQUAL(after(&c, "-m"), "65536k");
	CU_ASSERT_STRING_EQUAL(after(&c, "-smp"), "2");
	CU_ASSERT_STRING_EQUAL(after(&c, "-object"),
			       "memory-backend-file,id=ram,size=67108864,mem-path=/ram,share=on");
	CU_ASSERT_PTR_NOT_NULL(strstr(after(&c, "-drive"), "cache=writeback,aio=threads"));
	CU_ASSERT_PTR_NULL(strstr(after(&c, "-drive"), "throttling"));
	CU_ASSERT_PTR_NOT_NULL(strstr(after(&c, "-append"), "init_on_alloc=0 more=1"));
	CU_ASSERT_STRING_EQUAL(after(&c, "-kernel"), kernel);
	CU_ASSERT_STRING_EQUAL(after(&c, "-device"), "");
	CU_ASSERT_EQUAL(qemu_balloon(&c, 17), 0);
	CU_ASSERT_STRING_EQUAL(after(&c, "-chardev"), "socket,id=balloon,fd=17");
	CU_ASSERT_STRING_EQUAL(after(&c, "-device"), "ivshmem-doorbell,chardev=balloon,vectors=1");
	CU_ASSERT_STRING_EQUAL(after(&c, "-initrd"), image);
	CU_ASSERT_PTR_NULL(c.argv[c.n]);
	for (size_t i = 0; i < c.n; i++)
		CU_ASSERT_PTR_NULL(strstr(c.argv[i], "cache=none"));
	qemu_command_free(&c);
	opts.disk_rate = 250;
	CU_ASSERT_EQUAL_FATAL(qemu_command(&opts, &c, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(after(&c, "-drive"),
				      "cache=writeback,aio=threads,throttling.iops-total=250"));
	qemu_command_free(&c);
	opts = opts_for("kvm");
	opts.init_on_alloc = true;
	CU_ASSERT_EQUAL_FATAL(qemu_command(&opts, &c, &err), 0);
	CU_ASSERT_STRING_EQUAL(after(&c, "-accel"), "kvm");
	CU_ASSERT_STRING_EQUAL(after(&c, "-drive"), "");
	CU_ASSERT_PTR_NULL(strstr(after(&c, "-append"), "init_on_alloc"));
	qemu_command_free(&c);
	end();
}

/* The header of a kernel's file, with the release at 0x200 + at. */
static void write_kernel(const char *sign, uint16_t at, const char *release, size_t n)
{
	uint8_t image_of[0x600] = {0};
	FILE *f = fopen(kernel, "w");

	memcpy(image_of + 0x202, sign, 4);
	image_of[0x20e] = at & 0xff;
	image_of[0x20f] = at >> 8;
	memcpy(image_of + 0x200 + at, release, n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(image_of, 1, sizeof image_of, f), sizeof image_of);
	fclose(f);
}

static void release_of_a_kernel(void)
{
	static const char text[] = "6.1.0-56-cloud-amd64 (root@there) #1 SMP";
	char release[QEMU_RELEASE];

	begin();
	write_kernel("HdrS", 0x123, text, sizeof text);
	CU_ASSERT_TRUE(qemu_release(kernel, release));
	CU_ASSERT_STRING_EQUAL(release, "6.1.0-56-cloud-amd64");
	write_kernel("HdrS", 0x123, "6.18", 5);
	CU_ASSERT_TRUE(qemu_release(kernel, release));
	CU_ASSERT_STRING_EQUAL(release, "6.18");
	write_kernel("hdrs", 0x123, text, sizeof text);
	CU_ASSERT_FALSE(qemu_release(kernel, release));
	write_kernel("HdrS", 0x123, "../../etc ", 10);
	CU_ASSERT_FALSE(qemu_release(kernel, release));
	write_kernel("HdrS", 0x123, " 6.1", 5);
	CU_ASSERT_FALSE(qemu_release(kernel, release));
	write_kernel("HdrS", 0x123, "6.1/..", 7);
	CU_ASSERT_FALSE(qemu_release(kernel, release));
	write_kernel("HdrS", 0x123, text, 0);
	CU_ASSERT_FALSE(qemu_release(kernel, release));
	CU_ASSERT_FALSE(qemu_release(folder, release));
	CU_ASSERT_FALSE(qemu_release("/no/such/kernel", release));
	end();
}

/* Where memory lies in a guest's physical addresses, by QEMU's docs: 3 GiB, the rest from 4. */
static void hole(void)
{
	uint32_t first, pages;

	qemu_hole(UINT64_C(3) << 30, &first, &pages);
	CU_ASSERT_EQUAL(first | pages, 0);
	qemu_hole((UINT64_C(3) << 30) + 4096, &first, &pages);
	CU_ASSERT_EQUAL(first, 0xc0000);
	CU_ASSERT_EQUAL(pages, 0x40000);
}

static void refused(const struct qemu_opts *opts, int exit_code, const char *why)
{
	struct qemu_command c;
	struct err err = {0};

	CU_ASSERT_TRUE(qemu_command(opts, &c, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, exit_code);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, why));
	CU_ASSERT_EQUAL(c.n, 0);
}

static void what_is_missing_is_named(void)
{
	struct qemu_opts opts;

	begin();
	opts = opts_for("tcg");
	opts.kernel = "/no/kernel";
	refused(&opts, 2, "/no/kernel: no kernel there");
	opts = opts_for("tcg");
	opts.initrd = folder;
	refused(&opts, 2, "is no file: it must be the initramfs");
	opts = opts_for("tcg");
	opts.disk = "/no/image";
	refused(&opts, 2, "/no/image: no disk image there");
	opts.disk = "a,cache=none";
	refused(&opts, 2, "a comma");
	setenv("PATH", "/no/such/folder", 1);
	opts = opts_for("tcg");
	refused(&opts, 1, "apt-get install qemu-system-x86");
	end();
}

TESTS("live/qemu", {"command", nothing_pins_guest_memory}, {"release", release_of_a_kernel},
      {"hole", hole}, {"missing", what_is_missing_is_named})
