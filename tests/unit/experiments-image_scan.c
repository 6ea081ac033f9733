/* Whole scans of files: counts against a sort, a program's own memory, and bad input. */
#include "traces.h"

#include "images.h"
#include "experiments/image_scan.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void write_file(const char *path, const struct bytes *b)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(b->p, 1, b->n, f) != b->n || fclose(f) != 0)
		abort();
}

static const struct image_scan_opts plain = {.sample = 100, .top = 5, .patch = true};

static json_t *scan(char *const *files, size_t n, struct image_scan_opts opts)
{
	struct err err = {0};
	json_t *result = NULL;

	opts.files = files;
	opts.n = n;
	if (image_scan(&opts, NULL, NULL, &result, &err))
		printf("  %s\n", err.msg);
	CU_ASSERT_PTR_NOT_NULL_FATAL(result);
	return result;
}

static json_int_t number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	CU_ASSERT(json_is_integer(value));
	return json_integer_value(value);
}

static int by_content(const void *a, const void *b)
{
	return memcmp(*(uint8_t *const *)a, *(uint8_t *const *)b, PAGE_SIZE);
}

/* Contents, and pages with the most frequent one, by sorting pages whole. */
static size_t slow_distinct(const struct bytes *pages, size_t *most)
{
	size_t n = pages->n / PAGE_SIZE, distinct = 0, run = 0;
	uint8_t **page = calloc(n + 1, sizeof *page);

	*most = 0;
	for (size_t i = 0; i < n; i++)
		page[i] = pages->p + i * PAGE_SIZE;
	qsort(page, n, sizeof *page, by_content);
	for (size_t i = 0; i < n; i++) {
		bool same = i && memcmp(page[i - 1], page[i], PAGE_SIZE) == 0;
		run = same ? run + 1 : 1;
		distinct += !same;
		*most = max_u64(*most, run);
	}
	free(page);
	return distinct;
}

static size_t zero_pages(const struct bytes *pages)
{
	static const uint8_t zero[PAGE_SIZE];
	size_t zeroes = 0;

	for (size_t at = 0; at < pages->n; at += PAGE_SIZE)
		zeroes += memcmp(pages->p + at, zero, PAGE_SIZE) == 0;
	return zeroes;
}

static void check_against_sort(const json_t *counts, const struct bytes *pages)
{
	size_t most, distinct = slow_distinct(pages, &most);
	size_t n = pages->n / PAGE_SIZE;

	CU_ASSERT_EQUAL(number(counts, "pages"), (json_int_t)n);
	CU_ASSERT_EQUAL(number(counts, "zero"), (json_int_t)zero_pages(pages));
	CU_ASSERT_EQUAL(number(counts, "distinct"), (json_int_t)distinct);
	CU_ASSERT_EQUAL(number(counts, "reclaimable"), (json_int_t)(n - distinct));
	const json_t *top = json_array_get(json_object_get(counts, "top"), 0);
	if (top)
		CU_ASSERT_EQUAL(number(top, "count"), (json_int_t)most);
}

static void test_random_mixtures(void)
{
	char *files[2] = {strdup(test_path("a")), strdup(test_path("b"))};
	struct rng rng;

	rng_init(&rng, test_seed(10), "test", 0);
	for (int round = 0; round < 20; round++) {
		uint64_t contents = 1 + rng_below(&rng, 300);
		struct bytes both = {0}, one[2] = {{0}};

		for (unsigned i = 0; i < 2; i++) {
			for (uint64_t n = 1 + rng_below(&rng, 300); n > 0; n--) {
				if (rng_below(&rng, 4) == 0)
					bytes_add(&one[i], NULL, PAGE_SIZE);
				else
					bytes_add_page(&one[i], rng_below(&rng, contents));
			}
			write_file(files[i], &one[i]);
			bytes_add(&both, one[i].p, one[i].n);
		}
		json_t *result = scan(files, 2, plain);
		json_t *images = json_object_get(result, "images");
		check_against_sort(result, &both);
		check_against_sort(json_array_get(images, 0), &one[0]);
		check_against_sort(json_array_get(images, 1), &one[1]);
		json_int_t within = number(json_array_get(images, 0), "reclaimable") +
				    number(json_array_get(images, 1), "reclaimable");
		CU_ASSERT_EQUAL(number(result, "reclaimable_within"), within);
		CU_ASSERT_EQUAL(number(result, "reclaimable_across"),
				number(result, "reclaimable") - within);
		json_decref(result);
		bytes_free(&both);
		bytes_free(&one[0]);
		bytes_free(&one[1]);
	}
	free(files[0]);
	free(files[1]);
}

/* By hand: two images of a zero page, contents 1 1 2, and 1 3. */
static void test_by_hand(void)
{
	char *files[2] = {strdup(test_path("a")), strdup(test_path("b"))};
	struct bytes a = {0}, b = {0};

	lime_add_range(&a, 0x1000, 0x4fff);
	bytes_add(&a, NULL, PAGE_SIZE);
	bytes_add_page(&a, 1);
	bytes_add_page(&a, 1);
	bytes_add_page(&a, 2);
	bytes_add(&b, NULL, PAGE_SIZE);
	bytes_add_page(&b, 1);
	bytes_add_page(&b, 3);
	write_file(files[0], &a);
	write_file(files[1], &b);
	json_t *result = scan(files, 2, plain);
	json_t *want = json_pack("{s:i s:i s:i s:i s:i s:i s:i s:i s:i s:i s:i}", "page_bytes",
				 4096, "pages", 7, "zero", 2, "distinct", 4, "unique", 2,
				 "reclaimable", 3, "reclaimable_zero", 1, "reclaimable_within", 1,
				 "reclaimable_across", 2, "absent", 0, "partial_bytes", 0);
	const char *name;
	json_t *value;
	json_object_foreach(want, name, value)
	{
		CU_ASSERT(json_equal(value, json_object_get(result, name)));
	}
	const json_t *top = json_object_get(result, "top");
	CU_ASSERT_EQUAL(json_array_size(top), 2);
	const json_t *first = json_array_get(top, 0);
	CU_ASSERT_EQUAL(number(first, "count"), 3);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "address")), "0x2000");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "file")), files[0]);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(top, 1), "looks")),
			       "zero");
	json_t *histogram = json_pack("[{s:i s:i s:i s:i s:i}, {s:i s:i s:i s:i s:i}]", "from", 1,
				      "to", 1, "contents", 2, "pages", 2, "reclaimable", 0, "from",
				      2, "to", 3, "contents", 1, "pages", 3, "reclaimable", 2);
	CU_ASSERT(json_equal(histogram, json_object_get(result, "histogram")));
	CU_ASSERT_EQUAL(number(json_object_get(result, "compress"), "population"), 3);
	CU_ASSERT_EQUAL(number(json_object_get(result, "patch"), "population"), 2);
	json_decref(histogram);
	json_decref(want);
	json_decref(result);
	bytes_free(&a);
	bytes_free(&b);
	free(files[0]);
	free(files[1]);
}

/*
 * This program's own memory as a core: what its maps say is readable and
 * private, read through /proc/self/mem, up to a few MiB for each.
 */
static struct bytes own_core(struct bytes *pages)
{
	struct segment s[512];
	size_t n = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY);

	if (!maps || mem < 0)
		SKIP("/proc/self cannot be read");
	while (n < ARRAY_LEN(s) && fgets(line, sizeof line, maps)) {
		unsigned long long from, to;
		char mode[5];
		if (sscanf(line, "%llx-%llx %4s", &from, &to, mode) != 3 || mode[0] != 'r')
			continue;
		uint64_t size = min_u64(to - from, 4 << 20);
		uint8_t *data = malloc(size);
		ssize_t got = data ? pread(mem, data, size, (off_t)from) : -1;
		got -= got > 0 ? got % PAGE_SIZE : 0;
		if (got > 0) {
			s[n++] = (struct segment){from, 0, pages->n, (uint64_t)got, to - from};
			bytes_add(pages, data, (size_t)got);
		}
		free(data);
	}
	fclose(maps);
	close(mem);
	for (size_t i = 0; i < n; i++)
		s[i].offset += elf_data(n);
	struct bytes core = elf_headers(s, n);
	bytes_add(&core, pages->p, pages->n);
	return core;
}

static void test_the_memory_of_this_program(void)
{
	char *file = strdup(test_path("core"));
	struct bytes pages = {0}, core = own_core(&pages);

	write_file(file, &core);
	json_t *result = scan(&file, 1, plain);
	CU_ASSERT(pages.n > 100 * PAGE_SIZE);
	check_against_sort(result, &pages);
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(
			json_array_get(json_object_get(result, "images"), 0), "addresses")),
		"virtual");
	CU_ASSERT(number(result, "zero") > 0);
	json_decref(result);
	bytes_free(&pages);
	bytes_free(&core);
	free(file);
}

/* What comes through a pipe is read once: everything but patches. */
static void test_a_pipe(void)
{
	char *files[2] = {strdup(test_path("fifo")), strdup(test_path("a"))};
	struct bytes a = {0};

	for (uint64_t i = 0; i < 8; i++)
		bytes_add_page(&a, i % 3);
	write_file(files[1], &a);
	CU_ASSERT_EQUAL_FATAL(mkfifo(files[0], 0600), 0);
	pid_t child = fork();
	if (child == 0) {
		int fd = open(files[0], O_WRONLY);
		_exit(write(fd, a.p, a.n) != (ssize_t)a.n);
	}
	CU_ASSERT_FATAL(child > 0);
	json_t *result = scan(files, 2, plain);
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	CU_ASSERT_EQUAL(number(result, "pages"), 16);
	CU_ASSERT_EQUAL(number(result, "distinct"), 3);
	CU_ASSERT(json_is_null(json_object_get(result, "patch")));
	CU_ASSERT(json_is_object(json_object_get(result, "compress")));
	json_decref(result);
	bytes_free(&a);
	free(files[0]);
	free(files[1]);
}

static void test_parts_left_out(void)
{
	char *file = strdup(test_path("a"));
	struct image_scan_opts opts = {.sample = 0, .top = 0, .patch = true};
	struct bytes a = {0};

	bytes_add_page(&a, 1);
	bytes_add_page(&a, 1);
	write_file(file, &a);
	json_t *result = scan(&file, 1, opts);
	CU_ASSERT(json_is_null(json_object_get(result, "compress")));
	CU_ASSERT(json_is_null(json_object_get(result, "patch")));
	CU_ASSERT_EQUAL(json_array_size(json_object_get(result, "top")), 0);
	json_decref(result);
	opts = (struct image_scan_opts){.sample = 10};
	result = scan(&file, 1, opts);
	CU_ASSERT(json_is_object(json_object_get(result, "compress")));
	CU_ASSERT(json_is_null(json_object_get(result, "patch")));
	json_decref(result);
	bytes_free(&a);
	free(file);
}

static void count_calls(void *arg, uint64_t done, uint64_t total)
{
	uint64_t *last = arg;

	CU_ASSERT(done >= *last);
	CU_ASSERT(done <= total);
	*last = done;
}

/* Two passes over both files: done ends at the total, and never goes back. */
static void test_progress(void)
{
	char *files[2] = {strdup(test_path("a")), strdup(test_path("b"))};
	struct image_scan_opts opts = plain;
	struct bytes a = {0};
	struct err err;
	json_t *result;
	uint64_t last = 0;

	for (uint64_t i = 0; i < 300; i++)
		bytes_add_page(&a, i);
	write_file(files[0], &a);
	write_file(files[1], &a);
	opts.files = files;
	opts.n = 2;
	CU_ASSERT_EQUAL_FATAL(image_scan(&opts, count_calls, &last, &result, &err), 0);
	CU_ASSERT_EQUAL(last, 4 * 300 * PAGE_SIZE);
	json_decref(result);
	bytes_free(&a);
	free(files[0]);
	free(files[1]);
}

/* A bad second image is told before the first is read. */
static void test_bad_input(void)
{
	char *files[2] = {strdup(test_path("good")), strdup(test_path("bad"))};
	char *twice[2] = {strdup("-"), strdup("-")};
	struct image_scan_opts opts = plain;
	struct bytes a = {0};
	struct err err = {0};
	json_t *result;
	uint64_t last = 0;

	bytes_add_page(&a, 1);
	bytes_add_page(&a, 2);
	write_file(files[0], &a);
	a.n -= 9;
	write_file(files[1], &a);
	opts.files = files;
	opts.n = 2;
	CU_ASSERT(image_scan(&opts, count_calls, &last, &result, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "/bad: at byte 8183: "));
	CU_ASSERT_EQUAL(last, 0);
	opts.files = twice;
	CU_ASSERT(image_scan(&opts, NULL, NULL, &result, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "only once"));
	bytes_free(&a);
	for (unsigned i = 0; i < 2; i++) {
		free(files[i]);
		free(twice[i]);
	}
}

TESTS("experiments/image_scan", {"random mixtures", test_random_mixtures},
      {"by hand", test_by_hand}, {"the memory of this program", test_the_memory_of_this_program},
      {"a pipe", test_a_pipe}, {"parts left out", test_parts_left_out}, {"progress", test_progress},
      {"bad input", test_bad_input})
