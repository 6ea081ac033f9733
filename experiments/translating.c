#include "experiments/translating.h"

#include "experiments/vm_os.h"

#define SMALL 65536 /* pages: up to here every one may lie in a table of its own */

bool translating(const struct vm_opts *opts, const struct run_opts *run)
{
	return run->digest || opts->translation != translations[0];
}

int translating_check(const struct job *job, size_t vm, struct err *err)
{
	const struct vm_opts *opts = job_titled(job, &vm_section, vm);
	const char *name = job_title(job, &vm_section, vm);

	if (vm_has_os(opts) && opts->translation != translations[0])
		return err_input(err,
				 "%s: vm.%s.translation: an operating system's pages are physical: "
				 "give flat, or a trace instead",
				 job_where(job, opts, "translation"), name);
	return 0;
}

uint64_t translating_pages(const struct trace_info *info)
{
	uint64_t pages = info->pages ? info->pages : 1, span = info->highest_page + 1;
	bool dense = pages >= SMALL && span / 4 <= pages;

	/* A page that lies alone takes three tables; those in a row, one in 512. */
	return 64 + pages + (dense ? span / 512 + pages / 16 : 3 * pages);
}

int translating_add(struct vm *vm, struct source *source, const struct vm_opts *opts,
		    const struct mmu_opts *mmu_opts, struct oracle *oracle,
		    struct replay_mmu **replay, struct err *err)
{
	struct mmu *mmu;
	int rc = mmu_new(vm->pmap, opts->translation, mmu_opts, &mmu, err);

	if (rc) {
		source_close(source);
		return rc;
	}
	mmu->oracle = oracle;
	return replay_mmu_new(mmu, source, opts->large_pages, replay, err);
}

void translating_tell(const struct vm *vm, json_t *told)
{
	char text[24];

	if (!vm->pmap->mmu)
		return;
	snprintf(text, sizeof text, "%016llx", (unsigned long long)vm->pmap->mmu->digest);
	json_object_set_new(told, "translation_digest", json_string(text));
}
