#include "traces/gen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX  8
#define PART_PAGES 256

struct part {
	const struct law *law;
	void *state;
	double weight;
	uint64_t below; /* drawn if a 64-bit fraction is below this and no earlier part's */
	size_t next;	/* of page; PART_PAGES: all used */
	uint64_t page[PART_PAGES];
};

struct mix {
	struct rng choice;
	unsigned n;
	struct part part[PARTS_MAX];
};

static void mix_stop(void *state)
{
	struct mix *m = state;

	for (unsigned i = 0; i < m->n; i++) {
		struct part *p = &m->part[i];

		if (p->state && p->law->stop)
			p->law->stop(p->state);
		free(p->state);
	}
}

/* One "law:weight" of n characters. */
static int parse_part(const char *text, size_t n, struct part *part, struct err *err)
{
	char name[64], *colon, *end;
	const struct policy *policy;

	if (n >= sizeof name)
		return err_input(err, "mix = '%.80s': a part is too long; write law:weight", text);
	memcpy(name, text, n);
	name[n] = 0;
	colon = strchr(name, ':');
	if (!colon)
		return err_input(err, "mix: '%s' lacks a weight; write %s:1", name, name);
	*colon = 0;
	policy = policy_find(trace_laws, name);
	if (!policy || !((const struct law *)policy)->fill || policy == &law_mix.policy)
		return err_input(err,
				 "mix: no law is called '%s': take sequential, uniform, zipf, "
				 "phases or drift",
				 name);
	part->law = (const struct law *)policy; /* its first member */
	part->weight = strtod(colon + 1, &end);
	if (end == colon + 1 || *end || !(part->weight > 0 && part->weight <= 1e9))
		return err_input(err, "mix: '%s' is no weight: give a positive number", colon + 1);
	return 0;
}

static int parse(struct mix *m, const char *text, struct err *err)
{
	unsigned parts = 0;

	for (text += strspn(text, " ,"); *text; text += strspn(text, " ,")) {
		size_t n = strcspn(text, " ,");
		int rc;

		if (parts == PARTS_MAX)
			return err_input(err, "mix: at most %d laws can be mixed", PARTS_MAX);
		rc = parse_part(text, n, &m->part[parts], err);
		if (rc)
			return rc;
		parts++;
		text += n;
	}
	if (!parts)
		return err_input(err, "law = mix needs mix = \"law:weight law:weight\"");
	m->n = parts;
	return 0;
}

static int start_parts(struct mix *m, const struct gen_opts *opts, struct err *err)
{
	double sum = 0, so_far = 0;

	for (unsigned i = 0; i < m->n; i++)
		sum += m->part[i].weight;
	for (unsigned i = 0; i < m->n; i++) {
		struct part *p = &m->part[i];
		int rc;

		so_far += p->weight / sum;
		p->below = i + 1 == m->n || so_far >= 1 ? UINT64_MAX : (uint64_t)(so_far * 0x1p64);
		p->next = PART_PAGES;
		p->state = calloc(1, p->law->size);
		if (!p->state)
			return err_run(err, ENOMEM, "out of memory");
		rc = p->law->start(p->state, opts, i + 1, err);
		if (rc) {
			free(p->state); /* a start that failed has freed what it owned */
			p->state = NULL;
			return rc;
		}
	}
	return 0;
}

static int mix_start(void *state, const struct gen_opts *opts, uint64_t index, struct err *err)
{
	struct mix *m = state;
	int rc = parse(m, opts->mix ? opts->mix : "", err);

	if (rc)
		return rc;
	rng_init(&m->choice, (uint64_t)opts->seed, "gen.choice", index);
	rc = start_parts(m, opts, err);
	if (rc)
		mix_stop(m);
	return rc;
}

static void mix_fill(void *state, uint64_t *page, size_t n)
{
	struct mix *m = state;

	for (size_t i = 0; i < n; i++) {
		uint64_t r = rng_u64(&m->choice);
		struct part *p = m->part, *last = m->part + m->n - 1;

		while (p < last && r >= p->below)
			p++;
		if (p->next == PART_PAGES) {
			p->law->fill(p->state, p->page, PART_PAGES);
			p->next = 0;
		}
		page[i] = p->page[p->next++];
	}
}

const struct law law_mix = {
	.policy = {.name = "mix", .help = "several laws at once, by weight"},
	.size = sizeof(struct mix),
	.start = mix_start,
	.fill = mix_fill,
	.stop = mix_stop,
};
