/*
 * Writing files: changes are kept in the cache and written later.
 *
 * Linux 2.4: bdflush begins to write when too large a part of what could be
 * cache is changed, and makes writers wait at a larger part; kupdate looks every
 * 5 s for changes older than 30 s. Both take whole files, oldest first. A file
 * that is removed before takes its changes with it: short-lived files never see
 * the disk. Reclaim writes a page with its changed neighbours, so that one seek
 * pays for several.
 */
#include "traces/guest_private.h"

#include <errno.h>

#define CLUSTER	   32	    /* pages around one that reclaim writes */
#define BACKLOG_NS 50000000 /* of work for the disk, beyond which a flusher waits itself */

static void dirty_link(struct gos *g, struct gfile *f)
{
	f->dirty_prev = g->dirty_last;
	f->dirty_next = NO_PAGE;
	*(g->dirty_last == NO_PAGE ? &g->dirty_first : &g->file[g->dirty_last]->dirty_next) = f->id;
	g->dirty_last = f->id;
	f->dirtied_ns = gos_now(g);
}

static void dirty_unlink(struct gos *g, struct gfile *f)
{
	*(f->dirty_prev == NO_PAGE ? &g->dirty_first : &g->file[f->dirty_prev]->dirty_next) =
		f->dirty_next;
	*(f->dirty_next == NO_PAGE ? &g->dirty_last : &g->file[f->dirty_next]->dirty_prev) =
		f->dirty_prev;
}

static void changed(struct gos *g, struct gfile *f, uint32_t page)
{
	if (g->page[page].flags & GPAGE_DIRTY)
		return;
	g->page[page].flags |= GPAGE_DIRTY;
	g->stats.dirty++;
	if (f->dirty++ == 0)
		dirty_link(g, f);
}

void page_written(struct gos *g, uint32_t page, uint64_t done_ns)
{
	struct gfile *f = g->file[g->page[page].owner];

	g->page[page].flags &= ~GPAGE_DIRTY;
	g->page[page].reading = false;
	g->page[page].io_ns = done_ns;
	g->stats.dirty--;
	if (--f->dirty == 0)
		dirty_unlink(g, f);
}

static bool is_dirty(const struct gos *g, const struct gfile *f, uint32_t block)
{
	return block < f->blocks && f->page[block] != NO_PAGE &&
	       g->page[f->page[block]].flags & GPAGE_DIRTY;
}

/* Blocks [first, end) are all changed. */
static uint64_t write_run(struct gos *g, struct gfile *f, uint32_t first, uint32_t end)
{
	uint64_t done;

	for (uint32_t b = first; b < end; b++)
		gos_fetch(g, f->page[b]);
	done = disk_io(g, f->extent + first, end - first, ACCESS_WRITE);
	for (uint32_t b = first; b < end; b++)
		page_written(g, f->page[b], done);
	return done;
}

uint64_t file_write_around(struct gos *g, uint32_t page)
{
	struct gfile *f = g->file[g->page[page].owner];
	uint32_t first = (uint32_t)g->page[page].index, end = first + 1;

	while (first && end - first < CLUSTER / 2 && is_dirty(g, f, first - 1))
		first--;
	while (end - first < CLUSTER && is_dirty(g, f, end))
		end++;
	return write_run(g, f, first, end);
}

uint64_t file_write_back(struct gos *g, struct gfile *f)
{
	uint64_t done = 0;

	for (uint32_t b = 0, end; f->dirty && b < f->blocks; b = end) {
		end = b + 1;
		if (!is_dirty(g, f, b))
			continue;
		while (is_dirty(g, f, end))
			end++;
		done = write_run(g, f, b, end);
	}
	return done;
}

int file_sync(struct gos *g, struct gfile *f)
{
	gos_wait(g, file_write_back(g, f));
	return g->failed;
}

static bool backlog(const struct gos *g)
{
	return g->disk.free_ns > gos_now(g) + BACKLOG_NS;
}

/*
 * What the limits are shares of. Linux from 2.4.10 on takes the zones as they
 * were at boot, less their high marks; what a balloon holds counts as well.
 */
static uint64_t limited_pages(const struct gos *g)
{
	const uint64_t all = g->boot_pages - g->mark_high,
		       held = g->opts.boot_limits ? 0 : g->stats.balloon;

	return all > held ? all - held : 0;
}

void flush_if_many(struct gos *g)
{
	const double could = (double)limited_pages(g);
	const uint64_t begin = (uint64_t)(could * g->opts.dirty_background),
		       most = (uint64_t)(could * g->opts.dirty_most);

	while (g->stats.dirty > begin && g->dirty_first != NO_PAGE &&
	       (g->stats.dirty > most || !backlog(g))) {
		bool wait = g->stats.dirty > most;
		uint64_t done = file_write_back(g, g->file[g->dirty_first]);
		if (wait)
			gos_wait(g, done);
	}
}

int file_write(struct gos *g, struct gfile *f, uint32_t block, uint32_t n)
{
	int rc = 0;

	if (n > f->max_blocks - block)
		n = f->max_blocks - block;
	f->content = CONTENT_OWN;
	for (uint32_t b = block; rc == 0 && b < block + n; b++) {
		uint32_t page = f->page[b];
		if (b >= f->blocks)
			f->blocks = b + 1;
		if (page != NO_PAGE)
			lru_mark_accessed(g, page);
		else
			rc = cache_add(g, f, b, &page);
		if (rc == 0)
			rc = gos_touch(g, (ppn_t){page}, ACCESS_WRITE);
		if (rc == 0)
			changed(g, f, page);
	}
	if (rc == 0)
		flush_if_many(g);
	return rc ? rc : g->failed;
}

static int flush(struct gos *g, struct gtask *task)
{
	while (g->dirty_first != NO_PAGE) {
		struct gfile *f = g->file[g->dirty_first];
		if (f->dirtied_ns + g->opts.dirty_age > gos_now(g))
			break;
		if (backlog(g)) {
			task->wake_ns = g->disk.free_ns;
			return TASK_AGAIN;
		}
		file_write_back(g, f);
	}
	task->wake_ns = gos_now(g) + g->opts.flush_period;
	return TASK_AGAIN;
}

int flusher_init(struct gos *g)
{
	g->dirty_first = g->dirty_last = NO_PAGE;
	g->flusher = (struct gtask){.run = flush, .daemon = true};
	return task_add(g, &g->flusher, gos_now(g) + g->opts.flush_period);
}
