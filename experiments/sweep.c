#include "experiments/sweep.h"

#include "experiments/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One leader to a folder. Such a lock dies with its process and is not the workers'. */
static int lock(struct sweep *s, struct err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/.lock", s->dir) >= (int)sizeof path)
		return err_input(err, "%s: the path is too long", s->dir);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (s->lock_fd < 0)
		return err_run(err, errno, "%s: cannot write there: %s", s->dir, strerror(errno));
	if (fcntl(s->lock_fd, F_SETLK, &lock) == 0)
		return 0;
	pid_t who =
		fcntl(s->lock_fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
	close(s->lock_fd);
	s->lock_fd = -1;
	return err_run(err, EBUSY, "%s: process %ld is sweeping there", s->dir, (long)who);
}

static void unlock(struct sweep *s)
{
	char path[PATH_MAX];

	if (s->lock_fd < 0)
		return;
	if (snprintf(path, sizeof path, "%s/.lock", s->dir) < (int)sizeof path)
		unlink(path);
	close(s->lock_fd);
}

static void mark(struct sweep *s, uint64_t run)
{
	s->done[run / 8] |= (uint8_t)(1u << run % 8);
}

bool sweep_is_done(const struct sweep *sweep, uint64_t run)
{
	return sweep->done[run / 8] >> run % 8 & 1;
}

struct looking {
	struct sweep *sweep;
	bool retry;
};

static int look(void *arg, const struct record *row, struct err *err)
{
	struct looking *l = arg;

	if (row->run >= l->sweep->plan->runs)
		return err_run(err, EUCLEAN, "%s: has a run %llu of %llu", l->sweep->dir,
			       (unsigned long long)row->run,
			       (unsigned long long)l->sweep->plan->runs);
	if (row->failed && l->retry)
		return 0;
	mark(l->sweep, row->run);
	l->sweep->ended++;
	l->sweep->failed += row->failed;
	return 0;
}

/* A plan given along tells what is kept, but for the seeds; the version is what it was. */
static int compare_plan(const struct sweep *s, const json_t *kept, struct err *err)
{
	int rc = s->plan ? plan_same(kept, s->plan->told, err) : plan_same_version(kept, err);

	if (rc && s->plan) {
		err_prefix(err, "%s holds another sweep", s->dir);
		size_t used = strlen(err->msg);
		snprintf(err->msg + used, sizeof err->msg - used,
			 ": give another -o, or --resume without a job");
	}
	return rc;
}

/* So many seeds instead, which must be no fewer. */
static int add_seeds(const struct sweep *s, json_t *kept, uint32_t seeds, struct err *err)
{
	json_int_t there = json_integer_value(json_object_get(kept, "seeds"));

	if (seeds < there)
		return err_input(err,
				 "%s: has %lld seeds, and --seeds %u would leave out runs: give as "
				 "many or more",
				 s->dir, (long long)there, seeds);
	return json_object_set_new(kept, "seeds", json_integer(seeds))
		       ? err_run(err, ENOMEM, "no memory for a sweep")
		       : 0;
}

/* More seeds give the runs other numbers, which those of a job array must not meet. */
static int grow(const struct sweep *s, uint32_t from, struct err *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/slurm", s->dir) < (int)sizeof path &&
	    access(path, F_OK) == 0)
		return err_input(err,
				 "%s: has a job array of Slurm: take what that did by --resume, "
				 "then add seeds",
				 s->dir);
	return sweep_db_grow(s->db, s->plan, from, err);
}

/* The plan that is kept takes the place of the one given, with more seeds if so chosen. */
static int settle_plan(struct sweep *s, const struct sweep_choice *choice, struct err *err)
{
	json_t *kept = sweep_db_plan(s->db, err);
	bool hashed = s->plan; /* the traces, when the plan given was made */
	struct plan *old = NULL;

	if (!kept)
		return -EIO;
	int rc = compare_plan(s, kept, err);
	if (rc == 0)
		rc = plan_from(kept, &old, err);
	if (rc == 0 && choice->seeds)
		rc = add_seeds(s, kept, choice->seeds, err);
	plan_free(s->plan);
	s->plan = NULL;
	if (rc == 0)
		rc = plan_from(kept, &s->plan, err);
	if (rc == 0 && !hashed)
		rc = plan_check_traces(s->plan, err);
	if (rc == 0 && s->plan->seeds > old->seeds)
		rc = grow(s, old->seeds, err);
	plan_free(old);
	json_decref(kept);
	return rc;
}

static int open_results(struct sweep *s, const struct sweep_choice *choice, struct err *err)
{
	struct looking l = {s, choice->retry};
	bool there = sweep_db_there(s->dir);

	if (there && !choice->resume)
		return err_input(err,
				 "%s: holds a sweep already: --resume goes on with it, -o DIR "
				 "begins another",
				 s->dir);
	if (!there && !s->plan)
		return err_input(err, "%s: holds no sweep to resume: give its job and --vary",
				 s->dir);
	int rc = there ? sweep_db_open(s->dir, true, &s->db, err)
		       : sweep_db_create(s->dir, s->plan, &s->db, err);
	if (rc == 0 && there)
		rc = settle_plan(s, choice, err);
	if (rc)
		return rc;
	s->done = calloc(s->plan->runs / 8 + 1, 1);
	if (!s->done)
		return err_run(err, ENOMEM, "no memory for a sweep");
	return sweep_db_each(s->db, false, look, &l, err);
}

int sweep_open(const struct sweep_choice *choice, struct plan *plan, struct sweep *sweep,
	       struct err *err)
{
	*sweep = (struct sweep){.dir = choice->dir, .plan = plan, .lock_fd = -1};
	int rc = lock(sweep, err);
	if (rc == 0)
		rc = open_results(sweep, choice, err);
	if (rc) {
		sweep_close(sweep);
		return rc;
	}
	sweep->before = sweep->ended;
	return 0;
}

void sweep_close(struct sweep *sweep)
{
	sweep_db_close(sweep->db);
	unlock(sweep);
	plan_free(sweep->plan);
	free(sweep->done);
	*sweep = (struct sweep){.lock_fd = -1};
}

bool sweep_next(struct sweep *sweep, uint64_t *run)
{
	while (sweep->cursor < sweep->plan->runs && sweep_is_done(sweep, sweep->cursor))
		sweep->cursor++;
	*run = sweep->cursor;
	return sweep->cursor++ < sweep->plan->runs;
}

/* The first summary tells whether the metrics asked for are there. */
static int check_metrics(struct sweep *s, const struct record *r, struct err *err)
{
	double value;
	int rc = 0;

	if (s->checked || !r->summary)
		return 0;
	s->checked = true;
	for (size_t i = 0; rc == 0 && i < s->n_metrics; i++)
		rc = metric_value(&s->metrics[i], r->summary, &value, err);
	return rc;
}

int sweep_take(struct sweep *sweep, const struct record *record, struct err *err)
{
	if (sweep_is_done(sweep, record->run))
		return 0;
	int rc = sweep_db_put(sweep->db, sweep->plan, record, err);
	if (rc)
		return rc;
	mark(sweep, record->run);
	sweep->ended++;
	sweep->failed += record->failed;
	progress_update(&sweep->progress, sweep->ended - sweep->before,
			sweep->plan->runs - sweep->before);
	return check_metrics(sweep, record, err);
}

static bool next(void *arg, uint64_t *task)
{
	return sweep_next(arg, task);
}

static void work(void *arg, uint64_t run, FILE *answer)
{
	const struct sweep *s = arg;
	struct record record;

	record_run(s->plan, run, &record);
	if (record_write(&record, answer))
		_exit(1); /* told by the leader */
}

static int ended(void *arg, uint64_t run, const char *answer, size_t size, const char *death,
		 struct err *err)
{
	struct sweep *s = arg;
	struct record record;
	struct err why;

	if (death)
		record_lost(run, &record, "the worker died: %s", death);
	else if (record_read(answer, size, s->plan->runs, &record, &why) || record.run != run)
		record_lost(run, &record, "the worker sent no result");
	int rc = sweep_take(s, &record, err);
	record_release(&record);
	return rc;
}

int sweep_local(struct sweep *sweep, size_t workers, int stop_fd, struct err *err)
{
	struct pool_tasks tasks = {.workers = workers,
				   .next = next,
				   .work = work,
				   .ended = ended,
				   .arg = sweep,
				   .stop_fd = stop_fd};

	sweep->cursor = 0;
	return pool_run(&tasks, err);
}
