#include "experiments/sweep_record.h"

#include "core/os.h"
#include "experiments/expect.h"
#include "experiments/expect_job.h"
#include "experiments/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The run's summary and, where its job expects something, how much of it does not hold. */
static json_t *summed_up(struct run *run, const struct expecting *expecting)
{
	json_t *summary = run_summary(run), *told = json_object();

	if (expecting) {
		expecting_tell(expecting, summary, told);
		json_object_set_new(json_object_get(summary, "host"), "expect_missed",
				    json_integer((json_int_t)expect_tally(told).failed));
	}
	json_decref(told);
	return summary;
}

static int go(struct run *run, const struct job *job, struct record *r, struct err *err)
{
	struct expecting *expecting;
	int rc = expecting_open(job, run_host(run), run_clock(run), &expecting, err);

	if (rc)
		return rc;
	rc = run_go(run, NULL, NULL, err);
	if (rc == 0 && run_failed(run)) {
		*err = *run_failed(run);
		rc = -EIO;
	}
	r->summary = summed_up(run, expecting);
	expecting_close(expecting);
	return rc;
}

static int do_run(const struct plan *plan, uint64_t number, struct record *r, struct err *err)
{
	struct run *run;
	int rc = plan_apply(plan, number, plan->job, err);

	if (rc == 0)
		rc = run_open(plan->job, &run, err);
	if (rc)
		return rc;
	rc = go(run, plan->job, r, err);
	run_close(run);
	return rc;
}

void record_run(const struct plan *plan, uint64_t run, struct record *record)
{
	uint64_t start = os_mono_ns(), cpu = os_cpu_ns();
	struct err err = {0};

	*record = (struct record){.run = run};
	record->failed = do_run(plan, run, record, &err) != 0;
	if (record->failed)
		snprintf(record->error, sizeof record->error, "%s", err.msg);
	record->cpu_ns = os_cpu_ns() - cpu;
	record->wall_ns = os_mono_ns() - start;
	if (gethostname(record->node, sizeof record->node - 1))
		snprintf(record->node, sizeof record->node, "unknown");
}

int record_write(const struct record *r, FILE *out)
{
	json_t *o = json_pack("{s:I, s:s, s:s, s:O?, s:I, s:I, s:s}", "run", (json_int_t)r->run,
			      "state", r->failed ? "failed" : "done", "error", r->error, "summary",
			      r->summary, "cpu_ns", (json_int_t)r->cpu_ns, "wall_ns",
			      (json_int_t)r->wall_ns, "node", r->node);
	char *line = o ? json_dumps(o, JSON_COMPACT) : NULL;
	int rc = -ENOMEM;

	json_decref(o);
	if (line) {
		rc = fprintf(out, "%s\n", line) < 0 || fflush(out) != 0 ? -EIO : 0;
	}
	free(line);
	return rc;
}

static int bad(const char *why, struct err *err)
{
	return err_input(err, "a worker's answer %s", why);
}

int record_read(const char *line, size_t size, uint64_t runs, struct record *record,
		struct err *err)
{
	json_t *o = json_loadb(line, size, 0, NULL), *summary = NULL;
	const char *state = NULL, *error = "", *node = "";
	json_int_t run = -1, cpu = 0, wall = 0;

	*record = (struct record){0};
	int rc = !o ? bad("is no JSON", err) : 0;
	if (rc == 0 && json_unpack(o, "{s:I, s:s, s:s, s?o, s:I, s:I, s:s}", "run", &run, "state",
				   &state, "error", &error, "summary", &summary, "cpu_ns", &cpu,
				   "wall_ns", &wall, "node", &node))
		rc = bad("lacks a member", err);
	if (rc == 0 && (run < 0 || (uint64_t)run >= runs))
		rc = bad("is of a run that the sweep does not have", err);
	if (rc == 0) {
		record->run = (uint64_t)run;
		record->failed = strcmp(state, "done") != 0;
		record->cpu_ns = (uint64_t)cpu;
		record->wall_ns = (uint64_t)wall;
		snprintf(record->error, sizeof record->error, "%s", error);
		snprintf(record->node, sizeof record->node, "%s", node);
		if (json_is_object(summary))
			record->summary = json_incref(summary);
	}
	json_decref(o);
	return rc;
}

void record_release(struct record *record)
{
	json_decref(record->summary);
	record->summary = NULL;
}

void record_lost(uint64_t run, struct record *record, const char *fmt, ...)
{
	va_list ap;

	*record = (struct record){.run = run, .failed = true};
	va_start(ap, fmt);
	vsnprintf(record->error, sizeof record->error, fmt, ap);
	va_end(ap);
	snprintf(record->node, sizeof record->node, "unknown");
}
