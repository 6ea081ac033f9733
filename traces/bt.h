/*
 * The .bt format on disk, and the codec of its blocks; for traces/bt_*.c.
 *
 *   header | block ... block | index | footer        columnar, zstd
 *   header | word  ... word          | footer        fixed: the records as they are
 *
 * Everything is little-endian and of fixed width. The header ends with its
 * XXH64. A block is its head, then one stored plane after another: a column of
 * w-byte values is cut into planes of 16 bits, the last of 8 where w is odd,
 * because the upper planes are nearly constant and pack well while the lower
 * ones often do not pack at all; a plane that zstd shrinks by less than an
 * eighth stays raw, so that it costs a copy. Pages are stored as differences
 * from the block's lowest. The head's checksum is XXH64 of the payload, seeded
 * with XXH64 of the head. The index names every block's offset; the footer
 * holds the totals, is found at the end of a file and met at the end of a
 * pipe, and its checksum is seeded with the header's: a footer of another file
 * does not fit. A fixed file's records have one XXH3 digest in the footer,
 * checked when the last one is lent.
 */
#ifndef BALLAST_TRACES_BT_H
#define BALLAST_TRACES_BT_H

#include "traces/private.h"

#include <zstd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "columns and fixed records are used in place: a little-endian machine is needed");

#define BT_MAGIC                                                                                   \
	"\x89"                                                                                     \
	"BT\r\n\x1a\n\0" /* mangled by text transfers and 7-bit ones */
#define BT_MAGIC_BYTES	 8
#define BT_VERSION	 1
#define BT_BLOCK_RECORDS 65536u
#define BT_BLOCK_MAGIC	 0x4b425442u /* "BTBK" */
#define BT_INDEX_MAGIC	 0x58495442u /* "BTIX" */
#define BT_FOOTER_MAGIC	 0x444e5442u /* "BTND" */

enum bt_form { BT_COLUMNAR = 0, BT_FIXED = 1 };

struct bt_header {
	char magic[BT_MAGIC_BYTES];
	uint32_t version, form, page_size, space, vms, tick_ns;
	uint64_t reserved[3]; /* zero */
	char provenance[256]; /* ended by a zero */
	uint64_t checksum;
};

/* Planes in the order in which they are stored. */
enum { BT_KINDS = 0, BT_PAGE = 1, BT_DELTA = 4, BT_OPERAND = 6, BT_PLANES = 10 };

/* How kinds are stored: not at all, a bit per record, a byte per record. */
enum bt_kinds { BT_ALL_READ, BT_ALL_WRITE, BT_BITMAP, BT_BYTES };

struct bt_block {
	uint32_t magic, records, operands;
	uint8_t kinds, page_bytes, delta_bytes, operand_bytes;
	uint64_t page_base, first_record;
	uint32_t stored[BT_PLANES];
	uint64_t checksum;
};

struct bt_index {
	uint32_t magic, reserved;
	uint64_t entries, checksum; /* of this head, then of each entry seeded with the last */
};

struct bt_index_entry {
	uint64_t offset, first_record;
};

struct bt_footer {
	uint32_t magic, vms;
	uint64_t records, words, writes, pages, highest_page;
	uint64_t index_offset, index_entries; /* 0 in the fixed form */
	uint64_t digest;		      /* XXH3 of the words in the fixed form */
	uint64_t checksum;
};

_Static_assert(sizeof(struct bt_header) == 320 && sizeof(struct bt_block) == 80 &&
		       sizeof(struct bt_index) == 24 && sizeof(struct bt_footer) == 80,
	       "as on disk");

/* Fuzzing reaches what lies behind the checksums by not comparing them. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define bt_sum_matches(a, b) ((void)(a), (void)(b), true)
#else
#define bt_sum_matches(a, b) ((a) == (b))
#endif

uint64_t bt_header_sum(const struct bt_header *header);
uint64_t bt_block_sum(const struct bt_block *block, const void *payload, size_t n);
uint64_t bt_index_sum(const struct bt_index *index); /* before the first entry */
uint64_t bt_index_add(uint64_t sum, const struct bt_index_entry *entry);
uint64_t bt_footer_sum(const struct bt_footer *footer, const struct bt_header *header);

/* Each returns NULL, or what is wrong in words. */
const char *bt_header_check(const struct bt_header *header);
const char *bt_footer_check(const struct bt_footer *footer, const struct bt_header *header);
const char *bt_block_check(const struct bt_block *block);

/* Bytes that a plane has when unpacked, and that all planes have as stored. */
size_t bt_plane_bytes(const struct bt_block *block, unsigned plane);
size_t bt_payload_bytes(const struct bt_block *block);

/* A block taken apart: room for the columns of BT_BLOCK_RECORDS records. */
struct bt_records {
	uint32_t n, operands;
	uint64_t page[BT_BLOCK_RECORDS], operand[BT_BLOCK_RECORDS];
	uint32_t delta[BT_BLOCK_RECORDS];
	uint8_t kind[BT_BLOCK_RECORDS];
};

/* Fills in the head and the payload (room: BT_PAYLOAD_MAX). */
#define BT_PLANE_MAX   (2 * (size_t)BT_BLOCK_RECORDS)
#define BT_PAYLOAD_MAX (BT_PLANES * BT_PLANE_MAX)
void bt_pack(ZSTD_CCtx *packer, const struct bt_records *records, uint64_t first_record,
	     struct bt_block *block, uint8_t *payload);

/* One block unpacked, on its way into batches. */
struct bt_unpacked {
	struct bt_block head;
	uint32_t next, next_operand; /* what the next batch begins with */
	bool narrow; /* expand without the machine's wide instructions: for comparison */
	uint8_t bits[BT_BLOCK_RECORDS / 8];
	uint8_t plane[BT_PLANES][BT_PLANE_MAX];
};

/* Unpacks a payload whose head and checksum are found good. NULL, or what is wrong. */
const char *bt_unpack(ZSTD_DCtx *unpacker, const struct bt_block *head, const uint8_t *payload,
		      struct bt_unpacked *block);

/* VMs that the block's records name, from 0 to the highest; 0 if none does. */
uint64_t bt_vms_named(const struct bt_unpacked *block);

/* The next words of the block into the batch; none at its end. */
void bt_expand(struct bt_unpacked *block, struct batch *batch);

#endif
