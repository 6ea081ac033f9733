/* What tells two plans of a sweep apart, in words. */
#include "experiments/sweep_plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *o, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : otherwise;
}

/* The first key whose texts differ. */
static int same_texts(const json_t *kept, const json_t *asked, const char *what,
		      const char *otherwise, struct err *err)
{
	const json_t *sides[] = {kept, asked};
	const char *key;
	json_t *value;

	for (size_t i = 0; i < 2; i++) {
		json_object_foreach((json_t *)sides[i], key, value)
		{
			const char *there = text_of(kept, key, otherwise),
				   *here = text_of(asked, key, otherwise);
			if (strcmp(there, here) != 0)
				return err_input(err, "%s%.60s is %.60s there and %.60s here", what,
						 key, there, here);
		}
	}
	return 0;
}

static void join(const json_t *words, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < json_array_size(words) && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? "," : "",
					 json_string_value(json_array_get(words, i)));
}

static int same_axes(const json_t *kept, const json_t *asked, struct err *err)
{
	size_t n = json_array_size(kept), m = json_array_size(asked);
	char there[200], here[200];

	for (size_t i = 0; i < n || i < m; i++) {
		const json_t *a = json_array_get(kept, i), *b = json_array_get(asked, i);
		if (json_equal(a, b))
			continue;
		join(json_object_get(a, "values"), there, sizeof there);
		join(json_object_get(b, "values"), here, sizeof here);
		return err_input(err, "--vary %zu is %.60s=%s there and %.60s=%s here", i + 1,
				 text_of(a, "key", "none"), there, text_of(b, "key", "none"), here);
	}
	return 0;
}

int plan_same_version(const json_t *kept, struct err *err)
{
	const char *there = text_of(kept, "ballast", "?");

	if (strcmp(there, BALLAST_VERSION) == 0)
		return 0;
	return err_input(err, "it was begun by ballast %.40s, and this is " BALLAST_VERSION, there);
}

int plan_same(const json_t *kept, const json_t *asked, struct err *err)
{
	if (json_equal(kept, asked))
		return 0;
	int rc = plan_same_version(kept, err);
	if (rc)
		return rc;
	if (!json_equal(json_object_get(kept, "titles"), json_object_get(asked, "titles")))
		return err_input(err, "the job has other VMs or generators");
	rc = same_texts(json_object_get(kept, "set"), json_object_get(asked, "set"), "",
			"the default", err);
	if (rc == 0)
		rc = same_axes(json_object_get(kept, "vary"), json_object_get(asked, "vary"), err);
	if (rc == 0 &&
	    !json_equal(json_object_get(kept, "seed_keys"), json_object_get(asked, "seed_keys")))
		rc = err_input(err, "other seeds are pinned (--pin)");
	if (rc == 0)
		rc = same_texts(json_object_get(kept, "traces"), json_object_get(asked, "traces"),
				"the hash of ", "unknown", err);
	return rc; /* the job's name may differ, and the number of seeds */
}
