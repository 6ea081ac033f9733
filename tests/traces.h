/*
 * What the tests of traces/ share: random records, sources read to their end,
 * and a folder for files that goes with the program.
 */
#ifndef BALLAST_TESTS_TRACES_H
#define BALLAST_TESTS_TRACES_H

#include "test.h"

#include "core/rng.h"
#include "traces/private.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

struct words {
	rec_t *w;
	size_t n, room;
};

static inline void words_free(struct words *words)
{
	free(words->w);
	*words = (struct words){0};
}

static inline void words_add(struct words *words, const rec_t *w, size_t n)
{
	if (words->n + n >= words->room) {
		words->room = 2 * (words->n + n + 8);
		words->w = realloc(words->w, words->room * sizeof *w);
		if (!words->w)
			abort();
	}
	memcpy(words->w + words->n, w, n * sizeof *w);
	words->n += n;
}

static inline bool words_equal(const struct words *a, const struct words *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->w, b->w, a->n * sizeof *a->w) == 0);
}

/* Reads the source to its end and closes it. 0 or -errno; info may be NULL. */
static inline int words_read(struct source *source, struct words *words, struct trace_info *info,
			     struct err *err)
{
	const rec_t *batch;
	ssize_t n;

	*words = (struct words){0};
	while ((n = source_next(source, &batch, err)) > 0) {
		rec_t any;
		CU_ASSERT_EQUAL(whole_records(batch, (size_t)n, &any), (size_t)n);
		CU_ASSERT_TRUE(source_any(source) == any || source_any(source) == ~(rec_t)0);
		words_add(words, batch, (size_t)n);
	}
	if (n == 0)
		CU_ASSERT_EQUAL(source_next(source, &batch, err), 0); /* and stays at the end */
	if (info)
		*info = *source_info(source);
	source_close(source);
	return (int)n;
}

/* The same of memory that holds a file. */
static inline int words_of_memory(const void *data, size_t n, const char *format,
				  struct words *words, struct trace_info *info, struct err *err)
{
	struct source *source;
	int rc = source_open_memory("memory", data, n, format, &source, err);

	*words = (struct words){0};
	return rc ? rc : words_read(source, words, info, err);
}

/* Packed, memory can only be read from front to back, as a pipe. */
static inline int words_of_pipe(const void *data, size_t n, const char *format, struct words *words,
				struct trace_info *info, struct err *err)
{
	size_t room = ZSTD_compressBound(n);
	char *packed = malloc(room);
	size_t m = ZSTD_compress(packed, room, data, n, 1);
	int rc = words_of_memory(packed, m, format, words, info, err);

	free(packed);
	return rc;
}

struct shape {
	uint64_t pages;
	uint32_t delta; /* below */
	bool only_rw;
	uint64_t operand; /* below; 0: any 64 bits */
};

/* n records of every kind but END, or reads and writes alone; valid in what they name. */
static inline struct words words_random(struct rng *rng, size_t n, struct shape shape)
{
	static const unsigned char kinds[] = {
		REC_READ,     REC_WRITE, REC_SWITCH,  REC_SLEEP,     REC_VM,
		REC_WRITE_ID, REC_MAP,	 REC_UNMAP,   REC_FILE_READ, REC_FILE_WRITE,
		REC_DMA,      REC_FORK,	 REC_PROTECT,
	};
	struct words words = {0};

	for (size_t i = 0; i < n; i++) {
		unsigned kind = kinds[rng_below(rng, shape.only_rw ? 2 : sizeof kinds)];
		uint64_t page = rng_below(rng, kind == REC_VM ? 3 : shape.pages);
		rec_t r[2] = {rec_make(kind, page, shape.delta ? rng_below(rng, shape.delta) : 0)};

		if (kind == REC_MAP || kind == REC_UNMAP || kind == REC_PROTECT)
			r[1] = rng_below(rng, min_u64(REC_PAGE_MAX + 1 - page, 1000) + 1);
		else
			r[1] = shape.operand ? rng_below(rng, shape.operand) : rng_u64(rng);
		words_add(&words, r, rec_is_wide(r[0]) ? 2 : 1);
	}
	return words;
}

/* ---- files --------------------------------------------------------------- */

static char test_folder[64];

static inline void test_folder_remove(void)
{
	DIR *dir = opendir(test_folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(test_folder);
}

/* A path in a folder of this program alone; good until the next call but one. */
static inline const char *test_path(const char *name)
{
	static char paths[2][128];
	static unsigned turn;
	char *path = paths[turn++ % 2];

	if (!*test_folder) {
		strcpy(test_folder, "/tmp/ballast-test-XXXXXX");
		if (!mkdtemp(test_folder))
			abort();
		atexit(test_folder_remove);
	}
	snprintf(path, sizeof paths[0], "%s/%s", test_folder, name);
	return path;
}

static inline size_t test_folder_files(void)
{
	DIR *dir = opendir(test_folder);
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n - 2; /* . and .. */
}

/* The whole file; the caller frees it. */
static inline unsigned char *test_read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	unsigned char *data;

	if (!f)
		abort();
	fseek(f, 0, SEEK_END);
	*n = (size_t)ftell(f);
	rewind(f);
	data = malloc(*n + 1);
	if (!data || fread(data, 1, *n, f) != *n)
		abort();
	fclose(f);
	return data;
}

/* Writes the words as that format, in batches of uneven size. 0 or -errno. */
static inline int words_write(const struct words *words, const char *path, const char *format,
			      const struct trace_info *info, struct err *err)
{
	struct writer *writer;
	int rc = writer_open(path, format, info, &writer, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < words->n && !rc;) {
		size_t n = min_u64(words->n - i, 1 + i % 5000);
		rec_t any;

		if (n < words->n - i && whole_records(words->w + i, n, &any) < n)
			n++;
		rc = writer_put(writer, words->w + i, n, err);
		i += n;
	}
	if (!rc)
		return writer_commit(writer, err);
	writer_abort(writer);
	return rc;
}

#endif
