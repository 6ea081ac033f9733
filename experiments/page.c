/*
 * DIR/index.html: what the experiments told, as one page that needs no network
 * and no other file. It knows no experiment: rows, notes, jobs and figures are
 * what expect.h keeps. Dates and timings stand in one place, between two
 * comments; the rest is the same bytes for the same results.
 */
#include "experiments/reproduce.h"

#include "experiments/datadir.h"
#include "experiments/outdir.h"
#include "experiments/page_parts.h"
#include "experiments/provenance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* What is said of an experiment in a word, and its colour. */
struct verdict {
	char text[96];
	const char *class;
};

static struct verdict judge(const struct outcome *o)
{
	struct tally t = expect_tally(o->told);
	struct verdict v = {.class = "holds"};

	if (o->err.exit_code) {
		snprintf(v.text, sizeof v.text, "failed");
		v.class = "misses";
	} else if (t.all == 0) {
		snprintf(v.text, sizeof v.text, "nothing to compare with");
		v.class = "plain";
	} else if (t.failed == 0) {
		snprintf(v.text, sizeof v.text, "holds");
	} else if (t.failed == t.explained) {
		snprintf(v.text, sizeof v.text, "%zu miss%s, explained", t.failed,
			 t.failed == 1 ? "" : "es");
		v.class = "known";
	} else {
		snprintf(v.text, sizeof v.text, "%zu miss%s, %zu unexplained", t.failed,
			 t.failed == 1 ? "" : "es", t.failed - t.explained);
		v.class = "misses";
	}
	return v;
}

static void put_verdict(FILE *out, const struct outcome *o)
{
	struct verdict v = judge(o);

	fprintf(out, "<span class=\"verdict %s\">%s</span>", v.class, v.text);
}

static void put_summary_row(FILE *out, const struct outcome *o)
{
	struct tally t = expect_tally(o->told);

	fprintf(out, "<tr><td><a href=\"#%s\">%s</a><div class=\"soft small wide\">",
		o->experiment->id, o->experiment->id);
	page_text(out, o->experiment->title);
	fputs("</div></td>", out);
	if (t.all)
		fprintf(out, "<td class=\"number\">%zu of %zu</td><td class=\"number\">%zu</td>",
			t.all - t.failed, t.all, t.all - t.calibrated);
	else
		fputs("<td class=\"number\">&ndash;</td><td class=\"number\">&ndash;</td>", out);
	fputs("<td>", out);
	put_verdict(out, o);
	fputs("</td></tr>\n", out);
}

static void put_summary(FILE *out, const struct outcome *outcome, size_t n)
{
	struct tally sum = {0};
	size_t failed = 0;

	for (size_t i = 0; i < n; i++) {
		struct tally t = expect_tally(outcome[i].told);
		sum.all += t.all;
		sum.failed += t.failed;
		sum.explained += t.explained;
		sum.calibrated += t.calibrated;
		failed += outcome[i].err.exit_code != 0;
	}
	fprintf(out,
		"<p><strong>%zu of %zu expectations hold</strong>; %zu of the %zu are predicted, "
		"the others calibrated. ",
		sum.all - sum.failed, sum.all, sum.all - sum.calibrated, sum.all);
	if (sum.failed)
		fprintf(out, "Of the %zu that miss, %zu are explained and %zu are not. ",
			sum.failed, sum.explained, sum.failed - sum.explained);
	if (failed)
		fprintf(out, "%zu of %zu experiments failed. ", failed, n);
	fputs("</p>\n<table id=\"summary\"><thead><tr><th>Experiment</th>"
	      "<th class=\"number\">Holds</th><th class=\"number\">Predicted</th>"
	      "<th>Verdict</th></tr></thead><tbody>\n",
	      out);
	for (size_t i = 0; i < n; i++)
		put_summary_row(out, &outcome[i]);
	fputs("</tbody></table>\n", out);
}

/* source: that of the table; another one stands with its row. */
static void put_expectation(FILE *out, const json_t *e, const char *source)
{
	const json_t *value = json_object_get(e, "value"), *cause = json_object_get(e, "cause");
	bool ok = json_is_true(json_object_get(e, "ok"));
	char target[80], measured[32] = "nothing";

	fputs("<tr><td>", out);
	page_text(out, string_of(e, "name"));
	if (strcmp(string_of(e, "source"), source) != 0) {
		fputs("<div class=\"soft small\">", out);
		page_text(out, string_of(e, "source"));
		fputs("</div>", out);
	}
	if (cause) {
		fputs("<div class=\"cause\">Known: ", out);
		page_text(out, json_string_value(cause));
		fputs("</div>", out);
	}
	expect_format(e, target, sizeof target);
	fputs("</td><td class=\"number\">", out);
	page_signs(out, target);
	if (!json_is_null(value))
		expect_number(json_number_value(value), measured, sizeof measured);
	fprintf(out,
		"</td><td class=\"number\">%s</td><td class=\"wide\">%s</td><td><span "
		"class=\"verdict "
		"%s\">%s</span></td></tr>\n",
		measured, string_of(e, "basis"),
		ok	? "holds"
		: cause ? "known"
			: "misses",
		ok ? "holds" : "misses");
}

static void put_expectations(FILE *out, const json_t *told)
{
	const json_t *all = json_object_get(told, "expectations");
	const char *source = string_of(json_array_get(all, 0), "source");

	if (json_array_size(all) == 0)
		return;
	fputs("<table><thead><tr><th>Quantity</th><th class=\"number\">Expected</th>"
	      "<th class=\"number\">Measured</th><th class=\"wide\">Basis</th><th>Verdict</th></tr>"
	      "</thead><tbody>\n",
	      out);
	for (size_t i = 0; i < json_array_size(all); i++)
		put_expectation(out, json_array_get(all, i), source);
	fputs("</tbody><caption>Expected, where the row says nothing else: ", out);
	page_text(out, source);
	fputs("</caption></table>\n", out);
}

static void put_notes(FILE *out, const json_t *told)
{
	const json_t *notes = json_object_get(told, "notes");
	const char *last = "";

	if (json_array_size(notes) == 0)
		return;
	fputs("<dl>\n", out);
	for (size_t i = 0; i < json_array_size(notes); i++) {
		const json_t *note = json_array_get(notes, i);
		const char *kind = string_of(note, "kind");
		fprintf(out, "<dt>%s</dt><dd>", strcmp(kind, last) == 0 ? "" : kind);
		page_text(out, string_of(note, "text"));
		fputs("</dd>\n", out);
		last = kind;
	}
	fputs("</dl>\n", out);
}

static void put_report(FILE *out, const json_t *told)
{
	const json_t *lines = json_object_get(told, "report");
	bool open = json_array_size(json_object_get(told, "expectations")) == 0;

	if (json_array_size(lines) == 0)
		return;
	fprintf(out, "<details%s><summary>The rows in full</summary><pre>", open ? " open" : "");
	for (size_t i = 0; i < json_array_size(lines); i++) {
		page_text(out, json_string_value(json_array_get(lines, i)));
		fputc('\n', out);
	}
	fputs("</pre></details>\n", out);
}

static void put_again(FILE *out, const struct outcome *o)
{
	const json_t *files = json_object_get(o->told, "files"),
		     *jobs = json_object_get(o->told, "jobs");

	fprintf(out, "<h3>Again</h3>\n<pre>ballast reproduce %s -o results\n", o->experiment->id);
	for (size_t i = 0; i < json_array_size(jobs); i++)
		fprintf(out, "ballast run results/%s\n",
			string_of(json_array_get(jobs, i), "name"));
	fputs("</pre>\n", out);
	for (size_t i = 0; i < json_array_size(jobs); i++)
		page_job(out, string_of(json_array_get(jobs, i), "name"),
			 string_of(json_array_get(jobs, i), "text"));
	page_job_files(out, o->experiment->id);
	fputs("<p class=\"small\">Beside this page: ", out);
	for (size_t i = 0; i < json_array_size(files); i++) {
		const char *name = json_string_value(json_array_get(files, i));
		fprintf(out, "%s<a href=\"%s\">%s</a>", i ? ", " : "", name, name);
	}
	fputs("</p>\n", out);
}

static int put_experiment(FILE *out, const char *dir, const struct outcome *o, struct err *err)
{
	const json_t *files = json_object_get(o->told, "files");
	int rc = 0;

	fprintf(out, "<section id=\"%s\">\n<h2>%s: ", o->experiment->id, o->experiment->id);
	page_text(out, o->experiment->title);
	fputs("</h2>\n", out);
	put_verdict(out, o);
	fputc('\n', out);
	if (o->err.exit_code) {
		fputs("<p>", out);
		page_text(out, o->err.msg);
		fputs("</p>\n", out);
	}
	for (size_t i = 0; rc == 0 && i < json_array_size(files); i++) {
		const char *name = json_string_value(json_array_get(files, i)),
			   *dot = strrchr(name, '.');
		if (dot && strcmp(dot, ".svg") == 0)
			rc = page_figure(out, dir, name, o->experiment->title, err);
	}
	if (o->told) {
		put_expectations(out, o->told);
		put_notes(out, o->told);
		put_report(out, o->told);
		put_again(out, o);
	}
	fputs("</section>\n", out);
	return rc;
}

/* The one place for what differs from run to run. */
static void put_timings(FILE *out, const struct outcome *outcome, size_t n)
{
	json_t *machine = machine_json();
	time_t now = time(NULL);
	struct tm tm;
	char date[32];

	strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &tm));
	fprintf(out, "<!-- dates and timings -->\n<p>Made %s on ", date);
	page_text(out, string_of(machine, "cpu"));
	fputs(", ", out);
	page_text(out, string_of(machine, "system"));
	fputc(' ', out);
	page_text(out, string_of(machine, "release"));
	fputs(". Seconds:", out);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s %s %.1f", i ? "," : "", outcome[i].experiment->id,
			outcome[i].seconds);
	fputs(".</p>\n<!-- end of dates and timings -->\n", out);
	json_decref(machine);
}

static int put_page(FILE *out, const char *dir, const struct outcome *outcome, size_t n,
		    struct err *err)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "img-src data:; style-src 'unsafe-inline'\">\n"
	      "<meta name=\"generator\" content=\"ballast " BALLAST_VERSION "\">\n"
	      "<title>Ballast: the experiments</title>\n<link rel=\"icon\" href=\"data:,\">\n"
	      "<style>\n",
	      out);
	int rc = page_include(out, "report/style.css", err);
	fputs("</style>\n</head>\n<body>\n<main>\n<h1>Ballast: the experiments</h1>\n"
	      "<p>Memory management of virtual machines as in VMware ESX Server (C. A. "
	      "Waldspurger, OSDI 2002), re-implemented, and run on simulated guests. Every value "
	      "under <em>measured</em> was read from the manager in this run; times and "
	      "throughputs are simulated by a cost model, but for rows that say <em>live</em>: "
	      "those are of real guests, in real time. A row is <em>calibrated</em> where the "
	      "experiment was set by the number that it is compared with, and proves nothing; all "
	      "others are <em>predicted</em>.</p>\n",
	      out);
	put_summary(out, outcome, n);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = put_experiment(out, dir, &outcome[i], err);
	fprintf(out,
		"<section id=\"made\" class=\"small soft\">\n<p>Ballast " BALLAST_VERSION
		", built from %s.</p>\n",
		ballast_build);
	put_timings(out, outcome, n);
	fputs("</section>\n</main>\n</body>\n</html>\n", out);
	return rc;
}

int page_write(const char *dir, const struct outcome *outcome, size_t n, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, "index.html", &draft, err);

	if (rc)
		return rc;
	rc = put_page(draft_stream(draft), dir, outcome, n, err);
	if (rc == 0)
		return draft_commit(draft, err);
	draft_abort(draft);
	return rc;
}
