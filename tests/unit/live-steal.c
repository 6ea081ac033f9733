#include "test.h"

#include "live/steal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/ballast-steal.XXXXXX";

static void put(const char *tid, const char *file, const char *text)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s/%s", folder, tid, file);
	FILE *f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void put_thread(const char *tid, const char *name, const char *times)
{
	char path[100];

	snprintf(path, sizeof path, "%s/%s", folder, tid);
	mkdir(path, 0700);
	put(tid, "comm", name);
	put(tid, "schedstat", times);
}

static void end_thread(const char *tid)
{
	char path[200];

	snprintf(path, sizeof path, "rm -r %s/%s", folder, tid);
	CU_ASSERT_EQUAL(system(path), 0);
}

static void begin(void)
{
	memcpy(strrchr(folder, '.') + 1, "XXXXXX", 6);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
}

static void end(void)
{
	char command[100];

	snprintf(command, sizeof command, "rm -r %s", folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* QEMU's threads: of its CPUs, and others. */
static void cpus(void)
{
	struct steal_meter m = {0};

	begin();
	put_thread("10", "qemu-system-x86\n", "900 800 3\n");
	put_thread("11", "CPU 0/TCG\n", "50 20 3\n");
	put_thread("12", "CPU 1/TCG\n", "7 1 3\n");
	put_thread("13", "ballast-agent\n", "900 900 3\n");
	put_thread("x", "CPU 2/TCG\n", "900 900 3\n");
	CU_ASSERT_EQUAL(steal_read_tasks(&m, folder), 0);
	CU_ASSERT_EQUAL(m.total.run_ns, 57);
	CU_ASSERT_EQUAL(m.total.wait_ns, 21);
	put("11", "schedstat", "60 25 3\n");
	CU_ASSERT_EQUAL(steal_read_tasks(&m, folder), 0);
	CU_ASSERT_EQUAL(m.total.run_ns, 67);
	CU_ASSERT_EQUAL(m.total.wait_ns, 26);
	end();
}

/* A program's threads come and go, and their numbers are used again. */
static void threads(void)
{
	struct steal_meter m = {0};

	begin();
	CU_ASSERT_EQUAL(steal_read_tasks(&m, folder), -ESRCH);
	put_thread("10", "verify\n", "100 10 3\n");
	put_thread("11", "verify\n", "200 20 3\n");
	put_thread("12", "ballast-agent\n", "900 900 3\n");
	CU_ASSERT_EQUAL(steal_read_tasks(&m, folder), 0);
	CU_ASSERT_EQUAL(m.total.run_ns, 300);
	CU_ASSERT_EQUAL(m.threads, 2);
	end_thread("11");
	CU_ASSERT_EQUAL(steal_read_tasks(&m, folder), 0);
	CU_ASSERT_EQUAL(m.total.run_ns, 300);
	CU_ASSERT_EQUAL(m.threads, 1);
	put_thread("11", "other\n", "250 30 3\n");
	CU_ASSERT_EQUAL(steal_read_tasks(&m, folder), 0);
	CU_ASSERT_EQUAL(m.total.run_ns, 550);
	CU_ASSERT_EQUAL(m.total.wait_ns, 60);
	put_thread("10", "another\n", "5 1 3\n");
	CU_ASSERT_EQUAL(steal_read_tasks(&m, folder), 0);
	CU_ASSERT_EQUAL(m.total.run_ns, 555);
	CU_ASSERT_EQUAL(m.total.wait_ns, 61);
	end();
	CU_ASSERT_EQUAL(steal_read_tasks(&m, folder), -ENOENT);
}

/* More threads than are counted, and files that are not what they should be. */
static void strange(void)
{
	struct steal_meter m = {0};
	char tid[20];

	begin();
	for (int i = 1; i <= STEAL_THREADS + 5; i++) {
		snprintf(tid, sizeof tid, "%d", i);
		put_thread(tid, "t\n", "1 2 3\n");
	}
	CU_ASSERT_EQUAL(steal_read_tasks(&m, folder), 0);
	CU_ASSERT_EQUAL(m.threads, STEAL_THREADS);
	CU_ASSERT_EQUAL(m.total.run_ns, STEAL_THREADS);
	end();
	begin();
	put_thread("1", "t\n", "99999999999999999999999 1 1\n");
	put_thread("2", "t\n", "");
	put_thread("3", "t\n", "none 1\n");
	put_thread("4", "t\n", "1");
	put_thread("5", "", "1 1 1\n");
	m = (struct steal_meter){0};
	CU_ASSERT_EQUAL(steal_read_tasks(&m, folder), -ESRCH);
	CU_ASSERT_EQUAL(m.total.run_ns, 0);
	end();
}

/* This process's own threads: it has run. */
static void own(void)
{
	struct steal_meter m = {0};

	if (access("/proc/self/schedstat", R_OK))
		return; /* a kernel without */
	CU_ASSERT_EQUAL(steal_read_tasks(&m, "/proc/self/task"), 0);
	CU_ASSERT_TRUE(m.total.run_ns > 0);
	CU_ASSERT_TRUE(m.threads >= 1);
}

static void able(void)
{
	const struct steal none = {0}, busy = {700, 300, 100}, two = {1400, 600, 0},
			   idle = {100, 100, 0}, drowned = {0, 5000, 0};

	CU_ASSERT_EQUAL(steal_able_ns(&none, &none, 1000, true), 1000);
	CU_ASSERT_EQUAL(steal_able_ns(&none, &busy, 1000, false), 700);
	CU_ASSERT_EQUAL(steal_able_ns(&none, &two, 1000, false), 700);
	CU_ASSERT_EQUAL(steal_able_ns(&none, &idle, 1000, false), 900);
	CU_ASSERT_EQUAL(steal_able_ns(&idle, &idle, 1000, false), 1000);
	/* 400 ns of waiting, by 1100 / 1000 CPUs */
	CU_ASSERT_EQUAL(steal_able_ns(&none, &busy, 1000, true), 1000 - 363);
	CU_ASSERT_EQUAL(steal_able_ns(&none, &drowned, 1000, false), 1);
	CU_ASSERT_EQUAL(steal_able_ns(&none, &none, 0, false), 1);
}

TESTS("live/steal", {"virtual CPUs", cpus}, {"threads", threads}, {"strange files", strange},
      {"this process", own}, {"time to run", able})
