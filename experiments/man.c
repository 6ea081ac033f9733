/* Manual pages in mdoc, from the tables that the commands parse by. */
#include "experiments/describe.h"
#include "experiments/outdir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 78

struct man {
	struct describer d;
	const char *dir, *date;
	int rc;
	struct err *err;
};

/* One word of a text line; at the line's start a dot would be a macro. */
static void put_word(FILE *out, const char *word, size_t len, bool first)
{
	if (first && (*word == '.' || *word == '\''))
		fputs("\\&", out);
	for (size_t i = 0; i < len; i++) {
		if (word[i] == '\\')
			fputs("\\e", out);
		else
			putc(word[i], out);
	}
}

static bool ends_sentence(const char *word, size_t len)
{
	while (len > 1 && strchr(")'\"", word[len - 1]))
		len--;
	return strchr(".?!", word[len - 1]) != NULL;
}

/* Filled lines; a sentence begins a new one, as mdoc wants it. */
static void put_text(FILE *out, const char *text, size_t n)
{
	const char *end = text + n;
	size_t at = 0;

	while (text < end) {
		size_t len = 0;
		while (text + len < end && text[len] != ' ' && text[len] != '\n')
			len++;
		if (len > 0) {
			if (at > 0 && at + 1 + len > COLUMNS) {
				putc('\n', out);
				at = 0;
			}
			if (at > 0)
				putc(' ', out);
			put_word(out, text, len, at == 0);
			at += len + (at > 0);
			if (ends_sentence(text, len)) {
				putc('\n', out);
				at = 0;
			}
		}
		text += len + (text + len < end);
	}
	if (at > 0)
		putc('\n', out);
}

static void put_line(FILE *out, const char *text)
{
	put_text(out, text, strlen(text));
}

/* Lines as they are, less the indent that they have in the help. */
static void put_literal(FILE *out, const char *text, size_t n)
{
	const char *end = text + n;

	fputs(".Bd -literal -offset indent\n", out);
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((newline ? newline : end) - text), skip = 0;
		while (skip < 2 && skip < len && text[skip] == ' ')
			skip++;
		put_word(out, text + skip, len - skip, true);
		putc('\n', out);
		text += len + 1;
	}
	fputs(".Ed\n", out);
}

static void put_exit_status(FILE *out)
{
	fputs(".Sh EXIT STATUS\n0 done, 1 the run failed, 2 the command line or an input is "
	      "wrong,\n3 done but a stated expectation did not hold.\n",
	      out);
}

/* A block of the help's end: filled, but for the lines that are indented. */
static void put_block(FILE *out, const char *text, size_t n)
{
	const char *end = text + n, *p = text;

	while (p < end && *p != ' ') {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		p = newline ? newline + 1 : end;
	}
	if (strncmp(text, "Example", 7) == 0) {
		const char *colon = memchr(text, ':', n);
		put_exit_status(out); /* where the order of sections wants it */
		fputs(".Sh EXAMPLES\n", out);
		if (colon && colon[1] == ' ') /* "Example: a trace in 2 MB" */
			put_text(out, colon + 2, (size_t)(p - colon - 2));
	} else if (p > text) {
		fputs(".Pp\n", out);
		put_text(out, text, (size_t)(p - text));
	}
	if (p < end)
		put_literal(out, p, (size_t)(end - p));
}

static void put_blocks(FILE *out, const char *text)
{
	bool examples = text && (strncmp(text, "Example", 7) == 0 || strstr(text, "\nExample"));

	while (text && *text) {
		const char *gap = strstr(text, "\n\n");
		size_t n = gap ? (size_t)(gap - text) : strlen(text);
		while (n > 0 && text[n - 1] == '\n')
			n--;
		if (n > 0)
			put_block(out, text, n);
		text = gap ? gap + 2 : NULL;
	}
	if (!examples)
		put_exit_status(out);
}

/* "FILE", "[ID]...", "[-- COMMAND [ARGUMENT...]]": a word is an argument; in brackets, optional. */
static void put_argument(FILE *out, const char *word, size_t n, bool *within)
{
	bool more = false;

	while (n > 0 && *word == '[') {
		*within = true;
		word++;
		n--;
	}
	bool optional = *within;
	while (n > 0 && (word[n - 1] == ']' || (n > 3 && strncmp(word + n - 3, "...", 3) == 0))) {
		bool dots = word[n - 1] == '.';
		more |= dots;
		*within &= dots;
		n -= dots ? 3 : 1;
	}
	if (n == 2 && strncmp(word, "--", 2) == 0)
		fprintf(out, ".%sFl -\n", optional ? "Op " : "");
	else if (n > 0)
		fprintf(out, ".%sAr %.*s%s\n", optional ? "Op " : "", (int)n, word,
			more ? " ..." : "");
}

static void put_arguments(FILE *out, const char *args)
{
	bool within = false;

	while (args && *args) {
		size_t len = strcspn(args, " ");
		bool option = *args == '-' && args[1] == '-' && len > 2;
		if (option) { /* "--memory SIZE": the options tell of it */
			len += args[len] == ' ';
			len += strcspn(args + len, " ");
		} else {
			put_argument(out, args, len, &within);
		}
		args += len;
		args += strspn(args, " ");
	}
}

static bool is_short(const struct argp_option *o)
{
	return o->key > ' ' && o->key < 127;
}

static bool shown(const struct argp_option *o)
{
	return o->name && !(o->flags & OPTION_HIDDEN);
}

static bool ends(const struct argp_option *o)
{
	return !o->name && !o->key && !o->doc && !o->group;
}

static void put_synopsis(FILE *out, const char *name, const struct argp *argp)
{
	fprintf(out, ".Sh SYNOPSIS\n.Nm ballast\n.Cm %s\n", name + strlen("ballast "));
	for (const struct argp_option *o = argp->options; o && !ends(o); o++) {
		if (!shown(o))
			continue;
		if (is_short(o))
			fprintf(out, ".Op Fl %c%s%s\n", o->key, o->arg ? " Ar " : "",
				o->arg ? o->arg : "");
		else
			fprintf(out, ".Op Fl -%s%s%s\n", o->name, o->arg ? " Ns = Ns Ar " : "",
				o->arg ? o->arg : "");
	}
	put_arguments(out, argp->args_doc);
}

static void put_options(FILE *out, const struct argp *argp)
{
	fputs(".Pp\nThe options are:\n.Bl -tag -width Ds\n", out);
	for (const struct argp_option *o = argp->options; o && !ends(o); o++) {
		if (!shown(o))
			continue;
		fputs(".It ", out);
		if (is_short(o))
			fprintf(out, "Fl %c , ", o->key);
		fprintf(out, "Fl -%s", o->name);
		if (o->arg)
			fprintf(out, " Ns = Ns Ar %s", o->arg);
		putc('\n', out);
		put_line(out, o->doc ? o->doc : "");
	}
	fputs(".It Fl \\&? , Fl -help\nShows this help, and runs nothing.\n.El\n", out);
}

/* A page's file, with its head; NULL once a page has failed. */
static FILE *start_page(struct man *m, const char *name, const char *help, struct draft **draft)
{
	char page[64], title[64], file[80];

	snprintf(page, sizeof page, "%s", name);
	for (char *p = page; *p; p++)
		*p = *p == ' ' ? '-' : *p;
	snprintf(title, sizeof title, "%s", page);
	for (char *p = title; *p; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
	snprintf(file, sizeof file, "%s.1", page);
	if (m->rc == 0)
		m->rc = outdir_open(m->dir, file, draft, m->err);
	if (m->rc)
		return NULL;
	FILE *out = draft_stream(*draft);
	fprintf(out, ".Dd %s\n.Dt %s 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", m->date, title, page,
		help);
	return out;
}

static void end_page(struct man *m, const char *above, struct draft *draft)
{
	fprintf(draft_stream(draft), ".Sh SEE ALSO\n.Xr %s 1\n", above);
	m->rc = draft_commit(draft, m->err);
}

static void man_command(struct describer *d, const struct cmd *cmd, const char *name,
			const struct argp *argp, void *input)
{
	struct man *m = (struct man *)d;
	const char *doc = argp->doc ? argp->doc : "", *rest = strchr(doc, '\v');
	char above[64];
	struct draft *draft;

	FILE *out = start_page(m, name, cmd->help, &draft);
	if (!out)
		return;
	put_synopsis(out, name, argp);
	fputs(".Sh DESCRIPTION\n", out);
	put_text(out, doc, rest ? (size_t)(rest - doc) : strlen(doc));
	put_options(out, argp);
	char *text = strdup(rest ? rest + 1 : ""), *more = text;
	if (argp->help_filter && text)
		more = argp->help_filter(ARGP_KEY_HELP_POST_DOC, text, input);
	put_blocks(out, more);
	if (more != text)
		free(more);
	free(text);
	snprintf(above, sizeof above, "%.*s", (int)(strrchr(name, ' ') - name), name);
	for (char *p = above; *p; p++)
		*p = *p == ' ' ? '-' : *p;
	end_page(m, above, draft);
}

static void man_group(struct describer *d, const struct cmd *cmd, const struct cmd_group *group)
{
	struct man *m = (struct man *)d;
	const char *verb = strchr(group->name, ' ') + 1;
	struct draft *draft;

	FILE *out = start_page(m, group->name, cmd->help, &draft);
	if (!out)
		return;
	fprintf(out, ".Sh SYNOPSIS\n.Nm ballast\n.Cm %s\n", verb);
	put_arguments(out, cmd_group_args(group));
	fputs(".Sh DESCRIPTION\n", out);
	put_text(out, group->doc, strcspn(group->doc, "\v"));
	fprintf(out, ".Pp\n%s:\n.Bl -tag -width Ds\n", cmd_group_heading(group));
	for (const struct cmd *c = group->cmds; c->name; c++)
		fprintf(out, ".It Xr ballast-%s-%s 1\n%s\n", verb, c->name, c->help);
	fputs(".El\n", out);
	put_blocks(out, group->more);
	end_page(m, "ballast", draft);
}

int man_write(const char *dir, const char *version_date, struct err *err)
{
	struct man m = {
		.d = {man_command, man_group},
		.dir = dir,
		.date = version_date,
		.err = err,
	};

	describe_all(&cmd_program, &m.d);
	return m.rc;
}
