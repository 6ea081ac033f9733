/*
 * Random streams, one per purpose.
 *
 * xoshiro256** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number
 * Generators", 2018), seeded through splitmix64 from the run's seed, the name
 * of the purpose and an index (the VM, say). Two policies compared under one
 * seed see the same workload draws, because the policy draws from a stream of
 * its own.
 */
#ifndef BALLAST_CORE_RNG_H
#define BALLAST_CORE_RNG_H

#include "core/types.h"

struct rng {
	uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed, const char *purpose, uint64_t index);

static inline uint64_t rng_rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

/* 64 uniform bits. */
static inline uint64_t rng_u64(struct rng *r)
{
	uint64_t *s = r->s, result = rng_rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rng_rotl(s[3], 45);
	return result;
}

/* Uniform in [0, n), n > 0; bias below 2^-32 for n <= 2^32 (Lemire's multiply). */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)rng_u64(r) * n) >> 64);
}

/* Uniform in [0, 1), 53 bits. */
static inline double rng_unit(struct rng *r)
{
	return (double)(rng_u64(r) >> 11) * 0x1.0p-53;
}

#endif
