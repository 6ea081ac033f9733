#include "experiments/cmd_trace.h"

#include <errno.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

static const struct cmd verbs[] = {
	{"gen", "makes a trace by a law of probability", trace_gen},
	{"import", "turns a trace of another format into a .bt", trace_import},
	{"export", "turns a trace into another format", trace_export},
	{"record", "records what a guest in QEMU, or a program, touches", trace_record},
	{"info", "says what a trace holds", trace_print_info},
	{"cat", "prints a trace as CSV", trace_cat},
	{"stat", "counts kinds, hot pages and the footprint", trace_stat},
	{NULL},
};

static const struct cmd_group trace_group = {
	.name = "ballast trace",
	.cmds = verbs,
	.doc = "Makes, converts and shows traces. FILE may be '-' for standard input, may be "
	       "packed with zstd, and may be of any format that 'import' reads; files are "
	       "written whole or not at all."
	       "\v",
	.more = "'ballast trace VERB --help' says more.\n\nExamples:\n"
		"  ballast trace gen phases -s refs=1M -s pages=4096 -o phases.bt\n"
		"  ballast trace import --format u32 FILE -o FILE.bt\n"
		"  ballast trace info FILE.bt\n",
};

int cmd_trace(int argc, char **argv)
{
	return cmd_group(&trace_group, argc, argv);
}

error_t trace_take_file(struct argp_state *state, const char **file, char *arg)
{
	if (*file)
		return cmd_usage(state, "one FILE at a time, please");
	*file = arg;
	return 0;
}

void trace_progress(void *progress, uint64_t done, uint64_t total)
{
	progress_update(progress, done, total);
}

const char *trace_space_name(enum trace_space space)
{
	return space == TRACE_VPN ? "vpn" : "ppn";
}

void trace_drop_stdout(void)
{
	__fpurge(stdout);
	clearerr(stdout);
}

int trace_put(const struct source *source, struct writer *writer, const rec_t *batch, size_t words,
	      struct err *err)
{
	int rc = writer_put(writer, batch, words, err);

	if (rc && err->exit_code == 2) /* a record; else the message names the output */
		err_prefix(err, "%s", source_name(source));
	return rc;
}

static int copy(struct source *source, struct writer *writer, struct err *err)
{
	struct progress bar;
	const rec_t *batch;
	ssize_t n = 0;
	int rc = 0;

	progress_start(&bar, "writing", "B");
	while (!rc && (n = source_next(source, &batch, err)) != 0) {
		struct source_progress p = source_progress(source);

		rc = n < 0 ? (int)n : trace_put(source, writer, batch, (size_t)n, err);
		progress_update(&bar, p.done, p.total);
	}
	progress_end(&bar);
	/* Damage that a file tells of at its end explains more than what the writer met. */
	while (rc == -EINVAL && n > 0)
		n = source_next(source, &batch, err);
	return rc;
}

int trace_write(struct source *source, const struct trace_info *info, const char *path,
		const char *format)
{
	struct writer *writer;
	struct err err = {0};
	int rc;

	if (strcmp(path, "-") == 0 && strcmp(format, "csv") != 0 && isatty(STDOUT_FILENO))
		rc = err_input(&err, "a trace in binary is nothing for a terminal: name a file "
				     "with -o");
	else
		rc = writer_open(path, format, info, &writer, &err);
	if (!rc) {
		rc = copy(source, writer, &err);
		if (rc)
			writer_abort(writer);
		else
			rc = writer_commit(writer, &err);
	}
	source_close(source);
	if (!rc)
		return 0;
	if (strcmp(path, "-") == 0)
		trace_drop_stdout();
	return cmd_fail(&err);
}
