#include "pmap/large.h"

#include "core/runs.h"
#include "pmap/mmu.h"

#include <errno.h>
#include <stdlib.h>

static const struct large_frames frames_none = {
	{"none", "any free frame: pages lie in a row by chance alone"},
	false,
};
static const struct large_frames frames_reserve = {
	{"reserve", "a run is reserved for each stretch of 2 MiB; pages come as they are touched"},
	false,
};
static const struct large_frames frames_fill = {
	{"fill", "the same, and with its first page come all others of a stretch, zeroed"},
	true,
};

const struct policy *const large_frames_list[] = {
	&frames_none.policy,
	&frames_reserve.policy,
	&frames_fill.policy,
	NULL,
};

static bool always(const struct host *host)
{
	(void)host;
	return true;
}

static bool while_memory_lasts(const struct host *host)
{
	return host->state == HOST_HIGH;
}

static const struct large_care care_break = {
	{"break", "large pages are broken like any others"},
	NULL,
};
static const struct large_care care_skip = {
	{"skip", "large pages are left alone"},
	always,
};
static const struct large_care care_short = {
	{"short", "left alone until the host is short of memory (past its state high)"},
	while_memory_lasts,
};

const struct policy *const large_cares[] = {
	&care_break.policy,
	&care_skip.policy,
	&care_short.policy,
	NULL,
};

#define LARGE(field) offsetof(struct large_opts, field)

static const struct opt large_options[] = {
	{"frames", OPT_CHOICE, LARGE(frames), "none", 0, 0, large_frames_list,
	 "where the frames of a VM's pages come from, so that 2 MiB may lie in a row"},
	{"collapse_period", OPT_TIME, LARGE(collapse_period), "0", 0, 1e15, NULL,
	 "time between turns of the collapser, which brings pages together; 0: there is none; "
	 "Linux: 10s"},
	{"collapse_stretches", OPT_INT, LARGE(collapse_stretches), "8", 1, 1e6, NULL,
	 "stretches of 2 MiB that it looks at in a turn; Linux: 8"},
	{"copy_time", OPT_TIME, LARGE(copy_time), "500ns", 0, 1e9, NULL,
	 "virtual time that the VM loses for each page that is moved"},
	{NULL},
};

const struct opt_section large_section = {
	"large",
	false,
	sizeof(struct large_opts),
	large_options,
	"frames in a row for pages of 2 MiB",
};

struct large_stats {
	uint64_t filled;    /* pages */
	uint64_t collapsed; /* stretches */
	uint64_t moved;	    /* pages */
	uint64_t whole;	    /* gauge, runs */
};

struct large {
	struct host *host;
	struct large_opts opts;
	struct timer timer;
	size_t vm; /* the collapser's place */
	uint32_t stretch;
	struct large_stats stats;
};

#define STAT(field) offsetof(struct large, stats.field)

static const struct stat_row large_rows[] = {
	{"large_filled", STAT_COUNTER, "pages", STAT(filled), false,
	 "pages that came with the first of their stretch"},
	{"large_collapsed", STAT_COUNTER, "1", STAT(collapsed), false,
	 "stretches of 2 MiB that the collapser made whole"},
	{"large_moved", STAT_COUNTER, "pages", STAT(moved), false,
	 "pages that it moved to another frame for that"},
	{"large_runs", STAT_GAUGE, "1", STAT(whole), true,
	 "runs of 512 free frames that nobody has reserved"},
	{NULL},
};

#define RUNS_STAT(field) offsetof(struct runs, stats.field)

static const struct stat_row runs_rows[] = {
	{"large_reserved", STAT_COUNTER, "1", RUNS_STAT(reserved), false,
	 "runs reserved for a stretch"},
	{"large_lost", STAT_COUNTER, "1", RUNS_STAT(lost), false,
	 "of them, those that others were given frames of, since no others were free"},
	{NULL},
};

/* ---- rows ---------------------------------------------------------------------- */

/* Above STRETCH: its bits were harvested lately, or since the collapser came by. */
#define ROW_LOGGED UINT16_MAX
#define ROW_AGED   (UINT16_MAX - 1)

int pmap_rows(struct pmap *pmap)
{
	if (!pmap->row)
		pmap->row = meter_alloc(&pmap->vm->host->meter,
					pmap_stretches(pmap) * sizeof *pmap->row);
	pmap->told |= pmap->row != NULL;
	return pmap->row ? 0 : -ENOMEM;
}

bool large_whole(struct pmap *pmap, ppn_t ppn)
{
	const uint32_t base = ppn.n & ~(STRETCH - 1);

	if (!pmap->row || pmap->pages - base < STRETCH)
		return false;
	uint16_t *row = &pmap->row[ppn.n / STRETCH];
	const uint32_t first = pte_value(pmap->pte[base]);
	if (*row >= STRETCH)
		return *row == STRETCH;
	if (first % STRETCH)
		return false;
	for (; *row < STRETCH; ++*row) {
		pte_t p = pmap->pte[base + *row];
		if (pte_state(p) != PAGE_PRIVATE || (p & (PTE_R | PTE_W)) != (PTE_R | PTE_W) ||
		    pte_value(p) != first + *row)
			return false;
	}
	return true;
}

void large_changed(struct pmap *pmap, ppn_t ppn)
{
	uint16_t *row = &pmap->row[ppn.n / STRETCH];

	if (*row <= STRETCH)
		*row = 0;
}

void large_harvested(struct pmap *pmap, ppn_t ppn)
{
	pmap->row[ppn.n / STRETCH] = ROW_LOGGED;
}

/* ---- frames ---------------------------------------------------------------------- */

static bool has_run(const struct pmap *pmap, uint32_t stretch)
{
	uint32_t run = pmap->home[stretch];

	return run && run != RUN_NONE &&
	       runs_is_for(&pmap->vm->host->machine, run - 1, pmap->vm->id, stretch);
}

static bool nothing_resident(const struct pmap *pmap, uint32_t stretch)
{
	for (uint32_t i = 0; i < STRETCH; i++) {
		if (pte_resident(pmap->pte[stretch * STRETCH + i]))
			return false;
	}
	return true;
}

/* Reserves a run for a stretch that has none; RUN_NONE, from then on, where there is none. */
static void find_home(struct pmap *pmap, uint32_t stretch)
{
	struct machine *m = &pmap->vm->host->machine;
	uint32_t run = RUN_NONE;

	if (pmap->home[stretch] == RUN_NONE)
		return;
	if (pmap->pages - stretch * STRETCH >= STRETCH && nothing_resident(pmap, stretch))
		run = runs_reserve(m, pmap->vm->id, stretch);
	pmap->home[stretch] = run == RUN_NONE ? run : run + 1;
}

static mpn_t take_home(struct pmap *pmap, ppn_t ppn)
{
	if (!has_run(pmap, ppn.n / STRETCH))
		return MPN_NONE;
	return runs_take_at(&pmap->vm->host->machine, pmap->home[ppn.n / STRETCH] - 1,
			    ppn.n % STRETCH);
}

int large_take(struct pmap *pmap, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	struct host *host = pmap->vm->host;
	struct machine *m = &host->machine;
	const bool plenty = m->free > host->mark_low;

	if (plenty) {
		if (!has_run(pmap, ppn.n / STRETCH))
			find_home(pmap, ppn.n / STRETCH);
		*mpn = take_home(pmap, ppn);
		if (!mpn_valid(*mpn))
			*mpn = machine_take(m);
		return 0;
	}
	int rc = host_take_slow(host, pmap->vm, mpn, err);
	if (rc)
		return rc;
	mpn_t own = take_home(pmap, ppn);
	if (mpn_valid(own)) {
		machine_untake(m, *mpn);
		*mpn = own;
	}
	return 0;
}

void large_first(struct pmap *pmap, ppn_t ppn)
{
	const uint32_t base = ppn.n & ~(STRETCH - 1);
	struct large *l = pmap->large;
	struct host *host = l->host;
	struct machine *m = &host->machine;

	if (!((const struct large_frames *)l->opts.frames)->fill ||
	    !has_run(pmap, ppn.n / STRETCH) || pmap->row[ppn.n / STRETCH] > STRETCH ||
	    m->runs->run[pmap->home[ppn.n / STRETCH] - 1].free != STRETCH - 1 ||
	    m->free < host->mark_low + STRETCH || vm_held(pmap->vm) + STRETCH > pmap->vm->max)
		return;
	for (uint32_t i = base; i < base + STRETCH; i++) {
		if (pte_state(pmap->pte[i]) != PAGE_UNBACKED)
			continue;
		mpn_t mpn = take_home(pmap, (ppn_t){i});
		machine_aim(m, mpn, pmap->vm->id, (ppn_t){i});
		m->backing->zero(m, mpn);
		pmap->pte[i] |= PTE_CHANGED | PTE_RECENT;
		pmap_map_private(pmap, (ppn_t){i}, mpn, PAGE_UNBACKED);
		pmap->vm->time_ns += host->cost.zero;
		l->stats.filled++;
	}
}

/* ---- the collapser ----------------------------------------------------------------- */

/*
 * Whether the pages can be brought to their places in the run; RUN_NONE: in one that is all
 * free, of which none is worth reserving where they cannot.
 */
static bool movable(const struct pmap *pmap, uint32_t base, uint32_t run)
{
	const struct frame *frame = pmap->vm->host->machine.frame;

	for (uint32_t i = 0; i < STRETCH; i++) {
		pte_t p = pmap->pte[base + i];
		uint32_t place = run * RUN_FRAMES + i;
		if (pte_state(p) != PAGE_PRIVATE || (p & (PTE_R | PTE_W)) != (PTE_R | PTE_W))
			return false;
		if (run != RUN_NONE && pte_value(p) == place)
			continue;
		if ((p & PTE_PINNED) || (run != RUN_NONE && frame[place].refs))
			return false;
	}
	return true;
}

static void gather(struct large *l, struct pmap *pmap, uint32_t base, uint32_t run)
{
	uint64_t moved = 0;

	for (uint32_t i = 0; i < STRETCH; i++) {
		ppn_t ppn = {base + i};
		if (pte_value(pmap->pte[ppn.n]) == run * RUN_FRAMES + i)
			continue;
		pmap_move(pmap, ppn, runs_take_at(&l->host->machine, run, i));
		moved++;
	}
	pmap->home[base / STRETCH] = run + 1;
	pmap->vm->time_ns += moved * l->opts.copy_time;
	l->stats.moved += moved;
	l->stats.collapsed++;
}

/* Whole already, made so in its own run, or in another; or not to be had. */
static void look(struct large *l, struct pmap *pmap, uint32_t stretch)
{
	struct machine *m = &l->host->machine;
	const uint32_t base = stretch * STRETCH;
	uint16_t *row = &pmap->row[stretch];

	if (pmap->pages - base < STRETCH)
		return;
	if (*row > STRETCH) {
		*row = *row == ROW_LOGGED ? ROW_AGED : 0;
		return;
	}
	if (!large_whole(pmap, (ppn_t){base})) {
		uint32_t run = has_run(pmap, stretch) ? pmap->home[stretch] - 1 : RUN_NONE;
		if (run == RUN_NONE || !movable(pmap, base, run)) {
			uint32_t other = movable(pmap, base, RUN_NONE)
						 ? runs_reserve(m, pmap->vm->id, stretch)
						 : RUN_NONE;
			if (other == RUN_NONE)
				return;
			if (run != RUN_NONE)
				runs_release(m, run);
			run = other;
		}
		gather(l, pmap, base, run);
	}
	mmu_gathered(pmap->mmu, (ppn_t){base});
}

/* The next stretch of a VM that runs; false: there is no such VM. */
static bool advance(struct large *l)
{
	const struct host *host = l->host;

	for (size_t tries = 0; tries <= host->vms; tries++) {
		if (l->vm < host->vms && !vm_gone(host->vm[l->vm]) &&
		    l->stretch < pmap_stretches(host->vm[l->vm]->pmap))
			return true;
		l->vm = l->vm + 1 < host->vms ? l->vm + 1 : 0;
		l->stretch = 0;
	}
	return false;
}

static void collapse_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct large *l = arg;

	for (int64_t i = 0; i < l->opts.collapse_stretches && advance(l); i++) {
		look(l, l->host->vm[l->vm]->pmap, l->stretch);
		l->stretch++;
	}
	/* The heap has room for it: the timer was in it until now. */
	(void)!timer_add(clk, timer, timer->when_ns + l->opts.collapse_period);
}

/* ---- the part ------------------------------------------------------------------------ */

static int vm_added(void *ctx, struct vm *vm)
{
	struct pmap *pmap = vm->pmap;
	int rc = pmap_rows(pmap);

	pmap->home = meter_alloc(&vm->host->meter, pmap_stretches(pmap) * sizeof *pmap->home);
	pmap->large = ctx;
	return rc || !pmap->home ? -ENOMEM : 0;
}

static void refresh(void *ctx)
{
	struct large *l = ctx;

	l->stats.whole = runs_whole(&l->host->machine);
}

static void large_close(void *ctx)
{
	struct large *l = ctx;

	timer_cancel(&l->host->clock, &l->timer);
	free(l);
}

static const struct part large_part = {
	.name = "large pages",
	.vm_added = vm_added,
	.close = large_close,
	.refresh = refresh,
	.gauge = refresh,
};

int large_open(struct host *host, const struct large_opts *opts, struct err *err)
{
	struct machine *m = &host->machine;

	if (opts->frames == &frames_none.policy)
		return 0;
	struct large *l = calloc(1, sizeof *l);
	int rc = l ? runs_new(m) : -ENOMEM;
	if (rc == 0 && opts->collapse_period) {
		timer_init(&l->timer, collapse_due, l);
		rc = timer_add(&host->clock, &l->timer, opts->collapse_period);
	}
	if (rc) {
		free(l);
		return rc == -EINVAL ? err_input(err, "large.frames needs a host.low_memory of "
						      "whole 2mb")
				     : err_run(err, ENOMEM, "no memory for large pages");
	}
	l->host = host;
	l->opts = *opts;
	stat_bind(&host->scope, large_rows, l);
	stat_bind(&host->scope, runs_rows, m->runs);
	host_add_part(host, &large_part, l);
	return 0;
}
