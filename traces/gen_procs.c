/*
 * Laws of processes in virtual memory, for guests whose addresses are translated.
 *
 * Each makes records of its own kinds beside reads and writes: switches of address
 * space, forks, unmaps, and references to the kernel's half of the addresses.
 */
#include "traces/gen.h"

#define KERNEL	   (UINT64_C(1) << (REC_PAGE_BITS - 1))
#define KERNEL_HOT 64		       /* pages that the kernel always uses */
#define IMAGE	   (UINT64_C(1) << 20) /* where a process's fresh memory begins */
#define SERVERS	   48		       /* processes */
#define SERVER_SET 96		       /* pages of each */
#define SERVER_RUN 120		       /* records between two switches */
#define BUILD_IDS  8		       /* children's address spaces, used in turn */
#define BUILD_TEXT 400		       /* pages of a compiler that it uses */
#define BUILD_RUN  6000		       /* records of a child */
#define SORT_AREA  32		       /* pages that a database maps and unmaps */

struct procs {
	struct rng page, choice;
	uint64_t pages, write_below, churn_below; /* of 2^32 */
	uint64_t step, gone; /* records of this phase; a page that was unmapped, plus 1 */
	uint64_t child;
};

static bool chance(struct procs *p, uint64_t below)
{
	return rng_u64(&p->choice) >> 32 < below;
}

static size_t touch(struct procs *p, uint64_t page, rec_t *word)
{
	*word = rec_make(chance(p, p->write_below) ? REC_WRITE : REC_READ, page, 0);
	return 1;
}

static size_t plain(enum rec_kind kind, uint64_t page, rec_t *word)
{
	*word = rec_make(kind, page, 0);
	return 1;
}

static size_t unmap(uint64_t page, uint64_t pages, rec_t *word)
{
	word[0] = rec_make(REC_UNMAP, page, 0);
	word[1] = pages;
	return 2;
}

static size_t kernel(struct procs *p, rec_t *word)
{
	return touch(p, KERNEL + rng_below(&p->page, KERNEL_HOT), word);
}

/* Pages near 0 more often: the square of a uniform draw. */
static uint64_t skewed(struct procs *p, uint64_t pages)
{
	uint64_t u = rng_u64(&p->page) >> 32;

	return (u * u >> 32) * pages >> 32;
}

/* One process over all its pages; with churn, one is unmapped and touched again. */
static size_t walker(struct procs *p, rec_t *word)
{
	if (p->gone) {
		uint64_t page = p->gone - 1;
		p->gone = 0;
		return plain(REC_WRITE, page, word);
	}
	uint64_t page = rng_below(&p->page, p->pages);
	if (p->churn_below && chance(p, p->churn_below)) {
		p->gone = page + 1;
		return unmap(page, 1, word);
	}
	return touch(p, page, word);
}

/* A make that forks children; each becomes a compiler, works on fresh pages, and ends. */
static size_t build(struct procs *p, rec_t *word)
{
	uint64_t at = p->step++;

	if (at < 300) /* make, in space 0 */
		return touch(p, skewed(p, p->pages / 8 + 1), word);
	if (at == 300)
		return plain(REC_FORK, 1 + p->child, word);
	if (at == 301)
		return plain(REC_SWITCH, 1 + p->child, word);
	if (at < 340) /* the child before its exec: copies some of its parent's pages */
		return plain(REC_WRITE, skewed(p, p->pages / 8 + 1), word);
	if (at == 340)
		return unmap(0, KERNEL, word);
	if (at < 340 + BUILD_RUN) {
		uint64_t what = rng_below(&p->choice, 10);
		if (what < 2)
			return kernel(p, word);
		if (what < 6)
			return plain(REC_READ, IMAGE + skewed(p, BUILD_TEXT), word);
		return touch(p, 2 * IMAGE + skewed(p, (at - 340) / 4 + 1), word);
	}
	if (at == 340 + BUILD_RUN)
		return unmap(0, KERNEL, word);
	p->step = 0;
	p->child = (p->child + 1) % BUILD_IDS;
	return plain(REC_SWITCH, 0, word);
}

/* Many processes in turn, each for a short while, with system calls between. */
static size_t server(struct procs *p, rec_t *word)
{
	if (p->step++ % SERVER_RUN == 0)
		return plain(REC_SWITCH, rng_below(&p->choice, SERVERS), word);
	if (p->step % 12 < 4)
		return kernel(p, word);
	return touch(p, skewed(p, SERVER_SET), word);
}

/* One process with a buffer of all pages, some hotter; system calls, and areas to sort in. */
static size_t database(struct procs *p, rec_t *word)
{
	uint64_t at = p->step++ % 4096;

	if (at < 4 * SORT_AREA)
		return plain(REC_WRITE, p->pages + IMAGE + at % SORT_AREA, word);
	if (at == 4 * SORT_AREA)
		return unmap(p->pages + IMAGE, SORT_AREA, word);
	if (at % 40 < 4)
		return kernel(p, word);
	return touch(p, skewed(p, p->pages), word);
}

static int start(void *state, const struct gen_opts *o, uint64_t index, struct err *err)
{
	struct procs *p = state;

	if (!(o->churn >= 0 && o->churn <= 1))
		return err_input(err, "churn lies in 0 to 1");
	*p = (struct procs){
		.pages = (uint64_t)o->pages,
		.write_below = (uint64_t)(o->write_ratio * 0x1p32),
		.churn_below = (uint64_t)(o->churn * 0x1p32),
	};
	rng_init(&p->page, (uint64_t)o->seed, "gen.page", index);
	rng_init(&p->choice, (uint64_t)o->seed, "gen.choice", index);
	return 0;
}

static void describe(const struct gen_opts *o, char *text, size_t size)
{
	snprintf(text, size,
		 "ballast trace gen %s refs=%lld pages=%lld seed=%lld write_ratio=%g churn=%g",
		 o->law->name, (long long)o->refs, (long long)o->pages, (long long)o->seed,
		 o->write_ratio, o->churn);
}

#define LAW(name, help)                                                                            \
	static size_t name##_words(void *state, rec_t *word, size_t refs)                          \
	{                                                                                          \
		size_t n = 0;                                                                      \
                                                                                                   \
		for (size_t i = 0; i < refs; i++)                                                  \
			n += name(state, word + n);                                                \
		return n;                                                                          \
	}                                                                                          \
	const struct law law_##name = {                                                            \
		.policy = {#name, help},                                                           \
		.size = sizeof(struct procs),                                                      \
		.is_virtual = true,                                                                \
		.describe = describe,                                                              \
		.start = start,                                                                    \
		.words = name##_words,                                                             \
	}

LAW(walker, "virtual: one process over all its pages, some unmapped and mapped again (churn)");
LAW(build, "virtual: a make that forks compilers, which copy, map and unmap");
LAW(server, "virtual: 48 processes in turn for a short while, with many system calls");
LAW(database, "virtual: one process with a large buffer, system calls and areas to sort in");
