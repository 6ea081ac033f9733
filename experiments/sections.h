/*
 * The sections of a job file that belong to no part of the manager: what drives
 * each VM, and what a run records.
 */
#ifndef BALLAST_EXPERIMENTS_SECTIONS_H
#define BALLAST_EXPERIMENTS_SECTIONS_H

#include "core/opt.h"

/* vm NAME { } of a job file. */
struct vm_opts {
	uint64_t memory; /* bytes; 0: up to the trace's highest page */
	char *trace;	 /* a file */
	char *format;	 /* its reader; NULL: auto */
	int64_t trace_vm;
	char *gen; /* a generator's section, instead of a trace */
	const struct policy *translation;
	bool large_pages;  /* of its kernel */
	char *share_group; /* NULL: the default group */
	bool balloon;
	double balloon_cap;	/* share of its pages; 0: balloon.cap */
	uint64_t balloon_start; /* ns */
	uint64_t min, max;	/* bytes; experiments/terms.h says what they are unless given */
	uint64_t overhead;	/* bytes */
	int64_t shares;
	const struct policy *os;
	char **workload; /* sections, for a VM with an os */
	/* A live guest; experiments/vm_live.h says what goes with what. */
	const struct policy *live;  /* of live_kinds[] */
	const struct policy *accel; /* of accel_kinds[] */
	char *program;		    /* of a process: words */
	char *run, *kernel, *initrd, *disk, *append;
	int64_t smp, disk_rate;
	uint64_t start;	       /* ns */
	uint64_t balloon_size; /* bytes; 0: by the policy */
};

/* run { } */
struct run_opts {
	uint64_t sample; /* ns of virtual time between rows of series.csv */
	bool digest;	 /* translate and hash the references of flat VMs too */
	bool oracle;	 /* check every page's contents at the end */
};

extern const struct opt_section vm_section, run_section;
extern const struct policy *const live_kinds[];	 /* none, linux, process */
extern const struct policy *const accel_kinds[]; /* auto, kvm, tcg */

/* A pipe or standard input: what was read of it is gone. */
bool trace_reads_once(const char *path);

#endif
