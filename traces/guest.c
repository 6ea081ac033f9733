#include "traces/guest_private.h"

#include <errno.h>
#include <stdlib.h>

static const struct guest_os os_none = {{"none", "no operating system: a trace of its references"}};

static const struct guest_os os_linux = {
	{"linux", "an early Linux 2.4: workloads run on it, and it manages its memory itself"},
};

static const struct guest_os os_windows = {
	{"windows", "the same, but pages are zeroed at boot and when they are freed"},
	.zeroes = true,
};

const struct policy *const guest_oses[] = {
	&os_none.policy,
	&os_linux.policy,
	&os_windows.policy,
	NULL,
};

#define STAT(field) offsetof(struct gos, stats.field)

static const struct stat_row gos_stat_rows[] = {
	{"refs", STAT_COUNTER, "1", STAT(refs), true, "references to memory"},
	{"os_free", STAT_GAUGE, "pages", STAT(free), true, "free, as the guest sees it"},
	{"os_cached", STAT_GAUGE, "pages", STAT(cached), true, "page cache"},
	{"os_anon", STAT_GAUGE, "pages", STAT(anon), true, "of processes"},
	{"os_dirty", STAT_GAUGE, "pages", STAT(dirty), true, "page cache that is to be written"},
	{"os_kernel", STAT_GAUGE, "pages", STAT(kernel), false, "text and boot-time structures"},
	{"os_tables", STAT_GAUGE, "pages", STAT(tables), false, "page tables"},
	{"os_balloon", STAT_GAUGE, "pages", STAT(balloon), true, "lent to the balloon driver"},
	{"os_swapped", STAT_GAUGE, "pages", STAT(swapped), true, "in the guest's swap area"},
	{"os_swap_in", STAT_COUNTER, "pages", STAT(swap_in), true, "read from it"},
	{"os_swap_out", STAT_COUNTER, "pages", STAT(swap_out), true, "written to it"},
	{"os_double_paged", STAT_COUNTER, "pages", STAT(double_paged), true,
	 "read from the host's swap only to be written to the guest's disk"},
	{"os_overwritten", STAT_COUNTER, "pages", STAT(overwritten), false,
	 "read from the host's swap only to be overwritten whole"},
	{"os_minor_faults", STAT_COUNTER, "1", STAT(minor_faults), false,
	 "faults of processes without the disk"},
	{"os_major_faults", STAT_COUNTER, "1", STAT(major_faults), false,
	 "faults of processes that read the swap area"},
	{"os_reclaimed", STAT_COUNTER, "pages", STAT(reclaimed), false, "freed by reclaim"},
	{"os_scanned", STAT_COUNTER, "pages", STAT(scanned), false, "looked at by reclaim"},
	{"os_stall_ns", STAT_COUNTER, "ns", STAT(stall_ns), false, "waited for memory"},
	{"os_zeroed", STAT_COUNTER, "pages", STAT(zeroed), false, "zeroed at boot or when freed"},
	{"cache_hits", STAT_COUNTER, "pages", STAT(hits), true, "of file reads, in the page cache"},
	{"cache_misses", STAT_COUNTER, "pages", STAT(misses), true, "of file reads, from the disk"},
	{"disk_read", STAT_COUNTER, "pages", STAT(disk_read), true, "from the guest's disk"},
	{"disk_write", STAT_COUNTER, "pages", STAT(disk_write), true, "to the guest's disk"},
	{"disk_seeks", STAT_COUNTER, "1", STAT(seeks), false, "of the guest's disk"},
	{"disk_busy_ns", STAT_COUNTER, "ns", STAT(disk_busy_ns), false,
	 "the guest's disk was at work"},
	{"work_ops", STAT_COUNTER, "1", STAT(ops), true, "what the workloads have done"},
	{"work_bytes", STAT_COUNTER, "bytes", STAT(bytes), true, "what they have read and written"},
	{NULL},
};

int gos_store_own(struct gos *g, ppn_t ppn)
{
	return gos_store(g, ppn, g->oracle ? oracle_fresh_id(g->oracle) : ++g->content);
}

int gos_store(struct gos *g, ppn_t ppn, uint64_t content)
{
	g->stats.overwritten += pte_state(pmap_peek(g->vm->pmap, ppn)) == PAGE_SWAPPED;
	if (content == CONTENT_OWN)
		return gos_touch(g, ppn, ACCESS_WRITE);
	gos_charge(g, g->ref_ns);
	int rc = pmap_set_content(g->vm->pmap, ppn, content, &g->err);
	if (rc == 0 && g->oracle && oracle_write(g->oracle, g->vm, ppn, content))
		rc = err_run(&g->err, ENOMEM, "no memory for the content oracle");
	if (rc == 0 && g->content_of)
		g->content_of[ppn.n] = content;
	return rc;
}

uint64_t gos_fetch(struct gos *g, uint32_t page)
{
	const struct machine *m = &g->vm->host->machine;
	ppn_t ppn = {page};

	g->stats.double_paged += pte_state(pmap_peek(g->vm->pmap, ppn)) == PAGE_SWAPPED;
	int rc = gos_touch(g, ppn, ACCESS_READ);
	if (rc)
		g->failed = rc;
	if (rc || g->content_of)
		return rc ? CONTENT_OWN : g->content_of[page];
	pte_t e = pmap_peek(g->vm->pmap, ppn);
	if (e & PTE_UNNAMED)
		return CONTENT_OWN;
	return m->ids ? m->ids[pte_value(e)] : 0;
}

static int gos_step(void *state, struct vm *vm, uint64_t until, struct err *err)
{
	struct gos *g = state;
	struct machine *m = &vm->host->machine;

	if (m->stamp && m->now > STAMP_LIMIT && machine_renew_stamps(m))
		return err_run(err, ENOMEM, "no memory to renumber stamps");
	int rc = g->failed ? g->failed : tasks_run(g, until);
	g->stats.free = pages_free(g);
	if (rc < 0)
		*err = g->err;
	return rc;
}

static void gos_close(void *state)
{
	struct gos *g = state;

	clock_free(&g->clock); /* before what its timers lie in */
	for (size_t i = 0; i < g->loads; i++) {
		if (g->load[i].state && g->load[i].load->stop)
			g->load[i].load->stop(g->load[i].state);
		free(g->load[i].state);
	}
	for (uint32_t i = 0; i < g->procs; i++) {
		if (g->proc[i])
			proc_exit(g->proc[i]);
	}
	for (uint32_t i = 0; i < g->files; i++) {
		if (g->file[i])
			file_remove(g, g->file[i]);
	}
	free(g->load);
	free(g->proc);
	free(g->file);
	free(g->swap.taken);
	free(g->swap.page);
	free(g->swap.content);
	free(g->content_of);
	free(g->page);
	free(g);
}

static size_t audit(const void *state, FILE *out)
{
	return gos_audit(state, out);
}

const struct guest gos_guest = {"os", gos_step, gos_close, audit};

static int start_loads(struct gos *g, const struct load_ref *loads, size_t n)
{
	int rc = 0;

	g->load = calloc(n + 1, sizeof *g->load);
	if (!g->load)
		return err_run(&g->err, ENOMEM, "no memory for workloads");
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const struct guest_load *load = (const struct guest_load *)loads[i].opts->kind;
		g->load[i].load = load;
		g->load[i].opts = loads[i].opts;
		g->load[i].state = calloc(1, load->size);
		g->loads++;
		rc = g->load[i].state ? load->start(g->load[i].state, g, loads[i].opts, i)
				      : err_run(&g->err, ENOMEM, "no memory for workloads");
		if (rc)
			err_prefix(&g->err, "%s%sworkload %s", loads[i].where ? loads[i].where : "",
				   loads[i].where ? ": " : "", loads[i].name);
	}
	return rc;
}

static int start(struct gos *g, const struct load_ref *loads, size_t n)
{
	g->page = calloc(g->boot_pages, sizeof *g->page);
	if (g->vm->host->machine.bytes)
		g->content_of = calloc(g->boot_pages, sizeof *g->content_of);
	if (!g->page || (g->vm->host->machine.bytes && !g->content_of) || swap_init(g))
		return err_run(&g->err, ENOMEM, "no memory for a guest of %u pages", g->boot_pages);
	pages_init(g);
	int rc = boot(g);
	if (rc == 0)
		rc = flusher_init(g);
	if (rc == 0)
		rc = start_loads(g, loads, n);
	return rc;
}

int gos_new(struct vm *vm, const struct guest_os *os, const struct guest_opts *opts,
	    const struct load_ref *loads, size_t n, struct oracle *oracle, struct gos **out,
	    struct err *err)
{
	struct gos *g = calloc(1, sizeof *g);

	if (!g)
		return err_run(err, ENOMEM, "no memory for a guest");
	g->vm = vm;
	g->os = os;
	g->opts = *opts;
	g->oracle = oracle;
	g->ref_ns = vm->host->cost.ref;
	g->boot_pages = vm->pages;
	g->born_ns = vm->time_ns;
	g->ready_end = &g->ready;
	g->dirty_first = g->dirty_last = NO_PAGE;
	g->disk.head = UINT64_MAX;
	clock_init(&g->clock);
	int rc = start(g, loads, n);
	if (rc) {
		*err = g->err;
		gos_close(g);
		return rc;
	}
	stat_bind(&vm->stats, gos_stat_rows, g);
	vm_drive(vm, &gos_guest, g);
	*out = g;
	return 0;
}
