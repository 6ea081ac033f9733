/*
 * A run that an experiment looks at while it goes: rows of its own, at even
 * times of the host's clock, and once more at the end.
 */
#ifndef BALLAST_EXPERIMENTS_WATCH_H
#define BALLAST_EXPERIMENTS_WATCH_H

#include "core/host.h"
#include "core/job.h"

#include <jansson.h>

struct watch {
	uint64_t first_ns, step_ns;
	size_t rows; /* 0: only the end */
	void (*row)(void *arg, const struct host *host, size_t row);
	void (*end)(void *arg, const struct host *host); /* or NULL */
	void *arg;
};

/* A run that fails, a VM that fails or a row that is missing at the end is an error. */
MUST_CHECK int watch_run(struct job *job, const struct watch *watch, struct err *err);

/* A job: the program's own file (data_path()) with text on top of it. The caller frees it. */
MUST_CHECK int watch_job(const char *base, const char *text, struct job **job, struct err *err);

/* Tells of such a job (tell_job()), so that it can be run again. */
MUST_CHECK int watch_tell_job(json_t *told, const char *name, const char *base, const char *text,
			      struct err *err);

/* A counter or gauge of the VM by name, 0 where there is none. */
uint64_t watch_stat(const struct vm *vm, const char *name);

#endif
