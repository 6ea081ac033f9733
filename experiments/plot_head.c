#include "experiments/plot_head.h"

#include "experiments/datadir.h"
#include "experiments/plot.h"

#include <errno.h>
#include <string.h>

int plot_head(const char *dir, const char *name, struct draft **draft, struct err *err)
{
	char file[160];

	snprintf(file, sizeof file, "%s.gp", name);
	int rc = outdir_open(dir, file, draft, err);
	if (rc)
		return rc;
	fprintf(draft_stream(*draft),
		"# To change the figure, edit this and draw it again:\n"
		"#\n"
		"#   gnuplot -e \"format='svg'\" %s.gp > %s.svg\n"
		"#   gnuplot -e \"format='png'\" %s.gp > %s.png\n"
		"\n"
		"rows = '%s.csv'\n",
		name, name, name, name, name);
	return 0;
}

/* In single quotes nothing is special but the quote. */
static void text_of(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputc('\'', out);
		fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
	}
	fputc('\'', out);
}

void plot_set(struct draft *draft, const char *name, const char *text)
{
	FILE *out = draft_stream(draft);

	fprintf(out, "%s = ", name);
	text_of(out, text);
	fputc('\n', out);
}

void plot_number(struct draft *draft, const char *name, double value)
{
	fprintf(draft_stream(draft), "%s = %.10g\n", name, value);
}

void plot_array(struct draft *draft, const char *name, const char *const *texts, size_t n)
{
	FILE *out = draft_stream(draft);

	fprintf(out, "array %s[%zu]\n", name, n);
	for (size_t i = 0; i < n; i++) {
		fprintf(out, "%s[%zu] = ", name, i + 1);
		text_of(out, texts[i]);
		fputc('\n', out);
	}
}

static int append(struct draft *draft, const char *body, struct err *err)
{
	char name[80], path[PATH_MAX], buf[4096];
	size_t n;

	snprintf(name, sizeof name, "plots/%s.gp", body);
	int rc = data_path(name, path, err);
	if (rc)
		return rc;
	FILE *in = fopen(path, "re");
	if (!in)
		return err_run(err, errno, "%s: %s", path, strerror(errno));
	fputc('\n', draft_stream(draft));
	while ((n = fread(buf, 1, sizeof buf, in)) > 0)
		fwrite(buf, 1, n, draft_stream(draft));
	fclose(in);
	return 0;
}

int plot_body(struct draft *draft, const char *body, const char *dir, const char *name,
	      json_t *files, struct err *err)
{
	static const char *const suffixes[] = {"csv", "gp", "svg", "png"};
	char file[160];
	int rc = append(draft, body, err);

	if (rc) {
		draft_abort(draft);
		return rc;
	}
	rc = draft_commit(draft, err);
	if (rc == 0)
		rc = plot_draw(dir, name, "svg", err);
	if (rc == 0)
		rc = plot_draw(dir, name, "png", err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(suffixes); i++) {
		snprintf(file, sizeof file, "%s.%s", name, suffixes[i]);
		json_array_append_new(files, json_string(file));
	}
	return rc;
}
