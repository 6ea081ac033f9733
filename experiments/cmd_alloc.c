/* ballast alloc: what would each VM get of so much memory? */
#include "experiments/claims.h"
#include "experiments/cmds.h"

#include "core/opt.h"
#include "core/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A gradual allocator gets an hour of its steps of 10 s to come to rest. */
#define STEPS_MOST 360

enum { OPT_MEMORY = 1, OPT_TAX, OPT_POLICY };

struct alloc_args {
	const char *file;
	const struct allocator *allocator;
	uint64_t memory; /* pages; 0: not given */
	uint32_t tax;
	bool json;
};

static const struct argp_option alloc_options[] = {
	{"memory", OPT_MEMORY, "SIZE", 0, "To be divided among the VMs, as 1000mb or 4gb", 0},
	{"tax", OPT_TAX, "RATE", 0,
	 "On idle memory, from 0 to below 1 or 100% (0.75); an idle page is charged as 1 / (1 - "
	 "RATE) pages",
	 0},
	{"policy", OPT_POLICY, "NAME", 0, "esx (default), or another of 'ballast list alloc'", 0},
	{"json", 'j', NULL, 0, "Print one JSON object", 0},
	{0},
};

static error_t parse_memory(struct argp_state *state, const char *arg, uint64_t *pages)
{
	struct err err;
	uint64_t bytes;

	if (parse_bytes(arg, &bytes, &err))
		return cmd_usage(state, "--memory: %s", err.msg);
	if (bytes < PAGE_SIZE)
		return cmd_usage(state, "--memory: %.40s is less than a page, 4kb", arg);
	*pages = bytes / PAGE_SIZE;
	return 0;
}

static error_t parse_tax(struct argp_state *state, const char *arg, uint32_t *tax)
{
	struct err err;
	double rate;

	if (parse_real(arg, &rate, &err))
		return cmd_usage(state, "--tax: %s", err.msg);
	if (rate < 0 || rate >= 1)
		return cmd_usage(state, "--tax: %.40s is not from 0 to below 1, as 0.75 or 75%%",
				 arg);
	double millionths = rate * TAX_WHOLE;
	if (fabs(millionths - round(millionths)) > 1e-6)
		return cmd_usage(state, "--tax: %.40s has more than six decimals", arg);
	*tax = (uint32_t)lround(millionths);
	return 0;
}

static error_t parse_policy(struct argp_state *state, const char *arg,
			    const struct allocator **allocator)
{
	const struct opt row = {.name = "policy", .type = OPT_CHOICE, .choices = allocators};
	const struct policy *policy;
	struct err err;

	if (opt_set(&row, &policy, arg, &err))
		return cmd_usage(state, "--policy: %s", err.msg);
	*allocator = (const struct allocator *)policy;
	if ((*allocator)->curves)
		return cmd_usage(
			state,
			"--policy: %s divides by miss curves, which a table of claims does "
			"not have: run a job with sample.sampler=mrc",
			policy->name);
	return 0;
}

static error_t parse_alloc(int key, char *arg, struct argp_state *state)
{
	struct alloc_args *a = state->input;

	switch (key) {
	case OPT_MEMORY:
		return parse_memory(state, arg, &a->memory);
	case OPT_TAX:
		return parse_tax(state, arg, &a->tax);
	case OPT_POLICY:
		return parse_policy(state, arg, &a->allocator);
	case 'j':
		a->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->file)
			return cmd_usage(state, "one table of claims at a time, please");
		a->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->file)
			return cmd_usage(state, "which table of claims?");
		if (!a->memory)
			return cmd_usage(state, "how much memory? Say so, as in --memory 1000mb");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp alloc_argp = {
	alloc_options,
	parse_alloc,
	"CLAIMS.csv --memory SIZE",
	"Computes what each VM would get of so much memory, by shares, minimum, maximum and what "
	"it actively uses: the targets where ESX's reallocation comes to rest. Nothing is run."
	"\v"
	"CLAIMS.csv ('-' is standard input) has a first line "
	"name,min_mb,max_mb,shares,active_mb, in any order, and a line for each VM. A VM is "
	"charged "
	"its active pages plus its idle ones times 1 / (1 - RATE); its price is its shares per "
	"charged MB, and memory is taken from whoever has the lowest price. 0 shares means exactly "
	"the minimum.\n\n"
	"Examples:\n"
	"  ballast alloc vms.csv --memory 1000mb\n"
	"  ballast alloc vms.csv --memory 64gb --tax 50%\n"
	"  ballast alloc --json --policy mom --memory 4gb - <vms.csv",
	NULL,
	NULL,
	NULL,
};

/* ---- the computation ----------------------------------------------------- */

struct outcome {
	const struct alloc_args *args;
	struct claims claims;
	uint64_t *target;
	uint32_t tax;	/* what the policy reads: 0 where it reads none */
	unsigned steps; /* of a gradual policy */
};

/* As alloc_check() would, with the line whose minimum is the first that does not fit. */
static int check_minimums(const struct outcome *o, struct err *err)
{
	uint64_t sum = 0;
	size_t over = o->claims.n;

	for (size_t i = 0; i < o->claims.n; i++) {
		sum += o->claims.claim[i].min;
		if (sum > o->args->memory && over == o->claims.n)
			over = i;
	}
	if (over == o->claims.n)
		return 0;
	return err_input(err,
			 "%s:%u: the minimum of '%s' does not fit: all minimums add up to %.10g "
			 "MB, %.10g MB more than the memory of %.10g MB; lower a min_mb or raise "
			 "--memory",
			 o->args->file, o->claims.row[over].line, o->claims.row[over].name,
			 (double)sum / 256, (double)(sum - o->args->memory) / 256,
			 (double)o->args->memory / 256);
}

static int read_claims(const struct alloc_args *a, struct claims *claims, struct err *err)
{
	bool standard = strcmp(a->file, "-") == 0;
	FILE *in = standard ? stdin : fopen(a->file, "r");
	int rc;

	if (!in)
		return err_input(err, "%s: cannot open: %s", a->file, strerror(errno));
	rc = claims_read(in, standard ? "standard input" : a->file, claims, err);
	if (!standard)
		fclose(in);
	return rc;
}

static int compute(struct outcome *o, struct err *err)
{
	const struct alloc_args *a = o->args;
	int rc = read_claims(a, &o->claims, err);

	if (!rc)
		rc = check_minimums(o, err);
	if (rc)
		return rc;
	o->target = calloc(o->claims.n, sizeof *o->target);
	if (!o->target)
		return err_run(err, ENOMEM, "out of memory");
	o->tax = a->allocator->taxes ? a->tax : 0;
	const struct alloc_ask ask = {o->claims.claim, o->claims.n, a->memory, o->tax};
	if (a->allocator->gradual)
		return alloc_settle(a->allocator, &ask, STEPS_MOST, o->target, &o->steps, err);
	return alloc_targets(a->allocator, &ask, o->target, err);
}

/* ---- what comes of it ---------------------------------------------------- */

struct shown {
	double shares, min, max, active, target, idle, charged; /* sizes in MB */
};

static double mb(uint64_t pages)
{
	return (double)pages * PAGE_SIZE / (1 << 20);
}

static struct shown show(const struct outcome *o, size_t i)
{
	const struct claim *c = &o->claims.claim[i];
	uint64_t target = o->target[i], active = min_u64(c->active, target);

	return (struct shown){
		.shares = c->shares,
		.min = mb(c->min),
		.max = mb(c->max),
		.active = mb(c->active),
		.target = mb(target),
		.idle = mb(target - active),
		.charged = (double)alloc_charge(c, target, o->tax) / (TAX_WHOLE - o->tax) *
			   PAGE_SIZE / (1 << 20),
	};
}

static struct shown total(const struct outcome *o)
{
	struct shown t = {0};

	for (size_t i = 0; i < o->claims.n; i++) {
		struct shown s = show(o, i);

		t.shares += s.shares;
		t.min += s.min;
		t.max += s.max;
		t.active += s.active;
		t.target += s.target;
		t.idle += s.idle;
		t.charged += s.charged;
	}
	return t;
}

static void print_row(int width, const char *name, const struct shown *s)
{
	printf("%-*s %11.0f %10.1f %10.1f %10.1f %10.1f %10.1f %10.1f", width, name, s->shares,
	       s->min, s->max, s->active, s->target, s->idle, s->charged);
}

static void print_note(const struct outcome *o, const struct shown *t)
{
	const struct alloc_args *a = o->args;
	double spare = mb(a->memory) - t->target;

	printf("\n%s: %.1f MB of %.1f MB given", a->allocator->policy.name, t->target,
	       mb(a->memory));
	if (spare < 0)
		printf(", %.1f MB more than there is", -spare);
	else if (spare > 0)
		printf(", %.1f MB left over", spare);
	if (a->allocator->taxes)
		printf("; tax %.6g %%, an idle page is charged as %.6g", o->tax * 100.0 / TAX_WHOLE,
		       (double)TAX_WHOLE / (TAX_WHOLE - o->tax));
	if (a->allocator->gradual && o->steps < STEPS_MOST)
		printf("; at rest after %u steps of 10 s", o->steps);
	else if (a->allocator->gradual)
		printf("; still moving after %u steps of 10 s", o->steps);
	putchar('\n');
}

static void print_table(const struct outcome *o)
{
	struct cmd_bold bold = cmd_bold(stdout);
	int width = 9;

	for (size_t i = 0; i < o->claims.n; i++)
		width = (int)max_u64((uint64_t)width, strlen(o->claims.row[i].name));
	printf("%s%-*s %11s %10s %10s %10s %10s %10s %10s %10s%s\n", bold.on, width, "vm", "shares",
	       "min MB", "max MB", "active MB", "target MB", "idle MB", "charged MB", "price",
	       bold.off);
	for (size_t i = 0; i < o->claims.n; i++) {
		struct shown s = show(o, i);

		print_row(width, o->claims.row[i].name, &s);
		if (s.charged > 0)
			printf(" %10.3f\n", s.shares / s.charged);
		else
			printf(" %10s\n", "-");
	}
	struct shown t = total(o);
	print_row(width, "all", &t);
	putchar('\n');
	print_note(o, &t);
}

static json_t *sizes_json(const struct shown *s)
{
	return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "shares", (json_int_t)s->shares,
			 "min_mb", s->min, "max_mb", s->max, "active_mb", s->active, "target_mb",
			 s->target, "idle_mb", s->idle, "charged_mb", s->charged);
}

static json_t *outcome_json(const struct outcome *o)
{
	const struct alloc_args *a = o->args;
	struct shown t = total(o);
	json_t *all = sizes_json(&t), *vms = json_object();

	json_object_set_new(all, "policy", json_string(a->allocator->policy.name));
	json_object_set_new(all, "tax", json_real((double)o->tax / TAX_WHOLE));
	json_object_set_new(all, "memory_mb", json_real(mb(a->memory)));
	json_object_set_new(all, "free_mb", json_real(mb(a->memory) - t.target));
	json_object_set_new(all, "vms", json_integer((json_int_t)o->claims.n));
	if (a->allocator->gradual) {
		json_object_set_new(all, "steps", json_integer(o->steps));
		json_object_set_new(all, "at_rest", json_boolean(o->steps < STEPS_MOST));
	}
	for (size_t i = 0; i < o->claims.n; i++) {
		struct shown s = show(o, i);
		json_t *vm = sizes_json(&s);

		json_object_set_new(vm, "price",
				    s.charged > 0 ? json_real(s.shares / s.charged) : json_null());
		json_object_set_new(vms, o->claims.row[i].name, vm);
	}
	json_object_set_new(all, "vm", vms);
	return all;
}

static int print_json(const struct outcome *o, struct err *err)
{
	json_t *json = outcome_json(o);
	int rc = json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));

	json_decref(json);
	putchar('\n');
	return rc ? err_run(err, EIO, "cannot write the result") : 0;
}

int cmd_alloc(int argc, char **argv)
{
	struct alloc_args args = {
		.allocator = (const struct allocator *)policy_find(allocators, "esx"),
		.tax = TAX_WHOLE / 4 * 3,
	};
	struct outcome o = {.args = &args};
	struct err err = {0};
	int rc = cmd_parse(&alloc_argp, argc, argv, &args);

	if (rc)
		return rc;
	rc = compute(&o, &err);
	if (!rc && args.json)
		rc = print_json(&o, &err);
	else if (!rc)
		print_table(&o);
	claims_release(&o.claims);
	free(o.target);
	return rc ? cmd_fail(&err) : 0;
}
