// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's memory: what is told of it, who asks for pages back, who reports
 * free ones. There is no shrinker on purpose: one would empty the balloon
 * before the page cache, so that nothing could be taken from a guest that has
 * only cache to give. The notifier comes before a kill, which is early enough.
 */
#include "bb.h"

#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/scatterlist.h>
#include <linux/vmstat.h>

void bb_memory(struct balloon_stats *m)
{
	unsigned long events[NR_VM_EVENT_ITEMS];

	m->total = cpu_to_le64(totalram_pages());
	m->free = cpu_to_le64(global_zone_page_state(NR_FREE_PAGES));
	m->cached = cpu_to_le64(global_node_page_state(NR_FILE_PAGES));
	m->available = cpu_to_le64(max(si_mem_available(), 0l));
	m->active = cpu_to_le64(global_node_page_state(NR_ACTIVE_ANON) +
				global_node_page_state(NR_ACTIVE_FILE));
	all_vm_events(events);
	m->faults = cpu_to_le64(events[PGMAJFAULT]);
#ifdef CONFIG_SWAP
	m->swap_ins = cpu_to_le64(events[PSWPIN]);
	m->swap_outs = cpu_to_le64(events[PSWPOUT]);
#endif
}

static int running_out(struct notifier_block *nb, unsigned long unused, void *arg)
{
	struct bb *b = container_of(nb, struct bb, oom);
	unsigned long *freed = arg;
	u32 n;

	mutex_lock(&b->lock); /* under it nothing is allocated */
	n = bb_release(b, bb_oom_pages);
	b->count.oom_deflations += n;
	b->hold_until = ktime_add_ms(ktime_get(), max(b->backoff_ms, 5000u));
	mutex_unlock(&b->lock);
	if (n)
		dev_info_ratelimited(&b->pdev->dev, "out of memory: %u pages back\n", n);
	*freed += n;
	return NOTIFY_OK;
}

#ifdef CONFIG_PAGE_REPORTING
/* Pages that nobody uses, taken out of the free lists until this returns. */
static int report_free(struct page_reporting_dev_info *prdev, struct scatterlist *sgl,
		       unsigned int nents)
{
	struct bb *b = container_of(prdev, struct bb, reporting);
	struct page **pages = b->reported;
	struct scatterlist *sg;
	unsigned int i;
	int rc = 0;

	mutex_lock(&b->lock);
	if (b->talk != BB_TALKING || !(b->caps & BALLOON_CAP_HINT))
		rc = -EOPNOTSUPP;
	for_each_sg(sgl, sg, nents, i)
	{
		unsigned int left = sg->length >> PAGE_SHIFT, at = 0, n;

		for (; rc == 0 && at < left; at += n) {
			n = min_t(unsigned int, left - at, BALLOON_BATCH_MAX);
			for (unsigned int k = 0; k < n; k++)
				pages[k] = nth_page(sg_page(sg), at + k);
			rc = bb_transact(b, BALLOON_MSG_HINT, pages, n);
			if (rc == 0)
				b->count.hinted += n;
		}
	}
	mutex_unlock(&b->lock);
	return rc;
}
#endif

int bb_pressure_init(struct bb *b)
{
	int rc = 0;

	b->oom.notifier_call = running_out;
	if (bb_deflate_on_oom)
		rc = register_oom_notifier(&b->oom);
	if (rc)
		return rc;
	b->oom_registered = bb_deflate_on_oom;
#ifdef CONFIG_PAGE_REPORTING
	b->reporting.report = report_free;
	if (bb_report_free) {
		rc = page_reporting_register(&b->reporting);
		if (rc == -EBUSY) /* another device reports: let it */
			rc = 0;
		else
			b->reporting_registered = rc == 0;
	}
	if (rc)
		bb_pressure_exit(b);
#endif
	return rc;
}

void bb_pressure_exit(struct bb *b)
{
#ifdef CONFIG_PAGE_REPORTING
	if (b->reporting_registered)
		page_reporting_unregister(&b->reporting);
	b->reporting_registered = false;
#endif
	if (b->oom_registered)
		unregister_oom_notifier(&b->oom);
	b->oom_registered = false;
}
