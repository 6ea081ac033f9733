#include "experiments/sweep_array.h"

#include "core/file.h"
#include "core/os.h"
#include "experiments/outdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static int no_memory(struct err *err)
{
	return err_run(err, ENOMEM, "no memory for a job array");
}

static int set_dir(struct array *array, const struct sweep *s, const char *name, struct err *err)
{
	snprintf(array->name, sizeof array->name, "%s", name);
	if (snprintf(array->dir, sizeof array->dir, "%s/slurm/%s", s->dir, name) >=
	    (int)sizeof array->dir - 32)
		return err_input(err, "%s: the path is too long", s->dir);
	return 0;
}

/* A name that no other array has: of this machine, process, moment and place. */
static void make_name(const struct sweep *s, char name[ARRAY_NAME_MAX])
{
	struct {
		char host[64], dir[192];
		uint64_t now;
		pid_t pid;
	} seed;

	memset(&seed, 0, sizeof seed);
	(void)!gethostname(seed.host, sizeof seed.host - 1);
	snprintf(seed.dir, sizeof seed.dir, "%s", s->dir);
	seed.now = os_mono_ns();
	seed.pid = getpid();
	snprintf(name, ARRAY_NAME_MAX, "ballast-%012llx",
		 (unsigned long long)XXH3_64bits(&seed, sizeof seed) & 0xffffffffffff);
}

static int make_dirs(const struct sweep *s, const struct array *array, struct err *err)
{
	char parent[PATH_MAX];

	snprintf(parent, sizeof parent, "%.*s/slurm", PATH_MAX - 16, s->dir);
	if ((mkdir(parent, 0777) != 0 && errno != EEXIST) || mkdir(array->dir, 0777) != 0)
		return err_run(err, errno, "%s: cannot make the folder: %s", array->dir,
			       strerror(errno));
	return 0;
}

static int write_json(const struct array *array, const struct sweep *s, size_t workers,
		      struct err *err)
{
	json_t *runs = json_array();
	struct draft *draft;

	for (size_t i = 0; i < array->runs; i++)
		json_array_append_new(runs, json_integer((json_int_t)array->run[i]));
	json_t *o =
		json_pack("{s:O, s:I, s:I, s:o}", "plan", s->plan->told, "tasks",
			  (json_int_t)array->tasks, "workers", (json_int_t)workers, "runs", runs);
	if (!o)
		return no_memory(err);
	int rc = outdir_open(array->dir, "array.json", &draft, err);
	if (rc == 0) {
		json_dumpf(o, draft_stream(draft), JSON_COMPACT);
		rc = draft_commit(draft, err);
	}
	json_decref(o);
	return rc;
}

/* In single quotes, for a shell. */
static void quote(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\'", out);
		fputc(*text, out);
	}
	fputc('\'', out);
}

static int write_script(const struct array *array, struct err *err)
{
	char program[PATH_MAX], *dir = realpath(array->dir, NULL);
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	struct draft *draft;

	if (n < 0 || !dir) {
		free(dir);
		return err_run(err, errno, "%s: %s", array->dir, strerror(errno));
	}
	program[n] = '\0';
	int rc = outdir_open(array->dir, "task.sh", &draft, err);
	if (rc == 0) {
		FILE *out = draft_stream(draft);
		fputs("#!/bin/sh\nexec ", out);
		quote(out, program);
		fputs(" sweep --task ", out);
		quote(out, dir);
		fputc('\n', out);
		rc = draft_commit(draft, err);
	}
	free(dir);
	return rc;
}

static int make_tables(struct array *array)
{
	array->offset = calloc(array->tasks, sizeof *array->offset);
	array->state = calloc(array->tasks, sizeof *array->state);
	return array->offset && array->state ? 0 : -ENOMEM;
}

int array_make(const struct sweep *s, const uint8_t *taken, size_t most_tasks, size_t workers,
	       struct array *array, struct err *err)
{
	char name[ARRAY_NAME_MAX];

	*array = (struct array){.live = true};
	make_name(s, name);
	int rc = set_dir(array, s, name, err);
	if (rc)
		return rc;
	array->run = calloc(s->plan->runs, sizeof *array->run);
	for (uint64_t r = 0; array->run && r < s->plan->runs; r++) {
		if (!sweep_is_done(s, r) && !(taken && taken[r / 8] >> r % 8 & 1))
			array->run[array->runs++] = r;
	}
	array->tasks = array->runs < most_tasks ? array->runs : most_tasks;
	rc = !array->run || make_tables(array) ? no_memory(err) : 0;
	if (rc == 0)
		rc = make_dirs(s, array, err);
	if (rc == 0)
		rc = write_json(array, s, workers, err);
	if (rc == 0)
		rc = write_script(array, err);
	if (rc)
		array_release(array);
	return rc;
}

/* The list of runs, checked. */
static int read_runs(const json_t *list, uint64_t runs, struct array *array, struct err *err)
{
	array->runs = json_array_size(list);
	array->run = calloc(array->runs + 1, sizeof *array->run);
	if (!array->run)
		return no_memory(err);
	for (size_t i = 0; i < array->runs; i++) {
		json_int_t run = json_integer_value(json_array_get(list, i));
		if (run < 0 || (uint64_t)run >= runs)
			return err_input(err, "%s/array.json: run %lld is none of the plan's",
					 array->dir, (long long)run);
		array->run[i] = (uint64_t)run;
	}
	return 0;
}

static json_t *load_json(const char *dir, struct err *err)
{
	char path[PATH_MAX];
	json_error_t why;

	snprintf(path, sizeof path, "%.*s/array.json", PATH_MAX - 16, dir);
	json_t *o = json_load_file(path, 0, &why);
	if (!o)
		err_input(err, "%s: %s", path, why.text);
	return o;
}

int array_load(const struct sweep *s, const char *name, struct array *array, struct err *err)
{
	*array = (struct array){0};
	int rc = set_dir(array, s, name, err);
	if (rc)
		return rc;
	json_t *o = load_json(array->dir, err);
	if (!o)
		return -EINVAL;
	rc = read_runs(json_object_get(o, "runs"), s->plan->runs, array, err);
	json_int_t tasks = json_integer_value(json_object_get(o, "tasks"));
	if (rc == 0 && (tasks < 1 || (size_t)tasks > array->runs))
		rc = err_input(err, "%s/array.json: %lld tasks for %zu runs", array->dir,
			       (long long)tasks, array->runs);
	array->tasks = rc ? 0 : (size_t)tasks;
	if (rc == 0 && make_tables(array))
		rc = no_memory(err);
	json_decref(o);
	if (rc)
		array_release(array);
	return rc;
}

void array_release(struct array *array)
{
	free(array->run);
	free(array->offset);
	free(array->state);
	array->run = NULL;
	array->offset = NULL;
	array->state = NULL;
}

static void task_path(const char *dir, size_t task, const char *suffix, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.*s/%zu.%s", PATH_MAX - 32, dir, task, suffix);
}

/* What is behind offset, up to the last whole line; NULL: nothing. The caller's to free. */
static char *read_lines(const char *path, size_t offset, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text = NULL;

	*size = 0;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size > offset) {
		size_t room = (size_t)st.st_size - offset;
		text = malloc(room + 1);
		if (text && os_read_at(&os_io, fd, text, room, offset) == 0)
			*size = room;
	}
	close(fd);
	while (*size > 0 && text[*size - 1] != '\n')
		--*size;
	if (text)
		text[*size] = '\0';
	return text;
}

/* Calls fn for each record of a task's file from *offset on, which moves. */
typedef int record_fn(void *arg, const struct record *record, struct err *err);

static int each_record(const char *path, size_t *offset, uint64_t runs, record_fn *fn, void *arg,
		       struct err *err)
{
	struct record record;
	struct err why;
	size_t size;
	char *text = read_lines(path, *offset, &size), *line = text;
	int rc = 0;

	while (rc == 0 && text && line < text + size) {
		char *end = strchr(line, '\n');
		if (!end)
			break;
		/* A line that is none (a crash of the machine left zeros) counts for nothing. */
		if (record_read(line, (size_t)(end - line), runs, &record, &why) == 0)
			rc = fn(arg, &record, err);
		record_release(&record);
		line = end + 1;
	}
	if (rc == 0)
		*offset += size;
	free(text);
	return rc;
}

struct taking {
	struct sweep *sweep;
	size_t n;
};

static int take(void *arg, const struct record *record, struct err *err)
{
	struct taking *t = arg;

	t->n++;
	return sweep_take(t->sweep, record, err);
}

int array_collect(struct array *array, struct sweep *s, size_t *n, struct err *err)
{
	struct taking t = {.sweep = s};
	char path[PATH_MAX];
	int rc = 0;

	for (size_t task = 0; rc == 0 && task < array->tasks; task++) {
		task_path(array->dir, task, "jsonl", path);
		rc = each_record(path, &array->offset[task], s->plan->runs, take, &t, err);
	}
	*n = t.n;
	return rc;
}

/* The last line that a task complained with, "" for none. */
static void complaint(const char *dir, size_t task, char *buf, size_t size)
{
	char path[PATH_MAX], line[512];

	buf[0] = '\0';
	task_path(dir, task, "err", path);
	FILE *in = fopen(path, "re");
	if (!in)
		return;
	while (fgets(line, sizeof line, in)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line)
			snprintf(buf, size, ": %.*s", (int)size - 3, line);
	}
	fclose(in);
}

int array_give_up(const struct array *array, struct sweep *s, struct err *err)
{
	struct record record;
	char why[400];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < array->runs; i++) {
		size_t task = i % array->tasks;
		if (sweep_is_done(s, array->run[i]))
			continue;
		complaint(array->dir, task, why, sizeof why);
		record_lost(array->run[i], &record,
			    "task %zu of job array %s ended without a result (Slurm: %s)%s", task,
			    array->name, *array->state[task] ? array->state[task] : "unknown", why);
		rc = sweep_take(s, &record, err);
	}
	return rc;
}

void array_remove(const struct array *array)
{
	DIR *dir = opendir(array->dir);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.' || entry->d_type == DT_REG)
			(void)!unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	rmdir(array->dir);
}
