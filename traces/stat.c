#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A pass over a trace that counts each page's references. */
struct tally {
	struct place place;
	struct idmap *pages; /* place_key() -> index in refs */
	uint64_t *refs;	     /* by page, in the order of first touches */
	uint64_t n, room;
};

static int no_memory(struct err *err)
{
	return err_run(err, ENOMEM, "out of memory for the pages' counts");
}

static int tally_page(struct tally *t, uint64_t page, struct err *err)
{
	uint64_t key = place_key(&t->place, page), *index = idmap_find(t->pages, key);

	if (index) {
		t->refs[*index]++;
		return 0;
	}
	if (t->n == t->room) {
		uint64_t room = t->room ? 2 * t->room : 1024;
		uint64_t *bigger = realloc(t->refs, room * sizeof *bigger);

		if (!bigger)
			return no_memory(err);
		t->refs = bigger;
		t->room = room;
	}
	if (idmap_add(t->pages, key, t->n))
		return no_memory(err);
	t->refs[t->n++] = 1;
	return 0;
}

static int tally_record(struct tally *t, rec_t r, struct trace_stat *stat, struct err *err)
{
	unsigned kind = rec_kind(r);
	int rc;

	stat->records++;
	if (!kind_valid(kind))
		return err_input(err, "of unknown kind %u", kind);
	stat->kinds[kind]++;
	stat->ticks += rec_delta(r) + (kind == REC_SLEEP ? rec_page(r) : 0);
	if (kind > REC_WRITE && (kind == REC_MAP || kind == REC_UNMAP || !rec_has_page(kind)))
		return place_follow(&t->place, r, err);
	rc = tally_page(t, rec_page(r), err);
	if (rc)
		return rc;
	stat->touches++;
	if ((stat->touches & (stat->touches - 1)) == 0)
		stat->footprint[stat->footprints++] = t->n;
	return 0;
}

static int hotter(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

/* References to the hottest pages, one in so many. */
static uint64_t hottest(const struct tally *t, uint64_t one_in)
{
	uint64_t sum = 0, n = (t->n + one_in - 1) / one_in;

	for (uint64_t i = 0; i < n; i++)
		sum += t->refs[i];
	return sum;
}

int source_stat(struct source *source, struct trace_stat *stat, progress_fn *progress, void *arg,
		struct err *err)
{
	struct tally t = {.n = 0};
	const rec_t *batch;
	ssize_t n = 0;
	int rc = place_init(&t.place, err);

	memset(stat, 0, sizeof *stat);
	if (!rc && idmap_new(&t.pages))
		rc = no_memory(err);
	while (!rc && (n = source_next(source, &batch, err)) > 0) {
		for (ssize_t i = 0; i < n && !rc; i += rec_is_wide(batch[i]) ? 2 : 1)
			rc = tally_record(&t, batch[i], stat, err);
		if (rc)
			err_prefix(err, "%s: record %llu", source->name,
				   (unsigned long long)stat->records);
		if (progress) {
			struct source_progress p = source_progress(source);
			progress(arg, p.done, p.total);
		}
	}
	if (n < 0)
		rc = (int)n;
	if (!rc && t.n) {
		qsort(t.refs, t.n, sizeof *t.refs, hotter);
		stat->pages = t.n;
		stat->hottest_100th = hottest(&t, 100);
		stat->hottest_10th = hottest(&t, 10);
	}
	free(t.refs);
	idmap_free(t.pages);
	place_release(&t.place);
	return rc;
}
