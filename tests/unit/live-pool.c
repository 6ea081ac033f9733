#include "test.h"

#include "core/host.h"
#include "live/pool.h"

#include <string.h>
#include <unistd.h>

static struct meter meter;

static void open_machine(struct machine *m)
{
	meter.bytes = 0;
	CU_ASSERT_EQUAL_FATAL(machine_init(m, &meter, &backing_live, 16, 0), 0);
}

static uint64_t blocks(const struct machine *m)
{
	uint64_t pages = 77;

	CU_ASSERT_EQUAL(pool_blocks(pool_of(m), &pages), 0);
	return pages;
}

/* A frame for the page, filled with what the id stands for. */
static mpn_t page(struct machine *m, uint16_t vm, uint32_t ppn, uint64_t id)
{
	mpn_t mpn = machine_take(m);

	machine_aim(m, mpn, vm, (ppn_t){ppn});
	m->backing->zero(m, mpn);
	CU_ASSERT_TRUE(m->backing->holds(m, mpn, 0));
	CU_ASSERT_EQUAL(m->backing->set(m, mpn, id), 0);
	machine_own(m, mpn, vm, (ppn_t){ppn});
	return mpn;
}

/* Bytes lie with the page, then with the shared frame, and nothing stays where they were. */
static void bytes_lie_by_what_a_frame_is(void)
{
	struct machine m;

	open_machine(&m);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 0, 4), 0);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 1, 4), 0);
	mpn_t a = page(&m, 0, 3, 5), b = page(&m, 1, 3, 6);
	CU_ASSERT_PTR_EQUAL(m.backing->bytes(&m, a), m.bytes + (16 + 3) * PAGE_SIZE);
	CU_ASSERT_PTR_EQUAL(m.backing->bytes(&m, b), m.bytes + (16 + 4 + 3) * PAGE_SIZE);
	CU_ASSERT_EQUAL(blocks(&m), 2);
	machine_place(&m, a, FRAME_SHARED, (ppn_t){3});
	machine_share(&m, a);
	CU_ASSERT_PTR_EQUAL(m.backing->bytes(&m, a), m.bytes + a.n * PAGE_SIZE);
	CU_ASSERT_TRUE(m.backing->holds(&m, a, 5));
	CU_ASSERT_EQUAL(blocks(&m), 2);
	CU_ASSERT_EQUAL(pool_audit(&m, stdout), 0);
	machine_place(&m, a, 1, (ppn_t){0});
	machine_unshare(&m, a, 1, (ppn_t){0});
	CU_ASSERT_PTR_EQUAL(m.backing->bytes(&m, a), m.bytes + (16 + 4) * PAGE_SIZE);
	CU_ASSERT_TRUE(m.backing->holds(&m, a, 5));
	CU_ASSERT_TRUE(m.backing->holds(&m, b, 6));
	CU_ASSERT_EQUAL(blocks(&m), 2);
	machine_put(&m, b);
	CU_ASSERT_EQUAL(blocks(&m), 1);
	CU_ASSERT_EQUAL(pool_audit(&m, stdout), 0);
	page(&m, 1, 3, 7); /* its place reads as zero first */
	CU_ASSERT_EQUAL(blocks(&m), 2);
	machine_fini(&m);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

static void a_window_is_given_back_at_once(void)
{
	FILE *null = fopen("/dev/null", "w");
	struct machine m;
	mpn_t mpn[4];

	open_machine(&m);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 0, 4), 0);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 1, 4), 0);
	for (uint32_t i = 0; i < 4; i++)
		mpn[i] = page(&m, 0, i, 10 + i);
	mpn_t other = page(&m, 1, 0, 3);
	pool_window_close(pool_of(&m), 0);
	pool_window_close(pool_of(&m), 0);
	CU_ASSERT_EQUAL(blocks(&m), 1);
	CU_ASSERT_EQUAL(pool_audit(&m, null), 1); /* frames are still in use */
	fclose(null);
	for (int i = 0; i < 4; i++)
		machine_put(&m, mpn[i]);
	CU_ASSERT_EQUAL(pool_of(&m)->stats.punched, 0);
	CU_ASSERT_EQUAL(pool_audit(&m, stdout), 0);
	CU_ASSERT_TRUE(m.backing->holds(&m, other, 3));
	machine_fini(&m);
}

/* A manager died with pages half given and half taken: afterwards entries and file agree. */
static void swept(void)
{
	pte_t first[4] = {0}, second[4] = {0}, *entries[] = {first, second};
	struct pmap_part pmaps = {.pte = entries};
	uint64_t word = 7; /* through the file: a look at the view would fill a hole */
	struct machine m;

	open_machine(&m);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 0, 4), 0);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 1, 4), 0);
	first[0] = pte_make(PAGE_PRIVATE, page(&m, 0, 0, 5).n, 0);
	for (uint32_t i = 1; i < 4; i += 2) { /* private, and holes yet */
		mpn_t mpn = machine_take(&m);
		machine_own(&m, mpn, 0, (ppn_t){i});
		first[i] = pte_make(PAGE_PRIVATE, mpn.n, 0);
	}
	mpn_t last = machine_take(&m);
	machine_own(&m, last, 1, (ppn_t){3});
	second[3] = pte_make(PAGE_PRIVATE, last.n, 0);
	second[0] = pte_make(PAGE_BALLOONED, 0, 0);
	const off_t given = (16 + 4) * PAGE_SIZE; /* ballooned, and not yet punched out */
	CU_ASSERT_EQUAL(pwrite(pool_of(&m)->fd, &word, sizeof word, given), sizeof word);
	CU_ASSERT_EQUAL(blocks(&m), 2);
	CU_ASSERT_EQUAL(pool_sweep(&m, &pmaps), 1);
	CU_ASSERT_EQUAL(blocks(&m), 4);
	CU_ASSERT_EQUAL(pool_audit(&m, stdout), 0);
	CU_ASSERT_EQUAL(pread(pool_of(&m)->fd, &word, sizeof word, given), sizeof word);
	CU_ASSERT_EQUAL(word, 0);
	CU_ASSERT_TRUE(m.backing->holds(&m, pte_mpn(first[0]), 5));
	CU_ASSERT_EQUAL(pool_sweep(&m, &pmaps), 0);
	machine_fini(&m);
}

static void windows_end_where_addresses_do(void)
{
	struct machine m;
	uint16_t vm = 0;
	int rc = 0;

	open_machine(&m);
	while (rc == 0 && vm < 100)
		rc = pool_window_open(pool_of(&m), vm++, UINT32_MAX / 1024);
	CU_ASSERT_EQUAL(rc, -ENOSPC);
	CU_ASSERT_EQUAL(vm, 17); /* 16 times 16 GiB less a page, and 16 pages, are 256 GiB */
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 16, 17), -ENOSPC);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 17, 16), 0);
	uint64_t place = pool_of(&m)->window[5].offset;
	pool_window_close(pool_of(&m), 5);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 20, 4), -ENOSPC);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 20, UINT32_MAX / 1024), 0);
	CU_ASSERT_EQUAL(pool_of(&m)->window[20].offset, place);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 21, UINT32_MAX / 1024), -ENOSPC);
	machine_fini(&m);
}

/* A host of more memory than guests have addresses: its slots do not take any of those. */
static void a_large_host_has_windows_too(void)
{
	struct machine m;
	const uint32_t frames = UINT32_C(80) << 20; /* 320 GiB of them */

	meter.bytes = 0;
	CU_ASSERT_EQUAL_FATAL(machine_init(&m, &meter, &backing_live, frames, 0), 0);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 0, 4), 0);
	mpn_t mpn = page(&m, 0, 3, 9);
	CU_ASSERT_EQUAL(m.backing->bytes(&m, mpn) - m.bytes,
			(ptrdiff_t)((uint64_t)frames + 3) * PAGE_SIZE);
	CU_ASSERT_EQUAL(blocks(&m), 1);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 1, UINT32_C(64) << 20), -ENOSPC);
	machine_fini(&m);
}

/* Guests that came and went have left room between those of the dead manager. */
static void windows_are_adopted_where_they_are(void)
{
	const uint64_t span = (UINT64_C(256) << 30) + 16 * PAGE_SIZE;
	const uint32_t half = UINT32_C(1) << 25; /* pages: 128 GiB */
	struct machine m;

	open_machine(&m);
	CU_ASSERT_EQUAL(pool_of(&m)->span, span);
	CU_ASSERT_EQUAL(pool_window_adopt(pool_of(&m), 0, span - half * (uint64_t)PAGE_SIZE, half),
			0);
	CU_ASSERT_EQUAL(pool_window_adopt(pool_of(&m), 1, 16 * PAGE_SIZE, half), 0);
	CU_ASSERT_EQUAL(pool_of(&m)->window[1].offset, 16 * PAGE_SIZE);
	CU_ASSERT_EQUAL(pool_window_adopt(pool_of(&m), 2, span - PAGE_SIZE, 2), -ERANGE);
	CU_ASSERT_EQUAL(pool_window_adopt(pool_of(&m), 2, span + PAGE_SIZE, 1), -ERANGE);
	CU_ASSERT_EQUAL(pool_window_open(pool_of(&m), 2, 1), -ENOSPC);
	machine_fini(&m);
}

TESTS("live/pool", {"large", a_large_host_has_windows_too},
      {"adopted", windows_are_adopted_where_they_are}, {"swept", swept},
      {"places", bytes_lie_by_what_a_frame_is}, {"a window's end", a_window_is_given_back_at_once},
      {"many windows", windows_end_where_addresses_do})
