#include "experiments/image_scan.h"

#include "core/job.h"
#include "experiments/savings.h"
#include "traces/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct scan {
	const struct image_scan_opts *opts;
	progress_fn *progress;
	void *progress_arg;
	uint64_t done, total; /* bytes of all images, as stored; total 0: unknown */
	bool twice;	      /* all are files, which can be read a second time */
	struct image_info *info;
	struct census *census;
	struct sample *sample;
	bool *wanted;
	struct similar *similar;
	uint64_t ordinal; /* of the next page of the second pass */
};

static int no_memory(struct err *err)
{
	return err_run(err, ENOMEM,
		       "out of memory: the images differ too much; scan fewer at once, or with a "
		       "smaller --sample");
}

/* Or a device: whatever is there and has no size. */
static bool is_pipe(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

/* Checks every header before the first image is read, which may take long; adds up sizes. */
static int survey(struct scan *scan, struct err *err)
{
	unsigned standard_inputs = 0;

	scan->twice = true;
	for (size_t i = 0; i < scan->opts->n; i++) {
		const char *path = scan->opts->files[i];
		bool standard_input = strcmp(path, "-") == 0;
		struct image *image;
		uint64_t done, total;

		standard_inputs += standard_input;
		if (standard_inputs > 1)
			return err_input(err, "standard input can be scanned only once: name '-' "
					      "once");
		if (standard_input || is_pipe(path)) {
			scan->twice = false; /* opening it would take from it */
			continue;
		}
		int rc = image_open(path, scan->opts->format, &image, err);
		if (rc)
			return rc;
		image_progress(image, &done, &total);
		scan->total += total;
		image_close(image);
	}
	if (!scan->twice)
		scan->total = 0;
	return 0;
}

static int count_run(struct scan *scan, const struct image_run *run, struct err *err)
{
	return census_add(scan->census, run) ? no_memory(err) : 0;
}

static int find_similar(struct scan *scan, const struct image_run *run, struct err *err)
{
	(void)err;
	similar_add(scan->similar, scan->ordinal, run->data, run->pages);
	scan->ordinal += run->pages;
	return 0;
}

typedef int take_run(struct scan *scan, const struct image_run *run, struct err *err);

static int read_image(struct scan *scan, size_t i, take_run *take, struct err *err)
{
	struct image *image;
	struct image_run run;
	uint64_t done = 0, total;
	ssize_t n = 0;
	int rc = image_open(scan->opts->files[i], scan->opts->format, &image, err);

	if (rc)
		return rc;
	while (!rc && (n = image_next(image, &run, err)) > 0) {
		rc = take(scan, &run, err);
		image_progress(image, &done, &total);
		if (scan->progress)
			scan->progress(scan->progress_arg, scan->done + done, scan->total);
	}
	scan->done += done;
	scan->info[i] = *image_info(image);
	image_close(image);
	return rc ? rc : (int)n;
}

static int read_all(struct scan *scan, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < scan->opts->n && !rc; i++) {
		rc = census_begin(scan->census);
		rc = rc == -E2BIG ? err_input(err, "too many images at once: scan fewer")
		     : rc	  ? no_memory(err)
				  : read_image(scan, i, count_run, err);
	}
	return rc;
}

/* The second pass: only what was sampled, and what looks like it. */
static int read_again(struct scan *scan, struct err *err)
{
	int rc = similar_new(scan->sample, scan->wanted, &scan->similar);

	if (rc)
		return no_memory(err);
	for (size_t i = 0; i < scan->opts->n && !rc; i++)
		rc = read_image(scan, i, find_similar, err);
	return rc;
}

/* ---- the result ---------------------------------------------------------- */

static json_t *count_json(uint64_t count)
{
	return json_integer((json_int_t)count);
}

static json_t *images_json(const struct scan *scan)
{
	static const char *const spaces[] = {"offset", "physical", "virtual"};
	json_t *list = json_array();

	for (size_t i = 0; i < scan->opts->n; i++) {
		struct census_counts c = census_image(scan->census, i);
		const struct image_info *info = &scan->info[i];

		json_array_append_new(
			list,
			json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "file",
				  json_words(scan->opts->files[i]), "format", info->format,
				  "addresses", spaces[info->space], "pages", count_json(c.pages),
				  "zero", count_json(c.zero), "distinct", count_json(c.distinct),
				  "reclaimable", count_json(c.pages - c.distinct), "absent",
				  count_json(info->absent_pages), "partial_bytes",
				  count_json(info->partial_bytes)));
	}
	return list;
}

static json_t *histogram_json(const struct scan *scan)
{
	struct census_bucket bucket[CENSUS_BUCKETS];
	json_t *list = json_array();

	census_histogram(scan->census, bucket);
	for (unsigned i = 0; i < CENSUS_BUCKETS; i++) {
		uint64_t from = UINT64_C(1) << i;

		if (bucket[i].contents == 0)
			continue;
		json_array_append_new(list,
				      json_pack("{s:o, s:o, s:o, s:o, s:o}", "from",
						count_json(from), "to", count_json(2 * from - 1),
						"contents", count_json(bucket[i].contents), "pages",
						count_json(bucket[i].pages), "reclaimable",
						count_json(bucket[i].pages - bucket[i].contents)));
	}
	return list;
}

static json_t *top_json(const struct scan *scan)
{
	struct census_content *top = calloc(scan->opts->top + 1, sizeof *top);
	json_t *list = json_array();
	size_t n = top ? census_top(scan->census, top, scan->opts->top) : 0;

	for (size_t i = 0; i < n; i++) {
		char hash[25], address[19];
		size_t image;
		uint64_t addr;

		census_where(scan->census, top[i].ordinal, &image, &addr);
		snprintf(hash, sizeof hash, "%016llx%08x", (unsigned long long)top[i].id.high,
			 top[i].id.low);
		snprintf(address, sizeof address, "0x%llx", (unsigned long long)addr);
		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:o, s:s, s:s}", "hash", hash, "count",
						count_json(top[i].count), "file",
						json_words(scan->opts->files[image]), "address",
						address, "looks", content_look_name(top[i].look)));
	}
	free(top);
	return list;
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static json_t *saving_json(const struct saving *saving)
{
	return json_pack("{s:o, s:o, s:f, s:f}", "sample", count_json(saving->sample), "population",
			 count_json(saving->population), "saved_pages", saving->pages,
			 "error_pages", saving->error);
}

static json_t *compress_json(const struct savings *s)
{
	json_t *compress = saving_json(&s->compress);
	uint64_t n = s->compress.sample;

	json_object_update_new(compress,
			       json_pack("{s:f, s:f, s:f, s:f}", "fits_three_quarters",
					 share(s->fit[0], n), "fits_half", share(s->fit[1], n),
					 "fits_quarter", share(s->fit[2], n), "mean_bytes",
					 share(s->compressed_bytes, n)));
	return compress;
}

static json_t *patch_json(const struct savings *s)
{
	json_t *patch = saving_json(&s->patch);
	uint64_t n = s->patch.sample;

	json_object_update_new(patch,
			       json_pack("{s:f, s:f, s:f}", "candidates", share(s->candidates, n),
					 "patched", share(s->patched, n), "mean_bytes",
					 share(s->patch_bytes, s->patched)));
	return patch;
}

static void add_savings(const struct scan *scan, json_t *result)
{
	bool packed = scan->sample, patched = scan->similar;
	struct savings s = {0};

	if (packed)
		savings_estimate(scan->sample, scan->census, scan->wanted, scan->similar, &s);
	json_object_set_new(result, "compress", packed ? compress_json(&s) : json_null());
	json_object_set_new(result, "patch", patched ? patch_json(&s) : json_null());
	json_object_set_new(result, "both", patched ? saving_json(&s.both) : json_null());
}

static json_t *result_json(const struct scan *scan)
{
	struct census_counts all = census_all(scan->census);
	uint64_t reclaimable = all.pages - all.distinct, within = 0, absent = 0, partial = 0;

	for (size_t i = 0; i < scan->opts->n; i++) {
		struct census_counts c = census_image(scan->census, i);

		within += c.pages - c.distinct;
		absent += scan->info[i].absent_pages;
		partial += scan->info[i].partial_bytes;
	}
	json_t *result = json_pack(
		"{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "page_bytes",
		PAGE_SIZE, "pages", count_json(all.pages), "zero", count_json(all.zero), "distinct",
		count_json(all.distinct), "unique", count_json(all.once), "reclaimable",
		count_json(reclaimable), "reclaimable_zero",
		count_json(all.zero ? all.zero - 1 : 0), "reclaimable_within", count_json(within),
		"reclaimable_across", count_json(reclaimable - within), "absent",
		count_json(absent), "partial_bytes", count_json(partial), "table_bytes",
		count_json(census_bytes(scan->census)));
	json_object_set_new(result, "images", images_json(scan));
	json_object_set_new(result, "histogram", histogram_json(scan));
	json_object_set_new(result, "top", top_json(scan));
	add_savings(scan, result);
	return result;
}

/* ---- the scan ------------------------------------------------------------ */

static int prepare(struct scan *scan, struct err *err)
{
	const struct image_scan_opts *opts = scan->opts;

	scan->info = calloc(opts->n + 1, sizeof *scan->info);
	scan->wanted = calloc(opts->sample + 1, sizeof *scan->wanted);
	if (!scan->info || !scan->wanted ||
	    (opts->sample && sample_new(opts->sample, &scan->sample)))
		return no_memory(err);
	if (census_new(scan->sample, &scan->census))
		return no_memory(err);
	return survey(scan, err);
}

static int run_passes(struct scan *scan, struct err *err)
{
	bool patch = scan->opts->patch && scan->twice && scan->sample;

	if (patch)
		scan->total *= 2;
	int rc = read_all(scan, err);
	if (rc || !scan->sample)
		return rc;
	savings_wanted(scan->sample, scan->census, scan->wanted);
	return patch ? read_again(scan, err) : 0;
}

int image_scan(const struct image_scan_opts *opts, progress_fn *progress, void *arg,
	       json_t **result, struct err *err)
{
	struct scan scan = {.opts = opts, .progress = progress, .progress_arg = arg};
	int rc = prepare(&scan, err);

	if (!rc)
		rc = run_passes(&scan, err);
	if (!rc && !(*result = result_json(&scan)))
		rc = no_memory(err);
	similar_free(scan.similar);
	census_free(scan.census);
	sample_free(scan.sample);
	free(scan.wanted);
	free(scan.info);
	return rc;
}
