/*
 * A guest program whose working set is known: it touches as much memory as its
 * schedule says, every page as often as any other.
 *
 *   toucher [-f] [-r PASSES] [-p FILE] SIZE:SECONDS[,SIZE:SECONDS]...
 *
 * Each phase touches the first SIZE ("40m") of its memory, in order, over and
 * over: PASSES times a second (1), or with 0 as fast as it can. What a smaller
 * phase leaves stays mapped and is not touched; with -f it is given back to the
 * kernel. The memory is anonymous, of pages of 4 KiB, or with -p a FILE, mapped
 * whole ("-": the file that $BALLAST_RAM names). A touch reads what the page must
 * hold and writes another; wrong ones are counted. ops are pages touched.
 *
 * The toucher of Waldspurger 2002, section 5.3 and Fig. 6.
 */
#include "live/guest/report.h"
#include "live/guest/size.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PHASES_MAX 256
#define SECOND	   UINT64_C(1000000000)
#define STRETCH	   256 /* pages between two looks at the clock */

struct phase {
	uint64_t pages, seconds;
};

struct toucher {
	struct report report;
	struct phase phase[PHASES_MAX];
	unsigned phases, at;
	uint64_t passes_per_s;
	bool frees;
	uint64_t pages; /* of the largest phase */
	volatile uint64_t *memory;
	uint32_t *version; /* [pages] how often it was written since it was new */
	uint64_t done, bad;
};

static bool read_schedule(struct toucher *t, const char *text)
{
	do {
		struct phase *p = &t->phase[t->phases++];
		if (!take_size(&text, ":", &p->pages) || *text++ != ':' ||
		    !take_count(&text, ",", 1000000, &p->seconds) || p->seconds == 0)
			return false;
		p->pages /= SIZE_PAGE;
		t->pages = p->pages > t->pages ? p->pages : t->pages;
	} while (*text++ == ',' && t->phases < PHASES_MAX);
	return text[-1] == '\0' && t->pages > 0;
}

static bool map(struct toucher *t, const char *path)
{
	uint64_t bytes = t->pages * SIZE_PAGE;
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	struct stat st;

	if (path) {
		const char *ram = getenv("BALLAST_RAM");
		fd = open(strcmp(path, "-") == 0 && ram ? ram : path, O_RDWR);
		if (fd < 0 || fstat(fd, &st) || (uint64_t)st.st_size < bytes)
			return false;
		bytes = (uint64_t)st.st_size;
		flags = MAP_SHARED;
	}
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED)
		return false;
	madvise(memory, bytes, MADV_NOHUGEPAGE); /* a page is a page, where the kernel has others */
	t->memory = memory;
	t->version = calloc(t->pages, sizeof *t->version);
	return t->version != NULL;
}

/* A word that no other page and no other version has; a new page has 0. */
static uint64_t content(uint64_t page, uint32_t version)
{
	return version ? (page + 1) << 32 | version : 0;
}

static void touch(struct toucher *t, uint64_t page)
{
	volatile uint64_t *word = &t->memory[page * (SIZE_PAGE / 8) + page % (SIZE_PAGE / 8)];

	t->bad += *word != content(page, t->version[page]);
	t->version[page] += t->version[page] == UINT32_MAX ? 2 : 1;
	*word = content(page, t->version[page]);
	t->done++;
}

static void tell(struct toucher *t)
{
	if (report_due(&t->report))
		report_line(&t->report, t->done, "phase=%u size_kb=%llu bad_so_far=%llu", t->at,
			    (unsigned long long)t->phase[t->at].pages * (SIZE_PAGE / 1024),
			    (unsigned long long)t->bad);
}

/* One pass over the phase's pages, broken off at its end. */
static void pass(struct toucher *t, uint64_t end_ns)
{
	const uint64_t pages = t->phase[t->at].pages;

	for (uint64_t i = 0; i < pages; i++) {
		touch(t, i);
		if (i % STRETCH)
			continue;
		tell(t);
		if (report_now() >= end_ns)
			return;
	}
}

static void run_phase(struct toucher *t, uint64_t end_ns)
{
	const uint64_t every = t->passes_per_s ? SECOND / t->passes_per_s : 0;
	uint64_t next = report_now();

	while (report_now() < end_ns) {
		pass(t, end_ns);
		next += every;
		while (every && report_now() < next && report_now() < end_ns) {
			report_wait(&t->report, next < end_ns ? next : end_ns);
			tell(t);
		}
		if (every && next + SECOND < report_now())
			next = report_now(); /* it cannot keep up, and does not try to */
		tell(t);
	}
}

/* What the next phase does not use goes back to the kernel. */
static void give_back(struct toucher *t)
{
	uint64_t first = t->phase[t->at].pages;

	if (!t->frees || t->at == 0 || first >= t->phase[t->at - 1].pages)
		return;
	madvise((void *)(t->memory + first * (SIZE_PAGE / 8)), (t->pages - first) * SIZE_PAGE,
		MADV_DONTNEED);
	memset(t->version + first, 0, (t->pages - first) * sizeof *t->version);
}

static int usage(void)
{
	fprintf(stderr, "usage: toucher [-f] [-r PASSES] [-p FILE] SIZE:SECONDS[,...]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct toucher t = {.passes_per_s = 1};
	const char *path = NULL;
	int option;

	while ((option = getopt(argc, argv, "fr:p:")) != -1) {
		if (option == 'f')
			t.frees = true;
		else if (option == 'p')
			path = optarg;
		else if (option != 'r' || !is_count(optarg, 0, 1000000, &t.passes_per_s))
			return usage();
	}
	if (optind + 1 != argc || !read_schedule(&t, argv[optind]) || (path && t.frees))
		return usage();
	if (!map(&t, path)) {
		perror("toucher: no memory");
		return 2;
	}
	report_start(&t.report, "toucher");
	uint64_t end_ns = t.report.start_ns;
	for (t.at = 0; t.at < t.phases; t.at++) {
		end_ns += t.phase[t.at].seconds * SECOND;
		give_back(&t);
		run_phase(&t, end_ns);
	}
	report_end(&t.report, t.bad, "done=%llu", (unsigned long long)t.done);
	return t.bad ? 1 : 0;
}
