/* From a guest's touch to the core and back to the guest's page tables. */
#include "live/private.h"
#include "live/uffd.h"

#include "core/os.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t address(const struct live_vm *v, ppn_t ppn)
{
	return v->base + ((uint64_t)ppn.n << PAGE_SHIFT);
}

/* The page was there, maybe protected: whoever waits may go on. */
static int let_pass(struct live_vm *v, ppn_t ppn)
{
	int rc = uffd_protect(v->uffd.fd, address(v, ppn), 1, false);

	v->stats.again++;
	return rc ? rc : uffd_wake(v->uffd.fd, address(v, ppn), 1);
}

/* Has the agent map the page to its window or a slot. */
static int map_to(struct live_vm *v, ppn_t ppn, enum wire_place place, uint32_t slot)
{
	struct wire_move move = {ppn.n, 1, place, slot};

	v->at[ppn.n] = (place == WIRE_SLOT ? slot + 1 : 0) | AT_MOVING;
	v->stats.moves++;
	return attach_move(v, &move, 1);
}

/* The page is mapped where at says, and what the guest did to it meanwhile is known. */
static int arrived(struct live_vm *v, ppn_t ppn, int rc)
{
	if (rc == 0)
		v->at[ppn.n] &= ~AT_MOVING;
	return rc;
}

/*
 * Shows the guest its own page, writable. The bytes lie in the window already,
 * so that a touch between the agent's mmap() and its registration finds them.
 */
static int show_private(struct live_vm *v, ppn_t ppn, bool hole)
{
	const uint64_t at = address(v, ppn);
	int rc = v->at[ppn.n] ? map_to(v, ppn, WIRE_HOME, 0) : 0;

	if (rc)
		return rc;
	rc = hole ? uffd_zero(v->uffd.fd, at, 1) : uffd_continue(v->uffd.fd, at, 1, false);
	if (hole && rc == -EEXIST)
		rc = uffd_continue(v->uffd.fd, at, 1, false);
	else if (!hole && rc == -EFAULT) /* a page of zeroes that was never filled in */
		rc = uffd_zero(v->uffd.fd, at, 1);
	return arrived(v, ppn, rc == -EEXIST ? let_pass(v, ppn) : rc);
}

/* Whether the kernel gave the guest a copy of its own of a page mapped to a slot. */
static int is_copy(const struct live_vm *v, ppn_t ppn, bool *copy)
{
	uint64_t entry;
	off_t offset = (off_t)((address(v, ppn) >> PAGE_SHIFT) * sizeof entry);

	if (pread(v->pagemap, &entry, sizeof entry, offset) != sizeof entry)
		return -ESRCH;
	*copy = (entry >> 63 & 1) && !(entry >> 61 & 1);
	return 0;
}

/*
 * The guest wrote to a shared page after the agent mapped it and before it was
 * registered: the write is in a copy that only the guest has. It becomes the
 * page's own. It is protected, so nobody writes to it meanwhile.
 */
static int take_copy(struct live_vm *v, ppn_t ppn, struct err *err)
{
	struct pmap *pmap = v->vm->pmap;
	struct machine *m = &v->live->host->machine;
	int rc = pmap_touch(pmap, ppn, ACCESS_WRITE, err);

	if (rc)
		return rc;
	struct iovec to = {m->backing->bytes(m, pte_mpn(pmap_peek(pmap, ppn))), PAGE_SIZE};
	struct iovec from = {(void *)address(v, ppn), PAGE_SIZE};
	v->stats.gap_writes++;
	if (process_vm_readv(v->pid, &to, 1, &from, 1, 0) != PAGE_SIZE)
		return err_run(err, EIO, "page %u: the guest's copy cannot be read: %s", ppn.n,
			       strerror(errno));
	return show_private(v, ppn, false);
}

/* Shows the guest a shared page, read-only. */
static int show_shared(struct live_vm *v, ppn_t ppn, struct err *err)
{
	const uint64_t at = address(v, ppn);
	const uint32_t slot = pte_value(pmap_peek(v->vm->pmap, ppn));
	bool copy = false;
	int rc = v->at[ppn.n] == slot + 1 ? 0 : map_to(v, ppn, WIRE_SLOT, slot);

	if (rc == -ENOMEM) { /* the process has too many mappings: the page is its own again */
		rc = pmap_touch(v->vm->pmap, ppn, ACCESS_WRITE, err);
		return rc ? rc : show_private(v, ppn, false);
	}
	if (rc == 0)
		rc = uffd_continue(v->uffd.fd, at, 1, true);
	if (rc != -EEXIST)
		return arrived(v, ppn, rc);
	rc = uffd_protect(v->uffd.fd, at, 1, true);
	if (rc == 0)
		rc = is_copy(v, ppn, &copy);
	if (rc == 0 && copy)
		return take_copy(v, ppn, err);
	v->stats.again++;
	return arrived(v, ppn, rc ? rc : uffd_wake(v->uffd.fd, at, 1));
}

/* A page that nobody waits to be told of. */
static bool is_fresh(pte_t e)
{
	return pte_state(e) == PAGE_UNBACKED && !(e & PTE_SAMPLED);
}

/* How many pages from ppn on, itself included, to fill at its first touch. */
static uint32_t reach(const struct live_vm *v, ppn_t ppn)
{
	const struct host *host = v->live->host;
	const struct pmap *pmap = v->vm->pmap;
	uint32_t most = v->around, n = 1;

	/* Nothing may be taken meanwhile: not from the machine, nor by a VM that is at its most. */
	if (host->machine.free <= host->mark_low ||
	    host->machine.free <= host->mark_high + (uint64_t)most)
		return 1;
	while (n < most && ppn.n + n < pmap->pages && (ppn.n + n) % most && !v->at[ppn.n + n] &&
	       is_fresh(pmap_peek(pmap, (ppn_t){ppn.n + n})))
		n++;
	return n;
}

static int first_touch(struct live_vm *v, ppn_t ppn, struct err *err)
{
	uint32_t n = reach(v, ppn);
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = pmap_touch(v->vm->pmap, (ppn_t){ppn.n + i}, ACCESS_WRITE, err);
	if (rc)
		return rc;
	v->stats.around += n - 1;
	if (!v->at[ppn.n] && uffd_zero(v->uffd.fd, address(v, ppn), n) == 0)
		return 0;
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = show_private(v, (ppn_t){ppn.n + i}, true);
	return rc;
}

static int touch(struct live_vm *v, ppn_t ppn, bool write, struct err *err)
{
	struct pmap *pmap = v->vm->pmap;
	enum page_state was = pte_state(pmap_peek(pmap, ppn));

	if (was == PAGE_UNBACKED)
		return first_touch(v, ppn, err);
	/* Writes to a page of its own are not seen one by one: it counts as written. */
	int rc = pmap_touch(pmap, ppn, write || was != PAGE_SHARED ? ACCESS_WRITE : ACCESS_READ,
			    err);
	if (rc)
		return rc;
	if (pte_state(pmap_peek(pmap, ppn)) == PAGE_SHARED)
		return show_shared(v, ppn, err);
	return show_private(v, ppn, false);
}

uint64_t fault_event(struct live_vm *v, const struct uffd_msg *msg, uint64_t now)
{
	uint64_t page = (msg->arg.pagefault.address - v->base) >> PAGE_SHIFT;
	const uint64_t writes = UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP;
	struct err err;

	if (page >= v->vm->pages)
		return now;
	err.exit_code = 0;
	int rc = touch(v, (ppn_t){(uint32_t)page}, msg->arg.pagefault.flags & writes, &err);
	uint64_t end = os_mono_ns(), took = end - now;
	v->stats.events += rc != -EAGAIN;
	v->stats.fault_ns += took;
	v->stats.fault_worst = max_u64(v->stats.fault_worst, took);
	if (rc == 0 || rc == -ESRCH) /* a process that ends has no memory any more */
		return end;
	if (rc == -EAGAIN) /* it comes here again (struct awaited) */
		return end;
	if (!err.exit_code)
		err_run(&err, -rc, "page %u cannot be shown to the guest: %s", (uint32_t)page,
			uffd_error(rc));
	attach_fail(v, &err);
	return end;
}

/* Pages from ppn on, up to n, that are mapped to their window; or, of `home` false, that are not.
 */
static uint32_t run_at(const struct live_vm *v, ppn_t ppn, uint32_t n, bool home)
{
	uint32_t i = 0;

	while (i < n && (v->at[ppn.n + i] == 0) == home)
		i++;
	return i;
}

void fault_protect(void *ctx, uint16_t vm, ppn_t ppn, uint32_t n, bool on)
{
	struct live *live = ctx;
	struct live_vm *v = live->vm[vm];
	const uint32_t end = ppn.n + n;
	int rc = 0;

	if (v->uffd.fd < 0)
		return;
	while (ppn.n < end) {
		uint32_t run = run_at(v, ppn, end - ppn.n, true);
		if (run)
			rc = uffd_protect(v->uffd.fd, address(v, ppn), run, on);
		if (rc)
			break;
		ppn.n += run;
		/* A page whose mapping is elsewhere cannot be written in its window. */
		ppn.n += run_at(v, ppn, end - ppn.n, false);
	}
	if (rc && rc != -ESRCH) {
		struct err err;
		err_run(&err, -rc, "page %u cannot be protected: %s", ppn.n, uffd_error(rc));
		attach_fail(v, &err);
	}
}

void fault_hide(void *ctx, ppn_t ppn)
{
	struct live_vm *v = ctx;

	if (v->state != LIVE_RUNNING || !pte_resident(pmap_peek(v->vm->pmap, ppn)))
		return; /* it comes here anyway */
	v->hidden[v->hides++] = ppn.n;
	if (v->hides == HIDE_MOST)
		fault_unmap(v);
}

/* A trip to the agent costs as much as unmapping some pages, so they go there together. */
void fault_unmap(struct live_vm *v)
{
	struct wire_move unmap[HIDE_MOST];
	const uint32_t n = v->hides;

	_Static_assert(HIDE_MOST <= WIRE_MOVES, "they fit into one message");
	v->hides = 0;
	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		unmap[i] = (struct wire_move){v->hidden[i], 1, WIRE_UNMAP, 0};
	int rc = attach_move(v, unmap, n);
	if (rc && rc != -ESRCH) {
		struct err err;
		err_run(&err, -rc, "%u pages cannot be sampled: %s", n, uffd_error(rc));
		attach_fail(v, &err);
	}
}

/* A manager died while the agent was mapping this page; what it did the agent has done by now. */
static int settle(struct live_vm *v, ppn_t ppn, struct err *err)
{
	bool copy = false;
	int rc = uffd_protect(v->uffd.fd, address(v, ppn), 1, true);

	if (rc == 0)
		rc = is_copy(v, ppn, &copy);
	if (rc == 0 && copy)
		return take_copy(v, ppn, err);
	v->at[ppn.n] = AT_MOVING; /* anywhere: it is mapped anew */
	return rc ? rc : touch(v, ppn, false, err);
}

void fault_pin(struct live_vm *v)
{
	for (uint32_t i = 0; i < v->vm->pages; i++) {
		if (v->at[i] & AT_MOVING)
			v->vm->pmap->pte[i] |= PTE_PINNED;
	}
}

int fault_settle(struct live_vm *v, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < v->vm->pages; i++) {
		if (v->at[i] & AT_MOVING)
			rc = settle(v, (ppn_t){i}, err);
		v->vm->pmap->pte[i] &= ~PTE_PINNED;
	}
	return rc;
}
