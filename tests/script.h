/*
 * A source for tests that lends the batches it was given, one after another,
 * and ends or fails after them. Each batch lies alone in memory, followed by
 * words that no replayer may look at: records of no kind that exists.
 */
#ifndef BALLAST_TESTS_SCRIPT_H
#define BALLAST_TESTS_SCRIPT_H

#include "test.h"

#include "traces/private.h"

#include <string.h>

#define SCRIPT_GUARD 40 /* words behind a batch */

struct script {
	struct source source;
	rec_t **batch;
	size_t *words;
	size_t batches, next;
	int fail; /* 0, or what comes after the last batch */
};

static inline ssize_t script_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct script *s = (struct script *)source;

	if (s->next > 0) { /* lent until now */
		free(s->batch[s->next - 1]);
		s->batch[s->next - 1] = NULL;
	}
	if (s->next == s->batches)
		return s->fail ? err_input(err, "the script fails") : 0;
	*batch = s->batch[s->next];
	/* Every second time it says what it found, as sources may. */
	rec_t any;
	if (s->next % 2 && whole_records(*batch, s->words[s->next], &any) == s->words[s->next])
		source->any = any;
	return (ssize_t)s->words[s->next++];
}

static inline void script_close(struct source *source)
{
	struct script *s = (struct script *)source;

	for (size_t i = 0; i < s->batches; i++)
		free(s->batch[i]);
	free(s->batch);
	free(s->words);
	free(s);
}

static inline struct source_progress script_progress(const struct source *source)
{
	const struct script *s = (const struct script *)source;

	return (struct source_progress){s->next, s->batches};
}

static inline struct script *script_new(uint32_t tick_ns)
{
	static const struct source_ops ops = {script_next, script_close, script_progress};
	struct script *s = calloc(1, sizeof *s);

	if (!s)
		abort();
	source_init(&s->source, &ops, "script");
	s->source.info.tick_ns = tick_ns;
	return s;
}

static inline void script_add(struct script *s, const rec_t *words, size_t n)
{
	s->batch = realloc(s->batch, (s->batches + 1) * sizeof *s->batch);
	s->words = realloc(s->words, (s->batches + 1) * sizeof *s->words);
	rec_t *batch = malloc((n + SCRIPT_GUARD) * sizeof *batch);
	if (!s->batch || !s->words || !batch)
		abort();
	memcpy(batch, words, n * sizeof *batch);
	memset(batch + n, 0xff, SCRIPT_GUARD * sizeof *batch);
	s->batch[s->batches] = batch;
	s->words[s->batches++] = n;
}

#endif
