/*
 * random: any page of the VM, each as likely as the other. ESX's choice
 * (Waldspurger 2002, section 4.3): no order of the guest's can defeat it.
 */
#include "sharing/private.h"

static uint32_t random_pick(void *state, struct share_vm *v, uint32_t n, ppn_t *pages)
{
	(void)state;
	for (uint32_t i = 0; i < n; i++)
		pages[i].n = (uint32_t)rng_below(&v->rng, v->vm->pages);
	return n;
}

const struct scan scan_random = {
	.policy = {"random", "any page, each as likely as the other: ESX's choice"},
	.pick = random_pick,
};
