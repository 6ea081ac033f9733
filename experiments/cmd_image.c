/* ballast image scan: how much of these memory images could be shared, and how. */
#include "experiments/cmds.h"
#include "experiments/image_scan.h"
#include "experiments/progress.h"

#include "core/types.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct scan_args {
	struct image_scan_opts opts;
	char **files;
	bool json;
};

enum { OPT_TOP = 1, OPT_SAMPLE, OPT_NO_PATCH };

static const struct argp_option scan_options[] = {
	{"json", 'j', NULL, 0, "Print one JSON object", 0},
	{"format", 'f', "FORMAT", 0, "auto (default), raw, elf or lime: of every FILE", 0},
	{"top", OPT_TOP, "N", 0, "Name the N most shared pages (10)", 0},
	{"sample", OPT_SAMPLE, "N", 0,
	 "Compress and patch N different pages, and scale to all (8192; 0: skip)", 0},
	{"no-patch", OPT_NO_PATCH, NULL, 0,
	 "Do not look for similar pages, which takes reading everything a second time", 0},
	{0},
};

static error_t parse_count(struct argp_state *state, const char *name, const char *arg,
			   uint64_t max, size_t *value)
{
	char *end;
	uint64_t v = strtoumax(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end || v > max)
		return cmd_usage(state, "--%s takes a number from 0 to %llu, not '%.40s'", name,
				 (unsigned long long)max, arg);
	*value = v;
	return 0;
}

static error_t parse_scan(int key, char *arg, struct argp_state *state)
{
	struct scan_args *a = state->input;

	switch (key) {
	case 'j':
		a->json = true;
		return 0;
	case 'f':
		a->opts.format = arg;
		return 0;
	case OPT_TOP:
		return parse_count(state, "top", arg, SCAN_TOP_MAX, &a->opts.top);
	case OPT_SAMPLE:
		return parse_count(state, "sample", arg, SCAN_SAMPLE_MAX, &a->opts.sample);
	case OPT_NO_PATCH:
		a->opts.patch = false;
		return 0;
	case ARGP_KEY_ARG:
		a->files[a->opts.n++] = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cmd_usage(state, "which images?");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp scan_argp = {
	scan_options,
	parse_scan,
	"FILE...",
	"Counts the contents of memory images: pages, zero pages, different ones, what sharing "
	"would reclaim within each image and across them, how many pages share a content, the "
	"most shared pages; then, from a sample, what sub-page patches and compression would "
	"add."
	"\v"
	"FILE is a raw image, an ELF64 core (of a process, or of QEMU's dump-guest-memory) or a "
	"LiME file; '-' is standard input; any may be packed with zstd. Images may be larger "
	"than memory: what is kept is 24 bytes a different page, and the sample.\n\n"
	"Examples:\n"
	"  ballast image scan guest1.core guest2.core\n"
	"  ballast image scan --json --top 100 memory.lime\n"
	"  zstd -dc memory.raw.zst | ballast image scan -",
	NULL,
	NULL,
	NULL,
};

/* ---- the table for a person ---------------------------------------------- */

static uint64_t number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static double real(const json_t *object, const char *name)
{
	return json_real_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

/* Pages as "4 KiB", "1.5 MiB", "12 GiB"; good until the second next call. */
static const char *size_of(double pages)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
	static char bufs[4][24];
	static unsigned turn;
	double v = pages * PAGE_SIZE / 1024;
	unsigned unit = 0;
	char *buf = bufs[turn++ % 4];

	for (; v >= 1023.5 && unit + 1 < ARRAY_LEN(units); unit++)
		v /= 1024;
	snprintf(buf, sizeof bufs[0], "%.*f %s", v < 9.95 && unit > 0 ? 1 : 0, v, units[unit]);
	return buf;
}

static void print_counts(const json_t *o, const char *format, const char *name)
{
	uint64_t pages = number(o, "pages"), reclaimable = number(o, "reclaimable");

	printf("%11" PRIu64 " %9s %7.2f %11" PRIu64 " %11" PRIu64 " %7.2f  %-6s  %s\n", pages,
	       size_of((double)pages), percent((double)number(o, "zero"), (double)pages),
	       number(o, "distinct"), reclaimable, percent((double)reclaimable, (double)pages),
	       format, name);
}

static void print_images(const json_t *result)
{
	struct cmd_bold bold = cmd_bold(stdout);
	const json_t *images = json_object_get(result, "images"), *image;
	size_t i;

	printf("%s%11s %9s %7s %11s %11s %7s  %-6s  %s%s\n", bold.on, "pages", "size", "zero %",
	       "distinct", "reclaimable", "%", "format", "image", bold.off);
	json_array_foreach(images, i, image)
	{
		print_counts(image, text(image, "format"), text(image, "file"));
	}
	if (json_array_size(images) > 1)
		print_counts(result, "", "all together");
	if (number(result, "absent") || number(result, "partial_bytes"))
		printf("Not counted: %" PRIu64 " pages that the images name and do not hold, "
		       "%" PRIu64 " bytes in pieces of pages\n",
		       number(result, "absent"), number(result, "partial_bytes"));
}

static void print_sharing(const json_t *result)
{
	double pages = (double)number(result, "pages"),
	       reclaimable = (double)number(result, "reclaimable");

	printf("\nSharing would reclaim %s, %.2f %% of all pages:\n", size_of(reclaimable),
	       percent(reclaimable, pages));
	printf("  %11" PRIu64 " pages by the zero page, %" PRIu64 " by others\n",
	       number(result, "reclaimable_zero"),
	       number(result, "reclaimable") - number(result, "reclaimable_zero"));
	printf("  %11" PRIu64 " pages within the images, %" PRIu64 " across them\n",
	       number(result, "reclaimable_within"), number(result, "reclaimable_across"));
}

static void print_histogram(const json_t *result)
{
	struct cmd_bold bold = cmd_bold(stdout);
	const json_t *row;
	size_t i;

	printf("\n%s%23s %11s %11s %11s%s  (without the zero page)\n", bold.on, "pages sharing",
	       "contents", "pages", "reclaimable", bold.off);
	json_array_foreach(json_object_get(result, "histogram"), i, row)
	{
		char range[48];

		if (number(row, "from") == 1)
			snprintf(range, sizeof range, "none");
		else
			snprintf(range, sizeof range, "%" PRIu64 " to %" PRIu64,
				 number(row, "from"), number(row, "to"));
		printf("%23s %11" PRIu64 " %11" PRIu64 " %11" PRIu64 "\n", range,
		       number(row, "contents"), number(row, "pages"), number(row, "reclaimable"));
	}
}

static void print_top(const json_t *result)
{
	struct cmd_bold bold = cmd_bold(stdout);
	const json_t *top = json_object_get(result, "top"), *row;
	size_t i;

	if (json_array_size(top) == 0)
		return;
	printf("\n%s%11s %9s  %-24s  %-30s  %s%s\n", bold.on, "pages", "size", "XXH128 begins",
	       "looks like", "first at", bold.off);
	json_array_foreach(top, i, row)
	{
		printf("%11" PRIu64 " %9s  %s  %-30s  %s in %s\n", number(row, "count"),
		       size_of((double)number(row, "count")), text(row, "hash"), text(row, "looks"),
		       text(row, "address"), text(row, "file"));
	}
}

static void print_saving(const char *what, const json_t *saving, double pages)
{
	printf("  %-24s %9s, %6.2f %% of all pages", what, size_of(real(saving, "saved_pages")),
	       percent(real(saving, "saved_pages"), pages));
	if (real(saving, "error_pages") > 0)
		printf(" (+- %.2f)", percent(real(saving, "error_pages"), pages));
	putchar('\n');
}

static void print_savings(const json_t *result)
{
	const json_t *compress = json_object_get(result, "compress"),
		     *patch = json_object_get(result, "patch"),
		     *both = json_object_get(result, "both");
	double pages = (double)number(result, "pages");

	if (!json_is_object(compress))
		return;
	printf("\nOn top of sharing, from %" PRIu64 " of %" PRIu64 " contents:\n",
	       number(compress, "sample"), number(compress, "population"));
	print_saving("compression (LZ4)", compress, pages);
	printf("  %24s fits 3/4 of a page: %.1f %%, 1/2: %.1f %%, 1/4: %.1f %%; mean %.0f bytes\n",
	       "", 100 * real(compress, "fits_three_quarters"), 100 * real(compress, "fits_half"),
	       100 * real(compress, "fits_quarter"), real(compress, "mean_bytes"));
	if (!json_is_object(patch)) {
		printf("  %-24s not estimated: takes files, which can be read twice\n", "patches");
		return;
	}
	print_saving("patches below 2 KiB", patch, pages);
	printf("  %24s of contents on one page, %.1f %% have a similar page, %.1f %% a patch; "
	       "mean %.0f bytes\n",
	       "", 100 * real(patch, "candidates"), 100 * real(patch, "patched"),
	       real(patch, "mean_bytes"));
	print_saving("patches or compression", both, pages);
}

static void print_result(const json_t *result)
{
	print_images(result);
	print_sharing(result);
	print_histogram(result);
	print_top(result);
	print_savings(result);
}

/* ---- the command --------------------------------------------------------- */

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
	progress_update(arg, done, total);
}

static int scan_images(int argc, char **argv)
{
	struct scan_args a = {
		.opts = {.sample = 8192, .top = 10, .patch = true},
		.files = calloc((size_t)argc, sizeof *a.files),
	};
	struct progress progress;
	struct err err = {0};
	json_t *result = NULL;

	if (!a.files) {
		err_run(&err, ENOMEM, "out of memory");
		return cmd_fail(&err);
	}
	a.opts.files = a.files;
	int rc = cmd_parse(&scan_argp, argc, argv, &a);
	if (rc) {
		free(a.files);
		return rc;
	}
	progress_start(&progress, "scan", "B");
	rc = image_scan(&a.opts, progress.on ? show_progress : NULL, &progress, &result, &err);
	progress_end(&progress);
	free(a.files);
	if (rc)
		return cmd_fail(&err);
	if (a.json) {
		cmd_print_json(json_incref(result));
	} else {
		print_result(result);
	}
	json_decref(result);
	return 0;
}

static const struct cmd verbs[] = {
	{"scan", "counts what could be shared in memory images", scan_images},
	{NULL},
};

static const struct cmd_group image_group = {
	.name = "ballast image",
	.cmds = verbs,
	.doc = "Looks into memory images: raw ones, ELF64 cores, LiME files."
	       "\v",
	.more = "'ballast image VERB --help' says more.\n\nExamples:\n"
		"  ballast image scan guest1.core guest2.core\n"
		"  ballast image scan --json memory.lime\n",
};

int cmd_image(int argc, char **argv)
{
	return cmd_group(&image_group, argc, argv);
}
