#include "core/stat.h"

#include "test.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct part {
	uint64_t refs, free;
	double ratio;
};

static const struct stat_row part_stats[] = {
	{"refs", STAT_COUNTER, "1", offsetof(struct part, refs), true, "references"},
	{"free", STAT_GAUGE, "pages", offsetof(struct part, free), true, "free pages"},
	{"ratio", STAT_REAL, "1", offsetof(struct part, ratio), false, "a share"},
	{NULL},
};

struct other {
	uint64_t pad, faults;
};

static const struct stat_row other_stats[] = {
	{"faults", STAT_COUNTER, "1", offsetof(struct other, faults), true, "faults"},
	{NULL},
};

static void json_is_in_table_order(void)
{
	struct part part = {.refs = UINT64_C(9007199254740993), .free = 7, .ratio = 0.25};
	struct other other = {.faults = 3};
	struct stat_scope scope = {0};

	stat_bind(&scope, part_stats, &part);
	stat_bind(&scope, other_stats, &other);
	json_t *json = stat_json(&scope);
	char *text = json_dumps(json, JSON_COMPACT);
	CU_ASSERT_STRING_EQUAL(text, "{\"refs\":9007199254740993,\"free\":7,\"ratio\":0.25,"
				     "\"faults\":3}");
	free(text);
	json_decref(json);
}

/* JSON knows no infinity; the object must still be whole. */
static void odd_values_are_null_or_real(void)
{
	struct part part = {.refs = UINT64_MAX, .ratio = NAN};
	struct stat_scope scope = {0};

	stat_bind(&scope, part_stats, &part);
	json_t *json = stat_json(&scope);
	CU_ASSERT(json_is_null(json_object_get(json, "ratio")));
	CU_ASSERT_EQUAL(json_real_value(json_object_get(json, "refs")), 0x1p64);
	json_decref(json);
}

static void find_and_value(void)
{
	struct part part = {.refs = 5, .ratio = 1.5};
	struct other other = {.faults = 3};
	struct stat_scope scope = {0};
	const struct stat_row *stat;
	const void *where;

	stat_bind(&scope, part_stats, &part);
	stat_bind(&scope, other_stats, &other);
	CU_ASSERT(stat_find(&scope, "faults", &stat, &where));
	CU_ASSERT_PTR_EQUAL(where, &other.faults);
	CU_ASSERT_EQUAL(stat_value(stat, &other), 3);
	CU_ASSERT(stat_find(&scope, "ratio", &stat, &where));
	CU_ASSERT_PTR_EQUAL(where, &part.ratio);
	CU_ASSERT_EQUAL(stat_value(stat, &part), 1.5);
	CU_ASSERT(!stat_find(&scope, "rat", &stat, &where));
}

static void format_is_exact(void)
{
	struct part part = {.refs = UINT64_MAX, .ratio = 0.1};
	char buf[40];

	CU_ASSERT_EQUAL(stat_format(&part_stats[0], &part, buf, sizeof buf), 20);
	CU_ASSERT_STRING_EQUAL(buf, "18446744073709551615");
	stat_format(&part_stats[2], &part, buf, sizeof buf);
	CU_ASSERT_STRING_EQUAL(buf, "0.1");
	part.ratio = 1.0 / 3;
	stat_format(&part_stats[2], &part, buf, sizeof buf);
	CU_ASSERT_EQUAL(strtod(buf, NULL), 1.0 / 3);
}

/* Whether a child that binds the table twice dies of abort(). */
static bool binding_twice_aborts(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct part part = {0};
		struct stat_scope scope = {0};

		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		stat_bind(&scope, part_stats, &part);
		stat_bind(&scope, part_stats, &part);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGABRT;
}

static void a_name_occurs_once(void)
{
	CU_ASSERT(binding_twice_aborts());
}

TESTS("core/stat", {"json is in table order", json_is_in_table_order},
      {"odd values are null or real", odd_values_are_null_or_real},
      {"find and value", find_and_value}, {"format is exact", format_is_exact},
      {"a name occurs once", a_name_occurs_once})
