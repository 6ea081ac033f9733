#include "experiments/sweep_ready.h"

#include "experiments/datadir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

json_t *ready_all(struct err *err)
{
	char path[PATH_MAX];
	json_error_t why;

	if (data_path("sweeps/sweeps.json", path, err))
		return NULL;
	json_t *all = json_load_file(path, 0, &why);
	if (!json_is_array(all)) {
		err_run(err, EUCLEAN, "%s: %s", path, all ? "is no list" : why.text);
		json_decref(all);
		return NULL;
	}
	return all;
}

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static int unknown(const json_t *all, const char *name, struct err *err)
{
	const char *names[64];
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(all) && n < ARRAY_LEN(names); i++)
		names[n++] = text(json_array_get(all, i), "name");
	const char *near = nearest_name(name, names, n);
	if (near)
		return err_input(err, "there is no ready sweep '@%.40s'; did you mean '@%s'?", name,
				 near);
	return err_input(err, "there is no ready sweep '@%.40s'; 'ballast sweep --list' names them",
			 name);
}

/* The entry's own axes, unless the user gave some. */
static int take_axes(const json_t *vary, struct plan_args *args, struct ready *ready,
		     struct err *err)
{
	size_t n = json_array_size(vary);

	ready->vary = calloc(n + 1, sizeof *ready->vary);
	if (!ready->vary)
		return err_run(err, ENOMEM, "no memory for a sweep");
	for (size_t i = 0; i < n; i++)
		ready->vary[i] = json_string_value(json_array_get(vary, i));
	args->vary = ready->vary;
	args->varied = n;
	return 0;
}

static int fill(const json_t *entry, struct plan_args *args, struct metrics *metrics,
		struct ready *ready, struct err *err)
{
	const json_t *shown = json_object_get(entry, "metrics");
	const char *job = text(entry, "job");
	char name[128];

	ready->pareto = text(entry, "pareto");
	snprintf(name, sizeof name, "sweeps/%s", job ? job : "");
	int rc = data_path(name, ready->job, err);
	if (rc)
		return rc;
	args->job = ready->job;
	if (args->seeds == 0)
		args->seeds = (uint32_t)json_integer_value(json_object_get(entry, "seeds"));
	bool own = metrics->n > 0; /* the user's are shown, and no others */
	for (size_t i = 0; rc == 0 && !own && i < json_array_size(shown); i++)
		rc = metrics_add(metrics, json_string_value(json_array_get(shown, i)), err);
	return rc;
}

int ready_find(const char *name, struct plan_args *args, struct metrics *metrics,
	       struct ready *ready, struct err *err)
{
	json_t *all = ready_all(err), *entry = NULL;

	*ready = (struct ready){0};
	if (!all)
		return -EIO;
	for (size_t i = 0; i < json_array_size(all) && !entry; i++) {
		const char *other = text(json_array_get(all, i), "name");
		if (other && strcmp(other, name) == 0)
			entry = json_array_get(all, i);
	}
	int rc = entry ? 0 : unknown(all, name, err);
	ready->entry = json_incref(entry);
	if (rc == 0)
		rc = fill(entry, args, metrics, ready, err);
	if (rc == 0 && args->varied == 0)
		rc = take_axes(json_object_get(entry, "vary"), args, ready, err);
	json_decref(all);
	return rc;
}

void ready_release(struct ready *ready)
{
	json_decref(ready->entry);
	free(ready->vary);
	*ready = (struct ready){0};
}
