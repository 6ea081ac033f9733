/*
 * The guest operating system from inside: what its files share.
 *
 * Each file stands for one part of a kernel: guest_pages.c the page allocator,
 * guest_lru.c the lists of pages in use, guest_reclaim.c what frees them,
 * guest_disk.c and guest_swap.c the disk and the swap area on it, guest_file.c
 * and guest_write.c the page cache, guest_mm.c address spaces, guest_boot.c
 * what a kernel takes at boot, guest_task.c who runs. guest_NAME.c for each
 * workload.
 *
 * The one hard argument is time. An operation does all of its work at once;
 * where a real kernel would have put the caller to sleep until a disk is done,
 * it notes the time in gos.wait_ns, and whoever called it sleeps until then
 * before it does anything else. So nothing is ever half done, and yet one
 * task's waiting is another's time on the processor. A frame whose bytes are on
 * their way to the disk is not free until they are there: it waits in the
 * write-back list.
 *
 * Errors: functions return 0 or -errno with the message in gos.err, since it is
 * always the step that hands it on.
 */
#ifndef BALLAST_TRACES_GUEST_PRIVATE_H
#define BALLAST_TRACES_GUEST_PRIVATE_H

#include "core/rng.h"
#include "traces/guest.h"

#define NO_PAGE UINT32_MAX /* no page, slot, or neighbour in a list */

#define CONTENT_OWN UINT64_MAX /* in place of a content id: contents like no other page's */

enum gpage_use {
	GPAGE_FREE,
	GPAGE_KERNEL,  /* text, boot-time structures */
	GPAGE_TABLE,   /* of some address space */
	GPAGE_CACHE,   /* owner = file, index = block in it */
	GPAGE_ANON,    /* owner = process, index = VPN */
	GPAGE_BALLOON, /* lent to the balloon driver */
	GPAGE_USES
};

enum glist_id {
	LIST_NONE,
	LIST_FREE_DMA, /* three zones, in this order */
	LIST_FREE_NORMAL,
	LIST_FREE_HIGH,
	LIST_DIRTY_FREE, /* free, to be zeroed by the zero-page thread */
	LIST_CACHE_INACTIVE,
	LIST_CACHE_ACTIVE,
	LIST_ANON_INACTIVE,
	LIST_ANON_ACTIVE,
	LIST_WRITEBACK, /* leaves memory as soon as the disk has it */
	LISTS
};

#define ZONES 3

#define GPAGE_REFERENCED 1u /* used since a list's hand last looked */
#define GPAGE_DIRTY	 2u /* cache: newer than the disk's */
#define GPAGE_UNUSED	 4u /* free: not used since boot, or since it was reported */

/* Linux's struct page. */
struct gpage {
	uint32_t next, prev; /* in its list */
	uint32_t owner;
	uint32_t slot; /* anonymous: its copy in the swap area, or NO_PAGE */
	uint64_t index;
	uint64_t io_ns; /* the disk has to do with it until then */
	uint8_t use, list, flags;
	bool reading; /* io_ns is when its contents arrive */
};

struct glist {
	uint32_t head, tail, n;
};

struct gzone {
	uint32_t first, pages; /* PPNs */
	uint32_t min;	       /* free pages that only the kernel itself may take */
};

struct gdisk {
	uint64_t free_ns; /* when it has done what it was asked */
	uint64_t head;	  /* the block after the last one */
};

struct gswap {
	uint32_t slots, used, next; /* next: where the search for a free one begins */
	uint8_t *taken;		    /* [slots] */
	uint32_t *page;		    /* [slots] whose page is still in memory on its way out */
	uint64_t *content;	    /* [slots] content id of what was written */
};

/* A file: an extent of blocks on the disk, and which of them are in memory. */
struct gfile {
	uint32_t id, blocks, max_blocks; /* blocks: its length */
	uint64_t extent;		 /* first block on the disk */
	uint64_t content;		 /* of block 0, the others' follow; or CONTENT_OWN */
	uint32_t *page;			 /* [max_blocks] */
	uint32_t cached, dirty;
	uint32_t ahead_next, ahead_window; /* read-ahead: the block expected next; blocks */
	uint64_t dirtied_ns;		   /* when the oldest change was made */
	uint32_t dirty_prev, dirty_next;   /* in the list of files with changes, oldest first */
};

/*
 * A page-table entry of the model: R, W as in a pmap entry.
 *
 * Address spaces are model-level: nothing here lies in guest memory as a
 * processor would read it, but each table takes a page of it.
 */
typedef uint64_t gpte_t;

#define GPTE_R	      UINT64_C(1)
#define GPTE_W	      UINT64_C(2)
#define GPTE_ACCESSED UINT64_C(4)
#define GPTE_DIRTY    UINT64_C(8)
#define GPTE_SWAPPED  UINT64_C(16) /* the value is a slot */
#define GPTE_SHIFT    32

#define TABLE_BITS    9
#define TABLE_ENTRIES (1u << TABLE_BITS)
#define TABLE_LEVELS  4
#define TABLE_CACHE   64 /* leaf tables found without a walk */

struct gtable {
	union {
		struct gtable *down[TABLE_ENTRIES];
		gpte_t leaf[TABLE_ENTRIES];
	};
	uint32_t ppn;
};

struct gproc {
	struct gos *g;
	uint32_t id;
	uint64_t resident, swapped; /* pages */
	struct gtable *root;
	struct {
		uint64_t tag; /* VPN >> TABLE_BITS, + 1; 0: none */
		struct gtable *table;
	} cache[TABLE_CACHE];
};

enum task_state { TASK_AGAIN = 0, TASK_DONE = 1 };

/* A thread. It runs for a bounded time, then says when it wants to go on. */
struct gtask {
	int (*run)(struct gos *g, struct gtask *task); /* TASK_*, or -errno */
	void *arg;
	uint64_t wake_ns; /* not before */
	bool daemon;	  /* the guest does not live for it */
	bool tracked;	  /* added, and not done */
	struct timer timer;
	struct gtask *next; /* of those ready to run */
	struct gos *g;
};

struct gos_stats {
	uint64_t refs, hits, misses, minor_faults, major_faults;
	uint64_t swap_in, swap_out, disk_read, disk_write, seeks, disk_busy_ns;
	uint64_t double_paged, overwritten, reclaimed, scanned, stall_ns, ops, bytes, zeroed,
		booted;
	uint64_t dirty, free, cached, anon, kernel, tables, balloon, swapped, writeback;
};

struct running_load;

struct gos {
	struct vm *vm;
	struct oracle *oracle;
	const struct guest_os *os;
	struct guest_opts opts;
	struct err err;
	uint64_t ref_ns;
	uint64_t born_ns; /* when the machine was switched on */

	struct gpage *page;   /* [vm->pages] */
	uint64_t *content_of; /* [vm->pages] where pages have bytes: what was last written */
	int failed;	      /* -errno of a write that the host could not take, err says why */
	struct glist list[LISTS];
	struct gzone zone[ZONES];
	uint32_t mark_min, mark_low, mark_high; /* free pages, of all zones */
	uint32_t boot_pages;			/* memory at boot, as a kernel counts it */
	uint32_t zero_page, text_pages;

	struct gdisk disk;
	struct gswap swap;
	struct gfile **file; /* [files], NULL where one was removed */
	uint32_t files, file_hint, dirty_first, dirty_last;
	uint64_t extent_next;
	struct gproc **proc; /* [procs] */
	uint32_t procs;

	struct clock clock; /* of this guest's tasks */
	struct gtask *ready, **ready_end;
	uint32_t live;	  /* tasks that are no daemons */
	uint64_t wait_ns; /* whoever runs must wait until then */
	uint64_t stall_ns, stall_before_ns,
		second; /* waited for memory: in this second, the last */
	struct gtask flusher, booter, ticker;
	uint32_t boot_next; /* the page that booting is at */

	struct running_load *load; /* [loads] */
	size_t loads;
	struct driver_release release;
	uint64_t content; /* the last content id made up, without an oracle */
	struct gos_stats stats;
};

static inline uint64_t gos_now(const struct gos *g)
{
	return g->vm->time_ns;
}

static inline void gos_charge(struct gos *g, uint64_t ns)
{
	g->vm->time_ns += ns;
}

/* The caller sleeps until then before it goes on. */
static inline void gos_wait(struct gos *g, uint64_t until_ns)
{
	g->wait_ns = max_u64(g->wait_ns, until_ns);
}

/* The whole page gets the contents that an id stands for; 0: zeros. */
MUST_CHECK int gos_store(struct gos *g, ppn_t ppn, uint64_t content);
MUST_CHECK int gos_store_own(struct gos *g, ppn_t ppn); /* the same, where pages have bytes */

/* The disk reads a page: what is in it. A page that the host must swap in for that is counted. */
uint64_t gos_fetch(struct gos *g, uint32_t page);

/* A reference to a page that is in use; a write leaves contents like no other page's. */
MUST_CHECK static inline int gos_touch(struct gos *g, ppn_t ppn, enum access access)
{
	g->vm->time_ns += g->ref_ns;
	g->stats.refs++;
	if (unlikely(access == ACCESS_WRITE && g->vm->host->machine.bytes))
		return gos_store_own(g, ppn);
	return pmap_touch(g->vm->pmap, ppn, access, &g->err);
}

/* Who runs waits for memory until then: it is short. */
void gos_stall(struct gos *g, uint64_t until_ns);

/* Page allocator. */

void pages_init(struct gos *g);
/* A page of nobody's: out of the lists, its use set. May reclaim, and wait. -ENOMEM: none. */
MUST_CHECK int page_alloc(struct gos *g, enum gpage_use use, uint32_t *page);
/* The same without waiting and without the last reserve: -ENOMEM, with no message, if none. */
MUST_CHECK int page_alloc_easily(struct gos *g, enum gpage_use use, uint32_t *page);
void page_free(struct gos *g, uint32_t page); /* in no list */
/* For free-page hints: a free page that was used since it was last reported, or NO_PAGE. */
uint32_t page_take_used(struct gos *g);
void page_free_reported(struct gos *g, uint32_t page); /* it reads as zero */
int zero_freed_page(struct gos *g); /* one, if any waits for it: 1, 0, or -errno */

static inline uint32_t pages_free(const struct gos *g)
{
	return g->list[LIST_FREE_DMA].n + g->list[LIST_FREE_NORMAL].n + g->list[LIST_FREE_HIGH].n +
	       g->list[LIST_DIRTY_FREE].n;
}

/* Lists. */

void list_push(struct gos *g, enum glist_id list, uint32_t page); /* at the head */
void list_push_tail(struct gos *g, enum glist_id list, uint32_t page);
void list_remove(struct gos *g, uint32_t page);
uint32_t list_pop_tail(struct gos *g, enum glist_id list); /* NO_PAGE if empty */

/* LRU lists of page cache and anonymous pages. */

void lru_add(struct gos *g, uint32_t page); /* new: inactive, not referenced */
void lru_mark_accessed(struct gos *g, uint32_t page);
/* The page that should go next, out of its list; NO_PAGE: there is none of that use. */
uint32_t lru_victim(struct gos *g, enum gpage_use use);

/* Reclaim. */

uint32_t reclaim(struct gos *g, uint32_t want); /* frees, starts writes; returns those freed */
bool reclaim_wait(struct gos *g); /* frees one that the disk has to do with, by waiting */
void reclaim_reap(struct gos *g); /* frees what the disk is done with */

/* Disk and swap. */

/* Reads or writes blocks [block, block + n); returns when it is done. */
uint64_t disk_io(struct gos *g, uint64_t block, uint32_t n, enum access access);

MUST_CHECK int swap_init(struct gos *g);
uint32_t slot_take(struct gos *g); /* NO_PAGE: full */
void slot_free(struct gos *g, uint32_t slot);
uint64_t slot_block(uint32_t slot);

/* Page cache. */

/* A file of at most max_blocks; `blocks` of them are there already, with contents from that id. */
MUST_CHECK int file_new(struct gos *g, uint32_t max_blocks, uint32_t blocks, uint64_t content,
			struct gfile **file);
void file_remove(struct gos *g, struct gfile *file); /* its changes with it, unwritten */
MUST_CHECK int file_read(struct gos *g, struct gfile *file, uint32_t block, uint32_t n);
MUST_CHECK int file_write(struct gos *g, struct gfile *file, uint32_t block, uint32_t n);
MUST_CHECK int file_sync(struct gos *g, struct gfile *file); /* and waits */
/* A page for a block that is not there; its contents come from whoever asked. */
MUST_CHECK int cache_add(struct gos *g, struct gfile *file, uint32_t block, uint32_t *page);
void cache_forget(struct gos *g, uint32_t page); /* its file has it no more; not freed */

void page_written(struct gos *g, uint32_t page, uint64_t done_ns); /* is clean from then on */
/* Writes the page with its changed neighbours; returns when that is done. */
uint64_t file_write_around(struct gos *g, uint32_t page);
uint64_t file_write_back(struct gos *g, struct gfile *file);
void flush_if_many(struct gos *g); /* too much is changed: starts writing; far too much: waits */
MUST_CHECK int flusher_init(struct gos *g); /* the task that writes what is old */

/* Address spaces. */

MUST_CHECK int proc_new(struct gos *g, struct gproc **proc);
void proc_exit(struct gproc *proc); /* frees it */
int proc_fault(struct gproc *proc, uint64_t vpn, enum access access);
void proc_unmap(struct gproc *proc, uint64_t vpn, uint64_t n);
gpte_t *proc_entry(struct gproc *proc, uint64_t vpn); /* NULL: no table */

/* A reference by a process: may fault in guest and host. */
MUST_CHECK static inline int proc_touch(struct gproc *p, uint64_t vpn, enum access access)
{
	const uint64_t leaf = vpn >> TABLE_BITS;
	const unsigned i = (unsigned)leaf % TABLE_CACHE;
	gpte_t *e = NULL;

	if (likely(p->cache[i].tag == leaf + 1))
		e = &p->cache[i].table->leaf[vpn % TABLE_ENTRIES];
	if (unlikely(!e || !(*e >> access & 1))) {
		int rc = proc_fault(p, vpn, access);
		if (rc)
			return rc;
		e = proc_entry(p, vpn);
	}
	*e |= GPTE_ACCESSED | (access == ACCESS_WRITE ? GPTE_DIRTY : 0);
	return gos_touch(p->g, (ppn_t){(uint32_t)(*e >> GPTE_SHIFT)}, access);
}

/* Tasks. */

/* From start_ns on; the task is the caller's and must outlive the guest or its own end. */
MUST_CHECK int task_add(struct gos *g, struct gtask *task, uint64_t start_ns);
void task_remove(struct gos *g, struct gtask *task);
int tasks_run(struct gos *g, uint64_t until_ns); /* STEP_* or -errno */

/* Boot. */

MUST_CHECK int boot(struct gos *g);

size_t gos_audit(const struct gos *g, FILE *out);

/* Workloads. */

struct guest_load {
	struct policy policy;
	size_t size; /* of the state */
	/* Adds its tasks. rng: a stream of this workload's own. */
	int (*start)(void *state, struct gos *g, const struct load_opts *opts, uint64_t stream);
	void (*stop)(void *state); /* frees what the state owns; its tasks are gone; or NULL */
};

struct running_load {
	const struct guest_load *load;
	const struct load_opts *opts;
	void *state;
};

/* When it begins, and when it has to end: UINT64_MAX if it does so by itself. */
uint64_t load_start_ns(const struct gos *g, const struct load_opts *opts);
uint64_t load_end_ns(const struct gos *g, const struct load_opts *opts);

/* A workload that never ends by itself must say how long it lasts. */
MUST_CHECK int load_needs_duration(struct gos *g, const struct load_opts *opts);

static inline uint64_t load_pages(uint64_t bytes)
{
	return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* TIME:SIZE, in the order of time; times count from the workload's start. */
struct load_step {
	uint64_t at_ns, pages;
};

MUST_CHECK int load_schedule(struct gos *g, char *const *list, struct load_step **steps, size_t *n);

extern const struct guest_load load_idle, load_toucher, load_database, load_dbench, load_webserver,
	load_build, load_trace;

#endif
