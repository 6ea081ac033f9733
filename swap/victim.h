/*
 * The socket for victim policies: which page loses its frame.
 *
 * The contract. A policy sees frames and pmap entries and changes nothing but
 * machine.used; swap does the evicting. pick() returns a frame for which
 * victim_eligible() holds, or MPN_NONE when there is none; it may be asked
 * again for the same frame if the eviction failed. mapped() and unmapped()
 * tell of every private frame that comes and goes, whoever caused it; NULL
 * where the policy does not care. A policy's state begins with a struct
 * victim_env, which open() fills; swap changes `only` there between picks, by
 * victim_aim(). `track` asks for machine.used (a byte that a touch sets and the
 * policy clears, the accessed bit of real hardware) or machine.stamp (the time
 * of the last touch); either costs the replayer a store per reference. Stamps are
 * renumbered; who keeps some lets machine.seen be what it keeps.
 *
 * A new policy is one file like victim-random.c and one line in victims[].
 */
#ifndef BALLAST_SWAP_VICTIM_H
#define BALLAST_SWAP_VICTIM_H

#include "core/rng.h"
#include "swap/swap.h"

struct victim_env {
	struct host *host;
	const struct pmap_part *pmaps;
	const struct swap_opts *opts;
	const uint32_t *copy;  /* [frames] swap's: eviction reads it, so fetch a victim's early */
	const struct vm *only; /* pick among this VM's frames alone; NULL: any VM's */
	struct rng rng;	       /* a stream of its own */
};

struct victim {
	struct policy policy;
	enum frame_track track;
	size_t state_size; /* zeroed before open; at least a struct victim_env */
	int (*open)(void *state,
		    const struct victim_env *env); /* 0 or -ENOMEM; NULL: nothing to do */
	void (*close)(void *state);		   /* optional */
	void (*mapped)(void *state, mpn_t mpn);	   /* optional */
	void (*unmapped)(void *state, mpn_t mpn);  /* optional */
	mpn_t (*pick)(void *state);		   /* required */
};

/* From now on only this VM's frames are picked; NULL: any VM's. */
static inline void victim_aim(void *state, const struct vm *only)
{
	((struct victim_env *)state)->only = only;
}

/* The pmap entry of a private frame. */
static inline pte_t *victim_entry(const struct victim_env *env, mpn_t mpn)
{
	const struct frame f = env->host->machine.frame[mpn.n];

	return &env->pmaps->pte[f.vm][f.ppn];
}

/* Whether the frame backs one page, of the VM asked for. */
static inline bool victim_frame(const struct victim_env *env, mpn_t mpn)
{
	const struct frame f = env->host->machine.frame[mpn.n];

	return frame_is_private(f) && (!env->only || f.vm == env->only->id);
}

/* And whether that page may lose it. */
static inline bool victim_eligible(const struct victim_env *env, mpn_t mpn)
{
	return victim_frame(env, mpn) && !(*victim_entry(env, mpn) & PTE_PINNED);
}

#endif
