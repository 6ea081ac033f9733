/*
 * image: what a VM's memory holds, by classes of page. The law is in traces/gen.h.
 *
 * What the pages hold is drawn once and kept, for the rewriting to draw from:
 * 12 bytes of the generator's a page.
 */
#include "traces/gen.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define PAGES_MAX (INT64_C(1) << 26) /* 256 GiB of guest */
#define UNIQUE	  UINT64_MAX	     /* in content[]: nobody else's, and new when it is written */
#define TICK_NS	  1000

struct image {
	uint64_t pages, booted, set;
	uint64_t *content; /* [pages] ids; UNIQUE */
	uint32_t *order;   /* [pages] as booted; the first `set` are those rewritten */
	struct rng touch, choice;
	uint64_t write_below;	       /* of 2^32 */
	uint64_t ticks;		       /* between touches */
	uint64_t seed, image, written; /* written: unique contents so far */
};

static uint64_t part(double ratio, uint64_t pages)
{
	return (uint64_t)llround(ratio * (double)pages);
}

static uint64_t content_id(uint64_t seed, const char *purpose, uint64_t index)
{
	struct rng r;

	rng_init(&r, seed, purpose, index);
	uint64_t id = rng_u64(&r);
	return id == 0 || id == UNIQUE ? 1 : id;
}

/* A new content that no other VM of another seed has, nor this one a second time. */
static uint64_t own_id(struct image *m)
{
	struct rng r;

	rng_init(&r, m->image, "gen.image.own", m->seed);
	return content_id(rng_u64(&r), "gen.image.own", m->written++);
}

static void swap_u64(uint64_t *a, uint64_t *b)
{
	uint64_t t = *a;

	*a = *b;
	*b = t;
}

static void shuffle(uint64_t *a, uint64_t n, struct rng *rng)
{
	for (uint64_t i = n; i > 1; i--)
		swap_u64(&a[i - 1], &a[rng_below(rng, i)]);
}

/* A set of contents of the image, of which the VM holds some, in some copies. */
struct pool {
	const char *purpose;
	uint64_t held, copies; /* distinct contents that the VM holds; pages that hold them */
	double member;
};

/*
 * The VM holds `held` of the pool's contents, each choice of so many as likely
 * as any other (selection sampling). Returns where the next class begins.
 */
static uint64_t fill_pool(struct image *m, const struct pool *pool, uint64_t at)
{
	uint64_t need = pool->held, left = part(1 / pool->member, pool->held);
	uint64_t more = need ? pool->copies % need : 0;
	struct rng draw;

	rng_init(&draw, m->seed, pool->purpose, m->image);
	for (uint64_t i = 0; need > 0; i++, left--) {
		if (rng_below(&draw, left) >= need)
			continue;
		uint64_t n = pool->copies / pool->held + (pool->held - need < more);
		uint64_t id = content_id(m->image, pool->purpose, i);
		for (need--; n > 0; n--)
			m->content[at++] = id;
	}
	return at;
}

/* A page for every content: the classes, shuffled. */
static void fill_classes(struct image *m, const struct gen_opts *o)
{
	uint64_t at = part(o->zero, m->pages); /* zero already */
	struct pool copies = {"gen.image.copies", part(o->copy_contents, m->pages),
			      part(o->copies, m->pages), o->member};
	/* Rounding may ask for a page more than there is. */
	uint64_t common = min_u64(part(o->common, m->pages), m->pages - at - copies.copies);
	struct pool pool = {"gen.image.common", common, common, o->member};
	struct rng place;

	at = fill_pool(m, &copies, at);
	at = fill_pool(m, &pool, at);
	while (at < m->pages)
		m->content[at++] = UNIQUE;
	rng_init(&place, m->seed, "gen.image.place", m->image);
	shuffle(m->content, m->pages, &place);
	for (uint64_t i = 0; i < m->pages; i++) {
		uint64_t j = rng_below(&place, i + 1);
		m->order[i] = m->order[j];
		m->order[j] = (uint32_t)i;
	}
}

static int check(const struct gen_opts *o, struct err *err)
{
	uint64_t zero = part(o->zero, (uint64_t)o->pages),
		 copies = part(o->copies, (uint64_t)o->pages),
		 contents = part(o->copy_contents, (uint64_t)o->pages);

	if (o->pages > PAGES_MAX)
		return err_input(err, "law = image makes up to 2^26 pages: lower pages");
	if (!(o->zero >= 0 && o->copies >= 0 && o->copy_contents >= 0 && o->common >= 0 &&
	      o->zero + o->copies + o->common <= 1 + 1e-9) ||
	    zero + copies > (uint64_t)o->pages)
		return err_input(err, "zero, copies and common are parts of pages: "
				      "let their sum be at most 1");
	if (2 * contents > copies || (copies && !contents))
		return err_input(err,
				 "copies = %llu pages of copy_contents = %llu contents: each "
				 "content needs at least two copies",
				 (unsigned long long)copies, (unsigned long long)contents);
	if (!(o->member >= 0.01 && o->member <= 1))
		return err_input(err, "member lies in 0.01 to 1");
	if (o->pace % TICK_NS || o->pace / TICK_NS > REC_DELTA_MAX)
		return err_input(err, "pace is a whole number of microseconds, at most 16s");
	return 0;
}

static void image_stop(void *state)
{
	struct image *m = state;

	free(m->content);
	free(m->order);
}

static int image_start(void *state, const struct gen_opts *o, uint64_t index, struct err *err)
{
	struct image *m = state;
	int rc = check(o, err);

	if (rc)
		return rc;
	*m = (struct image){.pages = (uint64_t)o->pages, .set = (uint64_t)o->set_pages};
	m->content = calloc(m->pages, sizeof *m->content);
	m->order = calloc(m->pages, sizeof *m->order);
	if (!m->content || !m->order) {
		image_stop(m);
		return err_run(err, ENOMEM, "out of memory");
	}
	m->seed = (uint64_t)o->seed;
	m->image = (uint64_t)o->image;
	m->write_below = (uint64_t)(o->write_ratio * 0x1p32);
	m->ticks = o->pace / TICK_NS;
	rng_init(&m->touch, m->seed, "gen.page", index);
	rng_init(&m->choice, m->seed, "gen.write", index);
	fill_classes(m, o);
	return 0;
}

static uint64_t to_write(struct image *m, uint64_t page)
{
	return m->content[page] == UNIQUE ? own_id(m) : m->content[page];
}

static size_t image_words(void *state, rec_t *word, size_t refs)
{
	struct image *m = state;
	size_t n = 0;

	for (size_t i = 0; i < refs; i++) {
		if (m->booted < m->pages) {
			uint64_t page = m->order[m->booted++];
			word[n++] = rec_make(REC_WRITE_ID, page, 0);
			word[n++] = to_write(m, page);
			continue;
		}
		uint64_t page = rng_below(&m->touch, m->pages);
		if (rng_u64(&m->choice) >> 32 >= m->write_below) {
			word[n++] = rec_make(REC_READ, page, m->ticks);
			continue;
		}
		/* The contents of any page of the image, to one of the set. */
		uint64_t to = m->order[rng_below(&m->choice, m->set)];
		word[n++] = rec_make(REC_WRITE_ID, to, m->ticks);
		word[n++] = to_write(m, page);
	}
	return n;
}

static void image_describe(const struct gen_opts *o, char *text, size_t size)
{
	snprintf(text, size,
		 "ballast trace gen image refs=%lld pages=%lld seed=%lld write_ratio=%g "
		 "set_pages=%lld zero=%g copies=%g copy_contents=%g common=%g member=%g "
		 "image=%lld pace=%lluus",
		 (long long)o->refs, (long long)o->pages, (long long)o->seed, o->write_ratio,
		 (long long)o->set_pages, o->zero, o->copies, o->copy_contents, o->common,
		 o->member, (long long)o->image, (unsigned long long)o->pace / 1000);
}

const struct law law_image = {
	.policy = {.name = "image", .help = "a VM's memory by classes of page, some rewritten"},
	.size = sizeof(struct image),
	.tick_ns = TICK_NS,
	.start = image_start,
	.words = image_words,
	.describe = image_describe,
	.stop = image_stop,
};
