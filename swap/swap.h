/*
 * Host-level paging: what the manager does when a guest will not help.
 *
 * A victim policy picks a frame; this module writes its page to a slot of the
 * swap area, if the area has no copy already, and frees it; a later touch
 * reads the page back. A page read back leaves its slot to its frame, so that
 * evicting it again unchanged costs no write; such slots are the first to go
 * when the area is full.
 *
 * The area is a real file where pages have bytes (backing ram): every slot is
 * checksummed (XXH64) when written and verified when read, so that a lying
 * disk stops one VM and never hands it wrong bytes. With backing ids only the
 * content id travels and the disk's time is accounted.
 *
 * A slot that cannot be written is retired and another tried; a page that
 * cannot be read back is lost, and its VM with it. One host, one thread.
 */
#ifndef BALLAST_SWAP_SWAP_H
#define BALLAST_SWAP_SWAP_H

#include "core/os.h"
#include "pmap/pmap.h"

struct swap_opts {
	const struct policy *victim; /* of victims[] */
	int64_t cluster;	     /* pages; 0: by the backing */
	uint64_t size;		     /* bytes; 0: as much as all VMs' memory */
	char *dir;		     /* where the file lies; NULL: the temporary folder */
	uint64_t read_time;	     /* ns to read a page: the VM waits */
	uint64_t write_time;	     /* ns to write one, waited for only without a free reserve */
	uint64_t wsclock_tau;	     /* ns */
	double s3fifo_small;	     /* share of frames for the small queue */
};

#define SWAP_BATCH 64 /* pages that leave together at most */

extern const struct opt_section swap_section;
extern const struct policy *const victims[];
extern const struct reclaimer swap_reclaimer;

struct swap;

/*
 * Makes swap a part and a reclaimer of the host, with room for `slots` pages
 * (the caller has resolved opts->size). io: &os_io, or a test's failing disk.
 */
MUST_CHECK int swap_open(struct host *host, struct pmap_part *pmaps, const struct swap_opts *opts,
			 uint32_t slots, const struct os_io *io, struct swap **swap,
			 struct err *err);

/*
 * Puts the slots' checksums where they outlive the host, and takes over a file
 * with pages in it (fd, swap's to close; -1: the new one). Before any page is
 * swapped; what pages lie there pmap_adopt() tells. Only with a file.
 */
void swap_keep(struct swap *swap, int fd, uint64_t *sums);

/* Reads the page in a slot, where pages have bytes, without a change to anything. 0 or -errno. */
MUST_CHECK int swap_peek(const struct swap *swap, uint32_t slot, uint8_t *page, struct err *err);

/*
 * Has pages that leave in batches written by io_uring, while they are being
 * checksummed. 0, or -errno where the kernel has none for us: then as before.
 */
MUST_CHECK int swap_async(struct swap *swap);

/* The file's descriptor, for tests that damage it; -1 with backing ids. */
int swap_fd(const struct swap *swap);

#endif
