#include "test.h"

#include "experiments/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/ballast-logfile.XXXXXX";

static const char *at(const char *name)
{
	static char path[4][80];
	static unsigned n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof path[n], "%s/%s", folder, name);
	return path[n];
}

static void fill(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static off_t size_of(const char *name)
{
	struct stat st;

	return stat(at(name), &st) ? -1 : st.st_size;
}

static void a_log_begins_empty(void)
{
	struct stat st;
	struct err err;
	int fd = -1;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	CU_ASSERT_EQUAL_FATAL(logfile_open(at("new"), &fd, &err), 0);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND);
	close(fd);
	fill("old", "what was there");
	CU_ASSERT_EQUAL_FATAL(logfile_open(at("old"), &fd, &err), 0);
	CU_ASSERT_EQUAL(size_of("old"), 0);
	close(fd);
	CU_ASSERT_EQUAL(logfile_open(at("no/folder"), &fd, &err), -ENOENT);
}

static void refused(const char *name)
{
	struct err err = {0};
	int fd = 7;

	CU_ASSERT_TRUE(logfile_open(at(name), &fd, &err) < 0);
	CU_ASSERT_EQUAL(fd, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "of this user's alone"));
}

/* What another may have laid there for us: nothing is written over or waited for. */
static void others_files_are_left_alone(void)
{
	fill("dear", "dear to somebody");
	CU_ASSERT_EQUAL(symlink(at("dear"), at("link")), 0);
	refused("link");
	CU_ASSERT_EQUAL(symlink(at("nowhere"), at("dangling")), 0);
	refused("dangling");
	CU_ASSERT_EQUAL(size_of("nowhere"), -1);
	CU_ASSERT_EQUAL(link(at("dear"), at("second")), 0);
	refused("second");
	CU_ASSERT_EQUAL(size_of("dear"), 16);
	CU_ASSERT_EQUAL(mkfifo(at("pipe"), 0666), 0);
	refused("pipe");
	refused(".");
	if (geteuid() != 0)
		return; /* nobody else's file can be made */
	fill("theirs", "theirs");
	CU_ASSERT_EQUAL(chown(at("theirs"), 65534, 65534), 0);
	refused("theirs");
	CU_ASSERT_EQUAL(size_of("theirs"), 6);
}

static void only_what_can_be_seen_is_told(void)
{
	char line[400], small[6];

	fill("log", "first\nthe \033[2Jlast\a\r\n\r\n");
	logfile_last_line(at("log"), line, sizeof line);
	CU_ASSERT_STRING_EQUAL(line, ": the ?[2Jlast?");
	logfile_last_line(at("log"), small, sizeof small);
	CU_ASSERT_STRING_EQUAL(small, ": the");
	fill("log", "");
	logfile_last_line(at("log"), line, sizeof line);
	CU_ASSERT_STRING_EQUAL(line, "");
	logfile_last_line(at("none"), line, sizeof line);
	CU_ASSERT_STRING_EQUAL(line, "");
}

static void cleaned_up(void)
{
	static const char *const names[] = {"new",    "old",  "dear",	"link", "dangling",
					    "second", "pipe", "theirs", "log"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlink(at(names[i]));
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

TESTS("experiments/logfile", {"begins", a_log_begins_empty},
      {"others'", others_files_are_left_alone}, {"last line", only_what_can_be_seen_is_told},
      {"end", cleaned_up})
