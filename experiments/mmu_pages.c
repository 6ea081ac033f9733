/*
 * mmu-pages: what pages of 2 MiB save a guest, where it maps them, where the host
 * does, and where both do; and what sharing and sampling lose by them, or cost.
 */
#include "experiments/experiment.h"

#include "experiments/expect.h"
#include "experiments/mmu_point.h"
#include "experiments/outdir.h"
#include "experiments/plot.h"

#include <string.h>

#define ID	"mmu-pages"
#define RECORDS 400000
#define PAGES	20000

static const char *const modes[] = {"ept", "shadow"};
static const char *const sizes[] = {"4k", "2m"};

/* Two VMs of one image of 32 MB each, and one that is sampled; in ept, guests with 2 MiB. */
#define IMAGE(seed) "pace = 1us write_ratio = 0.0005 seed = " seed
#define TWO                                                                                        \
	"gen g { " IMAGE("1") " }\n"                                                               \
			      "gen h { law = image refs = 800k pages = 8192 " IMAGE(               \
				      "2") " }\n"                                                  \
					   "vm a { memory = 40mb }\n"                              \
					   "vm b { gen = h memory = 40mb translation = ept "       \
					   "large_pages = on }\n"
#define SHARING                                                                                    \
	TWO "share { scan = sequential rate_vm = 2m rate_total = 0 period = 1ms charge = 0% "
#define SAMPLING "sample { sampler = esx pages = 100 period = 1ms "

static const struct {
	const char *what, *policy;
	bool host;
	const char *more;
} policies[] = {
	{"sharing", "none", true, TWO},
	{"sharing", "small", false, SHARING "}\n"},
	{"sharing", "break", true, SHARING "large = break }\n"},
	{"sharing", "skip", true, SHARING "large = skip }\n"},
	{"sampling", "none", true, NULL},
	{"sampling", "small", false, SAMPLING "}\n"},
	{"sampling", "break", true, SAMPLING "large = break }\n"},
	{"sampling", "skip", true, SAMPLING "large = skip }\n"},
};

enum { NONE, SMALL, BREAK, SKIP };

#define COMBOS	 4 /* of sizes: the guest's, 2 * that, plus the host's */
#define MODES	 ARRAY_LEN(modes)
#define POLICIES ARRAY_LEN(policies)
#define COLD	 (MODES * MMU_LOADS * COMBOS) /* the first task of the walks without caches */
#define POLICY	 (COLD + COMBOS)	      /* of sharing and sampling */
#define TASKS	 (POLICY + POLICIES)

static struct mmu_point point(size_t task)
{
	const size_t combo = task % COMBOS, at = task / COMBOS;
	struct mmu_point p = {
		.law = mmu_loads[at / MODES % MMU_LOADS].law,
		.mode = modes[at % MODES],
		.records = RECORDS,
		.pages = PAGES,
		.guest = combo / 2,
		.host = combo % 2,
	};

	if (task >= POLICY) {
		const size_t i = task - POLICY;
		bool sharing = strcmp(policies[i].what, "sharing") == 0;
		p.law = sharing ? "image" : "database";
		p.pages = sharing ? 8192 : PAGES;
		p.mode = "ept";
		p.guest = true;
		p.host = policies[i].host;
		p.more = policies[i].more;
	} else if (task >= COLD) {
		p.law = "walker";
		p.mode = "ept";
		p.more = "mmu { pde_cache = 0 pdpte_cache = 0 l2_entries = 0 l1_entries = 4 "
			 "l1_large_entries = 4 }\n";
	}
	return p;
}

static const char *what_of(size_t task)
{
	return task >= POLICY ? policies[task - POLICY].what
	       : task >= COLD ? "cold"
			      : point(task).law;
}

static int write_csv(const struct mmu_cost *cost, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("load,mode,guest,host,policy," MMU_COST_COLUMNS
	      ",table_pages,guest_tables,large,broken,saved_mb,active_mb,digest\n",
	      out);
	for (size_t i = 0; i < TASKS; i++) {
		const struct mmu_cost *c = &cost[i];
		struct mmu_point p = point(i);
		fprintf(out, "%s,%s,%s,%s,%s,", what_of(i), p.mode, sizes[p.guest], sizes[p.host],
			i >= POLICY ? policies[i - POLICY].policy : "");
		mmu_cost_put(out, c);
		fprintf(out, ",%.0f,%.0f,%.0f,%.0f,%.2f,%.2f,%016llx\n", c->table_pages,
			c->guest_tables, c->large, c->broken, c->saved, c->active,
			(unsigned long long)c->digest);
	}
	return draft_commit(draft, err);
}

static void tell_costs(const struct mmu_cost *cost, json_t *told)
{
	tell(told, "By the reference, warm:        guest host      ept: misses  walk refs  cycles"
		   "  tables   shadow: cycles");
	for (size_t load = 0; load < MMU_LOADS; load++) {
		for (size_t combo = 0; combo < COMBOS; combo++) {
			const struct mmu_cost *e = &cost[load * MODES * COMBOS + combo],
					      *s = e + COMBOS;
			tell(told, "%-28s  %5s %4s %16.4f %10.3f %7.1f %7.0f %16.1f",
			     combo ? "" : mmu_loads[load].name, sizes[combo / 2], sizes[combo % 2],
			     e->misses, e->walk_refs, e->cycles, e->table_pages + e->guest_tables,
			     s->cycles);
		}
	}
	tell(told,
	     "A walk without caches reads %.2f words; 2 MiB in the host %.2f, in the guest "
	     "%.2f, in both %.2f.",
	     cost[COLD].walk_refs / cost[COLD].misses,
	     cost[COLD + 1].walk_refs / cost[COLD + 1].misses,
	     cost[COLD + 2].walk_refs / cost[COLD + 2].misses,
	     cost[COLD + 3].walk_refs / cost[COLD + 3].misses);
}

static void tell_policies(const struct mmu_cost *cost, json_t *told)
{
	tell(told, "                            shared, MB  2 MiB left  broken  misses  cycles  "
		   "active, MB");
	for (size_t i = 0; i < POLICIES; i++)
		tell(told, "%-8s %-18s %10.1f %11.0f %7.0f %7.4f %7.1f %11.1f", policies[i].what,
		     strcmp(policies[i].policy, "none") == 0	? "not at all"
		     : strcmp(policies[i].policy, "small") == 0 ? "4 KiB in the host"
		     : strcmp(policies[i].policy, "break") == 0 ? "breaks 2 MiB"
								: "skips 2 MiB",
		     cost[i].saved, cost[i].large, cost[i].broken, cost[i].misses, cost[i].cycles,
		     cost[i].active);
	tell(told, "(one of two VMs of 32 MB whose contents are alike; a database of 78 MB)");
}

static void expect_walks(const struct mmu_cost *cold, json_t *told)
{
	static const struct {
		double refs;
		const char *when;
	} walks[COMBOS] = {
		{24, "4 KiB in both"},
		{19, "2 MiB in the host"},
		{19, "2 MiB in the guest"},
		{15, "2 MiB in both"},
	};

	for (size_t i = 0; i < COMBOS; i++)
		expect(told, &(struct expectation){
				     .quantity = "words that a walk without caches reads",
				     .when = walks[i].when,
				     .relation = EXPECT_NEAR,
				     .target = walks[i].refs,
				     .tolerance = 0.005 * walks[i].refs,
				     .value = cold[i].walk_refs / cold[i].misses,
				     .source = "Bhargava et al., ASPLOS 2008: (g + 1) (h + 1) - 1 "
					       "for g and h levels",
			     });
}

static void expect_sizes(const struct mmu_cost *cost, json_t *told)
{
	const struct mmu_cost *walker = &cost[0];
	double differ = 0;

	for (size_t i = 0; i < COLD; i++)
		differ += cost[i].digest != cost[i - i / COMBOS % MODES * COMBOS].digest;
	mmu_expect_same("runs whose references differ from the other mode's", differ, told);
	expect(told, &(struct expectation){
			     .quantity = "TLB misses of the walker, 2 MiB in both / 4 KiB in both",
			     .relation = EXPECT_AT_MOST,
			     .target = 0.05,
			     .value = walker[3].misses / walker[0].misses,
			     .source = "20,000 pages are 40 of 2 MiB, which the TLB holds",
		     });
	for (size_t i = 1; i <= 2; i++)
		expect(told, &(struct expectation){
				     .quantity = "the same with 2 MiB in one of them alone",
				     .when = i == 1 ? "the host" : "the guest",
				     .relation = EXPECT_NEAR,
				     .target = 1,
				     .tolerance = 0.05,
				     .value = walker[i].misses / walker[0].misses,
				     .source = "Pham et al., MICRO 2015: a TLB splinters a page "
					       "that is large on one side only",
			     });
}

static void expect_policies(const struct mmu_cost *cost, json_t *told)
{
	static const char source[] =
		"Guo et al., VEE 2015: large pages are shared only when broken";

	expect(told, &(struct expectation){
			     .quantity = "MB shared where 2 MiB are skipped",
			     .relation = EXPECT_AT_MOST,
			     .value = cost[SKIP].saved,
			     .source = source,
		     });
	expect(told, &(struct expectation){
			     .quantity = "MB shared where 2 MiB are broken / with 4 KiB",
			     .relation = EXPECT_AT_LEAST,
			     .target = 1,
			     .value = cost[BREAK].saved / cost[SMALL].saved,
			     .source = source,
		     });
	expect(told, &(struct expectation){
			     .quantity = "TLB misses where sharing broke 2 MiB / with 4 KiB",
			     .relation = EXPECT_NEAR,
			     .target = 1,
			     .tolerance = 0.1,
			     .value = cost[BREAK].misses / cost[SMALL].misses,
			     .source = source,
		     });
}

int mmu_pages_run(const char *dir, json_t *told, struct err *err)
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
	tell_policies(&cost[POLICY], told);
	expect_walks(&cost[COLD], told);
	expect_sizes(cost, told);
	expect_policies(&cost[POLICY], told);
	tell_note(told, NOTE_PREDICTED,
		  "Nothing is fitted to a measurement: misses and walks are counted in a model of "
		  "mmu.preset = skylake, cycles are counts times the options of mmu { }.");
	tell_note(told, NOTE_NOT_MODELLED,
		  "Caches, which hold more of small tables; the memory that a guest wastes by 2 "
		  "MiB.");
	struct mmu_point p = point(POLICY + BREAK);
	return mmu_point_tell(&p, ID "-sharing-break.job", told, err);
}
