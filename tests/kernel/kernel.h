/*
 * As much of a kernel as the balloon module's own code needs to run in a test:
 * channel.c, talk.c and pages.c of balloon/linux are compiled against this
 * instead of <linux/...>, so that sanitizers watch them and a test plays what is
 * around them. Written from the kernel's documented behaviour.
 *
 * Pages are an array, numbered from 0, with counts of references; to free one
 * that is free, or still in the balloon, is the end of the test. Each look at
 * memory that the host shares calls kernel_pass(), each wait kernel_wait(): there
 * the test lets the host, time and compaction do what they like. One thread.
 */
#ifndef BALLAST_TESTS_KERNEL_H
#define BALLAST_TESTS_KERNEL_H

#include <endian.h>
#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t ktime_t;
typedef unsigned gfp_t;

#define __iomem
#define __aligned(n) __attribute__((aligned(n)))
#define CONFIG_BALLOON_COMPACTION
#define PAGE_SHIFT	   12
#define USEC_PER_SEC	   1000000L
#define MSEC_PER_SEC	   1000L
#define READ_ONCE(x)	   (*(volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)   (*(volatile __typeof__(x) *)&(x) = (v))
#define DIV_ROUND_UP(a, b) (((a) + (b)-1) / (b))
#define ALIGN(x, a)	   (((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define BUG_ON(wrong)                                                                              \
	do {                                                                                       \
		if (wrong) {                                                                       \
			printf("  %s:%d: BUG: %s\n", __FILE__, __LINE__, #wrong);                  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#define kernel_least(a, b)                                                                         \
	({                                                                                         \
		__typeof__(a) a_ = (a);                                                            \
		__typeof__(b) b_ = (b);                                                            \
		a_ < b_ ? a_ : b_;                                                                 \
	})
#define kernel_most(a, b)                                                                          \
	({                                                                                         \
		__typeof__(a) a_ = (a);                                                            \
		__typeof__(b) b_ = (b);                                                            \
		a_ > b_ ? a_ : b_;                                                                 \
	})
#define min(a, b)		      kernel_least(a, b)
#define max(a, b)		      kernel_most(a, b)
#define min3(a, b, c)		      min(min(a, b), c)
#define min_t(t, a, b)		      kernel_least((t)(a), (t)(b))
#define max_t(t, a, b)		      kernel_most((t)(a), (t)(b))
#define clamp(x, lo, hi)	      min(max(x, lo), hi)
#define clamp_t(t, x, lo, hi)	      min_t(t, max_t(t, x, lo), hi)
#define div_u64(a, b)		      ((u64)(a) / (b))
#define div64_u64(a, b)		      ((u64)(a) / (b))
#define ilog2(n)		      (31 - __builtin_clz(n))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#define cpu_to_le16(x) htole16(x)
#define cpu_to_le32(x) htole32(x)
#define cpu_to_le64(x) htole64(x)
#define le16_to_cpu(x) le16toh(x)
#define le32_to_cpu(x) le32toh(x)
#define le64_to_cpu(x) le64toh(x)

/* What is around: the test's. */
void kernel_pass(void);
void kernel_wait(void);
extern ktime_t kernel_now; /* ns */

#define virt_load_acquire(p)	 (kernel_pass(), __atomic_load_n(p, __ATOMIC_ACQUIRE))
#define virt_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define virt_mb()		 __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define writel(value, at)	 ((void)(value), (void)(at))

/* Time. */
static inline ktime_t ktime_get(void)
{
	return kernel_now;
}
#define ktime_add_ms(t, ms) ((t) + (ktime_t)(ms)*1000000)
#define ktime_sub_ms(t, ms) ((t) - (ktime_t)(ms)*1000000)
#define ktime_add_us(t, us) ((t) + (ktime_t)(us)*1000)
#define ktime_sub(a, b)	    ((a) - (b))
#define ktime_to_us(t)	    ((t) / 1000)
#define ktime_after(a, b)   ((a) > (b))
#define ktime_before(a, b)  ((a) < (b))

/* Locks: who has one cannot take it again. */
struct mutex {
	bool held;
};
static inline bool mutex_trylock(struct mutex *m)
{
	return m->held ? false : (m->held = true);
}
static inline void mutex_lock(struct mutex *m)
{
	BUG_ON(!mutex_trylock(m));
}
static inline void mutex_unlock(struct mutex *m)
{
	BUG_ON(!m->held);
	m->held = false;
}
#define spin_lock_irqsave(l, flags)	 ((void)(l), (flags) = 0)
#define spin_unlock_irqrestore(l, flags) ((void)(l), (void)(flags))

typedef struct {
	int none;
} wait_queue_head_t;
#define wake_up(w)				  ((void)(w))
#define wait_event_timeout(w, condition, jiffies) kernel_wait()

/* Lists. */
struct list_head {
	struct list_head *next, *prev;
};
#define LIST_HEAD(name)	    struct list_head name = {&name, &name}
#define list_entry(p, t, m) container_of(p, t, m)
#define list_for_each_entry(at, head, m)                                                           \
	for (at = list_entry((head)->next, __typeof__(*at), m); &at->m != (head);                  \
	     at = list_entry(at->m.next, __typeof__(*at), m))
static inline void kernel_link(struct list_head *e, struct list_head *after)
{
	*e = (struct list_head){after->next, after};
	after->next->prev = e;
	after->next = e;
}
static inline void list_add_tail(struct list_head *e, struct list_head *head)
{
	kernel_link(e, head->prev);
}
static inline void list_del(struct list_head *e)
{
	e->next->prev = e->prev;
	e->prev->next = e->next;
	*e = (struct list_head){NULL, NULL};
}

/* Pages. */
#define KERNEL_PAGES 8192u
struct page {
	struct list_head lru;
	int count; /* references */
	bool locked, movable, offline;
};
extern struct page kernel_pages[KERNEL_PAGES];

#define page_to_pfn(p)	     ((unsigned long)((p)-kernel_pages))
#define nth_page(p, n)	     ((p) + (n))
#define split_page(p, order) ((void)(p), (void)(order)) /* each has its count already */

enum {
	GFP_HIGHUSER_MOVABLE = 1,
	__GFP_RECLAIM = 2,
	__GFP_NOMEMALLOC = 4,
	__GFP_NORETRY = 8,
	__GFP_NOWARN = 16
};
struct page *alloc_pages(gfp_t gfp, unsigned order); /* the test's */
long si_mem_available(void);

static inline void get_page(struct page *p)
{
	BUG_ON(p->count <= 0);
	p->count++;
}
static inline void put_page(struct page *p)
{
	BUG_ON(p->count <= 0);
	BUG_ON(--p->count == 0 && (p->movable || p->offline));
}
static inline void release_pages(struct page **pages, int n)
{
	for (int i = 0; i < n; i++)
		put_page(pages[i]);
}

/* The balloon's pages, and compaction, which may lock any page that it has seen in there. */
typedef int spinlock_t;
enum migrate_mode { MIGRATE_ASYNC, MIGRATE_SYNC };
#define MIGRATEPAGE_SUCCESS 0
#define __count_vm_event(e) ((void)0)
struct balloon_dev_info {
	unsigned long isolated_pages;
	spinlock_t pages_lock;
	struct list_head pages;
	int (*migratepage)(struct balloon_dev_info *, struct page *to, struct page *from,
			   enum migrate_mode mode);
};
static inline void balloon_devinfo_init(struct balloon_dev_info *b)
{
	*b = (struct balloon_dev_info){.pages = {&b->pages, &b->pages}};
}
static inline struct page *balloon_page_alloc(void)
{
	return alloc_pages(GFP_HIGHUSER_MOVABLE, 0);
}
static inline void balloon_page_insert(struct balloon_dev_info *b, struct page *p)
{
	BUG_ON(p->movable || p->count <= 0);
	p->movable = p->offline = true;
	kernel_link(&p->lru, &b->pages);
}
static inline void balloon_page_finalize(struct page *p)
{
	BUG_ON(!p->movable);
	p->movable = p->offline = false;
}
static inline size_t balloon_page_list_enqueue(struct balloon_dev_info *b, struct list_head *in)
{
	size_t n = 0;

	while (in->next != in) {
		struct page *p = list_entry(in->next, struct page, lru);
		list_del(&p->lru);
		BUG_ON(p->locked); /* as the kernel's does */
		balloon_page_insert(b, p);
		n++;
	}
	return n;
}
static inline size_t balloon_page_list_dequeue(struct balloon_dev_info *b, struct list_head *out,
					       size_t want)
{
	size_t n = 0;

	for (struct list_head *at = b->pages.next, *next; n < want && at != &b->pages; at = next) {
		struct page *p = list_entry(at, struct page, lru);
		next = at->next;
		if (p->locked)
			continue;
		list_del(at);
		balloon_page_finalize(p);
		kernel_link(at, out);
		n++;
	}
	return n;
}
static inline struct page *balloon_page_dequeue(struct balloon_dev_info *b)
{
	LIST_HEAD(out);

	if (balloon_page_list_dequeue(b, &out, 1) == 1)
		return list_entry(out.next, struct page, lru);
	BUG_ON(b->pages.next == &b->pages && b->isolated_pages == 0); /* as the kernel's does */
	return NULL;
}

/* The rest. */
struct device {
	int none;
};
struct pci_dev {
	struct device dev;
};
struct task_struct;
struct attribute_group;
struct dev_pm_ops;
struct pci_error_handlers;
struct notifier_block {
	int none;
};
struct page_reporting_dev_info {
	int none;
};
#define static_assert(e) _Static_assert(e, #e)
__attribute__((format(printf, 2, 3))) static inline void kernel_log(struct device *dev,
								    const char *fmt, ...)
{
	(void)dev;
	(void)fmt;
}
#define dev_info_ratelimited kernel_log
#define dev_dbg		     kernel_log

#endif
