#include "experiments/page_parts.h"

#include "experiments/datadir.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void page_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			putc(*text, out);
		}
	}
}

void page_signs(FILE *out, const char *text)
{
	static const char *const signs[][2] = {{"+-", "&plusmn;"}, {">=", "&ge;"}, {"<=", "&le;"}};

	while (*text) {
		size_t i = 0;
		while (i < ARRAY_LEN(signs) && strncmp(text, signs[i][0], 2) != 0)
			i++;
		if (i < ARRAY_LEN(signs)) {
			fputs(signs[i][1], out);
			text += 2;
		} else {
			const char one[] = {*text++, '\0'};
			page_text(out, one);
		}
	}
}

void page_base64(FILE *out, const unsigned char *b, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t word = (uint32_t)b[i] << 16;
		word |= i + 1 < n ? (uint32_t)b[i + 1] << 8 : 0;
		word |= i + 2 < n ? b[i + 2] : 0;
		putc(digits[word >> 18], out);
		putc(digits[word >> 12 & 63], out);
		putc(i + 1 < n ? digits[word >> 6 & 63] : '=', out);
		putc(i + 2 < n ? digits[word & 63] : '=', out);
	}
}

/* A whole file, NUL-ended; NULL with errno. */
static char *read_file(const char *path, size_t *size)
{
	FILE *in = fopen(path, "re");
	char buf[4096], *text = NULL;
	size_t n;

	if (!in)
		return NULL;
	FILE *out = open_memstream(&text, size);
	while (out && (n = fread(buf, 1, sizeof buf, in)) > 0)
		fwrite(buf, 1, n, out);
	fclose(in);
	if (!out || fclose(out) != 0)
		return NULL;
	return text;
}

static int read_told(const char *path, char **text, size_t *size, struct err *err)
{
	*text = read_file(path, size);
	return *text ? 0 : err_run(err, errno, "%s: %s", path, strerror(errno));
}

int page_figure(FILE *out, const char *dir, const char *name, const char *alt, struct err *err)
{
	char path[PATH_MAX], *text;
	size_t size;

	if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
		return err_input(err, "%s: the path is too long", dir);
	int rc = read_told(path, &text, &size, err);
	if (rc)
		return rc;
	fputs("<div class=\"figure\"><img alt=\"", out);
	page_text(out, alt);
	fputs("\" src=\"data:image/svg+xml;base64,", out);
	page_base64(out, (const unsigned char *)text, size);
	fprintf(out,
		"\"></div>\n<p class=\"narrow small\">It goes on to the right, or "
		"<a href=\"%s\">see it whole</a>.</p>\n",
		name);
	free(text);
	return 0;
}

int page_include(FILE *out, const char *name, struct err *err)
{
	char path[PATH_MAX], *text;
	size_t size;

	int rc = data_path(name, path, err);
	if (rc == 0)
		rc = read_told(path, &text, &size, err);
	if (rc)
		return rc;
	fwrite(text, 1, size, out);
	free(text);
	return 0;
}

void page_job(FILE *out, const char *name, const char *text)
{
	fputs("<details><summary>", out);
	page_text(out, name);
	fputs("</summary><pre>", out);
	page_text(out, text);
	fputs("</pre></details>\n", out);
}

static int is_job(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	/* That of a live variant is told in the variant's own section. */
	return dot && strcmp(dot, ".job") == 0 && strcmp(entry->d_name, "live.job") != 0;
}

void page_job_files(FILE *out, const char *id)
{
	char dir[PATH_MAX], path[PATH_MAX + 256], name[PATH_MAX], *text;
	struct dirent **entry;
	struct err ignored; /* an experiment need not have a folder */
	size_t size;

	if (data_path(id, dir, &ignored))
		return;
	int n = scandir(dir, &entry, is_job, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, entry[i]->d_name);
		snprintf(name, sizeof name, "experiments/%s/%s", id, entry[i]->d_name);
		text = read_file(path, &size);
		if (text)
			page_job(out, name, text);
		free(text);
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
}
