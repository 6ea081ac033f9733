/* Job arrays without a Slurm: their folder, their tasks, torn lines, what is lost. */
#include "experiments/sweep_array.h"

#include "test.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/ballast-array-XXXXXX", job_path[64];
static struct sweep sweep;

static void open_sweep(void)
{
	static const char *const vary[] = {"swap.victim=lru,clock"};
	struct plan_args args = {.job = job_path, .vary = vary, .varied = 1, .seeds = 4};
	struct sweep_choice choice = {.dir = dir, .resume = true};
	struct err err = {0};
	struct plan *plan;

	if (plan_new(&args, &plan, NULL) || sweep_open(&choice, plan, &sweep, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
}

static void setup(void)
{
	if (!mkdtemp(dir))
		abort();
	snprintf(job_path, sizeof job_path, "%s/x.job", dir);
	FILE *f = fopen(job_path, "w");
	if (!f || fputs("gen g { refs = 500 pages = 60 }\nvm a { gen = g }\n", f) < 0 || fclose(f))
		abort();
	open_sweep();
}

static void append(const struct array *array, size_t task, const char *text)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof path, "%s/%zu.jsonl", array->dir, task);
	FILE *f = fopen(path, "a");
	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

/* Three tasks for eight runs: task 0 does 0, 3, 6; lines are taken once, when they are whole. */
static void tasks(void)
{
	struct array array, again;
	struct err err = {0};
	size_t n = 99;

	CU_ASSERT_EQUAL_FATAL(array_make(&sweep, NULL, 3, 1, &array, &err), 0);
	CU_ASSERT(array.runs == 8 && array.tasks == 3);
	CU_ASSERT_EQUAL(array_collect(&array, &sweep, &n, &err), 0);
	CU_ASSERT_EQUAL(n, 0);
	/* Task 0 was cut off in a line, and is started again. */
	append(&array, 0, "{\"run\": 0, \"state\": \"do");
	CU_ASSERT_EQUAL(array_collect(&array, &sweep, &n, &err), 0);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(array_task(array.dir, 0, &err), 0);
	CU_ASSERT_EQUAL(array_collect(&array, &sweep, &n, &err), 0);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT(sweep_is_done(&sweep, 0) && sweep_is_done(&sweep, 3) && sweep_is_done(&sweep, 6));
	CU_ASSERT_EQUAL(sweep.ended, 3);
	/* Started once more, it has nothing to do. */
	CU_ASSERT_EQUAL(array_task(array.dir, 0, &err), 0);
	CU_ASSERT_EQUAL(array_collect(&array, &sweep, &n, &err), 0);
	CU_ASSERT_EQUAL(n, 0);
	/* Another leader finds it all, and takes nothing twice. */
	CU_ASSERT_EQUAL_FATAL(array_load(&sweep, array.name, &again, &err), 0);
	CU_ASSERT(again.runs == 8 && again.tasks == 3 && again.run[7] == 7);
	CU_ASSERT_EQUAL(array_task(array.dir, 1, &err), 0);
	CU_ASSERT_EQUAL(array_collect(&again, &sweep, &n, &err), 0);
	CU_ASSERT_EQUAL(n, 6);
	CU_ASSERT_EQUAL(sweep.ended, 6);
	/* Task 2 does nothing: its two runs are lost, by name. */
	snprintf(array.state[2], sizeof array.state[2], "TIMEOUT");
	CU_ASSERT_EQUAL(array_give_up(&array, &sweep, &err), 0);
	CU_ASSERT(sweep.ended == 8 && sweep.failed == 2);
	CU_ASSERT(sweep_is_done(&sweep, 2) && sweep_is_done(&sweep, 5));
	array_release(&again);
	array_remove(&array);
	CU_ASSERT_NOT_EQUAL(access(array.dir, F_OK), 0);
	array_release(&array);
}

/* An array of the runs that are open only, without those of another that is live. */
static void the_rest(void)
{
	struct sweep_choice choice = {.dir = dir, .resume = true, .retry = true};
	uint8_t taken[2] = {1 << 5};
	struct array array;
	struct err err = {0};

	sweep_close(&sweep);
	CU_ASSERT_EQUAL_FATAL(sweep_open(&choice, NULL, &sweep, &err), 0);
	CU_ASSERT_EQUAL(sweep.ended, 6);
	CU_ASSERT_EQUAL_FATAL(array_make(&sweep, taken, 100, 1, &array, &err), 0);
	CU_ASSERT(array.runs == 1 && array.tasks == 1 && array.run[0] == 2);
	array_remove(&array);
	array_release(&array);
}

static void hostile(void)
{
	static const char *const bad[] = {
		"{", "{\"runs\": [8], \"tasks\": 1}", "{\"runs\": [1], \"tasks\": 0}",
		"{\"runs\": [1], \"tasks\": 2}", "{\"runs\": [-1], \"tasks\": 1}"};
	char path[100], parent[64];
	struct array array;
	struct err err = {0};

	snprintf(parent, sizeof parent, "%s/slurm", dir);
	snprintf(path, sizeof path, "%s/slurm/ballast-x", dir);
	(void)!mkdir(parent, 0777);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0777), 0);
	snprintf(path, sizeof path, "%s/slurm/ballast-x/array.json", dir);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		FILE *f = fopen(path, "w");
		if (!f || fputs(bad[i], f) < 0 || fclose(f))
			abort();
		CU_ASSERT_NOT_EQUAL(array_load(&sweep, "ballast-x", &array, &err), 0);
		snprintf(parent, sizeof parent, "%s/slurm/ballast-x", dir);
		CU_ASSERT_NOT_EQUAL(array_task(parent, 0, &err), 0);
	}
	CU_ASSERT_NOT_EQUAL(array_load(&sweep, "ballast-y", &array, &err), 0);
}

static void cleanup(void)
{
	char command[100];

	sweep_close(&sweep);
	snprintf(command, sizeof command, "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

TESTS("experiments/sweep_array", {"setup", setup}, {"tasks", tasks}, {"the rest", the_rest},
      {"hostile", hostile}, {"cleanup", cleanup})
