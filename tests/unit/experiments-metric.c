/* Metrics: which forms there are, what they find in a summary, what is said of a slip. */
#include "experiments/metric.h"

#include "test.h"

#include <math.h>
#include <string.h>

static json_t *summary(void)
{
	return json_loads("{\"host\": {\"frames\": 10, \"time_ns\": 5},"
			  " \"vm\": {\"a\": {\"faults\": 3, \"refs\": 12, \"state\": \"ended\"},"
			  " \"b-2\": {\"faults\": 5, \"refs\": 20}}}",
			  0, NULL);
}

static double value(const char *text)
{
	struct metric metric;
	struct err err = {0};
	json_t *o = summary();
	double v = -1;

	CU_ASSERT_EQUAL(metric_parse(text, &metric, &err), 0);
	CU_ASSERT_EQUAL(metric_value(&metric, o, &v, &err), 0);
	json_decref(o);
	return v;
}

static void values(void)
{
	CU_ASSERT_EQUAL(value("host.frames"), 10);
	CU_ASSERT_EQUAL(value("vm.a.faults"), 3);
	CU_ASSERT_EQUAL(value("vm.b-2.refs"), 20);
	CU_ASSERT_EQUAL(value("vm.*.faults"), 8);
	CU_ASSERT_EQUAL(value("vm.*.faults/vm.*.refs"), 0.25);
	CU_ASSERT_EQUAL(value("vm.a.refs/host.time_ns"), 2.4);
}

static void bad_forms(void)
{
	static const char *const bad[] = {"",	      "faults",	    "host",	"host.",
					  "vm.a",     "vm..faults", "guest.x",	"host.a.b",
					  "vm.a.b.c", "host.a/",    "host.a/b", "host.a b"};
	struct metric metric;
	struct err err;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		err.exit_code = 0;
		CU_ASSERT_NOT_EQUAL(metric_parse(bad[i], &metric, &err), 0);
		CU_ASSERT_EQUAL(err.exit_code, 2);
	}
}

static void not_there(const char *text, const char *says)
{
	struct metric metric;
	struct err err = {0};
	json_t *o = summary();
	double v;

	CU_ASSERT_EQUAL(metric_parse(text, &metric, &err), 0);
	CU_ASSERT_NOT_EQUAL(metric_value(&metric, o, &v, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, says));
	json_decref(o);
}

static void unknown(void)
{
	not_there("vm.a.fautls", "did you mean 'faults'");
	not_there("vm.c.faults", "no vm 'c'");
	not_there("vm.a.state", "no statistic 'state'");
	not_there("host.frames/host.tme_ns", "did you mean 'time_ns'");
}

static void slugs(void)
{
	struct metric metric;
	char slug[64];

	CU_ASSERT_EQUAL(metric_parse("vm.*.faults/vm.b-2.refs", &metric, NULL), 0);
	metric_slug(&metric, slug, sizeof slug);
	CU_ASSERT_STRING_EQUAL(slug, "vm-faults-vm-b-2-refs");
	metric_slug(&metric, slug, 6);
	CU_ASSERT_STRING_EQUAL(slug, "vm-fa");
}

TESTS("experiments/metric", {"values", values}, {"bad forms", bad_forms}, {"unknown", unknown},
      {"slugs", slugs})
