#include "experiments/bench_bare.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_OF(ref)  ((ref)&INT32_MAX)
#define WRITE_OF(ref) ((ref) >> 31)

/* Entries: bit 0 resident, 1 accessed, 2 dirty; the frame above bit 32. */

int64_t bare_bits(const struct bare_trace *t, uint32_t frames)
{
	uint64_t *pte = calloc(t->pages, sizeof *pte);

	(void)frames;
	if (!pte)
		return -ENOMEM;
	for (size_t i = 0; i < t->refs; i++)
		pte[PAGE_OF(t->ref[i])] |= 2 | WRITE_OF(t->ref[i]) << 2;
	int64_t sum = 0; /* so that the loop is not thrown away */
	for (uint32_t i = 0; i < t->pages; i++)
		sum += pte[i] >> 3;
	free(pte);
	return sum;
}

int64_t bare_clock(const struct bare_trace *t, uint32_t frames)
{
	uint64_t *pte = calloc(t->pages, sizeof *pte);
	uint32_t *page_in = calloc(frames, sizeof *page_in), used = 0, hand = 0;
	int64_t faults = 0;

	if (!pte || !page_in) {
		free(pte);
		free(page_in);
		return -ENOMEM;
	}
	for (size_t i = 0; i < t->refs; i++) {
		const uint32_t page = PAGE_OF(t->ref[i]), bits = 2 | WRITE_OF(t->ref[i]) << 2;
		if (pte[page] & 1) {
			pte[page] |= bits;
			continue;
		}
		uint32_t frame = used;
		if (used < frames) {
			used++;
		} else {
			while (pte[page_in[hand]] & 2) {
				pte[page_in[hand]] &= ~UINT64_C(2);
				hand = hand + 1 == frames ? 0 : hand + 1;
			}
			frame = hand;
			hand = hand + 1 == frames ? 0 : hand + 1;
			pte[page_in[frame]] = 0;
		}
		page_in[frame] = page;
		pte[page] = (uint64_t)frame << 32 | 1 | bits;
		faults++;
	}
	free(pte);
	free(page_in);
	return faults;
}

/* The list runs through the pages; place `pages` is its head: next the newest, prev the oldest. */
struct links {
	uint32_t next, prev;
};

static void unlink_page(struct links *l, uint32_t page)
{
	l[l[page].prev].next = l[page].next;
	l[l[page].next].prev = l[page].prev;
}

static void link_newest(struct links *l, uint32_t head, uint32_t page)
{
	l[page] = (struct links){l[head].next, head};
	l[l[head].next].prev = page;
	l[head].next = page;
}

int64_t bare_lru(const struct bare_trace *t, uint32_t frames)
{
	const uint32_t head = t->pages;
	uint8_t *in = calloc(t->pages, 1);
	struct links *l = malloc(((size_t)t->pages + 1) * sizeof *l);
	uint32_t used = 0;
	int64_t faults = 0;

	if (!in || !l) {
		free(in);
		free(l);
		return -ENOMEM;
	}
	l[head] = (struct links){head, head};
	for (size_t i = 0; i < t->refs; i++) {
		const uint32_t page = PAGE_OF(t->ref[i]);
		if (in[page]) {
			in[page] |= 2 | (uint8_t)(WRITE_OF(t->ref[i]) << 2);
			unlink_page(l, page);
			link_newest(l, head, page);
			continue;
		}
		if (used < frames) {
			used++;
		} else {
			const uint32_t oldest = l[head].prev;
			unlink_page(l, oldest);
			in[oldest] = 0;
		}
		in[page] = 1;
		link_newest(l, head, page);
		faults++;
	}
	free(in);
	free(l);
	return faults;
}
