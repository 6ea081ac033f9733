/* A sweep under way: begun, gone on with, refused; runs done once, by workers that may die. */
#include "experiments/sweep.h"

#include "test.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/ballast-sweep-XXXXXX", job_path[64];

static struct plan *make(uint32_t seeds)
{
	static const char *const vary[] = {"swap.victim=lru,none"};
	struct plan_args args = {.job = job_path, .vary = vary, .varied = 1, .seeds = seeds};
	struct plan *plan;

	if (plan_new(&args, &plan, NULL))
		abort();
	return plan;
}

static int begin(struct sweep_choice choice, struct plan *plan, struct sweep *sweep,
		 struct err *err)
{
	choice.dir = dir;
	return sweep_open(&choice, plan, sweep, err);
}

/* Half of the runs fail: no victim, and less memory than pages. */
static void whole(void)
{
	struct sweep s;
	struct err err = {0};

	CU_ASSERT_NOT_EQUAL(begin((struct sweep_choice){.resume = true}, NULL, &s, &err), 0);
	CU_ASSERT_EQUAL_FATAL(begin((struct sweep_choice){0}, make(3), &s, &err), 0);
	CU_ASSERT_EQUAL(sweep_local(&s, 2, -1, &err), 0);
	CU_ASSERT(s.ended == 6 && s.failed == 3);
	for (uint64_t run = 0; run < 6; run++)
		CU_ASSERT_TRUE(sweep_is_done(&s, run));
	sweep_close(&s);
}

/* Done runs are not given out again; failed ones are, where that is asked for. */
static void again(void)
{
	struct sweep s;
	struct err err = {0};
	uint64_t run;

	CU_ASSERT_NOT_EQUAL(begin((struct sweep_choice){0}, make(3), &s, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "--resume"));
	CU_ASSERT_EQUAL_FATAL(begin((struct sweep_choice){.resume = true}, NULL, &s, &err), 0);
	CU_ASSERT(s.plan->runs == 6 && s.ended == 6 && s.failed == 3);
	CU_ASSERT_FALSE(sweep_next(&s, &run));
	sweep_close(&s);
	CU_ASSERT_EQUAL_FATAL(
		begin((struct sweep_choice){.resume = true, .retry = true}, make(3), &s, &err), 0);
	CU_ASSERT(s.ended == 3 && s.failed == 0 && sweep_next(&s, &run) && run == 3);
	CU_ASSERT_EQUAL(sweep_local(&s, 0, -1, &err), 0);
	CU_ASSERT(s.ended == 6 && s.failed == 3);
	sweep_close(&s);
}

/* More seeds: what is done keeps its point and seed; fewer would leave some out. */
static void more_seeds(void)
{
	struct sweep s;
	struct err err = {0};
	struct sweep_choice fewer = {.resume = true, .seeds = 2},
			    more = {.resume = true, .seeds = 5};
	uint64_t run;

	CU_ASSERT_EQUAL(begin(fewer, NULL, &s, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "has 3 seeds, and --seeds 2 would leave out runs"));
	CU_ASSERT_EQUAL_FATAL(begin(more, make(5), &s, &err), 0);
	CU_ASSERT(s.plan->runs == 10 && s.ended == 6 && s.failed == 3);
	for (run = 0; run < 10; run++)
		CU_ASSERT_EQUAL(sweep_is_done(&s, run), run % 5 < 3);
	CU_ASSERT(sweep_next(&s, &run) && run == 3);
	sweep_close(&s);
	CU_ASSERT_EQUAL_FATAL(begin((struct sweep_choice){.resume = true}, NULL, &s, &err), 0);
	CU_ASSERT(s.plan->runs == 10 && s.ended == 6);
	sweep_close(&s);
}

/* Another process cannot sweep there meanwhile. */
static void one_leader(void)
{
	struct sweep s, other;
	struct err err = {0};
	int status = 0;

	CU_ASSERT_EQUAL_FATAL(begin((struct sweep_choice){.resume = true}, NULL, &s, &err), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int rc = begin((struct sweep_choice){.resume = true}, NULL, &other, &err);
		_exit(rc == -EBUSY && strstr(err.msg, "is sweeping there") ? 0 : 1);
	}
	CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
	sweep_close(&s);
}

static void setup(void)
{
	if (!mkdtemp(dir))
		abort();
	snprintf(job_path, sizeof job_path, "%s/x.job", dir);
	FILE *f = fopen(job_path, "w");
	if (!f ||
	    fputs("host { frames = 20 thresholds = none }\n"
		  "gen g { refs = 500 pages = 60 }\nvm a { gen = g }\n",
		  f) < 0 ||
	    fclose(f))
		abort();
}

static void cleanup(void)
{
	char command[100];

	snprintf(command, sizeof command, "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

TESTS("experiments/sweep", {"setup", setup}, {"whole", whole}, {"again", again},
      {"more seeds", more_seeds}, {"one leader", one_leader}, {"cleanup", cleanup})
