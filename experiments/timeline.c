#include "experiments/timeline.h"

#include "core/reclaim.h"
#include "tax/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct at_opts, field)

static const struct opt at_options[] = {
	{"set", OPT_LIST, AT(set), NULL, 0, 0, NULL,
	 "keys to set, as \"tax.rate=50%\" or \"vm.a.shares=100\""},
	{"add", OPT_LIST, AT(add), NULL, 0, 0, NULL,
	 "VMs that start at this time; until then they are not there"},
	{"remove", OPT_LIST, AT(remove), NULL, 0, 0, NULL,
	 "VMs that end at this time; their memory goes to the others"},
	{NULL},
};

const struct opt_section at_section = {
	"at", true, sizeof(struct at_opts), at_options, "what changes at that time of the run",
};

struct entry {
	uint64_t at_ns;
	size_t i; /* of the job's sections */
	const char *title;
	const struct at_opts *opts;
};

enum presence { TO_COME, PRESENT, REMOVED };

struct timeline {
	const struct job *job;
	struct job *now; /* the job as it is by now */
	const uint32_t *pages;
	size_t vms;
	struct terms *terms;	/* [vms] by now */
	enum presence *present; /* [vms] */
	bool *adds;		/* [vms] some entry adds it */
	bool *touched;		/* [vms] the entry at hand sets something of it */
	struct entry *entry;	/* [n] by time */
	size_t n, next;
	struct host *host;
	struct clock *clock;
	struct vm **vm; /* [vms] */
	timeline_add_fn *add;
	timeline_remove_fn *remove;
	void *ctx;
	struct timer timer;
	struct err err;
};

static const char *where(const struct timeline *t, const struct entry *e, const char *key)
{
	return job_where(t->job, e->opts, key);
}

static int find_vm(const struct timeline *t, const char *name, size_t *i, struct err *err)
{
	char all[300] = "";
	size_t used = 0;

	for (*i = 0; *i < t->vms; ++*i) {
		if (strcmp(job_title(t->job, &vm_section, *i), name) == 0)
			return 0;
	}
	for (size_t k = 0; k < t->vms && used < sizeof all; k++)
		used += (size_t)snprintf(all + used, sizeof all - used, " %s",
					 job_title(t->job, &vm_section, k));
	return err_input(err, "the job has no vm '%.40s'; it has:%s", name, all);
}

/* Reading. */

static int by_time(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return (x->i > y->i) - (x->i < y->i);
}

static int read_entry(struct timeline *t, size_t i, struct err *err)
{
	struct entry *e = &t->entry[i];

	*e = (struct entry){.i = i,
			    .title = job_title(t->job, &at_section, i),
			    .opts = job_titled(t->job, &at_section, i)};
	int rc = parse_time(e->title, &e->at_ns, err);
	if (rc) {
		err_prefix(err, "%s: at %s", where(t, e, NULL), e->title);
		return rc;
	}
	if (e->at_ns >= HOST_TIME_MAX)
		return err_input(err, "%s: at %s is beyond the 146 years that a run can last",
				 where(t, e, NULL), e->title);
	if (!e->opts->set && !e->opts->add && !e->opts->remove)
		return err_input(err, "%s: at %s says nothing: give it set, add or remove",
				 where(t, e, NULL), e->title);
	for (char **name = e->opts->add; name && *name; name++) {
		size_t vm;
		rc = find_vm(t, *name, &vm, err);
		if (rc) {
			err_prefix(err, "%s: at %s", where(t, e, "add"), e->title);
			return rc;
		}
		if (t->adds[vm])
			return err_input(err, "%s: at %s: vm %s is added twice", where(t, e, "add"),
					 e->title, *name);
		t->adds[vm] = true;
	}
	return 0;
}

/* Going through it. */

/* Sets a key in the job as it is by now; says which VM it was about, or t->vms. */
static int change(struct timeline *t, const struct entry *e, const char *text,
		  const struct opt_section **section, size_t *vm, struct err *err)
{
	const char *title;

	int rc = job_change(t->now, text, where(t, e, "set"), section, &title, err);
	*vm = t->vms;
	if (rc == 0 && *section == &vm_section)
		rc = find_vm(t, title, vm, err);
	if (rc == 0 && *vm < t->vms && t->present[*vm] == REMOVED)
		rc = err_input(err, "vm %s is not there any more", title);
	return rc;
}

/* Where the VM's section says what it is promised, or NULL. */
static const char *where_promised(const struct timeline *t, size_t vm)
{
	static const char *const keys[] = {"min", "overhead", "max", "memory"};
	const void *options = job_titled(t->now, &vm_section, vm);

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (job_gives(t->now, options, keys[i]))
			return job_where(t->now, options, keys[i]);
	}
	return NULL;
}

static int come(struct timeline *t, size_t vm, struct ledger *ledger, struct err *err)
{
	const char *place = where_promised(t, vm);

	t->present[vm] = PRESENT;
	int rc = admit(ledger, job_title(t->job, &vm_section, vm), &t->terms[vm].promise, err);
	if (rc && place)
		err_prefix(err, "%s", place);
	return rc;
}

/* Puts the entry in front, and its place unless the message begins with it. */
static void say_when(const struct timeline *t, const struct entry *e, const char *key,
		     struct err *err)
{
	const char *place = where(t, e, key);
	size_t len = strlen(place);

	if (strncmp(err->msg, place, len) == 0 && strncmp(err->msg + len, ": ", 2) == 0)
		memmove(err->msg, err->msg + len + 2, strlen(err->msg + len + 2) + 1);
	err_prefix(err, "%s: at %s", place, e->title);
}

/* All together, whatever their order: each moment of the run is checked, and none between. */
static int check_sets(struct timeline *t, const struct entry *e, struct ledger *ledger,
		      struct err *err)
{
	const struct opt_section *section;
	int rc = 0;

	memset(t->touched, 0, t->vms * sizeof *t->touched);
	for (char **text = e->opts->set; rc == 0 && text && *text; text++) {
		size_t vm;
		rc = change(t, e, *text, &section, &vm, err);
		if (rc || vm == t->vms || t->touched[vm])
			continue;
		t->touched[vm] = true;
		if (t->present[vm] == PRESENT)
			admit_strike(ledger, &t->terms[vm].promise);
	}
	for (size_t vm = 0; rc == 0 && vm < t->vms; vm++) {
		if (!t->touched[vm])
			continue;
		rc = terms_of(t->now, vm, t->pages[vm], &t->terms[vm], err);
		if (rc == 0 && t->present[vm] == PRESENT)
			rc = come(t, vm, ledger, err);
	}
	if (rc == 0)
		rc = reclaim_check(job_section(t->now, &reclaim_section), err);
	if (rc == 0)
		rc = sampling_check(job_section(t->now, &sample_section), err);
	if (rc == 0)
		rc = terms_heeded(t->now, err);
	return rc;
}

static int check_removes(struct timeline *t, const struct entry *e, struct ledger *ledger,
			 struct err *err)
{
	for (char **name = e->opts->remove; name && *name; name++) {
		size_t vm;
		int rc = find_vm(t, *name, &vm, err);
		if (rc == 0 && t->present[vm] != PRESENT)
			rc = err_input(err, "vm %s is %s", *name,
				       t->present[vm] == REMOVED ? "not there any more"
								 : "not there yet");
		if (rc)
			return rc;
		t->present[vm] = REMOVED;
		admit_strike(ledger, &t->terms[vm].promise);
	}
	return 0;
}

/* In the order of applying: what goes makes room for what comes. */
static int check_entry(struct timeline *t, const struct entry *e, struct ledger *ledger,
		       struct err *err)
{
	const char *key = "remove";
	int rc = check_removes(t, e, ledger, err);

	if (rc == 0) {
		key = "set";
		rc = check_sets(t, e, ledger, err);
	}
	for (char **name = e->opts->add; rc == 0 && name && *name; name++) {
		size_t vm;
		key = "add";
		rc = find_vm(t, *name, &vm, err);
		if (rc == 0)
			rc = come(t, vm, ledger, err);
	}
	if (rc)
		say_when(t, e, key, err);
	return rc;
}

/* The job as it was read, again. */
static int reset(struct timeline *t, struct err *err)
{
	int rc = 0;

	job_free(t->now);
	t->now = NULL;
	for (size_t i = 0; rc == 0 && i < t->vms; i++) {
		t->present[i] = TO_COME;
		rc = terms_of(t->job, i, t->pages[i], &t->terms[i], err);
	}
	return rc ? rc : job_copy(t->job, &t->now, err);
}

static int check(struct timeline *t, struct ledger ledger, struct err *err)
{
	const struct host_opts *host = job_section(t->job, &host_section);
	int rc = reset(t, err);

	if (!thresholds_have_states(host->thresholds)) /* nothing is promised */
		ledger.frames = ledger.slots = UINT64_MAX;

	if (rc == 0)
		rc = terms_heeded(t->job, err);
	if (rc == 0)
		rc = reclaim_check(job_section(t->job, &reclaim_section), err);
	for (size_t i = 0; rc == 0 && i < t->vms; i++) {
		if (!t->adds[i])
			rc = come(t, i, &ledger, err);
	}
	for (size_t i = 0; rc == 0 && i < t->n; i++)
		rc = check_entry(t, &t->entry[i], &ledger, err);
	return rc ? rc : reset(t, err);
}

int timeline_new(const struct job *job, const uint32_t *pages, uint64_t frames, uint64_t slots,
		 struct timeline **out, struct err *err)
{
	struct timeline *t = calloc(1, sizeof *t);

	if (!t)
		return err_run(err, ENOMEM, "no memory for a timeline");
	t->job = job;
	t->pages = pages;
	t->vms = job_count(job, &vm_section);
	t->n = job_count(job, &at_section);
	t->terms = calloc(t->vms + 1, sizeof *t->terms);
	t->present = calloc(t->vms + 1, sizeof *t->present);
	t->adds = calloc(t->vms + 1, sizeof *t->adds);
	t->touched = calloc(t->vms + 1, sizeof *t->touched);
	t->entry = calloc(t->n + 1, sizeof *t->entry);
	int rc = 0;
	if (!t->terms || !t->present || !t->adds || !t->touched || !t->entry)
		rc = err_run(err, ENOMEM, "no memory for a timeline");
	for (size_t i = 0; rc == 0 && i < t->n; i++)
		rc = read_entry(t, i, err);
	if (rc == 0) {
		qsort(t->entry, t->n, sizeof *t->entry, by_time);
		rc = check(t, (struct ledger){.frames = frames, .slots = slots}, err);
	}
	if (rc) {
		timeline_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void timeline_free(struct timeline *t)
{
	if (!t)
		return;
	if (t->host)
		timer_cancel(t->clock, &t->timer);
	job_free(t->now);
	free(t->terms);
	free(t->present);
	free(t->adds);
	free(t->touched);
	free(t->entry);
	free(t);
}

bool timeline_adds(const struct timeline *t, size_t i)
{
	return t->adds[i];
}

const struct terms *timeline_terms(const struct timeline *t, size_t i)
{
	return &t->terms[i];
}

/* Applying it. */

static void apply_removes(struct timeline *t, const struct entry *e)
{
	char reason[80];

	snprintf(reason, sizeof reason, "at %s", e->title);
	for (char **name = e->opts->remove; name && *name; name++) {
		size_t vm;
		if (find_vm(t, *name, &vm, NULL) || !t->vm[vm])
			continue;
		if (t->remove)
			t->remove(t->ctx, vm, reason);
		else
			vm_retire(t->vm[vm], reason);
	}
}

/* The job is as all of them say before anyone hears of it. */
static int apply_sets(struct timeline *t, const struct entry *e, struct err *err)
{
	const struct opt_section *section;
	size_t vm;
	int rc = 0;

	memset(t->touched, 0, t->vms * sizeof *t->touched);
	for (char **text = e->opts->set; rc == 0 && text && *text; text++) {
		rc = change(t, e, *text, &section, &vm, err);
		if (rc)
			return rc;
		host_event_now(t->host, vm < t->vms ? t->vm[vm] : NULL, "set", "%s", *text);
		if (vm < t->vms)
			t->touched[vm] = true;
	}
	for (vm = 0; rc == 0 && vm < t->vms; vm++) {
		if (!t->touched[vm])
			continue;
		rc = terms_of(t->now, vm, t->pages[vm], &t->terms[vm], err);
		if (rc == 0 && t->vm[vm])
			terms_give(&t->terms[vm], t->vm[vm]);
	}
	for (char **text = e->opts->set; rc == 0 && text && *text; text++) {
		rc = change(t, e, *text, &section, &vm, err);
		if (rc == 0 && vm == t->vms)
			host_changed(t->host, section, job_section(t->now, section));
	}
	return rc;
}

static int apply_adds(struct timeline *t, const struct entry *e, struct err *err)
{
	for (char **name = e->opts->add; name && *name; name++) {
		size_t vm;
		int rc = find_vm(t, *name, &vm, err);
		if (rc == 0)
			rc = t->add(t->ctx, vm, &t->vm[vm], err);
		if (rc)
			return rc;
		t->host->arrivals--;
		host_event_now(t->host, t->vm[vm], "added", "at %s", e->title);
	}
	return 0;
}

static void entry_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct timeline *t = arg;
	const struct entry *e = &t->entry[t->next];

	apply_removes(t, e);
	int rc = apply_sets(t, e, &t->err);
	if (rc == 0)
		rc = apply_adds(t, e, &t->err);
	host_plan(t->host, "at %s", e->title);
	t->next++;
	if (rc == 0 && t->next < t->n && timer_add(clk, timer, t->entry[t->next].at_ns))
		rc = err_run(&t->err, ENOMEM, "no memory for a timer");
	t->host->stop |= rc != 0;
}

int timeline_start(struct timeline *t, struct host *host, struct clock *clock, struct vm **vm,
		   timeline_add_fn *add, timeline_remove_fn *remove, void *ctx, struct err *err)
{
	t->host = host;
	t->clock = clock;
	t->vm = vm;
	t->add = add;
	t->remove = remove;
	t->ctx = ctx;
	for (size_t i = 0; i < t->vms; i++)
		host->arrivals += t->adds[i];
	timer_init(&t->timer, entry_due, t);
	if (t->n && timer_add(clock, &t->timer, t->entry[0].at_ns))
		return err_run(err, ENOMEM, "no memory for a timer");
	return 0;
}

int timeline_finish(struct timeline *t, struct err *err)
{
	for (size_t i = t->next; i < t->n && !t->err.exit_code; i++)
		host_event_now(t->host, NULL, "not reached", "at %s: the run ended before",
			       t->entry[i].title);
	if (!t->err.exit_code)
		return 0;
	*err = t->err;
	return err->exit_code == 2 ? -EINVAL : -EIO;
}
