#include "experiments/run_figure.h"

#include "core/opt.h"
#include "experiments/plot_head.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 4096
#define LINES_MAX   256 /* of one figure */

struct series {
	char *line; /* the head of series.csv, cut at its commas */
	const char *column[COLUMNS_MAX];
	size_t columns;
	/* The figure: panels of lines, each a column. */
	const char *panel[METRICS_MAX], *name[LINES_MAX];
	size_t first[METRICS_MAX], count[METRICS_MAX], col[LINES_MAX];
	size_t panels, lines;
};

static int read_head(const char *dir, struct series *s, struct err *err)
{
	char path[PATH_MAX];
	size_t room = 0;

	if (snprintf(path, sizeof path, "%s/series.csv", dir) >= (int)sizeof path)
		return err_input(err, "%s: the path is too long", dir);
	FILE *in = fopen(path, "re");
	if (!in)
		return err_input(err, "%s: holds neither series.csv nor results.sqlite: %s", dir,
				 strerror(errno));
	ssize_t n = getline(&s->line, &room, in);
	fclose(in);
	if (n <= 0)
		return err_input(err, "%s: is empty", path);
	char *rest = s->line;
	rest[strcspn(rest, "\r\n")] = '\0';
	while (rest && s->columns < COLUMNS_MAX)
		s->column[s->columns++] = strsep(&rest, ",");
	if (strcmp(s->column[0], "time_s") != 0)
		return err_input(err, "%s: does not begin with time_s", path);
	return 0;
}

/* Whether a column is one that the metric names; vm.*.x names x of every VM. */
static bool names(const char *metric, const char *column)
{
	if (strncmp(metric, "vm.*.", 5) != 0)
		return strcmp(metric, column) == 0;
	const char *last = strrchr(column, '.');
	return strncmp(column, "vm.", 3) == 0 && last && strcmp(last + 1, metric + 5) == 0;
}

static void add_lines(struct series *s, const char *metric)
{
	for (size_t c = 1; c < s->columns && s->lines < LINES_MAX; c++) {
		if (!names(metric, s->column[c]))
			continue;
		s->name[s->lines] = s->column[c];
		s->col[s->lines++] = c + 1; /* as gnuplot counts */
		s->count[s->panels]++;
	}
}

static bool end_panel(struct series *s, const char *title)
{
	if (s->count[s->panels] == 0)
		return false;
	s->panel[s->panels] = title;
	s->panels++;
	if (s->panels < METRICS_MAX)
		s->first[s->panels] = s->lines;
	return true;
}

static int no_column(const struct series *s, const char *metric, struct err *err)
{
	const char *near = nearest_name(metric, s->column, s->columns);

	if (near)
		return err_input(err, "series.csv has no column for '%.60s'; did you mean '%s'?",
				 metric, near);
	return err_input(err, "series.csv has no column for '%.60s'; its first line names them",
			 metric);
}

static int choose(struct series *s, const struct metrics *metrics, struct err *err)
{
	static const char *const frames[] = {"host.free", "host.private", "host.shared"};
	static const char *const of_vms[] = {"vm.*.private", "vm.*.swapped", "vm.*.faults"};

	for (size_t m = 0; m < metrics->n; m++) {
		add_lines(s, metrics->metric[m].text);
		if (!end_panel(s, metrics->metric[m].text))
			return no_column(s, metrics->metric[m].text, err);
	}
	if (metrics->n)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(frames); i++)
		add_lines(s, frames[i]);
	end_panel(s, "the host's frames");
	for (size_t i = 0; i < ARRAY_LEN(of_vms); i++) {
		add_lines(s, of_vms[i]);
		end_panel(s, of_vms[i]);
	}
	return s->panels ? 0 : err_input(err, "series.csv has nothing to draw");
}

static void set_numbers(struct draft *draft, const char *name, const size_t *number, size_t n)
{
	FILE *out = draft_stream(draft);

	fprintf(out, "array %s[%zu] = [", name, n);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%zu", i ? ", " : "", number[i]);
	fputs("]\n", out);
}

static int write_script(const struct series *s, const char *dir, json_t *files, struct err *err)
{
	size_t first[METRICS_MAX];
	struct draft *draft;
	int rc = plot_head(dir, "series", &draft, err);

	if (rc)
		return rc;
	for (size_t p = 0; p < s->panels; p++)
		first[p] = s->first[p] + 1;
	plot_set(draft, "heading", dir);
	plot_array(draft, "panels", s->panel, s->panels);
	plot_array(draft, "names", s->name, s->lines);
	set_numbers(draft, "first", first, s->panels);
	set_numbers(draft, "count", s->count, s->panels);
	set_numbers(draft, "col", s->col, s->lines);
	return plot_body(draft, "series", dir, "series", files, err);
}

int figure_run(const char *dir, const struct metrics *metrics, json_t *files, struct err *err)
{
	struct series *s = calloc(1, sizeof *s);

	if (!s)
		return err_run(err, ENOMEM, "no memory for a figure");
	int rc = read_head(dir, s, err);
	if (rc == 0)
		rc = choose(s, metrics, err);
	if (rc == 0)
		rc = write_script(s, dir, files, err);
	free(s->line);
	free(s);
	return rc;
}
