#include "live/pool.h"

#include "core/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOWS (UINT64_C(256) << 30) /* bytes: all of them, behind the slots */

static uint64_t bytes_of(uint64_t pages)
{
	return pages << PAGE_SHIFT;
}

/* Where a frame's bytes lie while it is f. */
static uint64_t place_of(const struct pool *pool, mpn_t mpn, struct frame f)
{
	if (f.vm >= FRAME_OVERHEAD)
		return bytes_of(mpn.n);
	return pool->window[f.vm].offset + bytes_of(f.ppn);
}

static void punch(struct pool *pool, uint64_t offset, uint64_t bytes)
{
	if (fallocate(pool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		      (off_t)bytes))
		pool->stats.failed++;
}

/* The backing. */

/* A huge page would be more memory than the account has (shmem_enabled = always). */
static void advise(const struct pool *pool)
{
	madvise(pool->view, pool->span, MADV_DONTDUMP);
	madvise(pool->view, pool->span, MADV_NOHUGEPAGE);
}

static int live_open(struct machine *m)
{
	struct pool *pool = calloc(1, sizeof *pool);

	if (!pool)
		return -ENOMEM;
	pool->view = MAP_FAILED;
	pool->next = bytes_of(m->frames);
	pool->span = pool->next + WINDOWS;
	pool->fd = memfd_create("ballast-pool", MFD_CLOEXEC);
	if (pool->fd >= 0 && ftruncate(pool->fd, (off_t)pool->span) == 0)
		pool->view = mmap(NULL, pool->span, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_NORESERVE, pool->fd, 0);
	if (pool->view == MAP_FAILED) {
		if (pool->fd >= 0)
			close(pool->fd);
		free(pool);
		return -ENOMEM;
	}
	advise(pool);
	m->store = pool;
	m->bytes = pool->view;
	return 0;
}

static void live_close(struct machine *m)
{
	struct pool *pool = m->store;

	munmap(pool->view, pool->span);
	close(pool->fd);
	free(pool->window);
	free(pool);
	m->store = NULL;
	m->bytes = NULL;
}

static uint8_t *live_bytes(const struct machine *m, mpn_t mpn)
{
	const struct pool *pool = m->store;

	return pool->view + place_of(pool, mpn, m->frame[mpn.n]);
}

/* A taken frame's page is a hole, which reads as zero; the guest's fault fills it. */
static void live_zero(struct machine *m, mpn_t mpn)
{
	(void)m;
	(void)mpn;
}

static void live_copy(struct machine *m, mpn_t to, mpn_t from)
{
	memcpy(live_bytes(m, to), live_bytes(m, from), PAGE_SIZE);
}

static int live_set(struct machine *m, mpn_t mpn, uint64_t id)
{
	content_expand(id, live_bytes(m, mpn));
	return 0;
}

static bool live_holds(const struct machine *m, mpn_t mpn, uint64_t id)
{
	uint8_t want[PAGE_SIZE];

	content_expand(id, want);
	return memcmp(live_bytes(m, mpn), want, PAGE_SIZE) == 0;
}

static void live_place(struct machine *m, mpn_t mpn, struct frame next)
{
	const struct pool *pool = m->store;

	memcpy(pool->view + place_of(pool, mpn, next), live_bytes(m, mpn), PAGE_SIZE);
}

static void live_left(struct machine *m, mpn_t mpn, struct frame was)
{
	struct pool *pool = m->store;

	if (was.vm < FRAME_OVERHEAD && !pool->window[was.vm].open)
		return; /* given back with the rest of its window */
	punch(pool, place_of(pool, mpn, was), PAGE_SIZE);
	pool->stats.punched++;
}

static void guard(struct machine *m, mpn_t mpn, bool on)
{
	const struct pool *pool = m->store;
	const struct frame f = m->frame[mpn.n];

	if (f.vm < FRAME_OVERHEAD && pool->guard.protect)
		pool->guard.protect(pool->guard.ctx, f.vm, (ppn_t){f.ppn}, 1, on);
}

static void guard_run(struct machine *m, uint16_t vm, ppn_t ppn, uint32_t n)
{
	const struct pool *pool = m->store;

	if (pool->guard.protect)
		pool->guard.protect(pool->guard.ctx, vm, ppn, n, true);
}

static void left_run(struct machine *m, uint16_t vm, ppn_t ppn, uint32_t n)
{
	struct pool *pool = m->store;

	if (!pool->window[vm].open)
		return;
	punch(pool, pool->window[vm].offset + bytes_of(ppn.n), bytes_of(n));
	pool->stats.punched += n;
}

static uint64_t place_of_page(const struct machine *m, uint16_t vm, ppn_t ppn)
{
	const struct pool *pool = m->store;

	return pool->window[vm].offset + bytes_of(ppn.n);
}

/*
 * By the file and not by the view: a view of the page would have to be taken
 * back when it is punched, and touching a hole there would fill it.
 */
static int read_run(const struct machine *m, uint64_t place, uint32_t n, uint8_t *to)
{
	const struct pool *pool = m->store;

	return os_read_at(&os_io, pool->fd, to, bytes_of(n), place);
}

static const struct backing_runs live_runs = {
	.freeze = guard_run,
	.left = left_run,
	.place = place_of_page,
	.read = read_run,
};

static void live_freeze(struct machine *m, mpn_t mpn)
{
	guard(m, mpn, true);
}

static void live_thaw(struct machine *m, mpn_t mpn)
{
	guard(m, mpn, false);
}

const struct backing backing_live = {
	.policy = {"live", "a shared-memory file that live guests have mapped"},
	.open = live_open,
	.close = live_close,
	.zero = live_zero,
	.copy = live_copy,
	.set = live_set,
	.holds = live_holds,
	.bytes = live_bytes,
	.place = live_place,
	.left = live_left,
	.freeze = live_freeze,
	.thaw = live_thaw,
	.runs = &live_runs,
};

/* Windows. */

/* Where a new window may begin: at a closed one's place, which then is nobody's; span: nowhere. */
static uint64_t place_for(struct pool *pool, uint32_t pages)
{
	for (size_t i = 0; i < pool->windows; i++) {
		struct window *w = &pool->window[i];
		if (!w->open && w->pages == pages) {
			w->pages = 0;
			return w->offset;
		}
	}
	return bytes_of(pages) <= pool->span - pool->next ? pool->next : pool->span;
}

/* Makes room in the list for the VM's. 0 or -ENOMEM. */
static int grow_list(struct pool *pool, uint16_t vm)
{
	struct window *list;

	if (vm < pool->windows)
		return 0;
	list = realloc(pool->window, (vm + 1u) * sizeof *list);
	if (!list)
		return -ENOMEM;
	pool->window = list;
	for (; pool->windows <= vm; pool->windows++)
		list[pool->windows] = (struct window){0};
	return 0;
}

int pool_window_open(struct pool *pool, uint16_t vm, uint32_t pages)
{
	int rc = grow_list(pool, vm);

	if (rc)
		return rc;
	uint64_t offset = place_for(pool, pages);
	if (offset == pool->span)
		return -ENOSPC;
	pool->window[vm] = (struct window){offset, pages, true};
	if (offset == pool->next)
		pool->next += bytes_of(pages);
	return 0;
}

void pool_window_close(struct pool *pool, uint16_t vm)
{
	struct window *w = &pool->window[vm];

	if (!w->open)
		return;
	w->open = false;
	punch(pool, w->offset, bytes_of(w->pages));
}

int pool_adopt(struct pool *pool, int fd)
{
	uint8_t *view = mmap(pool->view, pool->span, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);

	if (view == MAP_FAILED)
		return -errno;
	advise(pool);
	close(pool->fd);
	pool->fd = fd;
	return 0;
}

int pool_window_adopt(struct pool *pool, uint16_t vm, uint64_t offset, uint32_t pages)
{
	if (offset > pool->span || bytes_of(pages) > pool->span - offset)
		return -ERANGE;
	int rc = grow_list(pool, vm);
	if (rc)
		return rc;
	pool->window[vm] = (struct window){offset, pages, true};
	pool->next = max_u64(pool->next, offset + bytes_of(pages));
	return 0;
}

/* Whether a frame's bytes lie in that page of the file. */
static bool is_in_use(const struct machine *m, const struct pmap_part *pmaps, uint64_t page)
{
	const struct pool *pool = m->store;

	if (page < m->frames)
		return m->frame[page].vm == FRAME_SHARED && m->frame[page].refs;
	for (size_t vm = 0; vm < pool->windows; vm++) {
		const struct window *w = &pool->window[vm];
		uint64_t first = w->offset >> PAGE_SHIFT;
		if (w->open && page >= first && page - first < w->pages)
			return pte_state(pmaps->pte[vm][page - first]) == PAGE_PRIVATE;
	}
	return false;
}

/* Fills in what a manager had begun to give and not yet filled: private pages that are holes. */
static int fill_holes(const struct pool *pool, const struct window *w, const pte_t *pte)
{
	const off_t start = (off_t)w->offset, end = start + (off_t)bytes_of(w->pages);

	for (off_t at = start; at < end;) {
		off_t hole = lseek(pool->fd, at, SEEK_HOLE);
		off_t data = hole < 0 ? -1 : lseek(pool->fd, hole, SEEK_DATA);
		if (hole < 0 || (data < 0 && errno != ENXIO))
			return -errno;
		if (data < 0 || data > end)
			data = end;
		for (at = hole; at < data; at += PAGE_SIZE) {
			if (pte_state(pte[(at - start) >> PAGE_SHIFT]) == PAGE_PRIVATE)
				*(volatile uint8_t *)(pool->view + at) = 0;
		}
		at = hole > data ? hole : data;
	}
	return 0;
}

int64_t pool_sweep(const struct machine *m, const struct pmap_part *pmaps)
{
	struct pool *pool = m->store;
	int64_t swept = 0;

	for (off_t at = 0; (at = lseek(pool->fd, at, SEEK_DATA)) >= 0;) {
		off_t end = lseek(pool->fd, at, SEEK_HOLE);
		if (end < 0)
			return -errno;
		for (; at < end; at += PAGE_SIZE) {
			if (is_in_use(m, pmaps, (uint64_t)at >> PAGE_SHIFT))
				continue;
			punch(pool, (uint64_t)at, PAGE_SIZE);
			swept++;
		}
	}
	if (errno != ENXIO)
		return -errno;
	for (size_t vm = 0; vm < pool->windows; vm++) {
		const struct window *w = &pool->window[vm];
		int rc = w->open ? fill_holes(pool, w, pmaps->pte[vm]) : 0;
		if (rc)
			return rc;
	}
	return swept;
}

int pool_blocks(const struct pool *pool, uint64_t *pages)
{
	struct stat st;

	if (fstat(pool->fd, &st))
		return -errno;
	*pages = (uint64_t)st.st_blocks * 512 >> PAGE_SHIFT;
	return 0;
}

size_t pool_audit(const struct machine *m, FILE *out)
{
	uint64_t pages = 0, frames = m->private_frames + m->shared;
	int rc = pool_blocks(m->store, &pages);

	if (rc == 0 && pages == frames)
		return 0;
	if (rc)
		fprintf(out, "pool: its size cannot be read: %s\n", strerror(-rc));
	else
		fprintf(out, "pool: %llu pages of memory, %llu frames in use\n",
			(unsigned long long)pages, (unsigned long long)frames);
	return 1;
}
