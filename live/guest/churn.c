/*
 * A guest that knows what its heap must hold: blocks of every size are taken,
 * resized and freed by several threads, and checked to the last byte.
 *
 *   churn SECONDS THREADS SEED MIB [FORKS]
 *
 * Each thread keeps up to MIB / THREADS of blocks; what malloc() refuses is
 * counted and borne: then it frees some. calloc() must give zeroes, memalign()
 * what it is asked for. FORKS times a child checks the main thread's blocks as
 * they were. Ends with a check of every block and a line
 * `ops N bad N refused N`; SIGTERM ends it early. Exit code 1 if a byte was
 * wrong.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCKS	    4096 /* of a thread */
#define THREADS_MAX 64

static volatile sig_atomic_t stop;

struct block {
	uint8_t *at;
	size_t size;
	uint64_t seed;
};

struct worker {
	pthread_t thread;
	struct block block[BLOCKS];
	uint64_t random, ops, bad, refused;
	size_t held, most; /* bytes */
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	x ^= x >> 29;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ x >> 32;
}

static uint64_t draw(struct worker *w)
{
	w->random += UINT64_C(0x9e3779b97f4a7c15);
	return mix(w->random);
}

/* Mostly small, some of many pages. */
static size_t draw_size(struct worker *w)
{
	const uint64_t kind = draw(w) % 100;

	if (kind < 60)
		return draw(w) % 256 + 1;
	if (kind < 90)
		return draw(w) % 8192 + 1;
	return draw(w) % (kind < 99 ? 100000 : 1000000) + 1;
}

/* Word i of the block is seed + i times something; the last may be cut. */
static uint64_t word_of(const struct block *b, size_t i)
{
	return (b->seed + i) * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(struct block *b)
{
	for (size_t at = 0; at < b->size; at += 8) {
		const uint64_t word = word_of(b, at / 8);
		memcpy(b->at + at, &word, b->size - at < 8 ? b->size - at : 8);
	}
}

/* Whether the first n bytes are the block's. */
static bool is_right(const struct block *b, size_t n)
{
	for (size_t at = 0; at < n; at += 8) {
		const uint64_t word = word_of(b, at / 8);
		if (memcmp(b->at + at, &word, n - at < 8 ? n - at : 8) != 0)
			return false;
	}
	return true;
}

static bool is_zero(const uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (at[i])
			return false;
	}
	return true;
}

static void drop(struct worker *w, struct block *b)
{
	w->bad += !is_right(b, b->size);
	w->held -= b->size;
	free(b->at);
	*b = (struct block){NULL, 0, 0};
}

static void drop_some(struct worker *w)
{
	for (int i = 0; i < BLOCKS / 8; i++) {
		struct block *b = &w->block[draw(w) % BLOCKS];
		if (b->at)
			drop(w, b);
	}
}

static void take(struct worker *w, struct block *b)
{
	const uint64_t how = draw(w) % 4;
	const size_t align = (size_t)16 << draw(w) % 10;
	struct block new = {NULL, draw_size(w), draw(w)};

	if (how == 0)
		new.at = calloc(1, new.size);
	else if (how == 1)
		new.at = memalign(align, new.size);
	else
		new.at = malloc(new.size);
	if (!new.at) {
		w->refused++;
		drop_some(w);
		return;
	}
	w->bad += how == 0 && !is_zero(new.at, new.size);
	w->bad += how == 1 && (uintptr_t) new.at % align != 0;
	w->bad += malloc_usable_size(new.at) < new.size;
	fill(&new);
	*b = new;
	w->held += b->size;
}

static void resize(struct worker *w, struct block *b)
{
	const size_t size = draw_size(w), old = b->size;
	uint8_t *at = realloc(b->at, size);

	if (!at) {
		w->refused++;
		drop_some(w);
		return;
	}
	b->at = at;
	b->size = size;
	w->held += size - old;
	w->bad += !is_right(b, size < old ? size : old);
	fill(b);
}

static void work(struct worker *w)
{
	struct block *b = &w->block[draw(w) % BLOCKS];

	if (!b->at)
		take(w, b);
	else if (draw(w) % 4 == 0)
		resize(w, b);
	else
		drop(w, b);
	if (w->held > w->most)
		drop_some(w);
	w->ops++;
}

static uint64_t check_all(const struct worker *w)
{
	uint64_t bad = 0;

	for (size_t i = 0; i < BLOCKS; i++)
		bad += w->block[i].at && !is_right(&w->block[i], w->block[i].size);
	return bad;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	while (!stop)
		work(w);
	w->bad += check_all(w);
	return NULL;
}

/* The child sees this thread's blocks, and may use the heap itself. */
static bool fork_once(struct worker *w)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		uint64_t bad = check_all(w);
		w->bad = 0;
		for (int i = 0; i < 2000; i++)
			work(w);
		_exit(bad + w->bad + check_all(w) ? 1 : 0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

int main(int argc, char **argv)
{
	static struct worker worker[THREADS_MAX];
	uint64_t ops = 0, bad = 0, refused = 0, forks;
	struct sigaction act = {.sa_handler = on_signal};

	if (argc < 5) {
		fprintf(stderr, "usage: churn SECONDS THREADS SEED MIB [FORKS]\n");
		return 2;
	}
	const uint64_t threads = strtoull(argv[2], NULL, 10), seed = strtoull(argv[3], NULL, 10);
	forks = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
	if (threads < 1 || threads > THREADS_MAX)
		return 2;
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGALRM, &act, NULL);
	alarm((unsigned)atoi(argv[1]));
	for (uint64_t i = 0; i < threads; i++) {
		worker[i].random = seed * 1000 + i;
		worker[i].most = ((size_t)strtoull(argv[4], NULL, 10) << 20) / threads;
		if (i > 0 && pthread_create(&worker[i].thread, NULL, run, &worker[i]))
			return 2;
	}
	for (; forks > 0; forks--) {
		for (int i = 0; i < 5000 && !stop; i++)
			work(&worker[0]);
		worker[0].bad += !fork_once(&worker[0]);
	}
	run(&worker[0]);
	for (uint64_t i = 0; i < threads; i++) {
		if (i > 0)
			pthread_join(worker[i].thread, NULL);
		ops += worker[i].ops;
		bad += worker[i].bad;
		refused += worker[i].refused;
	}
	printf("ops %llu bad %llu refused %llu\n", (unsigned long long)ops, (unsigned long long)bad,
	       (unsigned long long)refused);
	return bad ? 1 : 0;
}
