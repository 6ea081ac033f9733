/*
 * webserver: clients that ask for whole files, popular ones more often, and a
 * log that each request is written to. What is popular stays in the page cache;
 * how much of the rest does is a question of memory.
 */
#include "traces/gen.h"
#include "traces/guest_private.h"

#include <errno.h>
#include <stdlib.h>

#define LOG_BLOCKS (1u << 16) /* then it is rotated */
#define LOG_LINES  32	      /* requests to a page of it */

struct webserver;

struct visitor {
	struct gtask task;
	struct webserver *w;
	struct rng rng;
};

struct webserver {
	struct gos *g;
	const struct load_opts *opts;
	struct visitor *visitor;
	struct gfile **file; /* [files] */
	uint64_t files;
	struct gfile *log;
	uint64_t lines; /* in the log */
	uint64_t requests, most;
	void *popularity; /* law_zipf's */
	uint64_t end_ns;
};

static int write_log(struct webserver *w)
{
	uint32_t block = (uint32_t)(w->lines++ / LOG_LINES);

	if (block < LOG_BLOCKS)
		return file_write(w->g, w->log, block, 1);
	file_remove(w->g, w->log);
	w->lines = 0;
	return file_new(w->g, LOG_BLOCKS, 0, CONTENT_OWN, &w->log);
}

static int serve(struct gos *g, struct gtask *task)
{
	struct visitor *v = task->arg;
	struct webserver *w = v->w;
	uint64_t i;

	if (gos_now(g) >= w->end_ns || (w->most && w->requests >= w->most))
		return TASK_DONE;
	w->requests++;
	law_zipf.fill(w->popularity, &i, 1);
	struct gfile *f = w->file[i];
	gos_charge(g, f->blocks * w->opts->page_time);
	g->stats.ops++;
	g->stats.bytes += (uint64_t)f->blocks << PAGE_SHIFT;
	int rc = file_read(g, f, 0, f->blocks);
	if (rc == 0)
		rc = write_log(w);
	/* Thinking takes between none and twice the mean. */
	uint64_t think = w->opts->think ? rng_below(&v->rng, 2 * w->opts->think) : 0;
	task->wake_ns = max_u64(gos_now(g), g->wait_ns) + think;
	return rc;
}

static int make_files(struct webserver *w)
{
	uint32_t blocks = (uint32_t)load_pages(w->opts->file_size);
	int rc = 0;

	w->files = max_u64(1, load_pages(w->opts->file_set) / blocks);
	if (w->files >= 1000000)
		return err_input(&w->g->err, "it would have %llu files: raise file_size",
				 (unsigned long long)w->files);
	w->file = calloc(w->files, sizeof(*w->file));
	if (!w->file)
		return err_run(&w->g->err, ENOMEM, "no memory for files");
	for (uint64_t i = 0; rc == 0 && i < w->files; i++)
		rc = file_new(w->g, blocks, blocks, CONTENT_OWN, &w->file[i]);
	return rc ? rc : file_new(w->g, LOG_BLOCKS, 0, CONTENT_OWN, &w->log);
}

static int make_popularity(struct webserver *w, uint64_t stream)
{
	const struct gen_opts o = {
		.pages = (int64_t)w->files, .alpha = w->opts->alpha, .seed = w->opts->seed};

	void *state = calloc(1, law_zipf.size);
	if (!state)
		return err_run(&w->g->err, ENOMEM, "no memory for a webserver");
	int rc = law_zipf.start(state, &o, stream, &w->g->err);
	if (rc) {
		free(state);
		return rc;
	}
	w->popularity = state;
	return 0;
}

static int start(void *state, struct gos *g, const struct load_opts *o, uint64_t stream)
{
	struct webserver *w = state;

	*w = (struct webserver){.g = g, .opts = o, .end_ns = load_end_ns(g, o)};
	/* Without a duration it serves a number of requests: so many rounds of one a client. */
	w->most = o->duration ? 0 : (uint64_t)o->rounds * (uint64_t)o->clients;
	int rc = make_files(w);
	if (rc == 0)
		rc = make_popularity(w, stream);
	w->visitor = calloc((size_t)o->clients, sizeof *w->visitor);
	if (rc == 0 && !w->visitor)
		rc = err_run(&g->err, ENOMEM, "no memory for clients");
	for (size_t i = 0; rc == 0 && i < (size_t)o->clients; i++) {
		struct visitor *v = &w->visitor[i];
		v->w = w;
		v->task = (struct gtask){.run = serve, .arg = v};
		rng_init(&v->rng, (uint64_t)o->seed, "guest.webserver", stream << 32 | i);
		rc = task_add(g, &v->task, load_start_ns(g, o));
	}
	return rc;
}

static void stop(void *state)
{
	struct webserver *w = state;

	if (w->popularity)
		law_zipf.stop(w->popularity);
	free(w->popularity);
	free(w->file);
	free(w->visitor);
}

const struct guest_load load_webserver = {
	.policy = {"webserver", "clients that ask for files, popular ones more often, and a log"},
	.size = sizeof(struct webserver),
	.start = start,
	.stop = stop,
};
