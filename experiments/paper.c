#include "experiments/paper.h"

#include "experiments/datadir.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int head(struct paper *p, char *line, const char *path, unsigned at, struct err *err)
{
	for (char *name; (name = strsep(&line, ",")) != NULL; p->columns++) {
		if (p->columns == PAPER_COLUMNS || strlen(name) >= sizeof p->column[0])
			return err_input(err, "%s:%u: more than %d columns, or a name too long",
					 path, at, PAPER_COLUMNS);
		memcpy(p->column[p->columns], name, strlen(name) + 1);
	}
	return 0;
}

static int row(struct paper *p, char *line, const char *path, unsigned at, struct err *err)
{
	size_t n = 0;
	char *end;

	if (p->rows == PAPER_ROWS)
		return err_input(err, "%s:%u: more than %d rows", path, at, PAPER_ROWS);
	for (char *text; (text = strsep(&line, ",")) != NULL; n++) {
		double x = strtod(text, &end);
		if (n == p->columns || *end)
			return err_input(err, "%s:%u: '%.40s' is no number of a column", path, at,
					 text);
		p->cell[p->rows][n] = end == text ? (double)NAN : x;
	}
	if (n != p->columns)
		return err_input(err, "%s:%u: %zu fields, not %zu", path, at, n, p->columns);
	p->rows++;
	return 0;
}

int paper_load(const char *name, struct paper **out, struct err *err)
{
	char path[PATH_MAX], line[1024];
	int rc = data_path(name, path, err);

	if (rc)
		return rc;
	FILE *in = fopen(path, "re");
	if (!in)
		return err_run(err, errno, "%s: %s", path, strerror(errno));
	struct paper *p = calloc(1, sizeof *p);
	if (!p)
		rc = err_run(err, ENOMEM, "no memory for %s", path);
	for (unsigned at = 1; rc == 0 && fgets(line, sizeof line, in); at++) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] == '#')
			continue;
		rc = p->columns ? row(p, line, path, at, err) : head(p, line, path, at, err);
	}
	fclose(in);
	if (rc) {
		free(p);
		return rc;
	}
	*out = p;
	return 0;
}

double paper_value(const struct paper *p, size_t r, const char *column)
{
	for (size_t i = 0; r < p->rows && i < p->columns; i++) {
		if (strcmp(p->column[i], column) == 0)
			return p->cell[r][i];
	}
	return (double)NAN;
}
