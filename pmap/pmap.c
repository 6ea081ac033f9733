#include "pmap/large.h"
#include "pmap/mmu.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

const char *const page_state_names[PAGE_STATES] = {
	"unbacked", "private", "shared", "swapped", "compressed", "ballooned", "transit",
};

#define STAT(field) offsetof(struct pmap, field)

static const struct stat_row pmap_stat_rows[] = {
	{"faults", STAT_COUNTER, "1", STAT(stats.faults), true,
	 "touches of a page without a frame: first touches and swap-ins"},
	{"zero_fills", STAT_COUNTER, "1", STAT(stats.zero_fills), false,
	 "first touches: a zeroed frame was handed out"},
	{"private", STAT_GAUGE, "pages", STAT(count[PAGE_PRIVATE]), true,
	 "pages in a frame of their own"},
	{"shared", STAT_GAUGE, "pages", STAT(count[PAGE_SHARED]), true,
	 "pages in a read-only frame that others may map too"},
	{"swapped", STAT_GAUGE, "pages", STAT(count[PAGE_SWAPPED]), true, "pages in the swap area"},
	{"unbacked", STAT_GAUGE, "pages", STAT(count[PAGE_UNBACKED]), false,
	 "pages never touched, or dropped"},
	{NULL},
};

int pmap_zero_fill(struct pmap *pmap, ppn_t ppn, struct err *err)
{
	struct host *host = pmap->vm->host;
	enum page_state was = pte_state(pmap->pte[ppn.n]);
	mpn_t mpn;

	int rc = pmap_take_frame(pmap, ppn, &mpn, err);
	if (rc)
		return rc;
	machine_aim(&host->machine, mpn, pmap->vm->id, ppn);
	host->machine.backing->zero(&host->machine, mpn);
	pmap->pte[ppn.n] |= PTE_CHANGED | PTE_RECENT;
	pmap_map_private(pmap, ppn, mpn, was);
	pmap->stats.zero_fills++;
	pmap->vm->time_ns += host->cost.zero;
	if (unlikely(pmap->home != NULL))
		large_first(pmap, ppn);
	return 0;
}

static int fault_unbacked(void *ctx, struct pmap *pmap, ppn_t ppn, enum access access,
			  struct err *err)
{
	(void)ctx;
	(void)access;
	return pmap_zero_fill(pmap, ppn, err);
}

static void drop_private(void *ctx, struct pmap *pmap, ppn_t ppn)
{
	(void)ctx;
	machine_put(&pmap->vm->host->machine, pte_mpn(pmap->pte[ppn.n]));
}

static inline __attribute__((always_inline)) int fault(struct pmap *pmap, ppn_t ppn,
						       enum access access, struct err *err)
{
	enum page_state state = pte_state(pmap->pte[ppn.n]);
	const struct page_handler *h = &pmap->part->handler[state];

	if (!h->fault)
		return err_run(err, EFAULT, "page %u is %s and nothing here can resolve that",
			       ppn.n, page_state_names[state]);
	pmap->vm->time_ns += pmap->vm->host->cost.fault;
	int rc = h->fault(h->ctx, pmap, ppn, access, err);
	pmap->stats.faults +=
		rc == 0 && state != PAGE_PRIVATE && state != PAGE_SHARED && state != PAGE_TRANSIT;
	return rc;
}

/* The exit that a sampled page takes: no other, if the page is there with the right. */
static __attribute__((noinline)) int fault_sampled(struct pmap *pmap, ppn_t ppn, enum access access,
						   struct err *err)
{
	const struct sample_watch *watch = &pmap->part->sample;

	pmap_unsample(pmap, ppn);
	bool minor = pmap->pte[ppn.n] >> access & 1;
	int rc = minor ? 0 : fault(pmap, ppn, access, err);
	if (rc) {
		pmap_sample(pmap, ppn);
		return rc;
	}
	if (watch->touched)
		watch->touched(watch->ctx, pmap, ppn, minor);
	return 0;
}

int pmap_fault(struct pmap *pmap, ppn_t ppn, enum access access, struct err *err)
{
	if (unlikely(pmap->pte[ppn.n] & PTE_SAMPLED))
		return fault_sampled(pmap, ppn, access, err);
	return fault(pmap, ppn, access, err);
}

void pmap_tell(struct pmap *pmap, ppn_t ppn)
{
	if (pmap->row)
		large_changed(pmap, ppn);
	if (pmap->mmu)
		mmu_changed(pmap->mmu, ppn);
}

void pmap_sample(struct pmap *pmap, ppn_t ppn)
{
	if (pmap->hide && !(pmap->pte[ppn.n] & PTE_SAMPLED))
		pmap->hide(pmap->hide_ctx, ppn);
	pmap->pte[ppn.n] = (pmap->pte[ppn.n] & ~(PTE_R | PTE_W)) | PTE_SAMPLED;
	pmap_changed(pmap, ppn);
}

void pmap_unsample(struct pmap *pmap, ppn_t ppn)
{
	pte_t e = pmap->pte[ppn.n];
	pte_t rights = pte_state(e) == PAGE_PRIVATE  ? PTE_R | PTE_W
		       : pte_state(e) == PAGE_SHARED ? PTE_R
						     : 0;

	if (e & PTE_SAMPLED)
		pmap->pte[ppn.n] = (e & ~PTE_SAMPLED) | rights;
}

static void set_state(struct pmap *pmap, ppn_t ppn, pte_t entry)
{
	pmap->count[pte_state(pmap->pte[ppn.n])]--;
	pmap->count[pte_state(entry)]++;
	pmap->pte[ppn.n] = entry;
	pmap_changed(pmap, ppn);
}

int pmap_dma(struct pmap *pmap, ppn_t ppn, enum access access, struct err *err)
{
	const struct dma_watch *watch = &pmap->part->dma;
	int rc = pmap_touch(pmap, ppn, access, err);

	if (rc == 0 && watch->transfer)
		watch->transfer(watch->ctx, pmap, ppn);
	return rc;
}

void pmap_move(struct pmap *pmap, ppn_t ppn, mpn_t to)
{
	pte_t e = pmap->pte[ppn.n];
	struct machine *m = &pmap->vm->host->machine;

	assert(pte_state(e) == PAGE_PRIVATE);
	machine_aim(m, to, pmap->vm->id, ppn);
	m->backing->copy(m, to, pte_mpn(e));
	pmap->pte[ppn.n] = pte_make(PAGE_PRIVATE, to.n, e & UINT32_MAX & ~PTE_STATE_MASK);
	machine_own(m, to, pmap->vm->id, ppn);
	machine_use(m, to);
	machine_put(m, pte_mpn(e));
	pmap_changed(pmap, ppn);
}

void pmap_map_shared(struct pmap *pmap, ppn_t ppn, mpn_t mpn)
{
	pte_t e = pmap->pte[ppn.n];
	struct machine *m = &pmap->vm->host->machine;

	assert(pte_state(e) == PAGE_PRIVATE);
	if (mpn_eq(pte_mpn(e), mpn))
		machine_place(m, mpn, FRAME_SHARED, ppn);
	set_state(pmap, ppn, pte_make(PAGE_SHARED, mpn.n, pte_allow(e & PTE_LASTING, PTE_R)));
	if (mpn_eq(pte_mpn(e), mpn))
		machine_share(m, mpn);
	else
		machine_put(m, pte_mpn(e));
}

void pmap_break_shared(struct pmap *pmap, ppn_t ppn, mpn_t mpn)
{
	pte_t e = pmap->pte[ppn.n];
	struct machine *m = &pmap->vm->host->machine;

	assert(pte_state(e) == PAGE_SHARED);
	if (mpn_eq(pte_mpn(e), mpn))
		machine_place(m, mpn, pmap->vm->id, ppn);
	set_state(pmap, ppn,
		  pte_make(PAGE_PRIVATE, mpn.n, pte_allow(e & PTE_LASTING, PTE_R | PTE_W)));
	if (mpn_eq(pte_mpn(e), mpn))
		machine_unshare(m, mpn, pmap->vm->id, ppn);
	else
		machine_own(m, mpn, pmap->vm->id, ppn);
}

void pmap_unmap_shared(struct pmap *pmap, ppn_t ppn, enum page_state state, uint32_t value)
{
	const struct page_handler *h = &pmap->part->handler[PAGE_SHARED];
	const pte_t was = pmap->pte[ppn.n];

	assert(pte_state(was) == PAGE_SHARED);
	/* Nobody knows its contents but itself, wherever it goes. */
	set_state(pmap, ppn, pte_make(state, value, (was & PTE_LASTING) | PTE_CHANGED));
	h->left(h->ctx, pmap, was);
}

/* Whatever the page held is freed, whatever was known of it forgotten. */
static void forget(struct pmap *pmap, ppn_t ppn, enum page_state becomes)
{
	enum page_state state = pte_state(pmap->pte[ppn.n]);
	const struct page_handler *h = &pmap->part->handler[state];

	if (h->drop)
		h->drop(h->ctx, pmap, ppn);
	set_state(pmap, ppn, pte_make(becomes, 0, (pmap->pte[ppn.n] & PTE_SAMPLED) | PTE_LOGGED));
}

void pmap_drop(struct pmap *pmap, ppn_t ppn)
{
	forget(pmap, ppn, PAGE_UNBACKED);
}

void pmap_give_up(struct pmap *pmap, ppn_t ppn)
{
	forget(pmap, ppn, PAGE_BALLOONED);
}

int pmap_set_content(struct pmap *pmap, ppn_t ppn, uint64_t id, struct err *err)
{
	struct machine *m = &pmap->vm->host->machine;
	int rc = pmap_touch(pmap, ppn, ACCESS_WRITE, err);

	if (rc)
		return rc;
	rc = m->backing->set(m, pte_mpn(pmap->pte[ppn.n]), id);
	if (rc)
		return err_run(err, -rc, "no memory for page contents");
	pmap->pte[ppn.n] &= ~PTE_UNNAMED;
	return 0;
}

static uint32_t harvest(struct pmap *pmap, ppn_t first, uint32_t n, pte_t bit,
			void (*fn)(void *arg, ppn_t ppn), void *arg)
{
	uint32_t found = 0;

	for (uint32_t i = first.n; i - first.n < n && i < pmap->pages; i++) {
		if (!(pmap->pte[i] & bit))
			continue;
		pmap->pte[i] &= ~bit;
		if (unlikely(pmap->row))
			large_harvested(pmap, (ppn_t){i});
		if (unlikely(pmap->mmu))
			mmu_cleaned(pmap->mmu, (ppn_t){i}, bit == PTE_LOGGED);
		found++;
		if (fn)
			fn(arg, (ppn_t){i});
	}
	return found;
}

uint32_t pmap_harvest_dirty(struct pmap *pmap, ppn_t first, uint32_t n,
			    void (*fn)(void *arg, ppn_t ppn), void *arg)
{
	return harvest(pmap, first, n, PTE_LOGGED, fn, arg);
}

uint32_t pmap_harvest_accessed(struct pmap *pmap, ppn_t first, uint32_t n,
			       void (*fn)(void *arg, ppn_t ppn), void *arg)
{
	return harvest(pmap, first, n, PTE_ACCESSED, fn, arg);
}

/* The part. */

static void count_states(struct pmap *pmap)
{
	for (uint32_t i = 0; i < pmap->pages; i++)
		pmap->count[pte_state(pmap->pte[i])]++;
}

static int vm_added(void *ctx, struct vm *vm)
{
	struct pmap_part *part = ctx;
	pte_t **list = realloc(part->pte, (vm->id + 1u) * sizeof(*list));
	struct pmap *pmap = calloc(1, sizeof *pmap);

	if (list)
		part->pte = list;
	if (!list || !pmap) {
		free(pmap);
		return -ENOMEM;
	}
	if (part->store.entries)
		pmap->pte = part->store.entries(part->store.ctx, vm);
	else
		pmap->pte = meter_alloc(&vm->host->meter, vm->pages * sizeof *pmap->pte);
	if (!pmap->pte) {
		free(pmap);
		return -ENOMEM;
	}
	pmap->pages = vm->pages;
	if (part->store.entries)
		count_states(pmap);
	else
		pmap->count[PAGE_UNBACKED] = vm->pages;
	pmap->vm = vm;
	pmap->part = part;
	part->pte[vm->id] = pmap->pte;
	vm->pmap = pmap;
	vm->held[0] = &pmap->count[PAGE_PRIVATE];
	vm->held[1] = &pmap->count[PAGE_SHARED];
	vm->held[2] = &pmap->count[PAGE_TRANSIT];
	stat_bind(&vm->stats, pmap_stat_rows, pmap);
	return 0;
}

static void vm_emptied(void *ctx, struct vm *vm)
{
	(void)ctx;
	for (uint32_t i = 0; i < vm->pmap->pages; i++) {
		if (pte_state(vm->pmap->pte[i]) != PAGE_UNBACKED)
			pmap_drop(vm->pmap, (ppn_t){i});
	}
}

static void vm_removed(void *ctx, struct vm *vm)
{
	const struct pmap_part *part = ctx;

	mmu_free(vm->pmap->mmu);
	meter_free(&vm->host->meter, vm->pmap->row,
		   pmap_stretches(vm->pmap) * sizeof *vm->pmap->row);
	meter_free(&vm->host->meter, vm->pmap->home,
		   pmap_stretches(vm->pmap) * sizeof *vm->pmap->home);
	if (!part->store.entries)
		meter_free(&vm->host->meter, vm->pmap->pte, vm->pages * sizeof *vm->pmap->pte);
	free(vm->pmap);
}

static size_t audit_page(const struct pmap *pmap, uint32_t ppn, FILE *out)
{
	const struct vm *vm = pmap->vm;
	const struct machine *m = &vm->host->machine;
	pte_t e = pmap->pte[ppn];
	bool rights = e & (PTE_R | PTE_W);

	if (rights && (e & PTE_SAMPLED)) {
		fprintf(out, "pmap: vm %s page %u is sampled and may be touched\n", vm->name, ppn);
		return 1;
	}
	if (pte_state(e) == PAGE_PRIVATE || pte_state(e) == PAGE_TRANSIT) {
		const struct frame *f = &m->frame[pte_value(e)];
		if (pte_value(e) < m->frames && f->refs == 1 && f->vm == vm->id && f->ppn == ppn)
			return 0;
		fprintf(out, "pmap: vm %s page %u maps frame %u, which is not its own\n", vm->name,
			ppn, pte_value(e));
		return 1;
	}
	if (pte_state(e) == PAGE_SHARED) {
		if (pte_value(e) < m->frames && m->frame[pte_value(e)].vm == FRAME_SHARED &&
		    m->frame[pte_value(e)].refs && !(e & PTE_W))
			return 0;
		fprintf(out, "pmap: vm %s page %u maps frame %u, which is not read-only\n",
			vm->name, ppn, pte_value(e));
		return 1;
	}
	if (rights) {
		fprintf(out, "pmap: vm %s page %u is %s and may be touched\n", vm->name, ppn,
			page_state_names[pte_state(e)]);
		return 1;
	}
	return 0;
}

static size_t audit_vm(const struct pmap *pmap, uint64_t *private_pages, FILE *out)
{
	uint64_t count[PAGE_STATES + 1] = {0};
	size_t bad = 0;

	for (uint32_t i = 0; i < pmap->pages; i++) {
		count[pte_state(pmap->pte[i])]++;
		bad += audit_page(pmap, i, out);
	}
	for (int s = 0; s < PAGE_STATES; s++) {
		if (count[s] == pmap->count[s])
			continue;
		fprintf(out, "pmap: vm %s says %llu %s pages, %llu counted\n", pmap->vm->name,
			(unsigned long long)pmap->count[s], page_state_names[s],
			(unsigned long long)count[s]);
		bad++;
	}
	*private_pages += count[PAGE_PRIVATE] + count[PAGE_TRANSIT];
	return bad;
}

static size_t audit(void *ctx, FILE *out)
{
	const struct pmap_part *part = ctx;
	const struct host *host = part->host;
	uint64_t private_pages = 0;
	size_t bad = 0;

	for (size_t i = 0; i < host->vms; i++) {
		bad += audit_vm(host->vm[i]->pmap, &private_pages, out);
		bad += mmu_audit(host->vm[i]->pmap->mmu, out);
	}
	if (private_pages != host->machine.private_frames) {
		fprintf(out, "pmap: %llu private pages, %llu private frames\n",
			(unsigned long long)private_pages,
			(unsigned long long)host->machine.private_frames);
		bad++;
	}
	return bad;
}

static void refresh(void *ctx)
{
	const struct pmap_part *part = ctx;

	for (size_t i = 0; i < part->host->vms; i++) {
		if (part->host->vm[i]->pmap->mmu)
			mmu_refresh(part->host->vm[i]->pmap->mmu);
	}
}

static void part_close(void *ctx)
{
	struct pmap_part *part = ctx;

	free(part->pte);
	free(part);
}

static const struct part pmap_host_part = {
	.name = "pmap",
	.vm_added = vm_added,
	.vm_emptied = vm_emptied,
	.vm_removed = vm_removed,
	.audit = audit,
	.close = part_close,
	.refresh = refresh,
};

int pmap_part_new(struct host *host, struct pmap_part **out)
{
	struct pmap_part *part = calloc(1, sizeof *part);

	if (!part)
		return -ENOMEM;
	part->host = host;
	part->handler[PAGE_UNBACKED].fault = fault_unbacked;
	part->handler[PAGE_PRIVATE].drop = drop_private;
	host_add_part(host, &pmap_host_part, part);
	*out = part;
	return 0;
}

void pmap_handle(struct pmap_part *part, enum page_state state, const struct page_handler *handler)
{
	part->handler[state] = *handler;
}
