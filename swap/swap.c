#include "swap/private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SWAP(field) offsetof(struct swap_opts, field)

static const struct opt swap_options[] = {
	{"victim", OPT_CHOICE, SWAP(victim), "random", 0, 0, victims, "which page loses its frame"},
	{"cluster", OPT_INT, SWAP(cluster), "0", 0, SWAP_BATCH, NULL,
	 "pages of a victim's aligned neighbourhood that may go with it; 0: none of a trace, 16 of "
	 "a live guest"},
	{"size", OPT_BYTES, SWAP(size), "0", 0, 0x1p43, NULL,
	 "size of the swap area; unless given, as large as all VMs"},
	{"dir", OPT_PATH, SWAP(dir), NULL, 0, 0, NULL,
	 "folder of the swap file (host.backing = ram); unset: $TMPDIR or /tmp"},
	{"read_time", OPT_TIME, SWAP(read_time), "5ms", 0, 1e12, NULL,
	 "virtual time to read a page back; the VM waits for it", .live = true},
	{"write_time", OPT_TIME, SWAP(write_time), "0", 0, 1e12, NULL,
	 "virtual time that a VM waits for a page written on its behalf; 0: writes are "
	 "asynchronous",
	 .live = true},
	{"wsclock_tau", OPT_TIME, SWAP(wsclock_tau), "1s", 0, 3e12, NULL,
	 "wsclock: a page unused for longer, in its VM's time, has left the working set"},
	{"s3fifo_small", OPT_REAL, SWAP(s3fifo_small), "10%", 0.001, 0.9, NULL,
	 "s3fifo: share of frames for the small queue"},
	{NULL},
};

const struct opt_section swap_section = {
	"swap", false, sizeof(struct swap_opts), swap_options, "host-level paging",
};

#define VM_STAT(field) offsetof(struct swap_vm, field)

static const struct stat_row swap_vm_rows[] = {
	{"swap_ins", STAT_COUNTER, "pages", VM_STAT(ins), true,
	 "pages read back from the swap area"},
	{"swap_outs", STAT_COUNTER, "pages", VM_STAT(outs), true,
	 "pages that lost their frame to swap"},
	{"swap_writes", STAT_COUNTER, "pages", VM_STAT(writes), false,
	 "of them, written: the area had no copy or an old one"},
	{NULL},
};

#define SWAP_STAT(field) offsetof(struct swap, field)

static const struct stat_row swap_host_rows[] = {
	{"swap_slots_used", STAT_GAUGE, "slots", SWAP_STAT(area.taken), true,
	 "slots of the swap area that hold a page or a copy of one"},
	{"swap_slots_retired", STAT_GAUGE, "slots", SWAP_STAT(retired), false,
	 "slots given up because the disk failed there"},
	{NULL},
};

/* What the machine tells. */

static void frame_mapped(void *ctx, mpn_t mpn)
{
	struct swap *s = ctx;

	s->victim->mapped(s->victim_state, mpn);
}

static void frame_unmapped(void *ctx, mpn_t mpn)
{
	struct swap *s = ctx;

	swap_copy_drop(s, mpn);
	if (s->victim->unmapped)
		s->victim->unmapped(s->victim_state, mpn);
}

/* The part. */

static int vm_added(void *ctx, struct vm *vm)
{
	struct swap *s = ctx;
	struct swap_vm **list = realloc(s->vm, (s->vms + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	s->vm = list;
	s->vm[vm->id] = calloc(1, sizeof *s->vm[vm->id]);
	if (!s->vm[vm->id])
		return -ENOMEM;
	s->vms = vm->id + 1u;
	stat_bind(&vm->stats, swap_vm_rows, s->vm[vm->id]);
	return 0;
}

static void vm_removed(void *ctx, struct vm *vm)
{
	struct swap *s = ctx;

	free(s->vm[vm->id]);
	s->vm[vm->id] = NULL;
	if (s->vms == vm->id + 1u)
		s->vms = vm->id;
}

/* Notes one owner of a slot; complains if it has another or is not taken. */
static size_t audit_slot(const struct swap *s, uint64_t *seen, uint32_t slot, const char *owner,
			 uint32_t number, FILE *out)
{
	if (slot < s->area.slots && area_taken(&s->area, slot) &&
	    !(seen[slot / 64] >> (slot % 64) & 1)) {
		seen[slot / 64] |= UINT64_C(1) << (slot % 64);
		return 0;
	}
	fprintf(out, "swap: slot %u of %s %u is %s\n", slot, owner, number,
		slot >= s->area.slots	     ? "outside the area"
		: area_taken(&s->area, slot) ? "owned twice"
					     : "free");
	return 1;
}

static size_t swap_audit(void *ctx, FILE *out)
{
	const struct swap *s = ctx;
	uint64_t *seen = calloc(s->area.clusters, sizeof *seen);
	uint64_t owned = 0;
	size_t bad = 0;

	if (!seen) {
		fprintf(out, "swap: no memory to audit %u slots\n", s->area.slots);
		return 1;
	}
	for (size_t v = 0; v < s->host->vms; v++) {
		const struct pmap *pmap = s->host->vm[v]->pmap;
		for (uint32_t i = 0; i < pmap->pages; i++) {
			pte_t e = pmap->pte[i];
			if (pte_state(e) != PAGE_SWAPPED)
				continue;
			bad += audit_slot(s, seen, pte_value(e), "page", i, out);
			owned++;
		}
	}
	for (uint32_t i = 0; i < s->host->machine.frames; i++) {
		if (!s->copy[i])
			continue;
		bad += audit_slot(s, seen, s->copy[i] - 1, "frame", i, out);
		owned++;
	}
	if (owned + s->retired != s->area.taken) {
		fprintf(out, "swap: %llu slots taken, %llu owned and %llu retired\n",
			(unsigned long long)s->area.taken, (unsigned long long)owned,
			(unsigned long long)s->retired);
		bad++;
	}
	free(seen);
	return bad;
}

static void changed(void *ctx, const struct opt_section *section, const void *opts)
{
	const struct swap_opts *now = opts;
	struct swap *s = ctx;

	if (section != &swap_section)
		return;
	s->opts.read_time = now->read_time;
	s->opts.write_time = now->write_time;
}

static void swap_close(void *ctx)
{
	struct swap *s = ctx;

	if (s->victim_state && s->victim->close)
		s->victim->close(s->victim_state);
	free(s->victim_state);
	batch_close(s);
	area_fini(&s->area);
	meter_free(&s->host->meter, s->copy, s->host->machine.frames * sizeof *s->copy);
	free(s->vm);
	free(s);
}

static const struct part swap_part = {
	.name = "swap",
	.vm_added = vm_added,
	.vm_removed = vm_removed,
	.audit = swap_audit,
	.close = swap_close,
	.changed = changed,
};

static int victim_start(struct swap *s, const struct pmap_part *pmaps, struct err *err)
{
	const struct victim *v = (const struct victim *)s->opts.victim;
	struct victim_env env = {
		.host = s->host, .pmaps = pmaps, .opts = &s->opts, .copy = s->copy};

	rng_init(&env.rng, (uint64_t)s->host->opts.seed, "swap victim", 0);
	s->victim = v;
	/* Only a state that open() saw may be closed. */
	if (machine_track(&s->host->machine, v->track) == 0)
		s->victim_state = calloc(1, v->state_size);
	if (!s->victim_state || (v->open && v->open(s->victim_state, &env)))
		return err_run(err, ENOMEM, "no memory for victim policy %s", v->policy.name);
	return 0;
}

static const char *swap_dir(const struct swap_opts *opts)
{
	const char *tmp = getenv("TMPDIR");

	return opts->dir ? opts->dir : tmp && *tmp ? tmp : "/tmp";
}

int swap_open(struct host *host, struct pmap_part *pmaps, const struct swap_opts *opts,
	      uint32_t slots, const struct os_io *io, struct swap **out, struct err *err)
{
	bool bytes = host->machine.bytes != NULL;
	struct swap *s = calloc(1, sizeof *s);

	if (!s)
		return err_run(err, ENOMEM, "no memory for swap");
	s->host = host;
	s->opts = *opts;
	int rc = area_init(&s->area, &host->meter, slots, bytes ? swap_dir(opts) : NULL, io, err);
	if (rc) {
		free(s);
		return rc;
	}
	s->copy = meter_alloc(&host->meter, host->machine.frames * sizeof *s->copy);
	rc = s->copy && batch_open(s) ? victim_start(s, pmaps, err)
				      : err_run(err, ENOMEM, "no memory for swap");
	if (rc) {
		swap_close(s);
		return rc;
	}
	pmap_handle(pmaps, PAGE_SWAPPED,
		    &(struct page_handler){swap_fault, swap_drop, s, swap_adopt});
	host->awaited.fetch = swap_fetch;
	host->awaited.ctx = s;
	pmap_handle(pmaps, PAGE_TRANSIT, &(struct page_handler){batch_fault, batch_drop, s});
	host->machine.watch =
		(struct frame_watch){s->victim->mapped ? frame_mapped : NULL, frame_unmapped, s};
	stat_bind(&host->scope, swap_host_rows, s);
	host_add_part(host, &swap_part, s);
	host_add_reclaimer(host, &swap_reclaimer, s);
	*out = s;
	return 0;
}

void swap_keep(struct swap *s, int fd, uint64_t *sums)
{
	area_keep(&s->area, fd, sums);
}

int swap_peek(const struct swap *s, uint32_t slot, uint8_t *page, struct err *err)
{
	return area_peek(&s->area, slot, page, err);
}

int swap_async(struct swap *s)
{
	return batch_async(s);
}

int swap_fd(const struct swap *s)
{
	return s->area.fd;
}
