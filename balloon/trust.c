/*
 * What the host thinks of a driver: how much to ask of it, how fast, how much
 * of what it says to hear, and whether to count on it. Policy only: nothing
 * here edits a pmap.
 */
#include "balloon/private.h"

#include <endian.h>

#define SECOND	  UINT64_C(1000000000)
#define TOKEN	  1000 /* thousandths of a message */
#define NEAR	  64   /* pages short of the target that are no shortage */
#define RATE_STEP 8    /* the rate recovers by an eighth of the full one */

static uint64_t now(const struct balloon_vm *v)
{
	return v->balloon->host->clock.now_ns;
}

/* Whether it is time to take memory; always, where there is no reclaim loop. */
static bool may_ask(const struct host *host)
{
	return !host->reclaim || host->adjusting || host->state >= balloon_reclaimer.from;
}

/*
 * While there is memory to spare and nothing has changed, a balloon is asked for
 * no more than it was: what was asked for while memory was short is still to be
 * given, since the targets of that moment stand until they are worked out anew.
 */
void trust_retarget(struct balloon_vm *v)
{
	const uint64_t had = vm_held(v->vm) + balloon_pages(v), target = v->vm->target;
	const uint64_t asked = max_u64(balloon_pages(v), v->stats.target);
	const uint64_t most = may_ask(v->vm->host) ? v->cap : asked;

	if (v->asked != BALLOON_BY_POLICY)
		v->stats.target = min_u64(v->asked, v->cap);
	else
		v->stats.target = had > target ? min_u64(had - target, min_u64(most, v->cap)) : 0;
}

bool trust_may_read(struct balloon_vm *v)
{
	const uint64_t most = (uint64_t)v->balloon->opts.messages * TOKEN;
	const uint64_t elapsed = min_u64(now(v) - v->tokens_ns, SECOND);

	/* messages <= 1e6: no overflow */
	v->tokens = min_u64(most, v->tokens + elapsed * (most / TOKEN) / (SECOND / TOKEN));
	v->tokens_ns = now(v);
	if (v->tokens >= TOKEN)
		return true;
	if (!v->throttled || now(v) - v->throttled_ns >= SECOND) {
		v->throttled = true;
		v->throttled_ns = now(v);
		v->stats.throttled++;
		trust_offended(v, 1);
	}
	return false;
}

void trust_spend(struct balloon_vm *v, uint32_t cost)
{
	v->tokens -= min_u64(v->tokens, (uint64_t)cost * TOKEN);
}

void trust_offended(struct balloon_vm *v, uint64_t times)
{
	const struct balloon_opts *opts = &v->balloon->opts;

	if (now(v) - v->offences_ns >= opts->forgive) {
		v->offences = 0;
		v->offences_ns = now(v);
	}
	v->offences += times;
	if (v->offences <= (uint64_t)opts->distrust || v->state == DRIVER_DISTRUSTED)
		return;
	v->stats.distrusts++;
	v->forgiven_ns = now(v) + opts->forgive;
	host_event(v->balloon->host, v->vm, "balloon distrusted",
		   "%llu refusals: its driver is not heard for a while",
		   (unsigned long long)v->offences);
	driver_reset(v, BALLOON_DISTRUST);
	v->state = DRIVER_DISTRUSTED;
}

bool trust_hears(struct balloon_vm *v)
{
	if (v->state == DRIVER_DISTRUSTED && now(v) < v->forgiven_ns)
		return false;
	if (v->state == DRIVER_DISTRUSTED)
		v->offences = 0;
	return true;
}

void trust_stats(struct balloon_vm *v, const struct balloon_stats *s)
{
	const struct balloon_opts *opts = &v->balloon->opts;
	const uint64_t full = pages_of(opts->rate), least = pages_of(opts->rate_least);
	const uint64_t refusals = le64toh(s->refusals);

	v->stats.guest_free = le64toh(s->free);
	v->stats.guest_cached = le64toh(s->cached);
	v->stats.guest_swapped = le64toh(s->swapped);
	v->stats.guest_faults = le64toh(s->faults);
	v->stats.guest_swap_ins = le64toh(s->swap_ins);
	v->stats.guest_swap_outs = le64toh(s->swap_outs);
	v->stats.guest_refusals = refusals;
	v->stats.guest_pressure = le32toh(s->pressure);
	bool pressed =
		(double)le32toh(s->pressure) > 1000 * opts->pressure || refusals > v->refusals_seen;
	v->refusals_seen = refusals;
	v->stats.rate = pressed ? max_u64(v->stats.rate / 2, least)
				: min_u64(v->stats.rate + full / RATE_STEP, full);
}

static void set_slow(struct balloon_vm *v, bool slow, uint64_t pages, uint64_t ns)
{
	if (v->slow == slow)
		return;
	v->slow = slow;
	v->stats.slow += slow;
	if (slow)
		host_event(v->balloon->host, v->vm, "balloon slow",
			   "%llu pages in %llu ms: it cannot be relied on",
			   (unsigned long long)pages, (unsigned long long)(ns / 1000000));
	else
		host_event(v->balloon->host, v->vm, "balloon works", "it makes way again");
}

void trust_progress(struct balloon_vm *v)
{
	const struct balloon_opts *opts = &v->balloon->opts;
	const uint64_t have = balloon_pages(v);

	if (have + NEAR >= v->stats.target) {
		v->is_short = false;
		set_slow(v, false, 0, 0);
		return;
	}
	if (!v->is_short) {
		v->is_short = true;
		v->short_ns = now(v);
		v->short_pages = have;
		return;
	}
	const uint64_t ns = now(v) - v->short_ns;
	if (ns < opts->slow_time)
		return;
	const uint64_t gained = have > v->short_pages ? have - v->short_pages : 0;
	const unsigned __int128 wanted = (unsigned __int128)pages_of(opts->slow_rate) * ns;
	set_slow(v, (unsigned __int128)gained * SECOND < wanted, gained, ns);
	v->short_ns = now(v);
	v->short_pages = have;
}
