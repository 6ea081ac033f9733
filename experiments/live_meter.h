/*
 * What is measured of a live guest from outside its memory: what its programs
 * tell on its console (live/console.h), and the time that it could not run
 * (live/steal.h). Both are statistics of its VM, and so columns of series.csv.
 */
#ifndef BALLAST_EXPERIMENTS_LIVE_METER_H
#define BALLAST_EXPERIMENTS_LIVE_METER_H

#include "live/console.h"
#include "live/live.h"
#include "live/steal.h"

#include <jansson.h>

#define METER_PROGRAMS 8 /* of a guest; further ones are not told apart */

struct live_meter {
	struct console console;
	struct steal_meter steal_meter;
	struct steal before; /* at the last reading, at read_ns */
	uint64_t read_ns;
	struct {
		char name[CONSOLE_NAME];
		uint64_t t_ms, done;
		double rate, touched;
	} program[METER_PROGRAMS];
	size_t programs;
	unsigned ends; /* programs that have told their end */
	/* The statistics. */
	double ops_per_s, steal, touched_mb;
	uint64_t ops, bad, damaged;
};

/* Of a VM that is new. */
void meter_bind(struct live_meter *m, struct live_vm *v);

/* Reads what is new in the guest's log, and its threads' times. now_ns: monotonic. */
void meter_read(struct live_meter *m, const char *log, const struct live_vm *v, uint64_t now_ns);

void meter_close(struct live_meter *m);

/*
 * Puts the counts that a guest tells at its end into its VM's summary; "bad" is
 * null where none of its programs has told it.
 */
void meter_tell(const struct live_meter *m, json_t *summary);

#endif
