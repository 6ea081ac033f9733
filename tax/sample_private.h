/* For tax/sample*.c and their tests: the socket of the samplers. */
#ifndef BALLAST_TAX_SAMPLE_PRIVATE_H
#define BALLAST_TAX_SAMPLE_PRIVATE_H

#include "core/rng.h"
#include "pmap/large.h"
#include "tax/sample.h"

struct probe_stats {
	uint64_t active;	/* pages: the estimate, always the latest */
	uint64_t invalidations; /* pages mapped until their rights were taken */
	uint64_t faults;	/* touches that failed for nothing else */
	uint64_t harvested;	/* accessed bits looked at */
	uint64_t cpu_ns;	/* what that took */
	uint64_t bytes;		/* of the sampler's memory for this VM */
};

/* A sampler at work on one VM. */
struct probe {
	const struct sampler *sampler;
	const struct sample_opts *opts;
	struct vm *vm;
	struct pmap *pmap;
	bool tells;	     /* its estimate is the VM's */
	struct probe *truth; /* the probe whose sampler is exact, or NULL */
	void *state;
	struct timer timer;
	struct rng rng; /* of this VM */
	struct probe_stats stats;
};

/*
 * The socket. start begins the first period, tick is called every interval ns
 * of VM time from then on, touched when a page that probe_sample() took is
 * touched; each leaves the estimate by probe_found(). start returns 0 or
 * -ENOMEM, and stop frees what it made, whole or not. All but tick and interval
 * may be NULL.
 */
struct sampler {
	struct policy policy;
	size_t state_size; /* zeroed before start */
	const struct stat_row *rows;
	bool watches; /* takes pages' rights: needs touched */
	uint64_t (*interval)(const struct sample_opts *opts);
	int (*start)(struct probe *p);
	void (*stop)(struct probe *p);
	void (*tick)(struct probe *p);
	void (*touched)(struct probe *p, ppn_t ppn);
};

extern const struct sampler sampler_esx, sampler_abit, sampler_mrc, sampler_exact, sampler_none;

/* One probe, driven by hand in tests; p->vm, pmap, opts, sampler and rng are set. */
MUST_CHECK int probe_start(struct probe *p);
void probe_stop(struct probe *p);

/* Takes the rights of a page that is not sampled; counts and charges it. */
void probe_sample(struct probe *p, ppn_t ppn);

/* The sampled page was touched: by a fault of its own, if minor. */
void probe_touched(struct probe *p, ppn_t ppn, bool minor);

/* The estimate, in pages. */
void probe_found(struct probe *p, uint64_t pages);

/* Lets the VM pay for n of something; truth is free. */
void probe_charge(struct probe *p, uint64_t n, uint64_t each_ns);

/* Memory of the probe, counted, zeroed, or NULL; freed with the same size. */
void *probe_alloc(struct probe *p, size_t bytes);
void probe_free(struct probe *p, void *memory, size_t bytes);

static inline uint64_t sample_period(const struct sample_opts *opts)
{
	return opts->period;
}

/* Distinct pages touched within the last period, up to now. p's sampler is exact. */
uint64_t exact_count(struct probe *p);

#endif
