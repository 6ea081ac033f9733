/*
 * What the recorder's plugin, loaded into QEMU, sends to `ballast trace record`.
 *
 * Two pipes. The first carries references: native u64 words, the page in the
 * low bits, bit 63 a write; that is the trace format u64, so it is read as one.
 * The second carries one struct record_counts when QEMU ends.
 */
#ifndef BALLAST_LIVE_RECORD_H
#define BALLAST_LIVE_RECORD_H

#include <stdint.h>

#define RECORD_WRITE (UINT64_C(1) << 63)

struct record_counts {
	uint64_t magic;	    /* RECORD_MAGIC: the plugin came to its end */
	uint64_t accesses;  /* of data, by all vCPUs */
	uint64_t records;   /* sent */
	uint64_t io;	    /* accesses to devices, which are no memory */
	uint64_t lost;	    /* accesses whose physical page QEMU did not tell */
	uint64_t code_lost; /* blocks of instructions outside of the guest's main memory */
	uint64_t agree,
		differ; /* data and instructions at one virtual page: the same physical one? */
};

#define RECORD_MAGIC UINT64_C(0x62616c6c72656331)

#endif
