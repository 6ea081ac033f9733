/*
 * A job: the option tables of every part, filled from a file and from -s.
 *
 * libConfuse reads the syntax (sections, titles, comments, include()); its
 * tables are made from ours and every value reaches opt_set(), so units,
 * ranges and messages are the same in a file and on a command line. Errors
 * name file and line, the key, and the nearest key that exists.
 *
 * A job owns its options structs; job_section() lends them. Order of titled
 * sections is that of their first mention. The thread rule: one job, one
 * thread.
 */
#ifndef BALLAST_CORE_JOB_H
#define BALLAST_CORE_JOB_H

#include "core/opt.h"

#include <jansson.h>
#include <stdio.h>

struct job;

/* sections: NULL-ended, lives as long as the job. Every untitled section exists at once. */
MUST_CHECK int job_new(const struct opt_section *const *sections, struct job **job);
void job_free(struct job *job);

/*
 * Reads a file on top of what is there; "-" is standard input.
 *
 *   # comments, // comments and C comments
 *   include("base.job")             relative to this file; its place is here
 *   host { memory = 256mb  tax = 75% }
 *   vm a { trace = "${HOME}/a.bt" } variables in double quotes, empty if unset
 *   vm a { trace = a.bt }           a path: relative to this file, too
 *   vm a { reclaim = {balloon, swap} } the same vm: sections merge, later keys win
 *
 * A bad file is -EINVAL, and the job is then good for job_free() alone.
 * Bounds: 1 MiB a file, 8 includes deep, 4096 titles of a kind, titles of 31
 * letters, digits, '-' and '_'.
 */
MUST_CHECK int job_load(struct job *job, const char *path, struct err *err);

/* A new job from a file (NULL: none), then assignments as after -s. *job is NULL on failure. */
MUST_CHECK int job_read(const struct opt_section *const *sections, const char *path,
			const char *const *set, size_t sets, struct job **job, struct err *err);

/* The same as job_load() from memory; name stands for the file in messages. */
MUST_CHECK int job_parse(struct job *job, const char *text, const char *name, struct err *err);

/*
 * "section.key=value" or "section.title.key=value", as after -s. A title that
 * the job does not have is an error that lists those it has.
 */
MUST_CHECK int job_set(struct job *job, const char *assignment, struct err *err);

/* The options struct of an untitled section. Never NULL for a section of the job. */
void *job_section(const struct job *job, const struct opt_section *section);

/* How many sections of that kind, and the i-th one's title and options struct. */
size_t job_count(const struct job *job, const struct opt_section *section);
const char *job_title(const struct job *job, const struct opt_section *section, size_t i);
void *job_titled(const struct job *job, const struct opt_section *section, size_t i);

/*
 * "FILE:LINE" where a key was last set, "-s", or "default": for messages of later checks.
 * Without a key: where a file has the section.
 */
const char *job_where(const struct job *job, const void *options, const char *key);

/*
 * A job that changes while it runs, beside the one that was read: job_copy() is
 * equal to it, and job_change() sets a key that may be set then (struct opt,
 * live), "section.key=value" as in job_set(). where stands for the place in the
 * copy; *section and *title (NULL: untitled, else the copy's) say what changed.
 */
MUST_CHECK int job_copy(const struct job *job, struct job **copy, struct err *err);
MUST_CHECK int job_change(struct job *job, const char *assignment, const char *where,
			  const struct opt_section **section, const char **title, struct err *err);

/*
 * Every resolved option, defaults too: {"host": {..}, "vm": {"a": {..}}}, in
 * table order. Sizes are numbers of bytes, times of nanoseconds; what is unset
 * is null. NULL only without memory.
 */
json_t *job_json(const struct job *job);

/*
 * The words as JSON can have them: where they are no UTF-8, as names of files
 * need not be, with '?' for what is not ASCII. NULL only without memory.
 */
json_t *json_words(const char *words);

/*
 * The job as a file: every section that exists with the keys that were set, in
 * table order. Read back it is the same job, wherever its parts came from and
 * the file lies: paths are written from the root. A value with a newline has
 * no form.
 */
void job_write(const struct job *job, FILE *out);

#endif
