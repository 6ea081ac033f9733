/* Whole .bt files: round trips, damage at every byte, cuts at every length, totals. */
#include "traces.h"

#include "traces/bt.h"

static const char *const forms[] = {"bt", "bt-fixed"};

static const struct trace_info plain = {
	.space = TRACE_VPN, .vms = 2, .tick_ns = 250, .provenance = "a test"};

/* The bytes of a file with these words; the caller frees them. */
static unsigned char *file_of(const struct words *words, const char *form, size_t *n)
{
	const char *path = test_path("file");
	struct err err = {0};

	if (words_write(words, path, form, &plain, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	return test_read_file(path, n);
}

static void same(const struct words *words, int rc, struct words *back, struct trace_info *info)
{
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT(words_equal(words, back));
	CU_ASSERT_EQUAL(info->tick_ns, 250);
	CU_ASSERT_EQUAL(info->space, TRACE_VPN);
	CU_ASSERT_STRING_EQUAL(info->provenance, "a test");
	CU_ASSERT(info->counted);
	words_free(back);
}

static void test_round_trips(void)
{
	static const struct shape shapes[] = {
		{.pages = 100, .only_rw = true},
		{.pages = 300000, .only_rw = true, .delta = 5},
		{.pages = 5000, .delta = 1 << 24, .operand = 1000},
		{.pages = 1 << 20},
	};
	static const size_t counts[] = {0, 1, 100, 65536, 70000, 200001};
	struct rng rng;

	rng_init(&rng, test_seed(3), "test", 0);
	for (unsigned i = 0; i < ARRAY_LEN(shapes) * ARRAY_LEN(counts) * 2; i++) {
		struct words words = words_random(&rng, counts[i / 8], shapes[i / 2 % 4]), back;
		struct trace_info info;
		struct source *source;
		struct err err;
		size_t n;
		unsigned char *file = file_of(&words, forms[i % 2], &n);
		int rc = words_of_memory(file, n, "bt", &back, &info, &err);

		same(&words, rc, &back, &info);
		rc = words_of_pipe(file, n, "auto", &back, &info, &err);
		same(&words, rc, &back, &info);
		rc = source_open(test_path("file"), NULL, &source, &err); /* mapped, if fixed */
		CU_ASSERT_EQUAL(rc, 0);
		CU_ASSERT_STRING_EQUAL(source_info(source)->format, forms[i % 2]);
		rc = words_read(source, &back, &info, &err);
		same(&words, rc, &back, &info);
		words_free(&words);
		free(file);
	}
}

/* A small trace with blocks of both kinds of kinds. */
static struct words small(void)
{
	struct words words, more;
	struct rng rng;

	rng_init(&rng, 4, "test", 0);
	words = words_random(&rng, 60, (struct shape){.pages = 1000, .delta = 9, .operand = 99});
	more = words_random(&rng, 60, (struct shape){.pages = 99, .only_rw = true});
	words_add(&words, more.w, more.n);
	words_free(&more);
	return words;
}

/* Every byte lies under a checksum, so that no damage may go unnoticed. */
static void test_every_byte_damaged(void)
{
	static const unsigned char flips[] = {0x01, 0x80, 0xff};
	struct words words = small(), back;

	for (unsigned form = 0; form < 2; form++) {
		struct err err;
		size_t n;
		unsigned char *file = file_of(&words, forms[form], &n);

		for (size_t i = 0; i < 3 * n; i++) {
			file[i / 3] ^= flips[i % 3];
			err.exit_code = 0;
			CU_ASSERT(words_of_memory(file, n, "bt", &back, NULL, &err) < 0);
			CU_ASSERT_EQUAL(err.exit_code, 2);
			CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "memory: at byte "));
			words_free(&back);
			if (i % 7 == 0) {
				CU_ASSERT(words_of_pipe(file, n, "bt", &back, NULL, &err) < 0);
				words_free(&back);
			}
			file[i / 3] ^= flips[i % 3];
		}
		free(file);
	}
	words_free(&words);
}

static void test_every_length_cut(void)
{
	struct words words = small(), back;

	for (unsigned form = 0; form < 2; form++) {
		struct err err;
		size_t n;
		unsigned char *file = file_of(&words, forms[form], &n);

		for (size_t cut = 0; cut < n; cut++) {
			err.exit_code = 0;
			CU_ASSERT(words_of_memory(file, cut, "bt", &back, NULL, &err) < 0);
			CU_ASSERT_EQUAL(err.exit_code, 2);
			words_free(&back);
			CU_ASSERT(words_of_pipe(file, cut, "bt", &back, NULL, &err) < 0);
			words_free(&back);
		}
		file[n] = 0; /* one byte too many; test_read_file() has room for it */
		CU_ASSERT(words_of_memory(file, n + 1, "bt", &back, NULL, &err) < 0);
		words_free(&back);
		CU_ASSERT(words_of_pipe(file, n + 1, "bt", &back, NULL, &err) < 0);
		words_free(&back);
		free(file);
	}
	words_free(&words);
}

/* The totals answer before the records are read; by hand for these few. */
static void test_totals(void)
{
	const rec_t made[] = {
		rec_make(REC_READ, 5, 0),     rec_make(REC_WRITE, 5, 1),
		rec_make(REC_WRITE_ID, 9, 0), 77,
		rec_make(REC_VM, 1, 0),	      rec_make(REC_READ, 5, 0),
		rec_make(REC_SWITCH, 3, 0),   rec_make(REC_READ, 5, 0),
		rec_make(REC_MAP, 100, 0),    20,
	};
	struct words words = {0};
	struct source *source;
	struct err err;

	words_add(&words, made, ARRAY_LEN(made));
	for (unsigned form = 0; form < 2; form++) {
		free(file_of(&words, forms[form], &(size_t){0}));
		CU_ASSERT_EQUAL_FATAL(source_open(test_path("file"), NULL, &source, &err), 0);
		const struct trace_info *info = source_info(source);
		CU_ASSERT(info->counted);
		CU_ASSERT_EQUAL(info->records, 8);
		CU_ASSERT_EQUAL(info->writes, 2);
		CU_ASSERT_EQUAL(info->pages, 4); /* VM 0: 5 and 9, VM 1: 5 in two spaces */
		CU_ASSERT_EQUAL(info->highest_page, 119);
		CU_ASSERT_EQUAL(info->vms, 2);
		source_close(source);
	}
	words_free(&words);
}

/* The index names every block: its place, and the number of its first record. */
static void test_index(void)
{
	struct words words;
	struct bt_footer footer;
	struct bt_index_entry entry;
	struct bt_block block;
	unsigned char *file;
	struct rng rng;
	size_t n;

	rng_init(&rng, 5, "test", 0);
	words = words_random(&rng, 3 * BT_BLOCK_RECORDS + 1, (struct shape){.pages = 50});
	file = file_of(&words, "bt", &n);
	memcpy(&footer, file + n - sizeof footer, sizeof footer);
	CU_ASSERT_EQUAL(footer.index_entries, 4);
	for (size_t i = 0; i < 4; i++) {
		memcpy(&entry,
		       file + footer.index_offset + sizeof(struct bt_index) + i * sizeof entry,
		       sizeof entry);
		CU_ASSERT_EQUAL(entry.first_record, i * BT_BLOCK_RECORDS);
		memcpy(&block, file + entry.offset, sizeof block);
		CU_ASSERT_EQUAL(block.magic, BT_BLOCK_MAGIC);
		CU_ASSERT_EQUAL(block.first_record, entry.first_record);
	}
	words_free(&words);
	free(file);
}

/* A fixed file with good sums whose last record lacks its operand. */
static void test_operand_missing(void)
{
	const rec_t made[] = {rec_make(REC_READ, 5, 0), rec_make(REC_READ, 6, 0)};
	struct words words = {0}, back;
	struct bt_header header;
	struct bt_footer footer;
	struct err err;
	size_t n;
	unsigned char *file;
	rec_t wide = rec_make(REC_MAP, 6, 0);

	words_add(&words, made, 2);
	file = file_of(&words, "bt-fixed", &n);
	memcpy(file + sizeof header + 8, &wide, 8);
	memcpy(&header, file, sizeof header);
	memcpy(&footer, file + n - sizeof footer, sizeof footer);
	footer.digest = 0;
	footer.checksum = bt_footer_sum(&footer, &header);
	memcpy(file + n - sizeof footer, &footer, sizeof footer);
	CU_ASSERT(words_of_memory(file, n, "bt", &back, NULL, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "at byte 328: the last record lacks its operand"));
	words_free(&back);
	FILE *f = fopen(test_path("hostile"), "wb");
	CU_ASSERT_EQUAL(fwrite(file, 1, n, f), n);
	fclose(f);
	struct source *source;
	CU_ASSERT_EQUAL_FATAL(source_open(test_path("hostile"), NULL, &source, &err), 0);
	CU_ASSERT(words_read(source, &back, NULL, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "lacks its operand"));
	words_free(&back);
	words_free(&words);
	free(file);
}

/* Gives a file's totals other values, with good sums; the header says two VMs. */
static void change_totals(unsigned char *file, size_t n, uint32_t vms, uint64_t more_records)
{
	struct bt_header header;
	struct bt_footer footer;

	memcpy(&header, file, sizeof header);
	memcpy(&footer, file + n - sizeof footer, sizeof footer);
	footer.vms = vms;
	footer.records += more_records;
	footer.words += more_records;
	footer.checksum = bt_footer_sum(&footer, &header);
	memcpy(file + n - sizeof footer, &footer, sizeof footer);
}

/* Records of a VM that the totals do not count: met in place, or at a pipe's end. */
static void test_vm_beyond(void)
{
	const rec_t made[] = {rec_make(REC_READ, 9, 0),	    rec_make(REC_VM, 0, 0),
			      rec_make(REC_WRITE_ID, 7, 0), rec_make(REC_VM, 9, 0),
			      rec_make(REC_VM, 1, 0),	    rec_make(REC_READ, 5, 0)};
	struct words words = {0}, back;
	struct source *source;
	struct err err;

	words_add(&words, made, ARRAY_LEN(made)); /* VM 9 is an operand */
	for (unsigned form = 0; form < 2; form++) {
		size_t n;
		unsigned char *file = file_of(&words, forms[form], &n);

		CU_ASSERT_EQUAL(words_of_memory(file, n, "bt", &back, NULL, &err), 0);
		words_free(&back);
		change_totals(file, n, 1, 0);
		err.exit_code = 0;
		CU_ASSERT(words_of_memory(file, n, "bt", &back, NULL, &err) < 0);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "at byte 320: records from here on name "
						       "VM 1, and the trace has 1"));
		words_free(&back);
		CU_ASSERT(words_of_pipe(file, n, "bt", &back, NULL, &err) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "totals at the end are not those"));
		words_free(&back);
		FILE *f = fopen(test_path("hostile"), "wb");
		CU_ASSERT_EQUAL(fwrite(file, 1, n, f), n);
		fclose(f);
		CU_ASSERT_EQUAL_FATAL(source_open(test_path("hostile"), NULL, &source, &err), 0);
		CU_ASSERT(words_read(source, &back, NULL, &err) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "name VM 1"));
		words_free(&back);
		free(file);
	}
	words_free(&words);
}

/* Totals are believed before the records are read: no more of them than blocks can hold. */
static void test_too_many_records(void)
{
	struct words words = small();
	struct source *source;
	struct err err;
	size_t n;
	unsigned char *file = file_of(&words, "bt", &n);

	change_totals(file, n, 3, 65536 - 120);
	CU_ASSERT_EQUAL(source_open_memory("memory", file, n, "bt", &source, &err), 0);
	source_close(source);
	change_totals(file, n, 3, 1 << 20);
	CU_ASSERT(source_open_memory("memory", file, n, "bt", &source, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "more records than the blocks can hold"));
	words_free(&words);
	free(file);
}

/* An error comes again on every later call. */
static void test_errors_stick(void)
{
	struct words words = small();
	struct source *source;
	const rec_t *batch;
	struct err err;
	size_t n;
	unsigned char *file = file_of(&words, "bt", &n);

	file[400] ^= 1;
	CU_ASSERT_EQUAL_FATAL(source_open_memory("memory", file, n, "bt", &source, &err), 0);
	for (int i = 0; i < 3; i++) {
		memset(&err, 0, sizeof err);
		CU_ASSERT(source_next(source, &batch, &err) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "damaged block"));
	}
	source_close(source);
	words_free(&words);
	free(file);
}

/* A failed writer leaves no file, and no temporary one. */
static void test_nothing_left(void)
{
	struct words words = {0};
	rec_t bad = rec_make(REC_VM, VMS_MAX, 0);
	struct err err;
	size_t before;

	test_path("x");
	before = test_folder_files();
	words_add(&words, &bad, 1);
	CU_ASSERT(words_write(&words, test_path("none"), "bt", &plain, &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_EQUAL(test_folder_files(), before);
	words_free(&words);
}

TESTS("traces/bt_read", {"round trips", test_round_trips},
      {"every byte damaged", test_every_byte_damaged}, {"every length cut", test_every_length_cut},
      {"totals", test_totals}, {"index", test_index}, {"operand missing", test_operand_missing},
      {"VM beyond", test_vm_beyond}, {"too many records", test_too_many_records},
      {"errors stick", test_errors_stick}, {"nothing left", test_nothing_left})
