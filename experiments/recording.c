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

#define EVENTS_MAX 500000

/* A column of series.csv: a statistic of one scope. */
struct column {
	const char *vm; /* NULL: the host's */
	const struct stat_row *stat;
	const void *base;
};

struct recording {
	struct host *host;
	struct clock *clock; /* the host's, or another: then times are its */
	struct timer timer;
	uint64_t sample_ns, last_row_ns;
	bool automatic;	       /* sample_ns doubles */
	struct column *column; /* [columns] the host's, then each VM's as it comes */
	size_t columns, vms;   /* VMs that have theirs */
	uint64_t **row; /* [rows] time, number of columns then, and values as they lie in memory */
	size_t rows, room;
	struct table events;
	size_t n_events;
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

static int add_columns(struct recording *r, const char *vm, const struct stat_scope *scope)
{
	for (size_t g = 0; g < scope->n; g++) {
		for (const struct stat_row *stat = scope->group[g].stats; stat->name; stat++) {
			if (!stat->series)
				continue;
			struct column *grown = realloc(r->column, (r->columns + 1) * sizeof *grown);
			if (!grown)
				return -ENOMEM;
			r->column = grown;
			r->column[r->columns++] = (struct column){vm, stat, scope->group[g].base};
		}
	}
	return 0;
}

/* The host's columns, then each VM's; a VM that comes later has no values in earlier rows. */
static int find_columns(struct recording *r)
{
	int rc = r->columns ? 0 : add_columns(r, NULL, &r->host->scope);

	for (; rc == 0 && r->vms < r->host->vms; r->vms++)
		rc = add_columns(r, r->host->vm[r->vms]->name, &r->host->vm[r->vms]->stats);
	return rc;
}

static int make_room(struct recording *r)
{
	size_t room = r->room ? 2 * r->room : 64;

	if (r->rows < r->room)
		return 0;
	uint64_t **grown = realloc(r->row, room * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	r->row = grown;
	r->room = room;
	return 0;
}

/* A time of the host's, in that of the recording. */
static uint64_t time_of(const struct recording *r, uint64_t time_ns)
{
	return r->clock == &r->host->clock ? time_ns : r->clock->now_ns;
}

/* Values are copied as they are: most rows of most runs are never written as text. */
static void add_row(struct recording *r, uint64_t now_ns)
{
	uint64_t *row = NULL;

	host_gauge(r->host);
	if (find_columns(r) == 0 && make_room(r) == 0)
		row = malloc((2 + r->columns) * sizeof *row);
	if (!row) {
		err_run(&r->err, ENOMEM, "no memory for results");
		return;
	}
	row[0] = now_ns;
	row[1] = r->columns;
	for (size_t i = 0; i < r->columns; i++)
		memcpy(&row[2 + i], (const char *)r->column[i].base + r->column[i].stat->offset,
		       sizeof *row);
	r->row[r->rows++] = row;
	r->last_row_ns = now_ns;
}

/* Every second row goes; the first row stays. */
static void thin_out(struct recording *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->rows; i++) {
		if (i % 2 == 0)
			r->row[kept++] = r->row[i];
		else
			free(r->row[i]);
	}
	r->rows = kept;
	r->sample_ns *= 2;
}

static void put_header(const struct recording *r, FILE *out)
{
	fputs("time_s", out);
	for (size_t i = 0; i < r->columns; i++) {
		const struct column *c = &r->column[i];
		fprintf(out, ",%s%s.%s", c->vm ? "vm." : "host", c->vm ? c->vm : "", c->stat->name);
	}
	fputc('\n', out);
}

static void put_row(const struct recording *r, const uint64_t *row, FILE *out)
{
	char text[40];

	put_time(out, row[0]);
	for (size_t i = 0; i < row[1]; i++) {
		const struct stat_row copied = {.kind = r->column[i].stat->kind};
		stat_format(&copied, &row[2 + i], text, sizeof text);
		fprintf(out, ",%s", text);
	}
	for (size_t i = row[1]; i < r->columns; i++)
		fputc(',', out);
	fputc('\n', out);
}

static void row_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct recording *r = arg;

	add_row(r, clk->now_ns);
	if (r->automatic && r->rows == ROWS_MAX)
		thin_out(r);
	if (!r->automatic && r->rows * (2 + r->columns) * sizeof **r->row > BYTES_MAX) {
		err_input(&r->err, "the rows of series.csv pass %zu MiB: raise run.sample",
			  BYTES_MAX >> 20);
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

	if (++r->n_events > EVENTS_MAX)
		return;
	if (r->n_events == EVENTS_MAX) {
		vm = NULL;
		what = "not recorded";
		reason = "there are too many events; this is the last one told";
	}
	put_time(r->events.out, time_of(r, time_ns));
	fprintf(r->events.out, ",%s,%s,", vm ? vm->name : "", what);
	put_field(r->events.out, reason);
	fputc('\n', r->events.out);
}

int recording_new(struct host *host, struct clock *clock, uint64_t sample_ns,
		  struct recording **out, struct err *err)
{
	struct recording *r = calloc(1, sizeof *r);

	if (!r)
		return err_run(err, ENOMEM, "no memory for results");
	r->host = host;
	r->clock = clock;
	r->automatic = sample_ns == 0;
	r->sample_ns = sample_ns ? sample_ns : FIRST_AUTO_NS;
	timer_init(&r->timer, row_due, r);
	if (table_open(&r->events) || timer_add(clock, &r->timer, 0)) {
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
	timer_cancel(r->clock, &r->timer);
	for (size_t i = 0; i < r->rows; i++)
		free(r->row[i]);
	free(r->row);
	free(r->column);
	table_close(&r->events);
	free(r);
}

int recording_finish(struct recording *r, struct err *err)
{
	uint64_t end = time_of(r, r->host->stats.time_ns);

	timer_cancel(r->clock, &r->timer);
	r->host->on_event = NULL;
	if (r->rows == 0 || r->last_row_ns != end)
		add_row(r, end);
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
	put_header(r, series);
	for (size_t i = 0; i < r->rows; i++)
		put_row(r, r->row[i], series);
	fwrite(r->events.text, 1, r->events.size, events);
	return 0;
}
