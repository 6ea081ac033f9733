#include "core/job_private.h"

#include <confuse.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * What libConfuse's callbacks work on. They get no pointer of ours, and its
 * lexer is one per process; hence one parse at a time, under a lock, and the
 * one that runs is named here.
 */
struct parse {
	struct job *job;
	const char *file; /* being read: the job's or an included one's */
	unsigned depth;	  /* of include() */
	unsigned files;	  /* read so far */
	bool failed;
	struct err *err;
};

static pthread_mutex_t parser_lock = PTHREAD_MUTEX_INITIALIZER;
static struct parse *parsing; /* under parser_lock */

/* For a failure whose message is in parsing->err without its place. */
static void failed_at(const cfg_t *cfg)
{
	parsing->failed = true;
	err_prefix(parsing->err, "%s:%d", parsing->file, cfg->line);
}

/* libConfuse's words need a mend. Told apart by how they begin; others stay as they are. */
static void explain(cfg_t *cfg, const char *fmt, va_list ap)
{
	static const struct {
		const char *begins, *mend;
	} mends[] = {
		{"missing equal sign", "; write KEY = VALUE"},
		{"missing title", "; write it as in vm a { memory = 64mb }"},
		{"missing opening brace", "; write host { ... }, and vm NAME { ... }"},
		{"unexpected token", "; write KEY = VALUE, or KEY = {VALUE, VALUE}"},
		{"premature end", "; the last line lacks something"},
	};
	const char *mend = "";
	char msg[300];

	for (size_t i = 0; i < ARRAY_LEN(mends); i++) {
		if (strncmp(fmt, mends[i].begins, strlen(mends[i].begins)) == 0)
			mend = mends[i].mend;
	}
	vsnprintf(msg, sizeof msg, fmt, ap);
	err_input(parsing->err, "%s%s", msg, mend);
	failed_at(cfg);
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	if (parsing->failed)
		return; /* the first one is the cause */
	if (strncmp(fmt, "no such option", 14) == 0) {
		const char *key = va_arg(ap, const char *);
		struct job_kind *kind = job_find_kind(parsing->job, cfg->name);

		if (kind)
			job_unknown_key(kind->section, key, parsing->err);
		else
			job_unknown_section(parsing->job, key, parsing->err);
		failed_at(cfg);
		return;
	}
	explain(cfg, fmt, ap);
}

/* name, seen from the file that it stands in. */
static char *beside(const char *file, const char *name)
{
	const char *slash = strrchr(file, '/');
	char *path;

	if (name[0] == '/' || !slash)
		return strdup(name);
	return asprintf(&path, "%.*s/%s", (int)(slash - file), file, name) < 0 ? NULL : path;
}

/* Standard input and what is unset are no files beside the job's. */
static bool is_relative(const struct opt *opt, const char *text)
{
	return opt->type == OPT_PATH && *text && strcmp(text, "-") != 0;
}

/* A value of the section cfg: sets it in our table. */
static int assign(cfg_t *cfg, const char *key, const char *text)
{
	struct job_kind *kind = job_find_kind(parsing->job, cfg->name);
	const struct opt *opt = opt_find(kind->section, key);
	struct job_part *part;
	char where[300], *path = NULL;
	int rc = job_make_part(kind, cfg->title, &part, parsing->err);

	snprintf(where, sizeof where, "%s:%d", parsing->file, cfg->line);
	if (rc == 0 && is_relative(opt, text) && !(path = beside(parsing->file, text)))
		rc = err_run(parsing->err, ENOMEM, "out of memory while reading the job");
	if (rc == 0)
		rc = job_assign(kind, part, opt, path ? path : text, where, parsing->err);
	free(path);
	if (rc)
		failed_at(cfg);
	return rc;
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	*(const char **)result = value;
	return assign(cfg, opt->name, value);
}

/* After each value of a list: its values so far, as one text. */
static int on_list(cfg_t *cfg, cfg_opt_t *opt)
{
	size_t size = 1;
	unsigned n = cfg_opt_size(opt);

	for (unsigned i = 0; i < n; i++)
		size += strlen(cfg_opt_getnstr(opt, i)) + 1;
	char *text = malloc(size), *p = text;
	if (!text) {
		err_run(parsing->err, ENOMEM, "out of memory while reading the job");
		failed_at(cfg);
		return -ENOMEM;
	}
	*p = '\0';
	for (unsigned i = 0; i < n; i++) {
		if (i)
			*p++ = ',';
		p = stpcpy(p, cfg_opt_getnstr(opt, i));
	}
	int rc = assign(cfg, opt->name, text);
	free(text);
	return rc;
}

/*
 * A titled section has ended; it exists even if it is empty. It is the last of
 * the values, or its title came before and it exists already.
 */
static int on_section_end(cfg_t *cfg, cfg_opt_t *opt)
{
	struct job_kind *kind = job_find_kind(parsing->job, opt->name);
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	struct job_part *part;
	char at[300];
	int rc = job_make_part(kind, section->title, &part, parsing->err);

	snprintf(at, sizeof at, "%s:%d", parsing->file, section->line);
	if (rc == 0 && !part->at && !(part->at = strdup(at)))
		rc = err_run(parsing->err, ENOMEM, "out of memory while reading the job");
	if (rc)
		failed_at(cfg);
	return rc;
}

static int parse_stream(cfg_t *cfg, char *text, size_t size)
{
	int rc = job_scan(text, size, parsing->file, parsing->err);

	if (rc) {
		parsing->failed = true;
		return rc;
	}
	if (size == 0)
		return 0;
	FILE *stream = fmemopen(text, size, "r");
	if (!stream) {
		parsing->failed = true;
		return err_run(parsing->err, ENOMEM, "out of memory while reading %s",
			       parsing->file);
	}
	if (cfg_parse_fp(cfg, stream) != CFG_SUCCESS) {
		rc = -EINVAL;
		if (!parsing->failed) { /* it has no words for some, as for the key "" */
			err_input(parsing->err, "this is not understood; write KEY = VALUE");
			failed_at(cfg);
		}
	}
	fclose(stream);
	return rc;
}

static int read_stream(FILE *stream, const char *path, char **text, size_t *size, struct err *err)
{
	struct stat st;

	if (fstat(fileno(stream), &st) == 0 && S_ISDIR(st.st_mode))
		return err_input(err, "%s is a folder; name a job file", path);
	*text = malloc(JOB_TEXT_MAX + 1);
	if (!*text)
		return err_run(err, ENOMEM, "out of memory while reading %s", path);
	*size = fread(*text, 1, JOB_TEXT_MAX + 1, stream);
	if (ferror(stream))
		return err_run(err, EIO, "cannot read %s: %s", path, strerror(errno));
	if (*size > JOB_TEXT_MAX)
		return err_input(err, "%s is larger than 1 MiB; is this a job file?", path);
	(*text)[*size] = '\0';
	return 0;
}

/* The whole of a file, NUL-ended; *text is the caller's to free, also on failure. */
static int read_text(const char *path, char **text, size_t *size, struct err *err)
{
	bool standard_input = strcmp(path, "-") == 0;
	FILE *stream = standard_input ? stdin : fopen(path, "re");

	*text = NULL;
	if (!stream)
		return err_input(err, "cannot read %s: %s", path, strerror(errno));
	int rc = read_stream(stream, standard_input ? "standard input" : path, text, size, err);
	if (!standard_input)
		fclose(stream);
	return rc;
}

static int include_file(cfg_t *cfg, const char *path)
{
	const char *outer_file = parsing->file;
	int outer_line = cfg->line;
	char *text;
	size_t size;
	int rc = read_text(path, &text, &size, parsing->err);

	if (rc) {
		failed_at(cfg);
	} else {
		parsing->file = path;
		parsing->depth++;
		rc = parse_stream(cfg, text, size);
		parsing->depth--;
		parsing->file = outer_file;
		cfg->line = outer_line;
	}
	free(text);
	return rc;
}

static int on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	(void)opt;
	if (argc != 1 || parsing->depth == JOB_DEPTH_MAX || ++parsing->files > JOB_INCLUDES_MAX) {
		if (argc != 1)
			err_input(parsing->err, "write include(\"FILE\")");
		else
			err_input(parsing->err,
				  "more than %d files deep or %d in all; does a file include "
				  "itself?",
				  JOB_DEPTH_MAX, JOB_INCLUDES_MAX);
		failed_at(cfg);
		return -EINVAL;
	}
	char *path = beside(parsing->file, argv[0]);
	if (!path) {
		err_run(parsing->err, ENOMEM, "out of memory while reading the job");
		failed_at(cfg);
		return -ENOMEM;
	}
	int rc = include_file(cfg, path);
	free(path);
	return rc;
}

/* libConfuse's table of one of our sections; NULL without memory. */
static cfg_opt_t *section_table(const struct opt_section *section)
{
	size_t n = 0;

	while (section->opts[n].name)
		n++;
	cfg_opt_t *table = calloc(n + 1, sizeof *table);
	for (size_t i = 0; table && i < n; i++) {
		const struct opt *opt = &section->opts[i];
		cfg_opt_t list = CFG_STR_LIST(opt->name, NULL, CFGF_NODEFAULT);
		cfg_opt_t value = CFG_STR_CB(opt->name, NULL, CFGF_NODEFAULT, on_value);

		list.validcb = on_list;
		table[i] = opt->type == OPT_LIST ? list : value;
	}
	return table;
}

static void free_tables(cfg_opt_t *root, size_t n)
{
	for (size_t i = 0; root && i < n; i++)
		free(root[i].subopts);
	free(root);
}

/* libConfuse's tables are made from ours; NULL without memory. */
static cfg_t *make_parser(const struct job *job)
{
	cfg_opt_t *root = calloc(job->n_kinds + 2, sizeof *root), *sub;
	const cfg_opt_t include = CFG_FUNC("include", on_include);
	cfg_t *cfg = NULL;

	if (!root)
		return NULL;
	for (size_t i = 0; i < job->n_kinds; i++) {
		const struct opt_section *section = job->kinds[i].section;

		sub = section_table(section);
		if (!sub)
			goto out;
		root[i] = (cfg_opt_t)CFG_SEC(section->name, sub, CFGF_NONE);
		if (section->titled) {
			root[i].flags = CFGF_MULTI | CFGF_TITLE;
			root[i].validcb = on_section_end;
		}
	}
	root[job->n_kinds] = include;
	cfg = cfg_init(root, CFGF_NONE); /* copies the tables */
	if (cfg)
		cfg_set_error_function(cfg, on_error);
out:
	free_tables(root, job->n_kinds);
	return cfg;
}

/* Under parser_lock: making a parser and freeing it touch the lexer too. */
static int parse_locked(struct parse *parse, char *text, size_t size)
{
	cfg_t *cfg = make_parser(parse->job);

	if (!cfg)
		return err_run(parse->err, ENOMEM, "out of memory while reading the job");
	parsing = parse;
	int rc = parse_stream(cfg, text, size);
	parsing = NULL;
	cfg_free(cfg);
	return rc;
}

/* text is changed on the way. */
static int parse_text(struct job *job, char *text, size_t size, const char *name, struct err *err)
{
	struct err sink = {0};
	struct parse parse = {.job = job, .file = name, .files = 1, .err = err ? err : &sink};

	pthread_mutex_lock(&parser_lock);
	int rc = parse_locked(&parse, text, size);
	pthread_mutex_unlock(&parser_lock);
	return rc ? (parse.err->exit_code == 2 ? -EINVAL : -EIO) : 0;
}

int job_parse(struct job *job, const char *text, const char *name, struct err *err)
{
	size_t size = strlen(text);
	int rc;

	if (size > JOB_TEXT_MAX)
		return err_input(err, "%s is larger than 1 MiB; is this a job file?", name);
	char *copy = strdup(text);
	if (!copy)
		return err_run(err, ENOMEM, "out of memory while reading the job");
	rc = parse_text(job, copy, size, name, err);
	free(copy);
	return rc;
}

int job_load(struct job *job, const char *path, struct err *err)
{
	char *text;
	size_t size;
	int rc = read_text(path, &text, &size, err);

	if (rc == 0)
		rc = parse_text(job, text, size, strcmp(path, "-") == 0 ? "standard input" : path,
				err);
	free(text);
	return rc;
}
