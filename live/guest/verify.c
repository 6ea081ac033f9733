/*
 * A guest that knows what each of its pages must read as: the page verifier.
 *
 *   verify FILE SECONDS THREADS SEED [PAGES]
 *
 * Maps FILE, whole, as its memory; "-" is the file that $BALLAST_RAM names. Each thread owns every
 * THREADS-th page; over and over it checks all 512 words of some page of its own, and mostly writes
 * another content: zeroes, one of 32 that other pages and guests have too, or
 * one of its own. What it wrote is remembered outside that memory. Some checks
 * and writes go through the kernel, with write() and read() on a pipe. Ends
 * with a check of every page and a line `ops N bad N`, for people, and the same
 * for the host (report.h); SIGTERM ends it early.
 * PAGES bounds the pages that are used. Exit code 1 if a page was wrong.
 */
#include "live/guest/report.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE	    4096
#define WORDS	    (PAGE / 8)
#define COMMON	    32
#define THREADS_MAX 64

static volatile sig_atomic_t stop;
static uint64_t *memory;
static uint64_t pages, threads, seed;
static uint32_t *version; /* [pages] */

struct worker {
	pthread_t thread;
	uint64_t id, ops, bad, random;
	int pipe[2];
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

/* Word i of the page as of its version: 0 is zeroes, 1 of each 4 a common one. */
static void content(uint64_t page, uint32_t v, uint64_t *first, uint64_t *step)
{
	uint64_t id = v % 4 == 1 ? mix(v) % COMMON + 1 : mix(page * 1000003 + v) ^ seed;

	*first = v % 4 == 0 ? 0 : mix(id);
	*step = v % 4 == 0 ? 0 : mix(id + 7) | 1;
}

static bool is_right(uint64_t page, const uint64_t *words)
{
	uint64_t word, step;

	content(page, version[page], &word, &step);
	for (int i = 0; i < WORDS; i++, word += step) {
		if (words[i] != word) {
			fprintf(stderr, "page %llu version %u word %d: %016llx, must be %016llx\n",
				(unsigned long long)page, version[page], i,
				(unsigned long long)words[i], (unsigned long long)word);
			return false;
		}
	}
	return true;
}

static void fill(uint64_t page, uint64_t *words)
{
	uint64_t word, step;

	content(page, version[page], &word, &step);
	for (int i = 0; i < WORDS; i++, word += step)
		words[i] = word;
}

/* The kernel reads the page, and hands what it read back. */
static bool check_by_kernel(struct worker *w, uint64_t page)
{
	uint64_t copy[WORDS];

	if (write(w->pipe[1], memory + page * WORDS, PAGE) != PAGE ||
	    read(w->pipe[0], copy, PAGE) != PAGE)
		return false;
	return is_right(page, copy);
}

/* The kernel writes the page. */
static bool fill_by_kernel(struct worker *w, uint64_t page)
{
	uint64_t copy[WORDS];

	fill(page, copy);
	return write(w->pipe[1], copy, PAGE) == PAGE &&
	       read(w->pipe[0], memory + page * WORDS, PAGE) == PAGE;
}

/* A page of the worker's: mostly of the first quarter. */
static uint64_t choose(struct worker *w)
{
	uint64_t mine = (pages - w->id + threads - 1) / threads;
	uint64_t within = draw(w) % 5 ? (mine + 3) / 4 : mine;

	return draw(w) % within * threads + w->id;
}

static void work(struct worker *w)
{
	uint64_t page = choose(w), what = draw(w) % 100;

	bool right = what < 3 ? check_by_kernel(w, page) : is_right(page, memory + page * WORDS);
	if (what % 10 < 4) {
		version[page] = (uint32_t)draw(w);
		if (what < 3)
			right &= fill_by_kernel(w, page);
		else
			fill(page, memory + page * WORDS);
	}
	w->bad += !right;
	w->ops++;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	while (!stop)
		work(w);
	for (uint64_t page = w->id; page < pages; page += threads)
		w->bad += !is_right(page, memory + page * WORDS);
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static bool map(const char *path)
{
	struct stat st;
	const char *ram = getenv("BALLAST_RAM");
	int fd = open(strcmp(path, "-") == 0 && ram ? ram : path, O_RDWR);

	if (fd < 0 || fstat(fd, &st))
		return false;
	memory = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pages = (uint64_t)st.st_size / PAGE;
	return memory != MAP_FAILED;
}

int main(int argc, char **argv)
{
	static struct worker worker[THREADS_MAX];
	uint64_t ops = 0, bad = 0;
	struct report report;

	report_start(&report, "verify");
	if (argc < 5 || !map(argv[1])) {
		fprintf(stderr, "usage: verify FILE SECONDS THREADS SEED [PAGES]\n");
		return 2;
	}
	threads = strtoull(argv[3], NULL, 10);
	seed = strtoull(argv[4], NULL, 10);
	if (argc > 5 && strtoull(argv[5], NULL, 10) < pages)
		pages = strtoull(argv[5], NULL, 10);
	version = calloc(pages, sizeof *version);
	if (threads < 1 || threads > THREADS_MAX || pages < threads || !version)
		return 2;
	signal(SIGTERM, on_signal);
	signal(SIGALRM, on_signal);
	alarm((unsigned)atoi(argv[2]));
	for (uint64_t i = 0; i < threads; i++) {
		worker[i].id = i;
		worker[i].random = seed * 1000 + i;
		if (pipe(worker[i].pipe) ||
		    pthread_create(&worker[i].thread, NULL, run, &worker[i]))
			return 2;
	}
	for (uint64_t i = 0; i < threads; i++) {
		pthread_join(worker[i].thread, NULL);
		ops += worker[i].ops;
		bad += worker[i].bad;
	}
	printf("ops %llu bad %llu\n", (unsigned long long)ops, (unsigned long long)bad);
	report_end(&report, bad, "ops=%llu", (unsigned long long)ops);
	return bad ? 1 : 0;
}
