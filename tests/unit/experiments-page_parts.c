/* Parts of a page: what is escaped, base64 by the RFC's own vectors, files set in. */
#include "test.h"

#include "experiments/page_parts.h"

#include <string.h>
#include <unistd.h>

static FILE *out;
static char *text;
static size_t size;

static void start(void)
{
	out = open_memstream(&text, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
}

static void check(const char *want)
{
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, want);
	free(text);
}

static void test_text(void)
{
	start();
	page_text(out, "a <b> & \"c\" 'd' \303\251");
	check("a &lt;b&gt; &amp; &quot;c&quot; 'd' \303\251");
	start();
	page_signs(out, ">= 1 +- 2 <= 3 < 4 + 5");
	check("&ge; 1 &plusmn; 2 &le; 3 &lt; 4 + 5");
}

/* RFC 4648, section 10. */
static void test_base64(void)
{
	static const char *const vectors[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
	};
	static const unsigned char high[] = {0xfb, 0xef, 0xbe, 0xff};

	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		start();
		page_base64(out, (const unsigned char *)vectors[i][0], strlen(vectors[i][0]));
		check(vectors[i][1]);
	}
	start();
	page_base64(out, high, sizeof high);
	check("++++/w==");
}

static void test_job(void)
{
	start();
	page_job(out, "a<b.job", "vm a { trace = \"x\" }\n");
	check("<details><summary>a&lt;b.job</summary><pre>vm a { trace = &quot;x&quot; }\n"
	      "</pre></details>\n");
}

static void test_figure(void)
{
	char dir[] = "/tmp/ballast-page-XXXXXX", path[64];
	struct err err = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/f.svg", dir);
	FILE *f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("foobar", f);
	fclose(f);
	start();
	CU_ASSERT_EQUAL(page_figure(out, dir, "f.svg", "\"x\"", &err), 0);
	fclose(out);
	CU_ASSERT_PTR_NOT_NULL(strstr(
		text, "<img alt=\"&quot;x&quot;\" src=\"data:image/svg+xml;base64,Zm9vYmFy\">"));
	free(text);
	start();
	CU_ASSERT(page_figure(out, dir, "g.svg", "x", &err) != 0);
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "/g.svg: No such file"));
	check("");
	unlink(path);
	rmdir(dir);
}

TESTS("experiments/page_parts", {"text", test_text}, {"base64", test_base64}, {"job", test_job},
      {"figure", test_figure})
