/*
 * Traces: the .bt format, readers of foreign formats, writers, generators.
 *
 * Everything here turns files, pipes or a law of probability into batches of
 * records (traces/record.h), or batches into files. A source is a reader or a
 * generator behind one face; a batch costs one call through a table, a record
 * none. Nothing here knows a VM.
 *
 * A .bt file is hostile input: every length, count and checksum is checked
 * before use, and a source that returned an error returns it again. The .bt
 * comes in two forms: columnar blocks under zstd, each with a checksum, and
 * an index at the end (readable from a pipe without it); or fixed 8-byte
 * records, mapped and lent in place without a look at each: a batch ends with
 * a whole record and a checksum at the end tells damage, but whoever replays
 * must refuse kinds that do not exist, and bound pages, as with any source.
 */
#ifndef BALLAST_TRACES_TRACES_H
#define BALLAST_TRACES_TRACES_H

#include "core/err.h"
#include "core/opt.h"
#include "core/policy.h"
#include "traces/record.h"

#include <sys/types.h>

enum trace_space { TRACE_PPN = 0, TRACE_VPN = 1 };

struct trace_info {
	char format[24]; /* "bt", "bt-fixed", "u32", "csv", "zipf" ... */
	enum trace_space space;
	bool counted;	       /* the counts below are known (a .bt, or after a full pass) */
	uint64_t records;      /* operand words not counted */
	uint64_t writes;       /* WRITE and WRITE_ID */
	uint64_t pages;	       /* distinct pages touched, of each VM and address space */
	uint64_t highest_page; /* 0 if pages == 0; of a generator a bound, known at once */
	uint32_t vms;	       /* 1, or more where REC_VM occurs */
	uint32_t tick_ns;      /* unit of delta, >= 1 */
	char provenance[256];  /* free text: who made it and how, without a newline */
};

struct source; /* opaque: a reader or a generator at work */

/* How far a source has come, for a progress bar. total is 0 where it is unknown. */
struct source_progress {
	uint64_t done, total;
};

/* Every reader by name: "auto" first, then bt and the formats of others. */
extern const struct policy *const trace_readers[];

/*
 * Opens a file ("-": standard input) with a reader; format NULL or "auto" looks
 * at its first bytes and its name, which then ends in the reader's suffix (.u32,
 * .csv, ..., also with .zst behind). zstd is unpacked on the way.
 */
MUST_CHECK int source_open(const char *path, const char *format, struct source **source,
			   struct err *err);

/*
 * The next batch, lent until the next call: *batch and the number of words, 0
 * at the end, -errno with a message that names file and offset or line.
 */
MUST_CHECK ssize_t source_next(struct source *source, const rec_t **batch, struct err *err);

/*
 * Every record of that batch, operands apart, ored into one: what none of them says.
 * All ones where nobody looked at each.
 */
rec_t source_any(const struct source *source);

const struct trace_info *source_info(const struct source *source);

/* For messages: the file, and in brackets what a stage made of it. */
const char *source_name(const struct source *source);
struct source_progress source_progress(const struct source *source);
void source_close(struct source *source);

/* Reads whatever is left and fills in the counts; called by `trace info` and the like. */
typedef void progress_fn(void *arg, uint64_t done, uint64_t total);
MUST_CHECK int source_count(struct source *source, struct trace_info *info, progress_fn *progress,
			    void *arg, struct err *err);

/* What `trace stat` tells. A touch is a record that names a page of memory, map and unmap apart. */
struct trace_stat {
	uint64_t records, ticks; /* time between the first and the last, sleeps included */
	uint64_t kinds[REC_KINDS];
	uint64_t touches, pages;	      /* pages: distinct, of each VM and address space */
	uint64_t hottest_100th, hottest_10th; /* touches of the most touched pages, rounded up */
	uint64_t footprint[64];		      /* distinct pages within the first 2^i touches */
	unsigned footprints;
};

/* Reads whatever is left. Takes memory by distinct page. */
MUST_CHECK int source_stat(struct source *source, struct trace_stat *stat, progress_fn *progress,
			   void *arg, struct err *err);

/* "read", "write", "switch" ...; NULL for a kind that does not exist. */
const char *kind_name(unsigned kind);

/*
 * A stage that numbers (address space, page) densely by first touch, from 0:
 * what a machine without a guest operating system needs to run virtual
 * traces. Takes ownership of the source, also on failure.
 */
MUST_CHECK int source_renumber(struct source *inner, struct source **source, struct err *err);

/*
 * Keeps only the records of one VM of a trace of several. Ownership as above. A
 * VM that the trace does not have is an error: here, or where the number of VMs
 * is known at the end only, there.
 */
MUST_CHECK int source_only_vm(struct source *inner, uint32_t vm, struct source **source,
			      struct err *err);

/* The generators: one options struct, chosen by law. */
struct gen_opts {
	const struct policy *law;
	int64_t refs, pages, seed;
	double write_ratio;	       /* of references that write */
	double alpha;		       /* zipf: exponent */
	int64_t set_pages, phase_refs; /* phases, drift: size of a working set, its life */
	double scan_ratio;	       /* drift: of references that belong to a sequential scan */
	double churn;		       /* walker: of references that unmap first */
	char *mix;		       /* mix: "law:weight law:weight ..." */
	double zero, copies, copy_contents, common, member; /* image: classes, parts of pages */
	int64_t image;					    /* image: whose contents */
	uint64_t pace;					    /* image: ns between touches */
	char *schedule;					    /* toucher: "minute:MB ... minute" */
	uint64_t pass;	  /* toucher: ns in which each page is touched once */
	bool zero_thread; /* toucher: the guest zeroes what it had */
};

extern const struct policy *const trace_laws[];
extern const struct opt_section gen_section; /* titled: gen NAME { law = zipf } */

MUST_CHECK int source_generate(const struct gen_opts *opts, struct source **source,
			       struct err *err);

/* Writers. The file appears under its name when it is whole, or not at all. */
struct writer;

extern const struct policy *const trace_writers[]; /* bt, bt-fixed, u32, u64, csv, oracleGeneral */

/* info gives space, vms, tick_ns and provenance; the counts are the writer's own. */
MUST_CHECK int writer_open(const char *path, const char *format, const struct trace_info *info,
			   struct writer **writer, struct err *err);

/* A record that the format cannot hold: -EINVAL and "record N ..."; the caller says of what. */
MUST_CHECK int writer_put(struct writer *writer, const rec_t *batch, size_t words, struct err *err);
MUST_CHECK int writer_commit(struct writer *writer, struct err *err); /* frees, also on failure */
void writer_abort(struct writer *writer);			      /* frees, leaves no file */

#endif
