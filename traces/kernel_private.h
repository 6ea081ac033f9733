/* For the files of the replayer's kernel: memory, tables, faults (replay_kernel.c), spaces. */
#ifndef BALLAST_TRACES_KERNEL_PRIVATE_H
#define BALLAST_TRACES_KERNEL_PRIVATE_H

#include "traces/private.h"
#include "traces/replay_kernel.h"

#define COW  (UINT64_C(1) << 9)	 /* shared since a fork, and writable by right */
#define PROT (UINT64_C(1) << 10) /* a write is to be let through, and ends the protection */

#define FLAGS_TABLE (GPTE_P | GPTE_W | GPTE_U)
#define FLUSH_MOST  33 /* pages to flush one by one; more: the whole space, as Linux does */

struct space {
	uint32_t root; /* 0: none yet */
};

struct kernel {
	struct mmu *mmu;
	uint32_t pages;
	uint32_t *refs; /* [pages] mappings; of a table, its words in use */
	uint32_t *free; /* [pages] a stack: frees of it */
	uint32_t frees, fresh;
	struct idmap *ids; /* number -> index into space */
	struct space *space;
	size_t spaces, room, current;
	bool large;
	struct kernel_stats stats;
};

static inline gpte_t kernel_word(const struct kernel *k, uint32_t table, unsigned i)
{
	return pt_read(&k->mmu->tables, (ppn_t){table}, i);
}

/* Changes the word i of a table, and counts those in use. */
MUST_CHECK int kernel_set_word(struct kernel *k, uint32_t table, unsigned i, gpte_t word,
			       struct err *err);

/* A call that only a bug makes fail, with its message. */
int kernel_checked(int rc, struct err *err);

/* A zeroed page that stays in its frame, for a table. */
MUST_CHECK int kernel_new_table(struct kernel *k, uint32_t *table, struct err *err);

/* The new table, whatever is in it, becomes the word i of the one above. */
MUST_CHECK int kernel_link_table(struct kernel *k, uint32_t above, unsigned i, uint32_t table,
				 unsigned level, struct err *err);

static inline uint32_t kernel_root(const struct kernel *k)
{
	return k->space[k->current].root;
}

/* Pages that a word of that level maps. */
static inline uint64_t kernel_span(unsigned level)
{
	return UINT64_C(1) << (9 * (level - 1));
}

#endif
