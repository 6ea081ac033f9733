/*
 * idle-first: in order, but a page written since the hand last came by is left
 * for its next round. What was written a moment ago will be written again:
 * sharing it would buy a copy-on-write fault.
 */
#include "sharing/private.h"

static bool idle(const struct share_vm *v, pte_t *e)
{
	if (*e & PTE_RECENT) {
		*e &= ~PTE_RECENT;
		return false;
	}
	return scan_wants(v, *e);
}

static uint32_t idle_first_pick(void *state, struct share_vm *v, uint32_t n, ppn_t *pages)
{
	(void)state;
	return scan_walk(v, n, pages, idle);
}

const struct scan scan_idle_first = {
	.policy = {"idle-first", "in order, pages written since the last round wait for the next"},
	.pick = idle_first_pick,
};
