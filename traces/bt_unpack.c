#include "traces/bt.h"

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static const char damaged[] = "a block whose packed columns are damaged";

static uint16_t half(const uint8_t *plane, size_t i)
{
	uint16_t v;

	memcpy(&v, plane + 2 * i, sizeof v); /* one load */
	return v;
}

/* The i-th value of a column of w bytes; w is a constant where this is inlined. */
ALWAYS_INLINE uint64_t value(const uint8_t (*plane)[BT_PLANE_MAX], unsigned w, size_t i)
{
	uint64_t v = 0;

	for (unsigned k = 0; 2 * k < w; k++)
		v |= (uint64_t)(w == 2 * k + 1 ? plane[k][i] : half(plane[k], i)) << (16 * k);
	return v;
}

/*
 * No record may name a page over REC_PAGE_MAX. The uppermost plane alone
 * mostly shows that none does; only where it cannot is every value added up.
 */
static bool pages_in_range(const struct bt_unpacked *b)
{
	unsigned w = b->head.page_bytes, top = (w - 1) / 2;
	const uint8_t(*plane)[BT_PLANE_MAX] = b->plane + BT_PAGE;
	uint64_t room = REC_PAGE_MAX - b->head.page_base, high = 0;

	if (!w || room >= (UINT64_C(1) << 8 * w) - 1)
		return true;
	for (size_t i = 0; i < b->head.records; i++)
		high = max_u64(high, w % 2 ? plane[top][i] : half(plane[top], i));
	if (((high + 1) << 16 * top) - 1 <= room)
		return true;
	for (size_t i = 0; i < b->head.records; i++) {
		if (value(plane, w, i) > room)
			return false;
	}
	return true;
}

/* Every kind exists, and as many are wide as there are operands. */
static bool kinds_in_order(const struct bt_unpacked *b)
{
	size_t wide = 0;

	if (b->head.kinds != BT_BYTES)
		return true;
	for (size_t i = 0; i < b->head.records; i++) {
		uint8_t kind = b->plane[BT_KINDS][i];

		if (kind >= REC_KINDS || !kind_valid(kind))
			return false;
		wide += rec_is_wide(kind);
	}
	return wide == b->head.operands;
}

uint64_t bt_vms_named(const struct bt_unpacked *b)
{
	uint64_t vms = 0;

	for (size_t i = 0; b->head.kinds == BT_BYTES && i < b->head.records; i++) {
		if (b->plane[BT_KINDS][i] == REC_VM)
			vms = max_u64(vms,
				      b->head.page_base +
					      value(b->plane + BT_PAGE, b->head.page_bytes, i) + 1);
	}
	return vms;
}

const char *bt_unpack(ZSTD_DCtx *unpacker, const struct bt_block *head, const uint8_t *payload,
		      struct bt_unpacked *b)
{
	b->head = *head;
	b->next = b->next_operand = 0;
	for (unsigned i = 0; i < BT_PLANES; i++) {
		size_t n = bt_plane_bytes(head, i), stored = head->stored[i];

		if (stored == n)
			memcpy(b->plane[i], payload, n);
		else if (ZSTD_decompressDCtx(unpacker, b->plane[i], n, payload, stored) != n)
			return damaged;
		payload += stored;
	}
	if (head->kinds == BT_BITMAP)
		memcpy(b->bits, b->plane[BT_KINDS], (head->records + 7) / 8);
	else
		memset(b->bits, head->kinds == BT_ALL_WRITE ? 0xff : 0, sizeof b->bits);
	if (!kinds_in_order(b))
		return "a block with a kind of record that does not exist";
	if (!pages_in_range(b))
		return "a block that names a page over 2^36 - 1";
	return NULL;
}

/*
 * Pages of w bytes and the bits of the kinds into out: first is a multiple of
 * 8, and the last eight may run past n into out's spare room. This one for
 * any machine, the next for those with AVX2: the same, four at a time.
 */
ALWAYS_INLINE void expand_narrow(const struct bt_unpacked *b, unsigned w, size_t first, size_t n,
				 rec_t *out)
{
	uint64_t base = b->head.page_base;

	for (size_t i = first; i < first + n; i += 8, out += 8) {
		uint64_t bits = b->bits[i / 8];

		for (unsigned j = 0; j < 8; j++)
			out[j] = (base + value(b->plane + BT_PAGE, w, i + j)) << 28 |
				 (bits >> j & 1);
	}
}

#ifdef __x86_64__
#define HAS_WIDE __builtin_cpu_supports("avx2")

__attribute__((target("avx2"))) ALWAYS_INLINE __m256i load_wide(const uint8_t *plane, bool single,
								size_t i)
{
	uint32_t bytes;

	if (!single)
		return _mm256_cvtepu16_epi64(_mm_loadl_epi64((const __m128i *)(plane + 2 * i)));
	memcpy(&bytes, plane + i, sizeof bytes);
	return _mm256_cvtepu8_epi64(_mm_cvtsi32_si128((int)bytes));
}

__attribute__((target("avx2"))) ALWAYS_INLINE void
expand_wide(const struct bt_unpacked *b, unsigned w, size_t first, size_t n, rec_t *out)
{
	const __m256i base = _mm256_set1_epi64x((long long)b->head.page_base);
	const __m256i lane = _mm256_set_epi64x(3, 2, 1, 0), one = _mm256_set1_epi64x(1);

	for (size_t i = first; i < first + n; i += 4, out += 4) {
		__m256i v = base, bits = _mm256_set1_epi64x(b->bits[i / 8] >> i % 8);

		for (unsigned k = 0; 2 * k < w; k++) {
			__m256i part = load_wide(b->plane[BT_PAGE + k], w == 2 * k + 1, i);
			v = _mm256_add_epi64(v, _mm256_slli_epi64(part, 16 * (int)k));
		}
		bits = _mm256_and_si256(_mm256_srlv_epi64(bits, lane), one);
		v = _mm256_or_si256(_mm256_slli_epi64(v, 28), bits);
		_mm256_storeu_si256((__m256i *)out, v);
	}
}
#else
#define HAS_WIDE    false
#define expand_wide expand_narrow
#endif

/* One loop for each width that pages can have. */
#define EXPAND_BY_WIDTH(expand, b, first, n, out)                                                  \
	switch ((b)->head.page_bytes) {                                                            \
	case 0:                                                                                    \
		expand(b, 0, first, n, out);                                                       \
		break;                                                                             \
	case 1:                                                                                    \
		expand(b, 1, first, n, out);                                                       \
		break;                                                                             \
	case 2:                                                                                    \
		expand(b, 2, first, n, out);                                                       \
		break;                                                                             \
	case 3:                                                                                    \
		expand(b, 3, first, n, out);                                                       \
		break;                                                                             \
	case 4:                                                                                    \
		expand(b, 4, first, n, out);                                                       \
		break;                                                                             \
	default:                                                                                   \
		expand(b, 5, first, n, out);                                                       \
		break;                                                                             \
	}

static void pages_narrow(const struct bt_unpacked *b, size_t first, size_t n, rec_t *out)
{
	EXPAND_BY_WIDTH(expand_narrow, b, first, n, out)
}

#ifdef __x86_64__
__attribute__((target("avx2")))
#endif
static void
pages_wide(const struct bt_unpacked *b, size_t first, size_t n, rec_t *out)
{
	EXPAND_BY_WIDTH(expand_wide, b, first, n, out)
}

static void add_deltas(const struct bt_unpacked *b, size_t first, size_t n, rec_t *out)
{
	const uint8_t(*plane)[BT_PLANE_MAX] = b->plane + BT_DELTA;
	unsigned w = b->head.delta_bytes;

	if (w == 1) {
		for (size_t i = 0; i < n; i++)
			out[i] |= value(plane, 1, first + i) << 4;
	} else if (w) {
		for (size_t i = 0; i < n; i++)
			out[i] |= value(plane, w, first + i) << 4;
	}
}

/* Kinds of a byte each: the records lie in in, each wide one gets its operand behind it. */
static void weave(struct bt_unpacked *b, size_t first, size_t n, const rec_t *in,
		  struct batch *batch)
{
	for (size_t i = 0; i < n; i++) {
		rec_t r = in[i] | b->plane[BT_KINDS][first + i];

		batch_add(batch, r);
		if (rec_is_wide(r))
			batch_add(batch, value(b->plane + BT_OPERAND, b->head.operand_bytes,
					       b->next_operand++));
	}
}

void bt_expand(struct bt_unpacked *b, struct batch *batch)
{
	bool bytes = b->head.kinds == BT_BYTES;
	size_t first = b->next;
	size_t n = min_u64(b->head.records - first, bytes ? BATCH_WORDS / 2 : BATCH_WORDS);
	rec_t half_batch[BATCH_WORDS / 2 + 8];
	rec_t *out = bytes ? half_batch : batch->word;

	(b->narrow || !HAS_WIDE ? pages_narrow : pages_wide)(b, first, n, out);
	add_deltas(b, first, n, out);
	batch->n = bytes ? 0 : n;
	if (bytes)
		weave(b, first, n, out, batch);
	b->next += (uint32_t)n;
}
