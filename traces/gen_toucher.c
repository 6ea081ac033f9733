/*
 * toucher: a program that touches the first so many pages again and again, by a
 * schedule, beside the little that a guest does anyway. The law is in
 * traces/gen.h.
 */
#include "traces/gen.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 wide_t;

#define TICK_NS	    1000
#define STEPS_MAX   64
#define MINUTES_MAX 100000
#define BACKGROUND  4 /* a quarter of the background set is touched a pass */

/* From this pass on so many pages are touched; the last one's is where it ends. */
struct step {
	uint64_t pass, pages;
};

struct toucher {
	struct step step[STEPS_MAX];
	unsigned steps, at;
	bool zero_thread;
	uint64_t ticks; /* of a pass */
	uint64_t pages, set;
	struct rng page, write;
	uint64_t write_below;		 /* of 2^32 */
	uint64_t pass, in_pass, of_pass; /* where we are: which record of how many */
	uint64_t touching, next;	 /* of_pass without the background; its next page */
};

static int bad_step(const char *text, struct err *err)
{
	return err_input(err,
			 "schedule: '%.40s' is no step: write minute:MB, rising minutes up to %d, "
			 "and the last minute alone",
			 text, MINUTES_MAX);
}

/* One step off the text; *text moves on. */
static int parse_step(const char **text, const struct gen_opts *o, struct step *step, bool *last,
		      struct err *err)
{
	const char *start = *text;
	char *end;
	double minute = strtod(start, &end), mb = 0;

	if (end == start || !(minute >= 0 && minute <= MINUTES_MAX))
		return bad_step(start, err);
	*last = *end != ':';
	if (!*last) {
		const char *size = end + 1;
		mb = strtod(size, &end);
		if (end == size || !(mb >= 0 && mb <= 0x1p28))
			return bad_step(start, err);
	}
	if (*end && *end != ' ' && *end != ',')
		return bad_step(start, err);
	step->pass = (uint64_t)llround(minute * 60e9 / (double)o->pass);
	step->pages = (uint64_t)llround(mb * 256);
	*text = end;
	return 0;
}

static int parse(const struct gen_opts *o, struct toucher *t, struct err *err)
{
	const char *text = o->schedule ? o->schedule : "";
	bool last = false;

	t->zero_thread = o->zero_thread;
	t->step[0] = (struct step){0, 0};
	t->steps = 1;
	for (text += strspn(text, " ,"); *text; text += strspn(text, " ,")) {
		struct step step;
		const char *start = text;
		if (last || t->steps == STEPS_MAX)
			return err_input(err,
					 "schedule: '%.40s' is too much: at most %d steps, and the "
					 "last is a minute alone",
					 text, STEPS_MAX - 1);
		int rc = parse_step(&text, o, &step, &last, err);
		if (rc)
			return rc;
		if (step.pass < t->step[t->steps - 1].pass)
			return bad_step(start, err);
		if (step.pages + (uint64_t)o->set_pages > (uint64_t)o->pages)
			return err_input(err,
					 "schedule: %llu pages and %lld of the background are more "
					 "than pages = %lld: raise it",
					 (unsigned long long)step.pages, (long long)o->set_pages,
					 (long long)o->pages);
		t->step[t->steps++] = step;
	}
	if (!last || t->step[t->steps - 1].pass == 0)
		return err_input(err,
				 "law = toucher needs schedule = \"minute:MB minute:MB ... minute\""
				 ", the last minute being its end");
	return 0;
}

/* What is touched in that pass beside the background; *at is the step that it is in. */
static uint64_t touched_in(const struct toucher *t, unsigned at, uint64_t pass)
{
	uint64_t most = 0;

	if (t->step[at].pages || !t->zero_thread || pass != t->step[at].pass)
		return t->step[at].pages;
	/* The program has ended: what it had is zeroed by the guest, in this one pass. */
	for (unsigned i = at; i-- > 0 && t->step[i].pages;)
		most = max_u64(most, t->step[i].pages);
	return most;
}

static uint64_t background(uint64_t set)
{
	return (set + BACKGROUND - 1) / BACKGROUND;
}

static int toucher_refs(const struct gen_opts *o, uint64_t *refs, struct err *err)
{
	struct toucher t = {0};
	wide_t sum = 0;
	int rc = parse(o, &t, err);

	if (rc)
		return rc;
	for (unsigned i = 0; i + 1 < t.steps; i++) {
		uint64_t first = t.step[i].pass, passes = t.step[i + 1].pass - first;
		if (!passes)
			continue;
		sum += (wide_t)passes * (t.step[i].pages + background((uint64_t)o->set_pages));
		sum += touched_in(&t, i, first) - t.step[i].pages;
	}
	if (sum > INT64_C(1) << 48)
		return err_input(err, "schedule: that is more than 2^48 references: touch less, or "
				      "give a longer pass");
	*refs = (uint64_t)sum;
	return 0;
}

/* Everything that options say of the pass to come. */
static void begin_pass(struct toucher *t)
{
	while (t->at + 1 < t->steps && t->step[t->at + 1].pass <= t->pass)
		t->at++;
	t->touching = touched_in(t, t->at, t->pass);
	t->of_pass = t->touching + background(t->set);
	t->in_pass = t->next = 0;
}

static int toucher_start(void *state, const struct gen_opts *o, uint64_t index, struct err *err)
{
	struct toucher *t = state;
	int rc = parse(o, t, err);

	if (rc)
		return rc;
	if (o->pass % TICK_NS || o->pass / TICK_NS > REC_DELTA_MAX || o->pass < TICK_NS)
		return err_input(err, "pass is a whole number of microseconds, at most 16s");
	t->ticks = o->pass / TICK_NS;
	t->pages = (uint64_t)o->pages;
	t->set = (uint64_t)o->set_pages;
	t->write_below = (uint64_t)(o->write_ratio * 0x1p32);
	rng_init(&t->page, (uint64_t)o->seed, "gen.page", index);
	rng_init(&t->write, (uint64_t)o->seed, "gen.write", index);
	begin_pass(t);
	return 0;
}

/* The toucher's pages in order, evenly among those of the background, which are the VM's last. */
static uint64_t next_page(struct toucher *t)
{
	if ((wide_t)t->next * t->of_pass < (wide_t)(t->in_pass + 1) * t->touching)
		return t->next++;
	return t->pages - 1 - rng_below(&t->page, t->set);
}

static size_t toucher_words(void *state, rec_t *word, size_t refs)
{
	struct toucher *t = state;

	for (size_t i = 0; i < refs; i++) {
		if (t->in_pass == t->of_pass) {
			t->pass++;
			begin_pass(t);
		}
		uint64_t page = next_page(t);
		uint64_t from = t->in_pass * t->ticks / t->of_pass;
		uint64_t to = (t->in_pass + 1) * t->ticks / t->of_pass;
		bool write = rng_u64(&t->write) >> 32 < t->write_below;
		word[i] = rec_make(write ? REC_WRITE : REC_READ, page, to - from);
		t->in_pass++;
	}
	return refs;
}

static void toucher_describe(const struct gen_opts *o, char *text, size_t size)
{
	snprintf(text, size,
		 "ballast trace gen toucher pages=%lld seed=%lld write_ratio=%g set_pages=%lld "
		 "pass=%lluus zero_thread=%s schedule=%.120s",
		 (long long)o->pages, (long long)o->seed, o->write_ratio, (long long)o->set_pages,
		 (unsigned long long)o->pass / 1000, o->zero_thread ? "on" : "off",
		 o->schedule ? o->schedule : "");
}

const struct law law_toucher = {
	.policy = {.name = "toucher", .help = "so many pages again and again, by a schedule"},
	.size = sizeof(struct toucher),
	.tick_ns = TICK_NS,
	.start = toucher_start,
	.words = toucher_words,
	.refs = toucher_refs,
	.describe = toucher_describe,
};
