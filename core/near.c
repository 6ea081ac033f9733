#include "core/opt.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN 48

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/*
 * Edits (insert, delete, replace, swap of neighbours) from a to b without
 * regard to case: the optimal string alignment distance, row by row.
 */
static unsigned edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned row[3][NAME_MAX_LEN + 1];
	unsigned *before = row[0], *last = row[1], *now = row[2];

	for (size_t j = 0; j <= nb; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		int ca = tolower((unsigned char)a[i - 1]);

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			int cb = tolower((unsigned char)b[j - 1]);

			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		unsigned *spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[nb];
}

const char *nearest_name(const char *wrong, const char *const *names, size_t n)
{
	size_t len = strnlen(wrong, NAME_MAX_LEN + 1);
	unsigned best = (unsigned)(len + 2) / 3 + 1; /* one edit for each three letters */
	const char *nearest = NULL;

	if (len == 0 || len > NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t name_len = strnlen(names[i], NAME_MAX_LEN + 1);
		unsigned d;

		if (name_len > NAME_MAX_LEN)
			continue;
		if (len >= 3 && strncasecmp(names[i], wrong, len) == 0)
			d = 1; /* the beginning of a name is near, however much is missing */
		else
			d = edit_distance(wrong, len, names[i], name_len);
		if (d < best) {
			best = d;
			nearest = names[i];
		}
	}
	return nearest;
}
