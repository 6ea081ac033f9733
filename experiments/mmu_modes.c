/*
 * mmu-modes: what each way of translation costs, for four workloads, and at which
 * rate of changes to page tables shadow tables and two-dimensional walks cost the
 * same.
 */
#include "experiments/experiment.h"

#include "experiments/expect.h"
#include "experiments/mmu_point.h"
#include "experiments/outdir.h"
#include "experiments/plot.h"

#include <math.h>
#include <string.h>

#define ID	"mmu-modes"
#define RECORDS 400000
#define PAGES	20000

static const char *const modes[] = {"shadow", "ept", "direct", "nested"};
/* Unmaps by the reference, of the walker. */
static const double churns[] = {0, 0.0002, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016};

#define MODES  ARRAY_LEN(modes)
#define CHURNS ARRAY_LEN(churns)
#define SWEEP  (MODES * MMU_LOADS) /* the first task of the sweep: shadow and ept by turns */
#define TASKS  (SWEEP + 2 * CHURNS)

enum { SHADOW, EPT };

static struct mmu_point point(size_t task)
{
	if (task < SWEEP)
		return (struct mmu_point){mmu_loads[task / MODES].law, modes[task % MODES], RECORDS,
					  PAGES, 0};
	return (struct mmu_point){"walker", modes[(task - SWEEP) % 2], RECORDS, PAGES,
				  churns[(task - SWEEP) / 2]};
}

static int write_csv(const struct mmu_cost *cost, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("load,mode,churn," MMU_COST_COLUMNS ",exit_count,table_pages,guest_tables,digest\n",
	      out);
	for (size_t i = 0; i < TASKS; i++) {
		const struct mmu_cost *c = &cost[i];
		struct mmu_point p = point(i);
		fprintf(out, "%s,%s,%.4f,", i < SWEEP ? p.law : "sweep", p.mode, p.churn);
		mmu_cost_put(out, c);
		fprintf(out, ",%.6f,%.0f,%.0f,%016llx\n", c->exit_count, c->table_pages,
			c->guest_tables, (unsigned long long)c->digest);
	}
	return draft_commit(draft, err);
}

/* The churn at which both cost the same, on the straight line between two points; NAN: nowhere. */
static double crossing(const struct mmu_cost *sweep)
{
	for (size_t i = 0; i + 1 < CHURNS; i++) {
		double a = sweep[2 * i + SHADOW].cycles - sweep[2 * i + EPT].cycles,
		       b = sweep[2 * i + 2 + SHADOW].cycles - sweep[2 * i + 2 + EPT].cycles;
		if (a <= 0 && b > 0)
			return churns[i] + (churns[i + 1] - churns[i]) * a / (a - b);
	}
	return (double)NAN;
}

static void tell_costs(const struct mmu_cost *cost, json_t *told)
{
	tell(told, "By the reference, warm:              cycles   TLB misses  walk refs  exits/1000"
		   "  tables, pages");
	for (size_t i = 0; i < SWEEP; i++)
		tell(told, "%-28s %-7s %7.1f %11.3f %10.3f %11.3f %7.0f + %.0f",
		     i % MODES ? "" : mmu_loads[i / MODES].name, modes[i % MODES], cost[i].cycles,
		     cost[i].misses, cost[i].walk_refs, 1000 * cost[i].exit_count,
		     cost[i].table_pages, cost[i].guest_tables);
	tell(told, "(tables: the VMM's + the guest's)");
}

static void tell_sweep(const struct mmu_cost *sweep, json_t *told)
{
	double at = crossing(sweep);

	tell(told, "Walker, unmaps per 1000 references   shadow     ept, cycles by the reference");
	for (size_t i = 0; i < CHURNS; i++)
		tell(told, "%33.1f %10.1f %7.1f", 1000 * churns[i], sweep[2 * i + SHADOW].cycles,
		     sweep[2 * i + EPT].cycles);
	tell(told, "They cross at %.2f unmaps per 1000 references.", 1000 * at);
}

static void expect_all(const struct mmu_cost *cost, json_t *told)
{
	const char *source = "Adams and Agesen, ASPLOS 2006; Bhargava et al., ASPLOS 2008";
	const struct mmu_cost *build = &cost[1 * MODES], *sweep = &cost[SWEEP];
	double differ = 0;

	for (size_t i = 0; i < TASKS; i++) {
		size_t first = i < SWEEP ? i - i % MODES : i - (i - SWEEP) % 2;
		differ += cost[i].digest != cost[first].digest;
	}
	mmu_expect_same("runs whose references differ from another mode's", differ, told);
	expect(told, &(struct expectation){
			     .quantity = "shadow / ept, cycles, walker without changes of tables",
			     .relation = EXPECT_AT_MOST,
			     .target = 1,
			     .value = cost[SHADOW].cycles / cost[EPT].cycles,
			     .source = source,
		     });
	expect(told, &(struct expectation){
			     .quantity = "shadow / ept, cycles, fork-heavy build",
			     .relation = EXPECT_AT_LEAST,
			     .target = 1,
			     .value = build[SHADOW].cycles / build[EPT].cycles,
			     .source = source,
		     });
	expect(told, &(struct expectation){
			     .quantity = "unmaps per 1000 references at which they cross",
			     .relation = EXPECT_AT_LEAST,
			     .target = 0,
			     .value = 1000 * crossing(sweep),
			     .source = source,
		     });
	tell_note(told, NOTE_ASSUMED,
		  "The cycles of exits, faults and walk references are options of mmu { } at their "
		  "defaults; the TLB is that of mmu.preset = skylake.");
	tell_note(told, NOTE_NOT_MODELLED,
		  "Caches: a walk's reference costs the same wherever it hits. The guest's kernel "
		  "touches memory without a TLB.");
}

int mmu_modes_run(const char *dir, json_t *told, struct err *err)
{
	struct mmu_cost cost[TASKS] = {0};

	int rc = mmu_points_run(ID, point, TASKS, cost, err);
	if (rc == 0)
		rc = write_csv(cost, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	if (rc)
		return rc;
	tell_costs(cost, told);
	tell_sweep(&cost[SWEEP], told);
	expect_all(cost, told);
	struct mmu_point p = point(EPT);
	return mmu_point_tell(&p, ID "-walker-ept.job", told, err);
}
