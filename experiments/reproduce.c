#include "experiments/reproduce.h"

#include "experiments/crew.h"
#include "experiments/outdir.h"
#include "experiments/parallel.h"
#include "experiments/progress.h"

#include "core/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What comes back of an experiment by the pipe; what it tells comes by a file in memory. */
struct result {
	bool ended;
	uint64_t ns;
	struct err err;
};

struct work {
	const struct reproduction *r;
	struct crew *crew;
	struct progress bar;
	struct outcome *outcome;
	struct result *result;
	int *told; /* descriptors */
	size_t shown;
};

/* A job that an experiment tells of lies beside its rows. */
static int write_jobs(const char *dir, const json_t *told, struct err *err)
{
	const json_t *jobs = json_object_get(told, "jobs");
	json_t *files = json_object_get(told, "files");
	struct draft *draft;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < json_array_size(jobs); i++) {
		const json_t *job = json_array_get(jobs, i);
		json_t *name = json_object_get(job, "name");
		rc = outdir_open(dir, json_string_value(name), &draft, err);
		if (rc)
			break;
		fputs(json_string_value(json_object_get(job, "text")), draft_stream(draft));
		rc = draft_commit(draft, err);
		json_array_append(files, name);
	}
	return rc;
}

static int run_told(const struct work *w, size_t i, json_t *told, struct err *err)
{
	const struct experiment *e = w->r->chosen[i];

	int rc = e->run(w->r->dir, told, err);
	if (rc == 0)
		rc = write_jobs(w->r->dir, told, err);
	if (rc == 0 && json_dumpfd(told, w->told[i], JSON_COMPACT))
		rc = err_run(err, ENOSPC, "no memory for what %s tells", e->id);
	return rc;
}

/* In a child. A failed experiment is a result: the others go on. */
static int run_one(void *arg, size_t i, void *out, struct err *err)
{
	struct work *w = arg;
	struct result *result = out;
	uint64_t start = os_mono_ns();
	json_t *told = json_pack("{s:s}", "title", w->r->chosen[i]->title);

	(void)err;
	crew_join(w->crew, i);
	if (!told)
		(void)err_run(&result->err, ENOMEM, "no memory for %s", w->r->chosen[i]->id);
	else if (run_told(w, i, told, &result->err) && !result->err.exit_code)
		(void)err_run(&result->err, EIO, "%s failed", w->r->chosen[i]->id);
	json_decref(told);
	result->ns = os_mono_ns() - start;
	result->ended = true;
	return 0;
}

static void take(struct work *w, size_t i)
{
	struct outcome *o = &w->outcome[i];
	json_error_t ignored;

	o->experiment = w->r->chosen[i];
	o->err = w->result[i].err;
	o->seconds = (double)w->result[i].ns / 1e9;
	if (o->err.exit_code)
		return;
	if (lseek(w->told[i], 0, SEEK_SET) == 0)
		o->told = json_loadfd(w->told[i], 0, &ignored);
	if (!o->told)
		(void)err_run(&o->err, EIO, "%s told nothing that can be read", o->experiment->id);
}

/* One that dies, for want of memory or by a bug, is a failed one too. */
static void died(void *arg, size_t i, const char *why)
{
	struct work *w = arg;

	crew_mourn(w->crew, i);
	(void)err_run(&w->result[i].err, EIO, "its process died (%s)", why);
	w->result[i].ended = true;
}

/* After every end and between: the bar, and what is ready in its turn. */
static void on_tick(void *arg, uint64_t ended, uint64_t all)
{
	struct work *w = arg;
	uint64_t done, total;
	size_t started;

	(void)ended;
	while (w->shown < w->r->n && w->result[w->shown].ended) {
		progress_clear(&w->bar);
		take(w, w->shown);
		if (w->r->ready)
			w->r->ready(w->r->arg, &w->outcome[w->shown]);
		w->shown++;
	}
	crew_progress(w->crew, &done, &total, &started);
	/* Those not yet started are taken to be as long as the others. */
	if (started)
		progress_update(&w->bar, done, total * all / started);
}

static int make_files(struct work *w, struct err *err)
{
	for (size_t i = 0; i < w->r->n; i++) {
		w->told[i] = memfd_create("told", MFD_CLOEXEC);
		if (w->told[i] < 0)
			return err_run(err, errno, "cannot make a file in memory: %s",
				       strerror(errno));
	}
	return 0;
}

static int run_all(struct work *w, struct err *err)
{
	const struct tasks tasks = {
		.n = w->r->n,
		.run = run_one,
		.arg = w,
		.results = w->result,
		.result_size = sizeof *w->result,
		.done = on_tick,
		.done_arg = w,
		.most = w->r->jobs,
		.tick_ms = 200,
		.died = died,
	};

	int rc = make_files(w, err);
	if (rc == 0)
		rc = crew_open(w->r->jobs, w->r->n, &w->crew, err);
	if (rc)
		return rc;
	progress_start(&w->bar, "reproduce", "runs");
	rc = parallel_run(&tasks, err);
	progress_end(&w->bar);
	crew_close(w->crew);
	return rc;
}

int reproduce_all(const struct reproduction *r, struct outcome *outcome, struct err *err)
{
	struct work w = {
		.r = r,
		.outcome = outcome,
		.result = calloc(r->n, sizeof *w.result),
		.told = malloc(r->n * sizeof *w.told),
	};
	int rc;

	for (size_t i = 0; w.told && i < r->n; i++)
		w.told[i] = -1;
	if (!w.result || !w.told)
		rc = err_run(err, ENOMEM, "no memory for %zu experiments", r->n);
	else
		rc = run_all(&w, err);
	for (size_t i = 0; w.told && i < r->n; i++) {
		if (w.told[i] >= 0)
			close(w.told[i]);
	}
	free(w.told);
	free(w.result);
	return rc;
}

void outcomes_free(struct outcome *outcome, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_decref(outcome[i].told);
	free(outcome);
}
