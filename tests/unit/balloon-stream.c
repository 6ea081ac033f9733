/* Messages out of bytes that come in any pieces, and out of bytes that are none. */
#include "balloon.h"

#include "core/rng.h"

static struct stream *open_on(struct wire *w, uint16_t opening)
{
	struct stream *s = calloc(1, sizeof *s);

	if (!s)
		abort();
	stream_init(s, &(struct balloon_end){w, wire_send, wire_recv, wire_ring}, opening);
	return s;
}

static int next_type(struct stream *s)
{
	const struct balloon_msg *m;
	int rc = stream_next(s, &m);

	return rc > 0 ? le16toh(m->type) : rc;
}

/* The same conversation, cut anywhere: as many messages, at the same places. */
static void in_pieces(void)
{
	struct wire *w = wire_new(), *cut = wire_new();
	struct rng rng;

	rng_init(&rng, test_seed(1), "pieces", 0);
	wire_hello(w, 3);
	wire_run(w, BALLOON_MSG_INFLATE, 5, 1);
	wire_run(w, BALLOON_MSG_DEFLATE, 5, BALLOON_BATCH_MAX);
	wire_stats(w, 1, 2);
	wire_say(w, &(struct balloon_msg){0}, BALLOON_MSG_BYE, 8);
	const int want[] = {BALLOON_MSG_HELLO, BALLOON_MSG_INFLATE, BALLOON_MSG_DEFLATE,
			    BALLOON_MSG_STATS, BALLOON_MSG_BYE};
	for (int round = 0; round < 50; round++) {
		struct stream *s = open_on(cut, BALLOON_MSG_HELLO);
		size_t got = 0;
		for (size_t at = 0; at < w->said;) {
			size_t n = 1 + rng_below(&rng, round < 25 ? 9 : 3000);
			n = n < w->said - at ? n : w->said - at;
			wire_bytes(cut, w->to_host + at, n);
			at += n;
			int type;
			while ((type = next_type(s)) > 0) {
				CU_ASSERT_FATAL(got < ARRAY_LEN(want));
				CU_ASSERT_EQUAL(type, want[got++]);
			}
			CU_ASSERT_EQUAL_FATAL(type, 0);
		}
		CU_ASSERT_EQUAL(got, ARRAY_LEN(want));
		CU_ASSERT_EQUAL(s->skipped, 0);
		free(s);
	}
	free(w);
	free(cut);
}

/* Half a message stays until the other half comes. */
static void half(void)
{
	struct wire *w = wire_new();
	struct stream *s = open_on(w, BALLOON_MSG_HELLO);

	wire_hello(w, 0);
	CU_ASSERT_EQUAL(next_type(s), BALLOON_MSG_HELLO);
	w->said = w->heard = 0;
	wire_stats(w, 0, 0);
	w->said -= 8;
	CU_ASSERT_EQUAL(next_type(s), 0);
	CU_ASSERT_EQUAL(next_type(s), 0);
	wire_bytes(w, (uint64_t[]){0}, 8);
	CU_ASSERT_EQUAL(next_type(s), BALLOON_MSG_STATS);
	free(s);
	free(w);
}

static void lost_and_found(void)
{
	struct wire *w = wire_new();
	struct stream *s = open_on(w, BALLOON_MSG_HELLO);

	wire_stats(w, 0, 0); /* 112 bytes before anything was said */
	wire_hello(w, 0);
	CU_ASSERT_EQUAL(next_type(s), BALLOON_MSG_HELLO);
	CU_ASSERT_EQUAL(s->skipped, 112);
	w->seq = 7; /* out of order */
	wire_stats(w, 0, 0);
	CU_ASSERT_EQUAL(next_type(s), -EPROTO);
	CU_ASSERT_EQUAL(next_type(s), 0);
	struct balloon_hello fake = wire_a_hello(0);
	fake.magic = 0;
	w->seq = 0;
	wire_say(w, &fake, BALLOON_MSG_HELLO, sizeof fake);
	CU_ASSERT_EQUAL(next_type(s), 0);
	wire_hello(w, 0);
	CU_ASSERT_EQUAL(next_type(s), BALLOON_MSG_HELLO);
	wire_hello(w, 0); /* again, at any time */
	CU_ASSERT_EQUAL(next_type(s), BALLOON_MSG_HELLO);
	wire_stats(w, 0, 0);
	CU_ASSERT_EQUAL(next_type(s), BALLOON_MSG_STATS);
	w->fault = -ECONNRESET;
	CU_ASSERT_EQUAL(next_type(s), -ECONNRESET);
	wire_stats(w, 0, 0);
	CU_ASSERT_EQUAL(next_type(s), 0);
	free(s);
	free(w);
}

/* However much rubbish there is, one call passes over so much of it. */
static void bounded(void)
{
	struct wire *w = wire_new();
	struct stream *s = open_on(w, BALLOON_MSG_HELLO);
	uint64_t zeros[1024] = {0};

	for (int i = 0; i < 10; i++)
		wire_bytes(w, zeros, sizeof zeros);
	CU_ASSERT_EQUAL(next_type(s), 0);
	CU_ASSERT_EQUAL(s->skipped, STREAM_SKIP_MOST);
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(next_type(s), 0);
	CU_ASSERT_EQUAL(s->skipped, sizeof zeros * 10);
	free(s);
	free(w);
}

static void for_a_driver(void)
{
	struct wire *w = wire_new();
	struct stream *s = open_on(w, BALLOON_MSG_WELCOME);
	struct balloon_welcome m = {.version = htole16(1)};
	struct balloon_reset reset = {0};

	w->seq = 12; /* what was on its way to the driver before this one */
	wire_say(w, &reset, BALLOON_MSG_RESET, sizeof reset);
	w->seq = 0;
	wire_say(w, &m, BALLOON_MSG_WELCOME, sizeof m);
	wire_say(w, &reset, BALLOON_MSG_RESET, sizeof reset);
	CU_ASSERT_EQUAL(next_type(s), BALLOON_MSG_WELCOME);
	CU_ASSERT_EQUAL(next_type(s), BALLOON_MSG_RESET);
	free(s);
	free(w);
}

/* Sizes of answers with and without a map, by hand. */
static void acks(void)
{
	uint64_t words[64] = {0};
	struct balloon_ack *a = (struct balloon_ack *)words;
	const struct {
		uint32_t accepted, refused;
		size_t size;
	} good[] = {{5, 0, 32},	 {1, 0, 32},  {0, 1, 32},     {1, 1, 40},
		    {63, 1, 40}, {64, 1, 48}, {0, 1020, 160}, {1020, 0, 32}};

	a->msg.type = htole16(BALLOON_MSG_ACK);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		a->accepted = htole32(good[i].accepted);
		a->refused = htole32(good[i].refused);
		for (size_t size = 8; size <= 200; size += 8)
			CU_ASSERT_EQUAL(message_fits(&a->msg, size), size == good[i].size);
	}
	a->accepted = htole32(UINT32_MAX); /* their sum is no count */
	a->refused = htole32(2);
	CU_ASSERT_FALSE(message_fits(&a->msg, 40));
}

static void reasons(void)
{
	for (uint32_t i = 0; i <= BALLOON_OFF; i++)
		CU_ASSERT_TRUE(strlen(reason_name(i)) > 3);
	CU_ASSERT_STRING_EQUAL(reason_name(BALLOON_OFF + 1), "an unknown reason");
	CU_ASSERT_STRING_EQUAL(reason_name(UINT32_MAX), "an unknown reason");
}

TESTS("balloon/stream", {"in pieces", in_pieces}, {"half a message", half},
      {"lost and found", lost_and_found}, {"bounded", bounded}, {"for a driver", for_a_driver},
      {"answers", acks}, {"reasons", reasons})
