/* One task of a job array: its part of the runs, a line each as they end. */
#include "experiments/pool.h"
#include "experiments/sweep_array.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct task {
	struct plan *plan;
	const json_t *runs;
	size_t tasks, next; /* the place in the list of the next run */
	size_t workers;
	uint8_t *done; /* a bit per run: lines that are there from an earlier start */
	int fd;
	char path[PATH_MAX];
};

static bool is_done(const struct task *t, uint64_t run)
{
	return t->done[run / 8] >> run % 8 & 1;
}

static bool next(void *arg, uint64_t *run)
{
	struct task *t = arg;

	for (; t->next < json_array_size(t->runs); t->next += t->tasks) {
		*run = (uint64_t)json_integer_value(json_array_get(t->runs, t->next));
		if (*run < t->plan->runs && !is_done(t, *run)) {
			t->next += t->tasks;
			return true;
		}
	}
	return false;
}

static void work(void *arg, uint64_t run, FILE *answer)
{
	const struct task *t = arg;
	struct record record;

	record_run(t->plan, run, &record);
	if (record_write(&record, answer))
		_exit(1);
}

/* One line at once, so that a reader sees it whole or cuts it off. */
static int append(const struct task *t, const char *line, size_t size, struct err *err)
{
	while (size > 0) {
		ssize_t n = write(t->fd, line, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_run(err, errno, "cannot write %s: %s", t->path, strerror(errno));
		line += n;
		size -= (size_t)n;
	}
	return 0;
}

static int append_lost(const struct task *t, uint64_t run, const char *death, struct err *err)
{
	struct record record;
	char *line = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&line, &size);

	record_lost(run, &record, "the worker died: %s", death);
	int rc = !out || record_write(&record, out) ? err_run(err, ENOMEM, "no memory") : 0;
	if (out)
		fclose(out);
	if (rc == 0)
		rc = append(t, line, size, err);
	free(line);
	return rc;
}

static int ended(void *arg, uint64_t run, const char *answer, size_t size, const char *death,
		 struct err *err)
{
	const struct task *t = arg;

	if (death || size == 0 || answer[size - 1] != '\n')
		return append_lost(t, run, death ? death : "it sent no result", err);
	return append(t, answer, size, err);
}

/* Lines of an earlier start of this task; a line that it was cut off in is closed. */
static int look_back(struct task *t, struct err *err)
{
	FILE *in = fopen(t->path, "re");
	struct record record;
	char *line = NULL, last = '\n';
	size_t room = 0;
	ssize_t n;

	if (!in)
		return errno == ENOENT ? 0
				       : err_run(err, errno, "%s: %s", t->path, strerror(errno));
	while ((n = getline(&line, &room, in)) > 0) {
		last = line[n - 1];
		if (last == '\n' &&
		    record_read(line, (size_t)n - 1, t->plan->runs, &record, NULL) == 0) {
			t->done[record.run / 8] |= (uint8_t)(1u << record.run % 8);
			record_release(&record);
		}
	}
	free(line);
	fclose(in);
	return last == '\n' ? 0 : append(t, "\n", 1, err);
}

static int do_runs(struct task *t, struct err *err)
{
	struct pool_tasks tasks = {.workers = t->workers,
				   .next = next,
				   .work = work,
				   .ended = ended,
				   .arg = t,
				   .stop_fd = -1};

	t->done = calloc(t->plan->runs / 8 + 1, 1);
	if (!t->done)
		return err_run(err, ENOMEM, "no memory for a task");
	t->fd = open(t->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (t->fd < 0)
		return err_run(err, errno, "cannot write %s: %s", t->path, strerror(errno));
	int rc = look_back(t, err);
	if (rc == 0)
		rc = pool_run(&tasks, err);
	if (close(t->fd) != 0 && rc == 0)
		rc = err_run(err, errno, "cannot write %s: %s", t->path, strerror(errno));
	return rc;
}

int array_task(const char *dir, size_t task, struct err *err)
{
	struct task t = {.next = task, .fd = -1};
	char path[PATH_MAX];
	json_error_t why;

	if (snprintf(path, sizeof path, "%s/array.json", dir) >= (int)sizeof path ||
	    snprintf(t.path, sizeof t.path, "%s/%zu.jsonl", dir, task) >= (int)sizeof t.path)
		return err_input(err, "%s: the path is too long", dir);
	json_t *o = json_load_file(path, 0, &why);
	if (!o)
		return err_input(err, "%s: %s", path, why.text);
	json_int_t tasks = json_integer_value(json_object_get(o, "tasks")),
		   workers = json_integer_value(json_object_get(o, "workers"));
	t.runs = json_object_get(o, "runs");
	t.tasks = tasks > 0 ? (size_t)tasks : 1;
	t.workers = workers > 0 && workers < 256 ? (size_t)workers : 1;
	int rc = plan_from(json_object_get(o, "plan"), &t.plan, err);
	if (rc == 0)
		rc = do_runs(&t, err);
	plan_free(t.plan);
	free(t.done);
	json_decref(o);
	return rc;
}
