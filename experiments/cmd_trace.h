/*
 * `ballast trace VERB`: what the verbs share.
 *
 * A verb is one function and one line in cmd_trace.c. Each reads one trace
 * (a file, "-" or a generator) through a source and prints about it or copies
 * it into a writer; nothing is held in memory that grows with the trace.
 */
#ifndef BALLAST_EXPERIMENTS_CMD_TRACE_H
#define BALLAST_EXPERIMENTS_CMD_TRACE_H

#include "experiments/cmds.h"
#include "experiments/progress.h"
#include "traces/traces.h"

int trace_gen(int argc, char **argv);
int trace_import(int argc, char **argv);
int trace_export(int argc, char **argv);
int trace_record(int argc, char **argv);
int trace_print_info(int argc, char **argv);
int trace_cat(int argc, char **argv);
int trace_stat(int argc, char **argv);

/* "taken by several verbs": the first FILE, a second one is a usage error. */
error_t trace_take_file(struct argp_state *state, const char **file, char *arg);

/*
 * Writes the whole source as a file of that format, with info's text, and
 * closes the source in any case. A binary format is not written to a terminal.
 * Returns the exit code; errors are printed.
 */
int trace_write(struct source *source, const struct trace_info *info, const char *path,
		const char *format);

/* writer_put() of a batch of the source, whose name stands before what is wrong with a record. */
MUST_CHECK int trace_put(const struct source *source, struct writer *writer, const rec_t *batch,
			 size_t words, struct err *err);

/* What is left for standard output after a write to it failed: nothing, so that it fails once. */
void trace_drop_stdout(void);

/* A progress_fn over a struct progress. */
void trace_progress(void *progress, uint64_t done, uint64_t total);

const char *trace_space_name(enum trace_space space);

#endif
