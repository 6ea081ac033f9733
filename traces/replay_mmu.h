/*
 * The replayer of a VM that has an MMU: the pages of its trace are virtual.
 *
 * A small kernel (traces/replay_kernel.h) gives them memory; the MMU translates
 * each reference. Of a physical trace, page n is virtual page n of one address
 * space. References from PT_KERNEL on are the kernel's: the processor changes its
 * mode for them.
 */
#ifndef BALLAST_TRACES_REPLAY_MMU_H
#define BALLAST_TRACES_REPLAY_MMU_H

#include "pmap/mmu.h"
#include "traces/traces.h"

struct replay_mmu;

/* As replay_new(): takes ownership of the source, also on failure. large: see kernel_new(). */
MUST_CHECK int replay_mmu_new(struct mmu *mmu, struct source *source, bool large,
			      struct replay_mmu **replay, struct err *err);

struct source_progress replay_mmu_progress(const struct replay_mmu *replay);

#endif
