#include "experiments/vm_os.h"

#include "experiments/terms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GUEST_PAGES_MOST (UINT32_C(1) << 26)

/* Where the section is, as far as any of its keys tells, or NULL. */
static const char *where_load(const struct job *job, const void *options)
{
	for (const struct opt *opt = workload_section.opts; opt->name; opt++) {
		if (job_gives(job, options, opt->name))
			return job_where(job, options, opt->name);
	}
	return NULL;
}

static int find_load(const struct job *job, const struct vm_opts *opts, const char *vm,
		     const char *name, struct load_ref *load, struct err *err)
{
	for (size_t i = 0; i < job_count(job, &workload_section); i++) {
		if (strcmp(job_title(job, &workload_section, i), name) != 0)
			continue;
		const void *options = job_titled(job, &workload_section, i);
		*load = (struct load_ref){name, options, where_load(job, options)};
		return 0;
	}
	return err_input(err, "%s: vm %s: there is no section workload %s",
			 job_where(job, opts, "workload"), vm, name);
}

int vm_os_new(const struct job *job, struct vm *vm, const struct vm_opts *opts,
	      struct oracle *oracle, struct gos **guest, struct err *err)
{
	size_t n = 0;
	int rc = 0;

	if (opts->trace || opts->gen)
		return err_input(err,
				 "vm %s has an operating system: it takes a workload of kind "
				 "trace, and no trace or gen of its own",
				 vm->name);
	if (vm->pages > GUEST_PAGES_MOST)
		return err_input(
			err,
			"vm %s: a guest OS keeps a record of each page, for at most 256gb: "
			"lower vm.%s.memory",
			vm->name, vm->name);
	while (opts->workload && opts->workload[n])
		n++;
	struct load_ref *loads = calloc(n + 1, sizeof *loads);
	if (!loads)
		return err_run(err, ENOMEM, "no memory for workloads");
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = find_load(job, opts, vm->name, opts->workload[i], &loads[i], err);
	if (rc == 0)
		rc = gos_new(vm, (const struct guest_os *)opts->os,
			     job_section(job, &guest_section), loads, n, oracle, guest, err);
	free(loads);
	return rc;
}
