/*
 * kernel-build: compilers, some at once, each a process that is born, reads
 * headers that all of them read, fills its memory, writes an object file and
 * exits. So anonymous memory comes and goes while the page cache keeps what is
 * common; the object files stay to the end.
 */
#include "traces/guest_private.h"

#include <errno.h>
#include <stdlib.h>

#define HEADER_BLOCKS 4	 /* pages of a header */
#define HEADERS_READ  64 /* by each compiler */
#define BATCH	      64 /* pages that it fills before another task runs */

struct build;

struct compiler {
	struct gtask task;
	struct build *b;
	struct gproc *proc; /* NULL: it is to be started */
	struct rng rng;
	uint64_t filled; /* pages */
	uint32_t headers;
};

struct build {
	struct gos *g;
	const struct load_opts *opts;
	struct gfile **header; /* [headers] */
	uint64_t headers;
	struct compiler *compiler;
	uint64_t started, most;
	uint64_t end_ns;
};

static int read_header(struct compiler *c)
{
	struct build *b = c->b;
	struct gfile *f = b->header[rng_below(&c->rng, b->headers)];

	c->headers++;
	gos_charge(b->g, f->blocks * b->opts->page_time);
	return file_read(b->g, f, 0, f->blocks);
}

static int fill(struct compiler *c, uint64_t pages)
{
	struct gos *g = c->b->g;
	int rc = 0;

	for (int i = 0; rc == 0 && i < BATCH && c->filled < pages && g->wait_ns <= gos_now(g);
	     i++) {
		gos_charge(g, c->b->opts->page_time);
		rc = proc_touch(c->proc, c->filled++, ACCESS_WRITE);
		/* What it built before is looked at again and again. */
		if (rc == 0)
			rc = proc_touch(c->proc, rng_below(&c->rng, c->filled), ACCESS_READ);
	}
	return rc;
}

static int finish(struct compiler *c)
{
	struct gos *g = c->b->g;
	uint32_t blocks = (uint32_t)load_pages(c->b->opts->file_size);
	struct gfile *object;

	proc_exit(c->proc);
	c->proc = NULL;
	g->stats.ops++;
	g->stats.bytes += c->b->opts->file_size;
	int rc = file_new(g, blocks, 0, CONTENT_OWN, &object);
	return rc ? rc : file_write(g, object, 0, blocks);
}

static int begin(struct compiler *c)
{
	c->b->started++;
	c->filled = 0;
	c->headers = 0;
	return proc_new(c->b->g, &c->proc);
}

static int run(struct gos *g, struct gtask *task)
{
	struct compiler *c = task->arg;
	const uint64_t pages = load_pages(c->b->opts->memory);

	if (!c->proc)
		return c->b->started < c->b->most && gos_now(g) < c->b->end_ns ? begin(c)
									       : TASK_DONE;
	if (c->headers < HEADERS_READ)
		return read_header(c);
	if (c->filled < pages)
		return fill(c, pages);
	return finish(c);
}

static int make_headers(struct build *b)
{
	int rc = 0;

	b->headers = max_u64(1, load_pages(b->opts->file_set) / HEADER_BLOCKS);
	if (b->headers >= 1000000)
		return err_input(&b->g->err, "file_set is too much for headers: lower it");
	b->header = calloc(b->headers, sizeof(*b->header));
	if (!b->header)
		return err_run(&b->g->err, ENOMEM, "no memory for files");
	for (uint64_t i = 0; rc == 0 && i < b->headers; i++)
		rc = file_new(b->g, HEADER_BLOCKS, HEADER_BLOCKS, CONTENT_OWN, &b->header[i]);
	return rc;
}

static int start(void *state, struct gos *g, const struct load_opts *o, uint64_t stream)
{
	struct build *b = state;

	*b = (struct build){.g = g, .opts = o, .end_ns = load_end_ns(g, o)};
	b->most = (uint64_t)o->rounds;
	int rc = make_headers(b);
	b->compiler = calloc((size_t)o->clients, sizeof *b->compiler);
	if (rc == 0 && !b->compiler)
		rc = err_run(&g->err, ENOMEM, "no memory for compilers");
	for (size_t i = 0; rc == 0 && i < (size_t)o->clients; i++) {
		struct compiler *c = &b->compiler[i];
		c->b = b;
		c->task = (struct gtask){.run = run, .arg = c};
		rng_init(&c->rng, (uint64_t)o->seed, "guest.build", stream << 32 | i);
		rc = task_add(g, &c->task, load_start_ns(g, o));
	}
	return rc;
}

static void stop(void *state)
{
	struct build *b = state;

	free(b->header);
	free(b->compiler);
}

const struct guest_load load_build = {
	.policy = {"kernel-build",
		   "compilers that read headers, fill memory, write a file and exit"},
	.size = sizeof(struct build),
	.start = start,
	.stop = stop,
};
