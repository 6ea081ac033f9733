/* ballast sweep: a job at every point of a grid, its seeds, and what comes of it. */
#include "experiments/cmds.h"
#include "experiments/outdir.h"
#include "experiments/parallel.h"
#include "experiments/sweep.h"
#include "experiments/sweep_array.h"
#include "experiments/sweep_figure.h"
#include "experiments/sweep_slurm.h"

#include "core/file.h"
#include "core/parse.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define POINTS_SHOWN   60
#define FAILURES_SHOWN 20

enum { KEY_PARTITION = 256, KEY_TIME, KEY_ARRAY_SIZE, KEY_TASK }; /* options of no letter */

struct sweep_args {
	struct plan_args plan;
	struct sweep_choice choice;
	struct metrics metrics;
	const char *pareto_text;
	struct pareto pareto;
	size_t shown, workers; /* shown: metrics; the rest are the Pareto front's */
	bool json, dry, slurm;
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
	case ARGP_KEY_ARG:
		if (a->plan.job)
			return cmd_usage(state, "one job at a time; what is '%s'?", arg);
		a->plan.job = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->plan.job && !a->choice.resume && !a->task)
			return cmd_usage(state, "which job file?");
		return 0;
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
	{"resume", 'r', NULL, 0, "Go on with the sweep in DIR", 0},
	{"retry", 't', NULL, 0, "The same, and run again what failed", 0},
	{"jobs", 'J', "N", 0, "Workers at a time (default: one for each core)", 0},
	{"metric", 'm', "NAME", 0,
	 "What to show: host.NAME, vm.a.NAME, vm.*.NAME (the sum), or a ratio of two, A/B "
	 "(default: vm.*.faults and host.time_ns)",
	 0},
	{"pareto", 'p', "A,B", 0,
	 "Draw two metrics against each other; a '+' before one that is better the larger", 0},
	{"dry-run", 'd', NULL, 0, "Show what would run, and run nothing", 0},
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
	.args_doc = "JOB",
	.doc = "Runs a job at every point of a grid and shows what comes of it."
	       "\vResults are in DIR/results.sqlite as they come; a sweep that was stopped, by "
	       "whatever, goes on with --resume. A run that fails is recorded and stops no other; "
	       "the exit code is then 1.\n\n"
	       "Example:\n"
	       "  ballast sweep experiments/jobs/replay.job -s vm.a.trace=web.bt \\\n"
	       "      --vary swap.victim=lru,clock,fifo --vary host.memory=2mb:16mb:2mb",
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

static void print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

/* What would run; nothing is written. */
static int dry_run(const struct sweep_args *a, const struct plan *plan)
{
	if (a->json) {
		json_t *points = json_array();
		for (uint64_t p = 0; p < plan->points; p++)
			json_array_append_new(points, plan_point_json(plan, p));
		print_json(json_pack("{s:I, s:I, s:O, s:o}", "runs", (json_int_t)plan->runs,
				     "points", (json_int_t)plan->points, "plan", plan->told, "grid",
				     points));
	} else {
		print_plan(plan, a);
	}
	return 0;
}

struct failures {
	const struct plan *plan;
	json_t *json;
	uint64_t shown, all;
};

static int tell_failure(void *arg, const struct record *row, struct err *err)
{
	struct failures *f = arg;
	char point[300];

	(void)err;
	if (!row->failed)
		return 0;
	plan_point_text(f->plan, plan_point(f->plan, row->run), point, sizeof point);
	f->all++;
	if (f->shown < FAILURES_SHOWN) {
		f->shown++;
		fprintf(stderr, "ballast: run %llu (%s seed %u) failed: %s\n",
			(unsigned long long)row->run, point, plan_seed(f->plan, row->run),
			row->error);
	}
	json_array_append_new(
		f->json, json_pack("{s:I, s:o, s:i, s:s}", "run", (json_int_t)row->run, "point",
				   plan_point_json(f->plan, plan_point(f->plan, row->run)), "seed",
				   (int)plan_seed(f->plan, row->run), "error", row->error));
	return 0;
}

/* Names each run that failed; the rest is done. */
static int tell_failures(struct sweep *s, json_t *all, struct err *err)
{
	struct failures f = {.plan = s->plan, .json = all};
	int rc = sweep_db_each(s->db, false, tell_failure, &f, err);

	if (rc == 0 && f.all > f.shown)
		fprintf(stderr,
			"ballast: and %llu more; sqlite3 %s/results.sqlite \"select * from "
			"runs where state = 'failed'\" lists them\n",
			(unsigned long long)(f.all - f.shown), s->dir);
	return rc;
}

static void print_results(const struct sweep_args *a, const struct sweep *s,
			  const struct table *table, const json_t *files)
{
	table_print(table, POINTS_SHOWN);
	printf("%llu runs done, %llu failed: %s/results.sqlite, %s/points.csv\n",
	       (unsigned long long)table->done, (unsigned long long)table->failed, s->dir, s->dir);
	for (size_t i = 2; i < json_array_size(files); i += 4)
		printf("%s/%s\n", a->choice.dir, json_string_value(json_array_get(files, i)));
}

static int draw(const struct sweep_args *a, const struct table *table, json_t *files,
		struct err *err)
{
	int rc = figure_metrics(table, a->shown, a->choice.dir, files, err);

	if (rc == 0 && a->pareto_text)
		rc = figure_pareto(table, &a->pareto, a->choice.dir, files, err);
	return rc;
}

/* Without a gnuplot the rest is there all the same. */
static int tell_results(const struct sweep_args *a, struct sweep *s, struct err *err)
{
	json_t *failures = json_array(), *files = json_array();
	struct table table;

	int rc = table_load(s->db, s->plan, &a->metrics, &table, err);
	if (rc == 0) {
		rc = table_csv(&table, s->dir, err);
		if (rc == 0)
			rc = tell_failures(s, failures, err);
		int drawn = rc ? 0 : draw(a, &table, files, err);
		if (rc == 0 && a->json)
			print_json(json_pack("{s:s, s:I, s:I, s:I, s:O, s:o, s:O}", "dir", s->dir,
					     "runs", (json_int_t)s->plan->runs, "done",
					     (json_int_t)table.done, "failed",
					     (json_int_t)table.failed, "failures", failures,
					     "points", table_json(&table), "files", files));
		else if (rc == 0)
			print_results(a, s, &table, files);
		rc = rc ? rc : drawn;
		table_release(&table);
	}
	json_decref(failures);
	json_decref(files);
	return rc;
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

static int go(const struct sweep_args *a, struct sweep *s, struct err *err)
{
	sigset_t old;
	int stop = catch_signals(&old);

	progress_start(&s->progress, a->slurm ? "slurm" : "sweep", "runs");
	int rc = a->slurm ? sweep_slurm(s, &a->cluster, stop, err) : sweep_slurm_leftovers(s, err);
	if (rc == 0 && !a->slurm)
		rc = sweep_local(s, a->workers, stop, err);
	progress_end(&s->progress);
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

static int sweep(struct sweep_args *a, struct plan *plan, struct err *err)
{
	struct sweep s;
	int rc = sweep_open(&a->choice, plan, &s, err);

	if (rc)
		return rc;
	s.metrics = a->metrics.metric;
	s.n_metrics = a->metrics.n;
	rc = go(a, &s, err);
	if (rc == 0)
		rc = tell_results(a, &s, err);
	if (rc == 0 && s.failed)
		rc = err_run(err, EIO, "%llu of %llu runs failed", (unsigned long long)s.failed,
			     (unsigned long long)s.plan->runs);
	sweep_close(&s);
	return rc;
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

static int run_command(struct sweep_args *a, struct err *err)
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
	rc = outdir_make(a->choice.dir, &made, err);
	if (rc) {
		plan_free(plan);
		return rc;
	}
	rc = sweep(a, plan, err);
	outdir_drop(a->choice.dir, made);
	return rc;
}

int cmd_sweep(int argc, char **argv)
{
	const char **words = calloc(3 * (size_t)argc, sizeof *words);
	struct sweep_args a = {
		.plan = {.seeds = 1}, .choice = {.dir = "sweep"}, .cluster = {.array_size = 1000}};
	struct err err = {0};

	if (!words) {
		err_run(&err, ENOMEM, "no memory");
		return cmd_fail(&err);
	}
	a.plan.set = words;
	a.plan.vary = words + argc;
	a.plan.pin = words + 2 * argc;
	int rc = cmd_parse(&sweep_argp, argc, argv, &a);
	if (rc == 0) {
		if (a.metrics.n == 0)
			metrics_default(&a.metrics);
		a.shown = a.metrics.n;
		if (a.pareto_text)
			rc = pareto_parse(a.pareto_text, &a.metrics, &a.pareto, &err);
		if (rc == 0)
			rc = run_command(&a, &err);
		rc = rc ? cmd_fail(&err) : 0;
	}
	free(words);
	return rc;
}
