#include "traces/gen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct policy *const trace_laws[] = {
	&law_sequential.policy, &law_uniform.policy,
	&law_zipf.policy,	&law_phases.policy,
	&law_drift.policy,	&law_mix.policy,
	&law_image.policy,	&law_toucher.policy,
	&law_netbuf.policy,	&law_walker.policy,
	&law_build.policy,	&law_server.policy,
	&law_database.policy,	NULL,
};

static const struct opt gen_table[] = {
	{"law", OPT_CHOICE, offsetof(struct gen_opts, law), "zipf", 0, 0, trace_laws,
	 "how pages are drawn"},
	{"refs", OPT_INT, offsetof(struct gen_opts, refs), "1000000", 1, 0x1p48, NULL,
	 "references to make"},
	{"pages", OPT_INT, offsetof(struct gen_opts, pages), "65536", 1, 0x1p36, NULL,
	 "pages to draw from, numbered from 0"},
	{"seed", OPT_INT, offsetof(struct gen_opts, seed), "1", 0, 0, NULL,
	 "of every random stream; the same seed gives the same trace"},
	{"write_ratio", OPT_REAL, offsetof(struct gen_opts, write_ratio), "0.3", 0, 1, NULL,
	 "share of references that write; image: of those after the first `pages`; netbuf: of "
	 "packets that are received"},
	{"alpha", OPT_REAL, offsetof(struct gen_opts, alpha), "0.9", 0, 10, NULL,
	 "zipf: the exponent; 0 is uniform"},
	{"set_pages", OPT_INT, offsetof(struct gen_opts, set_pages), "0", 0, 0x1p36, NULL,
	 "phases, drift: pages of the working set; image: those rewritten; toucher: background; "
	 "netbuf: ring; 0: an eighth"},
	{"phase_refs", OPT_INT, offsetof(struct gen_opts, phase_refs), "0", 0, 0x1p48, NULL,
	 "phases, drift: references until the set has moved; 0 means a twentieth of refs"},
	{"scan_ratio", OPT_REAL, offsetof(struct gen_opts, scan_ratio), "0.05", 0, 1, NULL,
	 "drift: share of references that belong to the scan over all pages"},
	{"churn", OPT_REAL, offsetof(struct gen_opts, churn), "0", 0, 1, NULL,
	 "walker: share of references that unmap a page first"},
	{"mix", OPT_STRING, offsetof(struct gen_opts, mix), NULL, 0, 0, NULL,
	 "mix: the laws and their weights, \"zipf:3 sequential:1\""},
	{"zero", OPT_REAL, offsetof(struct gen_opts, zero), "5%", 0, 1, NULL,
	 "image: part of pages that are zero"},
	{"copies", OPT_REAL, offsetof(struct gen_opts, copies), "10%", 0, 1, NULL,
	 "image: part of pages whose content the VM has more than once"},
	{"copy_contents", OPT_REAL, offsetof(struct gen_opts, copy_contents), "4%", 0, 0.5, NULL,
	 "image: distinct contents of those, as a part of pages"},
	{"common", OPT_REAL, offsetof(struct gen_opts, common), "40%", 0, 1, NULL,
	 "image: part of pages drawn from a pool that all VMs of the image draw from"},
	{"member", OPT_REAL, offsetof(struct gen_opts, member), "90%", 0.01, 1, NULL,
	 "image: probability that a VM holds a content of a pool"},
	{"image", OPT_INT, offsetof(struct gen_opts, image), "1", 0, 0, NULL,
	 "image: the seed of its contents, the same for VMs that are to share"},
	{"pace", OPT_TIME, offsetof(struct gen_opts, pace), "100ms", 0, 16e9, NULL,
	 "image: virtual time of computing between touches, once all pages are written; netbuf: "
	 "between packets"},
	{"schedule", OPT_STRING, offsetof(struct gen_opts, schedule), NULL, 0, 0, NULL,
	 "toucher: what it touches when, \"0:0 8.5:50 10:150 20\": minute:MB, the last minute the "
	 "end"},
	{"pass", OPT_TIME, offsetof(struct gen_opts, pass), "1s", 1000, 16e9, NULL,
	 "toucher: virtual time in which each page is touched once"},
	{"zero_thread", OPT_BOOL, offsetof(struct gen_opts, zero_thread), "off", 0, 0, NULL,
	 "toucher: when it ends, the guest touches what it had once more, to zero it"},
	{NULL},
};

const struct opt_section gen_section = {
	.name = "gen",
	.titled = true,
	.size = sizeof(struct gen_opts),
	.opts = gen_table,
	.help = "a generated trace",
};

struct generator {
	struct source source;
	const struct law *law;
	void *state;
	struct rng write;
	uint64_t write_below; /* of 2^32 */
	uint64_t done, refs;
	uint64_t page[BATCH_WORDS];
	rec_t word[BATCH_WORDS];
};

void scatter_init(struct scatter *s, uint64_t n, struct rng *rng)
{
	unsigned bits = 0;

	while (bits < 63 && UINT64_C(1) << bits < n)
		bits++;
	s->n = n;
	s->mask = (UINT64_C(1) << bits) - 1;
	s->shift = (unsigned)max_u64(1, (bits + 1) / 2);
	s->add = rng_u64(rng);
}

/* One draw decides two references. */
static void add_writes(struct generator *g, size_t n)
{
	for (size_t i = 0; i < n; i += 2) {
		uint64_t r = rng_u64(&g->write);

		g->word[i] = g->page[i] << 28 | ((uint32_t)r < g->write_below);
		if (i + 1 < n)
			g->word[i + 1] = g->page[i + 1] << 28 | (r >> 32 < g->write_below);
	}
}

static ssize_t generator_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct generator *g = (struct generator *)source;
	size_t n = min_u64(g->refs - g->done, BATCH_WORDS / (g->law->words ? 2 : 1));

	(void)err; /* nothing can fail */
	if (n && g->law->words) {
		g->done += n;
		*batch = g->word;
		n = g->law->words(g->state, g->word, n);
	} else if (n) {
		g->law->fill(g->state, g->page, n);
		add_writes(g, n);
		g->done += n;
		*batch = g->word;
	}
	return (ssize_t)n;
}

static void generator_close(struct source *source)
{
	struct generator *g = (struct generator *)source;

	if (g->state && g->law->stop)
		g->law->stop(g->state);
	free(g->state);
	free(g);
}

static struct source_progress generator_progress(const struct source *source)
{
	const struct generator *g = (const struct generator *)source;

	return (struct source_progress){g->done, g->refs};
}

static const struct source_ops generator_ops = {
	generator_next,
	generator_close,
	generator_progress,
};

/* Ranges again, since options need not come from the table; then what spans several. */
static int check(const struct gen_opts *o, struct err *err)
{
	if (!o->law)
		return err_input(err, "a generator needs a law");
	if (o->refs < 1 || o->pages < 1 || o->pages > (int64_t)(REC_PAGE_MAX + 1))
		return err_input(err, "refs and pages must be at least 1, pages at most 2^36");
	if (!(o->write_ratio >= 0 && o->write_ratio <= 1) ||
	    !(o->scan_ratio >= 0 && o->scan_ratio <= 1) || !(o->alpha >= 0 && o->alpha <= 10))
		return err_input(err, "write_ratio and scan_ratio lie in 0 to 1, alpha in 0 to 10");
	if (o->set_pages < 0 || o->set_pages > o->pages)
		return err_input(err, "set_pages = %lld is more than pages = %lld: lower it",
				 (long long)o->set_pages, (long long)o->pages);
	if (o->phase_refs < 0)
		return err_input(err, "phase_refs is negative: give the references of a phase");
	return 0;
}

static int complete(struct gen_opts *o, struct err *err)
{
	const struct law *law = (const struct law *)o->law; /* its first member */
	uint64_t refs;

	if (!o->set_pages)
		o->set_pages = o->pages / 8 ? o->pages / 8 : 1;
	if (!o->phase_refs)
		o->phase_refs = o->refs / 20 ? o->refs / 20 : 1;
	if (!law->refs)
		return 0;
	int rc = law->refs(o, &refs, err);
	if (rc == 0)
		o->refs = (int64_t)refs;
	return rc;
}

/* All that makes the trace again. */
static void describe_options(const struct gen_opts *o, struct trace_info *info)
{
	const struct law *law = (const struct law *)o->law; /* its first member */

	if (law->describe)
		law->describe(o, info->provenance, sizeof info->provenance);
	else
		snprintf(info->provenance, sizeof info->provenance,
			 "ballast trace gen %s refs=%lld pages=%lld seed=%lld write_ratio=%g "
			 "alpha=%g "
			 "set_pages=%lld phase_refs=%lld scan_ratio=%g mix=%.60s",
			 o->law->name, (long long)o->refs, (long long)o->pages, (long long)o->seed,
			 o->write_ratio, o->alpha, (long long)o->set_pages,
			 (long long)o->phase_refs, o->scan_ratio, o->mix ? o->mix : "");
}

static void describe(const struct gen_opts *o, struct trace_info *info)
{
	const struct law *law = (const struct law *)o->law; /* its first member */

	snprintf(info->format, sizeof info->format, "%s", o->law->name);
	describe_options(o, info);
	if (law->tick_ns)
		info->tick_ns = law->tick_ns;
	info->records = (uint64_t)o->refs;
	info->highest_page = law->is_virtual ? REC_PAGE_MAX : (uint64_t)o->pages - 1;
	info->space = law->is_virtual ? TRACE_VPN : TRACE_PPN;
}

int source_generate(const struct gen_opts *opts, struct source **source, struct err *err)
{
	struct gen_opts o = *opts;
	struct generator *g;
	int rc = check(&o, err);

	if (rc == 0)
		rc = complete(&o, err);
	if (rc)
		return rc;
	g = calloc(1, sizeof *g);
	if (!g)
		return err_run(err, ENOMEM, "out of memory");
	source_init(&g->source, &generator_ops, o.law->name);
	describe(&o, &g->source.info);
	g->law = (const struct law *)o.law; /* its first member */
	g->refs = (uint64_t)o.refs;
	g->write_below = (uint64_t)(o.write_ratio * 0x1p32);
	rng_init(&g->write, (uint64_t)o.seed, "gen.write", 0);
	g->state = calloc(1, g->law->size);
	rc = g->state ? g->law->start(g->state, &o, 0, err) : err_run(err, ENOMEM, "out of memory");
	if (rc) {
		free(g->state); /* a start that failed has freed what it owned */
		free(g);
		return rc;
	}
	*source = &g->source;
	return 0;
}
