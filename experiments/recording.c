#include "experiments/recording.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct table {
	FILE *out; /* a stream into text */
	char *text;
	size_t size;
};

/*
 * Where no interval is given, rows start close together; when there are
 * ROWS_MAX of them every second one goes and the interval doubles, so that a
 * run of any length leaves between ROWS_MAX / 2 and ROWS_MAX rows.
 */
#define ROWS_MAX      1024
#define FIRST_AUTO_NS 1000000
#define BYTES_MAX     ((size_t)64 << 20) /* of rows as many as were asked for */
struct recording {
	struct host *host;
	struct timer timer;
	uint64_t sample_ns, last_row_ns;
	bool automatic; /* sample_ns doubles */
	char **row;	/* [rows] lines of series.csv, the first one names the columns */
	size_t rows, room;
	size_t bytes; /* of all lines */
	struct table events;
	struct err err; /* the first failure */
};

static int table_open(struct table *t)
{
	t->out = open_memstream(&t->text, &t->size);
	return t->out ? 0 : -ENOMEM;
}

static void table_close(struct table *t)
{
	if (t->out)
		fclose(t->out);
	free(t->text);
}

/* Seconds with nine digits, exactly. */
static void put_time(FILE *out, uint64_t ns)
{
	fprintf(out, "%llu.%09llu", (unsigned long long)(ns / 1000000000u),
		(unsigned long long)(ns % 1000000000u));
}

/* A field of a CSV file, quoted where it must be. */
static void put_field(FILE *out, const char *text)
{
	if (!strpbrk(text, ",\"\n\r")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

typedef void each_stat(FILE *out, const char *scope, const struct stat_row *stat, const void *base);

static void put_name(FILE *out, const char *scope, const struct stat_row *stat, const void *base)
{
	(void)base;
	fprintf(out, ",%s.%s", scope, stat->name);
}

static void put_value(FILE *out, const char *scope, const struct stat_row *stat, const void *base)
{
	char text[40];

	(void)scope;
	stat_format(stat, base, text, sizeof text);
	fprintf(out, ",%s", text);
}

static void each_in_scope(FILE *out, const char *name, const struct stat_scope *scope,
			  each_stat *each)
{
	for (size_t g = 0; g < scope->n; g++) {
		for (const struct stat_row *row = scope->group[g].stats; row->name; row++) {
			if (row->series)
				each(out, name, row, scope->group[g].base);
		}
	}
}

/* The host's columns, then each VM's. */
static void each_column(const struct host *host, FILE *out, each_stat *each)
{
	char name[80];

	each_in_scope(out, "host", &host->scope, each);
	for (size_t i = 0; i < host->vms; i++) {
		snprintf(name, sizeof name, "vm.%s", host->vm[i]->name);
		each_in_scope(out, name, &host->vm[i]->stats, each);
	}
}

static int add_line(struct recording *r, char *line)
{
	if (r->rows == r->room) {
		size_t room = r->room ? 2 * r->room : 64;
		char **grown = realloc(r->row, room * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		r->row = grown;
		r->room = room;
	}
	r->row[r->rows++] = line;
	r->bytes += strlen(line);
	return 0;
}

/* The header or a row: time, and each column through `each`. */
static void add_row(struct recording *r, uint64_t now_ns, each_stat *each)
{
	struct table line;

	if (table_open(&line)) {
		err_run(&r->err, ENOMEM, "no memory for results");
		return;
	}
	if (each == put_name)
		fputs("time_s", line.out);
	else
		put_time(line.out, now_ns);
	each_column(r->host, line.out, each);
	fputc('\n', line.out);
	if (fclose(line.out) || add_line(r, line.text)) {
		free(line.text);
		err_run(&r->err, ENOMEM, "no memory for results");
	}
	r->last_row_ns = now_ns;
}

/* Every second row goes; the header and the first row stay. */
static void thin_out(struct recording *r)
{
	size_t kept = 1;

	for (size_t i = 1; i < r->rows; i++) {
		if (i % 2 == 1)
			r->row[kept++] = r->row[i];
		else
			free(r->row[i]);
	}
	r->rows = kept;
	r->sample_ns *= 2;
}

static void row_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct recording *r = arg;

	if (r->rows == 0)
		add_row(r, 0, put_name);
	add_row(r, clk->now_ns, put_value);
	if (r->automatic && r->rows == ROWS_MAX)
		thin_out(r);
	if (!r->automatic && r->bytes > BYTES_MAX) {
		err_input(&r->err, "series.csv passes %zu MiB: raise run.sample", BYTES_MAX >> 20);
		r->host->stop = true;
		return;
	}
	/* A multiple of the interval, also after it doubled. */
	if (timer_add(clk, timer, (clk->now_ns / r->sample_ns + 1) * r->sample_ns))
		err_run(&r->err, ENOMEM, "no memory for a timer");
}

static void event(void *ctx, uint64_t time_ns, const struct vm *vm, const char *what,
		  const char *reason)
{
	struct recording *r = ctx;

	put_time(r->events.out, time_ns);
	fprintf(r->events.out, ",%s,%s,", vm ? vm->name : "", what);
	put_field(r->events.out, reason);
	fputc('\n', r->events.out);
}

int recording_new(struct host *host, uint64_t sample_ns, struct recording **out, struct err *err)
{
	struct recording *r = calloc(1, sizeof *r);

	if (!r)
		return err_run(err, ENOMEM, "no memory for results");
	r->host = host;
	r->automatic = sample_ns == 0;
	r->sample_ns = sample_ns ? sample_ns : FIRST_AUTO_NS;
	timer_init(&r->timer, row_due, r);
	if (table_open(&r->events) || timer_add(&host->clock, &r->timer, 0)) {
		recording_free(r);
		return err_run(err, ENOMEM, "no memory for results");
	}
	fputs("time_s,vm,event,reason\n", r->events.out);
	host->on_event = event;
	host->event_ctx = r;
	*out = r;
	return 0;
}

void recording_free(struct recording *r)
{
	if (!r)
		return;
	r->host->on_event = NULL;
	timer_cancel(&r->host->clock, &r->timer);
	for (size_t i = 0; i < r->rows; i++)
		free(r->row[i]);
	free(r->row);
	table_close(&r->events);
	free(r);
}

int recording_finish(struct recording *r, struct err *err)
{
	timer_cancel(&r->host->clock, &r->timer);
	if (r->rows == 0)
		add_row(r, 0, put_name);
	if (r->rows == 1 || r->last_row_ns != r->host->stats.time_ns)
		add_row(r, r->host->stats.time_ns, put_value);
	if (fflush(r->events.out))
		err_run(&r->err, ENOMEM, "no memory for results");
	if (!r->err.exit_code)
		return 0;
	*err = r->err;
	return -ENOMEM;
}

int recording_write(const struct recording *r, struct outset *set, struct err *err)
{
	FILE *series = outset_add(set, "series.csv", err);
	FILE *events = series ? outset_add(set, "events.csv", err) : NULL;

	if (!events)
		return -EIO;
	for (size_t i = 0; i < r->rows; i++)
		fputs(r->row[i], series);
	fwrite(r->events.text, 1, r->events.size, events);
	return 0;
}
