#include "experiments/watch.h"

#include "experiments/datadir.h"
#include "experiments/expect.h"
#include "experiments/kinds.h"
#include "experiments/run.h"

#include <errno.h>
#include <limits.h>

struct watching {
	const struct watch *watch;
	struct timer timer;
	struct host *host;
	size_t rows;
	bool failed;
};

static void take_row(struct clock *clk, struct timer *timer, void *arg)
{
	struct watching *w = arg;

	host_gauge(w->host);
	w->watch->row(w->watch->arg, w->host, w->rows++);
	if (w->rows < w->watch->rows)
		w->failed |= timer_add(clk, timer, timer->when_ns + w->watch->step_ns) != 0;
}

static int drive(struct run *run, const struct watch *watch, struct err *err)
{
	struct watching w = {.watch = watch, .host = run_host(run)};
	struct clock *clk = run_clock(run);

	timer_init(&w.timer, take_row, &w);
	if (watch->rows && timer_add(clk, &w.timer, watch->first_ns))
		return err_run(err, ENOMEM, "no memory for a timer");
	int rc = run_go(run, NULL, NULL, err);
	timer_cancel(clk, &w.timer);
	if (rc == 0 && run_failed(run)) {
		*err = *run_failed(run);
		rc = -EIO;
	}
	if (rc == 0 && (w.failed || w.rows < watch->rows))
		rc = err_run(err, EIO, "a run ended after %zu of %zu rows", w.rows, watch->rows);
	if (rc == 0 && watch->end)
		watch->end(watch->arg, w.host);
	return rc;
}

int watch_run(struct job *job, const struct watch *watch, struct err *err)
{
	struct run *run;
	int rc = run_open(job, &run, err);

	if (rc)
		return rc;
	rc = drive(run, watch, err);
	run_close(run);
	return rc;
}

int watch_job(const char *base, const char *text, struct job **out, struct err *err)
{
	char path[PATH_MAX];
	struct job *job;

	int rc = data_path(base, path, err);
	if (rc)
		return rc;
	if (job_new(job_sections, &job))
		return err_run(err, ENOMEM, "no memory for a job");
	rc = job_load(job, path, err);
	if (rc == 0)
		rc = job_parse(job, text, "what an experiment adds", err);
	if (rc) {
		job_free(job);
		return rc;
	}
	*out = job;
	return 0;
}

int watch_tell_job(json_t *told, const char *name, const char *base, const char *text,
		   struct err *err)
{
	struct job *job;

	int rc = watch_job(base, text, &job, err);
	if (rc)
		return rc;
	tell_job(told, name, job);
	job_free(job);
	return 0;
}

uint64_t watch_stat(const struct vm *vm, const char *name)
{
	const void *where;

	return stat_find(&vm->stats, name, NULL, &where) ? *(const uint64_t *)where : 0;
}
