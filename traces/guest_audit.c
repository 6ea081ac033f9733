/* The guest's accounts, counted anew. */
#include "traces/guest_private.h"

struct audit {
	const struct gos *g;
	FILE *out;
	size_t bad;
	uint64_t use[GPAGE_USES], list[LISTS], dirty, slots;
};

static void differ(struct audit *a, const char *what, uint64_t says, uint64_t counted)
{
	if (says == counted)
		return;
	fprintf(a->out, "guest: vm %s says %llu %s, %llu counted\n", a->g->vm->name,
		(unsigned long long)says, what, (unsigned long long)counted);
	a->bad++;
}

/* The owner's record of a page that it uses must lead back to it. */
static bool is_owned(const struct gos *g, uint32_t i)
{
	const struct gpage *p = &g->page[i];

	if (p->use == GPAGE_CACHE) {
		const struct gfile *f = p->owner < g->files ? g->file[p->owner] : NULL;
		return f && p->index < f->blocks && f->page[p->index] == i;
	}
	if (p->use == GPAGE_ANON && p->list == LIST_WRITEBACK)
		return p->slot < g->swap.slots && g->swap.page[p->slot] == i;
	if (p->use == GPAGE_ANON) {
		struct gproc *proc = p->owner < g->procs ? g->proc[p->owner] : NULL;
		const gpte_t *e = proc ? proc_entry(proc, p->index) : NULL;
		return e && *e & GPTE_W && *e >> GPTE_SHIFT == i;
	}
	return true;
}

static bool is_in_its_place(const struct gpage *p)
{
	switch ((enum gpage_use)p->use) {
	case GPAGE_FREE:
		return p->list >= LIST_FREE_DMA && p->list <= LIST_DIRTY_FREE;
	case GPAGE_CACHE:
		return p->list == LIST_CACHE_INACTIVE || p->list == LIST_CACHE_ACTIVE ||
		       p->list == LIST_WRITEBACK;
	case GPAGE_ANON:
		return p->list == LIST_ANON_INACTIVE || p->list == LIST_ANON_ACTIVE ||
		       p->list == LIST_WRITEBACK;
	case GPAGE_KERNEL:
	case GPAGE_TABLE:
	case GPAGE_BALLOON:
		return p->list == LIST_NONE;
	case GPAGE_USES:
		break;
	}
	return false;
}

static void audit_pages(struct audit *a)
{
	const struct gos *g = a->g;

	for (uint32_t i = 0; i < g->boot_pages; i++) {
		const struct gpage *p = &g->page[i];
		a->use[p->use]++;
		a->list[p->list]++;
		a->dirty += p->use == GPAGE_CACHE && p->flags & GPAGE_DIRTY;
		a->use[GPAGE_ANON] -= p->use == GPAGE_ANON && p->list == LIST_WRITEBACK;
		if (is_owned(g, i) && is_in_its_place(p))
			continue;
		fprintf(a->out, "guest: vm %s page %u (use %u, list %u) is not its owner's\n",
			g->vm->name, i, p->use, p->list);
		a->bad++;
	}
	for (int l = LIST_FREE_DMA; l < LISTS; l++) {
		uint64_t linked = 0;
		for (uint32_t i = g->list[l].head; i != NO_PAGE && linked <= g->boot_pages;
		     linked++)
			i = g->page[i].next;
		differ(a, "pages in a list", g->list[l].n, a->list[l]);
		differ(a, "pages linked in a list", g->list[l].n, linked);
	}
}

static void audit_owners(struct audit *a)
{
	const struct gos *g = a->g;
	uint64_t cached = 0, dirty = 0, resident = 0, swapped = 0;

	for (uint32_t i = 0; i < g->files; i++) {
		cached += g->file[i] ? g->file[i]->cached : 0;
		dirty += g->file[i] ? g->file[i]->dirty : 0;
	}
	for (uint32_t i = 0; i < g->procs; i++) {
		resident += g->proc[i] ? g->proc[i]->resident : 0;
		swapped += g->proc[i] ? g->proc[i]->swapped : 0;
	}
	for (uint32_t i = 0; i < g->swap.slots; i++)
		a->slots += g->swap.taken[i];
	differ(a, "cached pages of files", cached, a->use[GPAGE_CACHE]);
	differ(a, "changed pages of files", dirty, a->dirty);
	differ(a, "pages of processes", resident, a->use[GPAGE_ANON]);
	differ(a, "swapped pages of processes", swapped, g->stats.swapped);
	differ(a, "slots in use", g->swap.used, a->slots);
}

size_t gos_audit(const struct gos *g, FILE *out)
{
	struct audit a = {.g = g, .out = out};

	audit_pages(&a);
	audit_owners(&a);
	differ(&a, "free pages", pages_free(g), a.use[GPAGE_FREE]);
	differ(&a, "cached pages", g->stats.cached, a.use[GPAGE_CACHE]);
	differ(&a, "changed pages", g->stats.dirty, a.dirty);
	differ(&a, "anonymous pages", g->stats.anon, a.use[GPAGE_ANON]);
	differ(&a, "kernel pages", g->stats.kernel, a.use[GPAGE_KERNEL]);
	differ(&a, "page-table pages", g->stats.tables, a.use[GPAGE_TABLE]);
	differ(&a, "balloon pages", g->stats.balloon, a.use[GPAGE_BALLOON]);
	return a.bad;
}
