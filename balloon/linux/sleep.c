// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleep, images of memory, resets and shutdown. Sleep keeps the balloon. An image
 * shall not hold pages that are not there, and room for it is found before any
 * driver is told of it: the balloon is emptied when the kernel begins with it,
 * and stays empty until it is done. The kernel that comes out of an image finds
 * a host that has talked to others since, or another one: it begins anew.
 */
#include "bb.h"

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/suspend.h>

/* A page that is being moved comes to the list again. */
void bb_give_back(struct bb *b)
{
	u32 left;

	do {
		mutex_lock(&b->lock);
		if (b->talk == BB_TALKING && !b->away)
			bb_bye(b);
		else
			bb_begin_anew(b);
		left = b->size;
		mutex_unlock(&b->lock);
		if (left)
			msleep(10);
	} while (left);
}

static void set_imaging(struct bb *b, bool on)
{
	mutex_lock(&b->lock);
	b->imaging = on;
	mutex_unlock(&b->lock);
	if (on)
		bb_give_back(b);
	else
		bb_kick(b);
}

static int pm_notified(struct notifier_block *nb, unsigned long what, void *unused)
{
	struct bb *b = container_of(nb, struct bb, pm);

	switch (what) {
	case PM_HIBERNATION_PREPARE: /* this kernel is written out, */
	case PM_RESTORE_PREPARE:     /* or gives way to one that was */
		set_imaging(b, true);
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		set_imaging(b, false);
		break;
	}
	return NOTIFY_OK;
}

int bb_sleep_init(struct bb *b)
{
	b->pm.notifier_call = pm_notified;
	return register_pm_notifier(&b->pm);
}

void bb_sleep_exit(struct bb *b)
{
	unregister_pm_notifier(&b->pm);
}

static void set_away(struct bb *b, bool away)
{
	mutex_lock(&b->lock);
	b->away = away;
	mutex_unlock(&b->lock);
}

/* From here until be_back() nobody touches the device. */
static int go_away(struct bb *b)
{
	int rc = kthread_park(b->thread);

	if (rc == 0)
		set_away(b, true);
	return rc;
}

static void be_back(struct bb *b)
{
	set_away(b, false);
	bb_kick(b);
	kthread_unpark(b->thread);
}

static int __maybe_unused suspend(struct device *dev)
{
	return go_away(dev_get_drvdata(dev));
}

/* Also where no image is announced: kexec that comes back. */
static int __maybe_unused freeze(struct device *dev)
{
	struct bb *b = dev_get_drvdata(dev);
	int rc = kthread_park(b->thread);

	if (rc)
		return rc;
	bb_give_back(b);
	set_away(b, true);
	return 0;
}

static int __maybe_unused resume(struct device *dev)
{
	be_back(dev_get_drvdata(dev));
	return 0;
}

/* Out of an image: the rings are not those that we knew. */
static int __maybe_unused restore(struct device *dev)
{
	struct bb *b = dev_get_drvdata(dev);
	int rc;

	mutex_lock(&b->lock);
	rc = bb_channel_init(&b->ch, b->ch.region, b->ch.size, b->ch.regs);
	mutex_unlock(&b->lock);
	if (rc) {
		dev_err(dev, "no rings after hibernation: %d\n", rc);
		return rc; /* away for good */
	}
	be_back(b);
	return 0;
}

const struct dev_pm_ops bb_pm_ops = {
#ifdef CONFIG_PM_SLEEP
	.suspend = suspend,
	.resume = resume,
	.freeze = freeze,
	.thaw = resume,
	.poweroff = suspend,
	.restore = restore,
#endif
};

/* What boots next, or is started by kexec, knows nothing of a balloon. */
void bb_shutdown(struct pci_dev *pdev)
{
	struct bb *b = pci_get_drvdata(pdev);

	if (kthread_park(b->thread) == 0)
		bb_give_back(b);
}

/* The rings are memory, which a reset leaves alone; where they lie is put back by the kernel. */
static void reset_prepare(struct pci_dev *pdev)
{
	struct bb *b = pci_get_drvdata(pdev);

	if (go_away(b))
		dev_warn(&pdev->dev, "reset while the balloon talks\n");
}

static void reset_done(struct pci_dev *pdev)
{
	be_back(pci_get_drvdata(pdev));
}

const struct pci_error_handlers bb_error_handlers = {
	.reset_prepare = reset_prepare,
	.reset_done = reset_done,
};
