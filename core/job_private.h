/*
 * What the parts of a job share: core/job.c owns it, core/jobfile.c fills it
 * from text, core/jobscan.c looks at the text before libConfuse does.
 */
#ifndef BALLAST_CORE_JOB_PRIVATE_H
#define BALLAST_CORE_JOB_PRIVATE_H

#include "core/job.h"

#define JOB_TITLE_MAX	 31	    /* characters in a title */
#define JOB_TITLES_MAX	 4096	    /* titled sections of one kind */
#define JOB_TEXT_MAX	 (1u << 20) /* bytes of one job file */
#define JOB_VALUE_MAX	 4096	    /* bytes of one value */
#define JOB_LIST_MAX	 64  /* values of one list: libConfuse tells of each, with all before it */
#define JOB_DEPTH_MAX	 8   /* include() in include() */
#define JOB_INCLUDES_MAX 256 /* files in one job_load() */

/* One section of the job: host, or vm a. */
struct job_part {
	char *title; /* NULL in an untitled section */
	void *options;
	char **where; /* per row of the table: who set it, NULL for the default */
	char *at;     /* where a file has the section, or NULL */
};

struct job_kind {
	const struct opt_section *section;
	size_t n, cap;
	struct job_part *parts;
	size_t last; /* index found by the last search by title: most keys come in runs */
};

struct job {
	size_t n_kinds;
	struct job_kind kinds[];
};

struct job_kind *job_find_kind(struct job *job, const char *name);
struct job_part *job_find_part(struct job_kind *kind, const char *title);

/* The part of that title (NULL: untitled), made if it is not there. */
MUST_CHECK int job_make_part(struct job_kind *kind, const char *title, struct job_part **part,
			     struct err *err);

/* opt_set() with the key's name in front of the message; remembers where. */
MUST_CHECK int job_assign(struct job_kind *kind, struct job_part *part, const struct opt *opt,
			  const char *text, const char *where, struct err *err);

/* What "section.key" or "section.title.key" names. path is taken apart. */
MUST_CHECK int job_find_key(struct job *job, char *path, struct job_kind **kind,
			    struct job_part **part, const struct opt **opt, struct err *err);

/* The two sides of "path=value" without blanks. *path is the caller's to free, *value lies in it.
 */
MUST_CHECK int job_split(const char *assignment, char **path, char **value, struct err *err);

/* -EINVAL with the nearest key of that section, or section of the job. */
int job_unknown_key(const struct opt_section *section, const char *key, struct err *err);
int job_unknown_section(const struct job *job, const char *name, struct err *err);

/* Letters, digits, - and _, at most JOB_TITLE_MAX. */
MUST_CHECK int job_check_title(const char *kind, const char *title, size_t len, struct err *err);

/*
 * Checks a job file's text before libConfuse's lexer sees it: that lexer's
 * state is global and does not survive an unclosed string, it drops stray
 * characters in silence, and takes the end of the file for a closing brace.
 * Blanks out comments in place, behind which it would lose count of lines.
 * text is NUL-ended at size; name is for messages.
 */
MUST_CHECK int job_scan(char *text, size_t size, const char *name, struct err *err);

#endif
