/*
 * dbench: clients that build up a set of files each, and read in what they have
 * built so far.
 *
 * A client writes its files in requests, and after each write reads at so many
 * random places of its own files; when its set is complete it removes it, and
 * may begin again. All clients begin together, so what they use grows from
 * nothing to the whole: in memory at first, and beyond it towards the end. That
 * is what makes throughput fall with memory as gently as it does. Each request
 * costs processor time by the page; a throughput is work_bytes over the time.
 */
#include "traces/guest_private.h"

#include <errno.h>
#include <stdlib.h>

struct client {
	struct gtask task;
	struct dbench *d;
	struct gproc *proc;
	struct rng rng;
	struct gfile **file; /* [d->files] */
	uint64_t written;    /* blocks of this round */
	int64_t reads_left, round;
};

struct dbench {
	struct gos *g;
	const struct load_opts *opts;
	uint64_t end_ns;
	uint32_t files, file_blocks, request; /* pages */
	uint64_t set_blocks;
	struct client *client;
	size_t clients;
};

static void remove_files(struct client *c)
{
	for (uint32_t i = 0; i < c->d->files; i++) {
		if (c->file[i])
			file_remove(c->d->g, c->file[i]);
		c->file[i] = NULL;
	}
	c->written = 0;
}

static void charge(struct client *c, uint32_t pages)
{
	gos_charge(c->d->g, pages * c->d->opts->page_time);
	c->d->g->stats.ops++;
	c->d->g->stats.bytes += (uint64_t)pages << PAGE_SHIFT;
}

static int write_request(struct client *c)
{
	struct dbench *d = c->d;
	uint32_t i = (uint32_t)(c->written / d->file_blocks),
		 block = (uint32_t)(c->written % d->file_blocks), n = d->request;

	if (n > d->file_blocks - block)
		n = d->file_blocks - block;
	if (!c->file[i]) {
		int rc = file_new(d->g, d->file_blocks, 0, CONTENT_OWN, &c->file[i]);
		if (rc)
			return rc;
	}
	c->written += n;
	charge(c, n);
	return file_write(d->g, c->file[i], block, n);
}

static int read_request(struct client *c)
{
	struct dbench *d = c->d;
	uint64_t at = rng_below(&c->rng, c->written) / d->request * d->request;
	struct gfile *f = c->file[at / d->file_blocks];
	uint32_t block = (uint32_t)(at % d->file_blocks), n = d->request;

	if (n > f->blocks - block)
		n = f->blocks - block;
	charge(c, n);
	return file_read(d->g, f, block, n);
}

static int touch_own(struct client *c)
{
	uint64_t pages = load_pages(c->d->opts->memory);
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < pages; i++)
		rc = proc_touch(c->proc, i, c->round < 0 ? ACCESS_WRITE : ACCESS_READ);
	return rc;
}

static int run(struct gos *g, struct gtask *task)
{
	struct client *c = task->arg;
	struct dbench *d = c->d;

	int rc = touch_own(c);
	if (rc)
		return rc;
	if (c->round < 0)
		c->round = 0;
	if (c->reads_left > 0) {
		c->reads_left--;
		rc = read_request(c);
	} else if (c->written < d->set_blocks) {
		c->reads_left = d->opts->reads;
		rc = write_request(c);
	} else {
		remove_files(c);
		c->round++;
	}
	if (rc)
		return rc;
	task->wake_ns = d->opts->think ? gos_now(g) + d->opts->think : 0;
	if (c->round < d->opts->rounds && gos_now(g) < d->end_ns)
		return TASK_AGAIN;
	remove_files(c);
	proc_exit(c->proc);
	return TASK_DONE;
}

static int client_start(struct dbench *d, size_t i, uint64_t stream)
{
	struct client *c = &d->client[i];

	c->d = d;
	c->round = -1;
	c->file = calloc(d->files, sizeof(*c->file));
	if (!c->file)
		return err_run(&d->g->err, ENOMEM, "no memory for %u files", d->files);
	rng_init(&c->rng, (uint64_t)d->opts->seed, "guest.dbench", stream << 32 | i);
	int rc = proc_new(d->g, &c->proc);
	if (rc)
		return rc;
	c->task = (struct gtask){.run = run, .arg = c};
	return task_add(d->g, &c->task, load_start_ns(d->g, d->opts));
}

static int start(void *state, struct gos *g, const struct load_opts *o, uint64_t stream)
{
	struct dbench *d = state;
	uint64_t set = load_pages(o->file_set), file = load_pages(o->file_size);
	int rc = 0;

	*d = (struct dbench){.g = g, .opts = o, .end_ns = load_end_ns(g, o)};
	if (file > set)
		file = set;
	if (set / file >= 100000)
		return err_input(&g->err, "a client would have %llu files: raise file_size",
				 (unsigned long long)(set / file));
	d->file_blocks = (uint32_t)file;
	d->files = (uint32_t)((set + file - 1) / file);
	d->set_blocks = set;
	d->request = (uint32_t)load_pages(o->request);
	d->client = calloc((size_t)o->clients, sizeof *d->client);
	if (!d->client)
		return err_run(&g->err, ENOMEM, "no memory for clients");
	for (size_t i = 0; rc == 0 && i < (size_t)o->clients; i++) {
		d->clients++;
		rc = client_start(d, i, stream);
	}
	return rc;
}

static void stop(void *state)
{
	struct dbench *d = state;

	for (size_t i = 0; i < d->clients; i++)
		free(d->client[i].file);
	free(d->client);
}

const struct guest_load load_dbench = {
	.policy = {"dbench", "clients that write a set of files each, and read in it"},
	.size = sizeof(struct dbench),
	.start = start,
	.stop = stop,
};
