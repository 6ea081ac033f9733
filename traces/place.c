#include "traces/private.h"

#include <errno.h>

#define CONTEXTS_MAX (UINT64_C(1) << (64 - REC_PAGE_BITS))

/* Makes space the current VM's address space. */
static int enter(struct place *place, uint64_t space, struct err *err)
{
	uint64_t key = (uint64_t)place->vm << REC_PAGE_BITS | space;
	uint64_t *known = idmap_find(place->contexts, key), fresh = idmap_size(place->contexts);

	if (known) {
		place->context[place->vm] = *known;
		return 0;
	}
	if (fresh == CONTEXTS_MAX)
		return err_input(err, "over %llu address spaces", (unsigned long long)CONTEXTS_MAX);
	if (idmap_add(place->contexts, key, fresh))
		return err_run(err, ENOMEM, "out of memory for the address spaces");
	place->context[place->vm] = fresh;
	return 0;
}

int place_init(struct place *place, struct err *err)
{
	*place = (struct place){0};
	if (idmap_new(&place->contexts))
		return err_run(err, ENOMEM, "out of memory");
	return enter(place, 0, err);
}

void place_release(struct place *place)
{
	idmap_free(place->contexts);
}

int place_follow(struct place *place, rec_t r, struct err *err)
{
	switch (rec_kind(r)) {
	case REC_SWITCH:
		return enter(place, rec_page(r), err);
	case REC_VM:
		if (rec_page(r) >= VMS_MAX)
			return err_input(err, "VM %llu: at most %u VMs are possible",
					 (unsigned long long)rec_page(r), VMS_MAX);
		place->vm = (uint32_t)rec_page(r);
		/* Context 0 is VM 0's first; any other VM that is there has not begun. */
		return place->context[place->vm] ? 0 : enter(place, 0, err);
	default:
		return 0;
	}
}
