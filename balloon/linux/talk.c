// SPDX-License-Identifier: GPL-2.0-only
/* What is said to the host, and what comes of its answers. Under bb.lock. */
#include "bb.h"

#include <linux/pagemap.h>
#include <linux/sched.h>

struct bb_batch *bb_slot(struct bb *b)
{
	if (b->pending == BB_WINDOW)
		return NULL;
	return b->window[(b->oldest + b->pending) % BB_WINDOW];
}

/* The batch's pages in a message; it is built where the channel's copy comes from. */
int bb_send(struct bb *b, struct bb_batch *batch, u16 type, unsigned int n)
{
	static_assert(sizeof(struct balloon_pages) + 4 * BALLOON_BATCH_MAX == BALLOON_MSG_MAX);
	struct balloon_pages *m = (struct balloon_pages *)b->ch.buf;
	int rc;

	memset(m, 0, sizeof(*m));
	m->count = cpu_to_le32(n);
	for (unsigned int i = 0; i < n; i++)
		m->ppn[i] = cpu_to_le32((u32)page_to_pfn(batch->page[i]));
	if (n % 2)
		m->ppn[n] = 0;
	rc = bb_channel_send(&b->ch, m, type, ALIGN(sizeof(*m) + 4 * (size_t)n, 8));
	if (rc)
		return rc;
	batch->type = type;
	batch->n = n;
	batch->seq = b->ch.seq_out - 1;
	batch->mine = false;
	batch->accepted = false;
	b->pending++;
	if (type == BALLOON_MSG_INFLATE)
		b->giving += n;
	return 0;
}

/*
 * An answered batch's pages find their place: into the balloon those of an
 * inflation that the host took, back to the guest all others.
 */
static void settle(struct bb *b, struct bb_batch *batch, const struct balloon_ack *ack)
{
	const bool refused = ack->refused, map = refused && batch->n > 1;
	unsigned int back = 0;
	LIST_HEAD(in);

	for (unsigned int i = 0; i < batch->n; i++) {
		const bool no = map ? le64_to_cpu(ack->map[i / 64]) >> (i % 64) & 1 : refused;

		if (batch->type == BALLOON_MSG_INFLATE && !no)
			list_add_tail(&batch->page[i]->lru, &in);
		else
			batch->page[back++] = batch->page[i];
	}
	b->size += balloon_page_list_enqueue(&b->list, &in);
	release_pages(batch->page, back);
}

static void close_batch(struct bb *b, struct bb_batch *batch)
{
	if (batch->type == BALLOON_MSG_INFLATE)
		b->giving -= batch->n;
	batch->type = 0;
	b->oldest = (b->oldest + 1) % BB_WINDOW;
	b->pending--;
}

/* The answer to the oldest message. False: it is not. */
static bool answered(struct bb *b, const struct balloon_ack *ack)
{
	struct bb_batch *batch = b->window[b->oldest];
	u32 refused = le32_to_cpu(ack->refused);

	if (!b->pending || le32_to_cpu(ack->of) != batch->seq ||
	    le16_to_cpu(ack->type) != batch->type ||
	    le32_to_cpu(ack->accepted) + refused != batch->n)
		return false;
	batch->accepted = refused == 0;
	b->count.host_refused += refused;
	if (!batch->mine)
		settle(b, batch, ack);
	close_batch(b, batch);
	return true;
}

/* All that we hold is the guest's again. */
static void drop_all(struct bb *b)
{
	while (b->pending) {
		struct bb_batch *batch = b->window[b->oldest];
		if (!batch->mine)
			release_pages(batch->page, batch->n);
		close_batch(b, batch);
	}
	bb_free_all(b);
	b->talk = BB_SILENT;
	b->ch.welcomed = false;
	b->target = 0;
	b->hello_at = ktime_get();
}

/* The host knows nothing of what we hold. */
void bb_begin_anew(struct bb *b)
{
	if (b->size || b->pending)
		b->count.resets++;
	drop_all(b);
}

static void welcomed(struct bb *b, const struct balloon_welcome *m)
{
	b->poll_ms = clamp(le32_to_cpu(m->poll_ms), 10u, 60000u);
	b->cap = le32_to_cpu(m->cap_pages);
	b->reason = le16_to_cpu(m->reason);
	if (le16_to_cpu(m->version) != BALLOON_VERSION) {
		dev_info_ratelimited(&b->pdev->dev,
				     "the host does not want this balloon: reason %u\n", b->reason);
		b->talk = BB_SILENT;
		b->ch.welcomed = false;
		b->hello_at = ktime_add_ms(ktime_get(), b->poll_ms);
		return;
	}
	b->talk = BB_TALKING;
	b->caps = le32_to_cpu(m->caps);
	b->rate = bb_rate_start;
	b->poll_at = ktime_get();
}

static void handle(struct bb *b, const struct balloon_msg *msg)
{
	const struct balloon_target *target = (const struct balloon_target *)msg;
	const struct balloon_reset *reset = (const struct balloon_reset *)msg;

	switch (le16_to_cpu(msg->type)) {
	case BALLOON_MSG_WELCOME:
		welcomed(b, (const struct balloon_welcome *)msg);
		break;
	case BALLOON_MSG_TARGET:
		b->target = le32_to_cpu(target->pages);
		b->host_rate = le32_to_cpu(target->rate);
		b->reason = le32_to_cpu(target->reason);
		break;
	case BALLOON_MSG_ACK:
		if (!answered(b, (const struct balloon_ack *)msg))
			bb_begin_anew(b);
		break;
	case BALLOON_MSG_RESET:
		dev_info_ratelimited(&b->pdev->dev, "reset by the host: reason %u\n",
				     le32_to_cpu(reset->reason));
		bb_begin_anew(b);
		break;
	case BALLOON_MSG_POPPED: /* not agreed upon: the host should have reset us */
		bb_begin_anew(b);
		break;
	case BALLOON_MSG_VIEW:
		b->view = *(const struct balloon_view *)msg;
		break;
	}
}

bool bb_listen(struct bb *b)
{
	const struct balloon_msg *msg;
	bool heard = false;
	int rc;

	WRITE_ONCE(b->kicked, false);
	while ((rc = bb_channel_recv(&b->ch, &msg)) > 0) {
		handle(b, msg);
		heard = true;
	}
	if (rc < 0)
		bb_begin_anew(b);
	return heard || rc < 0;
}

void bb_hello(struct bb *b)
{
	struct balloon_hello m = {
		.magic = cpu_to_le32(BALLOON_MAGIC),
		.version_min = cpu_to_le16(BALLOON_VERSION),
		.version_max = cpu_to_le16(BALLOON_VERSION),
		.caps = cpu_to_le32(BALLOON_CAP_VIEW |
				    (b->reporting_registered ? BALLOON_CAP_HINT : 0)),
		.page_shift = cpu_to_le32(PAGE_SHIFT),
		.driver = "linux",
	};

	if (b->size || b->pending)
		bb_begin_anew(b);
	/* A number that was written while the device was not there is lost. */
	if (!b->ch.up && ktime_after(ktime_get(), b->begun_at)) {
		bb_channel_begin(&b->ch);
		b->begun_at = ktime_add_ms(ktime_get(), 1000);
	}
	if (bb_channel_send(&b->ch, &m, BALLOON_MSG_HELLO, sizeof(m)) == 0)
		b->talk = BB_HELLO;
	b->hello_at = ktime_add_ms(ktime_get(), b->ch.up ? 1000 : 20);
}

void bb_report(struct bb *b)
{
	struct balloon_stats m = {
		.refusals = cpu_to_le64(b->count.refusals),
		.balloon = cpu_to_le64(b->size),
	};

	bb_memory(&m);
	bb_channel_send(&b->ch, &m, BALLOON_MSG_STATS, sizeof(m));
	b->poll_at = ktime_add_ms(ktime_get(), b->poll_ms);
}

void bb_bye(struct bb *b)
{
	struct balloon_msg m;

	if (b->talk == BB_TALKING)
		bb_channel_send(&b->ch, &m, BALLOON_MSG_BYE, sizeof(m));
	bb_channel_ring(&b->ch);
	drop_all(b);
}

bool bb_await(struct bb *b, const struct bb_batch *batch, unsigned int ms)
{
	const ktime_t end = ktime_add_ms(ktime_get(), ms);

	for (;;) {
		bb_listen(b);
		if (!batch->type)
			return true;
		if (ktime_after(ktime_get(), end))
			return false;
		bb_channel_waits(&b->ch, true);
		wait_event_timeout(b->wait, READ_ONCE(b->kicked), 1);
	}
}

int bb_transact(struct bb *b, u16 type, struct page **pages, unsigned int n)
{
	struct bb_batch *batch;

	if (b->away || b->talk != BB_TALKING)
		return -EAGAIN;
	if (b->pending == BB_WINDOW && !bb_await(b, b->window[b->oldest], 50))
		return -EAGAIN;
	batch = bb_slot(b);
	if (!batch)
		return -EAGAIN;
	memcpy(batch->page, pages, n * sizeof(*pages));
	if (bb_send(b, batch, type, n))
		return -EAGAIN;
	batch->mine = true;
	bb_channel_ring(&b->ch);
	if (!bb_await(b, batch, 100)) /* we are out of step with this host */
		bb_begin_anew(b);
	bb_kick(b); /* what came meanwhile may be work for the thread */
	return batch->accepted ? 0 : -EAGAIN;
}
