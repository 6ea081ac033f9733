#include "core/job_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In single quotes, where neither variables nor other escapes are looked for. */
static void write_quoted(FILE *out, const char *s)
{
	putc('\'', out);
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\')
			putc('\\', out);
		putc(*s, out);
	}
	putc('\'', out);
}

static void write_list(FILE *out, char *const *list)
{
	putc('{', out);
	for (size_t i = 0; list && list[i]; i++) {
		fputs(i ? ", " : "", out);
		write_quoted(out, list[i]);
	}
	putc('}', out);
}

/* From the root, since the file may lie anywhere; standard input stays. */
static void write_path(FILE *out, const char *path)
{
	char *here = NULL, *whole = NULL;

	if (path && *path && *path != '/' && strcmp(path, "-") != 0)
		here = realpath(".", NULL);
	if (here && asprintf(&whole, "%s/%s", here, path) < 0)
		whole = NULL;
	write_quoted(out, whole ? whole : path ? path : "");
	free(whole);
	free(here);
}

static void write_value(FILE *out, const struct opt *opt, const void *base)
{
	const void *field = (const char *)base + opt->offset;
	char text[JOB_VALUE_MAX];

	if (opt->type == OPT_LIST) {
		write_list(out, *(char **const *)field);
	} else if (opt->type == OPT_PATH) {
		write_path(out, *(char *const *)field);
	} else if (opt->type == OPT_STRING) {
		const char *s = *(char *const *)field;
		write_quoted(out, s ? s : "");
	} else if (opt_format(opt, base, text, sizeof text) == 0) {
		fputs(text, out);
	}
}

static bool any_set(const struct job_kind *kind, const struct job_part *part)
{
	for (size_t i = 0; kind->section->opts[i].name; i++) {
		if (part->where[i])
			return true;
	}
	return false;
}

static void write_part(FILE *out, const struct job_kind *kind, const struct job_part *part)
{
	if (part->title)
		fprintf(out, "%s %s {\n", kind->section->name, part->title);
	else
		fprintf(out, "%s {\n", kind->section->name);
	for (size_t i = 0; kind->section->opts[i].name; i++) {
		if (!part->where[i])
			continue;
		fprintf(out, "\t%s = ", kind->section->opts[i].name);
		write_value(out, &kind->section->opts[i], part->options);
		putc('\n', out);
	}
	fputs("}\n", out);
}

void job_write(const struct job *job, FILE *out)
{
	for (size_t i = 0; i < job->n_kinds; i++) {
		const struct job_kind *kind = &job->kinds[i];

		for (size_t k = 0; k < kind->n; k++) {
			const struct job_part *part = &kind->parts[k];
			if (part->title || any_set(kind, part))
				write_part(out, kind, part);
		}
	}
}
