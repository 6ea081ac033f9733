/*
 * The replayer and a slow twin of it: what a guest without an operating system
 * must see of a trace, record by record, under textbook LRU.
 */
#ifndef BALLAST_TESTS_REPLAY_H
#define BALLAST_TESTS_REPLAY_H

#include "host.h"
#include "script.h"

#include "core/oracle.h"
#include "core/rng.h"
#include "traces/replay.h"

#define REF_NS	 10 /* as in host.h */
#define FAULT_NS 1000
#define ZERO_NS	 300
#define READ_NS	 7000

#define PAGES_MOST 400

/*
 * The twin: takes one record at a time and knows what a guest must see, with
 * textbook LRU in so many frames. Time, counts, contents and bits are its own.
 */
struct twin {
	uint32_t pages, frames, resident, tick_ns;
	uint64_t time_ns, before_ns; /* now, and when the last record began */
	uint64_t refs, writes, skipped, faults, zero_fills, uses;
	bool in[PAGES_MOST], known[PAGES_MOST];
	uint64_t used[PAGES_MOST], id[PAGES_MOST];
	pte_t bits[PAGES_MOST];
	bool ended;
};

static inline void twin_evict(struct twin *t)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < t->pages; i++) {
		if (t->in[i] && (!t->in[oldest] || t->used[i] < t->used[oldest]))
			oldest = i;
	}
	t->in[oldest] = false;
	t->bits[oldest] &= ~PTE_DIRTY;
	t->resident--;
}

static inline void twin_touch(struct twin *t, uint32_t page, bool write)
{
	if (!t->in[page]) {
		t->faults++;
		t->zero_fills += !t->known[page];
		t->time_ns += FAULT_NS + (t->known[page] ? READ_NS : ZERO_NS);
		if (t->resident == t->frames)
			twin_evict(t);
		if (!t->known[page])
			t->bits[page] |= PTE_CHANGED | PTE_RECENT;
		t->resident++;
		t->in[page] = t->known[page] = true;
	}
	t->used[page] = ++t->uses;
	if (write)
		t->bits[page] |= PTE_DIRTY | PTE_CHANGED | PTE_LOGGED | PTE_UNNAMED | PTE_RECENT;
}

static inline void twin_unmap(struct twin *t, uint32_t page, uint64_t pages)
{
	for (uint32_t i = page; i < page + pages; i++) {
		t->resident -= t->in[i];
		if (t->known[i]) /* else it read as zero, and does still */
			t->bits[i] = PTE_LOGGED;
		t->in[i] = t->known[i] = false;
		t->id[i] = 0;
	}
}

/* Returns how many words the record had. */
static inline size_t twin_record(struct twin *t, const rec_t *word)
{
	uint32_t page = (uint32_t)rec_page(word[0]);
	unsigned kind = rec_kind(word[0]);

	t->before_ns = t->time_ns;
	t->time_ns += REF_NS + (uint64_t)rec_delta(word[0]) * t->tick_ns;
	switch (kind) {
	case REC_READ:
	case REC_WRITE:
	case REC_WRITE_ID:
		t->refs++;
		t->writes += kind != REC_READ;
		twin_touch(t, page, kind != REC_READ);
		if (kind == REC_WRITE_ID) {
			t->id[page] = word[1];
			t->bits[page] &= ~PTE_UNNAMED;
		}
		break;
	case REC_DMA:
		twin_touch(t, page, word[1] != 0);
		break;
	case REC_UNMAP:
		twin_unmap(t, page, word[1]);
		break;
	case REC_SLEEP:
		t->time_ns += rec_page(word[0]) * t->tick_ns;
		break;
	case REC_END:
		t->ended = true;
		break;
	default:
		t->skipped++;
	}
	return rec_is_wide(word[0]) ? 2 : 1;
}

struct bench {
	struct test_host t;
	struct vm *vm;
	struct replay *replay;
	struct oracle *oracle;
};

struct bench_shape {
	uint32_t pages, frames;
	const char *victim, *backing;
	bool oracle;
};

/* Takes the script. */
static inline void bench_open(struct bench *b, struct script *script, struct bench_shape s)
{
	struct err err;

	*b = (struct bench){0};
	test_host_new(&b->t, (struct test_shape){.frames = s.frames,
						 .slots = s.pages + s.frames,
						 .victim = s.victim,
						 .backing = s.backing,
						 .read_ns = READ_NS});
	if (s.oracle)
		CU_ASSERT_EQUAL(oracle_new(&b->oracle), 0);
	b->vm = test_vm(&b->t, "a", s.pages);
	CU_ASSERT_EQUAL_FATAL(replay_new(b->vm, &script->source, b->oracle, &b->replay, &err), 0);
}

static inline void bench_close(struct bench *b)
{
	CU_ASSERT_EQUAL(test_audit(&b->t), 0);
	test_host_free(&b->t);
	oracle_free(b->oracle);
}

static inline int step(struct bench *b, uint64_t until, struct err *err)
{
	return replay_guest.step(b->vm->guest_state, b->vm, until, err);
}

static inline void compare_counts(const struct bench *b, const struct twin *t)
{
	CU_ASSERT_EQUAL_FATAL(b->vm->time_ns, t->time_ns);
	CU_ASSERT_EQUAL(test_stat(&b->vm->stats, "refs"), t->refs);
	CU_ASSERT_EQUAL(test_stat(&b->vm->stats, "writes"), t->writes);
	CU_ASSERT_EQUAL(test_stat(&b->vm->stats, "skipped"), t->skipped);
	CU_ASSERT_EQUAL(test_stat(&b->vm->stats, "faults"), t->faults);
	CU_ASSERT_EQUAL(test_stat(&b->vm->stats, "zero_fills"), t->zero_fills);
}

static inline void compare_pages(const struct bench *b, const struct twin *t)
{
	const pte_t flags = PTE_STORE | PTE_PINNED;

	for (uint32_t i = 0; i < t->pages; i++) {
		pte_t e = test_entry(b->vm, i);
		CU_ASSERT_EQUAL_FATAL(e & flags, t->bits[i]);
		CU_ASSERT_EQUAL_FATAL(pte_state(e), t->in[i]	  ? PAGE_PRIVATE
						    : t->known[i] ? PAGE_SWAPPED
								  : PAGE_UNBACKED);
	}
	CU_ASSERT_EQUAL(test_audit((struct test_host *)&b->t), 0);
	for (uint32_t i = 0; i < t->pages; i++)
		CU_ASSERT_TRUE_FATAL(test_reads_as(b->vm, i, t->id[i]));
}

#endif
