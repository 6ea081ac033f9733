/* Numbers on the command lines of guest programs: counts, and sizes as in "40m" or "512kb". */
#ifndef BALLAST_LIVE_GUEST_SIZE_H
#define BALLAST_LIVE_GUEST_SIZE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_PAGE 4096u

/* Digits up to a character of `ends`, or to the end of the text; *at is left there. */
static inline bool take_count(const char **at, const char *ends, uint64_t most, uint64_t *count)
{
	const char *from = *at;

	for (*count = 0; **at >= '0' && **at <= '9'; ++*at) {
		*count = *count * 10 + (uint64_t)(**at - '0');
		if (*count > most)
			return false;
	}
	return *at > from && (**at == '\0' || strchr(ends, **at));
}

static inline bool is_count(const char *text, uint64_t least, uint64_t most, uint64_t *count)
{
	return take_count(&text, "", most, count) && *text == '\0' && *count >= least;
}

/* A size in bytes with k, m or g, a whole number of pages, up to a character of `ends`. */
static inline bool take_size(const char **at, const char *ends, uint64_t *bytes)
{
	unsigned shift = 0;

	if (!take_count(at, "kKmMgG", UINT64_C(1) << 33, bytes) || **at == '\0')
		return false;
	shift = strchr("kK", **at) ? 10 : strchr("mM", **at) ? 20 : 30;
	++*at;
	if (**at == 'b' || **at == 'B')
		++*at;
	*bytes <<= shift;
	return (**at == '\0' || strchr(ends, **at)) && *bytes <= UINT64_C(1) << 43 &&
	       *bytes % SIZE_PAGE == 0;
}

/* A decimal from 0 to 9, "0.99". */
static inline bool is_skew(const char *text, double *skew)
{
	char *end;

	*skew = strtod(text, &end);
	return *text >= '0' && *text <= '9' && *skew >= 0 && *skew < 9 && *end == '\0';
}

#endif
