/*
 * s3fifo: three FIFO queues (Yang et al., "FIFO queues are all you need for
 * cache eviction", SOSP 2023).
 *
 * A new page enters the small queue (a tenth of the frames); at its end it
 * moves to main if it was used again and is evicted otherwise, leaving its name
 * in the ghost queue; a page that faults while its name is there enters main
 * directly. Main gives a page used since another round. The paper counts up to
 * three uses; here, as an accessed bit would tell, once is as good as thrice:
 * a page was used again when its stamp is newer than when we last looked.
 *
 * The ghost queue is the paper's table of fingerprints: each place holds a
 * name and the number of the eviction that put it there, valid for as many
 * evictions as main holds frames.
 */
#include "swap/private.h"

#include <errno.h>

struct s3fifo_state {
	struct victim_env env;
	struct frame_links links;
	struct frame_list small, main;
	uint32_t *looked; /* [frames] machine.seen: the stamp when we last looked at the frame */
	uint8_t *in_main; /* [frames] which list a frame is on */
	uint64_t *ghost;  /* [ghost_mask + 1] fingerprint << 32 | eviction number */
	uint32_t ghost_mask, evictions, small_target;
	uint32_t evicting; /* MPN that pick() returned from the small queue, or UINT32_MAX */
};

static size_t ghost_bytes(const struct s3fifo_state *s)
{
	return ((size_t)s->ghost_mask + 1) * sizeof *s->ghost;
}

static int s3fifo_open(void *state, const struct victim_env *env)
{
	struct s3fifo_state *s = state;
	struct meter *meter = &env->host->meter;
	uint32_t frames = env->host->machine.frames, places = 1;

	s->env = *env;
	s->small = s->main = FRAME_LIST_EMPTY;
	s->evicting = UINT32_MAX;
	s->small_target = (uint32_t)((double)frames * env->opts->s3fifo_small);
	if (s->small_target == 0)
		s->small_target = 1;
	while (places < frames && places < (1u << 31))
		places *= 2;
	s->ghost_mask = places - 1;
	s->looked = env->host->machine.seen = meter_alloc(meter, frames * sizeof *s->looked);
	s->in_main = meter_alloc(meter, frames);
	s->ghost = meter_alloc(meter, ghost_bytes(s));
	int rc = frame_links_init(&s->links, meter, frames);
	return s->looked && s->in_main && s->ghost ? rc : -ENOMEM;
}

static void s3fifo_close(void *state)
{
	struct s3fifo_state *s = state;
	struct meter *meter = &s->env.host->meter;
	uint32_t frames = s->env.host->machine.frames;

	s->env.host->machine.seen = NULL;
	meter_free(meter, s->looked, frames * sizeof *s->looked);
	meter_free(meter, s->in_main, frames);
	meter_free(meter, s->ghost, ghost_bytes(s));
	frame_links_fini(&s->links, meter);
}

/* A 64-bit name of the page in a frame: place in the table below, fingerprint above. */
static uint64_t page_name(const struct s3fifo_state *s, mpn_t mpn)
{
	const struct frame *f = &s->env.host->machine.frame[mpn.n];
	uint64_t x = (uint64_t)f->vm << 32 | f->ppn;

	x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
	return x ^ (x >> 32);
}

static bool ghost_has(const struct s3fifo_state *s, uint64_t name)
{
	uint64_t place = s->ghost[name & s->ghost_mask];
	uint32_t age = s->evictions - (uint32_t)place;

	return place && place >> 32 == name >> 32 && age < s->links.frames - s->small_target;
}

static void s3fifo_mapped(void *state, mpn_t mpn)
{
	struct s3fifo_state *s = state;

	s->in_main[mpn.n] = ghost_has(s, page_name(s, mpn));
	s->looked[mpn.n] = s->env.host->machine.stamp[mpn.n];
	frame_list_append(&s->links, s->in_main[mpn.n] ? &s->main : &s->small, mpn);
}

static void leave_name(struct s3fifo_state *s, mpn_t mpn)
{
	uint64_t name = page_name(s, mpn);

	s->ghost[name & s->ghost_mask] = (name >> 32) << 32 | ++s->evictions;
}

static void s3fifo_unmapped(void *state, mpn_t mpn)
{
	struct s3fifo_state *s = state;

	/* Others may go before it, as its neighbours do; and sharing may find it a frame. */
	if (mpn.n == s->evicting) {
		s->evicting = UINT32_MAX;
		if (pte_state(*victim_entry(&s->env, mpn)) == PAGE_PRIVATE)
			leave_name(s, mpn);
	}
	frame_list_remove(&s->links, s->in_main[mpn.n] ? &s->main : &s->small, mpn);
}

/* Whether the page was used since we last looked; looking counts. */
static bool used_again(struct s3fifo_state *s, mpn_t mpn)
{
	uint32_t stamp = s->env.host->machine.stamp[mpn.n];
	bool used = stamp != s->looked[mpn.n];

	s->looked[mpn.n] = stamp;
	return used;
}

static void requeue(struct s3fifo_state *s, struct frame_list *from, struct frame_list *to,
		    mpn_t mpn)
{
	frame_list_remove(&s->links, from, mpn);
	frame_list_append(&s->links, to, mpn);
	s->in_main[mpn.n] = to == &s->main;
}

/*
 * Walks a queue from its oldest page: pages used again go to main, pages that
 * may not be taken go round; the first other one is the victim.
 */
static mpn_t walk(struct s3fifo_state *s, struct frame_list *list)
{
	/* Each page is passed twice at most: once as used, once as not. */
	for (uint64_t steps = 2 * (uint64_t)list->n; list->n && steps; steps--) {
		mpn_t mpn = {list->head};
		if (!victim_eligible(&s->env, mpn))
			requeue(s, list, list, mpn);
		else if (used_again(s, mpn))
			requeue(s, list, &s->main, mpn);
		else
			return mpn;
	}
	return MPN_NONE;
}

static mpn_t s3fifo_pick(void *state)
{
	struct s3fifo_state *s = state;
	mpn_t mpn = MPN_NONE;

	s->evicting = UINT32_MAX;
	if (s->small.n >= s->small_target || s->main.n == 0) {
		mpn = walk(s, &s->small);
		s->evicting = mpn.n;
	}
	if (!mpn_valid(mpn))
		mpn = walk(s, &s->main);
	if (!mpn_valid(mpn)) {
		mpn = walk(s, &s->small);
		s->evicting = mpn.n;
	}
	return mpn;
}

const struct victim victim_s3fifo = {
	.policy = {"s3fifo", "small, main and ghost queues; quick to drop pages used once"},
	.track = TRACK_STAMPS,
	.state_size = sizeof(struct s3fifo_state),
	.open = s3fifo_open,
	.close = s3fifo_close,
	.mapped = s3fifo_mapped,
	.unmapped = s3fifo_unmapped,
	.pick = s3fifo_pick,
};
