/* What a sweep reads: axes and metrics from a command line, plans and records from files. */
#include "experiments/kinds.h"
#include "experiments/metric.h"
#include "experiments/sweep_record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static struct job *new_job(void)
{
	struct job *job;

	expect(job_new(job_sections, &job) == 0);
	expect(job_parse(job, "gen g { }\nvm a { gen = g }\nvm b { gen = g }\n", "fuzz", NULL) ==
	       0);
	return job;
}

/* A good axis is made again from what is told of it. */
static void read_axis(const char *text)
{
	struct job *job = new_job();
	struct err err = {0};
	struct axis axis, again;

	if (axis_parse(text, job, &axis, &err)) {
		expect(err.exit_code && *err.msg && !strchr(err.msg, '\n'));
		job_free(job);
		return;
	}
	json_t *texts = json_array();
	for (size_t i = 0; i < axis.n; i++)
		json_array_append_new(texts, json_string(axis.text[i]));
	expect(axis.n > 0 && axis_apply(&axis, axis.n - 1, job, NULL) == 0);
	if (json_array_size(texts) == axis.n) { /* texts that are UTF-8 */
		expect(axis_make(axis.key, texts, job, &again, NULL) == 0);
		expect(again.n == axis.n);
		for (size_t i = 0; i < axis.n; i++)
			expect(strcmp(again.text[i], axis.text[i]) == 0);
		axis_release(&again);
	}
	json_decref(texts);
	axis_release(&axis);
	job_free(job);
}

static void read_plan(const char *text, size_t size)
{
	json_t *told = json_loadb(text, size, 0, NULL);
	struct err err = {0};
	struct plan *plan;
	char point[200];

	if (told && plan_from(told, &plan, &err) == 0) {
		expect(plan->runs == plan->points * plan->seeds && plan->runs > 0);
		expect(plan_same(plan->told, told, &err) == 0);
		plan_point_text(plan, plan->points - 1, point, sizeof point);
		(void)!plan_apply(plan, plan->runs - 1, plan->job, &err);
		plan_free(plan);
	} else if (told) {
		expect(err.exit_code && *err.msg);
	}
	json_decref(told);
}

static void read_record(const char *text, size_t size)
{
	struct record record;
	struct err err = {0};

	if (record_read(text, size, 100, &record, &err) == 0) {
		expect(record.run < 100);
		record_release(&record);
	} else {
		expect(err.exit_code == 2 && *err.msg);
	}
}

static void read_metric(const char *text, size_t size)
{
	struct metric metric;
	struct err err = {0};
	double value;
	char slug[64];

	if (metric_parse(text, &metric, &err))
		return;
	json_t *summary = json_pack("{s:{s:i}, s:{s:{s:i}}}", "host", "free", 3, "vm", "a", "refs",
				    (int)size);
	metric_slug(&metric, slug, sizeof slug);
	expect(metric_value(&metric, summary, &value, &err) == 0 || err.exit_code == 2);
	json_decref(summary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = size ? strndup((const char *)data + 1, size - 1) : NULL;

	if (!text)
		return 0;
	switch (data[0] % 4) {
	case 0:
		read_axis(text);
		break;
	case 1:
		read_plan((const char *)data + 1, size - 1);
		break;
	case 2:
		read_record((const char *)data + 1, size - 1);
		break;
	default:
		read_metric(text, size);
	}
	free(text);
	return 0;
}
