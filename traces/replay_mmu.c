#include "traces/replay_mmu.h"

#include "traces/replay_kernel.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK 4096 /* records a step takes at most */
#define BLOCK 16   /* records that are fetched for together, where there are no rows */
#define TRIES 16   /* faults that one reference may take */

struct replay_stats {
	uint64_t refs, writes, skipped;
};

struct replay_mmu {
	struct mmu *mmu;
	struct kernel *kernel;
	struct source *source;
	const rec_t *next, *end, *batch;
	uint64_t words, operands; /* as struct replay's */
	uint64_t tick_ns;
	uint64_t content;
	uint64_t charged; /* cycles that the clock has moved by */
	struct replay_stats stats;
};

#define STAT(field) offsetof(struct replay_mmu, stats.field)

static const struct stat_row replay_stat_rows[] = {
	{"refs", STAT_COUNTER, "1", STAT(refs), true, "references to memory"},
	{"writes", STAT_COUNTER, "1", STAT(writes), false, "of them, writes"},
	{"skipped", STAT_COUNTER, "1", STAT(skipped), false,
	 "records that its kernel has no use for"},
	{NULL},
};

#define KSTAT(field) offsetof(struct kernel_stats, field)

static const struct stat_row kernel_stat_rows[] = {
	{"spaces", STAT_GAUGE, "1", KSTAT(spaces), false, "address spaces"},
	{"guest_used", STAT_GAUGE, "pages", KSTAT(used), true,
	 "pages that the guest's kernel has in use, tables included"},
	{"first_maps", STAT_COUNTER, "pages", KSTAT(first_maps), false,
	 "pages that the guest mapped on first touch"},
	{"forks", STAT_COUNTER, "1", KSTAT(forks), false, "address spaces copied"},
	{"cow_copies", STAT_COUNTER, "1", KSTAT(cow_copies), false,
	 "pages that the guest copied when they were written after a fork"},
	{"cow_reuses", STAT_COUNTER, "1", KSTAT(cow_reuses), false,
	 "the same, where nobody else had the page any more"},
	{"guest_large_maps", STAT_COUNTER, "1", KSTAT(large_maps), false,
	 "2 MiB pages that the guest mapped"},
	{"guest_large_splits", STAT_COUNTER, "1", KSTAT(large_splits), false,
	 "2 MiB pages that the guest split"},
	{NULL},
};

static unsigned long long position(const struct replay_mmu *r)
{
	return r->words + (uint64_t)(r->next - r->batch) - r->operands + 1;
}

/* With mmu.charge, what translation has cost since moves the clock. */
static void charge(struct replay_mmu *r, struct vm *vm)
{
	if (!r->mmu->opts.charge)
		return;
	uint64_t cycles = mmu_cycles(r->mmu);
	vm->time_ns += (uint64_t)((double)(cycles - r->charged) / r->mmu->opts.ghz);
	r->charged = cycles;
}

/* A reference that faulted: the kernel is called until it succeeds. */
static int resolve(struct replay_mmu *r, struct mmu_fault *fault, uint64_t vpn, enum access access,
		   ppn_t *ppn, struct err *err)
{
	struct mmu *mmu = r->mmu;

	for (int tries = 0; tries < TRIES; tries++) {
		mmu_set_user(mmu, false);
		int rc = kernel_fault(r->kernel, fault, err);
		if (rc)
			return rc;
		mmu_set_user(mmu, vpn < PT_KERNEL);
		rc = mmu_ref(mmu, vpn, access, ppn, fault, err);
		if (rc <= 0)
			return rc;
	}
	return err_run(err, EIO, "page %llx of the guest faults again and again",
		       (unsigned long long)vpn);
}

/* One reference that has all to do: contents too. */
static int reference(struct replay_mmu *r, struct vm *vm, uint64_t vpn, enum access access,
		     const uint64_t *id, struct err *err)
{
	struct mmu_fault fault;
	ppn_t ppn;

	mmu_set_user(r->mmu, vpn < PT_KERNEL);
	int rc = mmu_ref(r->mmu, vpn, access, &ppn, &fault, err);
	if (rc == MMU_FAULT)
		rc = resolve(r, &fault, vpn, access, &ppn, err);
	r->mmu->refs++;
	r->stats.refs++;
	r->stats.writes += access == ACCESS_WRITE;
	if (rc || access != ACCESS_WRITE || !(id || vm->host->machine.bytes))
		return rc;
	struct oracle *oracle = r->mmu->oracle;
	const uint64_t now = id ? *id : oracle ? oracle_fresh_id(oracle) : ++r->content;
	rc = pmap_set_content(vm->pmap, ppn, now, err);
	if (rc == 0 && oracle && oracle_write(oracle, vm, ppn, now))
		rc = err_run(err, ENOMEM, "no memory for the content oracle");
	return rc;
}

/* Whatever is no plain read or write. Advances past the record. STEP_* or -errno. */
static int special(struct replay_mmu *r, struct vm *vm, struct err *err)
{
	rec_t x = r->next[0];
	uint64_t page = rec_page(x), operand = 0, id;
	int rc = 0;

	if (rec_is_wide(x)) {
		if (r->end - r->next < 2)
			return err_input(err, "%s: record %llu lacks its operand",
					 source_name(r->source), position(r));
		operand = r->next[1];
	}
	id = operand;
	if (rec_kind(x) > REC_WRITE && rec_kind(x) != REC_WRITE_ID && rec_kind(x) != REC_DMA)
		mmu_set_user(r->mmu, false); /* a system call */
	switch ((enum rec_kind)rec_kind(x)) {
	case REC_READ:
	case REC_WRITE:
		rc = reference(r, vm, page, (enum access)rec_kind(x), NULL, err);
		break;
	case REC_WRITE_ID:
		rc = reference(r, vm, page, ACCESS_WRITE, &id, err);
		break;
	case REC_DMA:
		rc = reference(r, vm, page, operand ? ACCESS_WRITE : ACCESS_READ, NULL, err);
		break;
	case REC_SWITCH:
		rc = kernel_switch(r->kernel, page, err);
		break;
	case REC_FORK:
		rc = kernel_fork(r->kernel, page, err);
		break;
	case REC_UNMAP:
		rc = kernel_unmap(r->kernel, page, operand, err);
		break;
	case REC_PROTECT:
		rc = kernel_protect(r->kernel, page, operand / 2, operand & 1, err);
		break;
	case REC_SLEEP: {
		unsigned __int128 ns = (unsigned __int128)page * r->tick_ns;
		vm->time_ns += ns < HOST_TIME_MAX ? (uint64_t)ns : HOST_TIME_MAX;
		break;
	}
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
	case REC_MAP: /* pages come on first touch */
	case REC_FILE_READ:
	case REC_FILE_WRITE:
		r->stats.skipped++;
		break;
	default:
		return err_input(err, "%s: record %llu is of unknown kind %u",
				 source_name(r->source), position(r), rec_kind(x));
	}
	charge(r, vm);
	r->next += rec_is_wide(x) ? 2 : 1;
	r->operands += rec_is_wide(x);
	return rc;
}

/* One record, whatever it is. STEP_* or -errno. */
static int one(struct replay_mmu *r, struct vm *vm, struct err *err)
{
	const rec_t x = *r->next;
	const uint64_t vpn = rec_page(x);
	const enum access access = (enum access)rec_kind(x);
	struct mmu_fault fault;
	ppn_t ppn;

	vm->time_ns += vm->host->cost.ref + rec_delta(x) * r->tick_ns;
	if (rec_kind(x) > REC_WRITE || vm->host->machine.bytes ||
	    (vpn >= PT_KERNEL) == r->mmu->user)
		return special(r, vm, err);
	int rc = mmu_ref(r->mmu, vpn, access, &ppn, &fault, err);
	if (unlikely(rc == MMU_FAULT))
		rc = resolve(r, &fault, vpn, access, &ppn, err);
	charge(r, vm);
	r->mmu->refs++;
	r->stats.refs++;
	r->stats.writes += access;
	r->next++;
	return rc;
}

/*
 * The hot path: up to n plain references in the mode that the processor is in, without
 * times of their own. Returns how many there were before another record.
 */
static inline size_t plain(struct replay_mmu *r, struct mmu_row *row, size_t n)
{
	struct mmu *mmu = r->mmu;

	_Static_assert(REC_PAGE_BITS == 64 - MMU_REF_SHIFT && REC_WRITE == 1,
		       "a plain record without a time is a reference as an MMU takes them");
	row->end = row->at + n;
	row->writes = 0;
	mmu->run(mmu, row);
	n = row->at - (size_t)(r->next - r->batch);
	mmu->refs += n;
	r->stats.refs += n;
	r->stats.writes += row->writes;
	r->next += n;
	return n;
}

/* How many of n records begin before `until`, where each takes ref_ns. */
static size_t records_until(uint64_t t, uint64_t until, uint64_t ref_ns, size_t n)
{
	if (t >= until)
		return 0;
	if (until - t >= n * ref_ns)
		return n;
	return (until - t + ref_ns - 1) / ref_ns;
}

/*
 * What is done in runs: pages without bytes, time that passes with references alone, and
 * walks that are made again.
 */
static int loop(struct replay_mmu *r, struct vm *vm, const rec_t *end, uint64_t until,
		struct err *err)
{
	const uint64_t ref_ns = vm->host->cost.ref;
	const bool runs = !vm->host->machine.bytes && !r->mmu->opts.charge && r->mmu->run;
	struct mmu_row row;
	int rc = STEP_MORE;

	row.ref = r->batch;
	row.words = (size_t)(r->end - r->batch);
	row.far = row.near = 0;
	while (r->next < end && rc == STEP_MORE) {
		const size_t left = (size_t)(end - r->next);
		const size_t n = records_until(vm->time_ns, until, ref_ns,
					       runs ? left : min_u64(left, BLOCK));
		if (n == 0)
			break;
		row.at = (size_t)(r->next - r->batch);
		mmu_fetch_until(r->mmu, &row, row.at + (runs ? 0 : BLOCK));
		const rec_t *const stop = r->next + n;
		if (runs)
			vm->time_ns += plain(r, &row, n) * ref_ns;
		while (r->next < stop && vm->time_ns < until && rc == STEP_MORE) {
			rc = one(r, vm, err);
			if (runs)
				break;
		}
	}
	return rc;
}

static int step(void *state, struct vm *vm, uint64_t until, struct err *err)
{
	struct replay_mmu *r = state;
	struct machine *m = &vm->host->machine;

	if (r->next == r->end) {
		const rec_t *batch;
		ssize_t words = source_next(r->source, &batch, err);
		if (words <= 0)
			return words < 0 ? (int)words : STEP_ENDED;
		r->words += (uint64_t)(r->next - r->batch);
		r->batch = r->next = batch;
		r->end = batch + words;
	}
	if (m->stamp && m->now > STAMP_LIMIT && machine_renew_stamps(m))
		return err_run(err, ENOMEM, "no memory to renumber stamps");
	size_t left = (size_t)(r->end - r->next);
	return loop(r, vm, r->next + min_u64(left, CHUNK), until, err);
}

static void replay_close(void *state)
{
	struct replay_mmu *r = state;

	source_close(r->source);
	kernel_free(r->kernel);
	free(r);
}

static const struct guest replay_mmu_guest = {"virtual trace", step, replay_close};

int replay_mmu_new(struct mmu *mmu, struct source *source, bool large, struct replay_mmu **out,
		   struct err *err)
{
	struct replay_mmu *r = calloc(1, sizeof *r);
	struct vm *vm = mmu->pmap->vm;
	int rc = r ? kernel_new(mmu, large, &r->kernel, err)
		   : err_run(err, ENOMEM, "no memory for a replayer");

	if (rc) {
		source_close(source);
		free(r);
		return rc;
	}
	r->mmu = mmu;
	r->source = source;
	r->tick_ns = source_info(source)->tick_ns;
	stat_bind(&vm->stats, replay_stat_rows, r);
	stat_bind(&vm->stats, kernel_stat_rows, kernel_stats(r->kernel));
	vm_drive(vm, &replay_mmu_guest, r);
	*out = r;
	return 0;
}

struct source_progress replay_mmu_progress(const struct replay_mmu *r)
{
	return source_progress(r->source);
}
