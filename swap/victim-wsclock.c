/*
 * wsclock: clock that spares the working set (Carr and Hennessy, SOSP 1981).
 *
 * The hand notes for each page touched since it last came by the VM's own
 * time; a page unused for longer than tau of that time has left the working
 * set and is taken, clean ones first, since a dirty one costs a write. When a
 * lap found no such clean page, the first dirty one goes, or else the page
 * unused for longest. (The paper also starts writes of dirty pages as the hand
 * passes them; here a page is written when it is evicted.) Where nothing has left
 * the working set a whole lap would be looked at for every fault, so a look ends
 * after WINDOW eligible frames.
 */
#include "swap/private.h"

#include <errno.h>

#define WINDOW 256 /* frames */

struct wsclock_state {
	struct victim_env env;
	uint32_t *seen; /* [frames] the VM's time when the page was last seen touched */
	uint32_t hand;
};

static int wsclock_open(void *state, const struct victim_env *env)
{
	struct wsclock_state *s = state;

	s->env = *env;
	s->seen = meter_alloc(&env->host->meter, env->host->machine.frames * sizeof *s->seen);
	return s->seen ? 0 : -ENOMEM;
}

static void wsclock_close(void *state)
{
	struct wsclock_state *s = state;

	meter_free(&s->env.host->meter, s->seen, s->env.host->machine.frames * sizeof *s->seen);
}

/* In 2^20 ns, a millisecond or so: 32 bits last for 52 days of a VM's time. */
static uint32_t vm_time(const struct wsclock_state *s, mpn_t mpn)
{
	const struct host *host = s->env.host;

	return (uint32_t)(host->vm[host->machine.frame[mpn.n].vm]->time_ns >> 20);
}

static void wsclock_mapped(void *state, mpn_t mpn)
{
	struct wsclock_state *s = state;

	s->seen[mpn.n] = vm_time(s, mpn);
}

static mpn_t wsclock_pick(void *state)
{
	struct wsclock_state *s = state;
	const struct host *host = s->env.host;
	uint32_t frames = host->machine.frames, oldest_age = 0;
	uint64_t tau = s->env.opts->wsclock_tau >> 20;
	mpn_t oldest = MPN_NONE, dirty = MPN_NONE;

	for (uint32_t i = 0, looks = 0; i < frames && looks < WINDOW; i++) {
		mpn_t mpn = {s->hand};
		s->hand = s->hand + 1 == frames ? 0 : s->hand + 1;
		if (!victim_eligible(&s->env, mpn))
			continue;
		looks++;
		if (host->machine.used[mpn.n]) {
			host->machine.used[mpn.n] = 0;
			s->seen[mpn.n] = vm_time(s, mpn);
		}
		bool is_dirty = *victim_entry(&s->env, mpn) & PTE_DIRTY;
		uint32_t age = vm_time(s, mpn) - s->seen[mpn.n];
		if (age > tau && !is_dirty)
			return mpn;
		if (age > tau && !mpn_valid(dirty))
			dirty = mpn;
		if (!mpn_valid(oldest) || age > oldest_age) {
			oldest = mpn;
			oldest_age = age;
		}
	}
	return mpn_valid(dirty) ? dirty : oldest;
}

const struct victim victim_wsclock = {
	.policy = {"wsclock", "clock that spares pages used within wsclock_tau of the VM's time"},
	.track = TRACK_USED,
	.state_size = sizeof(struct wsclock_state),
	.open = wsclock_open,
	.close = wsclock_close,
	.mapped = wsclock_mapped,
	.pick = wsclock_pick,
};
