#include "core/job.h"

#include "core/job_private.h"
#include "job_tables.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct err err;

static struct job *new_job(void)
{
	struct job *job;

	CU_ASSERT_EQUAL_FATAL(job_new(demo_sections, &job), 0);
	return job;
}

static struct job *parsed(const char *text)
{
	struct job *job = new_job();

	if (job_parse(job, text, "J", &err))
		CU_FAIL_FATAL(err.msg);
	return job;
}

static void values_reach_the_options(void)
{
	struct job *job = parsed("# a job\n"
				 "host {\n"
				 "  memory = 256mb     // unquoted\n"
				 "  tax = \"80%\"      /* and\n quoted */\n"
				 "  period = '2.5 ms'\n"
				 "  frames = 0x10 offset = -3\n"
				 "  sharing = off victim = clock\n"
				 "  reclaim = {swap, \"share\"}\n"
				 "}\n");
	struct demo_host *host = job_section(job, &demo_host_section);

	CU_ASSERT_EQUAL(host->memory, 268435456);
	CU_ASSERT_EQUAL(host->tax, 0.8);
	CU_ASSERT_EQUAL(host->period, 2500000);
	CU_ASSERT_EQUAL(host->frames, 16);
	CU_ASSERT_EQUAL(host->offset, -3);
	CU_ASSERT(!host->sharing);
	CU_ASSERT_PTR_EQUAL(host->victim, &demo_clock);
	CU_ASSERT_STRING_EQUAL(host->reclaim[0], "swap");
	CU_ASSERT_STRING_EQUAL(host->reclaim[1], "share");
	CU_ASSERT_PTR_NULL(host->reclaim[2]);
	/* The comment of two lines does not shift the count. */
	CU_ASSERT_STRING_EQUAL(job_where(job, host, "tax"), "J:4");
	CU_ASSERT_STRING_EQUAL(job_where(job, host, "period"), "J:6");
	CU_ASSERT_STRING_EQUAL(job_where(job, host, "reclaim"), "J:9");
	job_free(job);
}

static void titles_keep_order_and_merge(void)
{
	struct job *job = parsed("vm z { }\nvm a { memory = 4kb }\nvm z { memory = 8kb }\n"
				 "vm z { trace = t }\nvm \"q-1_X\" { }");
	struct demo_vm *z = job_titled(job, &demo_vm_section, 0);

	CU_ASSERT_EQUAL_FATAL(job_count(job, &demo_vm_section), 3);
	CU_ASSERT_STRING_EQUAL(job_title(job, &demo_vm_section, 0), "z");
	CU_ASSERT_STRING_EQUAL(job_title(job, &demo_vm_section, 1), "a");
	CU_ASSERT_STRING_EQUAL(job_title(job, &demo_vm_section, 2), "q-1_X");
	CU_ASSERT_EQUAL(z->memory, 8192);
	CU_ASSERT_STRING_EQUAL(z->trace, "t");
	job_free(job);
}

static void lists_replace_and_empty(void)
{
	struct job *job = parsed("host { reclaim = {a, b, c} reclaim = {d} }");
	struct demo_host *host = job_section(job, &demo_host_section);

	CU_ASSERT_STRING_EQUAL(host->reclaim[0], "d");
	CU_ASSERT_PTR_NULL(host->reclaim[1]);
	CU_ASSERT_EQUAL(job_parse(job, "host { reclaim = \"e, f\" }", "K", NULL), 0);
	CU_ASSERT_STRING_EQUAL(host->reclaim[1], "f");
	CU_ASSERT_EQUAL(job_parse(job, "host { reclaim = {g, h,} }", "K", NULL), 0);
	CU_ASSERT_STRING_EQUAL(host->reclaim[1], "h");
	CU_ASSERT_EQUAL(job_parse(job, "host { reclaim = { } }", "K", NULL), 0);
	CU_ASSERT_PTR_NULL(host->reclaim);
	job_free(job);
}

static void environment_in_double_quotes(void)
{
	setenv("BALLAST_TEST_DIR", "/some/where", 1);
	unsetenv("BALLAST_TEST_NONE");
	struct job *job =
		parsed("vm a { trace = \"${BALLAST_TEST_DIR}/x${BALLAST_TEST_NONE:-y}\" }\n"
		       "vm b { trace = '${BALLAST_TEST_DIR}' }");
	struct demo_vm *a = job_titled(job, &demo_vm_section, 0);
	struct demo_vm *b = job_titled(job, &demo_vm_section, 1);

	CU_ASSERT_STRING_EQUAL(a->trace, "/some/where/xy");
	CU_ASSERT_STRING_EQUAL(b->trace, "${BALLAST_TEST_DIR}");
	job_free(job);
}

static void errors_name_line_and_mend(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"hots { }", "J:1: there is no section 'hots'; did you mean 'host'?"},
		{"zoo { }", "J:1: there is no section 'zoo'; there are: host vm"},
		{"host {\n\nmemry = 1mb }", "J:3: host has no key 'memry'; did you mean 'memory'?"},
		{"vm a { zoo = 1 }", "J:1: vm has no key 'zoo'; 'ballast list vm'"},
		{"host {\nmemory = 256xb\n}", "J:2: host.memory: '256xb' has no unit"},
		{"vm a {\n memory = -1 }", "J:2: vm.a.memory: '-1' is not a size"},
		{"host { memory = 0 }", "host.memory: 0 is out of range; write 4kb to 1tb"},
		{"host { memory = 99999999999tb }", "too large"},
		{"host { memory = }", "unexpected token"},
		{"host { memory = {} }", "is not a size"},
		{"host { memory = {4kb} }", "unexpected token '{'"},
		{"host { memory 4kb }", "missing equal sign"},
		{"host { memory }", "missing equal sign"},
		{"host memory = 4kb", "missing opening brace"},
		{"host a { }", "missing opening brace"},
		{"host = 3", "missing opening brace"},
		{"vm { memory = 4kb }", "missing title for section 'vm'; write it as in vm a"},
		{"vm a = 3", "missing opening brace"},
		{"host { vm a { } }", "host has no key 'vm'"},
		{"host { include(\"x\") }", "host has no key 'include'"},
		{"memory = 4kb", "there is no section 'memory'"},
		{"host { reclaim = {a b} }", "unexpected token"},
		{"host { reclaim = {\"a,,b\"} }", "empty entry"},
		{"host { victim = cluck }", "did you mean 'clock'?"},
		{"host { tax = 75%, }", "unexpected token ','"},
		{"host {\n \"\" = 3 }", "J:2: an empty key"},
		{"include", "premature end of file"},
		{"include = x", "missing parenthesis"},
		{"include(\"/no/such/file\")", "J:1: cannot read /no/such/file"},
		{"include(\"/\")", "J:1: / is a folder"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct job *job = new_job();

		memset(&err, 0, sizeof err);
		CU_ASSERT_EQUAL(job_parse(job, bad[i].text, "J", &err), -EINVAL);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		if (!strstr(err.msg, bad[i].says))
			printf("  %s: %s\n", bad[i].text, err.msg);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, bad[i].says));
		CU_ASSERT_EQUAL(job_parse(job, bad[i].text, "J", NULL), -EINVAL);
		/* libConfuse's lexer is whole after an error. */
		CU_ASSERT_EQUAL(job_parse(job, "vm later { memory = \"4kb\" }", "J", NULL), 0);
		job_free(job);
	}
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static int load(const char *path)
{
	struct job *job = new_job();
	int rc = job_load(job, path, &err);

	job_free(job);
	return rc;
}

static void files_and_includes(void)
{
	char dir[] = "/tmp/ballast-job-XXXXXX";

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_FATAL(chdir(dir) == 0 && mkdir("sub", 0755) == 0);
	write_file("main.job", "host { memory = 4kb frames = 1 }\n"
			       "include(\"sub/one.job\")\n"
			       "host { frames = 3 } host { zoo = 1 }");
	write_file("sub/one.job", "host { memory = 8kb frames = 2 }\ninclude(two.job)\nvm a { }");
	write_file("sub/two.job", "\n\nvm b { memory = 4kb }");
	write_file("bad.job", "\ninclude(\"sub/bad.job\")");
	write_file("sub/bad.job", "\n\nhost { memroy = 1mb }");
	write_file("self.job", "include(self.job)");
	write_file("many.job", "");

	/* Relative to the file that includes; order is that of the text. */
	struct job *job = new_job();
	CU_ASSERT_EQUAL(job_load(job, "main.job", &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "main.job:3: host has no key 'zoo'"));
	struct demo_host *host = job_section(job, &demo_host_section);
	CU_ASSERT_EQUAL(host->memory, 8192);
	CU_ASSERT_EQUAL(host->frames, 3);
	CU_ASSERT_STRING_EQUAL(job_where(job, host, "memory"), "sub/one.job:1");
	CU_ASSERT_STRING_EQUAL(job_where(job, host, "frames"), "main.job:3");
	CU_ASSERT_STRING_EQUAL(job_title(job, &demo_vm_section, 0), "b");
	CU_ASSERT_STRING_EQUAL(job_where(job, job_titled(job, &demo_vm_section, 0), "memory"),
			       "sub/two.job:3");
	job_free(job);

	CU_ASSERT_EQUAL(load("bad.job"), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "sub/bad.job:3: host has no key 'memroy'"));
	CU_ASSERT_EQUAL(load("self.job"), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "self.job:1: more than 8 files deep"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "does a file include itself?"));

	/* Wide instead of deep. */
	FILE *wide = fopen("wide.job", "w");
	for (int i = 0; i < JOB_INCLUDES_MAX; i++)
		fputs("include(many.job)\n", wide);
	fclose(wide);
	CU_ASSERT_EQUAL(load("wide.job"), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "wide.job:256: "));

	CU_ASSERT_EQUAL(load("sub"), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "sub is a folder"));
	CU_ASSERT_EQUAL(load("none.job"), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "cannot read none.job: No such file"));
	CU_ASSERT_EQUAL(load("/dev/zero"), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "larger than 1 MiB"));
	CU_ASSERT_EQUAL(load("many.job"), 0); /* empty */
	CU_ASSERT(system("rm -r sub *.job") == 0);
	CU_ASSERT(chdir("/") == 0 && rmdir(dir) == 0);
}

static const char *disk(const struct job *job, size_t i)
{
	const char *path = ((struct demo_vm *)job_titled(job, &demo_vm_section, i))->disk;

	return path ? path : "(unset)";
}

/* A path is relative to the file that it stands in, be that included; after -s to the caller's
 * folder. */
static void paths(void)
{
	char dir[] = "/tmp/ballast-job-XXXXXX", path[64];

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_FATAL(chdir(dir) == 0 && mkdir("sub", 0755) == 0);
	write_file("sub/one.job",
		   "vm a { disk = a.img trace = plain } vm b { disk = ../b.img }\n"
		   "vm c { disk = /c.img } vm d { disk = \"-\" } vm e { disk = '' }\n"
		   "include(\"deep/two.job\")");
	CU_ASSERT_FATAL(mkdir("sub/deep", 0755) == 0);
	write_file("sub/deep/two.job", "vm f { disk = f.img }");
	struct job *job = new_job();
	CU_ASSERT_EQUAL(job_load(job, "sub/one.job", &err), 0);
	CU_ASSERT_STRING_EQUAL(disk(job, 0), "sub/a.img");
	CU_ASSERT_STRING_EQUAL(((struct demo_vm *)job_titled(job, &demo_vm_section, 0))->trace,
			       "plain");
	CU_ASSERT_STRING_EQUAL(disk(job, 1), "sub/../b.img");
	CU_ASSERT_STRING_EQUAL(disk(job, 2), "/c.img");
	CU_ASSERT_STRING_EQUAL(disk(job, 3), "-");
	CU_ASSERT_STRING_EQUAL(disk(job, 4), "(unset)");
	CU_ASSERT_STRING_EQUAL(disk(job, 5), "sub/deep/f.img");
	CU_ASSERT_EQUAL(job_set(job, "vm.a.disk=s.img", &err), 0);
	CU_ASSERT_STRING_EQUAL(disk(job, 0), "s.img");
	job_free(job);

	job = new_job();
	CU_ASSERT_FATAL(chdir("sub") == 0);
	CU_ASSERT_EQUAL(job_load(job, "one.job", &err), 0);
	CU_ASSERT_STRING_EQUAL(disk(job, 0), "a.img");
	job_free(job);
	job = new_job();
	snprintf(path, sizeof path, "%s/sub/one.job", dir);
	CU_ASSERT_EQUAL(job_load(job, path, &err), 0);
	snprintf(path, sizeof path, "%s/sub/a.img", dir);
	CU_ASSERT_STRING_EQUAL(disk(job, 0), path);
	job_free(job);
	CU_ASSERT(chdir(dir) == 0 && system("rm -r sub") == 0);
	CU_ASSERT(chdir("/") == 0 && rmdir(dir) == 0);
}

static void ten_megabytes_of_garbage(void)
{
	size_t size = 10u << 20;
	char *text = malloc(size + 1);
	struct job *job = new_job();

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, '{', size);
	text[size] = '\0';
	CU_ASSERT_EQUAL(job_parse(job, text, "J", &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "J is larger than 1 MiB"));
	free(text);
	job_free(job);
}

static void the_number_of_titles_is_bounded(void)
{
	size_t n = JOB_TITLES_MAX + 1;
	char *text = malloc(n * 16), *p = text;
	struct job *job = new_job();

	for (size_t i = 0; i < n; i++)
		p += sprintf(p, "vm v%zu { }\n", i);
	CU_ASSERT_EQUAL(job_parse(job, text, "J", &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "J:4097: more than 4096 vm sections"));
	CU_ASSERT_EQUAL(job_count(job, &demo_vm_section), JOB_TITLES_MAX);
	free(text);
	job_free(job);
}

static void *parse_many(void *arg)
{
	size_t *good = arg;

	for (int i = 0; i < 200; i++) {
		struct job *job = new_job();

		*good += job_parse(job, "vm a { trace = \"x y\" memory = 4kb }", "J", NULL) == 0;
		*good += job_parse(job, "vm a { memory = 4xb }", "J", NULL) == -EINVAL;
		job_free(job);
	}
	return NULL;
}

/* libConfuse's lexer is one per process; jobs of two threads must not meet in it. */
static void two_threads(void)
{
	pthread_t thread;
	size_t here = 0, there = 0;

	CU_ASSERT_FATAL(pthread_create(&thread, NULL, parse_many, &there) == 0);
	parse_many(&here);
	CU_ASSERT(pthread_join(thread, NULL) == 0);
	CU_ASSERT_EQUAL(here, 400);
	CU_ASSERT_EQUAL(there, 400);
}

TESTS("core/jobfile", {"values reach the options", values_reach_the_options},
      {"titles keep order and merge", titles_keep_order_and_merge},
      {"lists replace and empty", lists_replace_and_empty},
      {"environment in double quotes", environment_in_double_quotes},
      {"errors name line and mend", errors_name_line_and_mend},
      {"files and includes", files_and_includes}, {"paths", paths},
      {"ten megabytes of garbage", ten_megabytes_of_garbage},
      {"the number of titles is bounded", the_number_of_titles_is_bounded},
      {"two threads", two_threads})
