/* The report of experiments made up here: what is on the page, and what cannot get out of its
 * place. */
#include "data.h"
#include "test.h"

#include "experiments/reproduce.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int tells(const char *dir, json_t *told, struct err *err)
{
	struct expectation e = {.quantity = "<b>held</b>", .when = "t = 1", .source = "A & B"};

	(void)err;
	e.target = 10;
	e.tolerance = 1;
	e.value = 10.5;
	expect(told, &e);
	e.quantity = "missed";
	e.value = 20;
	expect(told, &e);
	e.quantity = "excused";
	e.source = "elsewhere";
	e.cause = "no \"cache\"";
	expect(told, &e);
	e.quantity = "set";
	e.value = 10;
	e.calibrated = true;
	expect(told, &e);
	tell(told, "row <1> of %s", dir);
	tell_note(told, NOTE_ASSUMED, "a & b");
	json_object_set_new(told, "files", json_pack("[s]", "tells.csv"));
	return 0;
}

static int fails(const char *dir, json_t *told, struct err *err)
{
	tell(told, "never seen");
	return err_input(err, "%s: <no>", dir);
}

static int dies(const char *dir, json_t *told, struct err *err)
{
	(void)dir;
	(void)told;
	(void)err;
	return -EIO; /* a bug: it says nothing */
}

static const struct experiment made_up[] = {
	{"tells", "one that \"tells\"", tells, false},
	{"fails", "one that fails", fails, false},
	{"dies", "one that fails without a word", dies, false},
};

static const struct experiment *const chosen[] = {&made_up[0], &made_up[1], &made_up[2]};

struct seen {
	char order[64];
};

static void ready(void *arg, const struct outcome *o)
{
	struct seen *seen = arg;

	strcat(seen->order, o->experiment->id);
	strcat(seen->order, " ");
}

/* The page's text, from a folder that is gone again. */
static char *page(struct outcome outcome[3])
{
	char dir[] = "/tmp/ballast-page-XXXXXX", path[64], *text = calloc(1, 1 << 20);
	struct seen seen = {""};
	struct err err = {0};
	const struct reproduction r = {
		.dir = dir,
		.chosen = chosen,
		.n = 3,
		.jobs = 2,
		.ready = ready,
		.arg = &seen,
	};

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_EQUAL_FATAL(reproduce_all(&r, outcome, &err), 0);
	CU_ASSERT_STRING_EQUAL(seen.order, "tells fails dies ");
	test_data();
	CU_ASSERT_EQUAL_FATAL(page_write(dir, outcome, 3, &err), 0);
	snprintf(path, sizeof path, "%s/index.html", dir);
	FILE *in = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	CU_ASSERT(fread(text, 1, (1 << 20) - 1, in) > 0);
	fclose(in);
	unlink(path);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
	return text;
}

static size_t times(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static void test_page(void)
{
	struct outcome *outcome = calloc(3, sizeof *outcome);

	CU_ASSERT_PTR_NOT_NULL_FATAL(outcome);
	char *text = page(outcome);
	CU_ASSERT_EQUAL(outcome[0].err.exit_code, 0);
	CU_ASSERT_EQUAL(outcome[1].err.exit_code, 2);
	CU_ASSERT_PTR_NULL(outcome[1].told);
	CU_ASSERT_STRING_EQUAL(outcome[2].err.msg, "dies failed");

	CU_ASSERT_PTR_NOT_NULL(strstr(text, "<strong>2 of 4 expectations hold</strong>"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Of the 2 that miss, 1 are explained"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "2 of 3 experiments failed"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "2 misses, 1 unexplained"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "&lt;b&gt;held&lt;/b&gt;, t = 1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "10 &plusmn; 1</td><td class=\"number\">10.5<"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Known: no &quot;cache&quot;"));
	CU_ASSERT_EQUAL(times(text, "A &amp; B"), 1);	/* once for the table */
	CU_ASSERT_EQUAL(times(text, ">elsewhere<"), 2); /* with each row that has another */
	CU_ASSERT_EQUAL(times(text, ">calibrated</td>"), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "row &lt;1&gt; of "));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ": &lt;no&gt;</p>"));
	CU_ASSERT_PTR_NULL(strstr(text, "never seen"));
	CU_ASSERT_PTR_NULL(strstr(text, "<b>"));
	CU_ASSERT_EQUAL(times(text, "<section"), times(text, "</section>"));
	CU_ASSERT_EQUAL(times(text, "<details"), times(text, "</details>"));
	CU_ASSERT_EQUAL(times(text, "<td"), times(text, "</td>"));
	free(text);
	outcomes_free(outcome, 3);
}

TESTS("experiments/page", {"page", test_page})
