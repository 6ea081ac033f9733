/*
 * Nothing lost where pages leave many at a time: while their bytes are being
 * moved others touch, write, drop and evict pages, those on their way among
 * them, and VMs fail. Every page is compared with what was last written to it,
 * and every count recounted. The disk fails now and then.
 */
#include "host.h"

#include "core/oracle.h"
#include "core/rng.h"
#include "live/pool.h"

#include <errno.h>
#include <unistd.h>

#define VMS    4
#define PAGES  200
#define FRAMES 400
#define SLOTS  1300 /* more than there are pages */
#define MANY   400000
#define FEW    420 /* fewer, but with the frames enough */
#define STEPS  (40000 / TEST_SCALE)

static struct {
	struct rng rng;
	unsigned fails_in; /* one write of so many fails; 0: none does */
} disk;

static ssize_t disk_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	if (disk.fails_in && rng_below(&disk.rng, disk.fails_in) == 0) {
		errno = EIO;
		return -1;
	}
	return pwrite(fd, buf, n, offset);
}

static const struct os_io disk_io = {pread, disk_pwrite};

struct model {
	struct test_host t;
	struct oracle *oracle;
	struct rng rng;
	struct vm *vm[VMS]; /* the last of each place */
	uint64_t id[VMS][PAGES];
	bool live, inside; /* inside: bytes are being moved */
	uint64_t moved, meanwhile, came_back, added;
};

static void add_vm(struct model *md, size_t v)
{
	char name[24];

	snprintf(name, sizeof name, "vm%llu", (unsigned long long)md->added++);
	md->vm[v] = test_vm(&md->t, name, PAGES);
	memset(md->id[v], 0, sizeof md->id[v]);
	if (md->live)
		CU_ASSERT_EQUAL_FATAL(pool_window_open(pool_of(md->t.m), md->vm[v]->id, PAGES), 0);
}

static void fail_vm(struct model *md, size_t v)
{
	struct err why = {0};

	err_run(&why, EIO, "the test stops it");
	vm_fail(md->vm[v], &why);
	add_vm(md, v);
}

static void fill(struct model *md, size_t v, uint32_t page, uint64_t id)
{
	test_fill(md->vm[v], page, id);
	md->id[v][page] = id;
	CU_ASSERT_EQUAL_FATAL(oracle_write(md->oracle, md->vm[v], (ppn_t){page}, id), 0);
}

static void reclaim(struct model *md, uint32_t want)
{
	struct host *host = md->t.host;
	struct vm *only = rng_below(&md->rng, 3) ? NULL : md->vm[rng_below(&md->rng, VMS)];
	struct err err = {0};
	uint64_t free = md->t.m->free;

	uint32_t n = host->reclaimer[0].reclaimer->reclaim(host->reclaimer[0].ctx, want, only, only,
							   &err);
	CU_ASSERT_TRUE_FATAL(n <= want);
	if (!md->inside && !host->breather.release)
		CU_ASSERT_EQUAL_FATAL(md->t.m->free, free + n);
	md->moved += n;
}

static void step(struct model *md)
{
	size_t v = rng_below(&md->rng, VMS);
	uint32_t page = (uint32_t)rng_below(&md->rng, PAGES);
	unsigned what = (unsigned)rng_below(&md->rng, 1000);
	bool away = pte_state(test_entry(md->vm[v], page)) == PAGE_TRANSIT;

	if (what < 500) {
		CU_ASSERT_FATAL(test_reads_as(md->vm[v], page, md->id[v][page]));
	} else if (what < 930) {
		/* Some contents are many pages', so that there is something to share. */
		fill(md, v, page, what < 600 ? what % 4 : oracle_fresh_id(md->oracle));
	} else if (what < 970) {
		pmap_drop(md->vm[v]->pmap, (ppn_t){page});
		md->id[v][page] = 0;
		CU_ASSERT_EQUAL_FATAL(oracle_write(md->oracle, md->vm[v], (ppn_t){page}, 0), 0);
	} else if (what < 999) {
		reclaim(md, 1 + (uint32_t)rng_below(&md->rng, 80));
	} else {
		fail_vm(md, v);
	}
	md->meanwhile += md->inside;
	md->came_back += away;
}

/* The host is others' for a while. */
static void release(void *ctx)
{
	struct model *md = ctx;

	md->t.host->breather = (struct breather){0};
	md->inside = true;
	for (uint64_t n = rng_below(&md->rng, 30); n > 0; n--)
		step(md);
	md->inside = false;
}

static void retake(void *ctx);

static void let_breathe(struct model *md)
{
	if (md->live)
		md->t.host->breather = (struct breather){release, retake, md};
}

static void retake(void *ctx)
{
	let_breathe(ctx);
}

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

static void check_all(struct model *md)
{
	const struct machine *m = md->t.m;
	uint64_t pages;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(test_audit(&md->t), 0);
	for (size_t v = 0; v < VMS; v++) {
		const struct pmap *pmap = md->vm[v]->pmap;
		CU_ASSERT_EQUAL_FATAL(pmap->count[PAGE_TRANSIT], 0);
		CU_ASSERT_EQUAL_FATAL(oracle_check(md->oracle, md->vm[v], read_page, stdout, &err),
				      0);
	}
	if (!md->live)
		return;
	/* No more memory than frames in use; fewer for zero pages that nobody looked at. */
	CU_ASSERT_EQUAL_FATAL(pool_blocks(pool_of(m), &pages), 0);
	CU_ASSERT_TRUE_FATAL(pages <= m->private_frames + m->shared);
}

static void run(const struct backing *store, uint32_t cluster, const char *victim, const char *scan,
		unsigned fails_in, uint32_t slots)
{
	static struct model md;
	uint64_t seed = test_seed(64);

	md = (struct model){.live = store == &backing_live};
	rng_init(&md.rng, seed, victim, cluster);
	rng_init(&disk.rng, seed, "disk", fails_in);
	disk.fails_in = fails_in;
	test_host_new(&md.t, (struct test_shape){.frames = FRAMES,
						 .slots = slots,
						 .cluster = cluster,
						 .store = store,
						 .victim = victim,
						 .scan = scan,
						 .thresholds = "reserve",
						 .io = fails_in ? &disk_io : &os_io,
						 .seed = seed});
	CU_ASSERT_EQUAL_FATAL(oracle_new(&md.oracle), 0);
	/* By io_uring where the kernel has it for us; never past a disk of the test's. */
	int rc = swap_async(md.t.swap);
	CU_ASSERT_TRUE(md.live || rc == -EOPNOTSUPP);
	CU_ASSERT_TRUE(!fails_in || rc == -EOPNOTSUPP);
	for (size_t v = 0; v < VMS; v++)
		add_vm(&md, v);
	for (int i = 0; i < STEPS; i++) {
		step(&md);
		if (i % 100 == 0) {
			let_breathe(&md);
			reclaim(&md, 1 + (uint32_t)rng_below(&md.rng, 150));
			md.t.host->breather = (struct breather){0};
		}
		if (md.t.sharing && i % 50 == 0)
			sharing_scan(md.t.sharing, md.vm[i / 50 % VMS], 40);
		if (i % (STEPS / 8) == 0)
			check_all(&md);
	}
	check_all(&md);
	printf("  %llu moved, %llu steps meanwhile, %llu of pages on their way\n",
	       (unsigned long long)md.moved, (unsigned long long)md.meanwhile,
	       (unsigned long long)md.came_back);
	CU_ASSERT_TRUE(md.moved > STEPS / 10);
	/* Fewer come back where many find no slot. */
	CU_ASSERT_TRUE(!md.live || md.came_back > STEPS / (slots == SLOTS ? 200 : 1000));
	if (md.t.sharing)
		CU_ASSERT_TRUE(sharing_stats(md.t.sharing)->settled > 0);
	test_host_free(&md.t);
	oracle_free(md.oracle);
}

static void meanwhile(void)
{
	run(&backing_live, 0, "random", "none", 0, SLOTS);
	run(&backing_live, 1, "fifo", "none", 0, SLOTS);
}

static void meanwhile_and_sharing(void)
{
	run(&backing_live, 8, "fifo", "random", 0, SLOTS);
}

static void failing_disk(void)
{
	run(&backing_live, 16, "random", "none", 40, SLOTS);
	/* So often that a page finds no place at all; the slots tried are lost. */
	run(&backing_live, 8, "random", "none", 3, MANY);
}

/* Pages that found no slot stay, whether or not others of their batch left. */
static void a_full_area(void)
{
	run(&backing_live, 8, "random", "none", 0, FEW);
	run(&backing_live, 16, "fifo", "random", 0, FEW);
	run(&backing_ram, 8, "clock", "none", 0, FEW);
}

/* Neighbours leave with the victim of a trace, too, if that is asked for. */
static void in_a_trace(void)
{
	run(&backing_ram, 8, "lru", "none", 0, SLOTS);
	run(&backing_ram, 8, "s3fifo", "random", 60, SLOTS);
	run(&backing_ids, 16, "clock", "none", 0, SLOTS);
}

TESTS("model/swap-batch", {"meanwhile", meanwhile},
      {"meanwhile, and sharing", meanwhile_and_sharing}, {"a disk that fails", failing_disk},
      {"a full area", a_full_area}, {"in a trace", in_a_trace})
