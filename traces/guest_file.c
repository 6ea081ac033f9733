/*
 * Files and the page cache: which blocks are in memory, reading and read-ahead.
 *
 * Linux finds a cached page by a hash of file and block; here a file has an
 * array of its blocks, which finds the same page. Blocks of a file lie together
 * on the disk. Read-ahead is Linux's: the window doubles while reads go on
 * where the last one ended, and is given up when they do not.
 */
#include "traces/guest_private.h"

#include <errno.h>
#include <stdlib.h>

#define IO_MOST	     128 /* pages of one request to the disk */
#define WINDOW_FIRST 4	 /* pages of read-ahead when a reader turns out to be sequential */
#define FILES_MOST   (1u << 20)

static int no_memory(struct gos *g)
{
	return err_run(&g->err, ENOMEM, "no memory for the guest's files");
}

static uint32_t free_place(struct gos *g)
{
	uint32_t i = g->file_hint;

	while (i < g->files && g->file[i])
		i++;
	if (i < g->files)
		return i;
	if (g->files == FILES_MOST)
		return NO_PAGE;
	struct gfile **list = realloc(g->file, (g->files + 1) * sizeof *list);
	if (!list)
		return NO_PAGE;
	g->file = list;
	g->file[g->files] = NULL;
	return g->files++;
}

int file_new(struct gos *g, uint32_t max_blocks, uint32_t blocks, uint64_t content,
	     struct gfile **out)
{
	uint32_t place = free_place(g);
	struct gfile *f = place == NO_PAGE ? NULL : calloc(1, sizeof *f);

	if (f)
		f->page = malloc((size_t)max_blocks * sizeof *f->page + 1);
	if (!f || !f->page) {
		free(f);
		return no_memory(g);
	}
	for (uint32_t i = 0; i < max_blocks; i++)
		f->page[i] = NO_PAGE;
	f->id = place;
	f->max_blocks = max_blocks;
	f->blocks = blocks;
	f->content = content;
	f->extent = g->extent_next;
	g->extent_next += max_blocks;
	g->file[place] = f;
	g->file_hint = place + 1;
	*out = f;
	return 0;
}

void cache_forget(struct gos *g, uint32_t page)
{
	struct gfile *f = g->file[g->page[page].owner];

	f->page[g->page[page].index] = NO_PAGE;
	f->cached--;
	g->stats.cached--;
}

void file_remove(struct gos *g, struct gfile *f)
{
	for (uint32_t b = 0; b < f->blocks && f->cached; b++) {
		uint32_t page = f->page[b];
		if (page == NO_PAGE)
			continue;
		if (g->page[page].flags & GPAGE_DIRTY)
			page_written(g, page, 0);
		list_remove(g, page);
		cache_forget(g, page);
		page_free(g, page);
	}
	if (f->id < g->file_hint)
		g->file_hint = f->id;
	g->file[f->id] = NULL;
	free(f->page);
	free(f);
}

int cache_add(struct gos *g, struct gfile *f, uint32_t block, uint32_t *page)
{
	int rc = page_alloc(g, GPAGE_CACHE, page);

	if (rc)
		return rc;
	g->page[*page].owner = f->id;
	g->page[*page].index = block;
	f->page[block] = *page;
	f->cached++;
	g->stats.cached++;
	lru_add(g, *page);
	return 0;
}

/* How many blocks to read at a miss, of `left` that are asked for. */
static uint32_t read_length(struct gos *g, struct gfile *f, uint32_t block, uint32_t left)
{
	uint32_t n = left, end = f->blocks - block;

	if (block == f->ahead_next && block)
		f->ahead_window = f->ahead_window ? 2 * f->ahead_window : WINDOW_FIRST;
	else
		f->ahead_window = 0;
	if (f->ahead_window > g->opts.readahead)
		f->ahead_window = (uint32_t)g->opts.readahead;
	if (n < f->ahead_window)
		n = f->ahead_window;
	if (n > IO_MOST)
		n = IO_MOST;
	if (n > end)
		n = end;
	for (uint32_t i = 1; i < n; i++) {
		if (f->page[block + i] != NO_PAGE)
			return i;
	}
	return n;
}

static int read_blocks(struct gos *g, struct gfile *f, uint32_t block, uint32_t n)
{
	uint64_t done = disk_io(g, f->extent + block, n, ACCESS_READ);

	for (uint32_t b = block; b < block + n; b++) {
		uint32_t page;
		int rc = cache_add(g, f, b, &page);
		if (rc == 0)
			rc = gos_store(g, (ppn_t){page},
				       f->content == CONTENT_OWN ? f->content : f->content + b);
		if (rc)
			return rc;
		g->page[page].io_ns = done;
		g->page[page].reading = true;
	}
	f->ahead_next = block + n;
	gos_wait(g, done);
	return 0;
}

int file_read(struct gos *g, struct gfile *f, uint32_t block, uint32_t n)
{
	uint32_t end = block + n;
	int rc = 0;

	if (end > f->blocks)
		end = f->blocks;
	for (uint32_t b = block; rc == 0 && b < end; b++) {
		uint32_t page = f->page[b];
		if (page == NO_PAGE) {
			g->stats.misses++;
			rc = read_blocks(g, f, b, read_length(g, f, b, end - b));
			/* What the next blocks of this read find is no hit of theirs. */
			for (; rc == 0 && b + 1 < end && f->page[b + 1] != NO_PAGE &&
			       b + 1 < f->ahead_next;
			     b++)
				g->stats.misses++;
			continue;
		}
		g->stats.hits++;
		lru_mark_accessed(g, page);
		if (g->page[page].reading && g->page[page].io_ns > gos_now(g))
			gos_wait(g, g->page[page].io_ns);
		rc = gos_touch(g, (ppn_t){page}, ACCESS_READ);
	}
	return rc;
}
