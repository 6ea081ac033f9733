#include "test.h"

#include "live/initramfs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The bytes that cpio(5) says, written down by hand. */
static void members(void)
{
	static const char want[] = "070701000000010000" /* inode 1, mode */
				   "41ed00000000000000000000000100000000000000000000000000000000"
				   "00000000000000000000000400000000bin\0\0\0"
				   "07070100000002000081ed0000000000000000000000010000000000000005"
				   "000000000000000000000000000000000000000500000000init\0\0"
				   "hello\0\0\0";
	char *text;
	size_t size;
	struct initramfs i = {.out = open_memstream(&text, &size)};

	CU_ASSERT_PTR_NOT_NULL_FATAL(i.out);
	CU_ASSERT_EQUAL(initramfs_folder(&i, "bin"), 0);
	CU_ASSERT_EQUAL(initramfs_text(&i, "init", 0755, "hello"), 0);
	CU_ASSERT_EQUAL(initramfs_end(&i), 0);
	fclose(i.out);
	CU_ASSERT_EQUAL_FATAL(size, 116 + 116 + 8 + 124);
	CU_ASSERT_EQUAL(sizeof want - 1, 116 + 116 + 8);
	CU_ASSERT_EQUAL(memcmp(text, want, sizeof want - 1), 0);
	CU_ASSERT_EQUAL(memcmp(text + 240 + 110, "TRAILER!!!", 11), 0);
	free(text);
}

/* And another program reads them. */
static void others_read_it(void)
{
	char command[200], line[100] = "", path[] = "/tmp/ballast-initramfs.XXXXXX";
	struct err err;
	int fd = mkstemp(path);
	struct initramfs i = {.out = fdopen(fd, "w")};

	CU_ASSERT_EQUAL(initramfs_folder(&i, "dev"), 0);
	CU_ASSERT_EQUAL(initramfs_console(&i), 0);
	CU_ASSERT_EQUAL(initramfs_link(&i, "sh", "busybox"), 0);
	CU_ASSERT_EQUAL(initramfs_file(&i, "file", 0644, "/proc/version", NULL), 0);
	CU_ASSERT_EQUAL(initramfs_file(&i, "none", 0644, "/no/such/file", &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "/no/such/file"));
	CU_ASSERT_EQUAL(initramfs_end(&i), 0);
	fclose(i.out);
	snprintf(command, sizeof command, "cpio -t --quiet <%s | tr '\\n' ' '", path);
	if (system("command -v cpio >/dev/null") == 0) {
		FILE *list = popen(command, "r");
		CU_ASSERT_PTR_NOT_NULL_FATAL(fgets(line, sizeof line, list));
		pclose(list);
		CU_ASSERT_STRING_EQUAL(line, "dev dev/console sh file ");
	}
	unlink(path);
}

/* Modules in the order of the calls, as they lie there; one that is built in is passed over. */
static void modules(void)
{
	char folder[] = "/tmp/ballast-modules.XXXXXX", path[64], *text, *first, *second;
	size_t size;
	struct initramfs i = {.out = open_memstream(&text, &size)};

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	static const char *const files[] = {"/a", "/a/last.ko", "/a/first.ko.xz"};
	for (size_t k = 0; k < 3; k++) {
		snprintf(path, sizeof path, "%s%s", folder, files[k]);
		FILE *f = k ? fopen(path, "w") : NULL;
		CU_ASSERT_TRUE_FATAL(k ? f != NULL : mkdir(path, 0700) == 0);
		if (f) {
			fputs(k == 1 ? "LAST" : "FIRST", f);
			fclose(f);
		}
	}
	CU_ASSERT_EQUAL(initramfs_folder(&i, "lib/modules"), 0);
	CU_ASSERT_EQUAL(initramfs_module(&i, folder, "a/first", NULL), 0);
	CU_ASSERT_EQUAL(initramfs_module(&i, folder, "a/built_in", NULL), 0);
	CU_ASSERT_EQUAL(initramfs_module(&i, folder, "a/last", NULL), 0);
	CU_ASSERT_EQUAL(initramfs_end(&i), 0);
	fclose(i.out);
	first = memmem(text, size, "lib/modules/00001-first.ko.xz\0FIRST", 35);
	second = memmem(text, size, "lib/modules/00002-last.ko\0", 26);
	CU_ASSERT_PTR_NOT_NULL(first);
	CU_ASSERT_PTR_NOT_NULL(second);
	CU_ASSERT_TRUE(first < second);
	CU_ASSERT_PTR_NULL(memmem(text, size, "built_in", 8));
	free(text);
	for (size_t k = 3; k-- > 0;) {
		snprintf(path, sizeof path, "%s%s", folder, files[k]);
		remove(path);
	}
	rmdir(folder);
}

TESTS("live/initramfs", {"members", members}, {"read by cpio", others_read_it},
      {"modules", modules})
