/* Figures: whole files or none, and gnuplot's own words where it fails. */
#include "experiments/plot.h"

#include "experiments/outdir.h"

#include "test.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/ballast-plot-XXXXXX";

static void put(const char *name, const char *text)
{
	struct draft *draft;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(outdir_open(dir, name, &draft, &err), 0);
	fputs(text, draft_stream(draft));
	CU_ASSERT_EQUAL_FATAL(draft_commit(draft, &err), 0);
}

static bool there(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void draws(void)
{
	char path[PATH_MAX], line[200] = "";
	struct err err = {0};

	put("x.csv", "1,1\n2,4\n3,9\n");
	put("x.gp", "set datafile separator ','\nset terminal dumb\n"
		    "set title format\nplot 'x.csv' using 1:2\n");
	CU_ASSERT_EQUAL(plot_draw(dir, "x", "svg", &err), 0);
	CU_ASSERT(there("x.svg"));
	/* What it drew is the picture that the script asks for: its title is the format. */
	snprintf(path, sizeof path, "%s/x.svg", dir);
	FILE *f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof line, f) && !strstr(line, "svg"))
		;
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "svg"));
}

static void fails(void)
{
	struct err err = {0};

	put("y.gp", "set terminal dumb\nplot no_such_thing(x)\n");
	CU_ASSERT(plot_draw(dir, "y", "png", &err) < 0);
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "no_such_thing"));
	CU_ASSERT_PTR_NULL(strchr(err.msg, '\n'));
	CU_ASSERT(!there("y.png"));
}

static void without_gnuplot(void)
{
	char *path = strdup(getenv("PATH"));
	struct err err = {0};

	setenv("PATH", "/nonexistent", 1);
	CU_ASSERT_EQUAL(plot_draw(dir, "x", "png", &err), -ENOENT);
	setenv("PATH", path, 1);
	free(path);
	CU_ASSERT_EQUAL(err.exit_code, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "apt-get install gnuplot-nox"));
	CU_ASSERT(!there("x.png"));
}

/* The test does not lie where the program does, so there is no script for it. */
static void missing_script(void)
{
	struct err err = {0};

	CU_ASSERT(plot_script("replay-curves/plot.gp", dir, "z", &err) < 0);
	CU_ASSERT(!there("z.gp"));
}

static void make_dir(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
}

static void remove_dir(void)
{
	static const char *const names[] = {"x.csv", "x.gp", "x.svg", "y.gp"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	CU_ASSERT_EQUAL(rmdir(dir), 0); /* nothing else came to lie there */
}

TESTS("experiments/plot", {"a folder", make_dir}, {"draws", draws}, {"fails", fails},
      {"without gnuplot", without_gnuplot}, {"no script", missing_script},
      {"nothing left", remove_dir})
