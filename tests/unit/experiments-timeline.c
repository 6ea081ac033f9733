#include "host.h"

#include "experiments/kinds.h"
#include "experiments/timeline.h"
#include "tax/tax.h"

#include <errno.h>

#define SECOND UINT64_C(1000000000)

/* A host and a job whose VMs are empty: the test only looks at what comes and goes. */
struct scene {
	struct test_host t;
	struct job *job;
	struct timeline *timeline;
	struct vm *vm[8];
	uint32_t pages[8];
	char told[4096];
};

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

static int add(void *ctx, size_t i, struct vm **vm, struct err *err)
{
	struct scene *s = ctx;

	return vm_add(s->t.host, job_title(s->job, &vm_section, i), s->pages[i], vm, err);
}

static void note(void *ctx, uint64_t time_ns, const struct vm *vm, const char *event,
		 const char *reason)
{
	struct scene *s = ctx;
	size_t used = strlen(s->told);

	if (strcmp(event, "set") == 0 || strcmp(event, "added") == 0 ||
	    strcmp(event, "removed") == 0 || strcmp(event, "not reached") == 0)
		snprintf(s->told + used, sizeof s->told - used, "%llu %s %s %s\n",
			 (unsigned long long)(time_ns / SECOND), vm ? vm->name : "-", event,
			 reason);
}

/* The timeline of a job with 1000 frames and VMs of 100 pages. */
static int open_scene(struct scene *s, const char *text, struct err *err)
{
	*s = (struct scene){.job = read_job(text)};
	for (size_t i = 0; i < ARRAY_LEN(s->pages); i++)
		s->pages[i] = 100;
	return timeline_new(s->job, s->pages, 1000, 1000, &s->timeline, err);
}

static void start(struct scene *s)
{
	struct err err;
	struct tax *tax;

	test_host_new(&s->t, (struct test_shape){.frames = 1000, .thresholds = "esx"});
	CU_ASSERT_EQUAL(tax_open(s->t.host, job_section(s->job, &tax_section), &tax, &err), 0);
	s->t.host->on_event = note;
	s->t.host->event_ctx = s;
	for (size_t i = 0; i < job_count(s->job, &vm_section); i++) {
		if (timeline_adds(s->timeline, i))
			continue;
		CU_ASSERT_EQUAL(add(s, i, &s->vm[i], &err), 0);
		terms_give(timeline_terms(s->timeline, i), s->vm[i]);
	}
	CU_ASSERT_EQUAL(timeline_start(s->timeline, s->t.host, &s->t.host->clock, s->vm, add, NULL,
				       s, &err),
			0);
}

static void close_scene(struct scene *s)
{
	timeline_free(s->timeline);
	if (s->t.host)
		test_host_free(&s->t);
	job_free(s->job);
}

/* In order of time, whatever the order of the sections; removing, setting, adding. */
static void things_happen_in_order(void)
{
	static struct scene s;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(
		open_scene(&s,
			   "host { thresholds = esx }\n"
			   "vm a { overhead = 0 } vm b { overhead = 0 } vm c { overhead = 0 }\n"
			   "at 3s { remove = a set = \"tax.rate=0\" }\n"
			   "at 1s { add = c set = {\"vm.a.shares=7\", \"vm.c.min=40kb\"} }\n"
			   "at 1min { set = \"tax.rate=25%\" }",
			   &err),
		0);
	CU_ASSERT_FALSE(timeline_adds(s.timeline, 0));
	CU_ASSERT_TRUE(timeline_adds(s.timeline, 2));
	start(&s);
	CU_ASSERT_EQUAL(s.t.host->arrivals, 1);
	CU_ASSERT_EQUAL(s.vm[0]->shares, 3); /* 10 a MB of 400 KB, 3.9 */
	clock_run_until(&s.t.host->clock, SECOND - 1);
	CU_ASSERT_STRING_EQUAL(s.told, "");
	clock_run_until(&s.t.host->clock, SECOND);
	CU_ASSERT_STRING_EQUAL(s.told, "1 a set vm.a.shares=7\n"
				       "1 - set vm.c.min=40kb\n"
				       "1 c added at 1s\n");
	CU_ASSERT_EQUAL(s.vm[0]->shares, 7);
	CU_ASSERT_EQUAL(timeline_terms(s.timeline, 2)->promise.min, 10);
	CU_ASSERT_EQUAL(s.t.host->arrivals, 0);
	*s.told = '\0';
	clock_run_until(&s.t.host->clock, 4 * SECOND);
	CU_ASSERT_STRING_EQUAL(s.told, "3 a removed at 3s\n3 - set tax.rate=0\n");
	CU_ASSERT_EQUAL(s.vm[0]->state, VM_REMOVED);
	*s.told = '\0';
	CU_ASSERT_EQUAL(timeline_finish(s.timeline, &err), 0);
	CU_ASSERT_STRING_EQUAL(s.told, "4 - not reached at 1min: the run ended before\n");
	/* The job is as it was read. */
	CU_ASSERT_EQUAL(((const struct tax_opts *)job_section(s.job, &tax_section))->rate, 0.75);
	close_scene(&s);
}

/* What one entry sets is checked as a whole: a gives what b takes, and min passes an old max. */
static void sets_of_a_moment_are_checked_together(void)
{
	static struct scene s;
	struct err err;
	const char *const text = "host { thresholds = esx }\n"
				 "vm a { overhead = 2400kb min = 400kb }\n"
				 "vm b { overhead = 1000kb min = 40kb max = 200kb }\n"
				 "at 1s { set = {%s} }";
	char job[500];

	snprintf(job, sizeof job, text,
		 "\"vm.b.min=400kb\", \"vm.b.max=400kb\", \"vm.a.min=100kb\"");
	CU_ASSERT_EQUAL_FATAL(open_scene(&s, job, &err), 0);
	start(&s);
	clock_run_until(&s.t.host->clock, SECOND);
	CU_ASSERT_EQUAL(timeline_finish(s.timeline, &err), 0);
	CU_ASSERT_EQUAL(s.vm[0]->min, 25);
	CU_ASSERT_EQUAL(s.vm[1]->min, 100);
	CU_ASSERT_EQUAL(s.vm[1]->max, 100);
	close_scene(&s);
	snprintf(job, sizeof job, text, "\"vm.b.min=400kb\", \"vm.b.max=400kb\"");
	CU_ASSERT_EQUAL(open_scene(&s, job, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "J:4: at 1s: vm b does not fit"));
	close_scene(&s);
	snprintf(job, sizeof job, text, "\"vm.b.min=400kb\", \"vm.a.min=0\"");
	CU_ASSERT_EQUAL(open_scene(&s, job, &err), -EINVAL);
	close_scene(&s);
}

/* 600 pages promised of 1000: 500 more fit once a has gone. */
static void room_is_that_of_the_moment(void)
{
	static struct scene s;
	struct err err;
	const char *const text = "host { thresholds = esx }\n"
				 "vm a { overhead = 2400kb }\n"
				 "vm b { overhead = 2000kb }\n"
				 "at 1s { remove = a }\n"
				 "%s { add = b }";
	char job[400];

	snprintf(job, sizeof job, text, "at 2s");
	CU_ASSERT_EQUAL(open_scene(&s, job, &err), 0);
	close_scene(&s);
	snprintf(job, sizeof job, text, "at 1000ms"); /* the same time, listed later */
	CU_ASSERT_EQUAL(open_scene(&s, job, &err), 0);
	close_scene(&s);
	snprintf(job, sizeof job, text, "at 0s");
	CU_ASSERT_EQUAL(open_scene(&s, job, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "J:5: at 0s: "));
	close_scene(&s);
}

/* Where nothing divides memory nothing is promised. */
static void without_states_all_are_let_in(void)
{
	static struct scene s;
	struct err err;

	CU_ASSERT_EQUAL(
		open_scene(&s, "vm a { overhead = 8mb } at 1s { set = \"share.rate_vm=1\" }", &err),
		0);
	close_scene(&s);
	CU_ASSERT_EQUAL(open_scene(&s, "vm a { } at 1s { set = \"vm.a.min=4kb\" }", &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "J:1: at 1s: vm.a.min is given, but nothing heeds"));
	close_scene(&s);
}

/* What fails when its time has come stops the run, and is its error. */
static void a_failure_stops_the_run(void)
{
	static struct scene s;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(open_scene(&s,
					 "host { thresholds = esx } vm a { overhead = 0 }\n"
					 "vm b { overhead = 0 } at 1s { add = b }",
					 &err),
			      0);
	start(&s);
	size_t vms = s.t.host->vms;
	s.t.host->vms = VM_ID_MAX;
	s.t.host->reclaim = NULL; /* nobody looks at those VMs */
	clock_run_until(&s.t.host->clock, 2 * SECOND);
	s.t.host->vms = vms;
	CU_ASSERT_TRUE(s.t.host->stop);
	CU_ASSERT_EQUAL(timeline_finish(s.timeline, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "a host holds at most"));
	close_scene(&s);
}

static void remove_later(void *ctx, size_t i, const char *reason)
{
	struct scene *s = ctx;

	host_event_now(s->t.host, s->vm[i], "removed", "asked %s", reason);
}

/* As of live guests: by a clock of its own, and whoever drives the VM takes it away. */
static void another_clock_and_way_to_go(void)
{
	static struct scene s;
	struct clock real;
	struct err err;

	clock_init(&real);
	CU_ASSERT_EQUAL_FATAL(open_scene(&s,
					 "host { thresholds = esx }\n"
					 "vm a { overhead = 0 }\nat 2s { remove = a }",
					 &err),
			      0);
	test_host_new(&s.t, (struct test_shape){.frames = 1000, .thresholds = "esx"});
	s.t.host->on_event = note;
	s.t.host->event_ctx = &s;
	CU_ASSERT_EQUAL(add(&s, 0, &s.vm[0], &err), 0);
	CU_ASSERT_EQUAL(
		timeline_start(s.timeline, s.t.host, &real, s.vm, add, remove_later, &s, &err), 0);
	clock_run_until(&s.t.host->clock, 3 * SECOND);
	clock_run_until(&real, SECOND);
	CU_ASSERT_STRING_EQUAL(s.told, "");
	clock_run_until(&real, 2 * SECOND);
	CU_ASSERT_STRING_EQUAL(s.told, "3 a removed asked at 2s\n");
	CU_ASSERT_EQUAL(s.vm[0]->state, VM_RUNNING);
	close_scene(&s);
	clock_free(&real);
}

TESTS("experiments/timeline", {"things happen in order", things_happen_in_order},
      {"sets of a moment are checked together", sets_of_a_moment_are_checked_together},
      {"room is that of the moment", room_is_that_of_the_moment},
      {"without states all are let in", without_states_all_are_let_in},
      {"a failure stops the run", a_failure_stops_the_run},
      {"another clock, and way to go", another_clock_and_way_to_go})
