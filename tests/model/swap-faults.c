/*
 * A disk that fails under the swap area: no space, errors, short transfers,
 * flipped bits, lost writes, a truncated file. The VM that is hit gets an error
 * that says what and where, the others go on, and nobody reads wrong bytes.
 */
#include "host.h"

#include "core/rng.h"

#include <errno.h>
#include <unistd.h>

#define VMS    3
#define PAGES  60
#define FRAMES 150 /* one VM fewer, and all pages have frames */
#define SLOTS  400
#define STEPS  20000

#define NEVER UINT64_MAX

/* The disk. struct os_io has no context, so it lies here. */
static struct disk {
	struct rng rng;
	uint64_t reads, writes;			    /* calls so far */
	uint64_t full_after;			    /* writes; then ENOSPC for ever */
	uint64_t fail_write, fail_read, lose_write; /* the call so numbered, from 1 */
	bool shorts;
} disk;

static size_t shortened(size_t n)
{
	return disk.shorts ? 1 + rng_below(&disk.rng, n) : n;
}

static bool interrupted(void)
{
	return disk.shorts && rng_below(&disk.rng, 8) == 0;
}

static ssize_t disk_pread(int fd, void *buf, size_t n, off_t offset)
{
	disk.reads++;
	errno = disk.reads == disk.fail_read ? EIO : interrupted() ? EINTR : 0;
	return errno ? -1 : pread(fd, buf, shortened(n), offset);
}

static ssize_t disk_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	disk.writes++;
	if (disk.writes == disk.lose_write)
		return (ssize_t)n;
	errno = disk.writes > disk.full_after	 ? ENOSPC
		: disk.writes == disk.fail_write ? EIO
		: interrupted()			 ? EINTR
						 : 0;
	return errno ? -1 : pwrite(fd, buf, shortened(n), offset);
}

static const struct os_io disk_io = {disk_pread, disk_pwrite};

struct world {
	struct test_host t;
	struct rng rng;
	struct vm *vm[VMS];
	uint64_t id[VMS][PAGES], fresh;
	size_t failed, events;
	char event[256];
};

static void on_event(void *ctx, uint64_t time_ns, const struct vm *vm, const char *event,
		     const char *reason)
{
	struct world *w = ctx;

	(void)time_ns;
	(void)vm;
	if (strcmp(event, "slot retired") == 0) {
		w->events++;
		snprintf(w->event, sizeof w->event, "%s", reason);
	}
}

static void world_open(struct world *w, const char *victim, const char *thresholds)
{
	static const char *const names[VMS] = {"a", "b", "c"};
	uint64_t seed = test_seed(1977);

	*w = (struct world){0};
	rng_init(&w->rng, seed, victim, 0);
	rng_init(&disk.rng, seed, "disk", 0);
	disk.reads = disk.writes = 0;
	disk.shorts = false;
	disk.full_after = disk.fail_write = disk.fail_read = disk.lose_write = NEVER;
	test_host_new(&w->t, (struct test_shape){.frames = FRAMES,
						 .slots = SLOTS,
						 .backing = "ram",
						 .victim = victim,
						 .thresholds = thresholds,
						 .tau_ns = 1000,
						 .io = &disk_io});
	w->t.host->on_event = on_event;
	w->t.host->event_ctx = w;
	for (size_t v = 0; v < VMS; v++)
		w->vm[v] = test_vm(&w->t, names[v], PAGES);
}

static void world_close(struct world *w)
{
	CU_ASSERT_EQUAL(test_audit(&w->t), 0);
	CU_ASSERT_EQUAL(w->t.host->stats.vm_failed, w->failed);
	test_host_free(&w->t);
}

/* A failed reference stops its VM; the message must be a line that a person can act on. */
static void failed(struct world *w, size_t v, const struct err *err)
{
	CU_ASSERT_TRUE(test_one_line(err));
	CU_ASSERT_EQUAL(err->exit_code, 1);
	CU_ASSERT_EQUAL(test_audit(&w->t), 0); /* before anything is given back */
	vm_fail(w->vm[v], err);
	CU_ASSERT_STRING_EQUAL(w->vm[v]->err.msg, err->msg);
	w->failed++;
}

static void step(struct world *w)
{
	size_t v = rng_below(&w->rng, VMS);
	uint32_t page = (uint32_t)rng_below(&w->rng, PAGES);
	bool write = rng_below(&w->rng, 3) == 0;
	struct vm *vm = w->vm[v];
	struct err err = {0};

	if (vm->state == VM_FAILED)
		return;
	int rc = write ? pmap_set_content(vm->pmap, (ppn_t){page}, ++w->fresh, &err)
		       : pmap_touch(vm->pmap, (ppn_t){page}, ACCESS_READ, &err);
	if (rc) {
		failed(w, v, &err);
		return;
	}
	if (write)
		w->id[v][page] = w->fresh;
	CU_ASSERT_FATAL(test_reads_as(vm, page, w->id[v][page]));
}

static void steps(struct world *w, int n)
{
	for (int i = 0; i < n; i++)
		step(w);
	CU_ASSERT_EQUAL(test_audit(&w->t), 0);
}

/* Every page of the VMs that run reads as it should, all of them more than once over. */
static void read_all(struct world *w)
{
	for (size_t i = 0; i < 2 * VMS; i++) {
		struct vm *vm = w->vm[i % VMS];
		for (uint32_t page = 0; vm->state == VM_RUNNING && page < PAGES; page++)
			CU_ASSERT_TRUE(test_reads_as(vm, page, w->id[i % VMS][page]));
	}
}

static uint64_t retired(const struct world *w)
{
	return test_stat(&w->t.host->scope, "swap_slots_retired");
}

/* The swapped page of the VM whose slot is the last. */
static uint32_t swapped_page(const struct world *w, size_t v)
{
	uint32_t found = PAGES, last = 0;

	for (uint32_t page = 0; page < PAGES; page++) {
		pte_t e = test_entry(w->vm[v], page);
		if (pte_state(e) != PAGE_SWAPPED || (found < PAGES && pte_value(e) < last))
			continue;
		found = page;
		last = pte_value(e);
	}
	CU_ASSERT_TRUE_FATAL(found < PAGES);
	return found;
}

/* The page cannot be read: VM v fails with an error that names page and slot. */
static void expect_lost(struct world *w, size_t v, uint32_t page, const char *why)
{
	uint32_t slot = pte_value(test_entry(w->vm[v], page));
	pte_t before = test_entry(w->vm[v], page);
	struct err err = {0};
	char want[80];

	CU_ASSERT_EQUAL(pte_state(before), PAGE_SWAPPED);
	CU_ASSERT_TRUE(pmap_touch(w->vm[v]->pmap, (ppn_t){page}, ACCESS_READ, &err) < 0);
	CU_ASSERT_EQUAL(test_entry(w->vm[v], page), before);
	snprintf(want, sizeof want, "page %u is lost: swap slot %u ", page, slot);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, want));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, why));
	if (!strstr(err.msg, want) || !strstr(err.msg, why))
		printf("  %s\n", err.msg);
	failed(w, v, &err);
}

static void disk_full(void)
{
	static const char *const thresholds[] = {"none", "reserve"};
	struct world w;

	for (const struct policy *const *victim = victims; *victim; victim++) {
		for (size_t i = 0; i < 2 && strcmp((*victim)->name, "none") != 0; i++) {
			world_open(&w, (*victim)->name, thresholds[i]);
			disk.full_after = 500;
			steps(&w, STEPS);
			CU_ASSERT_EQUAL(w.failed, 1);
			for (size_t v = 0; v < VMS; v++) {
				if (w.vm[v]->state == VM_RUNNING)
					continue;
				CU_ASSERT_PTR_NOT_NULL(
					strstr(w.vm[v]->err.msg, "No space left on device"));
				CU_ASSERT_PTR_NOT_NULL(strstr(w.vm[v]->err.msg, "swap slot "));
			}
			read_all(&w);
			world_close(&w);
		}
	}
}

/* Three slots in a row fail each time: in the end no slot is left, and the error says why. */
static void disk_full_until_no_slot_is_left(void)
{
	struct err err = {0};
	struct world w;

	world_open(&w, "lru", "none");
	disk.full_after = 0;
	for (uint32_t i = 0; i < FRAMES; i++)
		test_fill(w.vm[i % VMS], i / VMS, w.id[i % VMS][i / VMS] = ++w.fresh);
	for (int i = 0; i < SLOTS; i++)
		CU_ASSERT_EQUAL(pmap_touch(w.vm[0]->pmap, (ppn_t){PAGES - 1}, ACCESS_READ, &err),
				-ENOMEM);
	CU_ASSERT_EQUAL(retired(&w), SLOTS);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "given up"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "look at its disk"));
	failed(&w, 0, &err);
	steps(&w, STEPS);
	read_all(&w);
	world_close(&w);
}

static void one_write_fails(void)
{
	struct world w;

	world_open(&w, "random", "reserve");
	disk.fail_write = 300;
	steps(&w, STEPS);
	read_all(&w);
	CU_ASSERT_TRUE(disk.writes > 300);
	CU_ASSERT_EQUAL(w.failed, 0);
	CU_ASSERT_EQUAL(retired(&w), 1);
	CU_ASSERT_EQUAL(w.events, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(w.event, "cannot be written: Input/output error"));
	world_close(&w);
}

static void a_read_fails(void)
{
	struct world w;

	world_open(&w, "lru", "none");
	steps(&w, 1000);
	disk.fail_read = disk.reads + 1;
	expect_lost(&w, 1, swapped_page(&w, 1), "cannot be read: Input/output error");
	steps(&w, STEPS);
	read_all(&w);
	CU_ASSERT_EQUAL(w.failed, 1);
	world_close(&w);
}

static void short_transfers(void)
{
	struct world w;

	world_open(&w, "clock", "none");
	disk.shorts = true;
	steps(&w, STEPS);
	read_all(&w);
	CU_ASSERT_EQUAL(w.failed, 0);
	CU_ASSERT_EQUAL(retired(&w), 0);
	CU_ASSERT_TRUE(disk.writes > 1000 && disk.reads > 1000);
	world_close(&w);
}

static void flip_bit(const struct world *w, uint32_t slot, unsigned bit)
{
	off_t at = (off_t)slot * PAGE_SIZE + bit / 8;
	uint8_t byte = 0;

	CU_ASSERT_EQUAL(pread(swap_fd(w->t.swap), &byte, 1, at), 1);
	byte ^= (uint8_t)(1u << bit % 8);
	CU_ASSERT_EQUAL(pwrite(swap_fd(w->t.swap), &byte, 1, at), 1);
}

static void a_bit_flips(void)
{
	static const unsigned bits[] = {0, 12345, PAGE_SIZE * 8 - 1};
	struct world w;

	for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
		world_open(&w, "fifo", "none");
		steps(&w, 1000);
		uint32_t page = swapped_page(&w, i);
		flip_bit(&w, pte_value(test_entry(w.vm[i], page)), bits[i]);
		expect_lost(&w, i, page, "is damaged");
		steps(&w, STEPS);
		read_all(&w);
		CU_ASSERT_EQUAL(w.failed, 1);
		world_close(&w);
	}
}

/* Damage to a copy that a resident page left in its slot shows when the page needs it. */
static void a_copy_is_damaged(void)
{
	struct world w;

	world_open(&w, "lru", "none");
	steps(&w, 1000);
	uint32_t page = swapped_page(&w, 0), slot = pte_value(test_entry(w.vm[0], page));
	CU_ASSERT_TRUE(test_reads_as(w.vm[0], page, w.id[0][page]));
	flip_bit(&w, slot, 777);
	for (uint32_t i = 0; i < PAGES * (VMS - 1); i++) /* push it out again */
		test_hit(w.vm[1 + i / PAGES], i % PAGES, ACCESS_READ);
	for (uint32_t i = 0; i < PAGES && pte_resident(test_entry(w.vm[0], page)); i++) {
		if (i != page)
			test_hit(w.vm[0], i, ACCESS_READ);
	}
	CU_ASSERT_EQUAL(pte_value(test_entry(w.vm[0], page)), slot); /* it was not written anew */
	expect_lost(&w, 0, page, "is damaged");
	steps(&w, STEPS);
	read_all(&w);
	world_close(&w);
}

/* Two slots' pages in each other's place, each with a good checksum of itself. */
static void pages_change_places(void)
{
	static uint8_t page[2][PAGE_SIZE];
	uint32_t ppn[2];
	struct world w;
	off_t at[2];

	world_open(&w, "random", "none");
	steps(&w, 1000);
	for (size_t v = 0; v < 2; v++) {
		ppn[v] = swapped_page(&w, v);
		at[v] = (off_t)pte_value(test_entry(w.vm[v], ppn[v])) * PAGE_SIZE;
		CU_ASSERT_EQUAL(pread(swap_fd(w.t.swap), page[v], PAGE_SIZE, at[v]), PAGE_SIZE);
	}
	for (size_t v = 0; v < 2; v++)
		CU_ASSERT_EQUAL(pwrite(swap_fd(w.t.swap), page[!v], PAGE_SIZE, at[v]), PAGE_SIZE);
	expect_lost(&w, 0, ppn[0], "is damaged");
	if (pte_state(test_entry(w.vm[1], ppn[1])) == PAGE_SWAPPED)
		expect_lost(&w, 1, ppn[1], "is damaged");
	steps(&w, STEPS);
	read_all(&w);
	CU_ASSERT_EQUAL(w.failed, 2);
	world_close(&w);
}

/* The disk says that it wrote, and did not. */
static void a_write_is_lost(void)
{
	struct world w;

	world_open(&w, "s3fifo", "reserve");
	disk.lose_write = 600; /* into a slot that held another page before */
	steps(&w, STEPS);
	read_all(&w);
	CU_ASSERT_EQUAL(w.failed, 1);
	for (size_t v = 0; v < VMS; v++) {
		if (w.vm[v]->state == VM_FAILED)
			CU_ASSERT_PTR_NOT_NULL(strstr(w.vm[v]->err.msg, "is damaged"));
	}
	world_close(&w);
}

static void the_file_is_truncated(void)
{
	struct world w;

	world_open(&w, "clock", "none");
	steps(&w, 1000);
	uint32_t page = swapped_page(&w, 2);
	uint32_t slot = pte_value(test_entry(w.vm[2], page));
	CU_ASSERT_EQUAL(ftruncate(swap_fd(w.t.swap), (off_t)slot * PAGE_SIZE + 100), 0);
	expect_lost(&w, 2, page, ""); /* torn, or not there */
	steps(&w, STEPS);	      /* others may lose pages too, and nobody reads wrong ones */
	CU_ASSERT_TRUE(w.failed < VMS);
	read_all(&w);
	world_close(&w);
}

static void no_folder_for_the_file(void)
{
	struct test_host t;
	struct swap_opts opts;
	struct err err = {0};
	struct swap *swap;
	char dir[] = "/nonexistent/folder";

	test_host_new(&t, (struct test_shape){.backing = "ram", .no_swap = true});
	opts = t.swap_opts;
	opts.dir = dir;
	CU_ASSERT_EQUAL(swap_open(t.host, t.pmaps, &opts, 16, &os_io, &swap, &err), -ENOENT);
	CU_ASSERT_TRUE(test_one_line(&err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "/nonexistent/folder"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "swap.dir"));
	test_host_free(&t);
}

TESTS("model/swap-faults", {"disk full", disk_full},
      {"disk full until no slot is left", disk_full_until_no_slot_is_left},
      {"one write fails", one_write_fails}, {"a read fails", a_read_fails},
      {"short transfers", short_transfers}, {"a bit flips", a_bit_flips},
      {"a copy is damaged", a_copy_is_damaged}, {"pages change places", pages_change_places},
      {"a write is lost", a_write_is_lost}, {"the file is truncated", the_file_is_truncated},
      {"no folder for the file", no_folder_for_the_file})
