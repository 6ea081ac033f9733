/* The part: options, statistics, groups and VMs. */
#include "sharing/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t none_pick(void *state, struct share_vm *v, uint32_t n, ppn_t *pages)
{
	(void)state;
	(void)v;
	(void)n;
	(void)pages;
	return 0;
}

const struct scan scan_none = {
	.policy = {"none", "never: no page is shared, and sharing costs nothing"},
	.pick = none_pick,
};

const struct policy *const scans[] = {
	&scan_random.policy, &scan_sequential.policy, &scan_idle_first.policy,
	&scan_ksm.policy,    &scan_none.policy,	      NULL,
};

#define SHARE(field) offsetof(struct share_opts, field)

static const struct opt share_options[] = {
	{"scan", OPT_CHOICE, SHARE(scan), "none", 0, 0, scans, "which page is looked at next"},
	{"rate_vm", OPT_INT, SHARE(rate_vm), "50", 0, 1e8, NULL,
	 "pages of each VM looked at per second; a fast setting: 25k", .live = true},
	{"rate_total", OPT_INT, SHARE(rate_total), "200", 0, 1e8, NULL,
	 "pages of all VMs looked at per second, 0: as rate_vm says; a fast setting: 100k",
	 .live = true},
	{"period", OPT_TIME, SHARE(period), "100ms", 1000, 1e10, NULL,
	 "time between bursts of scanning; a fast setting: 10ms", .live = true},
	{"large", OPT_CHOICE, SHARE(large), "break", 0, 0, large_cares,
	 "pages of a large page, where large.frames makes any: share them and break it, or not"},
	{"before_swap", OPT_BOOL, SHARE(before_swap), "on", 0, 0, NULL,
	 "try to share a page before it is swapped out"},
	{"charge", OPT_REAL, SHARE(charge), "100%", 0, 1, NULL,
	 "part of the scanning time that the scanned VM loses, up to half of its own; the rest was "
	 "idle anyway"},
	{"hash_time", OPT_TIME, SHARE(hash_time), "350ns", 0, 1e9, NULL,
	 "virtual time to hash a page"},
	{"probe_time", OPT_TIME, SHARE(probe_time), "100ns", 0, 1e9, NULL,
	 "virtual time to look a hash up, or for a step down a tree"},
	{"compare_time", OPT_TIME, SHARE(compare_time), "250ns", 0, 1e9, NULL,
	 "virtual time to compare two equal pages"},
	{"merge_time", OPT_TIME, SHARE(merge_time), "500ns", 0, 1e9, NULL,
	 "virtual time to remap a page to a shared frame"},
	{"break_time", OPT_TIME, SHARE(break_time), "500ns", 0, 1e9, NULL,
	 "virtual time to copy a shared page that is written, on top of cost.fault"},
	{NULL},
};

const struct opt_section share_section = {
	"share", false, sizeof(struct share_opts), share_options, "content-based page sharing",
};

#define STAT(field) offsetof(struct share_stats, field)

static const struct stat_row share_host_rows[] = {
	{"share_saved", STAT_GAUGE, "frames", STAT(saved), true,
	 "frames that sharing saves: the sum of references - 1 over shared frames"},
	{"share_scanned", STAT_COUNTER, "pages", STAT(scanned), true,
	 "pages that the scan policy picked"},
	{"share_hashed", STAT_COUNTER, "pages", STAT(hashed), false, "pages hashed"},
	{"share_compared", STAT_COUNTER, "1", STAT(compared), false,
	 "pairs of pages compared in full"},
	{"share_merged", STAT_COUNTER, "pages", STAT(merged), false,
	 "pages that gave up their frame for a shared one"},
	{"share_broken", STAT_COUNTER, "pages", STAT(broken), true, "pages written while shared"},
	{"share_copied", STAT_COUNTER, "pages", STAT(copied), false,
	 "of them, those that needed a frame of their own"},
	{"share_dropped", STAT_COUNTER, "pages", STAT(dropped), false,
	 "shared pages dropped or swapped out while others shared on"},
	{"share_settled", STAT_COUNTER, "pages", STAT(settled), false,
	 "pages shared instead of being swapped out"},
	{"share_false", STAT_COUNTER, "1", STAT(false_hit), false,
	 "equal hashes of different pages"},
	{"share_stale", STAT_COUNTER, "1", STAT(stale), false,
	 "hints dropped because their page had changed or gone"},
	{"share_hints", STAT_GAUGE, "1", STAT(hints), false, "hints in the table"},
	{"share_table_bytes", STAT_GAUGE, "bytes", STAT(table_bytes), false, "size of the table"},
	{"share_hash_ns", STAT_COUNTER, "ns", STAT(hash_ns), false, "virtual time of hashing"},
	{"share_probe_ns", STAT_COUNTER, "ns", STAT(probe_ns), false, "virtual time of lookups"},
	{"share_compare_ns", STAT_COUNTER, "ns", STAT(compare_ns), false,
	 "virtual time of comparing"},
	{"share_merge_ns", STAT_COUNTER, "ns", STAT(merge_ns), false, "virtual time of remapping"},
	{"share_break_ns", STAT_COUNTER, "ns", STAT(break_ns), false,
	 "virtual time of copying pages that were written"},
	{NULL},
};

#define VM_STAT(field) offsetof(struct share_vm, stats.field)

static const struct stat_row share_vm_rows[] = {
	{"share_saved", STAT_REAL, "frames", VM_STAT(saved), true,
	 "frames that sharing saves, each split evenly among the pages that map it"},
	{"share_merged", STAT_COUNTER, "pages", VM_STAT(merged), false,
	 "pages that gave up their frame for a shared one"},
	{"share_broken", STAT_COUNTER, "pages", VM_STAT(breaks), true,
	 "pages written while shared"},
	{"share_zero", STAT_GAUGE, "pages", VM_STAT(zero), true, "pages that share the zero frame"},
	{NULL},
};

/* Groups. */

static bool same_name(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The salt is the run's: the same job gives the same hashes, and no other does. */
static void salt(const struct sharing *s, struct group *g)
{
	struct rng r;

	rng_init(&r, (uint64_t)s->host->opts.seed, "share salt", 0);
	for (const char *c = g->name; c && *c; c++)
		rng_init(&r, rng_u64(&r), "share salt", (uint8_t)*c);
	g->salt = rng_u64(&r);
	g->zero = MPN_NONE;
	g->zero_hash = page_zero_hash(s, g);
}

static int group_add(struct sharing *s, const char *name)
{
	struct group *list = realloc(s->group, (s->groups + 1) * sizeof *list);

	if (!list)
		return -ENOMEM;
	s->group = list;
	struct group *g = &list[s->groups];
	*g = (struct group){.name = name ? strdup(name) : NULL};
	if (name && !g->name)
		return -ENOMEM;
	salt(s, g);
	s->groups++;
	return 0;
}

int sharing_group(struct sharing *s, struct vm *vm, const char *name, struct err *err)
{
	uint32_t i = 0;

	if (!s)
		return 0;
	while (i < s->groups && !same_name(s->group[i].name, name))
		i++;
	if (i == OWNER_FREE)
		return err_input(err, "vm %s: there are more than %d sharing groups", vm->name,
				 OWNER_FREE);
	if (i == s->groups && group_add(s, name))
		return err_run(err, ENOMEM, "vm %s: no memory for a sharing group", vm->name);
	s->vm[vm->id]->group = i;
	return 0;
}

/* VMs. */

static void vm_forget(struct sharing *s, struct vm *vm)
{
	free(s->vm[vm->id]);
	s->vm[vm->id] = NULL;
	s->vms = vm->id;
}

static int vm_added(void *ctx, struct vm *vm)
{
	struct sharing *s = ctx;
	struct share_vm **list = realloc(s->vm, (vm->id + 1u) * sizeof(*list)), *v;

	if (!list)
		return -ENOMEM;
	s->vm = list;
	v = calloc(1, sizeof *v);
	if (!v)
		return -ENOMEM;
	v->vm = vm;
	rng_init(&v->rng, (uint64_t)s->host->opts.seed, "share scan", vm->id);
	s->vm[vm->id] = v;
	s->vms = vm->id + 1u;
	if (s->scan->vm_added && s->scan->vm_added(s->scan_state, vm)) {
		vm_forget(s, vm);
		return -ENOMEM;
	}
	stat_bind(&vm->stats, share_vm_rows, v);
	return 0;
}

static void vm_removed(void *ctx, struct vm *vm)
{
	struct sharing *s = ctx;

	if (s->scan->vm_removed)
		s->scan->vm_removed(s->scan_state, vm);
	vm_forget(s, vm);
}

/* What each VM saves: its pages' parts of the frames that they share. */
static void refresh(void *ctx)
{
	struct sharing *s = ctx;

	for (size_t i = 0; i < s->vms; i++) {
		const struct pmap *pmap = s->vm[i]->vm->pmap;
		uint64_t left = pmap->count[PAGE_SHARED];
		double saved = 0;
		for (uint32_t p = 0; left && p < pmap->pages; p++) {
			pte_t e = pmap->pte[p];
			if (pte_state(e) != PAGE_SHARED)
				continue;
			left--;
			saved += 1 - 1 / (double)refs_get(s, pte_mpn(e));
		}
		s->vm[i]->stats.saved = saved;
	}
	s->stats.table_bytes = s->table.bytes;
	s->stats.hints = s->table.hints;
}

static void changed(void *ctx, const struct opt_section *section, const void *opts)
{
	const struct share_opts *now = opts;
	struct sharing *s = ctx;

	if (section != &share_section)
		return;
	s->opts.rate_vm = now->rate_vm;
	s->opts.rate_total = now->rate_total;
	s->opts.period = now->period;
}

static void sharing_close(void *ctx)
{
	struct sharing *s = ctx;

	timer_cancel(&s->host->clock, &s->timer);
	if (s->scan_state && s->scan->close)
		s->scan->close(s->scan_state);
	free(s->scan_state);
	table_fini(&s->table);
	for (uint32_t i = 0; i < s->groups; i++)
		free(s->group[i].name);
	free(s->group);
	s->host->meter.bytes -= s->overflow.room * sizeof *s->overflow.row;
	free(s->overflow.row);
	free(s->vm);
	free(s);
}

static const struct part sharing_part = {
	.name = "sharing",
	.vm_added = vm_added,
	.vm_removed = vm_removed,
	.refresh = refresh,
	.audit = sharing_audit,
	.close = sharing_close,
	.changed = changed,
};

static int start(struct sharing *s)
{
	size_t size = s->scan->state_size ? s->scan->state_size : 1;
	int rc = table_init(&s->table, &s->host->meter);

	if (rc == 0)
		rc = group_add(s, NULL);
	s->scan_state = calloc(1, size);
	if (rc == 0 && !s->scan_state)
		rc = -ENOMEM;
	if (rc == 0 && s->scan->open)
		rc = s->scan->open(s->scan_state, s);
	return rc ? rc : scan_start(s);
}

int sharing_open(struct host *host, struct pmap_part *pmaps, const struct share_opts *opts,
		 struct sharing **out, struct err *err)
{
	struct sharing *s;

	*out = NULL;
	if (opts->scan == &scan_none.policy)
		return 0;
	s = calloc(1, sizeof *s);
	if (!s)
		return err_run(err, ENOMEM, "no memory for sharing");
	s->host = host;
	s->opts = *opts;
	s->scan = (const struct scan *)opts->scan;
	s->hash_mask = UINT64_MAX;
	int rc = start(s);
	if (rc) {
		sharing_close(s);
		return err_run(err, -rc, "no memory for sharing");
	}
	pmap_handle(pmaps, PAGE_SHARED,
		    &(struct page_handler){share_fault, share_drop, s, share_adopt, share_left});
	if (opts->before_swap)
		host->screen = (struct screen){scan_settle, s};
	stat_bind(&host->scope, share_host_rows, &s->stats);
	host_add_part(host, &sharing_part, s);
	*out = s;
	return 0;
}

const struct share_stats *sharing_stats(const struct sharing *s)
{
	return &s->stats;
}
