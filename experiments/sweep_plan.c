#include "experiments/sweep_plan.h"

#include "experiments/kinds.h"
#include "experiments/provenance.h"
#include "experiments/sections.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEY_MAX	  128
#define VALUE_MAX 4096

static int no_memory(struct err *err)
{
	return err_run(err, ENOMEM, "no memory for a sweep");
}

/* Calls fn for every key of the job: "host.seed", "vm.a.memory". */
typedef int key_fn(void *arg, const char *key, const struct opt *opt, const void *options,
		   struct err *err);

static int each_key(const struct job *job, key_fn *fn, void *arg, struct err *err)
{
	char key[KEY_MAX];
	int rc = 0;

	for (size_t s = 0; job_sections[s]; s++) {
		const struct opt_section *section = job_sections[s];
		for (size_t i = 0; i < job_count(job, section); i++) {
			const char *title = job_title(job, section, i);
			const void *options = job_titled(job, section, i);
			for (const struct opt *opt = section->opts; rc == 0 && opt->name; opt++) {
				snprintf(key, sizeof key, "%s%s%s.%s", section->name,
					 title ? "." : "", title ? title : "", opt->name);
				rc = fn(arg, key, opt, options, err);
			}
		}
	}
	return rc;
}

struct telling {
	const struct job *job;
	json_t *into;
	const struct plan_args *args; /* seeds: what is pinned */
	const struct plan *plan;      /* seeds: what is varied */
};

/* What the job gives; defaults are the version's. */
static int tell_key(void *arg, const char *key, const struct opt *opt, const void *options,
		    struct err *err)
{
	struct telling *t = arg;
	char text[VALUE_MAX];

	if (strcmp(job_where(t->job, options, opt->name), "default") == 0)
		return 0;
	if (opt_format(opt, options, text, sizeof text))
		return err_input(err, "%s is longer than %d bytes", key, VALUE_MAX);
	json_t *words = json_string(text);
	if (!words)
		return err_input(err,
				 "%s: %s is no UTF-8 text, as a sweep's plan must be: rename it",
				 job_where(t->job, options, opt->name), key);
	return json_object_set_new(t->into, key, words) ? no_memory(err) : 0;
}

static json_t *titles(const struct job *job)
{
	json_t *all = json_array();
	char text[KEY_MAX];

	for (size_t s = 0; job_sections[s]; s++) {
		const struct opt_section *section = job_sections[s];
		for (size_t i = 0; section->titled && i < job_count(job, section); i++) {
			snprintf(text, sizeof text, "%s %s", section->name,
				 job_title(job, section, i));
			json_array_append_new(all, json_string(text));
		}
	}
	return all;
}

/* {"titles": [..], "set": {..}} */
static int tell_job(const struct job *job, json_t *told, struct err *err)
{
	struct telling t = {.job = job, .into = json_object()};

	json_object_set_new(told, "titles", titles(job));
	json_object_set_new(told, "set", t.into);
	return each_key(job, tell_key, &t, err);
}

/* The job again, from what was told of it. */
static int make_job(const json_t *told, struct job **job, struct err *err)
{
	const json_t *names = json_object_get(told, "titles");
	char text[KEY_MAX + VALUE_MAX];
	const char *key;
	json_t *value;
	int rc = job_new(job_sections, job);

	if (rc)
		return no_memory(err);
	for (size_t i = 0; rc == 0 && i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		snprintf(text, sizeof text, "%s { }", name ? name : "");
		rc = job_parse(*job, text, "the plan", err);
	}
	json_object_foreach(json_object_get(told, "set"), key, value)
	{
		const char *word = json_string_value(value);
		snprintf(text, sizeof text, "%s=%s", key, word ? word : "");
		if (rc == 0)
			rc = job_set(*job, text, err);
	}
	if (rc)
		job_free(*job);
	return rc;
}

/* Points and runs, and that there are not too many. */
static int count_runs(struct plan *plan, struct err *err)
{
	plan->points = 1;
	for (size_t a = 0; a < plan->axes; a++) {
		plan->points *= plan->axis[a].n;
		if (plan->points * plan->seeds > PLAN_RUNS_MAX)
			return err_input(err, "the sweep has more than %d runs", PLAN_RUNS_MAX);
	}
	plan->runs = plan->points * plan->seeds;
	return 0;
}

static int check_axis(const struct plan *plan, const struct axis *new, struct err *err)
{
	for (size_t a = 0; a < plan->axes; a++) {
		for (size_t k = 0; k < plan->axis[a].n_keys; k++) {
			for (size_t n = 0; n < new->n_keys; n++) {
				if (strcmp(plan->axis[a].keys[k], new->keys[n]) == 0)
					return err_input(err, "--vary: %s is varied twice",
							 new->keys[n]);
			}
		}
		if (strcasecmp(plan->axis[a].key, new->key) == 0)
			return err_input(err,
					 "--vary: %s and %s differ in case alone, which SQLite's "
					 "columns do not tell apart: rename one in the job",
					 plan->axis[a].key, new->key);
	}
	return 0;
}

static int add_axis(struct plan *plan, const struct axis *axis, struct err *err)
{
	int rc = plan->axes == PLAN_AXES_MAX
			 ? err_input(err, "more than %d axes (--vary)", PLAN_AXES_MAX)
			 : check_axis(plan, axis, err);

	if (rc) {
		axis_release((struct axis *)axis);
		return rc;
	}
	plan->axis[plan->axes++] = *axis;
	return 0;
}

static json_t *tell_axes(const struct plan *plan)
{
	json_t *all = json_array();

	for (size_t a = 0; a < plan->axes; a++) {
		json_t *values = json_array();
		for (size_t i = 0; i < plan->axis[a].n; i++)
			json_array_append_new(values, json_string(plan->axis[a].text[i]));
		json_array_append_new(
			all, json_pack("{s:s, s:o}", "key", plan->axis[a].key, "values", values));
	}
	return all;
}

static bool is_seed(const struct opt *opt)
{
	return opt->type == OPT_INT && strcmp(opt->name, "seed") == 0;
}

static bool varied(const struct plan *plan, const char *key)
{
	for (size_t a = 0; a < plan->axes; a++) {
		for (size_t k = 0; k < plan->axis[a].n_keys; k++) {
			if (strcmp(plan->axis[a].keys[k], key) == 0)
				return true;
		}
	}
	return false;
}

static int tell_seed(void *arg, const char *key, const struct opt *opt, const void *options,
		     struct err *err)
{
	struct telling *t = arg;

	if (!is_seed(opt) || varied(t->plan, key))
		return 0;
	for (size_t i = 0; i < t->args->pins; i++) {
		if (strcmp(t->args->pin[i], key) == 0)
			return 0;
	}
	int64_t base = *(const int64_t *)((const char *)options + opt->offset);
	if (base > INT64_MAX - (int64_t)t->args->seeds)
		return err_input(err, "%s is too large to count up from", key);
	return json_object_set_new(t->into, key, json_integer(base)) ? no_memory(err) : 0;
}

static int check_pins(const struct plan *plan, const struct plan_args *args, struct err *err)
{
	const struct opt *opt;
	const void *options;

	for (size_t i = 0; i < args->pins; i++) {
		if (!job_key_find(plan->job, args->pin[i], &opt, &options) || !is_seed(opt))
			return err_input(err,
					 "--pin %.60s: the job has no such seed; one is host.seed, "
					 "another gen.NAME.seed",
					 args->pin[i]);
	}
	return 0;
}

static int tell_trace(const char *path, json_t *traces, struct err *err)
{
	char hex[17];

	if (!*path || json_object_get(traces, path))
		return 0;
	if (trace_reads_once(path))
		return err_input(err,
				 "a sweep reads its traces many times, and %s can be read once: "
				 "give a file",
				 strcmp(path, "-") == 0 ? "standard input" : path);
	int rc = provenance_hash(path, hex, err);
	if (rc == 0 && json_object_set_new(traces, path, json_string(hex)))
		rc = no_memory(err);
	return rc;
}

/* Every trace that a run may read, with its hash. */
static int tell_traces(const struct plan *plan, json_t *traces, struct err *err)
{
	const struct opt *opt;
	const void *options;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < job_count(plan->job, &vm_section); i++) {
		const struct vm_opts *vm = job_titled(plan->job, &vm_section, i);
		char key[KEY_MAX];
		snprintf(key, sizeof key, "vm.%s.trace", job_title(plan->job, &vm_section, i));
		if (vm->trace && !varied(plan, key))
			rc = tell_trace(vm->trace, traces, err);
	}
	for (size_t a = 0; rc == 0 && a < plan->axes; a++) {
		if (!job_key_find(plan->job, plan->axis[a].keys[0], &opt, &options) ||
		    strcmp(opt->name, "trace") != 0)
			continue;
		for (size_t i = 0; rc == 0 && i < plan->axis[a].n; i++)
			rc = tell_trace(plan->axis[a].text[i], traces, err);
	}
	return rc;
}

/* The axes, tried on a job of their own. */
static int parse_axes(struct plan *plan, const struct plan_args *args, struct err *err)
{
	struct job *trial;
	struct axis axis;
	int rc = make_job(plan->told, &trial, err);

	if (rc)
		return rc;
	for (size_t i = 0; rc == 0 && i < args->varied; i++) {
		rc = axis_parse(args->vary[i], trial, &axis, err);
		if (rc == 0)
			rc = add_axis(plan, &axis, err);
	}
	job_free(trial);
	return rc;
}

static int fill(struct plan *plan, const struct plan_args *args, struct err *err)
{
	struct telling seeds = {.into = json_object(), .args = args, .plan = plan};
	json_t *traces = json_object();

	plan->seeds = args->seeds;
	plan->told =
		json_pack("{s:s, s:s, s:i, s:o, s:o}", "ballast", BALLAST_VERSION, "job", args->job,
			  "seeds", (int)args->seeds, "seed_keys", seeds.into, "traces", traces);
	if (!plan->told)
		return err_input(err, "%s: the name of the job is no UTF-8 text", args->job);
	int rc = job_read(job_sections, args->job, args->set, args->sets, &plan->job, err);
	if (rc == 0)
		rc = tell_job(plan->job, plan->told, err);
	if (rc == 0)
		rc = parse_axes(plan, args, err);
	if (rc == 0)
		rc = count_runs(plan, err);
	if (rc == 0)
		rc = check_pins(plan, args, err);
	if (rc == 0)
		rc = each_key(plan->job, tell_seed, &seeds, err);
	if (rc == 0)
		rc = tell_traces(plan, traces, err);
	if (rc == 0)
		json_object_set_new(plan->told, "vary", tell_axes(plan));
	return rc;
}

int plan_new(const struct plan_args *args, struct plan **plan, struct err *err)
{
	struct plan *p = calloc(1, sizeof *p);

	if (!p)
		return no_memory(err);
	int rc = fill(p, args, err);
	if (rc) {
		plan_free(p);
		return rc;
	}
	*plan = p;
	return 0;
}

static int refill(struct plan *plan, struct err *err)
{
	const json_t *vary = json_object_get(plan->told, "vary");
	json_int_t seeds = json_integer_value(json_object_get(plan->told, "seeds"));
	struct job *trial;
	struct axis axis;
	const char *key;
	json_t *base;

	if (seeds < 1 || seeds > PLAN_RUNS_MAX)
		return err_input(err, "the plan has no number of seeds");
	plan->seeds = (uint32_t)seeds;
	json_object_foreach(json_object_get(plan->told, "seed_keys"), key, base)
	{
		if (json_integer_value(base) > INT64_MAX - seeds)
			return err_input(err, "%.60s is too large to count up from", key);
	}
	int rc = make_job(plan->told, &plan->job, err);
	if (rc) {
		plan->job = NULL;
		return rc;
	}
	rc = make_job(plan->told, &trial, err);
	if (rc)
		return rc;
	for (size_t i = 0; rc == 0 && i < json_array_size(vary); i++) {
		const json_t *o = json_array_get(vary, i);
		key = json_string_value(json_object_get(o, "key"));
		rc = key ? axis_make(key, json_object_get(o, "values"), trial, &axis, err)
			 : err_input(err, "axis %zu of the plan has no key", i);
		if (rc == 0)
			rc = add_axis(plan, &axis, err);
	}
	job_free(trial);
	return rc ? rc : count_runs(plan, err);
}

int plan_from(const json_t *told, struct plan **plan, struct err *err)
{
	struct plan *p = calloc(1, sizeof *p);

	if (!p || !(p->told = json_deep_copy(told))) {
		free(p);
		return no_memory(err);
	}
	int rc = refill(p, err);
	if (rc) {
		plan_free(p);
		return rc;
	}
	*plan = p;
	return 0;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t a = 0; a < plan->axes; a++)
		axis_release(&plan->axis[a]);
	job_free(plan->job);
	json_decref(plan->told);
	free(plan);
}

int plan_check_traces(const struct plan *plan, struct err *err)
{
	const char *path;
	json_t *hash;
	char now[17];

	json_object_foreach(json_object_get(plan->told, "traces"), path, hash)
	{
		int rc = provenance_hash(path, now, err);
		if (rc && *path != '/')
			err_prefix(err, "go to the folder where the sweep was begun");
		if (rc)
			return rc;
		if (strcmp(now, json_string_value(hash) ? json_string_value(hash) : "") != 0)
			return err_input(err,
					 "%s has changed since the sweep began: put the old file "
					 "back, or begin again with another -o",
					 path);
	}
	return 0;
}

size_t plan_index(const struct plan *plan, uint64_t point, size_t axis)
{
	for (size_t a = plan->axes; a-- > axis + 1;)
		point /= plan->axis[a].n;
	return (size_t)(point % plan->axis[axis].n);
}

int plan_apply(const struct plan *plan, uint64_t run, struct job *job, struct err *err)
{
	uint32_t seed = plan_seed(plan, run);
	char text[KEY_MAX + 32];
	const char *key;
	json_t *base;
	int rc = 0;

	json_object_foreach(json_object_get(plan->told, "seed_keys"), key, base)
	{
		snprintf(text, sizeof text, "%s=%lld", key,
			 (long long)json_integer_value(base) + seed - 1);
		if (rc == 0 && seed > 1)
			rc = job_set(job, text, err);
	}
	for (size_t a = 0; rc == 0 && a < plan->axes; a++)
		rc = axis_apply(&plan->axis[a], plan_index(plan, plan_point(plan, run), a), job,
				err);
	return rc;
}

json_t *plan_point_json(const struct plan *plan, uint64_t point)
{
	json_t *o = json_object();

	for (size_t a = 0; a < plan->axes; a++) {
		const struct axis *axis = &plan->axis[a];
		size_t i = plan_index(plan, point, a);
		json_t *value = !axis_numeric(axis) ? json_string(axis->text[i])
				: axis->type == OPT_REAL
					? json_real(axis->number[i])
					: json_integer((json_int_t)axis->number[i]);
		json_object_set_new(o, axis->key, value);
	}
	return o;
}

void plan_point_text(const struct plan *plan, uint64_t point, char *buf, size_t size)
{
	size_t used = 0;

	if (size)
		buf[0] = '\0';
	for (size_t a = 0; a < plan->axes && used < size; a++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s=%s", a ? " " : "",
					 plan->axis[a].key,
					 plan->axis[a].text[plan_index(plan, point, a)]);
}
