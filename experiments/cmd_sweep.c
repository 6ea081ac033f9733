/* ballast sweep: a job at every point of a grid, its seeds, and what comes of it. */
#include "experiments/cmds.h"
#include "experiments/outdir.h"
#include "experiments/parallel.h"
#include "experiments/sweep.h"
#include "experiments/sweep_array.h"
#include "experiments/sweep_figure.h"
#include "experiments/sweep_ready.h"
#include "experiments/sweep_slurm.h"
#include "experiments/sweep_tell.h"

#include "core/file.h"
#include "core/parse.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define POINTS_SHOWN 60

enum {
	KEY_PARTITION = 256,
	KEY_TIME,
	KEY_ARRAY_SIZE,
	KEY_TASK,
	KEY_FORCE
}; /* options of no letter */

struct sweep_args {
	struct plan_args plan;
	struct sweep_choice choice;
	struct metrics metrics;
	const char *pareto_text;
	struct pareto pareto;
	size_t shown, workers; /* shown: metrics; the rest are the Pareto front's */
	bool json, dry, slurm, list, force, array_size_given;
	struct ready ready; /* of @NAME */
	struct slurm_opts cluster;
	const char *task;
	struct err err; /* of an option's value */
};

static error_t count(const struct argp_state *state, const char *what, const char *arg, int64_t max,
		     int64_t *value)
{
	struct err err;

	if (parse_int(arg, value, &err) == 0 && *value >= 1 && *value <= max)
		return 0;
	return cmd_usage(state, "%s %.40s: write a number from 1 to %lld", what, arg,
			 (long long)max);
}

static error_t set_number(struct sweep_args *a, int key, const char *arg,
			  const struct argp_state *state)
{
	int64_t value = 1;
	error_t rc;

	switch (key) {
	case 'n':
		rc = count(state, "--seeds", arg, 100000, &value);
		a->plan.seeds = (uint32_t)value;
		return rc;
	case 'J':
		rc = count(state, "--jobs", arg, 256, &value);
		a->workers = (size_t)value;
		return rc;
	default:
		a->array_size_given = true;
		rc = count(state, "--array-size", arg, 1000000, &value);
		a->cluster.array_size = (size_t)value;
		return rc;
	}
}

static void append(const char *const **list, size_t *n, const char *word)
{
	((const char **)*list)[(*n)++] = word; /* room for every argument is there */
}

static error_t parse_list(struct sweep_args *a, int key, const char *arg,
			  const struct argp_state *state)
{
	switch (key) {
	case 's':
		append(&a->plan.set, &a->plan.sets, arg);
		return 0;
	case 'v':
		append(&a->plan.vary, &a->plan.varied, arg);
		return 0;
	case 'P':
		append(&a->plan.pin, &a->plan.pins, arg);
		return 0;
	case 'p':
		a->pareto_text = arg;
		return 0;
	default:
		if (metrics_add(&a->metrics, arg, &a->err) == 0)
			return 0;
		return cmd_usage(state, "%s", a->err.msg);
	}
}

/* What only a cluster has. */
static error_t parse_cluster(struct sweep_args *a, int key, const char *arg)
{
	switch (key) {
	case 'S':
		a->slurm = true;
		return 0;
	case KEY_PARTITION:
		a->cluster.partition = arg;
		return 0;
	case KEY_TIME:
		a->cluster.time = arg;
		return 0;
	case KEY_TASK:
		a->task = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* What only means something along with something else. */
static error_t check_together(const struct sweep_args *a, const struct argp_state *state)
{
	const char *of_job = a->plan.varied ? "vary"
			     : a->plan.sets ? "set"
			     : a->plan.pins ? "pin"
			     : a->dry	    ? "dry-run"
					    : NULL;

	if (a->task || a->list)
		return 0;
	if (!a->plan.job && !a->choice.resume)
		return cmd_usage(state, "which job file, or @NAME of those that --list has?");
	if (!a->plan.job && of_job)
		return cmd_usage(state, "--%s is of a job: give that, too", of_job);
	if (!a->slurm && (a->cluster.partition || a->cluster.time || a->array_size_given))
		return cmd_usage(state, "--%s is of a job array: it needs --slurm",
				 a->cluster.partition ? "partition"
				 : a->cluster.time    ? "time"
						      : "array-size");
	return 0;
}

static error_t parse_sweep(int key, char *arg, struct argp_state *state)
{
	struct sweep_args *a = state->input;

	switch (key) {
	case 's':
	case 'v':
	case 'P':
	case 'm':
	case 'p':
		return parse_list(a, key, arg, state);
	case 'n':
	case 'J':
	case KEY_ARRAY_SIZE:
		return set_number(a, key, arg, state);
	case 'o':
		a->choice.dir = arg;
		return 0;
	case 'r':
		a->choice.resume = true;
		return 0;
	case 't':
		a->choice.resume = a->choice.retry = true;
		return 0;
	case 'd':
		a->dry = true;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case 'l':
		a->list = true;
		return 0;
	case KEY_FORCE:
		a->force = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->plan.job)
			return cmd_usage(state, "one job at a time; what is '%s'?", arg);
		a->plan.job = arg;
		return 0;
	case ARGP_KEY_END:
		return check_together(a, state);
	default:
		return parse_cluster(a, key, arg);
	}
}

static const struct argp_option sweep_options[] = {
	{"vary", 'v', "KEY=VALUES", 0,
	 "An axis: a list (a,b,c), a range (from:to:step, from:to:*factor) or both", 0},
	{"seeds", 'n', "N", 0, "Run every point under so many seeds (default: 1)", 0},
	{"pin", 'P', "KEY", 0, "A seed that stays as the job says, e.g. --pin gen.a.seed", 0},
	{"set", 's', "KEY=VALUE", 0, "Set a key of the job for all runs", 0},
	{"output", 'o', "DIR", 0, "Keep results.sqlite and the figures there (default: sweep)", 0},
	{"resume", 'r', NULL, 0, "Go on with the sweep in DIR; more --seeds are added to it", 0},
	{"retry", 't', NULL, 0, "Go on as --resume does, and run again what failed", 0},
	{"jobs", 'J', "N", 0, "Workers at a time (default: one for each core)", 0},
	{"metric", 'm', "NAME", 0,
	 "What to show: host.NAME, vm.a.NAME, vm.*.NAME (the sum), or a ratio of two, A/B "
	 "(default: vm.*.faults and host.time_ns)",
	 0},
	{"pareto", 'p', "A,B", 0,
	 "Draw two metrics against each other; a '+' before one that is better the larger", 0},
	{"dry-run", 'd', NULL, 0, "Show what would run, and run nothing", 0},
	{"force", KEY_FORCE, NULL, 0, "Write to DIR even if it holds other things than results", 0},
	{"list", 'l', NULL, 0, "Name the sweeps that come with the program, and run none", 0},
	{"json", 'j', NULL, 0, "Print one JSON object", 0},
	{"slurm", 'S', NULL, 0, "Run as a Slurm job array; --jobs is then the workers of a task",
	 1},
	{"partition", KEY_PARTITION, "NAME", 0, "With --slurm: where to run", 1},
	{"time", KEY_TIME, "LIMIT", 0, "With --slurm: of a task, as sbatch takes it", 1},
	{"array-size", KEY_ARRAY_SIZE, "N", 0,
	 "With --slurm: tasks, each of which does its part of the runs (default: 1000 at most)", 1},
	{"task", KEY_TASK, "DIR", OPTION_HIDDEN, "One task of a job array", 1},
	{0},
};

static const struct argp sweep_argp = {
	.options = sweep_options,
	.parser = parse_sweep,
	.args_doc = "JOB|@NAME",
	.doc = "Runs a job at every point of a grid, or a sweep that comes with the program, and "
	       "shows what comes of it."
	       "\vResults are in DIR/results.sqlite as they come; a sweep that was stopped, by "
	       "whatever, goes on with --resume. A run that fails is recorded and stops no other; "
	       "the exit code is then 1.\n\n"
	       "Example:\n"
	       "  ballast sweep experiments/jobs/replay.job -s vm.a.trace=web.bt \\\n"
	       "      --vary swap.victim=lru,clock,fifo --vary host.memory=2mb:16mb:2mb\n"
	       "  ballast sweep @overcommit -o overcommit",
};

static void print_plan(const struct plan *plan, const struct sweep_args *a)
{
	char text[300];

	for (size_t i = 0; i < plan->axes; i++)
		printf("axis %s: %zu value%s, %s%s%s\n", plan->axis[i].key, plan->axis[i].n,
		       plan->axis[i].n == 1 ? "" : "s", plan->axis[i].text[0],
		       plan->axis[i].n > 1 ? " to " : "",
		       plan->axis[i].n > 1 ? plan->axis[i].text[plan->axis[i].n - 1] : "");
	printf("%llu points, %u seed%s each: %llu runs by %zu workers into %s\n",
	       (unsigned long long)plan->points, plan->seeds, plan->seeds == 1 ? "" : "s",
	       (unsigned long long)plan->runs, a->workers ? a->workers : parallel_cores(),
	       a->choice.dir);
	for (uint64_t p = 0; p < plan->points && p < POINTS_SHOWN; p++) {
		plan_point_text(plan, p, text, sizeof text);
		printf("%6llu  %s\n", (unsigned long long)p * plan->seeds, text);
	}
	if (plan->points > POINTS_SHOWN)
		printf("... and %llu more points\n",
		       (unsigned long long)(plan->points - POINTS_SHOWN));
}

/* What would run; nothing is written. */
static int dry_run(const struct sweep_args *a, const struct plan *plan)
{
	if (a->json) {
		json_t *points = json_array();
		for (uint64_t p = 0; p < plan->points; p++)
			json_array_append_new(points, plan_point_json(plan, p));
		cmd_print_json(json_pack("{s:I, s:I, s:O, s:o}", "runs", (json_int_t)plan->runs,
					 "points", (json_int_t)plan->points, "plan", plan->told,
					 "grid", points));
	} else {
		print_plan(plan, a);
	}
	return 0;
}

/* The signals that stop a sweep, as a descriptor. */
static int catch_signals(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, old);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Ends as the signal that stopped the sweep does, once all is put away. */
static void end_by_signal(int fd, const sigset_t *old)
{
	struct signalfd_siginfo info;
	bool stopped = read(fd, &info, sizeof info) == sizeof info;

	close(fd);
	if (stopped) {
		raise((int)info.ssi_signo); /* pending until it is let through */
		sigprocmask(SIG_SETMASK, old, NULL);
	}
	sigprocmask(SIG_SETMASK, old, NULL);
}

static int go(const struct sweep_args *a, struct sweep *s, int stop, struct err *err)
{
	progress_start(&s->progress, a->slurm ? "slurm" : "sweep", "runs");
	int rc = a->slurm ? sweep_slurm(s, &a->cluster, stop, err) : sweep_slurm_leftovers(s, err);
	if (rc == 0 && !a->slurm)
		rc = sweep_local(s, a->workers, stop, err);
	progress_end(&s->progress);
	return rc;
}

/* Signals are caught before there is a lock that one could leave behind. */
static int open_and_go(const struct sweep_args *a, struct plan *plan, struct sweep *s,
		       struct err *err)
{
	sigset_t old;
	int stop = catch_signals(&old), rc = sweep_open(&a->choice, plan, s, err);

	if (rc == 0) {
		s->metrics = a->metrics.metric;
		s->n_metrics = a->metrics.n;
		rc = go(a, s, stop, err);
	}
	if (rc == -EINTR) {
		fprintf(stderr,
			"ballast: stopped; %llu of %llu runs are done: go on with 'ballast "
			"sweep --resume -o %s'\n",
			(unsigned long long)s->ended, (unsigned long long)s->plan->runs, s->dir);
		sweep_close(s);
		end_by_signal(stop, &old);
		return err_run(err, EINTR, "stopped by a signal");
	}
	close(stop);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static int sweep(struct sweep_args *a, struct plan *plan, uint64_t *missed, struct err *err)
{
	struct sweep s = {.plan = plan, .lock_fd = -1};
	int rc = a->slurm ? sweep_slurm_there(err) : 0; /* before a folder is made for nothing */

	if (rc == 0)
		rc = open_and_go(a, plan, &s, err);
	if (rc == 0)
		rc = sweep_tell(
			&s,
			&(struct sweep_telling){.metrics = &a->metrics,
						.shown = a->shown,
						.pareto = a->pareto_text ? &a->pareto : NULL,
						.json = a->json,
						.ready = a->ready.entry},
			missed, err);
	if (rc == 0 && s.failed)
		rc = err_run(err, EIO, "%llu of %llu runs failed", (unsigned long long)s.failed,
			     (unsigned long long)s.plan->runs);
	sweep_close(&s);
	return rc;
}

/* "swap.victim=lru,clock x host.frames=1500:6000:1500, 5 seeds" */
static void print_axes(const json_t *ready)
{
	const json_t *vary = json_object_get(ready, "vary");

	printf("%16s", "");
	for (size_t i = 0; i < json_array_size(vary); i++)
		printf("%s%s", i ? " x " : "", json_string_value(json_array_get(vary, i)));
	printf(", %lld seeds\n", (long long)json_integer_value(json_object_get(ready, "seeds")));
}

static int list(const struct sweep_args *a, struct err *err)
{
	json_t *all = ready_all(err);

	if (!all)
		return -EIO;
	if (a->json) {
		cmd_print_json(all);
		return 0;
	}
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *o = json_array_get(all, i);
		printf("@%-14s %s\n", json_string_value(json_object_get(o, "name")),
		       json_string_value(json_object_get(o, "question")));
		print_axes(o);
	}
	json_decref(all);
	return 0;
}

/* What Slurm starts: which part it is, the environment says. */
static int run_task(const char *dir, struct err *err)
{
	const char *text = getenv("SLURM_ARRAY_TASK_ID");
	int64_t task;

	if (!text || parse_int(text, &task, NULL) || task < 0)
		return err_input(err, "--task is for Slurm, which sets SLURM_ARRAY_TASK_ID");
	return array_task(dir, (size_t)task, err);
}

static int run_command(struct sweep_args *a, uint64_t *missed, struct err *err)
{
	struct plan *plan = NULL;
	bool made = false;

	if (a->task)
		return run_task(a->task, err);
	a->cluster.workers = a->workers;
	int rc = a->plan.job ? plan_new(&a->plan, &plan, err) : 0;

	if (rc)
		return rc;
	if (a->dry && plan) {
		dry_run(a, plan);
		plan_free(plan);
		return 0;
	}
	if (!a->force)
		rc = outdir_check(a->choice.dir, err);
	if (rc == 0)
		rc = outdir_make(a->choice.dir, &made, err);
	if (rc) {
		plan_free(plan);
		return rc;
	}
	rc = sweep(a, plan, missed, err);
	outdir_drop(a->choice.dir, made);
	return rc;
}

/* What was left out comes from a ready sweep, or is the default. */
static int prepare(struct sweep_args *a, struct err *err)
{
	int rc = 0;

	a->choice.seeds = a->plan.seeds; /* of a sweep that goes on: none said, none added */
	if (a->plan.job && *a->plan.job == '@')
		rc = ready_find(a->plan.job + 1, &a->plan, &a->metrics, &a->ready, err);
	if (a->plan.seeds == 0)
		a->plan.seeds = 1;
	if (a->metrics.n == 0)
		metrics_default(&a->metrics);
	a->shown = a->metrics.n;
	if (!a->pareto_text)
		a->pareto_text = a->ready.pareto;
	if (rc == 0 && a->pareto_text)
		rc = pareto_parse(a->pareto_text, &a->metrics, &a->pareto, err);
	return rc;
}

int cmd_sweep(int argc, char **argv)
{
	const char **words = calloc(3 * (size_t)argc, sizeof *words);
	struct sweep_args a = {.choice = {.dir = "sweep"}, .cluster = {.array_size = 1000}};
	struct err err = {0};
	uint64_t missed = 0;

	if (!words) {
		err_run(&err, ENOMEM, "no memory");
		return cmd_fail(&err);
	}
	a.plan.set = words;
	a.plan.vary = words + argc;
	a.plan.pin = words + 2 * argc;
	int rc = cmd_parse(&sweep_argp, argc, argv, &a);
	if (rc == 0) {
		rc = a.list ? list(&a, &err) : prepare(&a, &err);
		if (rc == 0 && !a.list)
			rc = run_command(&a, &missed, &err);
		rc = rc ? cmd_fail(&err) : missed ? EXIT_MISSED : 0;
		ready_release(&a.ready);
	}
	free(words);
	return rc;
}
