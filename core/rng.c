#include "core/rng.h"

static uint64_t splitmix64(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void rng_init(struct rng *r, uint64_t seed, const char *purpose, uint64_t index)
{
	uint64_t x = splitmix64(&seed); /* else seed 2 for "a" is seed 1 for "b" */

	for (const char *p = purpose; *p; p++) /* FNV-1a over the name */
		x = (x ^ (unsigned char)*p) * 0x100000001b3u;
	x ^= splitmix64(&index);
	for (int i = 0; i < 4; i++)
		r->s[i] = splitmix64(&x);
}
