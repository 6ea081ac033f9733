/* A job with an option of every type, for the tests of core/opt and core/job. */
#ifndef BALLAST_TESTS_JOB_TABLES_H
#define BALLAST_TESTS_JOB_TABLES_H

#include "core/job.h"

struct demo_host {
	uint64_t memory, period;
	int64_t frames, offset;
	double tax;
	bool sharing;
	char **reclaim;
	const struct policy *victim;
};

struct demo_vm {
	uint64_t memory;
	char *trace, *disk;
};

static const struct policy demo_lru = {"lru", "least recently used"};
static const struct policy demo_clock = {"clock", "second chance"};
static const struct policy *const demo_victims[] = {&demo_lru, &demo_clock, NULL};

static const struct opt demo_host_opts[] = {
	{"memory", OPT_BYTES, offsetof(struct demo_host, memory), "2mb", .min = 4096,
	 .max = 1099511627776.0, .help = "machine memory"},
	{"period", OPT_TIME, offsetof(struct demo_host, period), "30s", .help = "of sampling"},
	{"frames", OPT_INT, offsetof(struct demo_host, frames), "0", .help = "machine pages"},
	{"offset", OPT_INT, offsetof(struct demo_host, offset), NULL, .min = -10, .max = 10,
	 .help = "may be negative"},
	{"tax", OPT_REAL, offsetof(struct demo_host, tax), "75%", .max = 0.999, .help = "on idle"},
	{"sharing", OPT_BOOL, offsetof(struct demo_host, sharing), "on", .help = "of pages"},
	{"reclaim", OPT_LIST, offsetof(struct demo_host, reclaim), "balloon, swap",
	 .help = "in order"},
	{"victim", OPT_CHOICE, offsetof(struct demo_host, victim), "lru", .choices = demo_victims,
	 .help = "to evict"},
	{NULL},
};

static const struct opt demo_vm_opts[] = {
	{"memory", OPT_BYTES, offsetof(struct demo_vm, memory), NULL, .help = "size"},
	{"trace", OPT_STRING, offsetof(struct demo_vm, trace), NULL, .help = "a file"},
	{"disk", OPT_PATH, offsetof(struct demo_vm, disk), NULL, .help = "a path"},
	{NULL},
};

static const struct opt_section demo_host_section = {"host", false, sizeof(struct demo_host),
						     demo_host_opts, "the machine"};
static const struct opt_section demo_vm_section = {"vm", true, sizeof(struct demo_vm), demo_vm_opts,
						   "a guest"};
static const struct opt_section *const demo_sections[] = {&demo_host_section, &demo_vm_section,
							  NULL};

#endif
