#include "experiments/cmd_trace.h"

#include "core/opt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cmd verbs[] = {
	{"gen", "makes a trace by a law of probability", trace_gen},
	{"import", "turns a trace of another format into a .bt", trace_import},
	{"export", "turns a trace into another format", trace_export},
	{"info", "says what a trace holds", trace_print_info},
	{"cat", "prints a trace as CSV", trace_cat},
	{"stat", "counts kinds, hot pages and the footprint", trace_stat},
	{NULL},
};

struct trace_args {
	int verb; /* index in argv, 0 if there is none */
};

static error_t parse_trace(int key, char *arg, struct argp_state *state)
{
	struct trace_args *args = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_ARG: /* the verb: what follows is its own */
		args->verb = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cmd_usage(state, "which verb?");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The list of verbs comes from their table. argp frees what we return. */
static char *list_verbs(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	FILE *out = open_memstream(&list, &size);
	if (!out)
		return (char *)text;
	fputs("Verbs:\n", out);
	for (const struct cmd *verb = verbs; verb->name; verb++)
		fprintf(out, "  %-10s %s\n", verb->name, verb->help);
	fputs("\n'ballast trace VERB --help' says more.\n\nExamples:\n"
	      "  ballast trace gen phases -s refs=1M -s pages=4096 -o phases.bt\n"
	      "  ballast trace import --format u32 FILE -o FILE.bt\n"
	      "  ballast trace info FILE.bt\n",
	      out);
	if (fclose(out) != 0) {
		free(list);
		return (char *)text;
	}
	return list;
}

static const struct argp trace_argp = {
	.parser = parse_trace,
	.args_doc = "VERB [ARGUMENT...]",
	.doc = "Makes, converts and shows traces. FILE may be '-' for standard input, may be "
	       "packed with zstd, and may be of any format that 'import' reads; files are "
	       "written whole or not at all."
	       "\v",
	.help_filter = list_verbs,
};

static int unknown_verb(const char *name)
{
	const char *names[16], *near;
	struct err err;
	size_t n = 0;

	for (const struct cmd *verb = verbs; verb->name && n < ARRAY_LEN(names); verb++)
		names[n++] = verb->name;
	near = nearest_name(name, names, n);
	if (near)
		err_input(&err, "trace: there is no verb '%.40s'; did you mean '%s'?", name, near);
	else
		err_input(&err, "trace: there is no verb '%.40s'; see 'ballast trace --help'",
			  name);
	return cmd_fail(&err);
}

int cmd_trace(int argc, char **argv)
{
	struct trace_args args = {0};
	char name[64];
	int rc = cmd_parse(&trace_argp, argc, argv, &args);

	if (rc)
		return rc;
	for (const struct cmd *verb = verbs; verb->name; verb++) {
		if (strcmp(verb->name, argv[args.verb]) == 0) {
			snprintf(name, sizeof name, "ballast trace %s", verb->name);
			argv[args.verb] = name;
			return verb->run(argc - args.verb, argv + args.verb);
		}
	}
	return unknown_verb(argv[args.verb]);
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

static int copy(struct source *source, struct writer *writer, struct err *err)
{
	struct progress bar;
	const rec_t *batch;
	ssize_t n;
	int rc = 0;

	progress_start(&bar, "writing", "B");
	while (!rc && (n = source_next(source, &batch, err)) != 0) {
		struct source_progress p = source_progress(source);

		rc = n < 0 ? (int)n : writer_put(writer, batch, (size_t)n, err);
		progress_update(&bar, p.done, p.total);
	}
	progress_end(&bar);
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
	return rc ? cmd_fail(&err) : 0;
}
