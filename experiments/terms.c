#include "experiments/terms.h"

#include "experiments/vm_live.h"

#include "core/parse.h"
#include "core/reclaim.h"
#include "tax/alloc.h"
#include "tax/sample.h"
#include "tax/tax.h"

#include <errno.h>
#include <string.h>

#define MB_PAGES (UINT32_C(1) << (20 - PAGE_SHIFT))

#define OVERHEAD_PAGES (32 * MB_PAGES)
#define SHARES_PER_MB  10

bool job_gives(const struct job *job, const void *options, const char *key)
{
	return strcmp(job_where(job, options, key), "default") != 0;
}

static bool have_states(const struct job *job)
{
	const struct host_opts *host = job_section(job, &host_section);

	return thresholds_have_states(host->thresholds);
}

static int above(const struct job *job, const struct vm_opts *opts, const char *name,
		 const char *key, uint64_t value, const char *than, uint64_t limit, struct err *err)
{
	char has[32], may[32];

	format_bytes(has, sizeof has, value);
	format_bytes(may, sizeof may, limit);
	return err_input(err, "%s: vm.%s.%s, %s, is above its %s, %s", job_where(job, opts, key),
			 name, key, has, than, may);
}

static uint32_t default_shares(uint32_t pages)
{
	uint64_t shares = (uint64_t)pages * SHARES_PER_MB / MB_PAGES;

	return shares ? (uint32_t)min_u64(shares, UINT32_MAX) : 1;
}

int terms_of(const struct job *job, size_t i, uint32_t pages, struct terms *t, struct err *err)
{
	const struct vm_opts *opts = job_titled(job, &vm_section, i);
	const char *name = job_title(job, &vm_section, i);
	const uint64_t size = (uint64_t)pages * PAGE_SIZE;
	uint64_t max = job_gives(job, opts, "max") ? opts->max : size;

	if (max > size)
		return above(job, opts, name, "max", max, "memory", size, err);
	if (opts->min > max)
		return above(job, opts, name, "min", opts->min,
			     job_gives(job, opts, "max") ? "max" : "memory", max, err);
	t->promise.min = opts->min >> PAGE_SHIFT;
	t->promise.max = max >> PAGE_SHIFT;
	t->promise.overhead = job_gives(job, opts, "overhead")	      ? opts->overhead >> PAGE_SHIFT
			      : have_states(job) && !vm_is_live(opts) ? OVERHEAD_PAGES
								      : 0;
	t->shares = job_gives(job, opts, "shares") ? (uint32_t)opts->shares : default_shares(pages);
	return 0;
}

void terms_give(const struct terms *t, struct vm *vm)
{
	vm->min = t->promise.min;
	vm->max = t->promise.max;
	vm->overhead = t->promise.overhead;
	vm->shares = t->shares;
}

static int unheeded(const struct job *job, const void *options, const char *section,
		    const char *title, const char *key, struct err *err)
{
	const struct host_opts *host = job_section(job, &host_section);

	return err_input(err,
			 "%s: %s%s%s.%s is given, but nothing heeds it with "
			 "host.thresholds=%s: give host.thresholds=esx",
			 job_where(job, options, key), section, title ? "." : "",
			 title ? title : "", key, host->thresholds->name);
}

/* An allocator that divides by miss curves needs a sampler that draws them. */
static int curves_drawn(const struct job *job, struct err *err)
{
	const struct tax_opts *tax = job_section(job, &tax_section);
	const struct sample_opts *sample = job_section(job, &sample_section);

	if (!((const struct allocator *)tax->alloc)->curves || sampler_draws(sample->sampler))
		return 0;
	return err_input(
		err,
		"%s: tax.alloc=%s divides by miss curves, and sample.sampler=%s draws none: "
		"give sample.sampler=mrc",
		job_where(job, tax, "alloc"), tax->alloc->name, sample->sampler->name);
}

/* Later ESX's marks follow from the size of memory: those of esx are not looked at. */
static int marks_heeded(const struct job *job, struct err *err)
{
	static const char *const keys[] = {"high", "soft", "hard", "low"};
	const struct host_opts *host = job_section(job, &host_section);
	const struct reclaim_opts *reclaim = job_section(job, &reclaim_section);

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strcmp(host->thresholds->name, "esx-later") == 0 &&
		    job_gives(job, reclaim, keys[i]))
			return unheeded(job, reclaim, "reclaim", NULL, keys[i], err);
	}
	return 0;
}

int terms_heeded(const struct job *job, struct err *err)
{
	static const struct opt_section *const sections[] = {&tax_section, &reclaim_section};
	static const char *const keys[] = {"min", "max", "shares"};

	if (have_states(job)) {
		int rc = marks_heeded(job, err);
		return rc ? rc : curves_drawn(job, err);
	}
	for (size_t s = 0; s < ARRAY_LEN(sections); s++) {
		const void *options = job_section(job, sections[s]);
		for (const struct opt *opt = sections[s]->opts; opt->name; opt++) {
			if (job_gives(job, options, opt->name))
				return unheeded(job, options, sections[s]->name, NULL, opt->name,
						err);
		}
	}
	for (size_t i = 0; i < job_count(job, &vm_section); i++) {
		const void *options = job_titled(job, &vm_section, i);
		for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
			if (job_gives(job, options, keys[k]))
				return unheeded(job, options, "vm", job_title(job, &vm_section, i),
						keys[k], err);
		}
	}
	return 0;
}
