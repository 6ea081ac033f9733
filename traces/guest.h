/*
 * A guest operating system as a model: what makes ballooning, double paging and
 * dbench mean something without a real guest.
 *
 * It is what drives a VM (core/host.h), in the replayer's place: an early Linux
 * 2.4 with a page allocator, two LRU lists each for page cache and anonymous
 * memory, processes with page tables, writeback, read-ahead, a disk with a
 * swap area on it, and structures sized at boot by the memory that is there;
 * or the same with the one habit of Windows that matters here: pages are zeroed
 * at boot and when they are freed. Every reference to guest memory goes through
 * the pmap, so that the host's mechanisms do the rest and none of them knows
 * what drives the VM. docs/guest.md says which mechanism each part stands for.
 *
 * The guest owns its model of memory; the host owns the memory. The guest's
 * time is its VM's: the processor's by cost, the disk's by waiting, an idle
 * guest's until the next timer.
 */
#ifndef BALLAST_TRACES_GUEST_H
#define BALLAST_TRACES_GUEST_H

#include "core/balloon_guest.h"
#include "core/oracle.h"
#include "pmap/pmap.h"
#include "traces/traces.h"

struct gos;

/* vm.NAME.os. */
struct guest_os {
	struct policy policy;
	bool zeroes; /* all memory at boot, and whatever is freed */
};

extern const struct policy *const guest_oses[]; /* none, linux, windows */

/* guest { }: how every guest OS of the job is built. Shares are of its memory. */
struct guest_opts {
	uint64_t kernel;	 /* bytes of text and data */
	bool boot_structures;	 /* sized by memory at boot */
	bool boot_limits;	 /* limits sized by memory at boot, whatever is ballooned */
	int64_t page_struct;	 /* bytes for each page of memory */
	int64_t hash_bytes;	 /* bytes for each page of memory, in hash tables */
	uint64_t inactive;	 /* bytes that are to wait on each inactive list */
	double dirty_background; /* of memory: writing begins */
	double dirty_most;	 /* of the same: writers wait */
	uint64_t dirty_age;	 /* ns until a change is written */
	uint64_t flush_period;	 /* ns */
	int64_t readahead;	 /* pages, at most */
	uint64_t swap;		 /* bytes */
	uint64_t disk_seek;	 /* ns, with the turn of the platter */
	uint64_t disk_transfer;	 /* ns a page */
	uint64_t fault_time;	 /* ns of the guest's own fault handler */
	uint64_t scan_time;	 /* ns for each page that reclaim looks at */
	uint64_t zero_time;	 /* ns to clear a page */
	bool memory_test;	 /* the BIOS clears all memory */
	uint64_t boot_time;	 /* ns that booting takes */
};

/* workload NAME { }: one table for all kinds; each reads what concerns it. */
struct load_opts {
	const struct policy *kind;
	uint64_t start;	   /* ns after boot */
	uint64_t duration; /* ns; 0: until it is done */
	int64_t seed;
	int64_t clients;    /* threads */
	uint64_t file_set;  /* bytes that a client's files come to */
	uint64_t file_size; /* bytes */
	uint64_t request;   /* bytes of a read or write */
	int64_t reads;	    /* for each write */
	int64_t rounds;	    /* times that the work is done */
	uint64_t page_time; /* ns of processor time for each page of a request */
	uint64_t think;	    /* ns */
	uint64_t memory;    /* bytes that it holds */
	uint64_t active;    /* bytes of them that it uses again and again */
	uint64_t period;    /* ns between looks at them */
	double write_ratio;
	double alpha;
	char **schedule; /* TIME:SIZE */
	char *trace;
	char *format;
};

extern const struct opt_section guest_section, workload_section;
extern const struct policy *const guest_loads[];

extern const struct guest gos_guest; /* its state is a struct gos */

/* A workload of the guest's, as the job has it. */
struct load_ref {
	const char *name;
	const struct load_opts *opts;
	const char *where; /* its section's place in the job, or NULL */
};

/*
 * A guest for the VM, which it drives from now on, or -errno and nothing
 * changed. oracle may be NULL; opts are copied, loads' options outlive it.
 */
MUST_CHECK int gos_new(struct vm *vm, const struct guest_os *os, const struct guest_opts *opts,
		       const struct load_ref *loads, size_t n, struct oracle *oracle,
		       struct gos **guest, struct err *err);

/* For a balloon driver in this guest. */
struct driver_guest gos_driver_guest(struct gos *g);

/* How far its workloads have come, of those that say how long they last. */
struct source_progress gos_progress(const struct gos *g);

#endif
