/* Guest page tables: format, store, walks, and tables that a hostile guest makes. */
#include "test.h"

#include "pmap/pt.h"

#define PAGES 4096
#define RWU   (GPTE_P | GPTE_W | GPTE_U)

static struct meter meter;

static void put(struct pt_store *s, uint32_t table, unsigned i, gpte_t word)
{
	CU_ASSERT_EQUAL_FATAL(pt_write(s, (ppn_t){table}, i, word), 0);
}

/* Root 1, then 2, 3, 4; page 0x123456789 (indices 4, 141, 43, 393) is PPN 77. */
#define VPN (UINT64_C(4) << 27 | UINT64_C(141) << 18 | UINT64_C(43) << 9 | 393)

static void build(struct pt_store *s)
{
	CU_ASSERT_EQUAL_FATAL(pt_store_init(s, PAGES, &meter), 0);
	put(s, 1, 4, gpte_make(2, RWU));
	put(s, 2, 141, gpte_make(3, RWU));
	put(s, 3, 43, gpte_make(4, RWU));
	put(s, 4, 393, gpte_make(77, RWU));
}

static enum pt_why why(const struct pt_store *s, uint64_t vpn, bool write, bool user)
{
	struct pt_path path;

	pt_walk(s, 1, vpn, write, user, &path);
	return path.why;
}

static void a_page_is_found(void)
{
	struct pt_store s;
	struct pt_path path;

	build(&s);
	pt_walk(&s, 1, VPN, true, true, &path);
	CU_ASSERT_EQUAL(path.why, PT_MAPPED);
	CU_ASSERT_EQUAL(path.level, 1);
	CU_ASSERT_EQUAL(path.ppn, 77);
	CU_ASSERT_EQUAL(path.rights, PT_R_W | PT_R_U | PT_R_X);
	for (unsigned level = 1; level <= 4; level++)
		CU_ASSERT_EQUAL(path.table[level], 5 - level);
	CU_ASSERT_EQUAL(why(&s, VPN + 1, false, false), PT_ABSENT);
	CU_ASSERT_EQUAL(why(&s, VPN + 512, false, false), PT_ABSENT);
	CU_ASSERT_EQUAL(s.used - 1, 4);
	pt_store_fini(&s);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

/* Rights are those of all levels together (Intel SDM vol. 3A, section 4.6). */
static void rights_are_of_all_levels(void)
{
	struct pt_store s;
	struct pt_path path;

	build(&s);
	put(&s, 2, 141, gpte_make(3, GPTE_P | GPTE_U)); /* no W at level 3 */
	CU_ASSERT_EQUAL(why(&s, VPN, true, false), PT_DENIED);
	CU_ASSERT_EQUAL(why(&s, VPN, false, true), PT_MAPPED);
	put(&s, 2, 141, gpte_make(3, RWU | GPTE_NX));
	put(&s, 3, 43, gpte_make(4, GPTE_P | GPTE_W)); /* no U at level 2 */
	CU_ASSERT_EQUAL(why(&s, VPN, false, true), PT_DENIED);
	pt_walk(&s, 1, VPN, true, false, &path);
	CU_ASSERT_EQUAL(path.why, PT_MAPPED);
	CU_ASSERT_EQUAL(path.rights, PT_R_W);
	pt_store_fini(&s);
}

static void large_leaves(void)
{
	struct pt_store s;
	struct pt_path path;

	build(&s);
	put(&s, 3, 43, gpte_make(1024, RWU | GPTE_PS | GPTE_G));
	pt_walk(&s, 1, VPN, false, true, &path);
	CU_ASSERT_EQUAL(path.why, PT_MAPPED);
	CU_ASSERT_EQUAL(path.level, 2);
	CU_ASSERT_EQUAL(path.ppn, 1024 + 393);
	CU_ASSERT(path.rights & PT_R_G);
	/* Its last page lies in memory, the one after it does not. */
	put(&s, 3, 44, gpte_make(PAGES - 512, RWU | GPTE_PS));
	put(&s, 3, 45, gpte_make(PAGES, RWU | GPTE_PS));
	CU_ASSERT_EQUAL(why(&s, VPN + 512 + 118, false, true), PT_MAPPED);
	CU_ASSERT_EQUAL(why(&s, VPN + 1024, false, true), PT_OUTSIDE);
	pt_store_fini(&s);
}

/* Reserved bits: beyond 46 bits of address, PS above level 2, 13 to 20 of a 2 MiB leaf. */
static void reserved_bits_fault(void)
{
	struct pt_store s;

	build(&s);
	for (unsigned bit = 46; bit < 52; bit++) {
		put(&s, 4, 393, gpte_make(77, RWU) | UINT64_C(1) << bit);
		CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_RESERVED);
	}
	put(&s, 4, 393, gpte_make(77, RWU) | UINT64_C(1) << 52); /* ignored */
	CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_MAPPED);
	put(&s, 4, 393, (gpte_make(77, RWU) | UINT64_C(1) << 50) & ~GPTE_P);
	CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_ABSENT); /* nothing else counts */
	for (unsigned bit = 13; bit <= 20; bit++) {
		put(&s, 3, 43, gpte_make(1024, RWU | GPTE_PS) | UINT64_C(1) << bit);
		CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_RESERVED);
	}
	put(&s, 2, 141, gpte_make(3, RWU | GPTE_PS)); /* 1 GiB: this processor has none */
	CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_RESERVED);
	put(&s, 1, 4, gpte_make(2, RWU | GPTE_PS));
	CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_RESERVED);
	pt_store_fini(&s);
}

/* A word that points to its own table is every level below; the walk still has four steps. */
static void tables_of_tables(void)
{
	struct pt_store s;
	struct pt_path path;

	CU_ASSERT_EQUAL_FATAL(pt_store_init(&s, PAGES, &meter), 0);
	put(&s, 1, 7, gpte_make(1, RWU));
	uint64_t all = UINT64_C(7) << 27 | UINT64_C(7) << 18 | UINT64_C(7) << 9 | 7;
	pt_walk(&s, 1, all, true, true, &path);
	CU_ASSERT_EQUAL(path.why, PT_MAPPED);
	CU_ASSERT_EQUAL(path.ppn, 1);
	pt_walk(&s, 1, all - 1, true, true, &path);
	CU_ASSERT_EQUAL(path.why, PT_ABSENT);
	CU_ASSERT_EQUAL(path.level, 1);
	pt_store_fini(&s);
}

static void outside_memory(void)
{
	struct pt_store s;
	struct pt_path path;

	build(&s);
	put(&s, 3, 43, gpte_make(PAGES, RWU));
	pt_walk(&s, 1, VPN, false, false, &path);
	CU_ASSERT_EQUAL(path.why, PT_OUTSIDE);
	CU_ASSERT_EQUAL(path.level, 1);
	put(&s, 3, 43, gpte_make(4, RWU));
	put(&s, 4, 393, gpte_make((UINT64_C(1) << 34) - 1, RWU)); /* the last of 46 bits */
	CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_OUTSIDE);
	s.hole[s.holes++] = (struct pt_hole){70, 10}; /* devices, PPN 77 among them */
	put(&s, 4, 393, gpte_make(77, RWU));
	CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_OUTSIDE);
	put(&s, 4, 393, gpte_make(80, RWU));
	CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_MAPPED);
	pt_walk(&s, PAGES, VPN, false, false, &path);
	CU_ASSERT_EQUAL(path.why, PT_OUTSIDE);
	CU_ASSERT_EQUAL(path.level, 4);
	pt_store_fini(&s);
}

static void forgotten_tables_read_as_zeros(void)
{
	struct pt_store s;

	build(&s);
	uint64_t gen = s.upper_gen;
	uint64_t digest = pt_store_digest(&s);
	pt_forget(&s, (ppn_t){2});
	CU_ASSERT(s.upper_gen > gen);
	CU_ASSERT_EQUAL(pt_read(&s, (ppn_t){2}, 141), 0);
	CU_ASSERT_EQUAL(pt_read(&s, (ppn_t){4}, 393), gpte_make(77, RWU));
	CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_ABSENT);
	put(&s, 2, 141, gpte_make(3, RWU));
	CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_MAPPED);
	CU_ASSERT_EQUAL(pt_store_digest(&s), digest);
	pt_store_fini(&s);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

/* Whoever keeps what a walk through upper tables found must learn of each change there. */
static void upper_changes_are_counted(void)
{
	struct pt_store s;

	build(&s);
	CU_ASSERT_EQUAL(why(&s, VPN, false, false), PT_MAPPED); /* now 1, 2 and 3 are known */
	uint64_t gen = s.upper_gen;
	put(&s, 4, 0, gpte_make(9, RWU));  /* last level */
	put(&s, 3, 43, gpte_make(4, RWU)); /* no change */
	CU_ASSERT_EQUAL(s.upper_gen, gen);
	put(&s, 3, 44, gpte_make(9, RWU));
	CU_ASSERT_EQUAL(s.upper_gen, gen + 1);
	pt_store_fini(&s);
}

TESTS("pmap/pt", {"a page is found", a_page_is_found},
      {"rights are of all levels", rights_are_of_all_levels}, {"large leaves", large_leaves},
      {"reserved bits fault", reserved_bits_fault}, {"tables of tables", tables_of_tables},
      {"outside memory", outside_memory},
      {"forgotten tables read as zeros", forgotten_tables_read_as_zeros},
      {"upper changes are counted", upper_changes_are_counted})
