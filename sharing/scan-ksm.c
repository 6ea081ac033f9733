/*
 * ksm: the way of Linux's KSM (Arcangeli, Eidus and Wright, "Increasing memory
 * density by using KSM", OLS 2009), to compare with.
 *
 * No hash table: two search trees ordered by page contents. The stable tree
 * holds shared frames, which nobody writes. The unstable tree holds pages that
 * had the same checksum twice running; they may be written while they are in
 * it, so that it may be out of order and miss some, and is thrown away after
 * each round of all VMs. Every visit costs a checksum, every search the
 * comparisons on its path. The trees are the C library's.
 */
#include "sharing/private.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

#define TREE_NODE 48 /* bytes of the library's tree node and the allocator's, about */

struct ksm_item {
	struct sharing *s;
	struct pmap *pmap; /* unstable: the page; NULL: stable */
	uint32_t place;	   /* PPN, or MPN of a stable one */
};

struct ksm_vm {
	uint32_t *checksum; /* [pages] when the page was last visited */
	bool lapped;	    /* the hand came round since the unstable trees were emptied */
};

struct ksm_trees {
	void *stable, *unstable;
};

struct ksm_state {
	struct sharing *s;
	struct ksm_vm **vm; /* [vms] by VM id */
	size_t vms;
	struct ksm_trees *trees; /* [groups] */
	uint32_t groups;
};

static mpn_t item_frame(const struct ksm_item *item)
{
	if (!item->pmap)
		return (mpn_t){item->place};
	pte_t e = pmap_peek(item->pmap, (ppn_t){item->place});
	return pte_resident(e) ? pte_mpn(e) : MPN_NONE;
}

/* By contents; a page that went since sorts anywhere, which the tree bears. */
static int by_contents(const void *a, const void *b)
{
	const struct ksm_item *x = a, *y = b;
	mpn_t mx = item_frame(x), my = item_frame(y);
	struct sharing *s = x->s;

	if (!mpn_valid(mx) || !mpn_valid(my))
		return x < y ? -1 : 1;
	int order = page_order(s, mx, my);
	s->stats.compared += order == 0;
	spend(s, order ? &s->stats.probe_ns : &s->stats.compare_ns,
	      order ? s->opts.probe_time : s->opts.compare_time);
	return order;
}

static struct ksm_item *item_new(struct sharing *s, struct pmap *pmap, uint32_t place)
{
	struct ksm_item *item = malloc(sizeof *item);

	if (item) {
		*item = (struct ksm_item){s, pmap, place};
		s->host->meter.bytes += sizeof *item + TREE_NODE;
	}
	return item;
}

static void item_free(void *p)
{
	struct ksm_item *item = p;

	item->s->host->meter.bytes -= sizeof *item + TREE_NODE;
	free(item);
}

static int ksm_open(void *state, struct sharing *s)
{
	((struct ksm_state *)state)->s = s;
	return 0;
}

static void ksm_close(void *state)
{
	struct ksm_state *k = state;

	for (uint32_t g = 0; g < k->groups; g++) {
		tdestroy(k->trees[g].unstable, item_free);
		tdestroy(k->trees[g].stable, item_free);
	}
	free(k->trees);
	free(k->vm);
}

static int ksm_vm_added(void *state, struct vm *vm)
{
	struct ksm_state *k = state;
	struct ksm_vm **list = realloc(k->vm, (vm->id + 1u) * sizeof(*list)), *v;

	if (!list)
		return -ENOMEM;
	k->vm = list;
	v = calloc(1, sizeof *v);
	if (!v)
		return -ENOMEM;
	v->checksum = meter_alloc(&vm->host->meter, vm->pages * sizeof *v->checksum);
	if (!v->checksum) {
		free(v);
		return -ENOMEM;
	}
	k->vm[vm->id] = v;
	k->vms = vm->id + 1u;
	return 0;
}

static void ksm_vm_removed(void *state, struct vm *vm)
{
	struct ksm_state *k = state;
	struct ksm_vm *v = k->vm[vm->id];

	meter_free(&vm->host->meter, v->checksum, vm->pages * sizeof *v->checksum);
	free(v);
	k->vms = vm->id;
}

/* After a round of all VMs the unstable trees begin anew. */
static void end_round(struct ksm_state *k)
{
	for (size_t i = 0; i < k->vms; i++) {
		if (!k->vm[i]->lapped && !vm_gone(k->s->vm[i]->vm))
			return;
	}
	for (size_t i = 0; i < k->vms; i++)
		k->vm[i]->lapped = false;
	for (uint32_t g = 0; g < k->groups; g++) {
		tdestroy(k->trees[g].unstable, item_free);
		k->trees[g].unstable = NULL;
	}
}

static bool in_own_frame(const struct share_vm *v, pte_t *e)
{
	(void)v;
	return pte_state(*e) == PAGE_PRIVATE;
}

static uint32_t ksm_pick(void *state, struct share_vm *v, uint32_t n, ppn_t *pages)
{
	struct ksm_state *k = state;
	uint32_t before = v->hand;

	end_round(k);
	n = scan_walk(v, n, pages, in_own_frame);
	if (v->hand <= before)
		k->vm[v->vm->id]->lapped = true;
	return n;
}

static struct ksm_trees *trees_of(struct ksm_state *k, uint32_t group)
{
	if (group >= k->groups) {
		struct ksm_trees *trees = realloc(k->trees, (group + 1u) * sizeof *trees);
		if (!trees)
			return NULL;
		for (k->trees = trees; k->groups <= group; k->groups++)
			trees[k->groups] = (struct ksm_trees){NULL, NULL};
	}
	return &k->trees[group];
}

/* Whether the page has the checksum that it had when last visited; notes the new one. */
static bool unchanged(struct ksm_state *k, const struct share_vm *v, ppn_t ppn)
{
	struct sharing *s = k->s;
	uint32_t *known = &k->vm[v->vm->id]->checksum[ppn.n];
	uint32_t sum =
		(uint32_t)page_hash(s, &s->group[v->group], pte_mpn(pmap_peek(v->vm->pmap, ppn)));

	s->stats.hashed++;
	spend(s, &s->stats.hash_ns, s->opts.hash_time);
	bool same = *known == sum;
	*known = sum;
	return same;
}

/* Two equal pages: the one found in the unstable tree becomes a shared frame. */
static bool merge(struct ksm_state *k, struct ksm_trees *trees, const struct ksm_item *found,
		  struct pmap *pmap, ppn_t ppn)
{
	struct pmap *other = found->pmap;
	ppn_t other_ppn = {found->place};
	pte_t e = pmap_peek(other, other_ppn);
	struct ksm_item *stable;

	if (pte_state(e) != PAGE_PRIVATE || (e & PTE_PINNED) ||
	    (other == pmap && other_ppn.n == ppn.n) ||
	    large_spared(other, other_ppn, k->s->opts.large))
		return false;
	/* Written since with who knows what: the content id that it has says nothing. */
	if (!k->s->host->machine.bytes && (e & PTE_UNNAMED))
		return false;
	stable = item_new(k->s, NULL, pte_value(e));
	if (!stable)
		return false;
	if (!tsearch(stable, &trees->stable, by_contents)) {
		item_free(stable);
		return false;
	}
	/* The item stays where it is in the unstable tree, in order: its bytes are the same. */
	share_make(k->s, other, other_ppn, 0);
	return share_join(k->s, pmap, ppn, pte_mpn(e)) == 0;
}

static bool ksm_look(void *state, struct share_vm *v, ppn_t ppn)
{
	struct ksm_state *k = state;
	struct pmap *pmap = v->vm->pmap;
	struct ksm_trees *trees = trees_of(k, v->group);
	struct ksm_item *item = trees ? item_new(k->s, pmap, ppn.n) : NULL, **node;
	bool shared = false;

	if (!item)
		return false;
	node = tfind(item, &trees->stable, by_contents);
	if (node) {
		shared = share_join(k->s, pmap, ppn, item_frame(*node)) == 0;
	} else if (unchanged(k, v, ppn)) {
		node = tsearch(item, &trees->unstable, by_contents);
		if (node && *node == item)
			return false; /* the tree's now */
		if (node)
			shared = merge(k, trees, *node, pmap, ppn);
	}
	item_free(item);
	return shared;
}

static void ksm_gone(void *state, uint32_t group, mpn_t mpn)
{
	struct ksm_state *k = state;
	const struct ksm_item key = {k->s, NULL, mpn.n};
	struct ksm_item **node = tfind(&key, &k->trees[group].stable, by_contents), *item;

	if (!node)
		return;
	item = *node;
	tdelete(item, &k->trees[group].stable, by_contents);
	item_free(item);
}

const struct scan scan_ksm = {
	.policy = {"ksm", "Linux's way, to compare with: checksums and two trees of contents"},
	.state_size = sizeof(struct ksm_state),
	.open = ksm_open,
	.close = ksm_close,
	.vm_added = ksm_vm_added,
	.vm_removed = ksm_vm_removed,
	.pick = ksm_pick,
	.look = ksm_look,
	.gone = ksm_gone,
};
