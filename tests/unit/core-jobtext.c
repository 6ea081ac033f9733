/* A job written as a file: read back it is the same job. */
#include "core/job.h"

#include "job_tables.h"
#include "test.h"

#include <string.h>
#include <unistd.h>

static char *written(const char *text)
{
	struct job *job;
	struct err err = {0};
	char *out_text = NULL;
	size_t size;

	CU_ASSERT_EQUAL_FATAL(job_new(demo_sections, &job), 0);
	CU_ASSERT_EQUAL_FATAL(job_parse(job, text, "J", &err), 0);
	FILE *out = open_memstream(&out_text, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	job_write(job, out);
	fclose(out);
	job_free(job);
	return out_text;
}

static char *json_of(const char *text)
{
	struct job *job;
	struct err err = {0};

	CU_ASSERT_EQUAL_FATAL(job_new(demo_sections, &job), 0);
	if (job_parse(job, text, "J", &err)) {
		printf("  %s\n%s", err.msg, text);
		CU_FAIL_FATAL("does not parse");
	}
	json_t *json = job_json(job);
	char *dump = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	job_free(job);
	return dump;
}

static void only_what_was_set(void)
{
	char *text = written("vm a { } host { memory = 256mb  victim = clock }");

	CU_ASSERT_STRING_EQUAL(text, "host {\n\tmemory = 256mb\n\tvictim = clock\n}\nvm a {\n}\n");
	free(text);
	text = written("");
	CU_ASSERT_STRING_EQUAL(text, "");
	free(text);
}

/* Every type, and strings that need their quotes. */
static void same_again(void)
{
	static const char *const jobs[] = {
		"host { period = 1500us frames = 70 offset = -3 tax = 12.5% sharing = off }",
		"host { reclaim = {swap, \"a b\", 'it\\'s'} } vm b { memory = 4kb } vm a { }",
		"vm x { trace = \"/tmp/a b # no comment.bt\" } vm y { trace = '${HOME}' }",
		"vm x { trace = 'back\\\\slash' } vm y { trace = \"quote\\\"d\" }",
		"host { reclaim = {} } vm x { trace = '' }",
	};

	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
		char *text = written(jobs[i]), *before = json_of(jobs[i]), *after = json_of(text);
		CU_ASSERT_STRING_EQUAL(before, after);
		free(text);
		free(before);
		free(after);
	}
}

/* The file may lie anywhere: a path is written from the root. */
static void paths(void)
{
	CU_ASSERT_FATAL(chdir("/usr") == 0);
	char *text = written("vm a { disk = x.img } vm b { disk = /y.img } vm c { disk = - }");

	CU_ASSERT_STRING_EQUAL(text, "vm a {\n\tdisk = '/usr/x.img'\n}\n"
				     "vm b {\n\tdisk = '/y.img'\n}\n"
				     "vm c {\n\tdisk = '-'\n}\n");
	free(text);
}

TESTS("core/jobtext", {"only what was set", only_what_was_set}, {"same again", same_again},
      {"paths", paths})
