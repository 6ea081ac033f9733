#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>

/*
 * A source over another. Records that a stage drops leave their time to the
 * next one that it keeps.
 */
struct stage {
	struct source source;
	struct source *inner;
	char name[512];	  /* the inner's, and what became of it */
	uint64_t records; /* of the inner source, the one dealt with included */
	/* Deals with one record: 1 done, 0 more of it to come in the next batch, or -errno. */
	int (*step)(struct stage *s, rec_t r, uint64_t operand, struct err *err);
	const rec_t *in; /* the inner batch and how far it is used */
	size_t at, n;
	bool begun;	/* the time of in[at] is in ticks already */
	uint64_t ticks; /* of dropped records and of in[at] */
	struct batch batch;

	/* only_vm */
	uint64_t only, vm; /* which one, and which records now belong to */

	/* renumber */
	struct place place;
	struct idmap *pages;	   /* place_key() -> number */
	uint64_t numbers[VMS_MAX]; /* by VM: its pages so far */
	uint64_t range_at;	   /* pages of the range in[at] dealt with */
};

#define PAGES_MAX (UINT64_C(1) << 32) /* a PPN has 32 bits */
#define RANGE_MAX (UINT64_C(1) << 22) /* pages in one record: 16 GiB */

static void keep(struct stage *s, unsigned kind, uint64_t page, uint64_t operand)
{
	rec_t r = rec_make(kind, page, s->ticks);

	s->ticks = 0;
	batch_add(&s->batch, r);
	if (rec_is_wide(r))
		batch_add(&s->batch, operand);
}

/* How many VMs a source has is known once it is counted, and at its end. */
static int no_such_vm(const struct source *source, uint64_t vm, struct err *err)
{
	return err_input(err,
			 "%s: there is no VM %llu: it has %u, numbered from 0; give another "
			 "trace_vm or --vm",
			 source->name, (unsigned long long)vm, source->info.vms);
}

static ssize_t stage_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct stage *s = (struct stage *)source;

	s->batch.n = 0;
	for (;;) {
		rec_t r;
		int done;

		if (s->at == s->n) {
			ssize_t n = source_next(s->inner, &s->in, err);
			if (n < 0)
				return n;
			if (n == 0 && s->only >= s->inner->info.vms)
				return no_such_vm(s->inner, s->only, err);
			if (n == 0)
				break;
			s->at = 0;
			s->n = (size_t)n;
		}
		r = s->in[s->at];
		if (!s->begun) {
			s->ticks += rec_delta(r);
			s->records++;
		}
		s->begun = true;
		if (!batch_sleep(&s->batch, &s->ticks))
			break;
		done = s->step(s, r, rec_is_wide(r) ? s->in[s->at + 1] : 0, err);
		if (done < 0) {
			err_prefix(err, "%s: record %llu", s->inner->name,
				   (unsigned long long)s->records);
			return done;
		}
		if (!done)
			break;
		s->at += rec_is_wide(r) ? 2 : 1;
		s->begun = false;
	}
	*batch = s->batch.word;
	return (ssize_t)s->batch.n;
}

static void stage_close(struct source *source)
{
	struct stage *s = (struct stage *)source;

	place_release(&s->place);
	idmap_free(s->pages);
	source_close(s->inner);
	free(s);
}

static struct source_progress stage_progress(const struct source *source)
{
	return source_progress(((const struct stage *)source)->inner);
}

static const struct source_ops stage_ops = {stage_next, stage_close, stage_progress};

/* Takes the inner source, also on failure; what is for its name. */
static int stage_new(struct source *inner, const char *what,
		     int (*step)(struct stage *, rec_t, uint64_t, struct err *),
		     struct stage **stage, struct err *err)
{
	struct stage *s = calloc(1, sizeof *s);

	if (!s) {
		source_close(inner);
		return err_run(err, ENOMEM, "out of memory");
	}
	s->source = (struct source){.ops = &stage_ops, .info = *source_info(inner)};
	s->source.info.counted = false;
	snprintf(s->name, sizeof s->name, "%s (%s)", inner->name, what);
	s->source.name = s->name;
	s->inner = inner;
	s->step = step;
	*stage = s;
	return 0;
}

/* ---- one VM of several --------------------------------------------------- */

static int only_step(struct stage *s, rec_t r, uint64_t operand, struct err *err)
{
	if (rec_kind(r) == REC_VM) {
		if (rec_page(r) >= VMS_MAX)
			return err_input(err, "VM %llu: at most %u VMs are possible",
					 (unsigned long long)rec_page(r), VMS_MAX);
		s->vm = rec_page(r);
		return 1;
	}
	if (s->vm == s->only || rec_kind(r) == REC_END)
		keep(s, rec_kind(r), rec_page(r), operand);
	else if (rec_kind(r) == REC_SLEEP) /* the VMs of a trace share its clock */
		s->ticks += rec_page(r);
	return 1;
}

int source_only_vm(struct source *inner, uint32_t vm, struct source **source, struct err *err)
{
	struct stage *s;
	char what[32];
	int rc;

	if (inner->info.counted && vm >= inner->info.vms) {
		rc = no_such_vm(inner, vm, err);
		source_close(inner);
		return rc;
	}
	snprintf(what, sizeof what, "VM %u", vm);
	rc = stage_new(inner, what, only_step, &s, err);
	if (rc)
		return rc;
	s->only = vm;
	s->source.info.vms = 1;
	*source = &s->source;
	return 0;
}

/* ---- dense numbers by first touch ---------------------------------------- */

static int no_memory(struct err *err)
{
	return err_run(err, ENOMEM, "out of memory for the page numbers");
}

static int renumber_page(struct stage *s, rec_t r, uint64_t operand, struct err *err)
{
	uint64_t key = place_key(&s->place, rec_page(r)), *number = idmap_find(s->pages, key);
	uint64_t fresh = s->numbers[s->place.vm];

	if (!number) {
		if (fresh == PAGES_MAX)
			return err_input(err, "it touches the first page over 2^32 of one VM");
		if (idmap_add(s->pages, key, fresh))
			return no_memory(err);
		s->numbers[s->place.vm]++;
	}
	keep(s, rec_kind(r), number ? *number : fresh, operand);
	return 1;
}

/* A range that was in a row is so no longer: one record for each page that was ever touched. */
static int renumber_unmap(struct stage *s, rec_t r, uint64_t pages, struct err *err)
{
	if (pages > RANGE_MAX || pages > REC_PAGE_MAX + 1 - rec_page(r))
		return err_input(err,
				 "it unmaps %llu pages at once: at most %llu can be renumbered",
				 (unsigned long long)pages, (unsigned long long)RANGE_MAX);
	for (; s->range_at < pages; s->range_at++) {
		uint64_t *number =
			idmap_find(s->pages, place_key(&s->place, rec_page(r) + s->range_at));

		if (batch_full(&s->batch))
			return 0;
		if (number)
			keep(s, REC_UNMAP, *number, 1);
	}
	s->range_at = 0;
	return 1;
}

static int renumber_step(struct stage *s, rec_t r, uint64_t operand, struct err *err)
{
	int rc;

	switch (rec_kind(r)) {
	case REC_SWITCH: /* the numbers are the VM's own */
		rc = place_follow(&s->place, r, err);
		return rc ? rc : 1;
	case REC_VM:
		rc = place_follow(&s->place, r, err);
		if (!rc)
			keep(s, REC_VM, rec_page(r), 0);
		return rc ? rc : 1;
	case REC_MAP: /* a page gets its number when it is touched */
	case REC_FORK:
	case REC_PROTECT:
		return 1;
	case REC_UNMAP:
		return renumber_unmap(s, r, operand, err);
	default:
		if (rec_has_page(rec_kind(r)))
			return renumber_page(s, r, operand, err);
		keep(s, rec_kind(r), rec_page(r), operand);
		return 1;
	}
}

int source_renumber(struct source *inner, struct source **source, struct err *err)
{
	struct stage *s;
	int rc = stage_new(inner, "renumbered", renumber_step, &s, err);

	if (rc)
		return rc;
	s->source.info.space = TRACE_PPN;
	s->source.info.highest_page = 0;
	rc = place_init(&s->place, err);
	if (!rc && idmap_new(&s->pages))
		rc = no_memory(err);
	if (rc)
		stage_close(&s->source);
	else
		*source = &s->source;
	return rc;
}
