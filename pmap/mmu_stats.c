/* What an MMU counts, and what it cost. */
#include "pmap/mmu_private.h"

#define STAT(field) offsetof(struct mmu, stats.field)

#define BROKEN(cause, name, why)                                                                   \
	{                                                                                          \
		name, STAT_COUNTER, "1", STAT(large_broken[cause]), false, "of large_breaks: " why \
	}

const struct stat_row mmu_stat_rows[] = {
	{"tlb_l2_hits", STAT_COUNTER, "1", STAT(tlb_l2_hits), false,
	 "references that the first-level TLB missed and the second had"},
	{"tlb_misses", STAT_COUNTER, "1", STAT(tlb_misses), true,
	 "references that no TLB had: walks"},
	{"tlb_flushes", STAT_COUNTER, "1", STAT(tlb_flushes), false,
	 "flushes of more than a page, by guest or VMM"},
	{"walk_refs", STAT_COUNTER, "1", STAT(walk_refs), true, "references to memory by walks"},
	{"guest_faults", STAT_COUNTER, "1", STAT(guest_faults), true,
	 "page faults that the guest's kernel got"},
	{"exits", STAT_COUNTER, "1", STAT(exits), true, "exits to the VMM and back, of all kinds"},
	{"hidden_faults", STAT_COUNTER, "1", STAT(hidden_faults), false,
	 "exits: faults on the VMM's tables that the guest never learns of"},
	{"true_faults", STAT_COUNTER, "1", STAT(true_faults), false,
	 "exits: the guest's own page faults, passed on to it"},
	{"ept_faults", STAT_COUNTER, "1", STAT(ept_faults), false,
	 "exits: a page that the table of PPN to MPN lacks"},
	{"pt_writes", STAT_COUNTER, "1", STAT(pt_writes), false,
	 "exits: writes to a guest's table that was write-protected"},
	{"flush_exits", STAT_COUNTER, "1", STAT(flush_exits), false,
	 "exits: the guest flushed a page or a space"},
	{"root_exits", STAT_COUNTER, "1", STAT(root_exits), false, "exits: the guest loaded CR3"},
	{"mode_switches", STAT_COUNTER, "1", STAT(mode_switches), false,
	 "changes between user and kernel tables"},
	{"hypercalls", STAT_COUNTER, "1", STAT(hypercalls), false,
	 "requests of the guest, by batch"},
	{"updates", STAT_COUNTER, "1", STAT(updates), false,
	 "updates of tables that were requested"},
	{"l1_exits", STAT_COUNTER, "1", STAT(l1_exits), false,
	 "exits: those that the guest's own hypervisor causes"},
	{"resyncs", STAT_COUNTER, "1", STAT(resyncs), false,
	 "tables that were out of sync and were compared"},
	{"refused", STAT_COUNTER, "1", STAT(refused), false,
	 "requests that would have broken the guest's bounds"},
	{"mmio", STAT_COUNTER, "1", STAT(mmio), false, "references to what is no memory"},
	{"zaps", STAT_COUNTER, "1", STAT(zaps), false,
	 "entries of the VMM's tables taken out since the host changed a page"},
	{"zap_pages", STAT_COUNTER, "1", STAT(zap_pages), false,
	 "translations flushed one by one since the VMM changed its tables"},
	{"zap_flushes", STAT_COUNTER, "1", STAT(zap_flushes), false,
	 "flushes of all TLBs since it did"},
	{"shadow_evicted", STAT_COUNTER, "1", STAT(evicted), false,
	 "shadow tables given up for mmu.shadow_pages"},
	{"large_maps", STAT_COUNTER, "1", STAT(large_maps), false, "mappings of 2 MiB made"},
	{"large_breaks", STAT_COUNTER, "1", STAT(large_breaks), false,
	 "mappings of 2 MiB broken into small ones"},
	{"large_again", STAT_COUNTER, "1", STAT(large_again), false,
	 "mappings of 2 MiB made where one had been broken"},
	BROKEN(CAUSE_SHARED, "large_broken_share", "since a page was shared"),
	BROKEN(CAUSE_SWAPPED, "large_broken_swap", "since a page was swapped out"),
	BROKEN(CAUSE_SAMPLED, "large_broken_sample", "since a page was sampled"),
	BROKEN(CAUSE_BALLOONED, "large_broken_balloon", "since a page went to the balloon"),
	BROKEN(CAUSE_HARVESTED, "large_broken_log",
	       "since a page's dirty or accessed bit was harvested"),
	BROKEN(CAUSE_MOVED, "large_broken_move", "since a page was moved to another frame"),
	BROKEN(CAUSE_DROPPED, "large_broken_drop", "since a page holds nothing any more"),
	BROKEN(CAUSE_TABLE, "large_broken_table",
	       "since a page is a table now, or the tables above it changed (shadow, direct)"),
	{"table_pages", STAT_GAUGE, "pages", STAT(table_pages), true, "the VMM's tables"},
	{"guest_tables", STAT_GAUGE, "pages", STAT(guest_tables), true, "the guest's tables"},
	{"translation_cycles", STAT_COUNTER, "cycles", STAT(cycles), true,
	 "what all of this cost, by the options of mmu"},
	{"cycles_per_ref", STAT_REAL, "cycles", STAT(cycles_per_ref), false,
	 "the same, by the reference"},
	{NULL},
};

uint64_t mmu_cycles(const struct mmu *mmu)
{
	const struct mmu_stats *s = &mmu->stats;
	const struct mmu_opts *o = &mmu->opts;
	const struct {
		uint64_t n;
		int64_t cost;
	} what[] = {
		{s->tlb_l2_hits, o->l2_hit},
		{s->walk_refs, o->walk_ref},
		{s->guest_faults, o->guest_fault},
		{s->exits, o->exit},
		{s->hidden_faults, o->hidden_fault},
		{s->true_faults, o->hidden_fault},
		{s->ept_faults, o->ept_fault},
		{s->pt_writes, o->pt_write},
		{s->resyncs, o->resync},
		{s->mode_switches, o->mode_switch},
		{s->hypercalls, o->hypercall},
		{s->updates, o->update},
	};
	uint64_t cycles = 0;

	for (size_t i = 0; i < ARRAY_LEN(what); i++)
		cycles += what[i].n * (uint64_t)what[i].cost;
	return cycles;
}

void mmu_refresh(struct mmu *mmu)
{
	struct mmu_stats *s = &mmu->stats;

	if (mmu->mode->refresh)
		mmu->mode->refresh(mmu);
	s->guest_tables = mmu->tables.used - 1;
	s->cycles = mmu_cycles(mmu);
	s->cycles_per_ref = mmu->refs ? (double)s->cycles / (double)mmu->refs : 0;
}
