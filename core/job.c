#include "core/job.h"

#include "core/job_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct err *err)
{
	return err_run(err, ENOMEM, "out of memory while reading the job");
}

static size_t row_count(const struct opt_section *section)
{
	size_t n = 0;

	while (section->opts[n].name)
		n++;
	return n;
}

static void part_release(const struct opt_section *section, struct job_part *part)
{
	if (part->options)
		opt_release(section, part->options);
	for (size_t i = 0; part->where && i < row_count(section); i++)
		free(part->where[i]);
	free(part->where);
	free(part->at);
	free(part->options);
	free(part->title);
}

static int part_init(const struct opt_section *section, struct job_part *part, const char *title)
{
	*part = (struct job_part){
		.title = title ? strdup(title) : NULL,
		.options = calloc(1, section->size),
		.where = calloc(row_count(section) + 1, sizeof *part->where),
	};
	if ((title && !part->title) || !part->options || !part->where ||
	    opt_defaults(section, part->options)) {
		part_release(section, part);
		return -ENOMEM;
	}
	return 0;
}

int job_new(const struct opt_section *const *sections, struct job **job)
{
	size_t n = 0;

	while (sections[n])
		n++;
	struct job *j = calloc(1, sizeof *j + n * sizeof j->kinds[0]);
	if (!j)
		return -ENOMEM;
	j->n_kinds = n;
	for (size_t i = 0; i < n; i++) {
		struct job_part *part;

		j->kinds[i].section = sections[i];
		if (!sections[i]->titled && job_make_part(&j->kinds[i], NULL, &part, NULL)) {
			job_free(j);
			return -ENOMEM;
		}
	}
	*job = j;
	return 0;
}

void job_free(struct job *job)
{
	if (!job)
		return;
	for (size_t i = 0; i < job->n_kinds; i++) {
		struct job_kind *kind = &job->kinds[i];

		for (size_t k = 0; k < kind->n; k++)
			part_release(kind->section, &kind->parts[k]);
		free(kind->parts);
	}
	free(job);
}

struct job_kind *job_find_kind(struct job *job, const char *name)
{
	for (size_t i = 0; i < job->n_kinds; i++) {
		if (strcmp(job->kinds[i].section->name, name) == 0)
			return &job->kinds[i];
	}
	return NULL;
}

struct job_part *job_find_part(struct job_kind *kind, const char *title)
{
	if (!title)
		return kind->n ? &kind->parts[0] : NULL;
	if (kind->last < kind->n && strcmp(kind->parts[kind->last].title, title) == 0)
		return &kind->parts[kind->last];
	for (size_t i = 0; i < kind->n; i++) {
		if (strcmp(kind->parts[i].title, title) == 0) {
			kind->last = i;
			return &kind->parts[i];
		}
	}
	return NULL;
}

int job_make_part(struct job_kind *kind, const char *title, struct job_part **part, struct err *err)
{
	*part = job_find_part(kind, title);
	if (*part)
		return 0;
	if (kind->n == JOB_TITLES_MAX)
		return err_input(err, "more than %d %s sections", JOB_TITLES_MAX,
				 kind->section->name);
	if (kind->n == kind->cap) {
		size_t cap = kind->cap ? 2 * kind->cap : 4;
		struct job_part *parts = reallocarray(kind->parts, cap, sizeof *parts);

		if (!parts)
			return no_memory(err);
		kind->parts = parts;
		kind->cap = cap;
	}
	if (part_init(kind->section, &kind->parts[kind->n], title))
		return no_memory(err);
	*part = &kind->parts[kind->n++];
	return 0;
}

int job_check_title(const char *kind, const char *title, size_t len, struct err *err)
{
	bool good = len >= 1 && len <= JOB_TITLE_MAX;

	for (size_t i = 0; i < len && good; i++)
		good = isalnum((unsigned char)title[i]) || title[i] == '_' || title[i] == '-';
	if (good)
		return 0;
	if (len && isdigit((unsigned char)title[0]) && memchr(title, '.', len))
		return err_input(
			err,
			"%s %.*s: a time here is a whole number of a unit, as in %s 1100us "
			"{ }",
			kind, (int)(len < 60 ? len : 60), title, kind);
	return err_input(err,
			 "'%.*s' cannot name a %s; use 1 to %d letters, digits, '-' and '_', as "
			 "in %s a { }",
			 (int)(len < 60 ? len : 60), title, kind, JOB_TITLE_MAX, kind);
}

int job_unknown_key(const struct opt_section *section, const char *key, struct err *err)
{
	const char *names[128], *near;
	size_t n = 0;

	for (const struct opt *opt = section->opts; opt->name && n < ARRAY_LEN(names); opt++)
		names[n++] = opt->name;
	near = nearest_name(key, names, n);
	if (near)
		return err_input(err, "%s has no key '%.40s'; did you mean '%s'?", section->name,
				 key, near);
	return err_input(err, "%s has no key '%.40s'; 'ballast list %s' shows its keys",
			 section->name, key, section->name);
}

int job_unknown_section(const struct job *job, const char *name, struct err *err)
{
	const char *names[64], *near;
	char all[300] = "";
	size_t n = 0, used = 0;

	for (size_t i = 0; i < job->n_kinds && n < ARRAY_LEN(names); i++) {
		names[n] = job->kinds[i].section->name;
		if (used < sizeof all)
			used += (size_t)snprintf(all + used, sizeof all - used, " %s", names[n]);
		n++;
	}
	near = nearest_name(name, names, n);
	if (near)
		return err_input(err, "there is no section '%.40s'; did you mean '%s'?", name,
				 near);
	return err_input(err, "there is no section '%.40s'; there are:%s", name, all);
}

int job_assign(struct job_kind *kind, struct job_part *part, const struct opt *opt,
	       const char *text, const char *where, struct err *err)
{
	char *copy = strdup(where);
	int rc;

	if (!copy)
		return no_memory(err);
	rc = opt_set(opt, part->options, text, err);
	if (rc) {
		free(copy);
		err_prefix(err, "%s%s%s.%s", kind->section->name, part->title ? "." : "",
			   part->title ? part->title : "", opt->name);
		return rc;
	}
	char **slot = &part->where[opt - kind->section->opts];
	free(*slot);
	*slot = copy;
	return 0;
}

static int unknown_title(const struct job_kind *kind, const char *title, struct err *err)
{
	char all[300] = "";
	size_t used = 0;

	if (!kind->n || !kind->parts)
		return err_input(err, "the job has no %s '%.40s', nor any other %s",
				 kind->section->name, title, kind->section->name);
	for (size_t i = 0; i < kind->n && used < sizeof all; i++)
		used += (size_t)snprintf(all + used, sizeof all - used, " %s",
					 kind->parts[i].title);
	return err_input(err, "the job has no %s '%.40s'; it has:%s", kind->section->name, title,
			 all);
}

int job_find_key(struct job *job, char *path, struct job_kind **kind, struct job_part **part,
		 const struct opt **opt, struct err *err)
{
	char *rest = strchr(path, '.'), *title = NULL;

	if (!rest)
		return err_input(err,
				 "'%.60s' is no key; write section.key=value, as in "
				 "host.memory=256mb",
				 path);
	*rest++ = '\0';
	char *dot = strrchr(rest, '.'), *key = rest;
	if (dot) {
		*dot = '\0';
		title = rest;
		key = dot + 1;
	}
	*kind = job_find_kind(job, path);
	if (!*kind)
		return job_unknown_section(job, path, err);
	if ((*kind)->section->titled && !title)
		return err_input(err, "say which %s: %s.NAME.%.40s=...", path, path, key);
	if (!(*kind)->section->titled && title)
		return err_input(err, "%s has no parts; write %s.%.40s=...", path, path, key);
	*opt = opt_find((*kind)->section, key);
	if (!*opt)
		return job_unknown_key((*kind)->section, key, err);
	*part = job_find_part(*kind, title);
	if (!*part)
		return unknown_title(*kind, title, err);
	return 0;
}

/* Cuts blanks off both ends of a writable string. */
static char *trim(char *s)
{
	char *end;

	s += strspn(s, " \t\n");
	end = s + strlen(s);
	while (end > s && strchr(" \t\n", end[-1]))
		end--;
	*end = '\0';
	return s;
}

int job_split(const char *assignment, char **path, char **value, struct err *err)
{
	char *copy = strdup(assignment);

	if (!copy)
		return no_memory(err);
	*value = strchr(copy, '=');
	if (!*value) {
		free(copy);
		return err_input(err, "'%.60s' has no '='; write section.key=value", assignment);
	}
	*(*value)++ = '\0';
	*value = trim(*value);
	*path = trim(copy);
	if (*path != copy) /* so that it can be freed */
		memmove(copy, *path, strlen(*path) + 1);
	*path = copy;
	return 0;
}

int job_set(struct job *job, const char *assignment, struct err *err)
{
	char *path = NULL, *value = NULL;
	struct job_kind *kind = NULL;
	struct job_part *part = NULL;
	const struct opt *opt = NULL;

	int rc = job_split(assignment, &path, &value, err);
	if (rc == 0) {
		rc = job_find_key(job, path, &kind, &part, &opt, err);
		if (rc == 0 && part)
			rc = job_assign(kind, part, opt, value, "-s", err);
		free(path);
	}
	if (rc)
		err_prefix(err, "-s");
	return rc;
}

static const struct job_kind *kind_of(const struct job *job, const struct opt_section *section)
{
	for (size_t i = 0; i < job->n_kinds; i++) {
		if (job->kinds[i].section == section)
			return &job->kinds[i];
	}
	return NULL;
}

void *job_section(const struct job *job, const struct opt_section *section)
{
	return job_titled(job, section, 0);
}

size_t job_count(const struct job *job, const struct opt_section *section)
{
	const struct job_kind *kind = kind_of(job, section);

	return kind ? kind->n : 0;
}

const char *job_title(const struct job *job, const struct opt_section *section, size_t i)
{
	const struct job_kind *kind = kind_of(job, section);

	return kind && i < kind->n ? kind->parts[i].title : NULL;
}

void *job_titled(const struct job *job, const struct opt_section *section, size_t i)
{
	const struct job_kind *kind = kind_of(job, section);

	return kind && i < kind->n ? kind->parts[i].options : NULL;
}

const char *job_where(const struct job *job, const void *options, const char *key)
{
	for (size_t i = 0; i < job->n_kinds; i++) {
		const struct job_kind *kind = &job->kinds[i];

		for (size_t k = 0; k < kind->n; k++) {
			if (kind->parts[k].options != options)
				continue;
			if (!key)
				return kind->parts[k].at ? kind->parts[k].at : "-s";
			const struct opt *opt = opt_find(kind->section, key);
			const char *where =
				opt ? kind->parts[k].where[opt - kind->section->opts] : NULL;
			return where ? where : "default";
		}
	}
	return "default";
}

int job_read(const struct opt_section *const *sections, const char *path, const char *const *set,
	     size_t sets, struct job **job, struct err *err)
{
	int rc = job_new(sections, job);

	if (rc) {
		*job = NULL;
		return err_run(err, -rc, "no memory for a job");
	}
	if (path)
		rc = job_load(*job, path, err);
	for (size_t i = 0; rc == 0 && i < sets; i++)
		rc = job_set(*job, set[i], err);
	if (rc) {
		job_free(*job);
		*job = NULL;
	}
	return rc;
}
