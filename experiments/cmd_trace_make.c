/* The verbs that write a trace: gen, import, export. */
#include "experiments/cmd_trace.h"

#include <sys/stat.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- gen ----------------------------------------------------------------- */

struct gen_args {
	struct gen_opts opts;
	bool law;
	const char *out;
	bool fixed;
};

static const struct argp_option gen_options[] = {
	{"set", 's', "KEY=VALUE", 0, "An option of the generator ('ballast list gen')", 0},
	{"output", 'o', "FILE", 0, "Where the .bt goes ('-': standard output)", 0},
	{"fixed", 'F', NULL, 0, "8 bytes a record, replayed in place, instead of packed blocks", 0},
	{0},
};

static error_t gen_law(struct argp_state *state, struct gen_args *args, char *arg)
{
	struct err err;

	if (args->law)
		return cmd_usage(state, "one LAW at a time, please");
	args->law = true;
	if (opt_set(opt_find(&gen_section, "law"), &args->opts, arg, &err))
		return cmd_usage(state, "%s", err.msg);
	return 0;
}

static error_t gen_set(struct argp_state *state, struct gen_args *args, char *arg)
{
	const char *names[32], *near;
	char *equals = strchr(arg, '=');
	const struct opt *opt;
	struct err err;
	size_t n = 0;

	if (!equals)
		return cmd_usage(state, "-s %s: write -s KEY=VALUE", arg);
	*equals = 0;
	opt = opt_find(&gen_section, arg);
	if (opt) {
		if (opt_set(opt, &args->opts, equals + 1, &err))
			return cmd_usage(state, "-s %s: %s", arg, err.msg);
		return 0;
	}
	for (opt = gen_section.opts; opt->name && n < ARRAY_LEN(names); opt++)
		names[n++] = opt->name;
	near = nearest_name(arg, names, n);
	if (near)
		return cmd_usage(state, "-s %s: no such option; did you mean '%s'?", arg, near);
	return cmd_usage(state, "-s %s: no such option; 'ballast list gen' shows all", arg);
}

static error_t parse_gen(int key, char *arg, struct argp_state *state)
{
	struct gen_args *args = state->input;

	switch (key) {
	case 's':
		return gen_set(state, args, arg);
	case 'o':
		args->out = arg;
		return 0;
	case 'F':
		args->fixed = true;
		return 0;
	case ARGP_KEY_ARG:
		return gen_law(state, args, arg);
	case ARGP_KEY_END:
		if (!args->law)
			return cmd_usage(state, "which law? 'ballast list law' shows them");
		if (!args->out)
			return cmd_usage(state, "say -o FILE");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp gen_argp = {
	.options = gen_options,
	.parser = parse_gen,
	.args_doc = "LAW",
	.doc = "Makes a trace by a law, one of those that 'ballast list law' names."
	       "\vThe same options give the same trace; they are kept in its header.\n\nExamples:\n"
	       "  ballast trace gen zipf -s refs=50M -s pages=262144 -o zipf.bt\n"
	       "  ballast trace gen phases -s refs=1M -s pages=4096 -s seed=7 -o phases.bt\n"
	       "  ballast trace gen mix -s mix='zipf:3 sequential:1' -o mix.bt",
};

int trace_gen(int argc, char **argv)
{
	struct gen_args args = {0};
	struct source *source;
	struct err err;
	int rc;

	if (opt_defaults(&gen_section, &args.opts)) {
		err_run(&err, ENOMEM, "out of memory");
		return cmd_fail(&err);
	}
	rc = cmd_parse(&gen_argp, argc, argv, &args);
	if (!rc && source_generate(&args.opts, &source, &err))
		rc = cmd_fail(&err);
	else if (!rc)
		rc = trace_write(source, source_info(source), args.out,
				 args.fixed ? "bt-fixed" : "bt");
	opt_release(&gen_section, &args.opts);
	return rc;
}

/* ---- what import and export share ---------------------------------------- */

struct copy_args {
	const char *file, *out;
	const char *from, *to; /* formats; from NULL: auto */
	bool renumber;
	int space; /* -1: as the source says */
	int vm;	   /* -1: all */
};

static error_t copy_space(struct argp_state *state, struct copy_args *args, const char *arg)
{
	if (strcmp(arg, "ppn") == 0)
		args->space = TRACE_PPN;
	else if (strcmp(arg, "vpn") == 0)
		args->space = TRACE_VPN;
	else
		return cmd_usage(state, "--space %s: take ppn or vpn", arg);
	return 0;
}

static error_t copy_vm(struct argp_state *state, struct copy_args *args, const char *arg)
{
	char *end;
	unsigned long vm = strtoul(arg, &end, 10);

	if (end == arg || *end || *arg == '-' || vm > 65535)
		return cmd_usage(state, "--vm %s: give the index of a VM, from 0", arg);
	args->vm = (int)vm;
	return 0;
}

/* What import and export have in common. */
static error_t parse_copy(int key, char *arg, struct argp_state *state)
{
	struct copy_args *args = state->input;

	switch (key) {
	case 'o':
		args->out = arg;
		return 0;
	case 'r':
		args->renumber = true;
		return 0;
	case 'v':
		return copy_vm(state, args, arg);
	case ARGP_KEY_ARG:
		return trace_take_file(state, &args->file, arg);
	case ARGP_KEY_END:
		if (!args->file)
			return cmd_usage(state, "which FILE?");
		if (!args->out)
			return cmd_usage(state, "say -o FILE");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The stages over the source that the options ask for. */
static int open_copied(const struct copy_args *args, struct source **source, struct err *err)
{
	int rc = source_open(args->file, args->from, source, err);

	if (!rc && args->vm >= 0)
		rc = source_only_vm(*source, (uint32_t)args->vm, source, err);
	if (!rc && args->renumber)
		rc = source_renumber(*source, source, err);
	return rc;
}

static int run_copy(const struct copy_args *args)
{
	struct trace_info info;
	struct source *source;
	struct err err = {0};

	if (open_copied(args, &source, &err))
		return cmd_fail(&err);
	info = *source_info(source);
	if (args->space >= 0)
		info.space = (enum trace_space)args->space;
	if (!*info.provenance) {
		const char *slash = strrchr(args->file, '/');

		snprintf(info.provenance, sizeof info.provenance, "imported from %s %.200s",
			 info.format, slash ? slash + 1 : args->file);
	}
	return trace_write(source, &info, args->out, args->to);
}

/* ---- import -------------------------------------------------------------- */

static const struct argp_option import_options[] = {
	{"format", 'f', "NAME", 0,
	 "The format of FILE, one of the readers that `ballast list reader` names (default: "
	 "auto, by its first bytes or its name)",
	 0},
	{"output", 'o', "FILE", 0, "Where the .bt goes ('-': standard output)", 0},
	{"space", 'S', "ppn|vpn", 0, "What its pages are: the guest's physical or virtual ones", 0},
	{"renumber", 'r', NULL, 0, "Number pages densely by first touch, as PPNs", 0},
	{"vm", 'v', "N", 0, "Only the records of VM N of several", 0},
	{"fixed", 'F', NULL, 0, "8 bytes a record, replayed in place, instead of packed blocks", 0},
	{0},
};

static error_t parse_import(int key, char *arg, struct argp_state *state)
{
	struct copy_args *args = state->input;

	switch (key) {
	case 'f':
		args->from = arg;
		return 0;
	case 'S':
		return copy_space(state, args, arg);
	case 'F':
		args->to = "bt-fixed";
		return 0;
	default:
		return parse_copy(key, arg, state);
	}
}

static const struct argp import_argp = {
	.options = import_options,
	.parser = parse_import,
	.args_doc = "FILE",
	.doc = "Turns a trace of another format into a .bt."
	       "\vFILE may be '-' and may be packed with zstd.\n\n"
	       "CSV: the first line names the columns, in any order: page (decimal or 0x...), op "
	       "(r, read, w, write, and switch, fork, map, unmap, protect, file_read, "
	       "file_write, dma, end), and "
	       "optionally time_ns (absolute, never falling), content (of a write: a number for "
	       "what then fills the whole page; else the operand), vm (an index from "
	       "0).\n\nExamples:\n"
	       "  ballast trace import --format u32 FILE -o FILE.bt\n"
	       "  valgrind --tool=lackey --trace-mem=yes --log-fd=9 ls 9>&1 >/dev/null |\n"
	       "    ballast trace import --format lackey --renumber - -o ls.bt\n"
	       "  perf record -d -c 1 -e page-faults -o p.data ls\n"
	       "  perf script -i p.data -F comm,pid,tid,time,event,addr >ls.perf\n"
	       "  ballast trace import --renumber ls.perf -o ls.bt\n"
	       "  xz -dc ls.champsim.xz | ballast trace import --format champsim - -o ls.bt",
};

int trace_import(int argc, char **argv)
{
	struct copy_args args = {.to = "bt", .space = -1, .vm = -1};
	struct err err = {0};
	struct stat st;
	int rc = cmd_parse(&import_argp, argc, argv, &args);

	if (rc)
		return rc;
	/* Formats without a header take anything for records, even nothing. */
	if (stat(args.file, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0) {
		(void)err_input(&err, "%s: the file is empty: there is nothing to import",
				args.file);
		return cmd_fail(&err);
	}
	return run_copy(&args);
}

/* ---- export -------------------------------------------------------------- */

static const struct argp_option export_options[] = {
	{"format", 'f', "NAME", 0,
	 "The format to write: bt, bt-fixed, u32, u64, csv or "
	 "oracleGeneral",
	 0},
	{"from", 'i', "NAME", 0, "The format of FILE (default: auto)", 0},
	{"output", 'o', "FILE", 0, "Where it goes ('-': standard output)", 0},
	{"renumber", 'r', NULL, 0, "Number pages densely by first touch, as PPNs", 0},
	{"vm", 'v', "N", 0, "Only the records of VM N of several", 0},
	{0},
};

static error_t parse_export(int key, char *arg, struct argp_state *state)
{
	struct copy_args *args = state->input;

	switch (key) {
	case 'f':
		args->to = arg;
		return 0;
	case 'i':
		args->from = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->to)
			return cmd_usage(state, "which format? say --format NAME");
		return parse_copy(key, arg, state);
	default:
		return parse_copy(key, arg, state);
	}
}

static const struct argp export_argp = {
	.options = export_options,
	.parser = parse_export,
	.args_doc = "FILE",
	.doc = "Turns a trace into another format."
	       "\vu32, u64 and oracleGeneral keep pages, and the first two writes; a record that "
	       "they have no words for (a map, a switch of address spaces, a second VM) is an "
	       "error. CSV keeps everything, with times in ns.\n\nExamples:\n"
	       "  ballast trace export --format oracleGeneral FILE.bt -o FILE.oracleGeneral\n"
	       "  ballast trace export --format csv FILE.bt -o - | head",
};

int trace_export(int argc, char **argv)
{
	struct copy_args args = {.space = -1, .vm = -1};
	int rc = cmd_parse(&export_argp, argc, argv, &args);

	return rc ? rc : run_copy(&args);
}
