#include "experiments/run.h"

#include "experiments/ballooning.h"
#include "experiments/provenance.h"
#include "experiments/recording.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run {
	struct job *job;
	const struct run_opts *opts;
	struct host *host;
	struct sharing *sharing;       /* NULL: share.scan = none */
	struct swap *swap;	       /* NULL: not among host.reclaimers */
	struct ballooning *ballooning; /* NULL: nor is the balloon */
	struct sampling *sampling;     /* NULL: nobody looks */
	struct oracle *oracle;
	struct recording *recording;
	json_t *summary;	/* as the run ended */
	struct replay **replay; /* [vms] */
	size_t vms;
	uint64_t cpu_ns;
	struct err failed;
	progress_fn *progress;
	void *progress_arg;
};

/* Whether the user gave the key, in a file or with -s. */
static bool given(const struct job *job, const void *opts, const char *key)
{
	return strcmp(job_where(job, opts, key), "default") != 0;
}

/* Of a trace of several VMs, the one that the job names. */
static int choose_vm(const struct run *run, const char *name, const struct vm_opts *opts,
		     struct source **source, struct err *err)
{
	const struct trace_info *info = source_info(*source);
	bool chosen = given(run->job, opts, "trace_vm");
	uint32_t vms = info->vms;

	if (info->counted && opts->trace_vm >= vms) {
		int rc = err_input(err, "%s: vm.%s.trace_vm = %lld: %s has %u VM%s: give %s%u",
				   job_where(run->job, opts, "trace_vm"), name,
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

/* Opens what a VM's references come from; virtual pages are numbered densely. */
static int open_source(const struct run *run, const char *name, const struct vm_opts *opts,
		       struct source **source, struct err *err)
{
	int rc;

	if (opts->trace && opts->gen)
		return err_input(err, "vm %s has a trace and a gen: give one of them", name);
	if (opts->gen) {
		size_t n = job_count(run->job, &gen_section), i = 0;
		while (i < n && strcmp(job_title(run->job, &gen_section, i), opts->gen) != 0)
			i++;
		if (i == n)
			return err_input(err, "%s: vm %s: there is no section gen %s",
					 job_where(run->job, opts, "gen"), name, opts->gen);
		rc = source_generate(job_titled(run->job, &gen_section, i), source, err);
	} else if (opts->trace) {
		rc = source_open(opts->trace, opts->format, source, err);
	} else {
		return err_input(err, "vm %s has no trace: give vm.%s.trace=FILE", name, name);
	}
	if (rc == 0)
		rc = choose_vm(run, name, opts, source, err);
	if (rc == 0 && source_info(*source)->space == TRACE_VPN)
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
static int size_from_trace(const struct run *run, const char *name, const struct vm_opts *opts,
			   uint64_t *pages, struct err *err)
{
	struct trace_info info;
	struct source *source = NULL;

	if (opts->trace && trace_reads_once(opts->trace))
		return err_input(err, "vm %s reads %s: give vm.%s.memory", name,
				 strcmp(opts->trace, "-") == 0 ? "standard input" : "a pipe", name);
	int rc = open_source(run, name, opts, &source, err);
	if (rc)
		return rc;
	info = *source_info(source);
	if (!info.counted)
		rc = source_count(source, &info, run->progress, run->progress_arg, err);
	source_close(source);
	if (rc)
		return rc;
	*pages = info.pages ? info.highest_page + 1 : 1;
	return check_sparse(name, opts, &info, err);
}

static int vm_pages(const struct run *run, const char *name, const struct vm_opts *opts,
		    uint32_t *pages, struct err *err)
{
	uint64_t n = opts->memory >> PAGE_SHIFT;
	int rc;

	if (given(run->job, opts, "memory") && n == 0)
		return err_input(err, "%s: vm.%s.memory is less than a page: give 4kb or more",
				 job_where(run->job, opts, "memory"), name);
	if (n == 0) {
		rc = size_from_trace(run, name, opts, &n, err);
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

/* The host's size from host.frames, host.memory, or the VMs'. */
static int host_frames(const struct run *run, const struct host_opts *opts, uint64_t guest_pages,
		       int64_t *frames, struct err *err)
{
	bool by_frames = given(run->job, opts, "frames"),
	     by_memory = given(run->job, opts, "memory");
	int64_t from_memory = (int64_t)(opts->memory >> PAGE_SHIFT);

	*frames = by_frames ? opts->frames : from_memory;
	if (by_frames && by_memory && opts->frames != from_memory)
		return err_input(
			err, "host.frames (%s) and host.memory (%s) differ: give one of them",
			job_where(run->job, opts, "frames"), job_where(run->job, opts, "memory"));
	if ((by_frames || by_memory) && *frames == 0)
		return err_input(err,
				 "%s: host.%s is less than a page: give 1 frame, or 4kb, or more",
				 job_where(run->job, opts, by_frames ? "frames" : "memory"),
				 by_frames ? "frames" : "memory");
	if (!by_frames && !by_memory)
		*frames = (int64_t)min_u64(guest_pages, UINT32_MAX - 1);
	return 0;
}

static int open_swap(struct run *run, struct pmap_part *pmaps, uint64_t guest_pages,
		     struct err *err)
{
	const struct swap_opts *swap = job_section(run->job, &swap_section);
	uint64_t slots = swap->size >> PAGE_SHIFT;

	if (!given(run->job, swap, "size"))
		slots = guest_pages;
	if (slots == 0 || slots >= UINT32_MAX)
		return err_input(err, "%s: swap.size is %llu pages: give 4kb to 16tb",
				 job_where(run->job, swap, "size"), (unsigned long long)slots);
	return swap_open(run->host, pmaps, swap, (uint32_t)slots, &os_io, &run->swap, err);
}

static int open_balloon(struct run *run, struct pmap_part *pmaps, struct err *err)
{
	const struct balloon_opts *opts = job_section(run->job, &balloon_section);
	struct balloon *balloon;

	int rc = balloon_open(run->host, pmaps, opts, &balloon, err);
	return rc ? rc : ballooning_new(run->host, balloon, opts, &run->ballooning, err);
}

/* In the job's order, which is that in which the host asks them. */
static int open_reclaimers(struct run *run, struct pmap_part *pmaps, uint64_t guest_pages,
			   struct err *err)
{
	const struct host_opts *opts = job_section(run->job, &host_section);

	int rc = reclaimers_check(run->job, opts, err);
	for (char **name = opts->reclaimers; rc == 0 && name && *name; name++) {
		if (strcmp(*name, balloon_reclaimer.policy.name) == 0)
			rc = open_balloon(run, pmaps, err);
		else
			rc = open_swap(run, pmaps, guest_pages, err);
	}
	return rc;
}

static int open_host(struct run *run, uint64_t guest_pages, struct err *err)
{
	struct host_opts opts = *(const struct host_opts *)job_section(run->job, &host_section);
	const struct cost_opts *cost = job_section(run->job, &cost_section);
	struct pmap_part *pmaps;

	int rc = host_frames(run, job_section(run->job, &host_section), guest_pages, &opts.frames,
			     err);
	if (rc)
		return rc;
	rc = host_new(&opts, cost, &run->host, err);
	if (rc)
		return rc;
	if (pmap_part_new(run->host, &pmaps))
		return err_run(err, ENOMEM, "no memory for a host");
	rc = sharing_open(run->host, pmaps, job_section(run->job, &share_section), &run->sharing,
			  err);
	if (rc)
		return rc;
	rc = open_reclaimers(run, pmaps, guest_pages, err);
	if (rc)
		return rc;
	return sampling_open(run->host, pmaps, job_section(run->job, &sample_section),
			     &run->sampling, err);
}

static int add_vm(struct run *run, size_t i, uint32_t pages, struct err *err)
{
	const char *name = job_title(run->job, &vm_section, i);
	const struct vm_opts *opts = job_titled(run->job, &vm_section, i);
	struct source *source;
	struct vm *vm;

	int rc = open_source(run, name, opts, &source, err);
	if (rc)
		return rc;
	rc = vm_add(run->host, name, pages, &vm, err);
	if (rc == 0)
		rc = sharing_group(run->sharing, vm, opts->share_group, err);
	if (rc) {
		source_close(source);
		return rc;
	}
	rc = replay_new(vm, source, run->oracle, &run->replay[i], err);
	if (rc == 0 && run->ballooning)
		rc = ballooning_add(run->ballooning, vm, opts, NULL, run->oracle, err);
	return rc;
}

static int build(struct run *run, struct err *err)
{
	uint64_t guest_pages = 0;
	int rc = 0;

	run->vms = job_count(run->job, &vm_section);
	if (run->vms == 0)
		return err_input(err, "the job has no vm: add a section vm NAME { trace = FILE }");
	uint32_t *pages = calloc(run->vms, sizeof *pages);
	run->replay = calloc(run->vms, sizeof(struct replay *));
	if (!pages || !run->replay)
		rc = err_run(err, ENOMEM, "no memory for %zu VMs", run->vms);
	for (size_t i = 0; rc == 0 && i < run->vms; i++) {
		rc = vm_pages(run, job_title(run->job, &vm_section, i),
			      job_titled(run->job, &vm_section, i), &pages[i], err);
		guest_pages += pages[i];
	}
	if (rc == 0)
		rc = open_host(run, guest_pages, err);
	if (rc == 0 && run->opts->oracle && !run->host->machine.bytes)
		rc = err_input(err, "%s: run.oracle compares bytes: it needs host.backing=ram",
			       job_where(run->job, run->opts, "oracle"));
	if (rc == 0 && run->opts->oracle && oracle_new(&run->oracle))
		rc = err_run(err, ENOMEM, "no memory for the content oracle");
	for (size_t i = 0; rc == 0 && i < run->vms; i++)
		rc = add_vm(run, i, pages[i], err);
	free(pages);
	return rc;
}

int run_open(struct job *job, struct run **out, struct err *err)
{
	struct run *run = calloc(1, sizeof *run);

	if (!run)
		return err_run(err, ENOMEM, "no memory for a run");
	run->job = job;
	run->opts = job_section(job, &run_section);
	int rc = build(run, err);
	if (rc == 0)
		rc = recording_new(run->host, run->opts->sample, &run->recording, err);
	if (rc) {
		run_close(run);
		return rc;
	}
	*out = run;
	return 0;
}

void run_close(struct run *run)
{
	if (!run)
		return;
	recording_free(run->recording);
	json_decref(run->summary);
	ballooning_free(run->ballooning);
	host_free(run->host);
	oracle_free(run->oracle);
	free(run->replay);
	free(run);
}

/* Progress is how far all sources have come together. */
static void on_step(void *ctx)
{
	struct run *run = ctx;
	uint64_t done = 0, total = 0;

	for (size_t i = 0; i < run->vms; i++) {
		struct source_progress p = replay_progress(run->replay[i]);
		done += p.done;
		total += p.total;
	}
	run->progress(run->progress_arg, done, total);
}

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

/* Every page of every VM that lived, against what was written to it. */
static int check_contents(struct run *run, struct err *err)
{
	char *text = NULL;
	size_t size = 0;
	int64_t wrong = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return err_run(err, ENOMEM, "no memory for the content oracle");
	for (size_t i = 0; i < run->vms && wrong >= 0; i++) {
		if (run->host->vm[i]->state == VM_FAILED)
			continue;
		int64_t found = oracle_check(run->oracle, run->host->vm[i], read_page, out, err);
		wrong = found < 0 ? found : wrong + found;
	}
	fclose(out);
	if (wrong > 0) {
		text[strcspn(text, "\n")] = '\0';
		err_run(err, EUCLEAN, "%lld pages read wrong, the first: %s", (long long)wrong,
			text);
	}
	free(text);
	return wrong < 0 ? (int)wrong : wrong ? -EUCLEAN : 0;
}

static const char *const vm_state_names[] = {"running", "ended", "failed"};

static json_t *summarize(const struct run *run)
{
	host_refresh(run->host);
	json_t *host = stat_json(&run->host->scope), *vms = json_object();

	for (size_t i = 0; i < run->host->vms; i++) {
		const struct vm *vm = run->host->vm[i];
		json_t *o = stat_json(&vm->stats);
		json_object_set_new(o, "pages", json_integer(vm->pages));
		json_object_set_new(o, "time_ns", json_integer((json_int_t)vm->time_ns));
		json_object_set_new(o, "state", json_string(vm_state_names[vm->state]));
		if (vm->state == VM_FAILED)
			json_object_set_new(o, "error", json_string(vm->err.msg));
		json_object_set_new(vms, vm->name, o);
	}
	return json_pack("{s:o, s:o}", "host", host, "vm", vms);
}

int run_go(struct run *run, progress_fn *progress, void *arg, struct err *err)
{
	run->progress = progress;
	run->progress_arg = arg;
	if (progress) {
		run->host->on_step = on_step;
		run->host->step_ctx = run;
	}
	uint64_t start = os_cpu_ns();
	int rc = host_run(run->host, err);
	run->cpu_ns = os_cpu_ns() - start;
	if (rc == 0 || run->host->stop) { /* stopped: the recording may say why */
		int finished = recording_finish(run->recording, err);
		rc = finished ? finished : rc;
	}
	if (rc == 0 && !(run->summary = summarize(run)))
		rc = err_run(err, ENOMEM, "no memory for results");
	if (rc == 0 && run->oracle) /* its touches are no part of the results */
		rc = check_contents(run, err);
	for (size_t i = 0; i < run->host->vms && !run->failed.exit_code; i++) {
		if (run->host->vm[i]->state != VM_FAILED)
			continue;
		run->failed = run->host->vm[i]->err;
		err_prefix(&run->failed, "vm %s", run->host->vm[i]->name);
	}
	return rc;
}

const struct err *run_failed(const struct run *run)
{
	return run->failed.exit_code ? &run->failed : NULL;
}

struct host *run_host(struct run *run)
{
	return run->host;
}

uint64_t run_cpu_ns(const struct run *run)
{
	return run->cpu_ns;
}

static int write_json(struct outset *set, const char *name, const json_t *json, struct err *err)
{
	FILE *out = outset_add(set, name, err);

	if (!out)
		return -EIO;
	if (json_dumpf(json, out, JSON_INDENT(2)) && !ferror(out))
		return err_run(err, ENOMEM, "no memory for %s", name);
	fputc('\n', out);
	return 0;
}

json_t *run_summary(const struct run *run)
{
	return json_deep_copy(run->summary);
}

int run_write(const struct run *run, const char *dir, struct err *err)
{
	struct outset set = {.dir = dir};
	json_t *provenance = provenance_json(run->job, err);

	if (!provenance)
		return -EIO;
	int rc = write_json(&set, "run.json", provenance, err);
	json_decref(provenance);
	if (rc == 0)
		rc = write_json(&set, "summary.json", run->summary, err);
	if (rc == 0)
		rc = recording_write(run->recording, &set, err);
	if (rc == 0)
		return outset_commit(&set, err);
	outset_abort(&set);
	return rc;
}
