/* The options of mmu { }, and the processors that presets stand for. */
#include "pmap/mmu_private.h"

/*
 * Sizes: Intel 64 and IA-32 Architectures Optimization Reference Manual (248966),
 * "TLB parameters of the Skylake client microarchitecture" (table 2-15 of revision
 * 045, the same for Skylake servers): data TLB 64 entries, 4 ways, for 4 KiB; 32
 * entries, 4 ways, for 2 MiB; second level 1536 entries, 12 ways, for both, at 9
 * cycles. (CPUID's descriptor C3H says 6 ways there; measurements found the manual's
 * 128 sets of 12: Gras et al., "TLBleed", USENIX Security 2018.) PCIDs: 12 bits (Intel
 * SDM vol. 3A, section 4.10.1), of which systems use a few (Linux: 6). Intel does not
 * publish its paging-structure caches; 32 and 4 entries were found by measurement (van
 * Schaik et al., "RevAnC: A framework for reverse engineering hardware page table
 * caches", EuroSec 2017).
 */
static const struct mmu_preset preset_skylake = {
	{"skylake", "Intel Skylake: 64 and 32 entries of 4 ways, then 1536 of 12 ways"},
	{
		.l1_entries = 64,
		.l1_ways = 4,
		.l1_large_entries = 32,
		.l1_large_ways = 4,
		.l2_entries = 1536,
		.l2_ways = 12,
		.pde_cache = 32,
		.pdpte_cache = 4,
		.nested_tlb = 0,
		.asids = 6,
		.l2_hit = 9,
	},
};

/*
 * Software Optimization Guide for AMD Family 17h Models 30h and Greater (56305),
 * section 2.7: data TLB of 64 entries, fully associative, for all sizes; second level
 * of 2048 entries for 4 KiB and 2 MiB, which holds page directory entries as well. The
 * guide says 12 ways of the latter, which 2048 is no multiple of: the array is skewed,
 * each size with ways of its own. Ours is not, and takes 16 ways, so that it holds as
 * many. Assumed, since not published for this processor: 7 cycles more for a hit there,
 * as of its predecessor; 64 page directory entries; and a nested TLB of 24 entries, of
 * the size of those that Bhargava et al. (ASPLOS 2008) study.
 */
static const struct mmu_preset preset_zen2 = {
	{"zen2",
	 "AMD Zen 2: 64 entries, fully associative, for both sizes, then 2048, here of 16 ways"},
	{
		.l1_entries = 64,
		.l1_ways = 0,
		.l1_large_entries = 0,
		.l1_large_ways = 0,
		.l2_entries = 2048,
		.l2_ways = 16,
		.pde_cache = 64,
		.pdpte_cache = 64,
		.nested_tlb = 24,
		.asids = 6,
		.l2_hit = 7,
	},
};

const struct policy *const mmu_presets[] = {
	&preset_skylake.policy,
	&preset_zen2.policy,
	NULL,
};

#define MMU(field) offsetof(struct mmu_opts, field)
#define COUNT(name, field, def, max, help)                                                         \
	{                                                                                          \
		name, OPT_INT, MMU(field), def, -1, max, NULL, help                                \
	}
#define CYCLES(name, field, def, help)                                                             \
	{                                                                                          \
		name, OPT_INT, MMU(field), def, 0, 1e9, NULL, help                                 \
	}

static const struct opt mmu_options[] = {
	{"preset", OPT_CHOICE, MMU(preset), "skylake", 0, 0, mmu_presets,
	 "a processor, which gives what stands at -1 here"},
	COUNT("l1_entries", l1_entries, "-1", TLB_ENTRIES_MAX, "entries of the first-level TLB"),
	COUNT("l1_ways", l1_ways, "-1", TLB_WAYS_MAX, "its ways; 0: fully associative"),
	COUNT("l1_large_entries", l1_large_entries, "-1", TLB_ENTRIES_MAX,
	      "first-level entries for 2 MiB pages; 0: these lie among the others"),
	COUNT("l1_large_ways", l1_large_ways, "-1", TLB_WAYS_MAX,
	      "their ways; 0: fully associative"),
	COUNT("l2_entries", l2_entries, "-1", TLB_ENTRIES_MAX,
	      "entries of the second-level TLB, for both sizes; 0: there is none"),
	COUNT("l2_ways", l2_ways, "-1", TLB_WAYS_MAX, "its ways; 0: fully associative"),
	COUNT("pde_cache", pde_cache, "-1", 4096,
	      "last-level tables whose addresses are cached, in each dimension of a walk"),
	COUNT("pdpte_cache", pdpte_cache, "-1", MMU_PDPTES_MAX,
	      "tables of each level above whose addresses are cached"),
	COUNT("nested_tlb", nested_tlb, "-1", 4096,
	      "PPNs whose frames are cached for walks; 0: there is no nested TLB"),
	COUNT("asids", asids, "-1", MMU_ASIDS_MAX,
	      "address spaces that a TLB tells apart; 0: each CR3 load flushes it"),
	COUNT("l2_hit", l2_hit, "-1", 1e6, "cycles of a second-level TLB hit"),
	CYCLES("walk_ref", walk_ref, "15",
	       "cycles of a memory reference by a walk: a mean over the caches"),
	CYCLES("guest_fault", guest_fault, "1000",
	       "cycles of a page fault in the guest, to its kernel and back"),
	CYCLES("exit", exit, "1200", "cycles of an exit to the VMM and back"),
	CYCLES("hidden_fault", hidden_fault, "1500",
	       "cycles of the VMM's work on a fault: it walks the guest's tables and fills its "
	       "own"),
	CYCLES("ept_fault", ept_fault, "1000", "cycles of the VMM's work to fill in its EPT"),
	CYCLES("pt_write", pt_write, "1500",
	       "cycles of the VMM's work to decode and emulate a write to a guest's table"),
	CYCLES("resync", resync, "2000", "cycles to compare an out-of-sync table with its shadow"),
	CYCLES("mode_switch", mode_switch, "300",
	       "cycles to change between user and kernel shadows"),
	CYCLES("hypercall", hypercall, "300", "cycles of a hypercall, without its requests"),
	CYCLES("update", update, "200", "cycles to validate and make one update of a table"),
	CYCLES("l1_exits", l1_exits, "12",
	       "exits that a guest hypervisor causes while it handles one of its own guest's"),
	{"batch", OPT_INT, MMU(batch), "32", 1, 4096, NULL,
	 "direct: updates that a hypercall takes"},
	{"shadow_pages", OPT_INT, MMU(shadow_pages), "0", 0, UINT32_MAX, NULL,
	 "shadow: most pages that shadow tables may take; 0: no limit"},
	{"large", OPT_BOOL, MMU(large), "off", 0, 0, NULL,
	 "map 2 MiB at once where frames lie in a row (large.frames); shadow, direct: and the "
	 "guest does"},
	{"split", OPT_BOOL, MMU(split), "on", 0, 0, NULL,
	 "shadow: tables for user mode apart, without the kernel's pages"},
	{"unsync", OPT_BOOL, MMU(unsync), "off", 0, 0, NULL,
	 "shadow: let the guest write to a last-level table, and compare at its next flush"},
	{"charge", OPT_BOOL, MMU(charge), "off", 0, 0, NULL,
	 "costs move the VM's clock; off: they are only counted, so that modes see the same "
	 "events"},
	{"ghz", OPT_REAL, MMU(ghz), "3", 0.1, 100, NULL, "cycles in a ns (charge = on)"},
	{NULL},
};

const struct opt_section mmu_section = {
	"mmu",
	false,
	sizeof(struct mmu_opts),
	mmu_options,
	"the processor's memory management unit, and what its virtualization costs",
};
