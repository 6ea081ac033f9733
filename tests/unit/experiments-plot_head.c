/* Heads of scripts: whatever a text holds, gnuplot reads it as that text. */
#include "experiments/plot_head.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void texts(void)
{
	static const char *const words[] = {"it's", "a \"b\" \\n $c `d`", "x\ny"};
	char dir[] = "/tmp/ballast-head-XXXXXX", command[200], line[200] = "";
	struct draft *draft;

	if (system("command -v gnuplot >/dev/null") != 0)
		SKIP("gnuplot is not installed");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_EQUAL_FATAL(plot_head(dir, "x", &draft, NULL), 0);
	plot_set(draft, "title_text", "50 % of 'all'");
	plot_number(draft, "big", 1e7);
	plot_array(draft, "words", words, 3);
	fputs("set print '-'\nprint rows, '|', title_text, '|', big, '|', |words|, '|', words[1], "
	      "'|', words[2], '|', words[3]\n",
	      draft_stream(draft));
	CU_ASSERT_EQUAL(draft_commit(draft, NULL), 0);
	snprintf(command, sizeof command, "gnuplot %s/x.gp", dir);
	FILE *out = popen(command, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	(void)!fgets(line, sizeof line, out);
	CU_ASSERT_EQUAL(pclose(out), 0);
	CU_ASSERT_STRING_EQUAL(
		line, "x.csv | 50 % of 'all' | 10000000 | 3 | it's | a \"b\" \\n $c `d` | x y\n");
	snprintf(command, sizeof command, "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

TESTS("experiments/plot_head", {"texts", texts})
