/*
 * The laws of the generators; for traces/gen*.c and their tests.
 *
 * A law turns options into page numbers in [0, pages), a buffer at a time; the
 * generator around it adds the write bits. Every purpose has a random stream of
 * its own ("gen.page", "gen.choice", "gen.write"), so that changing write_ratio
 * leaves the pages alone. The laws, with S = set_pages, L = phase_refs:
 *
 *   sequential  page(t) = t mod pages: the loop that defeats LRU
 *   uniform     every page with probability 1 / pages
 *   zipf        P(rank k) = k^-alpha / sum over j of j^-alpha, k from 1 (Breslau et
 *               al., "Web caching and Zipf-like distributions", INFOCOM 1999); a
 *               seeded bijection maps ranks to pages, so neighbours in rank are
 *               none in address
 *   phases      every L references the locality set jumps to S pages in a row at
 *               a uniform place; within it references are uniform (phases and
 *               transitions: Denning and Kahn, SOSP 1975)
 *   drift       the window of S pages moves on by S pages every L references,
 *               round and round; references in it are uniform, but each belongs
 *               with probability scan_ratio to one scan over all pages in order
 *   mix         each reference comes from one of several laws, chosen by weight
 *   image       contents, for sharing. The first `pages` references write every page
 *               once, in random order; those after it come `pace` of computing
 *               apart, each with probability write_ratio a rewriting, else a read of
 *               any page. Of P = pages, rounded: zero P are zero; copies P hold
 *               copy_contents P contents, spread evenly, drawn from copy_contents
 *               P / member of the image's; common P hold one content each, drawn from
 *               common P / member of the image's; the others hold contents of the
 *               VM's own. The VM is `seed`, the image `image`: two VMs of an image
 *               share a fraction member of what each drew. A rewriting gives one of S
 *               pages in a random place what a random page of the image holds
 *   toucher     touches the first N pages in order, once each `pass`, where N is what
 *               `schedule` says of the time; a quarter as many as S, a pass, go to random
 *               ones of the last S pages, which stand for what else the guest does. With
 *               zero_thread the pass after N falls to 0 touches once more all that the
 *               program ever had: a guest that zeroes what was freed
 *   netbuf      the first `pages` references write each page once, in order; then packets,
 *               `pace` apart, go round a ring of S pages at scattered places: with probability
 *               write_ratio the device writes the buffer and the guest reads it, else the
 *               guest writes it and the device reads it; each is followed by a read of any
 *               page. Three references a packet
 *   walker, build, server, database
 *               processes in virtual memory, with what they ask of their kernel;
 *               traces/gen_procs.c says what each does
 */
#ifndef BALLAST_TRACES_GEN_H
#define BALLAST_TRACES_GEN_H

#include "core/rng.h"
#include "traces/private.h"

struct law {
	struct policy policy;
	size_t size; /* of the state */
	/* opts are checked and complete (no zero that stands for a default). */
	int (*start)(void *state, const struct gen_opts *opts, uint64_t index, struct err *err);
	void (*fill)(void *state, uint64_t *page, size_t n);
	/* Instead of fill, where pages are not all: `refs` records of up to two words each. */
	size_t (*words)(void *state, rec_t *word, size_t refs);
	/* Optional: how many records there are, where options other than refs say so. */
	int (*refs)(const struct gen_opts *opts, uint64_t *refs, struct err *err);
	/* Optional: the command that makes the trace again, where other options than most laws'. */
	void (*describe)(const struct gen_opts *opts, char *text, size_t size);
	uint32_t tick_ns;	   /* of their times; 0: they have none */
	bool is_virtual;	   /* its pages are VPNs */
	void (*stop)(void *state); /* frees what the state owns; or NULL */
};

extern const struct law law_sequential, law_uniform, law_zipf, law_phases, law_drift, law_mix,
	law_image, law_toucher, law_netbuf, law_walker, law_build, law_server, law_database;

/* A bijection on [0, n), drawn from a stream: invertible mixing, walked until it falls below n. */
struct scatter {
	uint64_t n, mask, add;
	unsigned shift;
};

void scatter_init(struct scatter *s, uint64_t n, struct rng *rng);

static inline uint64_t scatter(const struct scatter *s, uint64_t x)
{
	do {
		x = (x + s->add) * 0x9e3779b97f4a7c15u & s->mask;
		x ^= x >> s->shift;
		x = x * 0xd6e8feb86659fd93u & s->mask;
		x ^= x >> s->shift;
	} while (x >= s->n);
	return x;
}

#endif
