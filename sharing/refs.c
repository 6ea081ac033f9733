/* Reference counts of shared frames: 16 bits in the frame table, the few larger ones here. */
#include "sharing/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The row of that frame, or where it would go. */
static uint32_t find(const struct overflow *o, mpn_t mpn)
{
	uint32_t low = 0, high = o->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (o->row[mid].mpn < mpn.n)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int insert(struct sharing *s, mpn_t mpn)
{
	struct overflow *o = &s->overflow;
	uint32_t at = find(o, mpn);

	if (o->n == o->room) {
		uint32_t room = o->room ? 2 * o->room : 16;
		struct overflow_row *row = realloc(o->row, room * sizeof *row);
		if (!row)
			return -ENOMEM;
		s->host->meter.bytes += (room - o->room) * sizeof *row;
		o->row = row;
		o->room = room;
	}
	memmove(&o->row[at + 1], &o->row[at], (o->n - at) * sizeof o->row[0]);
	o->row[at] = (struct overflow_row){mpn.n, FRAME_MANY};
	o->n++;
	return 0;
}

uint64_t refs_get(const struct sharing *s, mpn_t mpn)
{
	uint16_t refs = s->host->machine.frame[mpn.n].refs;

	return refs == FRAME_MANY ? s->overflow.row[find(&s->overflow, mpn)].refs : refs;
}

int refs_add(struct sharing *s, mpn_t mpn)
{
	uint16_t *refs = &s->host->machine.frame[mpn.n].refs;

	if (*refs == FRAME_MANY) {
		s->overflow.row[find(&s->overflow, mpn)].refs++;
		return 0;
	}
	if (*refs + 1 == FRAME_MANY && insert(s, mpn))
		return -ENOMEM;
	++*refs;
	return 0;
}

void refs_sub(struct sharing *s, mpn_t mpn)
{
	struct overflow *o = &s->overflow;
	uint16_t *refs = &s->host->machine.frame[mpn.n].refs;

	if (*refs == FRAME_MANY) {
		uint32_t at = find(o, mpn);
		if (--o->row[at].refs >= FRAME_MANY)
			return;
		memmove(&o->row[at], &o->row[at + 1], (--o->n - at) * sizeof o->row[0]);
	}
	--*refs;
}
