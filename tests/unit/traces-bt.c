/* The codec of .bt blocks: what is packed is unpacked, whatever the widths; hostile heads are
 * found. */
#include "traces.h"

#include "traces/bt.h"

static struct bt_records records;
static struct bt_unpacked unpacked;
static uint8_t payload[BT_PAYLOAD_MAX];

static void take_apart(const struct words *words)
{
	records.n = records.operands = 0;
	for (size_t i = 0; i < words->n; i++) {
		rec_t r = words->w[i];

		records.page[records.n] = rec_page(r);
		records.delta[records.n] = rec_delta(r);
		records.kind[records.n++] = (uint8_t)rec_kind(r);
		if (rec_is_wide(r))
			records.operand[records.operands++] = words->w[++i];
	}
}

static struct words put_together(void)
{
	static struct batch batch;
	struct words words = {0};

	while (unpacked.next < unpacked.head.records) {
		bt_expand(&unpacked, &batch);
		CU_ASSERT(batch.n > 0 && batch.n <= BATCH_WORDS);
		words_add(&words, batch.word, batch.n);
	}
	return words;
}

static void round_trip(struct rng *rng, size_t n, struct shape shape, uint64_t base)
{
	struct words words = words_random(rng, n, shape), back;
	ZSTD_CCtx *packer = ZSTD_createCCtx();
	ZSTD_DCtx *unpacker = ZSTD_createDCtx();
	struct bt_block head;

	if (shape.only_rw) {
		for (size_t i = 0; i < words.n; i++)
			words.w[i] += base << 28;
	}
	take_apart(&words);
	bt_pack(packer, &records, 7, &head, payload);
	CU_ASSERT_PTR_NULL(bt_block_check(&head));
	CU_ASSERT_EQUAL(head.checksum, bt_block_sum(&head, payload, bt_payload_bytes(&head)));
	for (int narrow = 0; narrow < 2; narrow++) {
		CU_ASSERT_PTR_NULL(bt_unpack(unpacker, &head, payload, &unpacked));
		unpacked.narrow = narrow;
		back = put_together();
		CU_ASSERT(words_equal(&words, &back));
		words_free(&back);
	}
	words_free(&words);
	ZSTD_freeCCtx(packer);
	ZSTD_freeDCtx(unpacker);
}

static void test_round_trips(void)
{
	static const size_t counts[] = {1, 7, 8, 9, 4096, 8191, 8192, 8193, 65535, 65536};
	static const uint32_t deltas[] = {0, 2, 300, 1 << 20};
	struct rng rng;

	rng_init(&rng, test_seed(1), "test", 0);
	for (unsigned bits = 0; bits <= REC_PAGE_BITS; bits += 4) {
		for (unsigned i = 0; i < ARRAY_LEN(deltas); i++) {
			struct shape shape = {.pages = UINT64_C(1) << bits, .delta = deltas[i]};
			uint64_t base = rng_below(&rng, REC_PAGE_MAX + 2 - shape.pages);
			size_t n = counts[rng_below(&rng, ARRAY_LEN(counts))];

			shape.operand = UINT64_C(1) << 17 * i;
			round_trip(&rng, n, shape, 0);
			shape.only_rw = true;
			round_trip(&rng, n, shape, base);
		}
	}
}

/* Reads alone and writes alone need no column of kinds; pages in a row pack to next to nothing. */
static void test_columns_left_out(void)
{
	ZSTD_CCtx *packer = ZSTD_createCCtx();
	struct bt_block head;

	for (unsigned kind = REC_READ; kind <= REC_WRITE; kind++) {
		records.n = BT_BLOCK_RECORDS;
		records.operands = 0;
		for (unsigned i = 0; i < records.n; i++) {
			records.page[i] = 1000000 + i % 256;
			records.delta[i] = 0;
			records.kind[i] = (uint8_t)kind;
		}
		bt_pack(packer, &records, 0, &head, payload);
		CU_ASSERT_EQUAL(head.kinds, kind == REC_READ ? BT_ALL_READ : BT_ALL_WRITE);
		CU_ASSERT_EQUAL(head.page_base, 1000000);
		CU_ASSERT_EQUAL(head.page_bytes, 1);
		CU_ASSERT_EQUAL(head.delta_bytes, 0);
		CU_ASSERT(bt_payload_bytes(&head) < 1000); /* of 65536 */
	}
	ZSTD_freeCCtx(packer);
}

/* A plane that does not pack stays raw: noise costs its own size and no more. */
static void test_noise_stays_raw(void)
{
	ZSTD_CCtx *packer = ZSTD_createCCtx();
	struct bt_block head;
	struct rng rng;

	rng_init(&rng, 2, "test", 0);
	records.n = BT_BLOCK_RECORDS;
	records.operands = 0;
	for (unsigned i = 0; i < records.n; i++) {
		records.page[i] = rng_below(&rng, 65536);
		records.delta[i] = 0;
		records.kind[i] = REC_READ;
	}
	bt_pack(packer, &records, 0, &head, payload);
	CU_ASSERT_EQUAL(head.page_bytes, 2);
	CU_ASSERT_EQUAL(head.stored[BT_PAGE], 2 * BT_BLOCK_RECORDS);
	ZSTD_freeCCtx(packer);
}

static void test_hostile_heads(void)
{
	const struct bt_block good = {
		.magic = BT_BLOCK_MAGIC, .records = 8, .page_bytes = 1, .stored = {[BT_PAGE] = 8}};
	struct bt_block bad;

	CU_ASSERT_PTR_NULL(bt_block_check(&good));
#define REFUSED(change)                                                                            \
	bad = good;                                                                                \
	bad.change;                                                                                \
	CU_ASSERT_PTR_NOT_NULL(bt_block_check(&bad))
	REFUSED(records = 0);
	REFUSED(records = BT_BLOCK_RECORDS + 1);
	REFUSED(operands = 9);
	REFUSED(operands = 1); /* without kinds of a byte each */
	REFUSED(kinds = 4);
	REFUSED(page_bytes = 6);
	REFUSED(delta_bytes = 4);
	REFUSED(operand_bytes = 9);
	REFUSED(page_base = REC_PAGE_MAX + 1);
	REFUSED(stored[BT_PAGE] = 9);
	REFUSED(stored[BT_PAGE + 1] = 1);
	REFUSED(stored[BT_OPERAND] = UINT32_MAX);
#undef REFUSED
}

/* Headers and footers whose sums are right, but what they say is not. */
static void test_hostile_ends(void)
{
	const struct bt_header header = {.version = 1, .page_size = 4096, .vms = 1, .tick_ns = 1};
	const struct bt_footer footer = {.magic = BT_FOOTER_MAGIC,
					 .vms = 1,
					 .records = 9,
					 .words = 10,
					 .writes = 9,
					 .pages = 9};
	struct bt_header h;
	struct bt_footer f;

#define HEADER(change)                                                                             \
	h = header;                                                                                \
	memcpy(h.magic, BT_MAGIC, BT_MAGIC_BYTES);                                                 \
	change;                                                                                    \
	h.checksum = bt_header_sum(&h)
#define FOOTER(change)                                                                             \
	f = footer;                                                                                \
	change;                                                                                    \
	f.checksum = bt_footer_sum(&f, &h)
	HEADER(h.version = 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(bt_header_check(&h), "newer"));
	HEADER(h.form = 2);
	CU_ASSERT_PTR_NOT_NULL(bt_header_check(&h));
	HEADER(h.space = 2);
	CU_ASSERT_PTR_NOT_NULL(bt_header_check(&h));
	HEADER(h.page_size = 8192);
	CU_ASSERT_PTR_NOT_NULL(bt_header_check(&h));
	HEADER(h.vms = 0);
	CU_ASSERT_PTR_NOT_NULL(bt_header_check(&h));
	HEADER(h.vms = VMS_MAX + 1);
	CU_ASSERT_PTR_NOT_NULL(bt_header_check(&h));
	HEADER(h.tick_ns = 0);
	CU_ASSERT_PTR_NOT_NULL(bt_header_check(&h));
	HEADER(memset(h.provenance, 'x', sizeof h.provenance));
	CU_ASSERT_PTR_NOT_NULL(bt_header_check(&h));
	HEADER((void)0);
	CU_ASSERT_PTR_NULL(bt_header_check(&h));
	FOOTER((void)0);
	CU_ASSERT_PTR_NULL(bt_footer_check(&f, &h));
	FOOTER(f.magic++);
	CU_ASSERT_PTR_NOT_NULL(bt_footer_check(&f, &h));
	FOOTER(f.words = 8);
	CU_ASSERT_PTR_NOT_NULL(bt_footer_check(&f, &h));
	FOOTER(f.words = 19);
	CU_ASSERT_PTR_NOT_NULL(bt_footer_check(&f, &h));
	FOOTER(f.writes = 10);
	CU_ASSERT_PTR_NOT_NULL(bt_footer_check(&f, &h));
	FOOTER(f.pages = 10);
	CU_ASSERT_PTR_NOT_NULL(bt_footer_check(&f, &h));
	FOOTER(f.highest_page = REC_PAGE_MAX + 1);
	CU_ASSERT_PTR_NOT_NULL(bt_footer_check(&f, &h));
	FOOTER(f.vms = VMS_MAX + 1);
	CU_ASSERT_PTR_NOT_NULL(bt_footer_check(&f, &h));
	HEADER(h.tick_ns = 2); /* the footer of another file */
	CU_ASSERT_PTR_NOT_NULL(bt_footer_check(&footer, &h));
#undef HEADER
#undef FOOTER
}

/* What the head cannot tell is found when the columns are unpacked. */
static void test_hostile_columns(void)
{
	ZSTD_DCtx *unpacker = ZSTD_createDCtx();
	struct bt_block head = {.records = 2,
				.page_bytes = 1,
				.page_base = REC_PAGE_MAX - 5,
				.stored = {[BT_PAGE] = 2}};
	uint8_t pages[2] = {0, 5}, kinds[4] = {REC_READ, 7, 1, 2};

	CU_ASSERT_PTR_NULL(bt_unpack(unpacker, &head, pages, &unpacked));
	pages[1] = 6; /* one over the highest page */
	CU_ASSERT_PTR_NOT_NULL(bt_unpack(unpacker, &head, pages, &unpacked));
	head = (struct bt_block){.records = 2,
				 .kinds = BT_BYTES,
				 .page_bytes = 1,
				 .stored = {[BT_KINDS] = 2, [BT_PAGE] = 2}};
	CU_ASSERT_PTR_NOT_NULL(bt_unpack(unpacker, &head, kinds, &unpacked)); /* kind 7 */
	kinds[1] = REC_MAP;						      /* no operand */
	CU_ASSERT_PTR_NOT_NULL(bt_unpack(unpacker, &head, kinds, &unpacked));
	kinds[1] = REC_WRITE;
	CU_ASSERT_PTR_NULL(bt_unpack(unpacker, &head, kinds, &unpacked));
	head.stored[BT_PAGE] = 1; /* neither raw nor zstd */
	CU_ASSERT_PTR_NOT_NULL(bt_unpack(unpacker, &head, kinds, &unpacked));
	ZSTD_freeDCtx(unpacker);
}

TESTS("traces/bt", {"round trips", test_round_trips}, {"columns left out", test_columns_left_out},
      {"noise stays raw", test_noise_stays_raw}, {"hostile ends", test_hostile_ends},
      {"hostile heads", test_hostile_heads}, {"hostile columns", test_hostile_columns})
