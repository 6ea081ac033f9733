#include "experiments/vm_source.h"

#include "experiments/vm_os.h"

#include "experiments/terms.h"
#include "experiments/translating.h"

#include <errno.h>
#include <string.h>

/* Of a trace of several VMs, the one that the job names. */
static int choose_vm(const struct job *job, const char *name, const struct vm_opts *opts,
		     struct source **source, struct err *err)
{
	const struct trace_info *info = source_info(*source);
	bool chosen = job_gives(job, opts, "trace_vm");
	uint32_t vms = info->vms;

	if (info->counted && opts->trace_vm >= vms) {
		int rc = err_input(err, "%s: vm.%s.trace_vm = %lld: %s has %u VM%s: give %s%u",
				   job_where(job, opts, "trace_vm"), name,
				   (long long)opts->trace_vm, source_name(*source), vms,
				   vms > 1 ? "s" : "", vms > 1 ? "0 to " : "", vms - 1);
		source_close(*source);
		return rc;
	}
	/* Where nothing is counted yet, only its end tells how many there are. */
	if (vms > 1 || (chosen && !info->counted))
		return source_only_vm(*source, (uint32_t)opts->trace_vm, source, err);
	return 0;
}

int vm_open_source(const struct job *job, const char *name, const struct vm_opts *opts,
		   struct source **source, struct err *err)
{
	int rc;

	if (opts->trace && opts->gen)
		return err_input(err, "vm %s has a trace and a gen: give one of them", name);
	if (opts->gen) {
		size_t n = job_count(job, &gen_section), i = 0;
		while (i < n && strcmp(job_title(job, &gen_section, i), opts->gen) != 0)
			i++;
		if (i == n)
			return err_input(err, "%s: vm %s: there is no section gen %s",
					 job_where(job, opts, "gen"), name, opts->gen);
		rc = source_generate(job_titled(job, &gen_section, i), source, err);
	} else if (opts->trace) {
		rc = source_open(opts->trace, opts->format, source, err);
	} else {
		return err_input(err, "vm %s has no trace: give vm.%s.trace=FILE or vm.%s.gen=NAME",
				 name, name, name);
	}
	if (rc == 0)
		rc = choose_vm(job, name, opts, source, err);
	if (rc == 0 && source_info(*source)->space == TRACE_VPN &&
	    !translating(opts, job_section(job, &run_section)))
		rc = source_renumber(*source, source, err);
	return rc;
}

/*
 * A few records that name far pages make tables for all between: beyond what
 * any machine minds, a trace file must touch one page in so many.
 */
#define SPARSE_PAGES (UINT64_C(1) << 22)
#define SPARSE_MOST  64

static int check_sparse(const char *name, const struct vm_opts *opts, const struct trace_info *info,
			struct err *err)
{
	uint64_t pages = info->highest_page + 1;

	if (!opts->trace || pages <= SPARSE_PAGES || pages / SPARSE_MOST <= info->pages)
		return 0;
	return err_input(
		err,
		"vm %s: %s touches %llu pages, up to page %llu: import it with --renumber, "
		"or give vm.%s.memory=%llukb",
		name, opts->trace, (unsigned long long)info->pages,
		(unsigned long long)info->highest_page, name,
		(unsigned long long)pages << (PAGE_SHIFT - 10));
}

/* Pages from 0 to the trace's highest; reads the whole of it where no count is stored. */
static int size_from_trace(const struct job *job, const char *name, const struct vm_opts *opts,
			   uint64_t *pages, struct err *err)
{
	struct trace_info info;
	struct source *source = NULL;

	if (opts->trace && trace_reads_once(opts->trace))
		return err_input(err, "vm %s reads %s: give vm.%s.memory", name,
				 strcmp(opts->trace, "-") == 0 ? "standard input" : "a pipe", name);
	int rc = vm_open_source(job, name, opts, &source, err);
	if (rc)
		return rc;
	info = *source_info(source);
	if (!info.counted)
		rc = source_count(source, &info, NULL, NULL, err);
	source_close(source);
	if (rc)
		return rc;
	if (translating(opts, job_section(job, &run_section))) {
		*pages = translating_pages(&info);
		return 0;
	}
	*pages = info.pages ? info.highest_page + 1 : 1;
	return check_sparse(name, opts, &info, err);
}

int vm_pages(const struct job *job, const char *name, const struct vm_opts *opts, uint32_t *pages,
	     struct err *err)
{
	uint64_t n = opts->memory >> PAGE_SHIFT;
	int rc;

	if (job_gives(job, opts, "memory") && n == 0)
		return err_input(err, "%s: vm.%s.memory is less than a page: give 4kb or more",
				 job_where(job, opts, "memory"), name);
	if (n == 0 && vm_has_os(opts))
		return err_input(err, "vm %s has an operating system: give vm.%s.memory", name,
				 name);
	if (n == 0) {
		rc = size_from_trace(job, name, opts, &n, err);
		if (rc)
			return rc;
	}
	if (n >= UINT32_MAX)
		return err_input(err,
				 "vm %s would have %llu pages, more than 16 TiB: give "
				 "vm.%s.memory, or import the trace with --renumber",
				 name, (unsigned long long)n, name);
	*pages = (uint32_t)n;
	return 0;
}
