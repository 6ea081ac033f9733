/*
 * The pages of a process guest's memory: which are free, and which of those
 * read as zero. What jemalloc takes extents from, and the balloon pages.
 *
 * Three bits a page, in memory outside the guest's: nothing here touches a page,
 * so none of it can fault, whoever holds the lock. `zero` is a promise about
 * free pages, and such as the host has: never handed out, or cleared by the host.
 *
 * An extent needs pages in a row, and there are no more rows than the guest has
 * pages. So small extents are first fit from below, large ones best fit from
 * above; and the balloon takes single pages from below, where the holes between
 * small ones are, those that are not zero first: they are the ones with frames.
 *
 * The agent is loaded into foreign programs: no malloc and no stdio. Any
 * thread: each call takes the lock.
 */
#ifndef BALLAST_LIVE_HEAP_PAGES_H
#define BALLAST_LIVE_HEAP_PAGES_H

#include "core/types.h"

#include <pthread.h>

struct heap_pages {
	pthread_mutex_t lock;
	uint32_t pages;
	uint64_t first_page;	  /* address of page 0, in pages: what alignment is counted from */
	uint32_t free, zero_free; /* zero_free: of them, those that read as zero */
	uint32_t low[2];	  /* no page below is free and (0) not zero, (1) zero */
	/* A bit a page. out: with the host, so in use here, and not to be touched. */
	uint64_t *used, *zero, *out;
};

#define HEAP_SMALL 16 /* pages of an extent that counts as small */

/* Bytes that heap_pages_init() wants for so many pages. */
size_t heap_pages_bytes(uint32_t pages);

/* All pages free and zero. bits: that many bytes, zeroed, which stay the caller's. */
void heap_pages_init(struct heap_pages *h, uint32_t pages, uint64_t first_page, void *bits);

/*
 * n pages in a row, the first at an address that is a multiple of align pages
 * (a power of two). *zero: all of them read as zero. -ENOMEM: no such row.
 */
MUST_CHECK int heap_pages_take(struct heap_pages *h, uint32_t n, uint64_t align, uint32_t *first,
			       bool *zero);

/* Back from the program; they lie within the memory and are in use. */
void heap_pages_give(struct heap_pages *h, uint32_t first, uint32_t n);

/* One free page, for the balloon. -ENOMEM: there is none. */
MUST_CHECK int heap_pages_take_one(struct heap_pages *h, uint32_t *page);

/* Up to n free pages that do not read as zero. Returns how many. */
uint32_t heap_pages_take_used(struct heap_pages *h, uint32_t *page, uint32_t n);

/* Back from the host, which cleared it; or as it was, in case that it did not. */
void heap_pages_give_zero(struct heap_pages *h, uint32_t page);
void heap_pages_give_back(struct heap_pages *h, uint32_t page);

/*
 * For a copy of the memory, with the lock held by the caller: whether the page
 * may hold something; and, in a process that has no host, all that was with it
 * becomes free and zero.
 */
bool heap_pages_has(const struct heap_pages *h, uint32_t page);
void heap_pages_recall(struct heap_pages *h);

struct heap_count {
	uint32_t pages, free, zero_free;
};

struct heap_count heap_pages_count(struct heap_pages *h);

#endif
