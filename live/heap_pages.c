#include "live/heap_pages.h"

#include <errno.h>
#include <string.h>

static size_t words(uint32_t pages)
{
	return ((size_t)pages + 63) / 64;
}

static bool bit(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void set(uint64_t *bits, uint32_t i, bool on)
{
	const uint64_t mask = UINT64_C(1) << (i % 64);

	bits[i / 64] = on ? bits[i / 64] | mask : bits[i / 64] & ~mask;
}

size_t heap_pages_bytes(uint32_t pages)
{
	return 3 * words(pages) * sizeof(uint64_t);
}

void heap_pages_init(struct heap_pages *h, uint32_t pages, uint64_t first_page, void *bits)
{
	*h = (struct heap_pages){
		.pages = pages,
		.first_page = first_page,
		.free = pages,
		.zero_free = pages,
		.low = {pages, 0},
		.used = bits,
		.zero = (uint64_t *)bits + words(pages),
		.out = (uint64_t *)bits + 2 * words(pages),
	};
	pthread_mutex_init(&h->lock, NULL);
	memset(h->zero, 0xff, words(pages) * sizeof *h->zero);
	if (pages % 64) /* what is beyond the end is in use */
		h->used[pages / 64] = UINT64_MAX << (pages % 64);
}

/* The first page from at that is free (or, in_use, that is not); pages if none. */
static uint32_t next(const struct heap_pages *h, uint32_t at, bool in_use)
{
	const uint64_t flip = in_use ? 0 : UINT64_MAX;

	while (at < h->pages) {
		uint64_t word = (h->used[at / 64] ^ flip) >> (at % 64);
		if (word) {
			at += (uint32_t)__builtin_ctzll(word);
			return at < h->pages ? at : h->pages;
		}
		at = (at / 64 + 1) * 64;
	}
	return h->pages;
}

static uint32_t aligned(const struct heap_pages *h, uint32_t at, uint64_t align)
{
	const uint64_t up = (h->first_page + at + align - 1) & ~(align - 1);

	return (uint32_t)min_u64(up - h->first_page, h->pages);
}

static void take(struct heap_pages *h, uint32_t page)
{
	set(h->used, page, true);
	h->free--;
	h->zero_free -= bit(h->zero, page);
}

static void give(struct heap_pages *h, uint32_t page, bool zero)
{
	set(h->used, page, false);
	set(h->zero, page, zero);
	h->free++;
	h->zero_free += zero;
	if (page < h->low[zero])
		h->low[zero] = page;
}

static uint32_t lowest(const struct heap_pages *h)
{
	return next(h, h->low[0] < h->low[1] ? h->low[0] : h->low[1], false);
}

/* The first place that fits; pages if none. */
static uint32_t first_fit(const struct heap_pages *h, uint32_t n, uint64_t align)
{
	uint32_t at = aligned(h, lowest(h), align);

	while (at < h->pages && n <= h->pages - at) {
		const uint32_t end = next(h, at, true);
		if (end - at >= n)
			return at;
		at = aligned(h, next(h, end, false), align);
	}
	return h->pages;
}

/* The last place in the shortest row that fits, the higher of two; pages if none. */
static uint32_t best_fit(const struct heap_pages *h, uint32_t n, uint64_t align)
{
	uint32_t best = h->pages, shortest = UINT32_MAX, end;

	for (uint32_t at = lowest(h); at < h->pages; at = next(h, end, false)) {
		end = next(h, at, true);
		if (end - at < n || end - at > shortest)
			continue;
		const uint64_t place = (h->first_page + end - n) & ~(align - 1);
		if (place < h->first_page + at)
			continue;
		best = (uint32_t)(place - h->first_page);
		shortest = end - at;
	}
	return best;
}

static uint32_t find(const struct heap_pages *h, uint32_t n, uint64_t align)
{
	return n <= HEAP_SMALL ? first_fit(h, n, align) : best_fit(h, n, align);
}

int heap_pages_take(struct heap_pages *h, uint32_t n, uint64_t align, uint32_t *first, bool *zero)
{
	pthread_mutex_lock(&h->lock);
	const uint32_t at = n && n <= h->free ? find(h, n, align) : h->pages;
	bool all = true;
	for (uint32_t i = at; at < h->pages && i < at + n; i++) {
		all = all && bit(h->zero, i);
		take(h, i);
	}
	pthread_mutex_unlock(&h->lock);
	if (at == h->pages)
		return -ENOMEM;
	*first = at;
	*zero = all;
	return 0;
}

void heap_pages_give(struct heap_pages *h, uint32_t first, uint32_t n)
{
	pthread_mutex_lock(&h->lock);
	for (uint32_t i = first; i < first + n; i++)
		give(h, i, false);
	pthread_mutex_unlock(&h->lock);
}

/* The lowest page that is free, and zero or not as asked; there is one. */
static uint32_t lowest_of(struct heap_pages *h, bool zero)
{
	const uint64_t flip = zero ? 0 : UINT64_MAX;
	size_t w = h->low[zero] / 64;
	uint64_t found;

	while (!(found = ~h->used[w] & (h->zero[w] ^ flip)))
		w++;
	h->low[zero] = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(found);
	return h->low[zero];
}

int heap_pages_take_one(struct heap_pages *h, uint32_t *page)
{
	pthread_mutex_lock(&h->lock);
	const bool any = h->free > 0;
	if (any) {
		*page = lowest_of(h, h->free == h->zero_free);
		take(h, *page);
		set(h->out, *page, true);
	}
	pthread_mutex_unlock(&h->lock);
	return any ? 0 : -ENOMEM;
}

uint32_t heap_pages_take_used(struct heap_pages *h, uint32_t *page, uint32_t n)
{
	uint32_t got = 0;

	pthread_mutex_lock(&h->lock);
	while (got < n && h->free > h->zero_free) {
		page[got] = lowest_of(h, false);
		take(h, page[got]);
		set(h->out, page[got++], true);
	}
	pthread_mutex_unlock(&h->lock);
	return got;
}

void heap_pages_give_zero(struct heap_pages *h, uint32_t page)
{
	pthread_mutex_lock(&h->lock);
	set(h->out, page, false);
	give(h, page, true);
	pthread_mutex_unlock(&h->lock);
}

void heap_pages_give_back(struct heap_pages *h, uint32_t page)
{
	pthread_mutex_lock(&h->lock);
	set(h->out, page, false);
	give(h, page, bit(h->zero, page));
	pthread_mutex_unlock(&h->lock);
}

bool heap_pages_has(const struct heap_pages *h, uint32_t page)
{
	return bit(h->used, page) && !bit(h->out, page);
}

void heap_pages_recall(struct heap_pages *h)
{
	for (uint32_t i = 0; i < h->pages; i++) {
		if (!bit(h->out, i))
			continue;
		set(h->out, i, false);
		give(h, i, true); /* the copy has nothing there */
	}
}

struct heap_count heap_pages_count(struct heap_pages *h)
{
	pthread_mutex_lock(&h->lock);
	const struct heap_count c = {h->pages, h->free, h->zero_free};
	pthread_mutex_unlock(&h->lock);
	return c;
}
