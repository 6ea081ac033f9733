#include "traces/replay.h"

#include <errno.h>
#include <stdlib.h>

#define BATCH_MAX (1u << 18) /* records a step takes at most, so that the driver gets a word in */
#define AHEAD	  12	     /* records ahead whose pmap entries are fetched */

struct replay_stats {
	uint64_t refs, writes, skipped;
};

struct replay {
	struct source *source;
	struct oracle *oracle;
	const rec_t *next, *end; /* what is left of the batch */
	uint64_t words;		 /* taken from the source before the batch */
	const rec_t *batch;
	uint64_t tick_ns;
	struct replay_stats stats;
	uint64_t content; /* the last content id made up for a plain write, without an oracle */
};

#define STAT(field) offsetof(struct replay, stats.field)

static const struct stat_row replay_stat_rows[] = {
	{"refs", STAT_COUNTER, "1", STAT(refs), true, "references to memory"},
	{"writes", STAT_COUNTER, "1", STAT(writes), false, "of them, writes"},
	{"skipped", STAT_COUNTER, "1", STAT(skipped), false,
	 "records that a guest without an operating system has no use for"},
	{NULL},
};

/* Where the replayer is in its trace, in 8-byte words from its start. */
static unsigned long long position(const struct replay *r)
{
	return r->words + (uint64_t)(r->next - r->batch);
}

static int page_beyond(const struct replay *r, const struct vm *vm, uint64_t page, struct err *err)
{
	return err_input(err,
			 "record %llu of its trace names page %llu, beyond the VM's %u pages: "
			 "raise vm.%s.memory, or import the trace with --renumber",
			 position(r), (unsigned long long)page, vm->pages, vm->name);
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
		return err_input(err, "record %llu of its trace lacks its operand", position(r));
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
		rc = write_content(r, vm, ppn, operand, err);
		break;
	case REC_DMA:
		rc = pmap_touch(vm->pmap, ppn, operand ? ACCESS_WRITE : ACCESS_READ, err);
		break;
	case REC_UNMAP:
		rc = unmap(r, vm, page, operand, err);
		break;
	case REC_SLEEP:
		sleep_ticks(r, vm, page);
		break;
	case REC_END:
		return STEP_ENDED;
	case REC_SWITCH:
	case REC_VM:
	case REC_MAP:
	case REC_FILE_READ:
	case REC_FILE_WRITE:
		r->stats.skipped++;
		break;
	default:
		return err_input(err, "record %llu of its trace is of unknown kind %u", position(r),
				 kind);
	}
	r->next += rec_is_wide(x) ? 2 : 1;
	return rc;
}

/*
 * The hot path. Specialised by its constant argument; state that the loop
 * carries lives in locals and is written back around each slow() and at the
 * end.
 */
static inline __attribute__((always_inline)) int loop(struct replay *r, struct vm *vm,
						      const rec_t *end, uint64_t until,
						      const bool stamps, struct err *err)
{
	struct machine *m = &vm->host->machine;
	pte_t *const pte = vm->pmap->pte;
	uint32_t *const stamp = m->stamp;
	const uint64_t pages = vm->pages, ref_ns = vm->host->cost.ref, tick_ns = r->tick_ns;
	const rec_t *rec = r->next;
	uint64_t t = vm->time_ns, writes = 0, refs = 0;
	uint32_t now = m->now;
	int rc = STEP_MORE;

	while (rec < end && t < until) {
		const rec_t x = *rec;
		const uint64_t page = rec_page(x);
		const unsigned kind = rec_kind(x);

		__builtin_prefetch(&pte[rec_page(rec + AHEAD < end ? rec[AHEAD] : x)], 1);
		t += ref_ns + rec_delta(x) * tick_ns;
		if (likely(page < pages)) {
			const pte_t e = pte[page];
			if (likely(e >> kind & 1)) {
				pte[page] = e | PTE_HIT | (kind ? PTE_STORE : 0);
				if (stamps)
					stamp[pte_value(e)] = now++;
				writes += kind;
				refs++;
				rec++;
				continue;
			}
		}
		r->next = rec;
		vm->time_ns = t;
		m->now = now;
		rc = slow(r, vm, err);
		rec = r->next;
		t = vm->time_ns;
		now = m->now;
		if (rc)
			break;
	}
	r->next = rec;
	r->stats.refs += refs;
	r->stats.writes += writes;
	vm->time_ns = t;
	m->now = now;
	return rc;
}

static __attribute__((noinline)) int loop_stamps(struct replay *r, struct vm *vm, const rec_t *end,
						 uint64_t until, struct err *err)
{
	return loop(r, vm, end, until, true, err);
}

static __attribute__((noinline)) int loop_plain(struct replay *r, struct vm *vm, const rec_t *end,
						uint64_t until, struct err *err)
{
	return loop(r, vm, end, until, false, err);
}

/* Where pages have bytes every write changes them, so nothing is a mere hit. */
static int loop_bytes(struct replay *r, struct vm *vm, const rec_t *end, uint64_t until,
		      struct err *err)
{
	while (r->next < end && vm->time_ns < until) {
		vm->time_ns += vm->host->cost.ref + rec_delta(*r->next) * r->tick_ns;
		int rc = slow(r, vm, err);
		if (rc)
			return rc;
	}
	return STEP_MORE;
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
	return STEP_MORE;
}

/* At most BATCH_MAX words on; a wide record at the cut is still taken whole. */
static const rec_t *step_end(const struct replay *r)
{
	return r->end - r->next > BATCH_MAX ? r->next + BATCH_MAX : r->end;
}

static int replay_step(void *state, struct vm *vm, uint64_t until, struct err *err)
{
	struct replay *r = state;
	struct machine *m = &vm->host->machine;

	if (r->next == r->end) {
		int rc = next_batch(r, err);
		if (rc)
			return rc;
	}
	if (m->stamp && m->now > STAMP_LIMIT && machine_renew_stamps(m))
		return err_run(err, ENOMEM, "no memory to renumber stamps");
	if (m->bytes)
		return loop_bytes(r, vm, step_end(r), until, err);
	return m->stamp ? loop_stamps(r, vm, step_end(r), until, err)
			: loop_plain(r, vm, step_end(r), until, err);
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
