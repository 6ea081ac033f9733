#include "experiments/contents.h"

#include <string.h>
#include <xxh_x86dispatch.h> /* with the widest vectors that the processor has */

struct content_id content_id(const uint8_t *page)
{
	XXH128_hash_t h = XXH3_128bits(page, PAGE_SIZE);

	return (struct content_id){h.high64, (uint32_t)(h.low64 >> 32)};
}

static uint64_t first_word(const uint8_t *page)
{
	uint64_t word;

	memcpy(&word, page, sizeof word);
	return word;
}

/* Every word is the first one: the page is the same as itself a word further. */
static bool is_fill(const uint8_t *page)
{
	return memcmp(page, page + 8, PAGE_SIZE - 8) == 0;
}

bool content_is_zero(const uint8_t *page)
{
	return first_word(page) == 0 && is_fill(page);
}

enum content_look content_look(const uint8_t *page)
{
	unsigned zeroes = 0, printable = 0;

	if (is_fill(page)) {
		uint64_t word = first_word(page);
		return word == 0 ? LOOK_ZERO : word == UINT64_MAX ? LOOK_ONES : LOOK_FILL;
	}
	if (memcmp(page, "\177ELF", 4) == 0)
		return LOOK_ELF;
	for (unsigned i = 0; i < PAGE_SIZE; i++) {
		zeroes += page[i] == 0;
		printable +=
			(page[i] >= ' ' && page[i] <= '~') || (page[i] >= '\t' && page[i] <= '\r');
	}
	if (zeroes >= PAGE_SIZE / 8 * 7)
		return LOOK_SPARSE;
	return printable * 8 >= (PAGE_SIZE - zeroes) * 7 ? LOOK_TEXT : LOOK_DATA;
}

const char *content_look_name(enum content_look look)
{
	static const char *const names[] = {
		[LOOK_ZERO] = "zero",
		[LOOK_ONES] = "0xff throughout",
		[LOOK_FILL] = "one word repeated",
		[LOOK_SPARSE] = "mostly zero",
		[LOOK_ELF] = "start of a program or library",
		[LOOK_TEXT] = "text",
		[LOOK_DATA] = "data",
	};

	return names[look];
}
