/*
 * Options are data.
 *
 * An option is a row: name, type, unit, range, default, help and where its
 * value goes in an options struct. A section is a named table of rows and the
 * size of that struct. The job parser, `-s key=value`, `--help`, the sweep
 * expander and the header of every result read these same tables, so a key
 * exists everywhere or nowhere.
 *
 * Options and state are different structs: an options struct is filled from
 * the job, never changed by the run but through opt_set() at a stated time,
 * and goes whole into the result.
 *
 * Field types by opt_type: BOOL bool; INT int64_t; BYTES uint64_t (bytes);
 * TIME uint64_t (ns); REAL double (a "%" divides by 100); STRING char *
 * (owned, NULL while unset); PATH the same, in a job file relative to that file; CHOICE const
 * struct policy *; LIST char ** (owned, NULL-ended, NULL while unset; "a, b" on the command line).
 * Empty text makes a STRING or LIST unset. Counts may be written 50k, 1.5M or 2G.
 */
#ifndef BALLAST_CORE_OPT_H
#define BALLAST_CORE_OPT_H

#include "core/err.h"
#include "core/policy.h"

enum opt_type {
	OPT_BOOL,
	OPT_INT,
	OPT_BYTES,
	OPT_TIME,
	OPT_REAL,
	OPT_STRING,
	OPT_PATH,
	OPT_CHOICE,
	OPT_LIST
};

struct opt {
	const char *name; /* NULL ends a table */
	enum opt_type type;
	size_t offset;	 /* of the field in the section's struct */
	const char *def; /* as a user would write it; NULL = unset */
	double min, max; /* in the base unit; both 0 = any value of the type >= 0,
			    max 0 with min > 0 = no upper bound */
	const struct policy *const *choices; /* CHOICE: NULL-ended */
	const char *help;		     /* one line, says the unit where the type does not */
	bool live; /* a job's timeline may set it: its part hears of it (struct part, changed);
		      not for STRING and LIST */
};

struct opt_section {
	const char *name; /* "host", "vm", "swap" */
	bool titled;	  /* vm NAME { }: any number of them, in the order of the job */
	size_t size;	  /* of the options struct */
	const struct opt *opts;
	const char *help;
};

/*
 * Parses text into the field of base that opt names. On failure the field is
 * unchanged and the message says the value, why, and what would be right;
 * the caller puts file and line in front.
 */
MUST_CHECK int opt_set(const struct opt *opt, void *base, const char *text, struct err *err);

/* Fills every field from its default; -ENOMEM only. A bad default is a bug and aborts. */
MUST_CHECK int opt_defaults(const struct opt_section *section, void *base);

/* Frees what STRING and LIST fields own. */
void opt_release(const struct opt_section *section, void *base);

/* Writes the value as text that opt_set() would read back; "" if unset. -ENOSPC if cut. */
int opt_format(const struct opt *opt, const void *base, char *buf, size_t size);

/* The row of that name, or NULL. */
const struct opt *opt_find(const struct opt_section *section, const char *name);

/* What the option takes, for help: "size", "time", "1 to 64", "lru clock none". Length. */
int opt_domain(const struct opt *opt, char *buf, size_t size);

/* "256mb", "4k", "512" (bytes), "1.5gb" exactly; -EINVAL with the mend on anything else. */
MUST_CHECK int parse_bytes(const char *text, uint64_t *bytes, struct err *err);

/* "30s", "10ms", "2min", "1h", "250us", "40ns" exactly; a bare number is refused unless 0. */
MUST_CHECK int parse_time(const char *text, uint64_t *ns, struct err *err);

/* The name nearest to a mistyped one by edit distance, or NULL if none is near. */
const char *nearest_name(const char *wrong, const char *const *names, size_t n);

#endif
