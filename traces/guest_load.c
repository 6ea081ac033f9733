/* Options of guests and workloads, and what all workloads need. */
#include "traces/guest_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct policy *const guest_loads[] = {
	&load_idle.policy,     &load_toucher.policy, &load_dbench.policy, &load_webserver.policy,
	&load_database.policy, &load_build.policy,   &load_trace.policy,  NULL,
};

#define GUEST(field) offsetof(struct guest_opts, field)

static const struct opt guest_options[] = {
	{"kernel", OPT_BYTES, GUEST(kernel), "3mb", 0, 0x1p30, NULL, "kernel text and data"},
	{"boot_structures", OPT_BOOL, GUEST(boot_structures), "on", 0, 0, NULL,
	 "structures sized by the memory at boot"},
	{"boot_limits", OPT_BOOL, GUEST(boot_limits), "on", 0, 0, NULL,
	 "limits to changed pages as shares of memory at boot; off: less what is in the balloon"},
	{"page_struct", OPT_INT, GUEST(page_struct), "68", 0, 4096, NULL,
	 "bytes in mem_map for each page of memory"},
	{"hash_bytes", OPT_INT, GUEST(hash_bytes), "11", 0, 4096, NULL,
	 "bytes in hash tables for each page of memory"},
	{"inactive", OPT_BYTES, GUEST(inactive), "8mb", 0, 0x1p40, NULL,
	 "pages that wait on each inactive list, at most half of its kind"},
	{"dirty_background", OPT_REAL, GUEST(dirty_background), "30%", 0, 1, NULL,
	 "changed part of memory at which writing begins"},
	{"dirty_most", OPT_REAL, GUEST(dirty_most), "60%", 0, 1, NULL,
	 "the same at which those who write must wait"},
	{"dirty_age", OPT_TIME, GUEST(dirty_age), "30s", 0, 0, NULL,
	 "age at which a change is written"},
	{"flush_period", OPT_TIME, GUEST(flush_period), "5s", 1000, 0, NULL,
	 "time between looks for such changes"},
	{"readahead", OPT_INT, GUEST(readahead), "31", 0, 128, NULL,
	 "pages of a file that are read ahead, at most"},
	{"swap", OPT_BYTES, GUEST(swap), "256mb", 0, 0x1p36, NULL, "the guest's swap area"},
	{"disk_seek", OPT_TIME, GUEST(disk_seek), "8ms", 0, 1e12, NULL,
	 "mean time until the first block of a request, if it is not the next"},
	{"disk_transfer", OPT_TIME, GUEST(disk_transfer), "200us", 0, 1e12, NULL,
	 "time for each page of a request"},
	{"fault_time", OPT_TIME, GUEST(fault_time), "1us", 0, 1e12, NULL,
	 "processor time of the guest's page-fault handler"},
	{"scan_time", OPT_TIME, GUEST(scan_time), "200ns", 0, 1e12, NULL,
	 "processor time for each page that reclaim looks at"},
	{"zero_time", OPT_TIME, GUEST(zero_time), "4us", 0, 1e12, NULL,
	 "processor time to clear a page"},
	{"memory_test", OPT_BOOL, GUEST(memory_test), "off", 0, 0, NULL,
	 "the BIOS tests and clears all memory, so that every page has been touched"},
	{"boot_time", OPT_TIME, GUEST(boot_time), "30s", 0, 0, NULL, "time that booting takes"},
	{NULL},
};

const struct opt_section guest_section = {
	"guest",
	false,
	sizeof(struct guest_opts),
	guest_options,
	"the operating system of VMs that have one (vm.NAME.os)",
};

#define LOAD(field) offsetof(struct load_opts, field)

static const struct opt load_options[] = {
	{"kind", OPT_CHOICE, LOAD(kind), "idle", 0, 0, guest_loads, "what it does"},
	{"start", OPT_TIME, LOAD(start), "0", 0, 0, NULL, "time after booting at which it begins"},
	{"duration", OPT_TIME, LOAD(duration), "0", 0, 0, NULL,
	 "time after which it ends; 0: when it is done"},
	{"seed", OPT_INT, LOAD(seed), "1", 0, 0, NULL, "of its random streams"},
	{"clients", OPT_INT, LOAD(clients), "40", 1, 10000, NULL,
	 "dbench, webserver: clients; kernel-build: compilers at once"},
	{"file_set", OPT_BYTES, LOAD(file_set), "7mb", 4096, 0x1p36, NULL,
	 "what the files come to; dbench: of each client; kernel-build: the headers"},
	{"file_size", OPT_BYTES, LOAD(file_size), "512kb", 4096, 0x1p36, NULL, "size of a file"},
	{"request", OPT_BYTES, LOAD(request), "64kb", 4096, 0x1p27, NULL,
	 "size of a read or write"},
	{"reads", OPT_INT, LOAD(reads), "2", 0, 1000, NULL, "dbench: reads for each write"},
	{"rounds", OPT_INT, LOAD(rounds), "1", 1, 1e9, NULL,
	 "times that the work is done; kernel-build: files to compile"},
	{"page_time", OPT_TIME, LOAD(page_time), "100us", 0, 1e12, NULL,
	 "processor time for each page that is read or written, or that a query uses"},
	{"think", OPT_TIME, LOAD(think), "0", 0, 0, NULL, "time between requests of a client"},
	{"memory", OPT_BYTES, LOAD(memory), "16mb", 0, 0x1p43, NULL,
	 "memory that it holds; dbench, kernel-build: each client, each compiler"},
	{"active", OPT_BYTES, LOAD(active), "8mb", 0, 0x1p43, NULL,
	 "idle, database: part of it in use"},
	{"period", OPT_TIME, LOAD(period), "1s", 1000, 0, NULL,
	 "idle, toucher, database: time in which it goes through what is in use"},
	{"write_ratio", OPT_REAL, LOAD(write_ratio), "10%", 0, 1, NULL,
	 "part of its touches of memory that write"},
	{"alpha", OPT_REAL, LOAD(alpha), "0.9", 0, 10, NULL,
	 "webserver: the k-th most popular file is asked for as k^-alpha"},
	{"trace", OPT_STRING, LOAD(trace), NULL, 0, 0, NULL,
	 "trace: file with the references of processes, by virtual page"},
	{"format", OPT_STRING, LOAD(format), NULL, 0, 0, NULL,
	 "trace: how to read it; unset: as its first bytes and its name say"},
	{"schedule", OPT_LIST, LOAD(schedule), NULL, 0, 0, NULL,
	 "toucher, idle, database: TIME:SIZE, in order: from then on so much is in use"},
	{NULL},
};

const struct opt_section workload_section = {
	"workload",
	true,
	sizeof(struct load_opts),
	load_options,
	"what a VM with an operating system does (vm.NAME.workload)",
};

uint64_t load_start_ns(const struct gos *g, const struct load_opts *o)
{
	return g->born_ns + g->opts.boot_time + o->start;
}

uint64_t load_end_ns(const struct gos *g, const struct load_opts *o)
{
	return o->duration ? load_start_ns(g, o) + o->duration : UINT64_MAX;
}

int load_needs_duration(struct gos *g, const struct load_opts *o)
{
	if (o->duration)
		return 0;
	return err_input(&g->err, "a workload of kind %s never ends: give its duration",
			 o->kind->name);
}

static int parse_step(const char *text, struct load_step *step, struct err *err)
{
	const char *colon = strchr(text, ':');
	char time[40];
	uint64_t bytes;

	if (!colon || (size_t)(colon - text) >= sizeof time)
		return err_input(err, "schedule: '%.40s' is no TIME:SIZE, like 30s:50mb", text);
	memcpy(time, text, (size_t)(colon - text));
	time[colon - text] = '\0';
	int rc = parse_time(time, &step->at_ns, err);
	if (rc == 0)
		rc = parse_bytes(colon + 1, &bytes, err);
	if (rc)
		err_prefix(err, "schedule: '%.40s'", text);
	else
		step->pages = load_pages(bytes);
	return rc;
}

int load_schedule(struct gos *g, char *const *list, struct load_step **out, size_t *n)
{
	struct load_step *steps;

	for (*n = 0; list && list[*n];)
		++*n;
	if (*n == 0)
		return err_input(&g->err, "the schedule is empty: give TIME:SIZE, ...");
	steps = calloc(*n, sizeof *steps);
	if (!steps)
		return err_run(&g->err, ENOMEM, "no memory for a schedule");
	for (size_t i = 0; i < *n; i++) {
		int rc = parse_step(list[i], &steps[i], &g->err);
		if (rc == 0 && i && steps[i].at_ns <= steps[i - 1].at_ns)
			rc = err_input(&g->err, "schedule: '%.40s' is not after the one before it",
				       list[i]);
		if (rc) {
			free(steps);
			return rc;
		}
	}
	*out = steps;
	return 0;
}

struct source_progress gos_progress(const struct gos *g)
{
	uint64_t end = 0;

	for (size_t i = 0; i < g->loads; i++) {
		if (g->load[i].opts->duration)
			end = max_u64(end, load_end_ns(g, g->load[i].opts));
	}
	return (struct source_progress){min_u64(gos_now(g), end), end};
}
