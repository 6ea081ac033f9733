/* The verbs that print about a trace: info, cat, stat. */
#include "experiments/cmd_trace.h"

#include "core/job.h"
#include "core/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct show_args {
	const char *file, *format;
	bool json;
};

static const struct argp_option show_options[] = {
	{"format", 'f', "NAME", 0, "The format of FILE (default: auto); see 'ballast list reader'",
	 0},
	{"json", 'j', NULL, 0, "One JSON object", 0},
	{0},
};

static error_t parse_show(int key, char *arg, struct argp_state *state)
{
	struct show_args *args = state->input;

	switch (key) {
	case 'f':
		args->format = arg;
		return 0;
	case 'j':
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		return trace_take_file(state, &args->file, arg);
	case ARGP_KEY_END:
		return args->file ? 0 : cmd_usage(state, "which FILE?");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- info ---------------------------------------------------------------- */

static int print_json(json_t *json)
{
	struct err err;

	if (json && json_dumpf(json, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(10)) == 0) {
		putchar('\n');
		json_decref(json);
		return 0;
	}
	json_decref(json);
	err_run(&err, ENOMEM, "cannot write the JSON object");
	return cmd_fail(&err);
}

static int info_json(const struct trace_info *info, uint64_t bytes)
{
	return print_json(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I}", "format",
				    info->format, "space", trace_space_name(info->space), "records",
				    (json_int_t)info->records, "writes", (json_int_t)info->writes,
				    "pages", (json_int_t)info->pages, "highest_page",
				    (json_int_t)info->highest_page, "vms", (json_int_t)info->vms,
				    "tick_ns", (json_int_t)info->tick_ns, "provenance",
				    json_words(info->provenance), "bytes", (json_int_t)bytes));
}

static int info_text(const struct trace_info *info, uint64_t bytes)
{
	printf("format        %s\n", info->format);
	printf("space         %s\n", trace_space_name(info->space));
	printf("records       %" PRIu64 "\n", info->records);
	printf("writes        %" PRIu64 "\n", info->writes);
	printf("pages         %" PRIu64 " distinct, the highest is %" PRIu64 "\n", info->pages,
	       info->highest_page);
	printf("vms           %" PRIu32 "\n", info->vms);
	printf("tick          %" PRIu32 " ns\n", info->tick_ns);
	printf("bytes         %" PRIu64 " (%.3f a record)\n", bytes,
	       info->records ? (double)bytes / (double)info->records : 0.0);
	if (*info->provenance)
		printf("provenance    %s\n", info->provenance);
	return 0;
}

static const struct argp info_argp = {
	.options = show_options,
	.parser = parse_show,
	.args_doc = "FILE",
	.doc = "Says what a trace holds: records, writes, distinct pages, and where it is from."
	       "\vA .bt answers from the totals at its end; other formats, and a .bt from a pipe, "
	       "are read through.\n\nExamples:\n"
	       "  ballast trace info FILE.bt\n"
	       "  ballast trace info --json --format u32 pages.bin",
};

/* The counts, from the file's totals or a pass over it. */
static int count(struct source *source, struct trace_info *info, struct err *err)
{
	struct progress bar;
	int rc;

	*info = *source_info(source);
	if (info->counted)
		return 0;
	progress_start(&bar, "counting", "B");
	rc = source_count(source, info, trace_progress, &bar, err);
	progress_end(&bar);
	return rc;
}

int trace_print_info(int argc, char **argv)
{
	struct show_args args = {0};
	struct source *source;
	struct source_progress size;
	struct trace_info info;
	struct err err = {0};
	int rc = cmd_parse(&info_argp, argc, argv, &args);

	if (rc)
		return rc;
	if (source_open(args.file, args.format, &source, &err))
		return cmd_fail(&err);
	rc = count(source, &info, &err);
	size = source_progress(source);
	source_close(source);
	if (rc)
		return cmd_fail(&err);
	return args.json ? info_json(&info, max_u64(size.total, size.done))
			 : info_text(&info, max_u64(size.total, size.done));
}

/* ---- cat ----------------------------------------------------------------- */

struct cat_args {
	struct show_args show; /* the first member: parse_show() fills it */
	uint64_t limit;
};

static const struct argp_option cat_options[] = {
	{"format", 'f', "NAME", 0, "The format of FILE (default: auto); see 'ballast list reader'",
	 0},
	{"limit", 'n', "N", 0, "At most so many records", 0},
	{0},
};

static error_t parse_cat(int key, char *arg, struct argp_state *state)
{
	struct cat_args *args = state->input;
	struct err err;
	int64_t limit;

	if (key != 'n')
		return parse_show(key, arg, state);
	if (parse_int(arg, &limit, &err) || limit < 0)
		return cmd_usage(state, "--limit %.40s: give a number of records, as 5000 or 20M",
				 arg);
	args->limit = (uint64_t)limit;
	return 0;
}

static const struct argp cat_argp = {
	.options = cat_options,
	.parser = parse_cat,
	.args_doc = "FILE",
	.doc = "Prints a trace as CSV that 'import --format csv' reads again: one line a record; "
	       "sleeps and changes of VM are in the columns time_ns and vm."
	       "\vExamples:\n"
	       "  ballast trace cat --limit 20 FILE.bt",
};

/* How many of the words at hand hold limit records; *limit falls by those taken. */
static size_t words_within(const rec_t *batch, size_t words, uint64_t *limit)
{
	size_t i = 0;

	while (i < words && *limit) {
		i += rec_is_wide(batch[i]) ? 2 : 1;
		--*limit;
	}
	return i;
}

static int cat(struct source *source, uint64_t limit, struct err *err)
{
	struct writer *writer;
	const rec_t *batch;
	int rc = writer_open("-", "csv", source_info(source), &writer, err);

	if (rc)
		return rc;
	while (limit) {
		ssize_t n = source_next(source, &batch, err);

		if (n == 0)
			break;
		rc = n < 0 ? (int)n
			   : trace_put(source, writer, batch,
				       words_within(batch, (size_t)n, &limit), err);
		if (rc) {
			writer_abort(writer);
			return rc;
		}
	}
	return writer_commit(writer, err);
}

int trace_cat(int argc, char **argv)
{
	struct cat_args args = {.limit = UINT64_MAX};
	struct source *source;
	struct err err = {0};
	int rc = cmd_parse(&cat_argp, argc, argv, &args);

	if (rc)
		return rc;
	if (source_open(args.show.file, args.show.format, &source, &err))
		return cmd_fail(&err);
	rc = cat(source, args.limit, &err);
	source_close(source);
	if (!rc)
		return 0;
	trace_drop_stdout();
	return rc == -EPIPE ? 0 : cmd_fail(&err); /* | head has seen enough */
}

/* ---- stat ---------------------------------------------------------------- */

static const struct argp stat_argp = {
	.options = show_options,
	.parser = parse_show,
	.args_doc = "FILE",
	.doc = "Counts what a trace does: records by kind, the share of writes, how far references "
	       "gather on few pages, and how the footprint grows."
	       "\vExamples:\n"
	       "  ballast trace stat FILE.bt",
};

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static uint64_t writes(const struct trace_stat *stat)
{
	return stat->kinds[REC_WRITE] + stat->kinds[REC_WRITE_ID];
}

static int stat_json(const struct trace_stat *stat, const struct trace_info *info)
{
	json_t *kinds = json_object(), *footprint = json_array();

	for (unsigned k = 0; k < REC_KINDS; k++) {
		if (stat->kinds[k])
			json_object_set_new(kinds, kind_name(k),
					    json_integer((json_int_t)stat->kinds[k]));
	}
	for (unsigned i = 0; i < stat->footprints; i++)
		json_array_append_new(footprint, json_integer((json_int_t)stat->footprint[i]));
	return print_json(
		json_pack("{s:s, s:I, s:o, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o}", "format",
			  info->format, "records", (json_int_t)stat->records, "kinds", kinds,
			  "touches", (json_int_t)stat->touches, "pages", (json_int_t)stat->pages,
			  "write_ratio", share(writes(stat), stat->touches), "reuse_ratio",
			  share(stat->touches - stat->pages, stat->touches), "hottest_1_percent",
			  share(stat->hottest_100th, stat->touches), "hottest_10_percent",
			  share(stat->hottest_10th, stat->touches), "seconds",
			  (double)stat->ticks * info->tick_ns / 1e9, "footprint", footprint));
}

static int stat_text(const struct trace_stat *stat, const struct trace_info *info)
{
	printf("records       %" PRIu64 " over %.6g s\n", stat->records,
	       (double)stat->ticks * info->tick_ns / 1e9);
	for (unsigned k = 0; k < REC_KINDS; k++) {
		if (stat->kinds[k])
			printf("  %-11s %" PRIu64 "\n", kind_name(k), stat->kinds[k]);
	}
	printf("pages         %" PRIu64 " distinct\n", stat->pages);
	printf("writes        %.2f %% of %" PRIu64 " touches\n",
	       100 * share(writes(stat), stat->touches), stat->touches);
	printf("reuse         %.2f %% touch a page that was touched before\n",
	       100 * share(stat->touches - stat->pages, stat->touches));
	printf("hottest 1 %%   %.2f %% of touches\n",
	       100 * share(stat->hottest_100th, stat->touches));
	printf("hottest 10 %%  %.2f %% of touches\n",
	       100 * share(stat->hottest_10th, stat->touches));
	printf("footprint     pages within the first touches\n");
	for (unsigned i = 0; i < stat->footprints; i++)
		printf("  %-11" PRIu64 " %" PRIu64 "\n", UINT64_C(1) << i, stat->footprint[i]);
	return 0;
}

int trace_stat(int argc, char **argv)
{
	struct show_args args = {0};
	struct trace_info info;
	struct trace_stat stat;
	struct source *source;
	struct progress bar;
	struct err err = {0};
	int rc = cmd_parse(&stat_argp, argc, argv, &args);

	if (rc)
		return rc;
	if (source_open(args.file, args.format, &source, &err))
		return cmd_fail(&err);
	progress_start(&bar, "counting", "B");
	rc = source_stat(source, &stat, trace_progress, &bar, &err);
	progress_end(&bar);
	info = *source_info(source);
	source_close(source);
	if (rc)
		return cmd_fail(&err);
	return args.json ? stat_json(&stat, &info) : stat_text(&stat, &info);
}
