#include "experiments/mmu_point.h"

#include "experiments/datadir.h"
#include "experiments/expect.h"
#include "experiments/experiment.h"
#include "experiments/kinds.h"
#include "experiments/parallel.h"
#include "experiments/run.h"
#include "pmap/mmu.h"

#include <errno.h>
#include <stdio.h>

const struct mmu_load mmu_loads[MMU_LOADS] = {
	{"walker", "memory walker"},
	{"build", "fork-heavy build"},
	{"server", "context-switch-heavy server"},
	{"database", "database"},
};

int mmu_point_job(const struct mmu_point *p, uint64_t records, struct job **out, struct err *err)
{
	char path[PATH_MAX], text[1024];
	struct job *job;

	if (job_new(job_sections, &job))
		return err_run(err, ENOMEM, "no memory for a job");
	snprintf(text, sizeof text,
		 "gen g { law = %s refs = %llu pages = %llu churn = %.9f }\n"
		 "vm a { translation = %s large_pages = %s }\n"
		 "mmu { large = %s }\nlarge { frames = %s }\n%s",
		 p->law, (unsigned long long)records, (unsigned long long)p->pages, p->churn,
		 p->mode, p->guest ? "on" : "off", p->host ? "on" : "off",
		 p->host ? "fill" : "none", p->more ? p->more : "");
	int rc = data_path("mmu-modes/base.job", path, err);
	if (rc == 0)
		rc = job_load(job, path, err);
	if (rc == 0)
		rc = job_parse(job, text, "a point of the experiment", err);
	if (rc) {
		job_free(job);
		return rc;
	}
	*out = job;
	return 0;
}

static double mb(double pages)
{
	return pages * PAGE_SIZE / (1 << 20);
}

/* What the whole run leaves; costs are told apart by halves. */
static void at_end(struct run *run, const struct mmu_stats *s, struct mmu_cost *cost)
{
	const struct vm *vm = run_host(run)->vm[0];
	const struct stat_row *row;
	const void *at;

	cost->table_pages = (double)s->table_pages;
	cost->guest_tables = (double)s->guest_tables;
	cost->large = (double)(s->large_maps - s->large_breaks);
	cost->broken = (double)s->large_breaks;
	cost->active = mb((double)vm_active(vm));
	if (stat_find(&run_host(run)->scope, "share_saved", &row, &at))
		cost->saved = mb((double)*(const uint64_t *)at);
}

static int run_half(const struct mmu_point *p, uint64_t records, struct mmu_stats *stats,
		    uint64_t *refs, struct mmu_cost *cost, struct err *err)
{
	struct run *run;
	struct job *job;

	int rc = mmu_point_job(p, records, &job, err);
	if (rc)
		return rc;
	rc = run_open(job, &run, err);
	if (rc == 0) {
		rc = run_go(run, NULL, NULL, err);
		if (rc == 0 && run_failed(run)) {
			*err = *run_failed(run);
			rc = -EIO;
		}
		const struct mmu *mmu = run_host(run)->vm[0]->pmap->mmu;
		*stats = mmu->stats;
		*refs = mmu->refs;
		cost->digest = mmu->digest;
		at_end(run, stats, cost);
		run_close(run);
	}
	job_free(job);
	return rc;
}

int mmu_point_run(const struct mmu_point *p, struct mmu_cost *cost, struct err *err)
{
	struct mmu_stats a, b;
	struct mmu_opts o;
	uint64_t before, after;

	int rc = run_half(p, p->records, &a, &before, cost, err);
	if (rc == 0)
		rc = run_half(p, 2 * p->records, &b, &after, cost, err);
	if (rc == 0 && opt_defaults(&mmu_section, &o))
		rc = err_run(err, ENOMEM, "no memory for options");
	if (rc)
		return rc;
	const double refs = (double)(after - before);
	const int64_t l2_hit = ((const struct mmu_preset *)o.preset)->opts.l2_hit;
#define RATE(field) ((double)(b.field - a.field) / refs)
	cost->misses = RATE(tlb_misses);
	cost->walk_refs = RATE(walk_refs);
	cost->exit_count = RATE(exits);
	cost->cycles = RATE(cycles);
	cost->tlb = RATE(tlb_l2_hits) * (double)l2_hit;
	cost->walk = RATE(walk_refs) * (double)o.walk_ref;
	cost->guest = RATE(guest_faults) * (double)o.guest_fault;
	cost->exits = RATE(exits) * (double)o.exit;
#undef RATE
	cost->work = cost->cycles - cost->tlb - cost->walk - cost->guest - cost->exits;
	return 0;
}

static int run_one(void *arg, size_t task, void *result, struct err *err)
{
	mmu_point_fn *const *point = arg;
	struct mmu_point p = (*point)(task);

	return mmu_point_run(&p, result, err);
}

int mmu_points_run(const char *id, mmu_point_fn *point, size_t n, struct mmu_cost *cost,
		   struct err *err)
{
	return parallel_each(id, n, run_one, &point, cost, sizeof *cost, err);
}

int mmu_point_tell(const struct mmu_point *p, const char *name, json_t *told, struct err *err)
{
	struct job *job;

	int rc = mmu_point_job(p, 2 * p->records, &job, err);
	if (rc)
		return rc;
	tell_job(told, name, job);
	job_free(job);
	return 0;
}

void mmu_expect_same(const char *quantity, double differ, json_t *told)
{
	expect(told, &(struct expectation){
			     .quantity = quantity,
			     .relation = EXPECT_AT_MOST,
			     .value = differ,
			     .source = "all modes see the same memory",
		     });
}

void mmu_cost_put(FILE *out, const struct mmu_cost *c)
{
	fprintf(out, "%.3f,%.3f,%.3f,%.3f,%.3f,%.3f,%.5f,%.5f", c->cycles, c->tlb, c->walk,
		c->guest, c->exits, c->work, c->misses, c->walk_refs);
}
