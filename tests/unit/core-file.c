#include "core/file.h"

#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static void enter_dir(void)
{
	strcpy(dir, "/tmp/ballast-file-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_FATAL(chdir(dir) == 0);
}

/* How many names the test folder holds. */
static int entries(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void leave_dir(const char *file)
{
	if (file)
		CU_ASSERT(unlink(file) == 0);
	CU_ASSERT_EQUAL(entries(), 0);
	CU_ASSERT(chdir("/") == 0);
	CU_ASSERT(rmdir(dir) == 0);
}

static const char *content(const char *path)
{
	static char text[64];
	FILE *f = fopen(path, "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void write_whole(const char *path, const char *text)
{
	struct draft *d;
	struct err err = {0};

	CU_ASSERT_EQUAL_FATAL(draft_open(path, &d, &err), 0);
	CU_ASSERT_STRING_EQUAL(draft_path(d), path);
	CU_ASSERT(fputs(text, draft_stream(d)) >= 0);
	CU_ASSERT_EQUAL(draft_commit(d, &err), 0);
}

static void commit_shows_abort_hides(void)
{
	struct draft *d;

	enter_dir();
	CU_ASSERT_EQUAL_FATAL(draft_open("out", &d, NULL), 0);
	fputs("new", draft_stream(d));
	CU_ASSERT(access("out", F_OK) != 0); /* not before the commit */
	CU_ASSERT_EQUAL(draft_commit(d, NULL), 0);
	CU_ASSERT_STRING_EQUAL(content("out"), "new");

	CU_ASSERT_EQUAL_FATAL(draft_open("out", &d, NULL), 0);
	fputs("never", draft_stream(d));
	draft_abort(d);
	CU_ASSERT_STRING_EQUAL(content("out"), "new");
	CU_ASSERT_EQUAL(entries(), 1);
	draft_abort(NULL);
	leave_dir("out");
}

static void mode_and_link_are_kept(void)
{
	struct stat st;

	enter_dir();
	umask(022);
	write_whole("out", "1");
	CU_ASSERT(stat("out", &st) == 0 && (st.st_mode & 0777) == 0644);
	CU_ASSERT(chmod("out", 0600) == 0);
	CU_ASSERT(symlink("out", "link") == 0);
	write_whole("link", "2");
	CU_ASSERT(lstat("link", &st) == 0 && S_ISLNK(st.st_mode));
	CU_ASSERT(stat("out", &st) == 0 && (st.st_mode & 0777) == 0600);
	CU_ASSERT_STRING_EQUAL(content("out"), "2");
	unlink("link");
	leave_dir("out");
}

static void errors_are_named(void)
{
	struct draft *d;
	struct err err = {0};

	enter_dir();
	CU_ASSERT_EQUAL(draft_open("no/such/folder", &d, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "no/such/folder"));
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_EQUAL(draft_open(".", &d, &err), -EISDIR);

	if (geteuid() != 0) { /* root may write everything */
		write_whole("kept", "k");
		CU_ASSERT(chmod("kept", 0444) == 0);
		CU_ASSERT_EQUAL(draft_open("kept", &d, &err), -EACCES);
		CU_ASSERT(unlink("kept") == 0);
	}

	/* /dev/full takes no byte, and must still be the device afterwards. */
	struct stat st;
	CU_ASSERT_EQUAL_FATAL(draft_open("/dev/full", &d, &err), 0);
	fputs("lost", draft_stream(d));
	CU_ASSERT_EQUAL(draft_commit(d, &err), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "/dev/full: the disk is full"));
	CU_ASSERT(stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode));

	CU_ASSERT_EQUAL_FATAL(draft_open("/dev/full", &d, &err), 0);
	errno = EDQUOT;
	CU_ASSERT_EQUAL(draft_fail(d, &err), -EDQUOT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "quota"));
	draft_abort(d);
	leave_dir(NULL);
}

/* A write that fails half-way leaves the old file and nothing else. */
static void failed_write_keeps_the_old(void)
{
	struct rlimit old, small = {.rlim_cur = 4096};
	struct draft *d;
	struct err err = {0};

	enter_dir();
	write_whole("out", "old");
	signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT(getrlimit(RLIMIT_FSIZE, &old) == 0);
	small.rlim_max = old.rlim_max;
	CU_ASSERT_EQUAL_FATAL(draft_open("out", &d, &err), 0);
	CU_ASSERT(setrlimit(RLIMIT_FSIZE, &small) == 0);
	for (int i = 0; i < 10000; i++)
		fputc('x', draft_stream(d));
	CU_ASSERT_EQUAL(draft_commit(d, &err), -EFBIG);
	CU_ASSERT(setrlimit(RLIMIT_FSIZE, &old) == 0);
	CU_ASSERT_STRING_EQUAL(content("out"), "old");
	leave_dir("out");
}

static void drop_removes_open_drafts_only(void)
{
	struct draft *a, *b;
	struct err err = {0};

	enter_dir();
	write_whole("kept", "k");
	CU_ASSERT_EQUAL_FATAL(draft_open("a", &a, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(draft_open("b", &b, NULL), 0);
	CU_ASSERT_EQUAL(entries(), 3);
	file_drop_drafts();
	CU_ASSERT_EQUAL(entries(), 1);
	CU_ASSERT_EQUAL(draft_commit(a, &err), -ENOENT);
	draft_abort(b);
	leave_dir("kept");
}

/* Drafts go first, so that a folder of nothing else is empty then; others stay. */
static void guarded_folders_go_when_empty(void)
{
	struct draft *draft;

	enter_dir();
	CU_ASSERT_EQUAL(mkdir("empty", 0777) | mkdir("full", 0777) | mkdir("other", 0777), 0);
	file_guard_folder("empty");
	file_guard_folder("full");
	CU_ASSERT_EQUAL_FATAL(draft_open("empty/a", &draft, NULL), 0);
	write_whole("full/b", "b");
	file_drop_drafts();
	CU_ASSERT_EQUAL(entries(), 2);
	CU_ASSERT_EQUAL(access("full/b", F_OK), 0);
	draft_abort(draft);
	CU_ASSERT_EQUAL(unlink("full/b") | rmdir("full") | rmdir("other"), 0);
	write_whole("kept", "k");
	leave_dir("kept");
}

/* Told to stop because its parent is gone. */
static void orphan(pid_t parent)
{
	file_follow(parent);
	while (getppid() == parent)
		usleep(1000);
	file_drop_drafts();
}

/* Whether a folder stays that the orphan's parent, or the parent's parent, guarded. */
static bool stays(bool grandparent)
{
	int ends[2];
	char end;

	CU_ASSERT_EQUAL_FATAL(mkdir("guarded", 0777) | pipe(ends), 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		file_guard_folder("guarded");
		if (!grandparent || fork() == 0) {
			pid_t parent = getpid();
			if (fork() == 0)
				orphan(parent);
		}
		_exit(0);
	}
	close(ends[1]);
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	CU_ASSERT_EQUAL(read(ends[0], &end, 1), 0); /* when all of them have ended */
	close(ends[0]);
	return rmdir("guarded") == 0;
}

/* A child that is told to stop leaves alone what its living parent has; an orphan tidies up. */
static void children_leave_parents_be(void)
{
	enter_dir();
	write_whole("kept", "k");
	CU_ASSERT_EQUAL_FATAL(mkdir("guarded", 0777), 0);
	file_guard_folder("guarded");
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		file_drop_drafts();
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	CU_ASSERT_EQUAL(rmdir("guarded"), 0);
	CU_ASSERT(!stays(false));
	CU_ASSERT(stays(true));
	leave_dir("kept");
}

/* The table of open drafts is bounded; slots come back. */
static void slots_run_out_and_return(void)
{
	struct draft *d[200];
	char name[16];
	int n = 0, rc = 0;

	enter_dir();
	for (; n < 200; n++) {
		snprintf(name, sizeof name, "f%d", n);
		rc = draft_open(name, &d[n], NULL);
		if (rc)
			break;
	}
	CU_ASSERT_EQUAL(rc, -EMFILE);
	CU_ASSERT(n >= 32);
	while (n-- > 0)
		draft_abort(d[n]);
	write_whole("out", "again");
	leave_dir("out");
}

TESTS("core/file", {"commit shows, abort hides", commit_shows_abort_hides},
      {"mode and link are kept", mode_and_link_are_kept}, {"errors are named", errors_are_named},
      {"a failed write keeps the old file", failed_write_keeps_the_old},
      {"drop removes open drafts only", drop_removes_open_drafts_only},
      {"guarded folders", guarded_folders_go_when_empty}, {"children", children_leave_parents_be},
      {"slots run out and return", slots_run_out_and_return})
