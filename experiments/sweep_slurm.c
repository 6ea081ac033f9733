#include "experiments/sweep_slurm.h"

#include "core/os.h"
#include "experiments/spawn.h"
#include "experiments/sweep_array.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAYS_MAX   16
#define LOOK_MS	     250	  /* between looks at the tasks' files */
#define ASK_LEAST_MS 1000	  /* between questions to Slurm, at first */
#define ASK_MOST_MS  10000	  /* and later on */
#define SILENCE_MS   (300 * 1000) /* of Slurm, after which the leader gives up */
#define LATE_LOOKS   4		  /* at files whose task has ended: shared file systems lag */

struct cluster {
	struct sweep *sweep;
	const struct slurm_opts *opts;
	struct array array[ARRAYS_MAX];
	size_t n;
	uint8_t *taken; /* runs of arrays that are live */
	uint64_t asked_ms, ask_ms, heard_ms;
	int stop_fd;
};

static uint64_t now_ms(void)
{
	return os_mono_ns() / 1000000;
}

static int missing(int rc, struct err *err)
{
	if (rc != -ENOENT)
		return rc;
	size_t used = strlen(err->msg);
	snprintf(err->msg + used, sizeof err->msg - used,
		 ": --slurm needs Slurm's commands: apt-get install slurm-client");
	return rc;
}

int sweep_slurm_there(struct err *err)
{
	const char *list = getenv("PATH");
	char path[PATH_MAX];

	while (list && *list) {
		size_t n = strcspn(list, ":");
		snprintf(path, sizeof path, "%.*s/sbatch", (int)min_u64(n, PATH_MAX - 16), list);
		if (n && access(path, X_OK) == 0)
			return 0;
		list += n + (list[n] == ':');
	}
	return missing(err_run(err, ENOENT, "there is no sbatch"), err);
}

static bool active(const char *state)
{
	static const char *const ended[] = {"COMPLETED", "CANCELLED",	  "FAILED",
					    "TIMEOUT",	 "NODE_FAIL",	  "PREEMPTED",
					    "BOOT_FAIL", "OUT_OF_MEMORY", "DEADLINE"};

	for (size_t i = 0; i < ARRAY_LEN(ended); i++) {
		if (strcmp(state, ended[i]) == 0)
			return false;
	}
	return true;
}

/* "17 RUNNING" a line; a task that Slurm has forgotten is not there. */
static void read_states(struct array *array, char *text)
{
	array->live = false;
	for (char *line; (line = strsep(&text, "\n"));) {
		char state[ARRAY_STATE_MAX];
		size_t task;
		if (sscanf(line, "%zu %23s", &task, state) != 2 || task >= array->tasks)
			continue;
		snprintf(array->state[task], sizeof array->state[task], "%s", state);
		array->live |= active(state);
	}
}

static int ask(struct array *array, struct err *err)
{
	char name[ARRAY_NAME_MAX + 8], *text;
	const char *argv[] = {"squeue",	      "--noheader",	"--array", name,
			      "--states=all", "--format=%K %T", NULL};

	snprintf(name, sizeof name, "--name=%s", array->name);
	int rc = spawn_read(argv, &text, err);
	if (rc)
		return rc;
	read_states(array, text);
	free(text);
	return 0;
}

/* Its number is not kept: it is known by its name. */
static int submit(const struct array *array, const struct slurm_opts *opts, struct err *err)
{
	char name[ARRAY_NAME_MAX + 16], tasks[48], errors[PATH_MAX + 16], script[PATH_MAX + 16],
		cpus[48], partition[128], time[64], *text;
	const char *argv[16] = {"sbatch", "--parsable", "--output=/dev/null", name, tasks,
				errors,	  cpus};
	size_t n = 7;

	snprintf(name, sizeof name, "--job-name=%s", array->name);
	snprintf(tasks, sizeof tasks, "--array=0-%zu", array->tasks - 1);
	snprintf(errors, sizeof errors, "--error=%s/%%a.err", array->dir);
	snprintf(cpus, sizeof cpus, "--cpus-per-task=%zu", opts->workers ? opts->workers : 1);
	snprintf(script, sizeof script, "%s/task.sh", array->dir);
	if (opts->partition) {
		snprintf(partition, sizeof partition, "--partition=%s", opts->partition);
		argv[n++] = partition;
	}
	if (opts->time) {
		snprintf(time, sizeof time, "--time=%s", opts->time);
		argv[n++] = time;
	}
	argv[n++] = script;
	int rc = spawn_read(argv, &text, err);
	if (rc)
		return missing(rc, err);
	free(text);
	return 0;
}

static void cancel(const struct array *array)
{
	char name[ARRAY_NAME_MAX + 8], *text;
	const char *argv[] = {"scancel", name, NULL};

	snprintf(name, sizeof name, "--name=%s", array->name);
	if (spawn_read(argv, &text, NULL) == 0)
		free(text);
}

static void mark_taken(struct cluster *c, const struct array *array)
{
	for (size_t i = 0; i < array->runs; i++)
		c->taken[array->run[i] / 8] |= (uint8_t)(1u << array->run[i] % 8);
}

/* An array of an earlier leader: what it did is taken; it is followed if it goes on. */
static int adopt(struct cluster *c, const char *name, struct err *err)
{
	struct array *array = &c->array[c->n];
	struct err why;
	size_t n;

	/* A leader that was killed before its array was whole left nothing to take. */
	if (array_load(c->sweep, name, array, &why))
		return 0;
	int rc = ask(array, &why);
	if (rc == -ENOENT)
		array->live = false;
	else if (rc)
		rc = err_run(err, EBUSY, "%s", why.msg);
	if (rc == 0 || rc == -ENOENT)
		rc = array_collect(array, c->sweep, &n, err);
	if (rc == 0 && array->live) {
		mark_taken(c, array);
		c->n++;
		return 0;
	}
	if (rc == 0)
		array_remove(array);
	array_release(array);
	return rc;
}

static int adopt_all(struct cluster *c, struct err *err)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int rc = 0;

	c->taken = calloc(c->sweep->plan->runs / 8 + 1, 1);
	if (!c->taken)
		return err_run(err, ENOMEM, "no memory for a job array");
	snprintf(path, sizeof path, "%.*s/slurm", PATH_MAX - 16, c->sweep->dir);
	DIR *dir = opendir(path);
	while (dir && rc == 0 && c->n + 1 < ARRAYS_MAX && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "ballast-", 8) == 0)
			rc = adopt(c, entry->d_name, err);
	}
	if (dir)
		closedir(dir);
	return rc;
}

static void release_all(struct cluster *c)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < c->n; i++)
		array_release(&c->array[i]);
	free(c->taken);
	snprintf(path, sizeof path, "%.*s/slurm", PATH_MAX - 16, c->sweep->dir);
	rmdir(path); /* empty, unless something is left to take */
}

static bool anything_to_do(const struct cluster *c)
{
	for (uint64_t r = 0; r < c->sweep->plan->runs; r++) {
		if (!sweep_is_done(c->sweep, r) && !(c->taken[r / 8] >> r % 8 & 1))
			return true;
	}
	return false;
}

static int submit_rest(struct cluster *c, struct err *err)
{
	struct array *array = &c->array[c->n];

	if (!anything_to_do(c))
		return 0;
	int rc = array_make(c->sweep, c->taken, c->opts->array_size,
			    c->opts->workers ? c->opts->workers : 1, array, err);
	if (rc)
		return rc;
	rc = submit(array, c->opts, err);
	if (rc) {
		array_remove(array);
		array_release(array);
		return rc;
	}
	c->n++;
	return 0;
}

/* The array is at its end: files that lag are waited for, then the rest is lost. */
static int finish(struct cluster *c, size_t i, struct err *err)
{
	struct array *array = &c->array[i];
	size_t n;
	int rc = 0;

	for (int looks = 0; rc == 0 && looks < LATE_LOOKS; looks++) {
		rc = array_collect(array, c->sweep, &n, err);
		bool all = true;
		for (size_t k = 0; k < array->runs; k++)
			all &= sweep_is_done(c->sweep, array->run[k]);
		if (all)
			break;
		(void)!poll(NULL, 0, LOOK_MS);
	}
	if (rc == 0)
		rc = array_give_up(array, c->sweep, err);
	if (rc)
		return rc;
	array_remove(array);
	array_release(array);
	c->array[i] = c->array[--c->n];
	return 0;
}

/* How the arrays stand, every now and then, less often as time goes by. */
static int ask_all(struct cluster *c, struct err *err)
{
	struct err why;
	int rc = 0;

	if (now_ms() - c->asked_ms < c->ask_ms)
		return 0;
	for (size_t i = c->n; rc == 0 && i-- > 0;) {
		if (ask(&c->array[i], &why)) {
			if (now_ms() - c->heard_ms > SILENCE_MS)
				rc = err_run(err, EIO,
					     "Slurm has not answered for %d s (%s); what it still "
					     "does is taken by --resume --slurm",
					     SILENCE_MS / 1000, why.msg);
			continue;
		}
		c->heard_ms = now_ms();
		if (!c->array[i].live)
			rc = finish(c, i, err);
	}
	c->asked_ms = now_ms();
	c->ask_ms = min_u64(c->ask_ms + c->ask_ms / 4, ASK_MOST_MS);
	return rc;
}

static int look_all(struct cluster *c, struct err *err)
{
	size_t n;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->n; i++)
		rc = array_collect(&c->array[i], c->sweep, &n, err);
	/* When all is there, Slurm need not be asked for long. */
	if (c->sweep->ended == c->sweep->plan->runs)
		c->ask_ms = LOOK_MS;
	return rc;
}

static bool told_to_stop(const struct cluster *c)
{
	struct pollfd fd = {.fd = c->stop_fd, .events = POLLIN};

	return poll(&fd, 1, LOOK_MS) > 0 && fd.revents;
}

/* What was done until now is taken; the rest is to do again. */
static int stop_all(struct cluster *c, struct err *err)
{
	size_t n;
	int rc = 0;

	for (size_t i = 0; i < c->n; i++)
		cancel(&c->array[i]);
	(void)!poll(NULL, 0, 2 * LOOK_MS);
	for (size_t i = 0; rc == 0 && i < c->n; i++) {
		rc = array_collect(&c->array[i], c->sweep, &n, err);
		if (rc == 0)
			array_remove(&c->array[i]);
	}
	return rc ? rc : err_run(err, EINTR, "stopped by a signal, and the job array with it");
}

static int follow(struct cluster *c, struct err *err)
{
	int rc = 0;

	c->ask_ms = ASK_LEAST_MS;
	c->asked_ms = c->heard_ms = now_ms();
	while (rc == 0 && c->n > 0) {
		if (told_to_stop(c))
			return stop_all(c, err);
		rc = look_all(c, err);
		if (rc == 0)
			rc = ask_all(c, err);
	}
	return rc;
}

int sweep_slurm(struct sweep *sweep, const struct slurm_opts *opts, int stop_fd, struct err *err)
{
	struct cluster c = {.sweep = sweep, .opts = opts, .stop_fd = stop_fd};
	int rc = adopt_all(&c, err);

	if (rc == 0)
		rc = submit_rest(&c, err);
	if (rc == 0)
		rc = follow(&c, err);
	release_all(&c);
	return rc;
}

int sweep_slurm_leftovers(struct sweep *sweep, struct err *err)
{
	struct cluster c = {.sweep = sweep, .stop_fd = -1};
	int rc = adopt_all(&c, err);

	if (rc == 0 && c.n)
		rc = err_run(err, EBUSY,
			     "%s: Slurm works on it (%s): follow it with --resume --slurm, or "
			     "'scancel --name=%s' first",
			     sweep->dir, c.array[0].name, c.array[0].name);
	release_all(&c);
	return rc;
}
