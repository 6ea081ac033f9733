/*
 * trace: processes whose references are recorded by virtual page. The guest
 * gives them memory, swaps them, and reads and writes their files; so a trace
 * of a program meets a page cache and an operating system's reclaim. A switch
 * of address space begins or resumes another process.
 */
#include "traces/guest_private.h"

#include <errno.h>
#include <stdlib.h>

#define TURN	    4096 /* records before another task runs */
#define SPACES_MOST 256
#define FILES_MOST  256
#define FILE_BLOCKS (1u << 18)

struct tracer {
	struct gtask task;
	struct gos *g;
	struct source *source;
	const rec_t *next, *end;
	uint64_t tick_ns, end_ns;
	struct {
		uint64_t name;
		struct gproc *proc;
	} space[SPACES_MOST];
	size_t spaces, now; /* now: the one that runs */
	struct {
		uint64_t name;
		struct gfile *file;
	} file[FILES_MOST];
	size_t files;
};

static int refuse(struct tracer *t, const char *what)
{
	return err_input(&t->g->err, "%s: %s", source_name(t->source), what);
}

static int switch_to(struct tracer *t, uint64_t name)
{
	for (t->now = 0; t->now < t->spaces; t->now++) {
		if (t->space[t->now].name == name)
			return 0;
	}
	if (t->spaces == SPACES_MOST)
		return refuse(t, "more than 256 address spaces: a guest runs no more of a trace");
	t->space[t->spaces].name = name;
	int rc = proc_new(t->g, &t->space[t->spaces].proc);
	t->spaces += rc == 0;
	return rc;
}

static int use_file(struct tracer *t, unsigned kind, uint64_t block, uint64_t name)
{
	size_t i = 0;

	if (block >= FILE_BLOCKS)
		return refuse(t, "a file of more than 1 GiB: a guest has no such files");
	while (i < t->files && t->file[i].name != name)
		i++;
	if (i == t->files) {
		if (i == FILES_MOST)
			return refuse(t, "more than 256 files: a guest keeps no more of a trace");
		int rc = file_new(t->g, FILE_BLOCKS, FILE_BLOCKS, CONTENT_OWN, &t->file[i].file);
		if (rc)
			return rc;
		t->file[t->files++].name = name;
	}
	return kind == REC_FILE_READ ? file_read(t->g, t->file[i].file, (uint32_t)block, 1)
				     : file_write(t->g, t->file[i].file, (uint32_t)block, 1);
}

/* Capped, since the scheduler ends a run whose time leaves all bounds. */
static uint64_t ticks(const struct tracer *t, uint64_t n)
{
	unsigned __int128 ns = (unsigned __int128)n * t->tick_ns;

	return ns < HOST_TIME_MAX ? (uint64_t)ns : HOST_TIME_MAX;
}

/* A record that is no reference. */
static int other(struct tracer *t, rec_t x, uint64_t operand)
{
	struct gproc *p = t->space[t->now].proc;

	switch ((enum rec_kind)rec_kind(x)) {
	case REC_SWITCH:
		return switch_to(t, rec_page(x));
	case REC_SLEEP:
		t->task.wake_ns = gos_now(t->g) + ticks(t, rec_page(x));
		return 0;
	case REC_WRITE_ID:
		return proc_touch(p, rec_page(x), ACCESS_WRITE);
	case REC_UNMAP:
		proc_unmap(p, rec_page(x), min_u64(operand, REC_PAGE_MAX + 1 - rec_page(x)));
		return 0;
	case REC_FILE_READ:
	case REC_FILE_WRITE:
		return use_file(t, rec_kind(x), rec_page(x), operand);
	case REC_VM:
		return rec_page(x) ? refuse(t, "it has several VMs: a guest runs the trace of one")
				   : 0;
	default: /* mappings cost nothing, DMA is the guest's own affair */
		return 0;
	}
}

static int next_batch(struct tracer *t)
{
	const rec_t *batch;
	ssize_t words = source_next(t->source, &batch, &t->g->err);

	if (words < 0)
		return (int)words;
	t->next = batch;
	t->end = batch + words;
	return words ? TASK_AGAIN : TASK_DONE;
}

static int finish(struct tracer *t)
{
	for (size_t i = 0; i < t->spaces; i++)
		proc_exit(t->space[i].proc);
	t->spaces = 0;
	return TASK_DONE;
}

static int run(struct gos *g, struct gtask *task)
{
	struct tracer *t = task->arg;
	int rc = t->next == t->end ? next_batch(t) : TASK_AGAIN;

	if (rc == TASK_DONE || gos_now(g) >= t->end_ns)
		return finish(t);
	for (int n = 0; rc == 0 && n < TURN && t->next < t->end && g->wait_ns <= gos_now(g) &&
			task->wake_ns <= gos_now(g) && gos_now(g) < HOST_TIME_MAX;
	     n++) {
		const rec_t x = *t->next++;
		g->vm->time_ns += rec_delta(x) * t->tick_ns;
		if (likely(rec_kind(x) <= REC_WRITE))
			rc = proc_touch(t->space[t->now].proc, rec_page(x),
					(enum access)rec_kind(x));
		else if (rec_kind(x) == REC_END)
			return finish(t);
		else if (rec_is_wide(x) && t->next == t->end)
			rc = refuse(t, "its last record lacks its operand");
		else
			rc = other(t, x, rec_is_wide(x) ? *t->next++ : 0);
	}
	return rc;
}

static int start(void *state, struct gos *g, const struct load_opts *o, uint64_t stream)
{
	struct tracer *t = state;

	(void)stream;
	t->g = g;
	if (!o->trace)
		return err_input(&g->err, "a workload of kind trace needs its trace");
	int rc = source_open(o->trace, o->format, &t->source, &g->err);
	if (rc)
		return rc;
	t->tick_ns = source_info(t->source)->tick_ns;
	t->end_ns = load_end_ns(g, o);
	rc = switch_to(t, 0);
	if (rc)
		return rc;
	t->task = (struct gtask){.run = run, .arg = t};
	return task_add(g, &t->task, load_start_ns(g, o));
}

static void stop(void *state)
{
	source_close(((struct tracer *)state)->source);
}

const struct guest_load load_trace = {
	.policy = {"trace", "processes whose references a trace has, by virtual page"},
	.size = sizeof(struct tracer),
	.start = start,
	.stop = stop,
};
