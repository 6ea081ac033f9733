#include "traces/replay.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK	 (1u << 16) /* records a step takes at most, so that the driver gets a word in */
#define RESTLESS 16	    /* references for each fault, or fewer: pages come and go */
#define AHEAD	 16	    /* records ahead whose pmap entries are fetched */

struct replay_stats {
	uint64_t refs, writes, named_writes, skipped;
};

struct replay {
	struct source *source;
	struct oracle *oracle;
	const rec_t *next, *end; /* what is left of the batch */
	uint64_t words;		 /* taken from the source before the batch */
	uint64_t operands;	 /* of all words passed, those that were operands */
	const rec_t *batch;
	rec_t any;		/* source_any() of it */
	const rec_t *chunk_end; /* of the part of the batch that was looked through */
	bool chunk_timed;	/* some record in it carries a time */
	bool restless;		/* more than one reference in RESTLESS of the last step faulted */
	uint64_t tick_ns;
	struct replay_stats stats;
	uint64_t content; /* the last content id made up for a plain write, without an oracle */
};

#define STAT(field) offsetof(struct replay, stats.field)

static const struct stat_row replay_stat_rows[] = {
	{"refs", STAT_COUNTER, "1", STAT(refs), true, "references to memory"},
	{"writes", STAT_COUNTER, "1", STAT(writes), false, "of them, writes"},
	{"named_writes", STAT_COUNTER, "1", STAT(named_writes), false,
	 "of them, writes that say what the page holds then"},
	{"skipped", STAT_COUNTER, "1", STAT(skipped), false,
	 "records that a guest without an operating system has no use for"},
	{NULL},
};

/* The number of the record that the replayer is at, from 1. */
static unsigned long long position(const struct replay *r)
{
	return r->words + (uint64_t)(r->next - r->batch) - r->operands + 1;
}

static int page_beyond(const struct replay *r, const struct vm *vm, uint64_t page, struct err *err)
{
	return err_input(err,
			 "%s: record %llu names page %llu, beyond the VM's %u pages: raise "
			 "vm.%s.memory, or import the trace with --renumber",
			 source_name(r->source), position(r), (unsigned long long)page, vm->pages,
			 vm->name);
}

/* Idleness; capped, since the scheduler stops a run whose time leaves all bounds. */
static void sleep_ticks(const struct replay *r, struct vm *vm, uint64_t ticks)
{
	unsigned __int128 ns = (unsigned __int128)ticks * r->tick_ns;

	vm->time_ns += ns < HOST_TIME_MAX ? (uint64_t)ns : HOST_TIME_MAX;
}

/* A write that gives the whole page new contents. */
static int write_content(struct replay *r, struct vm *vm, ppn_t ppn, uint64_t id, struct err *err)
{
	int rc = pmap_set_content(vm->pmap, ppn, id, err);

	if (rc == 0 && r->oracle && oracle_write(r->oracle, vm, ppn, id))
		rc = err_run(err, ENOMEM, "no memory for the content oracle");
	return rc;
}

static int unmap(struct replay *r, struct vm *vm, uint64_t page, uint64_t pages, struct err *err)
{
	if (pages > vm->pages - page)
		return page_beyond(r, vm, page + pages - 1, err);
	for (uint64_t i = page; i < page + pages; i++) {
		ppn_t ppn = {(uint32_t)i};
		if (!pmap_peek(vm->pmap, ppn)) /* never touched: its entry takes no memory yet */
			continue;
		pmap_drop(vm->pmap, ppn);
		if (r->oracle && oracle_write(r->oracle, vm, ppn, 0))
			return err_run(err, ENOMEM, "no memory for the content oracle");
	}
	return 0;
}

/* Everything that is not a hit. Advances r->next past the record. STEP_* or -errno. */
static int slow(struct replay *r, struct vm *vm, struct err *err)
{
	rec_t x = r->next[0];
	unsigned kind = rec_kind(x);
	uint64_t page = rec_page(x);
	ppn_t ppn = {(uint32_t)page};
	int rc = 0;

	if (rec_is_wide(x) && r->end - r->next < 2)
		return err_input(err, "%s: record %llu lacks its operand", source_name(r->source),
				 position(r));
	uint64_t operand = rec_is_wide(x) ? r->next[1] : 0;
	if (rec_has_page(kind) && page >= vm->pages)
		return page_beyond(r, vm, page, err);
	switch ((enum rec_kind)kind) {
	case REC_READ:
	case REC_WRITE:
		r->stats.refs++;
		r->stats.writes += kind == REC_WRITE;
		if (kind == REC_WRITE && vm->host->machine.bytes)
			rc = write_content(r, vm, ppn,
					   r->oracle ? oracle_fresh_id(r->oracle) : ++r->content,
					   err);
		else
			rc = pmap_touch(vm->pmap, ppn, (enum access)kind, err);
		break;
	case REC_WRITE_ID:
		r->stats.refs++;
		r->stats.writes++;
		r->stats.named_writes++;
		rc = write_content(r, vm, ppn, operand, err);
		break;
	case REC_DMA:
		rc = pmap_dma(vm->pmap, ppn, operand ? ACCESS_WRITE : ACCESS_READ, err);
		break;
	case REC_UNMAP:
		rc = unmap(r, vm, page, operand, err);
		break;
	case REC_SLEEP:
		sleep_ticks(r, vm, page);
		break;
	case REC_END:
		return STEP_ENDED;
	case REC_VM:
		if (page)
			return err_input(err,
					 "%s: record %llu is of VM %llu: say which VM of the trace "
					 "is meant with vm.%s.trace_vm",
					 source_name(r->source), position(r),
					 (unsigned long long)page, vm->name);
		r->stats.skipped++;
		break;
	case REC_SWITCH:
	case REC_FORK:
	case REC_MAP:
	case REC_PROTECT:
	case REC_FILE_READ:
	case REC_FILE_WRITE:
		r->stats.skipped++;
		break;
	default:
		return err_input(err, "%s: record %llu is of unknown kind %u",
				 source_name(r->source), position(r), kind);
	}
	r->next += rec_is_wide(x) ? 2 : 1;
	r->operands += rec_is_wide(x);
	return rc;
}

/* How many of n records begin before `until`, where each takes ref_ns. */
static inline size_t records_until(uint64_t t, uint64_t until, uint64_t ref_ns, size_t n)
{
	if (t >= until)
		return 0;
	if (until - t >= n * ref_ns)
		return n;
	return (until - t + ref_ns - 1) / ref_ns;
}

/*
 * The hot path, over a chunk without deltas. References that hit are handled in
 * the inner loop, which ends at whatever else comes along; time is counted by
 * the run of records and not by the record. `track`, `plain` and `restless` are
 * constants where this is inlined.
 */
static inline __attribute__((always_inline)) int
loop(struct replay *r, struct vm *vm, const rec_t *end, uint64_t until,
     const enum frame_track track, const bool plain, const bool restless, struct err *err)
{
	static const pte_t bits[] = {
		[ACCESS_READ] = PTE_ACCESSED, [ACCESS_WRITE] = PTE_ACCESSED | PTE_STORE};
	struct pmap *pmap = vm->pmap;
	struct machine *m = &vm->host->machine;
	pte_t *const pte = pmap->pte;
	uint8_t *const used = m->used;
	uint32_t *const stamp = m->stamp;
	const uint64_t pages = vm->pages, ref_ns = vm->host->cost.ref;
	const ptrdiff_t ahead = r->end - end >= AHEAD ? AHEAD : 0; /* what lies behind the chunk */
	const rec_t *rec = r->next, *counted = rec;
	uint64_t writes = 0, refs = 0, faults = 0;
	int rc = STEP_MORE;

	for (;;) {
		const rec_t *start = rec;
		const size_t left = rec < end ? (size_t)(end - rec) : 0; /* wide: past the end */
		const rec_t *stop = rec + records_until(vm->time_ns, until, ref_ns, left);
		uint32_t now = track == TRACK_STAMPS ? m->now : 0;
		uint64_t page = 0;
		unsigned kind = 0;

		for (; rec < stop; rec++) {
			const rec_t x = *rec;

			page = rec_page(x);
			kind = plain ? x & 1 : rec_kind(x);
			__builtin_prefetch(&pte[rec_page(rec[ahead])], 1);
			if (!plain && unlikely(page >= pages))
				break;
			const pte_t e = pte[page];
			if (unlikely(!(e >> kind & 1)))
				break;
			const pte_t after = e | bits[kind];
			/* Where pages come and go, whether it changes is no good guess. */
			if (restless || unlikely(after != e))
				pte[page] = after;
			if (track == TRACK_USED)
				used[pte_value(e)] = 1;
			if (track == TRACK_STAMPS)
				stamp[pte_value(e)] = now++;
			writes += kind;
		}
		if (track == TRACK_STAMPS)
			m->now = now;
		vm->time_ns += (uint64_t)(rec - start) * ref_ns;
		if (rec == stop)
			break;
		if (plain || likely(kind <= REC_WRITE && page < pages)) {
			rc = pmap_fault(pmap, (ppn_t){(uint32_t)page}, (enum access)kind, err);
			if (unlikely(rc))
				break;
			/*
			 * The record hits now, and is done with at once, before another
			 * VM could take the frame again.
			 */
			const pte_t e = pte[page] | bits[kind];
			pte[page] = e;
			if (track == TRACK_USED)
				used[pte_value(e)] = 1;
			if (track == TRACK_STAMPS)
				stamp[pte_value(e)] = m->now++;
			writes += kind;
			vm->time_ns += ref_ns;
			faults++;
			rec++;
		} else {
			vm->time_ns += ref_ns;
			refs += (uint64_t)(rec - counted);
			r->next = rec;
			rc = slow(r, vm, err);
			rec = counted = r->next;
			if (unlikely(rc))
				break;
		}
	}
	refs += (uint64_t)(rec - counted);
	r->next = rec;
	r->stats.refs += refs;
	r->stats.writes += writes;
	r->restless = faults * RESTLESS > refs;
	return rc;
}

typedef int loop_fn(struct replay *r, struct vm *vm, const rec_t *end, uint64_t until,
		    struct err *err);

#define LOOP(name, track, plain, restless)                                                         \
	static int name(struct replay *r, struct vm *vm, const rec_t *end, uint64_t until,         \
			struct err *err)                                                           \
	{                                                                                          \
		return loop(r, vm, end, until, track, plain, restless, err);                       \
	}

LOOP(loop_nothing, TRACK_NOTHING, false, false)
LOOP(loop_used, TRACK_USED, false, false)
LOOP(loop_stamps, TRACK_STAMPS, false, false)
LOOP(plain_nothing, TRACK_NOTHING, true, false)
LOOP(plain_used, TRACK_USED, true, false)
LOOP(plain_stamps, TRACK_STAMPS, true, false)
LOOP(restless_nothing, TRACK_NOTHING, true, true)
LOOP(restless_used, TRACK_USED, true, true)
LOOP(restless_stamps, TRACK_STAMPS, true, true)

static loop_fn *const loops[][3] = {
	[TRACK_NOTHING] = {loop_nothing, plain_nothing, restless_nothing},
	[TRACK_USED] = {loop_used, plain_used, restless_used},
	[TRACK_STAMPS] = {loop_stamps, plain_stamps, restless_stamps},
};

/*
 * One record at a time: where records carry times, or where pages have bytes,
 * so that every write changes them.
 */
static int loop_careful(struct replay *r, struct vm *vm, const rec_t *end, uint64_t until,
			struct err *err)
{
	const bool bytes = vm->host->machine.bytes != NULL;
	int rc = STEP_MORE;

	while (r->next < end && vm->time_ns < until && rc == STEP_MORE) {
		const rec_t x = *r->next;
		vm->time_ns += vm->host->cost.ref + rec_delta(x) * r->tick_ns;
		if (bytes || rec_kind(x) > REC_WRITE || rec_page(x) >= vm->pages) {
			rc = slow(r, vm, err);
			continue;
		}
		rc = pmap_touch(vm->pmap, (ppn_t){(uint32_t)rec_page(x)}, (enum access)rec_kind(x),
				err);
		r->stats.refs++;
		r->stats.writes += rec_kind(x);
		r->next++;
	}
	return rc;
}

static int next_batch(struct replay *r, struct err *err)
{
	const rec_t *batch;
	ssize_t words = source_next(r->source, &batch, err);

	if (words < 0)
		return (int)words;
	if (words == 0)
		return STEP_ENDED;
	r->words += (uint64_t)(r->next - r->batch);
	r->batch = r->next = batch;
	r->end = batch + words;
	r->any = source_any(r->source);
	return STEP_MORE;
}

/*
 * Looks through the next part of the batch, all but the last AHEAD records of
 * which have AHEAD more behind them. A wide record at its end is taken whole.
 */
static void next_chunk(struct replay *r)
{
	size_t left = (size_t)(r->end - r->next), n = left > AHEAD ? left - AHEAD : left;
	rec_t all = 0;

	r->chunk_end = r->next + (n < CHUNK ? n : CHUNK);
	r->chunk_timed = false;
	if (!rec_delta(r->any) && !rec_is_wide(r->any))
		return; /* it was looked through before */
	for (const rec_t *rec = r->next; rec < r->chunk_end; rec++)
		all |= *rec;
	r->chunk_timed = rec_delta(all) != 0;
}

static int replay_step(void *state, struct vm *vm, uint64_t until, struct err *err)
{
	struct replay *r = state;
	struct machine *m = &vm->host->machine;

	if (r->next == r->end) {
		int rc = next_batch(r, err);
		if (rc)
			return rc;
		r->chunk_end = r->next;
	}
	if (r->next >= r->chunk_end)
		next_chunk(r);
	if (m->stamp && m->now > STAMP_LIMIT && machine_renew_stamps(m))
		return err_run(err, ENOMEM, "no memory to renumber stamps");
	if (m->bytes || r->chunk_timed)
		return loop_careful(r, vm, r->chunk_end, until, err);
	const enum frame_track track = m->used	  ? TRACK_USED
				       : m->stamp ? TRACK_STAMPS
						  : TRACK_NOTHING;
	/* Reads and writes without deltas alone, and none beyond the VM's pages. */
	const bool plain = (r->any & ~REC_PAGE_MASK) <= REC_WRITE && rec_page(r->any) < vm->pages;
	return loops[track][plain ? 1 + r->restless : 0](r, vm, r->chunk_end, until, err);
}

static void replay_close(void *state)
{
	struct replay *r = state;

	source_close(r->source);
	free(r);
}

const struct guest replay_guest = {"trace", replay_step, replay_close};

int replay_new(struct vm *vm, struct source *source, struct oracle *oracle, struct replay **out,
	       struct err *err)
{
	struct replay *r = calloc(1, sizeof *r);

	if (!r) {
		source_close(source);
		return err_run(err, ENOMEM, "no memory for a replayer");
	}
	r->source = source;
	r->oracle = oracle;
	r->tick_ns = source_info(source)->tick_ns;
	stat_bind(&vm->stats, replay_stat_rows, r);
	vm_drive(vm, &replay_guest, r);
	*out = r;
	return 0;
}

struct source_progress replay_progress(const struct replay *r)
{
	return source_progress(r->source);
}
