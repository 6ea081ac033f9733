#include "test.h"

#include "job_tables.h"

#include <errno.h>
#include <string.h>

static const struct opt live_opts[] = {
	{"rate", OPT_REAL, 0, "75%", 0, 0.99, NULL, "of a test", .live = true},
	{"fixed", OPT_REAL, sizeof(double), "1", 0, 1, NULL, "of a test"},
	{NULL},
};

static const struct opt_section live_section = {"tax", false, 2 * sizeof(double), live_opts, ""};
static const struct opt_section each_section = {"each", true, 2 * sizeof(double), live_opts, ""};
static const struct opt_section *const sections[] = {&demo_host_section, &live_section,
						     &each_section, NULL};

static struct job *read_job(const char *text)
{
	struct job *job;
	struct err err;

	if (job_new(sections, &job) || job_parse(job, text, "J", &err))
		abort();
	return job;
}

static void a_copy_is_equal_and_apart(void)
{
	struct job *job = read_job("host { memory = 8mb reclaim = {\"a b\", c} }\n"
				   "each x { rate = 10% } each y { }"),
		   *copy;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(job_copy(job, &copy, &err), 0);
	json_t *a = job_json(job), *b = job_json(copy);
	CU_ASSERT_TRUE(json_equal(a, b));
	json_decref(a);
	json_decref(b);
	CU_ASSERT_STRING_EQUAL(job_title(copy, &each_section, 1), "y");
	const void *host = job_section(copy, &demo_host_section);
	CU_ASSERT_STRING_EQUAL(job_where(copy, host, "memory"), "J:1");
	CU_ASSERT_STRING_EQUAL(job_where(copy, host, "frames"), "default");
	job_free(job); /* nothing of it is the copy's */
	CU_ASSERT_EQUAL(((const struct demo_host *)host)->memory, 8 << 20);
	CU_ASSERT_STRING_EQUAL(((const struct demo_host *)host)->reclaim[0], "a b");
	job_free(copy);
}

static void live_keys_change(void)
{
	struct job *job = read_job("each x { }");
	const struct opt_section *section;
	const char *title;
	struct err err;

	CU_ASSERT_EQUAL(job_change(job, " tax.rate = 50% ", "J:7", &section, &title, &err), 0);
	CU_ASSERT_PTR_EQUAL(section, &live_section);
	CU_ASSERT_PTR_NULL(title);
	const double *rate = job_section(job, &live_section);
	CU_ASSERT_EQUAL(*rate, 0.5);
	CU_ASSERT_STRING_EQUAL(job_where(job, rate, "rate"), "J:7");
	CU_ASSERT_EQUAL(job_change(job, "each.x.rate=0.25", "J:8", &section, &title, &err), 0);
	CU_ASSERT_PTR_EQUAL(section, &each_section);
	CU_ASSERT_STRING_EQUAL(title, "x");
	job_free(job);
}

static void others_are_refused(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"tax.fixed=0", "tax.fixed cannot be set while a job runs; 'ballast list tax' says "
				"which keys can"},
		{"tax.rate=1", "tax.rate: 1 is out of range; write 0 to 0.99"},
		{"tax.rat=1", "tax has no key 'rat'; did you mean 'rate'?"},
		{"each.y.rate=0", "the job has no each 'y'; it has: x"},
		{"tax.rate", "'tax.rate' has no '='; write section.key=value"},
		{"=", "'' is no key; write section.key=value, as in host.memory=256mb"},
		{"", "'' has no '='; write section.key=value"},
	};
	struct job *job = read_job("each x { }");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct opt_section *section;
		const char *title;
		struct err err;
		CU_ASSERT_EQUAL(job_change(job, cases[i].text, "J:1", &section, &title, &err),
				-EINVAL);
		CU_ASSERT_STRING_EQUAL(err.msg, cases[i].says);
	}
	CU_ASSERT_EQUAL(*(const double *)job_section(job, &live_section), 0.75);
	job_free(job);
}

TESTS("core/jobchange", {"a copy is equal and apart", a_copy_is_equal_and_apart},
      {"live keys change", live_keys_change}, {"others are refused", others_are_refused})
