/* The preloaded allocator: jemalloc's hooks, and their installation before main(). */
#include "live/heap.h"

#include "live/agent.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_BYTES (UINT64_C(1) << 21)
#define BEGS	   4096 /* times that one allocation waits, at most */

struct heap ballast_heap;

/*
 * retain, decay: unused extents come back to the hooks at once, where all arenas
 * and the balloon find them, and what is free lies in long rows; there is no
 * munmap() to be saved. oversize_threshold: no arena that is made later than
 * ours are.
 */
const char *malloc_conf =
	"retain:false,narenas:4,oversize_threshold:0,dirty_decay_ms:0,muzzy_decay_ms:0,"
	"thp:never";

static bool is_ours(const void *addr)
{
	const uint8_t *at = addr;

	return at >= ballast_heap.base && at < ballast_heap.base + ballast_heap.bytes;
}

static void *hook_alloc(extent_hooks_t *hooks, void *wanted, size_t size, size_t alignment,
			bool *zero, bool *commit, unsigned arena)
{
	struct heap *h = &ballast_heap;
	const uint64_t n = size >> PAGE_SHIFT, align = alignment >> PAGE_SHIFT;
	uint32_t first;
	bool clean;
	int rc = -ENOMEM;

	(void)hooks;
	(void)arena;
	if (wanted || n > h->pages.pages)
		return NULL;
	for (int i = 0; rc && i < BEGS; i++) {
		rc = heap_pages_take(&h->pages, (uint32_t)n, align ? align : 1, &first, &clean);
		if (rc && !heap_serve_beg((uint32_t)n))
			break;
	}
	if (rc && heap_pages_take(&h->pages, (uint32_t)n, align ? align : 1, &first, &clean))
		return NULL;
	uint8_t *at = h->base + ((uint64_t)first << PAGE_SHIFT);
	if (*zero && !clean)
		memset(at, 0, size);
	*zero = *zero || clean;
	*commit = true;
	return at;
}

/* Extents of the time before the hooks were kernel memory. */
static bool hook_dalloc(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
			unsigned arena)
{
	struct heap *h = &ballast_heap;

	(void)hooks;
	(void)committed;
	(void)arena;
	if (!is_ours(addr))
		return munmap(addr, size) != 0;
	heap_pages_give(&h->pages, (uint32_t)(((uint8_t *)addr - h->base) >> PAGE_SHIFT),
			(uint32_t)(size >> PAGE_SHIFT));
	return false;
}

static void hook_destroy(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
			 unsigned arena)
{
	(void)hook_dalloc(hooks, addr, size, committed, arena);
}

static bool hook_split(extent_hooks_t *hooks, void *addr, size_t size, size_t a, size_t b,
		       bool committed, unsigned arena)
{
	(void)hooks;
	(void)addr;
	(void)size;
	(void)a;
	(void)b;
	(void)committed;
	(void)arena;
	return false;
}

/* Neighbours by chance are not of one piece. */
static bool hook_merge(extent_hooks_t *hooks, void *a, size_t size_a, void *b, size_t size_b,
		       bool committed, unsigned arena)
{
	(void)hooks;
	(void)size_a;
	(void)size_b;
	(void)committed;
	(void)arena;
	return is_ours(a) != is_ours(b);
}

/* No purging in place: an unused extent comes back whole. */
static extent_hooks_t guest_hooks = {
	.alloc = hook_alloc,
	.dalloc = hook_dalloc,
	.destroy = hook_destroy,
	.split = hook_split,
	.merge = hook_merge,
};

static void must(int rc, const char *name)
{
	if (rc)
		agent_give_up("this jemalloc has no ", name);
}

/*
 * Each automatic arena is made first, by naming it, so that its own structures
 * are kernel memory, and gets the hooks afterwards.
 */
static void install(void)
{
	extent_hooks_t *hooks = &guest_hooks;
	unsigned n = 0, mine = 0;
	size_t size = sizeof n, mib[3], depth = 3;

	must(mallctl("opt.narenas", &n, &size, NULL, 0), "opt.narenas");
	must(mallctl("thread.arena", &mine, &size, NULL, 0), "thread.arena");
	must(mallctlnametomib("arena.0.extent_hooks", mib, &depth), "arena.0.extent_hooks");
	for (unsigned i = 0; i < n; i++)
		must(mallctl("thread.arena", NULL, NULL, &i, sizeof i), "thread.arena");
	must(mallctl("thread.arena", NULL, NULL, &mine, sizeof mine), "thread.arena");
	for (unsigned i = 0; i < n; i++) {
		mib[1] = i;
		must(mallctlbymib(mib, depth, NULL, NULL, &hooks, sizeof hooks),
		     "arena.<i>.extent_hooks");
	}
}

static void *reserve(uint64_t bytes)
{
	const uint64_t more = bytes + HUGE_BYTES;
	uint8_t *at =
		mmap(NULL, more, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		agent_give_up("no address space for the guest's memory: ", strerror(errno));
	return (void *)(((uintptr_t)at + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
}

/* Loaded, before main(); libraries that this one does not know may have come before. */
__attribute__((constructor(200))) static void start(void)
{
	struct heap *h = &ballast_heap;
	const char *text = getenv("BALLAST_HEAP");
	char *end = NULL;

	if (!text)
		return;
	const uint64_t bytes = strtoull(text, &end, 10);
	if (*end || bytes == 0 || bytes % PAGE_SIZE || bytes >> PAGE_SHIFT > UINT32_MAX)
		agent_give_up("BALLAST_HEAP is no number of bytes, whole pages: ", text);
	agent_read_names();
	uint8_t *base = reserve(bytes);
	const uint32_t pages = (uint32_t)(bytes >> PAGE_SHIFT);
	void *bits = mmap(NULL, heap_pages_bytes(pages), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bits == MAP_FAILED)
		agent_give_up("no memory for the heap's bits: ", strerror(errno));
	heap_pages_init(&h->pages, pages, (uintptr_t)base >> PAGE_SHIFT, bits);
	agent_attach(base, bytes);
	h->bytes = bytes;
	h->base = base;
	h->guest = true;
	heap_serve_start();
	install();
	unsetenv("BALLAST_HEAP");
	unsetenv("LD_PRELOAD"); /* what the guest starts is no guest */
}
