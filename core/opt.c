#include "core/opt.h"

#include "core/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct err *err)
{
	return err_run(err, ENOMEM, "out of memory while reading options");
}

static void *field(const struct opt *opt, void *base)
{
	return (char *)base + opt->offset;
}

static const void *field_const(const struct opt *opt, const void *base)
{
	return (const char *)base + opt->offset;
}

static bool has_max(const struct opt *opt)
{
	return opt->max != 0 || opt->min < 0;
}

static int format_limit(const struct opt *opt, double limit, char *buf, size_t size)
{
	if (limit >= 0x1p63 && opt->type != OPT_REAL)
		limit = 0x1p63; /* what the parsers take at most, and what a cast can hold */
	switch (opt->type) {
	case OPT_BYTES:
		return format_bytes(buf, size, (uint64_t)limit);
	case OPT_TIME:
		return format_time(buf, size, (uint64_t)limit);
	default:
		return format_real(buf, size, limit);
	}
}

static int out_of_range(const struct opt *opt, const char *text, struct err *err)
{
	char min[48], max[48];

	format_limit(opt, opt->min, min, sizeof min);
	format_limit(opt, opt->max, max, sizeof max);
	if (!has_max(opt))
		return err_input(err, "%.40s is out of range; write %s or more", text, min);
	return err_input(err, "%.40s is out of range; write %s to %s", text, min, max);
}

/* Whole numbers are compared as such: a double cannot tell 2^53 from its neighbours. */
static bool int_in_range(const struct opt *opt, int64_t v)
{
	if (opt->min > -0x1p63 && v < (int64_t)opt->min)
		return false;
	return !has_max(opt) || opt->max >= 0x1p63 || v <= (int64_t)opt->max;
}

static int set_int(const struct opt *opt, void *base, const char *text, struct err *err)
{
	int64_t v;
	int rc = parse_int(text, &v, err);

	if (rc)
		return rc;
	if (!int_in_range(opt, v))
		return out_of_range(opt, text, err);
	*(int64_t *)field(opt, base) = v;
	return 0;
}

/* BYTES and TIME. */
static int set_scaled(const struct opt *opt, void *base, const char *text, struct err *err)
{
	uint64_t v;
	int rc = opt->type == OPT_BYTES ? parse_bytes(text, &v, err) : parse_time(text, &v, err);

	if (rc)
		return rc;
	if (!int_in_range(opt, (int64_t)v)) /* the parsers stay below 2^63 */
		return out_of_range(opt, text, err);
	*(uint64_t *)field(opt, base) = v;
	return 0;
}

static int set_real(const struct opt *opt, void *base, const char *text, struct err *err)
{
	double v;
	int rc = parse_real(text, &v, err);

	if (rc)
		return rc;
	if (v < opt->min || (has_max(opt) && v > opt->max))
		return out_of_range(opt, text, err);
	*(double *)field(opt, base) = v;
	return 0;
}

static int set_string(const struct opt *opt, void *base, const char *text, struct err *err)
{
	char **f = field(opt, base), *copy = NULL;

	if (*text && !(copy = strdup(text)))
		return no_memory(err);
	free(*f);
	*f = copy;
	return 0;
}

static void append_word(char *buf, size_t size, const char *word)
{
	size_t used = strlen(buf);

	snprintf(buf + used, size - used, "%s%s", used ? " " : "", word);
}

static int unknown_choice(const struct opt *opt, const char *text, struct err *err)
{
	const char *names[64], *near;
	char all[400] = "";
	size_t n = 0;

	for (const struct policy *const *p = opt->choices; *p; p++) {
		append_word(all, sizeof all, (*p)->name);
		if (n < ARRAY_LEN(names))
			names[n++] = (*p)->name;
	}
	near = nearest_name(text, names, n);
	if (near)
		return err_input(err, "there is no %s '%.40s'; did you mean '%s'? There are: %s",
				 opt->name, text, near, all);
	return err_input(err, "there is no %s '%.40s'; there are: %s", opt->name, text, all);
}

static int set_choice(const struct opt *opt, void *base, const char *text, struct err *err)
{
	const struct policy *p = policy_find(opt->choices, text);

	if (!p)
		return unknown_choice(opt, text, err);
	*(const struct policy **)field(opt, base) = p;
	return 0;
}

static void list_free(char **list)
{
	if (!list)
		return;
	for (char **word = list; *word; word++)
		free(*word);
	free(list);
}

/* The next word of a list and its length without blanks around it; *text moves behind it. */
static const char *next_word(const char **text, size_t *len)
{
	const char *word = *text + strspn(*text, " \t\n"), *end = word + strcspn(word, ",");

	*text = *end ? end + 1 : end;
	while (end > word && strchr(" \t\n", end[-1]))
		end--;
	*len = (size_t)(end - word);
	return word;
}

static int set_list(const struct opt *opt, void *base, const char *text, struct err *err)
{
	char ***f = field(opt, base), **list = NULL;
	size_t n = 1, len;

	if (text[strspn(text, " \t\n")] == '\0')
		goto done; /* the empty list is the unset one */
	for (const char *p = text; *p; p++)
		n += *p == ',';
	list = calloc(n + 1, sizeof *list);
	if (!list)
		return no_memory(err);
	const char *rest = text;
	for (size_t i = 0; i < n; i++) {
		const char *word = next_word(&rest, &len);

		if (len == 0) {
			list_free(list);
			return err_input(err, "'%.60s' has an empty entry; write it as in a, b",
					 text);
		}
		list[i] = strndup(word, len);
		if (!list[i]) {
			list_free(list);
			return no_memory(err);
		}
	}
done:
	list_free(*f);
	*f = list;
	return 0;
}

int opt_set(const struct opt *opt, void *base, const char *text, struct err *err)
{
	switch (opt->type) {
	case OPT_BOOL:
		return parse_bool(text, field(opt, base), err);
	case OPT_INT:
		return set_int(opt, base, text, err);
	case OPT_BYTES:
	case OPT_TIME:
		return set_scaled(opt, base, text, err);
	case OPT_REAL:
		return set_real(opt, base, text, err);
	case OPT_STRING:
	case OPT_PATH:
		return set_string(opt, base, text, err);
	case OPT_CHOICE:
		return set_choice(opt, base, text, err);
	case OPT_LIST:
		return set_list(opt, base, text, err);
	}
	abort();
}

int opt_defaults(const struct opt_section *section, void *base)
{
	memset(base, 0, section->size);
	for (const struct opt *opt = section->opts; opt->name; opt++) {
		struct err err = {0};

		if (!opt->def)
			continue;
		int rc = opt_set(opt, base, opt->def, &err);
		if (rc == -ENOMEM) {
			opt_release(section, base);
			return rc;
		}
		if (rc) {
			fprintf(stderr, "default of %s.%s: %s\n", section->name, opt->name,
				err.msg);
			abort();
		}
	}
	return 0;
}

void opt_release(const struct opt_section *section, void *base)
{
	for (const struct opt *opt = section->opts; opt->name; opt++) {
		if (opt->type == OPT_STRING || opt->type == OPT_PATH) {
			char **f = field(opt, base);
			free(*f);
			*f = NULL;
		} else if (opt->type == OPT_LIST) {
			char ***f = field(opt, base);
			list_free(*f);
			*f = NULL;
		}
	}
}

static int format_list(char *const *list, char *buf, size_t size)
{
	size_t used = 0;

	if (size)
		buf[0] = '\0';
	for (char *const *word = list; word && *word; word++) {
		int n = snprintf(buf + used, size - used, "%s%s", word == list ? "" : ", ", *word);

		if (n < 0 || (size_t)n >= size - used)
			return (int)size;
		used += (size_t)n;
	}
	return (int)used;
}

int opt_format(const struct opt *opt, const void *base, char *buf, size_t size)
{
	const void *f = field_const(opt, base);
	const struct policy *policy;
	const char *string;
	int n = -1;

	switch (opt->type) {
	case OPT_BOOL:
		n = snprintf(buf, size, "%s", *(const bool *)f ? "on" : "off");
		break;
	case OPT_INT:
		n = snprintf(buf, size, "%" PRId64, *(const int64_t *)f);
		break;
	case OPT_BYTES:
		n = format_bytes(buf, size, *(const uint64_t *)f);
		break;
	case OPT_TIME:
		n = format_time(buf, size, *(const uint64_t *)f);
		break;
	case OPT_REAL:
		n = format_real(buf, size, *(const double *)f);
		break;
	case OPT_STRING:
	case OPT_PATH:
		string = *(char *const *)f;
		n = snprintf(buf, size, "%s", string ? string : "");
		break;
	case OPT_CHOICE:
		policy = *(const struct policy *const *)f;
		n = snprintf(buf, size, "%s", policy ? policy->name : "");
		break;
	case OPT_LIST:
		n = format_list(*(char **const *)f, buf, size);
		break;
	}
	return n < 0 || (size_t)n >= size ? -ENOSPC : 0;
}

const struct opt *opt_find(const struct opt_section *section, const char *name)
{
	for (const struct opt *opt = section->opts; opt->name; opt++) {
		if (strcmp(opt->name, name) == 0)
			return opt;
	}
	return NULL;
}

static int range_domain(const struct opt *opt, const char *word, char *buf, size_t size)
{
	char min[48], max[48];

	if (opt->min == 0 && opt->max == 0)
		return snprintf(buf, size, "%s", word);
	format_limit(opt, opt->min, min, sizeof min);
	format_limit(opt, opt->max, max, sizeof max);
	if (!has_max(opt))
		return snprintf(buf, size, "%s, %s or more", word, min);
	return snprintf(buf, size, "%s, %s to %s", word, min, max);
}

int opt_domain(const struct opt *opt, char *buf, size_t size)
{
	char names[200] = "";

	switch (opt->type) {
	case OPT_BOOL:
		return snprintf(buf, size, "on or off");
	case OPT_INT:
		return range_domain(opt, "count", buf, size);
	case OPT_BYTES:
		return range_domain(opt, "size", buf, size);
	case OPT_TIME:
		return range_domain(opt, "time", buf, size);
	case OPT_REAL:
		return range_domain(opt, "number", buf, size);
	case OPT_STRING:
		return snprintf(buf, size, "text");
	case OPT_PATH:
		return snprintf(buf, size, "path");
	case OPT_LIST:
		return snprintf(buf, size, "list");
	case OPT_CHOICE:
		for (const struct policy *const *p = opt->choices; *p; p++)
			append_word(names, sizeof names, (*p)->name);
		return snprintf(buf, size, "%s", names);
	}
	abort();
}
