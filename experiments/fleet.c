#include "experiments/fleet.h"

#include "experiments/datadir.h"
#include "experiments/expect.h"
#include "experiments/kinds.h"
#include "experiments/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void write_vm(FILE *out, const struct fleet *f, size_t i)
{
	const struct mix *m = &f->mix;
	const uint64_t refs = f->pages[i] + f->life / f->pace;

	fprintf(out, "gen g%zu { law = image seed = %zu pages = %u refs = %llu pace = %lluus ", i,
		i + 1, f->pages[i], (unsigned long long)refs, (unsigned long long)f->pace / 1000);
	fprintf(out, "write_ratio = %.9f set_pages = %u zero = %.9f copies = %.9f ", f->write_ratio,
		f->set_pages, m->zero, m->copies);
	fprintf(out, "copy_contents = %.9f common = %.9f member = %.9f }\n", m->copy_contents,
		m->common, m->member);
	fprintf(out, "vm v%zu { gen = g%zu }\n", i, i);
}

static int fill_job(const struct fleet *f, struct job *job, struct err *err)
{
	char path[PATH_MAX], *text = NULL;
	size_t size = 0;

	int rc = data_path(f->base, path, err);
	if (rc == 0)
		rc = job_load(job, path, err);
	if (rc)
		return rc;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return err_run(err, ENOMEM, "no memory for a job");
	for (size_t i = 0; i < f->vms; i++)
		write_vm(out, f, i);
	fprintf(out, "share { scan = %s rate_vm = %llu rate_total = %llu }\n", f->scan,
		(unsigned long long)f->rate_vm, (unsigned long long)f->rate_total);
	fclose(out);
	rc = job_parse(job, text, "the VMs of an experiment", err);
	free(text);
	return rc;
}

int fleet_job(const struct fleet *f, struct job **out, struct err *err)
{
	struct job *job;

	if (job_new(job_sections, &job))
		return err_run(err, ENOMEM, "no memory for a job");
	int rc = fill_job(f, job, err);
	if (rc) {
		job_free(job);
		return rc;
	}
	*out = job;
	return 0;
}

int fleet_tell(const struct fleet *f, json_t *told, const char *name, struct err *err)
{
	struct job *job;
	int rc = fleet_job(f, &job, err);

	if (rc)
		return rc;
	tell_job(told, name, job);
	job_free(job);
	return 0;
}

/* The statistic's value, 0 where there is none (share.scan = none). */
static double stat_of(const struct stat_scope *scope, const char *name)
{
	const struct stat_row *stat;
	const void *where;

	if (!stat_find(scope, name, &stat, &where))
		return 0;
	return stat->kind == STAT_REAL ? *(const double *)where : (double)*(const uint64_t *)where;
}

static void measure(const struct host *host, struct fleet_state *s)
{
	static const char *const cpu[] = {"share_hash_ns", "share_probe_ns", "share_compare_ns",
					  "share_merge_ns", "share_break_ns"};

	*s = (struct fleet_state){.saved = stat_of(&host->scope, "share_saved")};
	for (size_t i = 0; i < ARRAY_LEN(cpu); i++)
		s->cpu_ns += stat_of(&host->scope, cpu[i]);
	for (size_t i = 0; i < host->vms; i++) {
		s->shared += stat_of(&host->vm[i]->stats, "shared");
		s->zero += stat_of(&host->vm[i]->stats, "share_zero");
		s->time_ns += (double)host->vm[i]->time_ns / (double)host->vms;
	}
}

struct sampler {
	struct timer timer;
	struct host *host;
	struct fleet_state *next, *end;
	uint64_t period;
};

static void sample_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct sampler *s = arg;

	if (s->next == s->end)
		return;
	measure(s->host, s->next);
	s->next->time_ns = (double)clk->now_ns;
	s->next++;
	if (s->next < s->end && timer_add(clk, timer, clk->now_ns + s->period))
		s->next = s->end; /* drive() finds the last one missing */
}

static int drive(struct run *run, const struct fleet *f, struct fleet_state *end,
		 struct fleet_state *sample, size_t n, struct err *err)
{
	struct host *host = run_host(run);
	struct sampler s = {.host = host, .next = sample, .end = sample + n};

	s.period = n ? f->life / n : 0;
	timer_init(&s.timer, sample_due, &s);
	if (n && timer_add(&host->clock, &s.timer, s.period))
		return err_run(err, ENOMEM, "no memory for a timer");
	int rc = run_go(run, NULL, NULL, err);
	timer_cancel(&host->clock, &s.timer);
	if (rc == 0 && run_failed(run)) {
		*err = *run_failed(run);
		rc = -EIO;
	}
	if (rc == 0 && n && sample[n - 1].time_ns == 0)
		rc = err_run(err, EIO, "a run ended before its last sample");
	measure(host, end);
	return rc;
}

int fleet_run(const struct fleet *f, struct fleet_state *end, struct fleet_state *sample, size_t n,
	      struct err *err)
{
	struct job *job;
	struct run *run;

	for (size_t i = 0; i < n; i++)
		sample[i] = (struct fleet_state){0};
	int rc = fleet_job(f, &job, err);
	if (rc)
		return rc;
	rc = run_open(job, &run, err);
	if (rc == 0) {
		rc = drive(run, f, end, sample, n, err);
		run_close(run);
	}
	job_free(job);
	return rc;
}
