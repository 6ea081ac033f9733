/* Axes: lists, ranges, units, keys that go together; slips are told. */
#include "experiments/sweep_axis.h"

#include "experiments/kinds.h"
#include "test.h"

#include <math.h>
#include <string.h>

static struct job *new_job(void)
{
	struct job *job;

	if (job_new(job_sections, &job) ||
	    job_parse(job, "gen g { }\nvm a { gen = g }\nvm b { gen = g }\n", "test.job", NULL))
		abort();
	return job;
}

/* The values of an axis, "a|b|c". */
static void expect(const char *text, bool numeric, const char *values, double last)
{
	struct job *job = new_job();
	struct err err = {0};
	struct axis axis;
	char all[500] = "";

	if (axis_parse(text, job, &axis, &err)) {
		printf("  %s: %s\n", text, err.msg);
		CU_FAIL("an axis that is good");
		job_free(job);
		return;
	}
	for (size_t i = 0; i < axis.n; i++)
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? "|" : "",
			 axis.text[i]);
	CU_ASSERT_STRING_EQUAL(all, values);
	CU_ASSERT_EQUAL(axis_numeric(&axis), numeric);
	if (numeric)
		CU_ASSERT_DOUBLE_EQUAL(axis.number[axis.n - 1], last, fabs(last) * 1e-12);
	axis_release(&axis);
	job_free(job);
}

static void values(void)
{
	expect("swap.victim=lru, clock,fifo", false, "lru|clock|fifo", 0);
	expect("host.memory=4096kb,1gb", true, "4mb|1gb", 0x1p30);
	expect("host.memory=1mb:2mb:512kb", true, "1mb|1536kb|2mb", 0x1p21);
	expect("host.memory=1mb:16mb:*4", true, "1mb|4mb|16mb", 0x1p24);
	expect("host.memory=1mb:15mb:*4", true, "1mb|4mb", 0x1p22);
	expect("swap.read_time=10us,100us:1ms:300us", true, "10us|100us|400us|700us|1ms", 1e6);
	expect("gen.g.refs=1k:1M:*10", true, "1000|10000|100000|1000000", 1e6);
	expect("host.frames=1:4:*1.3", true, "1|2|3|4", 4); /* 1 1.3 1.69 2.20 2.86 3.71 */
	expect("gen.g.alpha=0:0.3:0.1", true, "0|0.1|0.2|0.3", 0.3);
	expect("gen.g.zero=5%,10%", true, "0.05|0.1", 0.1);
	expect("run.oracle=on,off", false, "on|off", 0);
	expect("gen.g.mix=zipf:3 sequential:1;zipf", false, "zipf:3 sequential:1|zipf", 0);
	expect("vm.a.memory + vm.b.memory=1mb,2mb", true, "1mb|2mb", 0x1p21);
	expect("host.frames=7:7:1", true, "7", 7);
}

static void refused(const char *text, const char *says)
{
	struct job *job = new_job();
	struct err err = {0};
	struct axis axis;

	CU_ASSERT_NOT_EQUAL(axis_parse(text, job, &axis, &err), 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	if (!strstr(err.msg, says)) {
		printf("  %s: %s\n", text, err.msg);
		CU_FAIL("what is said");
	}
	job_free(job);
}

static void slips(void)
{
	refused("swap.victim", "no '='");
	refused("swap.victim=", "value missing");
	refused("swap.victim=lru,,fifo", "value missing");
	refused("swap.victm=lru", "did you mean 'victim'");
	refused("swap.victim=lru,clokc", "did you mean 'clock'");
	refused("swap.victim=lru,lru", "twice");
	refused("host.memory=1mb,1024kb", "twice");
	refused("host.memory=1mb:2mb", "no range");
	refused("host.memory=1mb:2mb:1mb:1mb", "no range");
	refused("host.memory=2mb:1mb:1mb", "never ends");
	refused("host.memory=1mb:2mb:0", "never ends");
	refused("host.memory=1mb:2mb:*1", "never ends");
	refused("host.memory=0:2mb:*2", "never ends");
	refused("host.memory=1b:1tb:1b", "more than");
	refused("host.memory=1xb", "no unit");
	refused("gen.g.write_ratio=0:2:0.5", "out of range");
	refused("vm.c.memory=1mb", "no vm 'c'");
	refused("vm.a.memory+vm.c.memory=1mb", "no vm 'c'");
	refused("=lru", "is no key");
}

/* What is kept of an axis makes the same one; applying sets every key. */
static void again_and_applied(void)
{
	struct job *job = new_job();
	json_t *texts = json_pack("[s, s]", "1mb", "3mb");
	const struct opt *opt;
	const void *options;
	struct axis axis;

	CU_ASSERT_EQUAL_FATAL(axis_make("vm.a.memory+vm.b.memory", texts, job, &axis, NULL), 0);
	CU_ASSERT_EQUAL(axis.n, 2);
	CU_ASSERT_EQUAL(axis.n_keys, 2);
	CU_ASSERT_EQUAL(axis_apply(&axis, 0, job, NULL), 0);
	CU_ASSERT_FATAL(job_key_find(job, "vm.b.memory", &opt, &options));
	CU_ASSERT_EQUAL(*(const uint64_t *)((const char *)options + opt->offset), 1 << 20);
	CU_ASSERT_FALSE(job_key_find(job, "vm.c.memory", &opt, &options));
	CU_ASSERT_FALSE(job_key_find(job, "vm.memory", &opt, &options));
	CU_ASSERT_FALSE(job_key_find(job, "host", &opt, &options));
	axis_release(&axis);
	json_decref(texts);
	job_free(job);
}

TESTS("experiments/sweep_axis", {"values", values}, {"slips", slips},
      {"again and applied", again_and_applied})
