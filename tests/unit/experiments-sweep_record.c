/* Records of runs: written, read back, and refused where they are not whole. */
#include "experiments/sweep_record.h"

#include "test.h"

#include <string.h>

static void there_and_back(void)
{
	struct record r = {.run = 17, .failed = true, .cpu_ns = 5, .wall_ns = 9, .node = "n1"},
		      back;
	struct err err = {0};
	char *line = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&line, &size);

	snprintf(r.error, sizeof r.error, "vm a: \"quoted\"\nand so on");
	r.summary = json_pack("{s:{s:f}}", "host", "x", 0.1);
	CU_ASSERT_EQUAL(record_write(&r, out), 0);
	fclose(out);
	CU_ASSERT_PTR_EQUAL(strchr(line, '\n'), line + size - 1);
	CU_ASSERT_EQUAL_FATAL(record_read(line, size, 18, &back, &err), 0);
	CU_ASSERT(back.run == 17 && back.failed && back.cpu_ns == 5 && back.wall_ns == 9);
	CU_ASSERT_STRING_EQUAL(back.error, r.error);
	CU_ASSERT_STRING_EQUAL(back.node, "n1");
	CU_ASSERT(json_equal(back.summary, r.summary));
	record_release(&back);
	CU_ASSERT_NOT_EQUAL(record_read(line, size, 17, &back, &err), 0);
	for (size_t cut = 0; cut + 1 < size; cut++)
		CU_ASSERT_NOT_EQUAL(record_read(line, cut, 18, &back, &err), 0);
	record_release(&r);
	free(line);
}

static void refused(void)
{
	static const char *const bad[] = {"{}", "[]", "null", "{\"run\": \"x\"}",
					  "{\"run\": -1, \"state\": \"done\", \"error\": \"\", "
					  "\"cpu_ns\": 0, \"wall_ns\": 0, "
					  "\"node\": \"\"}"};
	struct record r;
	struct err err;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_NOT_EQUAL(record_read(bad[i], strlen(bad[i]), 10, &r, &err), 0);
}

TESTS("experiments/sweep_record", {"there and back", there_and_back}, {"refused", refused})
