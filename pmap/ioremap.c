#include "pmap/ioremap.h"

#include <errno.h>
#include <stdlib.h>

#define WAYS	  4
#define SCAN_MOST 4096 /* low frames looked at for a cold page */

#define IO(field) offsetof(struct io_opts, field)

static const struct opt io_options[] = {
	{"remap", OPT_BOOL, IO(remap), "off", 0, 0, NULL,
	 "move pages that devices use to memory that devices can address (host.low_memory)"},
	{"threshold", OPT_INT, IO(threshold), "16", 1, 60000, NULL,
	 "copies of a page through the bounce buffer until it moves", .live = true},
	{"entries", OPT_INT, IO(entries), "4k", WAYS, 1 << 24, NULL,
	 "pages whose use by devices is counted, at most"},
	{"copy_time", OPT_TIME, IO(copy_time), "1us", 0, 1e9, NULL,
	 "virtual time to copy a page through the bounce buffer", .live = true},
	{"move_time", OPT_TIME, IO(move_time), "3us", 0, 1e9, NULL,
	 "virtual time to move a page to another frame", .live = true},
	{NULL},
};

const struct opt_section io_section = {
	"io",
	false,
	sizeof(struct io_opts),
	io_options,
	"transfers by devices, where host.low_memory is less than all",
};

#define STAT(field) offsetof(struct io_stats, field)

static const struct stat_row io_host_rows[] = {
	{"io_moved", STAT_COUNTER, "pages", STAT(moved), true,
	 "pages moved to low memory because devices use them"},
	{"io_displaced", STAT_COUNTER, "pages", STAT(displaced), false,
	 "of them, those that another page made room for"},
	{"io_stuck", STAT_COUNTER, "1", STAT(stuck), false,
	 "pages due to move that could not: shared, pinned, or no cold page in low memory"},
	{NULL},
};

struct io_vm {
	uint64_t dma, copies;
};

#define VM_STAT(field) offsetof(struct io_vm, field)

static const struct stat_row io_vm_rows[] = {
	{"io_dma", STAT_COUNTER, "pages", VM_STAT(dma), true, "pages transferred by devices"},
	{"io_copies", STAT_COUNTER, "pages", VM_STAT(copies), true,
	 "of them, copied through the bounce buffer: the device cannot address their frame"},
	{NULL},
};

/* How often devices used a page; count 0: an empty place. */
struct use {
	uint32_t page;
	uint16_t vm, count;
};

struct io {
	struct host *host;
	struct io_opts opts;
	struct io_stats stats;
	struct io_vm **vm; /* by id */
	struct use *use;   /* [sets * WAYS]; NULL: remapping is off */
	uint32_t sets;
	mpn_t bounce;
	uint32_t hand; /* the low frame that is looked at next */
};

/* The counts. */

static struct use *set_of(const struct io *io, const struct vm *vm, ppn_t ppn)
{
	uint64_t x = ((uint64_t)vm->id << 32 | ppn.n) * UINT64_C(0x9e3779b97f4a7c15);

	return &io->use[((x >> 32) * io->sets >> 32) * WAYS];
}

static struct use *find(const struct io *io, const struct vm *vm, ppn_t ppn)
{
	struct use *set = set_of(io, vm, ppn);

	for (int i = 0; i < WAYS; i++) {
		if (set[i].count && set[i].page == ppn.n && set[i].vm == vm->id)
			return &set[i];
	}
	return NULL;
}

/* One more use; NULL if the page has no place yet: it aged the least used of its set. */
static struct use *count_use(struct io *io, const struct vm *vm, ppn_t ppn)
{
	struct use *use = find(io, vm, ppn), *set = set_of(io, vm, ppn);

	if (use) {
		use->count += use->count < UINT16_MAX;
		return use;
	}
	use = set;
	for (int i = 1; i < WAYS; i++)
		use = set[i].count < use->count ? &set[i] : use;
	if (use->count && --use->count)
		return NULL;
	*use = (struct use){ppn.n, vm->id, 1};
	return use;
}

/* Moving. */

static bool is_high(const struct machine *m, mpn_t mpn)
{
	return mpn.n >= m->zone[ZONE_HIGH].first;
}

static bool movable(pte_t e)
{
	return pte_state(e) == PAGE_PRIVATE && !(e & PTE_PINNED);
}

/* Whether the low frame backs a page that may go up: no device has use for it. */
static bool is_cold(struct io *io, mpn_t mpn)
{
	const struct frame f = io->host->machine.frame[mpn.n];

	if (!frame_is_private(f))
		return false;
	const struct vm *vm = io->host->vm[f.vm];
	ppn_t ppn = {f.ppn};
	struct use *use = find(io, vm, ppn);
	if (use)
		use->count /= 2;
	return !use && movable(pmap_peek(vm->pmap, ppn));
}

/* Round the low frames, or as far as is worth it. */
static mpn_t find_cold(struct io *io)
{
	uint32_t low = io->host->machine.zone[ZONE_HIGH].first;

	for (uint32_t i = 0; i < low && i < SCAN_MOST; i++) {
		mpn_t mpn = {io->hand};
		io->hand = io->hand + 1 == low ? 0 : io->hand + 1;
		if (is_cold(io, mpn))
			return mpn;
	}
	return MPN_NONE;
}

/* The page moves to a free low frame; its high one is free then. */
static void move_down(struct io *io, struct pmap *pmap, ppn_t ppn)
{
	pmap_move(pmap, ppn, machine_take_from(&io->host->machine, ZONE_LOW));
	pmap->vm->time_ns += io->opts.move_time;
	io->stats.moved++;
}

/*
 * Into the bounce buffer, whose place the cold page's frame takes: that page goes
 * up into the frame that the other leaves.
 */
static void change_places(struct io *io, struct pmap *pmap, ppn_t ppn, mpn_t cold)
{
	struct machine *m = &io->host->machine;
	const struct frame f = m->frame[cold.n];

	machine_put_overhead(m, io->bounce);
	move_down(io, pmap, ppn);
	pmap_move(io->host->vm[f.vm]->pmap, (ppn_t){f.ppn}, machine_take_from(m, ZONE_HIGH));
	pmap->vm->time_ns += io->opts.move_time;
	io->bounce = machine_take_from(m, ZONE_LOW);
	machine_own_overhead(m, io->bounce);
	io->stats.displaced++;
}

static bool remap(struct io *io, struct pmap *pmap, ppn_t ppn)
{
	if (!movable(pmap_peek(pmap, ppn)))
		return false;
	if (io->host->machine.zone[ZONE_LOW].free) {
		move_down(io, pmap, ppn);
		return true;
	}
	mpn_t cold = find_cold(io);
	if (mpn_valid(cold))
		change_places(io, pmap, ppn, cold);
	return mpn_valid(cold);
}

static void transfer(void *ctx, struct pmap *pmap, ppn_t ppn)
{
	struct io *io = ctx;
	struct io_vm *v = io->vm[pmap->vm->id];
	bool high = is_high(&io->host->machine, pte_mpn(pmap_peek(pmap, ppn)));
	struct use *use = io->use ? count_use(io, pmap->vm, ppn) : NULL;

	v->dma++;
	if (!high)
		return;
	v->copies++;
	pmap->vm->time_ns += io->opts.copy_time;
	if (!use || use->count < io->opts.threshold || remap(io, pmap, ppn))
		return;
	io->stats.stuck++;
	use->count = (uint16_t)(io->opts.threshold / 2 + 1); /* not again at the very next */
}

/* The part. */

static int vm_added(void *ctx, struct vm *vm)
{
	struct io *io = ctx;
	struct io_vm **list = realloc(io->vm, (vm->id + 1u) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	io->vm = list;
	io->vm[vm->id] = calloc(1, sizeof **list);
	if (!io->vm[vm->id])
		return -ENOMEM;
	stat_bind(&vm->stats, io_vm_rows, io->vm[vm->id]);
	return 0;
}

static void vm_emptied(void *ctx, struct vm *vm)
{
	struct io *io = ctx;

	for (uint64_t i = 0; io->use && i < (uint64_t)io->sets * WAYS; i++) {
		if (io->use[i].vm == vm->id)
			io->use[i].count = 0;
	}
}

static void vm_removed(void *ctx, struct vm *vm)
{
	struct io *io = ctx;

	free(io->vm[vm->id]);
	io->vm[vm->id] = NULL;
}

static void io_changed(void *ctx, const struct opt_section *section, const void *opts)
{
	struct io *io = ctx;

	if (section == &io_section)
		io->opts = *(const struct io_opts *)opts;
}

static size_t table_bytes(const struct io *io)
{
	return (size_t)io->sets * WAYS * sizeof *io->use;
}

static void io_close(void *ctx)
{
	struct io *io = ctx;

	meter_free(&io->host->meter, io->use, table_bytes(io));
	free(io->vm);
	free(io);
}

static const struct part io_part = {
	.name = "I/O remapping",
	.vm_added = vm_added,
	.vm_emptied = vm_emptied,
	.vm_removed = vm_removed,
	.close = io_close,
	.changed = io_changed,
};

static int start_remapping(struct io *io, struct err *err)
{
	struct machine *m = &io->host->machine;

	if (m->zone[ZONE_HIGH].first < 2 || m->zone[ZONE_LOW].free == 0)
		return err_input(err,
				 "io.remap needs low memory, of which host.low_memory leaves "
				 "%u frames: raise it",
				 m->zone[ZONE_HIGH].first);
	io->sets = (uint32_t)(io->opts.entries / WAYS);
	io->use = meter_alloc(&io->host->meter, table_bytes(io));
	if (!io->use)
		return err_run(err, ENOMEM, "no memory for the counts of I/O remapping");
	io->bounce = machine_take_from(m, ZONE_LOW);
	machine_own_overhead(m, io->bounce);
	return 0;
}

int io_open(struct host *host, struct pmap_part *pmaps, const struct io_opts *opts, struct err *err)
{
	const struct machine *m = &host->machine;

	if (m->zone[ZONE_HIGH].first == m->frames)
		return 0;
	struct io *io = calloc(1, sizeof *io);
	if (!io)
		return err_run(err, ENOMEM, "no memory for I/O remapping");
	io->host = host;
	io->opts = *opts;
	int rc = opts->remap ? start_remapping(io, err) : 0;
	if (rc) {
		io_close(io);
		return rc;
	}
	pmaps->dma = (struct dma_watch){transfer, io};
	stat_bind(&host->scope, io_host_rows, &io->stats);
	host_add_part(host, &io_part, io);
	return 0;
}
