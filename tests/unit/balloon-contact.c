/* Drivers that mean harm, each refused, counted, and harmless to the VM beside it. */
#include "balloon.h"

#define SECOND UINT64_C(1000000000)
#define PAGES  2048
#define GUESTS 300 /* pages of the other VM */

struct scene {
	struct balloon_test bt;
	struct wire *w;
	struct vm *bad, *good;
};

static void scene_open(struct scene *s, int64_t distrust, int64_t messages)
{
	balloon_test_open(&s->bt, (struct test_shape){.frames = PAGES + GUESTS + 10,
						      .backing = "ram",
						      .no_swap = true});
	if (distrust)
		s->bt.opts.distrust = distrust;
	if (messages)
		s->bt.opts.messages = messages;
	balloon_test_start(&s->bt);
	s->w = s->bt.wire;
	s->good = test_vm(&s->bt.t, "good", GUESTS);
	s->bad = test_vm(&s->bt.t, "bad", PAGES);
	for (uint32_t i = 0; i < GUESTS; i++)
		test_fill(s->good, i, 1000 + i);
	for (uint32_t i = 0; i < PAGES; i++)
		test_fill(s->bad, i, 5000 + i);
	wire_connect(s->w, s->bt.balloon, s->bad);
}

static void contact(struct scene *s)
{
	balloon_contact(s->bt.balloon, s->bad);
}

static uint64_t count(struct scene *s, const char *name)
{
	return test_stat(&s->bad->stats, name);
}

/* The other VM reads what it wrote and lost nothing; every count is right. */
static void scene_close(struct scene *s)
{
	CU_ASSERT_EQUAL(test_audit(&s->bt.t), 0);
	CU_ASSERT_EQUAL(vm_held(s->good), GUESTS);
	CU_ASSERT_EQUAL(ballooned(s->good), 0);
	for (uint32_t i = 0; i < GUESTS; i++)
		CU_ASSERT_TRUE_FATAL(test_reads_as(s->good, i, 1000 + i));
	balloon_test_close(&s->bt);
}

/* Says hello and hears the welcome. */
static void greet(struct scene *s, uint32_t caps)
{
	wire_hello(s->w, caps);
	contact(s);
	const struct balloon_welcome *m = wire_answer_of(s->w, BALLOON_MSG_WELCOME);
	CU_ASSERT_FATAL(m && le16toh(m->version) == 1 && le16toh(m->reason) == 0);
	CU_ASSERT_EQUAL(le32toh(m->cap_pages), PAGES * 65 / 100);
	CU_ASSERT_EQUAL(le32toh(m->poll_ms), 1000);
	CU_ASSERT_EQUAL(le32toh(m->msg.seq), 0);
	CU_ASSERT_PTR_NOT_NULL(wire_answer_of(s->w, BALLOON_MSG_TARGET));
	CU_ASSERT_EQUAL(wire_count(s->w, BALLOON_MSG_VIEW), (caps & BALLOON_CAP_VIEW) != 0);
}

/* The answer to the batch before; what of it was refused, and why. */
static void acked(struct scene *s, uint32_t accepted, uint32_t refused, enum balloon_reason why)
{
	const struct balloon_ack *m = wire_answer_of(s->w, BALLOON_MSG_ACK);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(le32toh(m->of), s->w->seq - 1);
	CU_ASSERT_EQUAL(le32toh(m->accepted), accepted);
	CU_ASSERT_EQUAL(le32toh(m->refused), refused);
	CU_ASSERT_EQUAL(le16toh(m->reason), why);
	CU_ASSERT_EQUAL(le32toh(m->balloon), ballooned(s->bad));
}

/* The driver was told to begin anew, and nothing is left of its balloon. */
static void was_reset(struct scene *s, enum balloon_reason why)
{
	const struct balloon_reset *m = wire_answer_of(s->w, BALLOON_MSG_RESET);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(le32toh(m->reason), why);
	CU_ASSERT_EQUAL(ballooned(s->bad), 0);
	CU_ASSERT_FALSE(balloon_serves(s->bt.balloon, s->bad));
}

static void honest(void)
{
	struct scene s;
	uint64_t before;

	scene_open(&s, 0, 0);
	before = s.bt.t.m->free;
	greet(&s, 0);
	s.bad->target = PAGES - 100;
	wire_stats(s.w, 0, 0);
	contact(&s);
	const struct balloon_target *t = wire_answer_of(s.w, BALLOON_MSG_TARGET);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(le32toh(t->pages), 100);
	CU_ASSERT_EQUAL(le32toh(t->rate), 65536);
	CU_ASSERT_EQUAL(count(&s, "told_free"), 17);
	wire_run(s.w, BALLOON_MSG_INFLATE, 500, 100);
	contact(&s);
	acked(&s, 100, 0, BALLOON_OK);
	CU_ASSERT_EQUAL(s.bt.t.m->free, before + 100);
	CU_ASSERT_EQUAL(ballooned(s.bad), 100);
	CU_ASSERT_EQUAL(balloon_target(s.bt.balloon, s.bad), 100);
	wire_run(s.w, BALLOON_MSG_DEFLATE, 550, 1);
	contact(&s);
	acked(&s, 1, 0, BALLOON_OK);
	CU_ASSERT_TRUE(test_reads_as(s.bad, 550, 0));
	CU_ASSERT_EQUAL(count(&s, "balloon_popped"), 0);
	wire_say(s.w, &(struct balloon_msg){0}, BALLOON_MSG_BYE, 8);
	contact(&s);
	CU_ASSERT_EQUAL(ballooned(s.bad), 0);
	CU_ASSERT_FALSE(balloon_serves(s.bt.balloon, s.bad));
	for (uint32_t i = 0; i < PAGES; i++) {
		bool given = i >= 500 && i < 600;
		CU_ASSERT_TRUE_FATAL(test_reads_as(s.bad, i, given ? 0 : 5000 + i));
	}
	scene_close(&s);
}

static void out_of_range(void)
{
	const uint32_t ppn[] = {PAGES, 3, UINT32_MAX, PAGES - 1, 0x80000000u};
	struct scene s;

	scene_open(&s, 0, 0);
	greet(&s, BALLOON_CAP_ALL);
	for (int type = BALLOON_MSG_INFLATE; type <= BALLOON_MSG_DEFLATE; type++) {
		wire_pages(s.w, (uint16_t)type, ppn, 5);
		contact(&s);
		const struct balloon_ack *m = wire_answer_of(s.w, BALLOON_MSG_ACK);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL(le32toh(m->refused), 3);
		CU_ASSERT_EQUAL(le16toh(m->reason), BALLOON_BAD_PPN);
		CU_ASSERT_EQUAL(le64toh(m->map[0]), 0x15);
	}
	CU_ASSERT_EQUAL(count(&s, "balloon_refused"), 6);
	CU_ASSERT_EQUAL(count(&s, "balloon_inflated"), 2);
	scene_close(&s);
}

/* The guest's pages from 1000 on have numbers that are 500 higher. */
static void hole(void)
{
	const uint32_t ppn[] = {999, 1000, 1499, 1500, PAGES + 499, PAGES + 500, UINT32_MAX};
	const uint32_t popped[] = {999, 1500, PAGES + 499}; /* the last is told first */
	struct scene s;

	scene_open(&s, 0, 0);
	balloon_hole(s.bt.balloon, s.bad, 1000, 500);
	struct balloon_hello m = wire_a_hello(BALLOON_CAP_POPPED);
	m.memory_pages = htole64(PAGES + 501);
	wire_say(s.w, &m.msg, BALLOON_MSG_HELLO, sizeof m);
	contact(&s);
	const struct balloon_welcome *w = wire_answer_of(s.w, BALLOON_MSG_WELCOME);
	CU_ASSERT_FATAL(w && le16toh(w->reason) == BALLOON_BAD_SIZE);
	m.memory_pages = htole64(PAGES + 500);
	s.w->seq = 0;
	wire_say(s.w, &m.msg, BALLOON_MSG_HELLO, sizeof m);
	contact(&s);
	w = wire_answer_of(s.w, BALLOON_MSG_WELCOME);
	CU_ASSERT_FATAL(w && le16toh(w->reason) == BALLOON_OK);
	wire_pages(s.w, BALLOON_MSG_INFLATE, ppn, ARRAY_LEN(ppn));
	contact(&s);
	const struct balloon_ack *ack = wire_answer_of(s.w, BALLOON_MSG_ACK);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ack);
	CU_ASSERT_EQUAL(le16toh(ack->reason), BALLOON_BAD_PPN);
	CU_ASSERT_EQUAL(le64toh(ack->map[0]), 0x66); /* both within it, both beyond the end */
	const uint32_t ours[] = {999, 1000, PAGES - 1};
	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		CU_ASSERT_EQUAL(pte_state(pmap_peek(s.bad->pmap, (ppn_t){ours[i]})),
				PAGE_BALLOONED);
		CU_ASSERT_TRUE(test_reads_as(s.bad, ours[i], 0)); /* which pops it */
	}
	contact(&s);
	const struct balloon_pages *told = wire_answer_of(s.w, BALLOON_MSG_POPPED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(told);
	CU_ASSERT_EQUAL(le32toh(told->count), 3);
	for (size_t i = 0; i < ARRAY_LEN(popped); i++)
		CU_ASSERT_EQUAL(le32toh(told->ppn[i]), popped[i]);
	scene_close(&s);
}

static void same_page_twice(void)
{
	const uint32_t ppn[] = {7, 8, 7};
	struct scene s;

	scene_open(&s, 0, 0);
	greet(&s, 0);
	wire_pages(s.w, BALLOON_MSG_INFLATE, ppn, 3); /* in one message */
	contact(&s);
	acked(&s, 2, 1, BALLOON_TWICE);
	wire_pages(s.w, BALLOON_MSG_INFLATE, ppn, 1); /* and in two */
	contact(&s);
	acked(&s, 0, 1, BALLOON_TWICE);
	CU_ASSERT_EQUAL(ballooned(s.bad), 2);
	wire_pages(s.w, BALLOON_MSG_DEFLATE, ppn, 3);
	contact(&s);
	acked(&s, 2, 1, BALLOON_NOT_IN);
	CU_ASSERT_EQUAL(count(&s, "balloon_refused"), 3);
	scene_close(&s);
}

static void page_of_another_state(void)
{
	const uint32_t ppn[] = {0, 1, 2};
	struct scene s;

	scene_open(&s, 0, 0);
	greet(&s, 0);
	s.bad->pmap->pte[0] |= PTE_PINNED; /* a device uses it */
	wire_pages(s.w, BALLOON_MSG_INFLATE, ppn, 3);
	contact(&s);
	acked(&s, 2, 1, BALLOON_BUSY);
	CU_ASSERT_TRUE(test_reads_as(s.bad, 0, 5000));
	wire_pages(s.w, BALLOON_MSG_DEFLATE, ppn, 1); /* it is private, not in the balloon */
	contact(&s);
	acked(&s, 0, 1, BALLOON_NOT_IN);
	CU_ASSERT_TRUE(test_reads_as(s.bad, 0, 5000));
	pmap_drop(s.bad->pmap, (ppn_t){5}); /* a page without a frame may be given */
	wire_run(s.w, BALLOON_MSG_INFLATE, 5, 1);
	contact(&s);
	acked(&s, 1, 0, BALLOON_OK);
	CU_ASSERT_EQUAL(ballooned(s.bad), 3);
	scene_close(&s);
}

static void never_inflated(void)
{
	struct scene s;

	scene_open(&s, 0, 0);
	greet(&s, 0);
	wire_run(s.w, BALLOON_MSG_DEFLATE, 100, 40);
	contact(&s);
	acked(&s, 0, 40, BALLOON_NOT_IN);
	for (uint32_t i = 100; i < 140; i++)
		CU_ASSERT_TRUE_FATAL(test_reads_as(s.bad, i, 5000 + i));
	CU_ASSERT_EQUAL(count(&s, "balloon_deflated"), 0);
	scene_close(&s);
}

static void over_the_cap(void)
{
	struct scene s;

	scene_open(&s, 0, 0);
	greet(&s, 0);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 1000);
	contact(&s);
	acked(&s, 1000, 0, BALLOON_OK);
	wire_run(s.w, BALLOON_MSG_INFLATE, 1000, 1000);
	contact(&s);
	acked(&s, PAGES * 65 / 100 - 1000, 2000 - PAGES * 65 / 100, BALLOON_CAP);
	CU_ASSERT_EQUAL(count(&s, "balloon_distrusts"), 0); /* no offence */
	scene_close(&s);
}

/* A count that the message does not hold: nothing of it is believed. */
static void batch_beyond_the_message(void)
{
	uint64_t words[BALLOON_MSG_MAX / 8] = {0};
	struct balloon_pages *m = (struct balloon_pages *)words;
	const uint32_t counts[] = {0, 3, 1020, 1021, 0x40000000, UINT32_MAX};
	struct scene s;

	scene_open(&s, 1000, 0);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		greet(&s, 0);
		wire_run(s.w, BALLOON_MSG_INFLATE, 50, 2); /* a good one before */
		m->count = htole32(counts[i]);
		m->ppn[0] = htole32(10);
		m->ppn[1] = htole32(11);
		wire_say(s.w, m, BALLOON_MSG_INFLATE, 24);
		contact(&s);
		was_reset(&s, BALLOON_BAD_MSG);
		CU_ASSERT_TRUE(test_reads_as(s.bad, 10, 5010));
		balloon_test_wait(&s.bt, SECOND);
	}
	CU_ASSERT_EQUAL(count(&s, "balloon_bad"), ARRAY_LEN(counts));
	CU_ASSERT_EQUAL(count(&s, "balloon_resets"), ARRAY_LEN(counts));
	scene_close(&s);
}

/* Headers that no version has, and messages that only a host may send. */
static void malformed(void)
{
	const uint16_t sizes[] = {0, 4, 7, 9, 12, 4097, 4104, 65535, 65528};
	const uint16_t types[] = {0, 7, 15, 16, 17, 18, 19, 20, 21, 22, 65535};
	uint64_t words[BALLOON_MSG_MAX / 8] = {0};
	struct scene s;
	uint64_t bad = 0;

	scene_open(&s, 1000, 1000000);
	for (size_t i = 0; i < ARRAY_LEN(sizes) + ARRAY_LEN(types) + 1; i++) {
		struct balloon_msg head = {htole16(BALLOON_MSG_STATS), htole16(112), htole32(1)};
		if (i < ARRAY_LEN(sizes))
			head.size = htole16(sizes[i]);
		else if (i < ARRAY_LEN(sizes) + ARRAY_LEN(types))
			head.type = htole16(types[i - ARRAY_LEN(sizes)]);
		else
			head.seq = htole32(2); /* one was lost, or is said again */
		greet(&s, 0);
		wire_run(s.w, BALLOON_MSG_INFLATE, 50, 2);
		head.seq = htole32(le32toh(head.seq) + 1);
		memcpy(words, &head, sizeof head);
		wire_bytes(s.w, words, 112);
		contact(&s);
		was_reset(&s, BALLOON_BAD_MSG);
		CU_ASSERT_EQUAL(count(&s, "balloon_bad"), ++bad);
	}
	/* A body that would be right, in a host's message. */
	greet(&s, 0);
	wire_say(s.w, &(struct balloon_target){0}, BALLOON_MSG_TARGET,
		 sizeof(struct balloon_target));
	contact(&s);
	was_reset(&s, BALLOON_BAD_MSG);
	/* Hints were not agreed upon. */
	greet(&s, 0);
	wire_run(s.w, BALLOON_MSG_HINT, 0, 10);
	contact(&s);
	was_reset(&s, BALLOON_BAD_MSG);
	CU_ASSERT_TRUE(test_reads_as(s.bad, 0, 5000));
	scene_close(&s);
}

/* Whatever comes before a hello is passed over; the hello is found. */
static void rubbish_before_hello(void)
{
	uint8_t rubbish[4096];
	struct scene s;

	scene_open(&s, 0, 0);
	for (size_t i = 0; i < sizeof rubbish; i++)
		rubbish[i] = (uint8_t)(i * 37 + 11);
	wire_bytes(s.w, rubbish, sizeof rubbish);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 10); /* nobody has said hello */
	greet(&s, 0);
	CU_ASSERT_EQUAL(ballooned(s.bad), 0);
	scene_close(&s);
}

static void version_from_the_future(void)
{
	struct balloon_hello h = wire_a_hello(0);
	struct scene s;

	scene_open(&s, 0, 0);
	h.version_min = htole16(2);
	h.version_max = htole16(9);
	s.w->seq = 0;
	wire_say(s.w, &h, BALLOON_MSG_HELLO, sizeof h);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 10); /* as if it had been welcomed */
	contact(&s);
	const struct balloon_welcome *m = wire_answer_of(s.w, BALLOON_MSG_WELCOME);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(le16toh(m->version), 0);
	CU_ASSERT_EQUAL(le16toh(m->reason), BALLOON_BAD_VERSION);
	CU_ASSERT_EQUAL(le16toh(m->version_max), 1);
	CU_ASSERT_EQUAL(ballooned(s.bad), 0);
	CU_ASSERT_FALSE(balloon_serves(s.bt.balloon, s.bad));
	h.version_min = htole16(1); /* one that also knows ours is welcome */
	s.w->seq = 0;
	wire_say(s.w, &h, BALLOON_MSG_HELLO, sizeof h);
	contact(&s);
	m = wire_answer_of(s.w, BALLOON_MSG_WELCOME);
	CU_ASSERT_FATAL(m && le16toh(m->version) == 1);
	h.page_shift = htole32(16);
	s.w->seq = 0;
	wire_say(s.w, &h, BALLOON_MSG_HELLO, sizeof h);
	contact(&s);
	m = wire_answer_of(s.w, BALLOON_MSG_WELCOME);
	CU_ASSERT_FATAL(m && le16toh(m->reason) == BALLOON_BAD_SIZE);
	scene_close(&s);
}

static void flood(void)
{
	struct scene s;
	uint64_t read;

	scene_open(&s, 1, 1000);
	greet(&s, 0);
	for (int i = 0; i < 5000; i++)
		wire_stats(s.w, 0, 0);
	contact(&s);
	read = count(&s, "balloon_messages");
	CU_ASSERT_TRUE(read >= 800 && read <= 1000);
	CU_ASSERT_EQUAL(count(&s, "balloon_throttled"), 1);
	contact(&s); /* rings again and again: nothing more is read */
	contact(&s);
	CU_ASSERT_EQUAL(count(&s, "balloon_messages"), read);
	CU_ASSERT_EQUAL(count(&s, "balloon_throttled"), 1);
	balloon_test_wait(&s.bt, SECOND);
	contact(&s);
	CU_ASSERT_TRUE(count(&s, "balloon_messages") <= read + 1000);
	CU_ASSERT_EQUAL(count(&s, "balloon_throttled"), 2);
	CU_ASSERT_EQUAL(count(&s, "balloon_distrusts"), 1); /* two are more than one */
	was_reset(&s, BALLOON_DISTRUST);
	scene_close(&s);
}

/* Looking where nothing is costs a driver nothing, also before there is one. */
static void looked_at_often(void)
{
	struct scene s;

	scene_open(&s, 0, 0);
	for (int i = 0; i < 10000; i++)
		contact(&s);
	greet(&s, 0);
	for (int i = 0; i < 10000; i++)
		contact(&s);
	CU_ASSERT_EQUAL(count(&s, "balloon_throttled"), 0);
	scene_close(&s);
}

/* It answers nobody: the host asks for nothing more, and pages instead. */
static void silent(void)
{
	struct scene s;

	scene_open(&s, 0, 0);
	greet(&s, 0);
	s.bad->target = PAGES / 2;
	CU_ASSERT_TRUE(balloon_serves(s.bt.balloon, s.bad));
	balloon_test_wait(&s.bt, 4 * SECOND);
	CU_ASSERT_TRUE(balloon_serves(s.bt.balloon, s.bad)); /* it has its time */
	balloon_test_wait(&s.bt, 3 * SECOND);
	CU_ASSERT_FALSE(balloon_serves(s.bt.balloon, s.bad));
	wire_stats(s.w, 0, 0); /* it speaks, and does nothing */
	contact(&s);
	CU_ASSERT_FALSE(balloon_serves(s.bt.balloon, s.bad));
	CU_ASSERT_EQUAL(count(&s, "balloon_slow"), 1);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, PAGES / 4);
	wire_run(s.w, BALLOON_MSG_INFLATE, PAGES / 4, PAGES / 4);
	wire_stats(s.w, 0, 0);
	contact(&s);
	CU_ASSERT_TRUE(balloon_serves(s.bt.balloon, s.bad));
	scene_close(&s);
}

/* Too much refused: it is sent away, heard no more, and forgiven. */
static void distrusted(void)
{
	struct scene s;

	scene_open(&s, 10, 0);
	greet(&s, 0);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 100);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 11); /* eleven twice */
	contact(&s);
	CU_ASSERT_EQUAL(count(&s, "balloon_distrusts"), 1);
	was_reset(&s, BALLOON_DISTRUST);
	wire_hello(s.w, 0);
	contact(&s);
	const struct balloon_welcome *m = wire_answer_of(s.w, BALLOON_MSG_WELCOME);
	CU_ASSERT_FATAL(m && le16toh(m->version) == 0 && le16toh(m->reason) == BALLOON_DISTRUST);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 100);
	contact(&s);
	CU_ASSERT_EQUAL(ballooned(s.bad), 0);
	balloon_test_wait(&s.bt, 60 * SECOND);
	greet(&s, 0);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 100);
	contact(&s);
	CU_ASSERT_EQUAL(ballooned(s.bad), 100);
	scene_close(&s);
}

/* It hands over what it goes on using. */
static void uses_what_it_gave(void)
{
	struct scene s;

	scene_open(&s, 3, 0);
	for (int i = 0; i < 3; i++) {
		greet(&s, 0);
		wire_run(s.w, BALLOON_MSG_INFLATE, 0, 100);
		contact(&s);
		acked(&s, 100, 0, BALLOON_OK);
		CU_ASSERT_TRUE(test_reads_as(s.bad, 50, 0));
		wire_stats(s.w, 0, 0);
		contact(&s);
		was_reset(&s, BALLOON_TOUCHED);
		balloon_test_wait(&s.bt, SECOND);
	}
	CU_ASSERT_EQUAL(count(&s, "balloon_popped"), 3);
	CU_ASSERT_EQUAL(count(&s, "balloon_distrusts"), 0);
	greet(&s, 0);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 1);
	contact(&s);
	test_hit(s.bad, 0, ACCESS_WRITE);
	contact(&s);
	CU_ASSERT_EQUAL(count(&s, "balloon_distrusts"), 1);
	scene_close(&s);
}

static void told_what_popped(void)
{
	struct scene s;

	scene_open(&s, 0, 0);
	greet(&s, BALLOON_CAP_POPPED);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 1000);
	contact(&s);
	acked(&s, 1000, 0, BALLOON_OK);
	test_hit(s.bad, 70, ACCESS_READ);
	test_hit(s.bad, 5, ACCESS_WRITE);
	pmap_drop(s.bad->pmap, (ppn_t){6}); /* forgotten by the guest is touched too */
	contact(&s);
	const struct balloon_pages *m = wire_answer_of(s.w, BALLOON_MSG_POPPED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(le32toh(m->count), 3);
	CU_ASSERT_EQUAL(le32toh(m->ppn[0]), 70);
	CU_ASSERT_EQUAL(le32toh(m->ppn[1]), 5);
	CU_ASSERT_EQUAL(le32toh(m->ppn[2]), 6);
	CU_ASSERT_EQUAL(ballooned(s.bad), 997);
	contact(&s);
	CU_ASSERT_PTR_NULL(wire_answer_of(s.w, BALLOON_MSG_POPPED));
	scene_close(&s);
}

/* A driver that never reads: no answer is owed to it for ever. */
static void never_reads(void)
{
	struct scene s;

	scene_open(&s, 0, 0);
	s.w->room = 200;
	wire_hello(s.w, 0);
	for (int i = 0; i < 100; i++)
		wire_run(s.w, BALLOON_MSG_INFLATE, (uint32_t)i, 1);
	contact(&s);
	CU_ASSERT_EQUAL(ballooned(s.bad), 0);
	CU_ASSERT_EQUAL(count(&s, "balloon_bad"), 1);
	CU_ASSERT_TRUE(s.w->answered <= 200);
	s.w->room = WIRE_ROOM; /* it reads at last, and learns that it must begin anew */
	contact(&s);
	was_reset(&s, BALLOON_BAD_MSG);
	greet(&s, 0);
	scene_close(&s);
}

static void vanishes(void)
{
	struct scene s;

	scene_open(&s, 0, 0);
	greet(&s, 0);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 100);
	contact(&s);
	s.w->fault = -EPIPE;
	contact(&s);
	CU_ASSERT_FALSE(balloon_serves(s.bt.balloon, s.bad));
	CU_ASSERT_EQUAL(ballooned(s.bad), 100);
	test_hit(s.bad, 5, ACCESS_READ);
	CU_ASSERT_EQUAL(ballooned(s.bad), 99);
	while (wire_answer(s.w))
		;
	greet(&s, 0);
	CU_ASSERT_EQUAL(ballooned(s.bad), 0);
	scene_close(&s);
}

static void view(void)
{
	uint64_t steal = 77000;
	struct scene s;

	scene_open(&s, 0, 0);
	greet(&s, BALLOON_CAP_VIEW);
	wire_run(s.w, BALLOON_MSG_INFLATE, 0, 10);
	wire_stats(s.w, 0, 0);
	balloon_steal(s.bt.balloon, s.bad, &steal);
	s.bad->target = 1234;
	contact(&s);
	const struct balloon_view *m = wire_answer_of(s.w, BALLOON_MSG_VIEW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(le64toh(m->granted), PAGES - 10);
	CU_ASSERT_EQUAL(le64toh(m->ballooned), 10);
	CU_ASSERT_EQUAL(le64toh(m->target), 1234);
	CU_ASSERT_EQUAL(le64toh(m->steal_ns), 77000);
	CU_ASSERT_EQUAL(le32toh(m->state), 0);
	scene_close(&s);
}

/* Pages that swap holds may be given; the slots are free then. */
static void swapped_pages(void)
{
	struct balloon_test bt;
	struct vm *vm;

	balloon_test_open(&bt, (struct test_shape){.frames = 64, .slots = 256, .backing = "ram"});
	balloon_test_start(&bt);
	vm = test_vm(&bt.t, "a", 200);
	wire_connect(bt.wire, bt.balloon, vm);
	for (uint32_t i = 0; i < 200; i++)
		test_fill(vm, i, 1 + i);
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_SWAPPED], 136);
	wire_hello(bt.wire, 0);
	wire_run(bt.wire, BALLOON_MSG_INFLATE, 0, 130);
	balloon_contact(bt.balloon, vm);
	CU_ASSERT_EQUAL(ballooned(vm), 130);
	CU_ASSERT_EQUAL(vm->pmap->count[PAGE_SWAPPED], 6);
	CU_ASSERT_EQUAL(test_stat(&bt.t.host->scope, "swap_slots_used"), 6);
	CU_ASSERT_EQUAL(test_audit(&bt.t), 0);
	CU_ASSERT_TRUE(test_reads_as(vm, 199, 200));
	balloon_test_close(&bt);
}

TESTS("balloon/contact", {"an honest one", honest}, {"page out of range", out_of_range},
      {"a hole in its numbers", hole}, {"same page twice", same_page_twice},
      {"page of another state", page_of_another_state},
      {"deflate of what was never inflated", never_inflated}, {"over the cap", over_the_cap},
      {"batch beyond the message", batch_beyond_the_message}, {"malformed", malformed},
      {"rubbish before hello", rubbish_before_hello},
      {"version from the future", version_from_the_future}, {"flood", flood},
      {"looked at often", looked_at_often}, {"silent", silent},
      {"distrusted, and forgiven", distrusted}, {"uses what it gave", uses_what_it_gave},
      {"told what popped", told_what_popped}, {"never reads", never_reads}, {"vanishes", vanishes},
      {"the host's view", view}, {"swapped pages", swapped_pages})
