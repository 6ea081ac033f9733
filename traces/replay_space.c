/* Address spaces of the replayer's kernel: made, switched to, copied. */
#include "traces/kernel_private.h"

#include <errno.h>
#include <stdlib.h>

/* A root with the kernel's half in it. */
static int new_root(struct kernel *k, uint32_t *table, struct err *err)
{
	int rc = kernel_new_table(k, table, err);

	for (unsigned i = PT_WORDS / 2; rc == 0 && i < PT_WORDS; i++) {
		gpte_t w = k->spaces ? kernel_word(k, k->space[0].root, i) : 0;
		if (w)
			rc = kernel_set_word(k, *table, i, w, err);
	}
	return rc;
}

/* The index of the space of that number; the space may have no root yet. */
static int find_space(struct kernel *k, uint64_t number, size_t *index, struct err *err)
{
	const uint64_t *at = idmap_find(k->ids, number);

	if (at) {
		*index = *at;
		return 0;
	}
	if (k->spaces == k->room) {
		size_t room = k->room ? 2 * k->room : 16;
		struct space *list = realloc(k->space, room * sizeof *list);
		if (!list)
			return err_run(err, ENOMEM, "no memory for an address space");
		k->space = list;
		k->room = room;
	}
	if (idmap_add(k->ids, number, k->spaces))
		return err_run(err, ENOMEM, "no memory for an address space");
	k->space[k->spaces] = (struct space){0};
	*index = k->spaces++;
	k->stats.spaces++;
	return 0;
}

static int enter(struct kernel *k, size_t index, struct err *err)
{
	k->current = index;
	return kernel_checked(mmu_load_root(k->mmu, kernel_root(k), err), err);
}

int kernel_switch(struct kernel *k, uint64_t number, struct err *err)
{
	size_t index;
	int rc = find_space(k, number, &index, err);

	if (rc)
		return rc;
	if (!k->space[index].root) {
		uint32_t table;
		rc = new_root(k, &table, err);
		if (rc == 0)
			rc = kernel_checked(mmu_pt_pin(k->mmu, (ppn_t){table}, PT_LEVELS, err),
					    err);
		if (rc)
			return rc;
		k->space[index].root = table;
	}
	return index == k->current ? 0 : enter(k, index, err);
}

static void share_leaf(struct kernel *k, gpte_t w, unsigned level)
{
	for (uint32_t i = 0; i < kernel_span(level); i++)
		k->refs[(uint32_t)gpte_ppn(w) + i]++;
}

/* What is below one table is copied to another, empty, of the child. Both map it read-only. */
static int copy_table(struct kernel *k, uint32_t from, uint32_t to, unsigned level, struct err *err)
{
	unsigned end = level == PT_LEVELS ? PT_WORDS / 2 : PT_WORDS;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < end; i++) {
		gpte_t w = kernel_word(k, from, i);
		uint32_t table;
		if (!(w & GPTE_P))
			continue;
		if (gpte_leaf(w, level)) {
			gpte_t now = w & GPTE_W ? (w & ~GPTE_W) | COW : w;
			if (now != w)
				rc = kernel_set_word(k, from, i, now, err);
			if (rc == 0)
				rc = kernel_set_word(k, to, i, now, err);
			if (rc == 0)
				share_leaf(k, w, level);
			continue;
		}
		rc = kernel_new_table(k, &table, err);
		if (rc == 0)
			rc = copy_table(k, (uint32_t)gpte_ppn(w), table, level - 1, err);
		if (rc == 0)
			rc = kernel_link_table(k, to, i, table, level - 1, err);
	}
	return rc;
}

int kernel_fork(struct kernel *k, uint64_t child, struct err *err)
{
	size_t parent = k->current, index;
	uint32_t table;
	int rc = find_space(k, child, &index, err);

	if (rc || index == parent)
		return rc;
	if (k->space[index].root) { /* its old one goes */
		rc = enter(k, index, err);
		if (rc == 0)
			rc = kernel_unmap(k, 0, PT_KERNEL, err);
		if (rc == 0)
			rc = enter(k, parent, err);
		if (rc == 0)
			rc = copy_table(k, kernel_root(k), k->space[index].root, PT_LEVELS, err);
	} else {
		rc = new_root(k, &table, err);
		if (rc == 0)
			rc = copy_table(k, kernel_root(k), table, PT_LEVELS, err);
		if (rc == 0)
			rc = kernel_checked(mmu_pt_pin(k->mmu, (ppn_t){table}, PT_LEVELS, err),
					    err);
		if (rc == 0)
			k->space[index].root = table;
	}
	k->stats.forks++;
	return rc ? rc : mmu_flush_space(k->mmu, kernel_root(k), err);
}
