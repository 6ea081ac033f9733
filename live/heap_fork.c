/*
 * fork() of a process guest: the child is an ordinary process with a copy of
 * the heap, taken before the fork by whoever forks.
 *
 * Guest memory is not inherited (MADV_DONTFORK): a child has no userfaultfd, so
 * it would find holes where pages are swapped out, and write into the parent's.
 * The copy is made with all of jemalloc's locks held, and with that of the
 * pages: the handlers below go around jemalloc's own, which it registers
 * through pthread_atfork(), that the linker sends here (--wrap). Other threads
 * that only write to memory that they have go on meanwhile: what they write may
 * be in the copy or not, page by page.
 *
 * The copy is kernel memory outside the host's account, and as large as what
 * is not zero of the heap.
 */
#include "live/agent.h"
#include "live/heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef void handler(void);

int __real_pthread_atfork(handler *prepare, handler *parent, handler *child);
int __wrap_pthread_atfork(handler *before, handler *in_parent, handler *in_child);

static struct {
	handler *prepare, *parent, *child; /* jemalloc's */
	uint8_t *copy;
} forking;

static bool is_zero(const uint64_t *words)
{
	uint64_t any = 0;

	for (size_t i = 0; i < PAGE_SIZE / sizeof *words; i++)
		any |= words[i];
	return any == 0;
}

static void copy_heap(void)
{
	const struct heap *h = &ballast_heap;

	forking.copy = mmap(NULL, h->bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (forking.copy == MAP_FAILED)
		return;
	for (uint32_t page = 0; page < h->pages.pages; page++) {
		const uint64_t at = (uint64_t)page << PAGE_SHIFT;
		if (heap_pages_has(&h->pages, page) && !is_zero((uint64_t *)(h->base + at)))
			memcpy(forking.copy + at, h->base + at, PAGE_SIZE);
	}
}

static void prepare(void)
{
	forking.prepare();
	if (!ballast_heap.guest)
		return;
	pthread_mutex_lock(&ballast_heap.pages.lock);
	copy_heap();
}

static void parent(void)
{
	if (ballast_heap.guest) {
		if (forking.copy != MAP_FAILED)
			munmap(forking.copy, ballast_heap.bytes);
		pthread_mutex_unlock(&ballast_heap.pages.lock);
	}
	forking.parent();
}

static void child(void)
{
	struct heap *h = &ballast_heap;

	if (h->guest) {
		if (forking.copy == MAP_FAILED ||
		    mremap(forking.copy, h->bytes, h->bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
			   h->base) == MAP_FAILED)
			agent_give_up("no memory for a child's copy of the guest's heap", "");
		h->guest = false;
		heap_pages_recall(&h->pages);
		pthread_mutex_init(&h->pages.lock, NULL);
		heap_serve_leave();
		agent_leave();
	}
	forking.child();
}

int __wrap_pthread_atfork(handler *before, handler *in_parent, handler *in_child)
{
	forking.prepare = before;
	forking.parent = in_parent;
	forking.child = in_child;
	return __real_pthread_atfork(prepare, parent, child);
}
