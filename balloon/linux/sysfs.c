// SPDX-License-Identifier: GPL-2.0-only
/* What a program in the guest can read: /sys/bus/pci/drivers/ballast_balloon/ADDRESS/ */
#include "bb.h"

#include <linux/device.h>
#include <linux/sysfs.h>

#define SHOW(name, format, value)                                                                  \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)   \
	{                                                                                          \
		struct bb *b = dev_get_drvdata(dev);                                               \
		ssize_t n;                                                                         \
                                                                                                   \
		mutex_lock(&b->lock);                                                              \
		n = sysfs_emit(buf, format "\n", value);                                           \
		mutex_unlock(&b->lock);                                                            \
		return n;                                                                          \
	}                                                                                          \
	static DEVICE_ATTR_RO(name)

static const char *talk_name(const struct bb *b)
{
	return b->talk == BB_TALKING ? "talking" : b->talk == BB_HELLO ? "hello" : "silent";
}

/* The driver's own. Pages of 4 KiB. */
SHOW(talk, "%s", talk_name(b));
SHOW(target, "%u", b->target);
SHOW(size, "%u", b->size);
SHOW(cap, "%u", b->cap);
SHOW(rate, "%llu", b->rate);
SHOW(refusals, "%llu", b->count.refusals);
SHOW(host_refused, "%llu", b->count.host_refused);
SHOW(resets, "%llu", b->count.resets);
SHOW(oom_deflations, "%llu", b->count.oom_deflations);
SHOW(migrations, "%llu", b->count.migrations);
SHOW(reported, "%llu", b->count.hinted);

/* The host's view of this guest, as of its last word. */
SHOW(host_granted, "%llu", le64_to_cpu(b->view.granted));
SHOW(host_target, "%llu", le64_to_cpu(b->view.target));
SHOW(host_shared, "%llu", le64_to_cpu(b->view.shared));
SHOW(host_swapped, "%llu", le64_to_cpu(b->view.swapped));
SHOW(host_ballooned, "%llu", le64_to_cpu(b->view.ballooned));
SHOW(host_active, "%llu", le64_to_cpu(b->view.active));
SHOW(host_steal_ns, "%llu", le64_to_cpu(b->view.steal_ns));
SHOW(host_state, "%u", le32_to_cpu(b->view.state));

static struct attribute *attrs[] = {
	&dev_attr_talk.attr,	       &dev_attr_target.attr,
	&dev_attr_size.attr,	       &dev_attr_cap.attr,
	&dev_attr_rate.attr,	       &dev_attr_refusals.attr,
	&dev_attr_host_refused.attr,   &dev_attr_resets.attr,
	&dev_attr_oom_deflations.attr, &dev_attr_migrations.attr,
	&dev_attr_reported.attr,       &dev_attr_host_granted.attr,
	&dev_attr_host_target.attr,    &dev_attr_host_shared.attr,
	&dev_attr_host_swapped.attr,   &dev_attr_host_ballooned.attr,
	&dev_attr_host_active.attr,    &dev_attr_host_steal_ns.attr,
	&dev_attr_host_state.attr,     NULL,
};

static const struct attribute_group group = {.attrs = attrs};

const struct attribute_group *bb_groups[] = {&group, NULL};
