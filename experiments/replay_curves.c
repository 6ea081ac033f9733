/*
 * replay-curves: the miss ratio of real programs against the memory they get,
 * by every victim policy. Each point is a run of jobs/replay.job.
 */
#include "experiments/experiment.h"

#include "experiments/datadir.h"
#include "experiments/expect.h"
#include "experiments/kinds.h"
#include "experiments/outdir.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"
#include "experiments/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ID	    "replay-curves"
#define LEAST	    16 /* frames of the smallest memory */
#define SIZES_LEAST 10 /* memory sizes per trace, where there is room for them */
#define SIZES_MAX   128

static const struct {
	const char *name, *file;
} traces[] = {
	{"sqlite", "traces/sqlite.u32.zst"},
	{"xz", "traces/xz.u32.zst"},
};

struct point {
	size_t trace;
	uint32_t frames;
	const struct policy *victim;
};

struct counts {
	uint64_t refs, faults;
};

struct curves {
	char job[PATH_MAX], path[ARRAY_LEN(traces)][PATH_MAX];
	uint64_t memory[ARRAY_LEN(traces)]; /* bytes: up to the trace's highest page */
	struct point *point;
	struct counts *counts; /* [points] */
	size_t points;
};

/*
 * Sizes from LEAST to the footprint, each octave cut into as many equal steps
 * (1, 2, 4 or 8) as give enough points. Returns how many.
 */
static size_t choose_sizes(uint64_t footprint, uint32_t size[SIZES_MAX])
{
	size_t n = 0;

	for (unsigned steps = 1; n < SIZES_LEAST && steps <= 8; steps *= 2) {
		n = 0;
		for (uint64_t octave = LEAST; octave < footprint; octave *= 2) {
			for (uint64_t i = 0; i < steps; i++) {
				uint64_t frames = octave + octave * i / steps;
				if (frames < footprint && n < SIZES_MAX - 1)
					size[n++] = (uint32_t)frames;
			}
		}
	}
	size[n++] = (uint32_t)footprint;
	return n;
}

static int footprint(struct curves *c, size_t trace, uint64_t *pages, struct err *err)
{
	struct source *source;
	struct trace_info info;

	int rc = source_open(c->path[trace], NULL, &source, err);
	if (rc)
		return rc;
	rc = source_count(source, &info, NULL, NULL, err);
	source_close(source);
	*pages = info.pages;
	c->memory[trace] = (info.highest_page + 1) << PAGE_SHIFT;
	return rc;
}

static int add_point(struct curves *c, size_t trace, uint32_t frames, const struct policy *victim)
{
	struct point *point = realloc(c->point, (c->points + 1) * sizeof *point);

	if (!point)
		return -ENOMEM;
	c->point = point;
	c->point[c->points++] = (struct point){trace, frames, victim};
	return 0;
}

/* Every point, in the order of the CSV file. */
static int choose_points(struct curves *c, struct err *err)
{
	uint32_t size[SIZES_MAX];
	uint64_t pages;
	int rc = data_path("jobs/replay.job", c->job, err);

	for (size_t t = 0; rc == 0 && t < ARRAY_LEN(traces); t++) {
		rc = data_path(traces[t].file, c->path[t], err);
		if (rc == 0)
			rc = footprint(c, t, &pages, err);
		size_t sizes = rc ? 0 : choose_sizes(pages, size);
		for (size_t s = 0; rc == 0 && s < sizes; s++) {
			for (size_t v = 0; rc == 0 && victims[v]; v++) {
				if (strcmp(victims[v]->name, "none") != 0)
					rc = add_point(c, t, size[s], victims[v]);
			}
		}
	}
	if (rc == 0) {
		c->counts = calloc(c->points, sizeof *c->counts);
		rc = c->counts ? 0 : -ENOMEM;
	}
	return rc == -ENOMEM ? err_run(err, ENOMEM, "no memory for " ID) : rc;
}

static int PRINTF_LIKE(3, 4) set(struct job *job, struct err *err, const char *fmt, ...)
{
	char assignment[PATH_MAX + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(assignment, sizeof assignment, fmt, ap);
	va_end(ap);
	return job_set(job, assignment, err);
}

static int make_job(const struct curves *c, const struct point *p, struct job **job,
		    struct err *err)
{
	int rc = job_new(job_sections, job);

	if (rc)
		return err_run(err, -rc, "no memory for a job");
	if ((rc = job_load(*job, c->job, err)) == 0 &&
	    (rc = set(*job, err, "vm.a.trace=%s", c->path[p->trace])) == 0 &&
	    (rc = set(*job, err, "vm.a.memory=%llu", (unsigned long long)c->memory[p->trace])) ==
		    0 &&
	    (rc = set(*job, err, "host.frames=%u", p->frames)) == 0 &&
	    (rc = set(*job, err, "host.thresholds=none")) == 0)
		rc = set(*job, err, "swap.victim=%s", p->victim->name);
	if (rc)
		job_free(*job);
	return rc;
}

static uint64_t vm_stat(const struct run *run, const char *name)
{
	const struct stat_row *stat;
	const void *where;

	if (!stat_find(&run_host((struct run *)run)->vm[0]->stats, name, &stat, &where))
		return 0;
	return *(const uint64_t *)where;
}

static int run_point(void *arg, size_t task, void *result, struct err *err)
{
	const struct curves *c = arg;
	struct counts *counts = result;
	struct job *job;
	struct run *run;

	int rc = make_job(c, &c->point[task], &job, err);
	if (rc)
		return rc;
	rc = run_open(job, &run, err);
	if (rc == 0) {
		rc = run_go(run, NULL, NULL, err);
		if (rc == 0 && run_failed(run)) {
			*err = *run_failed(run);
			rc = -EIO;
		}
		*counts = (struct counts){vm_stat(run, "refs"), vm_stat(run, "faults")};
		run_close(run);
	}
	job_free(job);
	return rc;
}

static int run_points(struct curves *c, struct err *err)
{
	return parallel_each(ID, c->points, run_point, c, c->counts, sizeof *c->counts, err);
}

static int write_csv(const struct curves *c, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("trace,frames,victim,refs,faults,miss_ratio\n", out);
	for (size_t i = 0; i < c->points; i++) {
		const struct point *p = &c->point[i];
		const struct counts *n = &c->counts[i];
		fprintf(out, "%s,%u,%s,%llu,%llu,%.9f\n", traces[p->trace].name, p->frames,
			p->victim->name, (unsigned long long)n->refs, (unsigned long long)n->faults,
			n->refs ? (double)n->faults / (double)n->refs : 0);
	}
	return draft_commit(draft, err);
}

/* One point as a job of its own: exact LRU in the middle of the first trace's sizes. */
static int tell_point(const struct curves *c, json_t *told, struct err *err)
{
	size_t of_first = 0, chosen = 0;
	struct job *job;

	while (of_first < c->points && c->point[of_first].trace == 0)
		of_first++;
	for (size_t i = 0; i <= of_first / 2; i++) {
		if (strcmp(c->point[i].victim->name, "lru") == 0)
			chosen = i;
	}
	int rc = make_job(c, &c->point[chosen], &job, err);
	if (rc)
		return rc;
	tell_job(told, ID "-lru.job", job);
	job_free(job);
	return 0;
}

int replay_curves_run(const char *dir, json_t *told, struct err *err)
{
	struct curves *c = calloc(1, sizeof *c);

	if (!c)
		return err_run(err, ENOMEM, "no memory for " ID);
	int rc = choose_points(c, err);
	if (rc == 0)
		rc = run_points(c, err);
	if (rc == 0)
		rc = write_csv(c, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	if (rc == 0)
		rc = tell_point(c, told, err);
	if (rc == 0)
		json_object_set_new(told, "runs", json_integer((json_int_t)c->points));
	free(c->point);
	free(c->counts);
	free(c);
	return rc;
}
