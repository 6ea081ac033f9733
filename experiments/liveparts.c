#include "experiments/liveparts.h"

#include "core/os.h"
#include "core/reclaim.h"
#include "experiments/ballooning.h"
#include "live/pool.h"
#include "swap/victim.h"
#include "tax/sample.h"
#include "tax/tax.h"

#include <errno.h>
#include <string.h>

#define SECOND	     UINT64_C(1000000000)
#define END_PATIENCE (5 * SECOND) /* for guests to end when they are asked to */

/* Memory that the kernel says is free for the taking, in bytes; 0 if it does not say. */
static uint64_t memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long long kb = 0;
	char line[128];

	while (f && fgets(line, sizeof line, f) && sscanf(line, "MemAvailable: %llu kB", &kb) != 1)
		;
	if (f)
		fclose(f);
	return (uint64_t)kb << 10;
}

static int host_size(const struct job *job, const struct kept *kept, struct host_opts *opts,
		     struct err *err)
{
	uint64_t available = kept && kept->lives ? 0 : memory_available(), wanted;

	if (opts->frames == 0)
		opts->frames = (int64_t)(opts->memory >> PAGE_SHIFT);
	if (opts->frames == 0)
		return err_input(err, "how much memory may guests have? give -s host.memory=SIZE");
	if (opts->frames >= INT32_MAX)
		return err_input(err, "%s: host.memory is more than 8 TiB",
				 job_where(job, job_section(job, &host_section), "memory"));
	wanted = (uint64_t)opts->frames << PAGE_SHIFT;
	if (available && wanted > available)
		return err_run(err, ENOMEM,
			       "%llu MiB for guests are more than the %llu MiB that this machine "
			       "has available: give a smaller host.memory",
			       (unsigned long long)wanted >> 20,
			       (unsigned long long)available >> 20);
	return 0;
}

/* Policies that a live guest gives nothing to go by are refused. */
int liveparts_check(const struct job *job, struct err *err)
{
	const struct share_opts *share = job_section(job, &share_section);
	const struct swap_opts *swap = job_section(job, &swap_section);
	const struct sample_opts *sample = job_section(job, &sample_section);
	const char *scan = share->scan->name, *sampler = sample->sampler->name;

	if (((const struct victim *)swap->victim)->track != TRACK_NOTHING)
		return err_input(err,
				 "%s: swap.victim = %s needs to see every reference, and those of "
				 "a live guest are not seen: take random or fifo",
				 job_where(job, swap, "victim"), swap->victim->name);
	if (strcmp(scan, "ksm") == 0 || strcmp(scan, "idle-first") == 0)
		return err_input(err,
				 "%s: share.scan = %s needs to know which pages were written, and "
				 "a live guest's writes are not seen: take random or sequential",
				 job_where(job, share, "scan"), scan);
	if (strcmp(sampler, "esx") != 0 && strcmp(sampler, "none") != 0)
		return err_input(err,
				 "%s: sample.sampler = %s needs to see every reference, and those "
				 "of a live guest are not seen: take esx",
				 job_where(job, sample, "sampler"), sampler);
	return 0;
}

static int open_balloon(const struct job *job, struct pmap_part *pmaps, struct liveparts *p,
			struct err *err)
{
	const struct balloon_opts *given = job_section(job, &balloon_section);
	struct balloon_opts opts = *given;

	/* A driver with a bell need not be left to ask. */
	if (strcmp(job_where(job, given, "interrupt"), "default") == 0)
		opts.interrupt = true;
	return balloon_open(p->host, pmaps, &opts, &p->balloon, err);
}

/*
 * A manager that takes over gets the file of the one before it, and needs none:
 * whatever has become of the folder meanwhile, its guests are not lost by that.
 */
static int open_swap(const struct job *job, struct pmap_part *pmaps, const struct kept *kept,
		     struct liveparts *p, struct err *err)
{
	struct swap_opts opts = *(const struct swap_opts *)job_section(job, &swap_section);
	int rc = swap_open(p->host, pmaps, &opts, (uint32_t)p->slots, &os_io, &p->swap, err);

	if (rc == 0 || !kept || !kept->lives)
		return rc;
	opts.dir = "/dev/shm";
	return swap_open(p->host, pmaps, &opts, (uint32_t)p->slots, &os_io, &p->swap, err);
}

/* In the job's order, which is that in which the host asks them. */
static int open_reclaimers(const struct job *job, struct pmap_part *pmaps, const struct kept *kept,
			   struct liveparts *p, struct err *err)
{
	const struct host_opts *opts = job_section(job, &host_section);
	int rc = reclaimers_check(job, opts, err);

	for (char **name = opts->reclaimers; rc == 0 && name && *name; name++) {
		if (strcmp(*name, balloon_reclaimer.policy.name) == 0)
			rc = open_balloon(job, pmaps, p, err);
		else
			rc = open_swap(job, pmaps, kept, p, err);
	}
	return rc;
}

static int open_all(const struct job *job, const char *agents, struct kept *kept,
		    struct liveparts *p, struct err *err)
{
	struct reclaim *reclaim;
	struct tax *tax;
	struct pmap_part *pmaps;

	if (pmap_part_new(p->host, &pmaps))
		return err_run(err, ENOMEM, "no memory for a host");
	int rc = sharing_open(p->host, pmaps, job_section(job, &share_section), &p->sharing, err);
	if (rc == 0)
		rc = open_reclaimers(job, pmaps, kept, p, err);
	if (rc == 0)
		rc = sampling_open(p->host, pmaps, job_section(job, &sample_section), err);
	if (rc == 0)
		rc = reclaim_open(p->host, job_section(job, &reclaim_section), &reclaim, err);
	if (rc == 0)
		rc = tax_open(p->host, job_section(job, &tax_section), &tax, err);
	return rc ? rc
		  : live_open(p->host, pmaps, job_section(job, &live_section), agents, kept,
			      (uint32_t)p->slots, &p->live, err);
}

/* How the swap file is written. */
static int choose_io(const struct job *job, struct swap *swap, struct err *err)
{
	const struct live_opts *opts = job_section(job, &live_section);

	if (strcmp(opts->swap_io->name, "sync") == 0)
		return 0;
	int rc = swap_async(swap);
	if (rc == 0 || strcmp(opts->swap_io->name, "auto") == 0)
		return 0;
	return err_run(
		err, -rc,
		"%s: this kernel has no io_uring for us: %s; take live.swap_io = auto or sync",
		job_where(job, opts, "swap_io"), strerror(-rc));
}

int liveparts_open(struct job *job, const char *agents, struct kept *kept, struct liveparts *p,
		   struct err *err)
{
	const struct host_opts *wanted = job_section(job, &host_section);
	const struct swap_opts *swap = job_section(job, &swap_section);

	*p = (struct liveparts){.slots = swap->size >> PAGE_SHIFT};
	int rc = liveparts_check(job, err);
	/* Guests that run by themselves are not to wait for evictions. */
	if (rc == 0 && strcmp(job_where(job, wanted, "thresholds"), "default") == 0)
		rc = job_set(job, "host.thresholds=reserve", err);
	struct host_opts opts = *wanted;
	if (rc == 0)
		rc = host_size(job, kept, &opts, err);
	if (rc)
		return rc;
	opts.backing = &backing_live.policy;
	if (p->slots == 0)
		p->slots = min_u64(4 * (uint64_t)opts.frames, UINT32_MAX - 1);
	rc = host_new(&opts, job_section(job, &cost_section), &p->host, err);
	if (rc == 0)
		rc = open_all(job, agents, kept, p, err);
	if (rc)
		return rc;
	live_balloon(p->live, p->balloon);
	if (!p->swap)
		return 0;
	swap_keep(p->swap, kept && kept->lives ? kept->fd[KEPT_SWAP] : -1, live_sums(p->live));
	kept_put(kept, KEPT_SWAP, swap_fd(p->swap));
	return choose_io(job, p->swap, err);
}

/* Tells every guest to end; returns how many there are. */
static size_t stop_all(const struct liveparts *p, bool kill)
{
	size_t n = 0;

	for (size_t i = 0; live_at(p->live, i); i++) {
		if (live_at(p->live, i)->state == LIVE_GONE)
			continue;
		live_stop(live_at(p->live, i), kill);
		n++;
	}
	return n;
}

int liveparts_end(const struct liveparts *p, struct err *err)
{
	uint64_t end = os_mono_ns() + END_PATIENCE;
	bool killed = false;
	int rc = 0;

	size_t left = stop_all(p, false);
	while (rc == 0 && left) {
		rc = live_turn(p->live, SECOND / 20, err);
		left = 0;
		for (size_t i = 0; live_at(p->live, i); i++)
			left += live_at(p->live, i)->state != LIVE_GONE;
		if (os_mono_ns() > end) {
			if (killed)
				break;
			killed = true;
			end += END_PATIENCE;
			stop_all(p, true);
		}
	}
	return rc;
}
