// SPDX-License-Identifier: GPL-2.0-only
/* Pages into the balloon and out of it. */
#include "bb.h"

#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/vmstat.h>

#define RATE_LEAST	256u /* pages a second */
#define RATE_MOST	(1u << 24)
#define BURST_MS	10
#define BACKOFF_MOST_MS 30000u
#define ORDER_MOST	9u /* 512 pages, 2 MiB */

/* The guest said no: fewer from now on, and none for a while that grows. */
static void refused(struct bb *b)
{
	if (b->backoff_ms == bb_backoff_ms)
		dev_info_ratelimited(&b->pdev->dev, "no more to give: %u of %u pages\n", b->size,
				     b->target);
	b->count.refusals++;
	b->rate = max_t(u64, b->rate / 2, RATE_LEAST);
	b->hold_until = ktime_add_ms(ktime_get(), b->backoff_ms);
	b->backoff_ms = min(2 * b->backoff_ms, BACKOFF_MOST_MS);
}

/* Pages a second, the lower of what the host allows and what the guest bore. */
static u64 rate_of(const struct bb *b)
{
	return max_t(u64, 1, min_t(u64, b->rate, b->host_rate));
}

/* What target and rate allow now, in pages; no small change, so that messages are few. */
u32 bb_allowance(struct bb *b)
{
	const ktime_t now = ktime_get();
	const u64 rate = rate_of(b);
	u32 has = b->size + b->giving, left, pages, least;

	if (b->talk != BB_TALKING || has >= b->target || ktime_before(now, b->hold_until))
		return 0;
	b->paid_at = max(b->paid_at, ktime_sub_ms(now, BURST_MS));
	if (ktime_after(b->paid_at, now))
		return 0;
	pages = div_u64(rate * ktime_to_us(ktime_sub(now, b->paid_at)), USEC_PER_SEC);
	left = min_t(u32, b->target - has, BALLOON_BATCH_MAX);
	least = clamp_t(u64, div_u64(rate * BURST_MS, 2 * MSEC_PER_SEC), 1, left);
	return pages < least ? 0 : min(pages, left);
}

/* Pages that may be taken before less than the reserve is available. */
static unsigned int spare(void)
{
	long left = si_mem_available() - ((long)bb_reserve_mb << (20 - PAGE_SHIFT));

	return clamp(left, 0l, (long)BALLOON_BATCH_MAX);
}

/*
 * Up to want pages, into b->fresh. In blocks first, as large as the guest has
 * any lying about: their pages are neighbours, which the host can take from its
 * memory at once. For a block no effort is made; for a single page one pass of
 * reclaim, and no emergency reserves: that is what balloon_page_alloc() asks for.
 */
static unsigned int take(struct bb *b, unsigned int want)
{
	const gfp_t lying_about = (GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM) | __GFP_NOMEMALLOC |
				  __GFP_NORETRY | __GFP_NOWARN;
	unsigned int order = min(bb_order, ORDER_MOST), n = 0;

	while (n < want) {
		struct page *page;

		order = min_t(unsigned int, order, ilog2(want - n));
		page = order ? alloc_pages(lying_about, order) : balloon_page_alloc();
		if (!page && order == 0)
			break;
		if (!page) {
			order--;
			continue;
		}
		if (order)
			split_page(page, order);
		for (unsigned int i = 0; i < 1u << order; i++)
			b->fresh[n++] = nth_page(page, i);
	}
	return n;
}

/*
 * Takes up to want pages from the guest, without the lock, and gives them to
 * the host. Returns how many were sent.
 */
unsigned int bb_inflate(struct bb *b, unsigned int want)
{
	const unsigned int n = take(b, min(want, spare()));
	const bool full = n == want;
	struct bb_batch *batch;

	mutex_lock(&b->lock);
	batch = b->talk == BB_TALKING ? bb_slot(b) : NULL;
	if (n && batch) {
		memcpy(batch->page, b->fresh, n * sizeof(*b->fresh));
		if (bb_send(b, batch, BALLOON_MSG_INFLATE, n))
			batch = NULL;
	}
	if (batch && n) {
		b->paid_at = ktime_add_us(b->paid_at, div64_u64((u64)n * USEC_PER_SEC, rate_of(b)));
		if (full)
			b->rate = min_t(u64, 2 * b->rate, RATE_MOST);
	}
	if (!full)
		refused(b);
	else if (batch)
		b->backoff_ms = bb_backoff_ms;
	mutex_unlock(&b->lock);
	if (batch)
		return n;
	release_pages(b->fresh, n);
	return 0;
}

/*
 * Up to a message full goes back. Returns how many pages were asked for. There is
 * no way back into the balloon for a page that came out: somebody who saw it in
 * there may hold its lock. So there has to be room for the message first. A host
 * that begins anew just then, so that it cannot be sent after all, wants none of
 * them: they are the guest's at once.
 */
unsigned int bb_deflate(struct bb *b, unsigned int want)
{
	struct bb_batch *batch = bb_slot(b);
	struct page *page;
	unsigned int n = 0;
	LIST_HEAD(pages);

	if (!batch || !bb_channel_room(&b->ch, BALLOON_MSG_MAX))
		return 0;
	want = min3(want, b->size, (u32)BALLOON_BATCH_MAX);
	balloon_page_list_dequeue(&b->list, &pages, want); /* fewer: the others are being moved */
	list_for_each_entry(page, &pages, lru) batch->page[n++] = page;
	b->size -= n;
	if (n == 0 || bb_send(b, batch, BALLOON_MSG_DEFLATE, n) == 0)
		return n;
	release_pages(batch->page, n);
	return 0;
}

/*
 * Pages back at once, for a kernel about to kill. A host that does not answer in
 * time finds them touched.
 */
u32 bb_release(struct bb *b, u32 want)
{
	const u32 before = b->size;
	u32 sent = 0, n;

	if (b->away)
		return 0;
	bb_listen(b);
	while (sent < want && b->size && b->talk == BB_TALKING) {
		n = bb_deflate(b, want - sent);
		if (n == 0)
			break;
		sent += n;
	}
	bb_channel_ring(&b->ch);
	if (b->pending && !bb_await(b, b->window[(b->oldest + b->pending - 1) % BB_WINDOW], 100))
		bb_begin_anew(b);
	return before > b->size ? before - b->size : 0;
}

void bb_free_all(struct bb *b)
{
	while (b->size) {
		struct page *page = balloon_page_dequeue(&b->list);
		if (!page)
			break;
		b->size--;
		put_page(page);
	}
}

#ifdef CONFIG_BALLOON_COMPACTION
/*
 * Compaction wants the place of a page: another goes in first, then this one
 * comes out. Both are locked by the caller.
 */
static int migrate(struct balloon_dev_info *list, struct page *newpage, struct page *page,
		   enum migrate_mode mode)
{
	struct bb *b = container_of(list, struct bb, list);
	unsigned long flags;

	if (mode == MIGRATE_ASYNC && !b->doorbell) /* the answer would take a poll */
		return -EAGAIN;
	if (!mutex_trylock(&b->lock))
		return -EAGAIN;
	if (bb_transact(b, BALLOON_MSG_INFLATE, &newpage, 1)) {
		mutex_unlock(&b->lock);
		return -EAGAIN;
	}
	get_page(newpage);
	spin_lock_irqsave(&list->pages_lock, flags);
	balloon_page_insert(list, newpage);
	list->isolated_pages--;
	__count_vm_event(BALLOON_MIGRATE);
	spin_unlock_irqrestore(&list->pages_lock, flags);
	b->count.migrations++;
	/* Whatever comes of it: the page leaves the balloon, and is popped at worst. */
	if (bb_transact(b, BALLOON_MSG_DEFLATE, &page, 1))
		dev_dbg(&b->pdev->dev, "a page that was moved may pop\n");
	mutex_unlock(&b->lock);
	balloon_page_finalize(page);
	put_page(page);
	return MIGRATEPAGE_SUCCESS;
}
#endif

void bb_pages_init(struct bb *b)
{
	balloon_devinfo_init(&b->list);
#ifdef CONFIG_BALLOON_COMPACTION
	b->list.migratepage = migrate;
#endif
}
