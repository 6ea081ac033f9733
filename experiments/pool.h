/*
 * Workers: a process for each task, some at a time, their answers as they end.
 *
 * A task is done in a process forked for it, so that it starts from this one's
 * memory without copying it, leaves nothing behind, and can die without taking
 * more than itself along: a crash is told like any other end. Answers are text
 * of any length. Nothing is kept of a task once it has ended, so that a
 * million of them take no more memory than one. Workers die with this process,
 * however it ends.
 */
#ifndef BALLAST_EXPERIMENTS_POOL_H
#define BALLAST_EXPERIMENTS_POOL_H

#include "core/err.h"

#include <stdio.h>

struct pool_tasks {
	size_t workers; /* at a time; 0: one for each core */
	/* The next task, or false when there is none left. */
	bool (*next)(void *arg, uint64_t *task);
	/* In the worker: writes the answer. */
	void (*work)(void *arg, uint64_t task, FILE *answer);
	/*
	 * Here: a task has ended. death is NULL, or says how the worker died ("Killed");
	 * the answer is then what it wrote until then. answer ends in a NUL beyond size.
	 * -errno stops all the others.
	 */
	int (*ended)(void *arg, uint64_t task, const char *answer, size_t size, const char *death,
		     struct err *err);
	void *arg;
	int stop_fd; /* where it turns readable, all is stopped and -EINTR returned; -1: none */
};

/* 0 when every task has ended; otherwise those under way were stopped and are not told of. */
MUST_CHECK int pool_run(const struct pool_tasks *tasks, struct err *err);

#endif
