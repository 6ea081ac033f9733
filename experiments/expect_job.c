#include "experiments/expect_job.h"

#include "experiments/expect.h"
#include "experiments/sections.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct relation_policy {
	struct policy policy;
	enum relation relation;
};

static const struct relation_policy near_target = {
	{"near", "the value is the target, give or take what is allowed"},
	EXPECT_NEAR,
};
static const struct relation_policy at_least = {
	{"at-least", "the value is no less than the target, less what is allowed"},
	EXPECT_AT_LEAST,
};
static const struct relation_policy at_most = {
	{"at-most", "the value is no more than the target and what is allowed"},
	EXPECT_AT_MOST,
};

const struct policy *const relations[] = {&near_target.policy, &at_least.policy, &at_most.policy,
					  NULL};

struct expect_opts {
	char *of;
	uint64_t at; /* ns; 0: the end */
	const struct policy *relation;
	double value, within;
	char *source, *cause;
};

#define EXPECT(field) offsetof(struct expect_opts, field)

static const struct opt expect_options[] = {
	{"of", OPT_STRING, EXPECT(of), NULL, 0, 0, NULL,
	 "the statistic: \"host.free\", \"vm.a.faults\""},
	{"at", OPT_TIME, EXPECT(at), "0", 0, 0, NULL, "virtual time to read it at; 0: the end"},
	{"relation", OPT_CHOICE, EXPECT(relation), "near", 0, 0, relations,
	 "how the statistic must stand to the value"},
	{"value", OPT_REAL, EXPECT(value), "0", 0, 0, NULL,
	 "what is expected, in the statistic's unit"},
	{"within", OPT_REAL, EXPECT(within), "0", 0, 0, NULL, "what it may be off, in that unit"},
	{"source", OPT_STRING, EXPECT(source), NULL, 0, 0, NULL, "where the number is from"},
	{"cause", OPT_STRING, EXPECT(cause), NULL, 0, 0, NULL,
	 "why it is known not to hold, if it is"},
	{NULL},
};

const struct opt_section expect_section = {
	"expect",
	true,
	sizeof(struct expect_opts),
	expect_options,
	"what must hold of a statistic, else the exit code is 3",
};

struct one {
	const struct expect_opts *opts;
	struct expecting *all;
	struct timer timer;
	double value; /* NAN until it is read */
};

struct expecting {
	struct host *host;
	struct clock *clock;
	size_t n;
	struct one one[];
};

/* The scope that "vm.a.faults" is in, NULL if that VM is not there; *name is "faults". */
static const struct stat_scope *scope_of(const struct host *host, const char *of, const char **name)
{
	if (strncmp(of, "host.", 5) == 0) {
		*name = of + 5;
		return &host->scope;
	}
	const char *vm = of + 3, *dot = strchr(vm, '.');
	*name = dot + 1;
	for (size_t i = 0; i < host->vms; i++) {
		if (strncmp(host->vm[i]->name, vm, (size_t)(dot - vm)) == 0 &&
		    host->vm[i]->name[dot - vm] == '\0')
			return &host->vm[i]->stats;
	}
	return NULL;
}

static double read_now(const struct one *o)
{
	const struct stat_row *stat;
	const void *where;
	const char *name;
	const struct stat_scope *scope = scope_of(o->all->host, o->opts->of, &name);

	host_refresh(o->all->host);
	if (!scope || !stat_find(scope, name, &stat, &where))
		return (double)NAN;
	return stat->kind == STAT_REAL ? *(const double *)where : (double)*(const uint64_t *)where;
}

static void on_time(struct clock *clk, struct timer *timer, void *arg)
{
	struct one *o = arg;

	(void)clk;
	(void)timer;
	o->value = read_now(o);
}

static bool has_vm(const struct job *job, const char *name, size_t len)
{
	for (size_t i = 0; i < job_count(job, &vm_section); i++) {
		const char *title = job_title(job, &vm_section, i);
		if (strncmp(title, name, len) == 0 && title[len] == '\0')
			return true;
	}
	return false;
}

/* "host.NAME", or "vm.TITLE.NAME" of a VM that the job has, with a statistic that exists. */
static int check(const struct job *job, const struct host *host, const char *title,
		 const struct expect_opts *opts, struct err *err)
{
	const char *of = opts->of ? opts->of : "", *where = job_where(job, opts, "of"), *name;
	const char *dot = strncmp(of, "vm.", 3) == 0 ? strchr(of + 3, '.') : NULL;
	const struct stat_row *stat;
	const void *at;

	if (strncmp(of, "host.", 5) != 0 && !dot)
		return err_input(err,
				 "%s: expect.%s.of = \"%s\": give a statistic, as \"host.free\" or "
				 "\"vm.a.faults\"",
				 where, title, of);
	if (dot && !has_vm(job, of + 3, (size_t)(dot - of - 3)))
		return err_input(err, "%s: expect.%s.of = \"%s\": there is no such vm in the job",
				 where, title, of);
	const struct stat_scope *scope = scope_of(host, of, &name);
	if (scope && !stat_find(scope, name, &stat, &at))
		return err_input(err,
				 "%s: expect.%s.of = \"%s\": there is no such statistic; 'ballast "
				 "run --json' shows those that the job has",
				 where, title, of);
	return 0;
}

int expecting_open(const struct job *job, struct host *host, struct clock *clock,
		   struct expecting **out, struct err *err)
{
	size_t n = job_count(job, &expect_section);
	int rc = 0;

	*out = NULL;
	if (n == 0)
		return 0;
	struct expecting *e = calloc(1, sizeof *e + n * sizeof e->one[0]);
	if (!e)
		return err_run(err, ENOMEM, "no memory for expectations");
	e->host = host;
	e->clock = clock;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct one *o = &e->one[e->n++];
		*o = (struct one){job_titled(job, &expect_section, i), e, .value = (double)NAN};
		timer_init(&o->timer, on_time, o);
		rc = check(job, host, job_title(job, &expect_section, i), o->opts, err);
		if (rc == 0 && o->opts->at && timer_add(clock, &o->timer, o->opts->at))
			rc = err_run(err, ENOMEM, "no memory for expectations");
	}
	if (rc) {
		expecting_close(e);
		return rc;
	}
	*out = e;
	return 0;
}

/* Of "vm.a.faults" in the summary: what the run ended with, before anything looked at its pages. */
static double read_summary(const json_t *summary, const char *of)
{
	const json_t *object = json_object_get(summary, "host");
	const char *name = of + 5, *dot = strncmp(of, "vm.", 3) == 0 ? strchr(of + 3, '.') : NULL;
	char vm[64];

	if (dot) {
		snprintf(vm, sizeof vm, "%.*s", (int)(dot - of - 3), of + 3);
		object = json_object_get(json_object_get(summary, "vm"), vm);
		name = dot + 1;
	}
	const json_t *value = json_object_get(object, name);
	return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

void expecting_tell(const struct expecting *e, const json_t *summary, json_t *told)
{
	for (size_t i = 0; e && i < e->n; i++) {
		const struct one *o = &e->one[i];
		char when[48] = "at the end";
		if (o->opts->at)
			snprintf(when, sizeof when, "at %.9g s", (double)o->opts->at / 1e9);
		const struct expectation x = {
			.quantity = o->opts->of,
			.when = when,
			.relation = ((const struct relation_policy *)o->opts->relation)->relation,
			.target = o->opts->value,
			.tolerance = o->opts->within,
			.value = o->opts->at ? o->value : read_summary(summary, o->opts->of),
			.source = o->opts->source ? o->opts->source : "the job",
			.cause = o->opts->cause,
		};
		expect(told, &x);
	}
}

void expecting_close(struct expecting *e)
{
	for (size_t i = 0; e && i < e->n; i++)
		timer_cancel(e->clock, &e->one[i].timer);
	free(e);
}
