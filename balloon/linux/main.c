// SPDX-License-Identifier: GPL-2.0-only
#include "bb.h"

#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>

#define IVSHMEM_VENDOR 0x1af4
#define IVSHMEM_DEVICE 0x1110
#define BUSY_MS	       1u    /* between looks while something is going on */
#define WAIT_MS	       1000u /* at most, else */
#define GLANCE_MS      100u  /* at most, where nobody rings */

unsigned int bb_rate_start = 262144;
module_param_named(rate_start, bb_rate_start, uint, 0644);
MODULE_PARM_DESC(rate_start, "pages a second to inflate by at first; it adapts (default 262144)");

unsigned int bb_order = 9;
module_param_named(order, bb_order, uint, 0644);
MODULE_PARM_DESC(order, "take blocks of up to 2^order pages where they lie about (default 9)");

unsigned int bb_reserve_mb = 16;
module_param_named(reserve_mb, bb_reserve_mb, uint, 0644);
MODULE_PARM_DESC(reserve_mb, "do not inflate while less memory is available, MB (default 16)");

unsigned int bb_backoff_ms = 1000;
module_param_named(backoff_ms, bb_backoff_ms, uint, 0644);
MODULE_PARM_DESC(backoff_ms, "pause after a refused allocation, doubled up to 30 s (default 1000)");

unsigned int bb_oom_pages = 1024;
module_param_named(oom_pages, bb_oom_pages, uint, 0644);
MODULE_PARM_DESC(oom_pages, "pages given back before the kernel kills (default 1024)");

bool bb_deflate_on_oom = true;
module_param_named(deflate_on_oom, bb_deflate_on_oom, bool, 0444);
MODULE_PARM_DESC(deflate_on_oom, "give pages back before the kernel kills (default on)");

bool bb_report_free;
module_param_named(report_free, bb_report_free, bool, 0444);
MODULE_PARM_DESC(report_free, "report free pages to the host (default off)");

void bb_kick(struct bb *b)
{
	WRITE_ONCE(b->kicked, true);
	wake_up(&b->wait);
}

static irqreturn_t rung(int irq, void *data)
{
	bb_kick(data);
	return IRQ_HANDLED;
}

/* How long there is nothing to do, ms. A host that lets us wait is looked at ever less often. */
static unsigned int pause_of(struct bb *b)
{
	const unsigned int most = b->doorbell ? WAIT_MS : GLANCE_MS;
	unsigned int ms = b->pause_ms;

	if (b->talk != BB_TALKING || b->pending || b->size > b->target) {
		b->pause_ms = min(2 * ms, b->talk == BB_TALKING ? most : WAIT_MS);
		return ms;
	}
	b->pause_ms = BUSY_MS;
	if (b->size < b->target && ktime_after(ktime_get(), b->hold_until))
		return BUSY_MS;
	return min(b->poll_ms, most);
}

/* One turn: listens, says what is due, works. Returns how long there is nothing to do, ms. */
static unsigned int turn(struct bb *b)
{
	unsigned int want, ms = 0;

	mutex_lock(&b->lock);
	if (READ_ONCE(b->kicked))
		b->pause_ms = BUSY_MS;
	if (bb_listen(b))
		b->pause_ms = BUSY_MS;
	if (b->talk != BB_TALKING && !b->imaging && ktime_after(ktime_get(), b->hello_at))
		bb_hello(b);
	if (b->talk == BB_TALKING && ktime_after(ktime_get(), b->poll_at))
		bb_report(b);
	while (b->talk == BB_TALKING && b->size > b->target) {
		if (!bb_deflate(b, b->size - b->target))
			break;
		b->pause_ms = BUSY_MS;
	}
	bb_channel_ring(&b->ch);
	want = bb_slot(b) ? bb_allowance(b) : 0;
	mutex_unlock(&b->lock);
	if (want && bb_inflate(b, want) == 0)
		want = 0;
	mutex_lock(&b->lock);
	bb_channel_ring(&b->ch);
	if (want)
		b->pause_ms = BUSY_MS;
	else
		ms = pause_of(b);
	mutex_unlock(&b->lock);
	return ms;
}

/* The host is to ring from here on. What came before that is not rung for. */
static bool may_sleep(struct bb *b)
{
	bool ready;

	mutex_lock(&b->lock);
	bb_channel_waits(&b->ch, true);
	ready = bb_channel_ready(&b->ch);
	mutex_unlock(&b->lock);
	return !ready;
}

static bool woken(struct bb *b)
{
	return READ_ONCE(b->kicked) || kthread_should_stop() || kthread_should_park();
}

static int run(void *data)
{
	struct bb *b = data;

	while (!kthread_should_stop()) {
		unsigned int ms;

		if (kthread_should_park())
			kthread_parkme();
		ms = turn(b);
		if (ms == 0) {
			cond_resched();
			continue;
		}
		if (may_sleep(b))
			wait_event_interruptible_timeout(b->wait, woken(b), msecs_to_jiffies(ms));
		bb_channel_waits(&b->ch, false);
	}
	return 0;
}

/* An interrupt, if the device has any: ivshmem-doorbell with a vector. */
static void find_doorbell(struct bb *b)
{
	struct pci_dev *pdev = b->pdev;

	if (pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX) != 1)
		return;
	if (request_irq(pci_irq_vector(pdev, 0), rung, 0, BB_NAME, b)) {
		pci_free_irq_vectors(pdev);
		return;
	}
	b->doorbell = true;
}

static void drop_doorbell(struct bb *b)
{
	if (!b->doorbell)
		return;
	free_irq(pci_irq_vector(b->pdev, 0), b);
	pci_free_irq_vectors(b->pdev);
}

static void free_bb(struct bb *b)
{
	for (int i = 0; i < BB_WINDOW; i++)
		kfree(b->window[i]);
	kvfree(b);
}

static struct bb *new_bb(struct pci_dev *pdev)
{
	struct bb *b = kvzalloc(sizeof(*b), GFP_KERNEL);

	if (!b)
		return NULL;
	for (int i = 0; i < BB_WINDOW; i++) {
		b->window[i] = kzalloc(sizeof(*b->window[i]), GFP_KERNEL);
		if (!b->window[i]) {
			free_bb(b);
			return NULL;
		}
	}
	b->pdev = pdev;
	b->poll_ms = WAIT_MS;
	b->pause_ms = BUSY_MS;
	b->rate = bb_rate_start;
	b->backoff_ms = bb_backoff_ms;
	mutex_init(&b->lock);
	init_waitqueue_head(&b->wait);
	bb_pages_init(b);
	return b;
}

/* Maps both BARs and finds the rings. */
static int map_device(struct bb *b)
{
	struct pci_dev *pdev = b->pdev;
	void __iomem *regs;
	void *region;
	int rc;

	rc = pcim_enable_device(pdev);
	if (rc)
		return rc;
	rc = pci_request_regions(pdev, BB_NAME);
	if (rc)
		return rc;
	regs = pcim_iomap(pdev, 0, 0);
	region = devm_memremap(&pdev->dev, pci_resource_start(pdev, 2), pci_resource_len(pdev, 2),
			       MEMREMAP_WB);
	if (IS_ERR(region))
		return PTR_ERR(region);
	pci_set_master(pdev);
	return bb_channel_init(&b->ch, region, pci_resource_len(pdev, 2), regs);
}

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct bb *b = new_bb(pdev);
	int rc;

	if (!b)
		return -ENOMEM;
	pci_set_drvdata(pdev, b);
	rc = map_device(b);
	if (rc) {
		free_bb(b);
		return rc;
	}
	find_doorbell(b);
	rc = bb_pressure_init(b);
	if (rc)
		goto no_pressure;
	b->thread = kthread_run(run, b, BB_NAME);
	if (IS_ERR(b->thread)) {
		rc = PTR_ERR(b->thread);
		goto no_thread;
	}
	rc = bb_sleep_init(b);
	if (rc)
		goto no_sleep;
	dev_info(&pdev->dev, "balloon over %s, region of %zu KiB\n",
		 b->doorbell ? "doorbell" : "polled rings", b->ch.size >> 10);
	return 0;

no_sleep:
	kthread_stop(b->thread);
	bb_give_back(b);
no_thread:
	bb_pressure_exit(b);
no_pressure:
	drop_doorbell(b);
	free_bb(b);
	return rc;
}

static void remove(struct pci_dev *pdev)
{
	struct bb *b = pci_get_drvdata(pdev);

	bb_sleep_exit(b);
	kthread_stop(b->thread);
	bb_pressure_exit(b);
	bb_give_back(b);
	drop_doorbell(b);
	free_bb(b);
}

static const struct pci_device_id ids[] = {
	{PCI_DEVICE(IVSHMEM_VENDOR, IVSHMEM_DEVICE)},
	{0},
};
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver bb_driver = {
	.name = BB_NAME,
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.shutdown = bb_shutdown,
	.err_handler = &bb_error_handlers,
	.dev_groups = bb_groups,
	.driver.pm = &bb_pm_ops,
};

module_pci_driver(bb_driver);

MODULE_DESCRIPTION("Ballast balloon: gives memory to the host over ivshmem");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
