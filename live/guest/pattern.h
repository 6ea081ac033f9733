/*
 * Bytes that say what they are: a word at the beginning and at the end of each
 * 512, the last of which may be fewer, drawn from an id and the place. What lies
 * between is left as it is. Sizes are of whole words, and of two at least.
 */
#ifndef BALLAST_LIVE_GUEST_PATTERN_H
#define BALLAST_LIVE_GUEST_PATTERN_H

#include "live/guest/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PATTERN_EVERY 512u

static inline void pattern_put(uint64_t id, void *data, size_t size)
{
	uint8_t *at = data;

	for (size_t left = size; left >= 16;) {
		const size_t n = left < PATTERN_EVERY + 16 ? left : PATTERN_EVERY;
		const uint64_t word = random_mix(id + left);
		memcpy(at, &word, 8);
		memcpy(at + n - 8, &word, 8);
		at += n;
		left -= n;
	}
}

static inline bool pattern_is(uint64_t id, const void *data, size_t size)
{
	const uint8_t *at = data;

	for (size_t left = size; left >= 16;) {
		const size_t n = left < PATTERN_EVERY + 16 ? left : PATTERN_EVERY;
		const uint64_t word = random_mix(id + left);
		if (memcmp(at, &word, 8) != 0 || memcmp(at + n - 8, &word, 8) != 0)
			return false;
		at += n;
		left -= n;
	}
	return true;
}

#endif
