#include "traces/bt.h"

#include <string.h>

/*
 * Level 9 finds the long repeats of loops that level 3 misses: on traces of
 * programs the blocks unpack half as fast again and are two thirds the size. It
 * also takes its time over noise, which level 1 is quick to give up on.
 */
#define LEVEL	    9
#define PROBE_LEVEL 1

struct packing {
	ZSTD_CCtx *packer;
	struct bt_block *block;
	uint8_t *payload;
	size_t used;
	uint8_t raw[BT_PLANE_MAX];
};

/* Packs what raw holds as one plane, or leaves it raw where that gains too little or fails. */
static void pack_plane(struct packing *p, unsigned plane)
{
	size_t n = bt_plane_bytes(p->block, plane), room = n - n / 8;
	uint8_t *out = p->payload + p->used;
	size_t packed = ZSTD_compressCCtx(p->packer, out, room, p->raw, n, PROBE_LEVEL);

	if (!ZSTD_isError(packed))
		packed = ZSTD_compressCCtx(p->packer, out, room, p->raw, n, LEVEL);

	if (ZSTD_isError(packed)) {
		packed = n;
		memcpy(out, p->raw, n);
	}
	p->block->stored[plane] = (uint32_t)packed;
	p->used += packed;
}

/* The planes of a column of 64-bit values, or of 32-bit ones. */
static void pack_column(struct packing *p, unsigned first, unsigned w, size_t n,
			const uint64_t *wide, const uint32_t *narrow, uint64_t base)
{
	for (unsigned k = 0; 2 * k < w; k++) {
		bool single = w == 2 * k + 1;

		for (size_t i = 0; i < n; i++) {
			/* cppcheck-suppress nullPointer; one of the two is given */
			uint64_t v = ((wide ? wide[i] : narrow[i]) - base) >> (16 * k);

			p->raw[single ? i : 2 * i] = (uint8_t)v;
			if (!single)
				p->raw[2 * i + 1] = (uint8_t)(v >> 8);
		}
		pack_plane(p, first + k);
	}
}

static void pack_kinds(struct packing *p, const struct bt_records *r)
{
	if (p->block->kinds == BT_BYTES) {
		memcpy(p->raw, r->kind, r->n);
	} else if (p->block->kinds == BT_BITMAP) {
		memset(p->raw, 0, (r->n + 7) / 8);
		for (size_t i = 0; i < r->n; i++)
			p->raw[i / 8] |= (uint8_t)(r->kind[i] << i % 8);
	} else {
		return;
	}
	pack_plane(p, BT_KINDS);
}

static uint8_t bytes_for(uint64_t max)
{
	uint8_t w = 0;

	for (; max; max >>= 8)
		w++;
	return w;
}

/* Finds the forms and widths that the records need. */
static void choose(const struct bt_records *r, struct bt_block *block)
{
	uint64_t low = UINT64_MAX, high = 0, operand = 0;
	uint32_t delta = 0;
	unsigned any = 0, all = 15;

	for (size_t i = 0; i < r->n; i++) {
		low = min_u64(low, r->page[i]);
		high = max_u64(high, r->page[i]);
		delta |= r->delta[i];
		any |= r->kind[i];
		all &= r->kind[i];
	}
	for (size_t i = 0; i < r->operands; i++)
		operand |= r->operand[i];
	block->records = r->n;
	block->operands = r->operands;
	if (any > REC_WRITE)
		block->kinds = BT_BYTES;
	else if (any != all)
		block->kinds = BT_BITMAP;
	else
		block->kinds = any ? BT_ALL_WRITE : BT_ALL_READ;
	block->page_base = low;
	block->page_bytes = bytes_for(high - low);
	block->delta_bytes = bytes_for(delta);
	block->operand_bytes = bytes_for(operand);
}

void bt_pack(ZSTD_CCtx *packer, const struct bt_records *r, uint64_t first_record,
	     struct bt_block *block, uint8_t *payload)
{
	struct packing p = {.packer = packer, .block = block, .payload = payload};

	*block = (struct bt_block){.magic = BT_BLOCK_MAGIC, .first_record = first_record};
	choose(r, block);
	pack_kinds(&p, r);
	pack_column(&p, BT_PAGE, block->page_bytes, r->n, r->page, NULL, block->page_base);
	pack_column(&p, BT_DELTA, block->delta_bytes, r->n, NULL, r->delta, 0);
	pack_column(&p, BT_OPERAND, block->operand_bytes, r->operands, r->operand, NULL, 0);
	block->checksum = bt_block_sum(block, payload, p.used);
}
