#include "experiments/recording.h"

#include "experiments/outdir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct table {
	FILE *out; /* a stream into text */
	char *text;
	size_t size;
};

struct recording {
	struct host *host;
	struct timer timer;
	uint64_t sample_ns, last_row_ns;
	bool any_row;
	struct table series, events;
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

static void row(struct recording *r, uint64_t now_ns)
{
	if (!r->any_row) {
		fputs("time_s", r->series.out);
		each_column(r->host, r->series.out, put_name);
		fputc('\n', r->series.out);
	}
	host_refresh(r->host);
	r->any_row = true;
	r->last_row_ns = now_ns;
	put_time(r->series.out, now_ns);
	each_column(r->host, r->series.out, put_value);
	fputc('\n', r->series.out);
}

static void row_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct recording *r = arg;

	row(r, clk->now_ns);
	if (timer_add(clk, timer, clk->now_ns + r->sample_ns))
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
	r->sample_ns = sample_ns;
	timer_init(&r->timer, row_due, r);
	if (table_open(&r->series) || table_open(&r->events) ||
	    timer_add(&host->clock, &r->timer, 0)) {
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
	table_close(&r->series);
	table_close(&r->events);
	free(r);
}

int recording_finish(struct recording *r, struct err *err)
{
	timer_cancel(&r->host->clock, &r->timer);
	if (!r->any_row || r->last_row_ns != r->host->stats.time_ns)
		row(r, r->host->stats.time_ns);
	if (fflush(r->series.out) || fflush(r->events.out))
		err_run(&r->err, ENOMEM, "no memory for results");
	if (!r->err.exit_code)
		return 0;
	*err = r->err;
	return -ENOMEM;
}

static int write_text(const char *dir, const char *name, const char *text, size_t size,
		      struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, name, &draft, err);

	if (rc)
		return rc;
	fwrite(text, 1, size, draft_stream(draft));
	return draft_commit(draft, err);
}

int recording_write(const struct recording *r, const char *dir, struct err *err)
{
	int rc = write_text(dir, "series.csv", r->series.text, r->series.size, err);

	return rc ? rc : write_text(dir, "events.csv", r->events.text, r->events.size, err);
}

int recording_write_json(const char *dir, const char *name, const json_t *json, struct err *err)
{
	char *text = json_dumps(json, JSON_INDENT(2));

	if (!text)
		return err_run(err, ENOMEM, "no memory for %s", name);
	size_t size = strlen(text);
	text[size] = '\n'; /* in the place of the end: write_text() counts */
	int rc = write_text(dir, name, text, size + 1, err);
	free(text);
	return rc;
}
