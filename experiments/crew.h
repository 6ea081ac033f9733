/*
 * What the processes of one reproduction share: how many runs may go at once,
 * and how far each has come.
 *
 * Experiments run side by side, each in a process that spreads its runs over
 * processes of their own. So that all of them together keep to the jobs that
 * the user allowed, a run needs a token: a byte in a pipe, taken before it
 * starts and put back when it has ended, as make's jobserver has it. A process
 * that waits for a token holds none, so somebody always can go on.
 *
 * The process's own membership is the one thing that is kept outside objects:
 * it is inherited over fork(), as its descriptors are.
 */
#ifndef BALLAST_EXPERIMENTS_CREW_H
#define BALLAST_EXPERIMENTS_CREW_H

#include "core/err.h"

struct crew;

MUST_CHECK int crew_open(size_t jobs, size_t members, struct crew **crew, struct err *err);
void crew_close(struct crew *crew);

/* In a child: from now on parallel_run() here takes tokens of the crew, and tells as that member.
 */
void crew_join(struct crew *crew, size_t member);
void crew_leave(void); /* in a child of that child, whose run has its token */

/* In the leader: the member is dead. Its tokens go back, and its runs count as done. */
void crew_mourn(struct crew *crew, size_t member);

/* Runs done and known of by all members, and how many members have told of theirs. */
void crew_progress(const struct crew *crew, uint64_t *done, uint64_t *total, size_t *members);

/*
 * For parallel_run(): the descriptor that is readable while a token may be
 * there, -1 outside of a crew; and taking one (false: another was faster).
 */
int crew_token_fd(void);
bool crew_take(void);
void crew_give(void);

/* This process's member has so many runs more, or done; without effect outside of a crew. */
void crew_expect_runs(size_t runs);
void crew_run_done(void);

#endif
