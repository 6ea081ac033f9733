#include "traces/bt.h"

#include <string.h>
#include <xxhash.h>

uint64_t bt_header_sum(const struct bt_header *header)
{
	return XXH64(header, offsetof(struct bt_header, checksum), 0);
}

uint64_t bt_block_sum(const struct bt_block *block, const void *payload, size_t n)
{
	return XXH64(payload, n, XXH64(block, offsetof(struct bt_block, checksum), 0));
}

uint64_t bt_index_sum(const struct bt_index *index)
{
	return XXH64(index, offsetof(struct bt_index, checksum), 0);
}

uint64_t bt_index_add(uint64_t sum, const struct bt_index_entry *entry)
{
	return XXH64(entry, sizeof *entry, sum);
}

uint64_t bt_footer_sum(const struct bt_footer *footer, const struct bt_header *header)
{
	return XXH64(footer, offsetof(struct bt_footer, checksum), header->checksum);
}

const char *bt_header_check(const struct bt_header *header)
{
	if (memcmp(header->magic, BT_MAGIC, BT_MAGIC_BYTES) != 0)
		return "this is not a .bt trace: its first bytes are others; say --format";
	if (!bt_sum_matches(header->checksum, bt_header_sum(header)))
		return "the header is damaged (checksum); make the trace anew";
	if (header->version != BT_VERSION)
		return "this version of the .bt format is not known here; use a newer ballast";
	if (header->form > BT_FIXED || header->space > TRACE_VPN)
		return "the header names a form or a space that does not exist";
	if (header->page_size != PAGE_SIZE)
		return "the pages are not of 4096 bytes";
	if (!header->vms || header->vms > VMS_MAX || !header->tick_ns)
		return "the header says 0 VMs, over 4096, or ticks of 0 ns";
	if (!memchr(header->provenance, 0, sizeof header->provenance))
		return "the header's text has no end";
	return NULL;
}

const char *bt_footer_check(const struct bt_footer *footer, const struct bt_header *header)
{
	if (footer->magic != BT_FOOTER_MAGIC)
		return "the totals at the end are missing: the file is cut short or goes on too "
		       "long";
	if (!bt_sum_matches(footer->checksum, bt_footer_sum(footer, header)))
		return "the totals at the end are damaged (checksum); make the trace anew";
	if (footer->highest_page > REC_PAGE_MAX || !footer->vms || footer->vms > VMS_MAX ||
	    footer->records > footer->words || footer->words - footer->records > footer->records ||
	    footer->writes > footer->records || footer->pages > footer->records)
		return "the totals at the end contradict themselves";
	if (header->form == BT_FIXED && (footer->index_offset || footer->index_entries))
		return "a fixed trace with an index";
	if (header->form == BT_COLUMNAR &&
	    footer->records / BT_BLOCK_RECORDS > footer->index_entries)
		return "the totals at the end say more records than the blocks can hold";
	return NULL;
}

const char *bt_block_check(const struct bt_block *block)
{
	if (!block->records || block->records > BT_BLOCK_RECORDS ||
	    block->operands > block->records)
		return "a block with an impossible count of records";
	if (block->kinds > BT_BYTES || (block->kinds != BT_BYTES && block->operands))
		return "a block whose form does not exist";
	if (block->page_bytes > 5 || block->delta_bytes > 3 || block->operand_bytes > 8 ||
	    block->page_base > REC_PAGE_MAX)
		return "a block with values out of range";
	for (unsigned i = 0; i < BT_PLANES; i++) {
		if (block->stored[i] > bt_plane_bytes(block, i))
			return "a block that is larger packed than unpacked";
	}
	return NULL;
}

/* Bytes of the k-th plane of a column of n values of w bytes. */
static size_t column_plane_bytes(size_t n, unsigned w, unsigned k)
{
	if (w <= 2 * k)
		return 0;
	return w == 2 * k + 1 ? n : 2 * n;
}

size_t bt_plane_bytes(const struct bt_block *block, unsigned plane)
{
	if (plane >= BT_OPERAND)
		return column_plane_bytes(block->operands, block->operand_bytes,
					  plane - BT_OPERAND);
	if (plane >= BT_DELTA)
		return column_plane_bytes(block->records, block->delta_bytes, plane - BT_DELTA);
	if (plane >= BT_PAGE)
		return column_plane_bytes(block->records, block->page_bytes, plane - BT_PAGE);
	switch (block->kinds) {
	case BT_BITMAP:
		return (block->records + 7) / 8;
	case BT_BYTES:
		return block->records;
	default:
		return 0;
	}
}

size_t bt_payload_bytes(const struct bt_block *block)
{
	size_t n = 0;

	for (unsigned i = 0; i < BT_PLANES; i++)
		n += block->stored[i];
	return n;
}
