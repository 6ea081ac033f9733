/*
 * Address spaces: page tables of four levels and what a fault does.
 *
 * The tables have the shape of x86-64's, each takes a page of the guest's
 * memory, and their entries have the bits that reclaim needs; but they are the
 * model's own and not bytes in guest memory. Memory is given at the first
 * write; a read of what was never written maps the one zero page. A page that
 * was swapped in keeps its slot until it is written to, so that it can leave
 * again without a write (the swap cache); slots are given up when the area is
 * half full. Swap-in reads one page: read-around is left out.
 */
#include "traces/guest_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int proc_new(struct gos *g, struct gproc **out)
{
	struct gproc *p = calloc(1, sizeof *p);
	uint32_t id = 0;

	while (id < g->procs && g->proc[id])
		id++;
	if (p && id == g->procs) {
		struct gproc **list = realloc(g->proc, (g->procs + 1) * sizeof *list);
		if (list) {
			g->proc = list;
			g->procs++;
		} else {
			free(p);
			p = NULL;
		}
	}
	if (!p)
		return err_run(&g->err, ENOMEM, "no memory for the guest's processes");
	p->g = g;
	p->id = id;
	g->proc[id] = p;
	*out = p;
	return 0;
}

static int table_new(struct gos *g, struct gtable **out)
{
	struct gtable *t = calloc(1, sizeof *t);

	if (!t)
		return err_run(&g->err, ENOMEM, "no memory for the guest's page tables");
	int rc = page_alloc(g, GPAGE_TABLE, &t->ppn);
	if (rc == 0) {
		g->stats.tables++;
		rc = gos_touch(g, (ppn_t){t->ppn}, ACCESS_WRITE);
		if (rc) {
			g->stats.tables--;
			page_free(g, t->ppn);
		}
	}
	if (rc) {
		free(t);
		return rc;
	}
	*out = t;
	return 0;
}

static unsigned index_at(uint64_t vpn, int level)
{
	return vpn >> (level * TABLE_BITS) & (TABLE_ENTRIES - 1);
}

/* The leaf table, by a walk; NULL: there is none. */
static struct gtable *walk(struct gproc *p, uint64_t vpn)
{
	struct gtable *t = p->root;

	for (int level = TABLE_LEVELS - 1; t && level > 0; level--)
		t = t->down[index_at(vpn, level)];
	return t;
}

/* The same, making what is not there. */
static int walk_make(struct gproc *p, uint64_t vpn, struct gtable **out)
{
	struct gtable **at = &p->root;

	for (int level = TABLE_LEVELS;; level--) {
		if (!*at) {
			int rc = table_new(p->g, at);
			if (rc)
				return rc;
		}
		if (level == 1)
			break;
		at = &(*at)->down[index_at(vpn, level - 1)];
	}
	*out = *at;
	return 0;
}

static void remember(struct gproc *p, uint64_t vpn, struct gtable *leaf)
{
	const uint64_t n = vpn >> TABLE_BITS;

	p->cache[n % TABLE_CACHE].tag = n + 1;
	p->cache[n % TABLE_CACHE].table = leaf;
}

gpte_t *proc_entry(struct gproc *p, uint64_t vpn)
{
	struct gtable *leaf = walk(p, vpn);

	return leaf ? &leaf->leaf[index_at(vpn, 0)] : NULL;
}

static gpte_t entry_of(uint32_t page)
{
	return (gpte_t)page << GPTE_SHIFT | GPTE_R | GPTE_W;
}

/* A page of the process's own; its contents come from whoever asked. */
static int give_page(struct gproc *p, uint64_t vpn, gpte_t *e, uint32_t *page)
{
	struct gos *g = p->g;
	int rc = page_alloc(g, GPAGE_ANON, page);

	if (rc)
		return rc;
	g->page[*page].owner = p->id;
	g->page[*page].index = vpn;
	g->stats.anon++;
	p->resident++;
	*e = entry_of(*page);
	lru_add(g, *page);
	return 0;
}

/* Its bytes are still in memory, on their way out or there already: taken back. */
static void take_back(struct gproc *p, gpte_t *e, uint32_t page)
{
	struct gos *g = p->g;

	g->swap.page[g->page[page].slot] = NO_PAGE;
	list_remove(g, page);
	g->stats.anon++;
	p->resident++;
	*e = entry_of(page);
	lru_add(g, page);
}

static int swap_in(struct gproc *p, uint64_t vpn, gpte_t *e)
{
	struct gos *g = p->g;
	uint32_t slot = (uint32_t)(*e >> GPTE_SHIFT), page = g->swap.page[slot];

	if (page != NO_PAGE) {
		g->stats.minor_faults++;
		take_back(p, e, page);
	} else {
		int rc = give_page(p, vpn, e, &page);
		if (rc)
			return rc;
		g->stats.major_faults++;
		g->stats.swap_in++;
		g->page[page].slot = slot;
		g->page[page].io_ns = disk_io(g, slot_block(slot), 1, ACCESS_READ);
		gos_wait(g, g->page[page].io_ns);
		rc = gos_store(g, (ppn_t){page}, g->swap.content[slot]);
		if (rc)
			return rc;
	}
	p->swapped--;
	g->stats.swapped--;
	if (g->swap.used > g->swap.slots / 2) {
		slot_free(g, slot);
		g->page[page].slot = NO_PAGE;
	}
	return 0;
}

int proc_fault(struct gproc *p, uint64_t vpn, enum access access)
{
	struct gos *g = p->g;
	struct gtable *leaf = walk(p, vpn);
	uint32_t page;

	if (!leaf) {
		int rc = walk_make(p, vpn, &leaf);
		if (rc)
			return rc;
	}
	remember(p, vpn, leaf);
	gpte_t *e = &leaf->leaf[index_at(vpn, 0)];
	if (*e >> access & 1)
		return 0;
	gos_charge(g, g->opts.fault_time);
	if (*e & GPTE_SWAPPED)
		return swap_in(p, vpn, e);
	g->stats.minor_faults++;
	if (access == ACCESS_READ) {
		*e = (gpte_t)g->zero_page << GPTE_SHIFT | GPTE_R;
		return 0;
	}
	gos_charge(g, g->opts.zero_time);
	return give_page(p, vpn, e, &page);
}

/* Gives up what an entry stands for. */
static void drop_entry(struct gproc *p, gpte_t *e)
{
	struct gos *g = p->g;
	uint32_t value = (uint32_t)(*e >> GPTE_SHIFT), page = value, slot = value;

	if (*e & GPTE_SWAPPED) {
		p->swapped--;
		g->stats.swapped--;
		page = g->swap.page[slot];
	} else if (*e & GPTE_W) {
		p->resident--;
		g->stats.anon--;
		slot = g->page[page].slot;
	} else {
		page = slot = NO_PAGE; /* the zero page, or nothing */
	}
	*e = 0;
	if (slot != NO_PAGE)
		slot_free(g, slot);
	if (page != NO_PAGE) {
		list_remove(g, page);
		page_free(g, page);
	}
}

void proc_unmap(struct gproc *p, uint64_t vpn, uint64_t n)
{
	const uint64_t end = vpn + n;

	while (vpn < end) {
		struct gtable *leaf = walk(p, vpn);
		uint64_t stop = min_u64(end, (vpn | (TABLE_ENTRIES - 1)) + 1);
		for (; leaf && vpn < stop; vpn++)
			drop_entry(p, &leaf->leaf[index_at(vpn, 0)]);
		vpn = stop;
	}
}

static void free_tables(struct gproc *p, struct gtable *t, int level)
{
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		if (level == 0)
			drop_entry(p, &t->leaf[i]);
		else if (t->down[i])
			free_tables(p, t->down[i], level - 1);
	}
	page_free(p->g, t->ppn);
	p->g->stats.tables--;
	free(t);
}

void proc_exit(struct gproc *p)
{
	if (p->root)
		free_tables(p, p->root, TABLE_LEVELS - 1);
	p->g->proc[p->id] = NULL;
	free(p);
}
