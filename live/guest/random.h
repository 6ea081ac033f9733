/* Random numbers of a guest program's clients, and Zipf's law. */
#ifndef BALLAST_LIVE_GUEST_RANDOM_H
#define BALLAST_LIVE_GUEST_RANDOM_H

#include <math.h>
#include <stdint.h>

/* A bijection of words: splitmix64's last step (Steele and others 2014). */
static inline uint64_t random_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline uint64_t random_next(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return random_mix(*state);
}

/* Below n > 0; n is small beside 2^64, and so is the bias. */
static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
	return random_next(state) % n;
}

/*
 * One of n things, the k-th most popular with a chance near k^-skew: the power
 * law over [1, n + 1), inverted, and its whole part. Which thing is popular is
 * a matter of chance, so that popular ones do not lie side by side.
 */
static inline uint64_t random_zipf(uint64_t *state, uint64_t n, double skew)
{
	const double u = (double)(random_next(state) >> 11) / 9007199254740992.0;
	const double end = (double)n + 1, slope = 1 - skew;
	const double x =
		fabs(slope) < 1e-9 ? pow(end, u) : pow(1 + u * (pow(end, slope) - 1), 1 / slope);
	const uint64_t rank = x < end ? (uint64_t)x - 1 : n - 1;

	return random_mix(rank + 1) % n;
}

#endif
