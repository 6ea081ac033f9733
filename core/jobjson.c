#include "core/job_private.h"

#include <stdlib.h>
#include <string.h>

json_t *json_words(const char *words)
{
	json_t *json = json_string(words);
	char *copy;

	if (json || !(copy = strdup(words)))
		return json;
	for (char *p = copy; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	json = json_string(copy);
	free(copy);
	return json;
}

static json_t *string_or_null(const char *s)
{
	return s ? json_words(s) : json_null();
}

static json_t *list_json(char *const *list)
{
	if (!list)
		return json_null();
	json_t *array = json_array();
	for (; *list; list++) {
		if (json_array_append_new(array, string_or_null(*list))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *value_json(const struct opt *opt, const void *base)
{
	const void *f = (const char *)base + opt->offset;
	const struct policy *policy;

	switch (opt->type) {
	case OPT_BOOL:
		return json_boolean(*(const bool *)f);
	case OPT_INT:
		return json_integer(*(const int64_t *)f);
	case OPT_BYTES:
	case OPT_TIME:
		return json_integer((json_int_t) * (const uint64_t *)f);
	case OPT_REAL:
		return json_real(*(const double *)f);
	case OPT_STRING:
	case OPT_PATH:
		return string_or_null(*(char *const *)f);
	case OPT_CHOICE:
		policy = *(const struct policy *const *)f;
		return string_or_null(policy ? policy->name : NULL);
	case OPT_LIST:
		return list_json(*(char **const *)f);
	}
	return NULL;
}

static json_t *part_json(const struct opt_section *section, const struct job_part *part)
{
	json_t *object = json_object();

	for (const struct opt *opt = section->opts; opt->name; opt++) {
		if (json_object_set_new(object, opt->name, value_json(opt, part->options))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *kind_json(const struct job_kind *kind)
{
	if (!kind->section->titled)
		return part_json(kind->section, &kind->parts[0]);
	json_t *object = json_object();
	for (size_t i = 0; i < kind->n; i++) {
		const struct job_part *part = &kind->parts[i];

		if (json_object_set_new(object, part->title, part_json(kind->section, part))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

json_t *job_json(const struct job *job)
{
	json_t *object = json_object();

	for (size_t i = 0; i < job->n_kinds; i++) {
		const struct job_kind *kind = &job->kinds[i];

		if (json_object_set_new(object, kind->section->name, kind_json(kind))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}
