#include "experiments/run.h"

#include "experiments/ballooning.h"
#include "experiments/provenance.h"
#include "experiments/recording.h"
#include "experiments/run_live.h"
#include "pmap/ioremap.h"
#include "pmap/large.h"
#include "experiments/timeline.h"
#include "experiments/translating.h"
#include "experiments/vm_live.h"
#include "experiments/vm_os.h"
#include "experiments/vm_source.h"
#include "tax/tax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run {
	struct job *job;
	const struct run_opts *opts;
	struct host *host;
	struct run_live *live;	       /* instead of all parts, where the VMs are live guests */
	struct sharing *sharing;       /* NULL: share.scan = none */
	struct swap *swap;	       /* NULL: not among host.reclaimers */
	struct ballooning *ballooning; /* NULL: nor is the balloon */
	struct oracle *oracle;
	struct recording *recording;
	json_t *summary;	     /* as the run ended */
	size_t vms;		     /* of the job */
	uint32_t *pages;	     /* [vms] */
	struct source **source;	     /* [vms] until the VM is there; then its replayer has it */
	struct replay **replay;	     /* [vms] NULL until the VM is there */
	struct replay_mmu **virtual; /* [vms] instead, for a VM whose addresses are translated */
	struct gos **os;	     /* [vms] instead, for a VM with an operating system */
	struct vm **vm;		     /* [vms] the same */
	struct overhead *overhead;
	struct timeline *timeline;
	uint64_t cpu_ns;
	struct err failed;
	progress_fn *progress;
	void *progress_arg;
};

/* The host's size from host.frames, host.memory, or the VMs'. */
static int host_frames(const struct run *run, const struct host_opts *opts, uint64_t guest_pages,
		       int64_t *frames, struct err *err)
{
	bool by_frames = job_gives(run->job, opts, "frames"),
	     by_memory = job_gives(run->job, opts, "memory");
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

/* Slots of the swap area. */
static int swap_slots(const struct run *run, uint64_t guest_pages, uint64_t *slots, struct err *err)
{
	const struct swap_opts *swap = job_section(run->job, &swap_section);

	*slots = job_gives(run->job, swap, "size") ? swap->size >> PAGE_SHIFT : guest_pages;
	if (*slots == 0 || *slots >= UINT32_MAX)
		return err_input(err, "%s: swap.size is %llu pages: give 4kb to 16tb",
				 job_where(run->job, swap, "size"), (unsigned long long)*slots);
	return 0;
}

static int open_swap(struct run *run, struct pmap_part *pmaps, uint64_t guest_pages,
		     struct err *err)
{
	uint64_t slots;

	int rc = swap_slots(run, guest_pages, &slots, err);
	if (rc)
		return rc;
	return swap_open(run->host, pmaps, job_section(run->job, &swap_section), (uint32_t)slots,
			 &os_io, &run->swap, err);
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
	uint64_t slots;
	rc = swap_slots(run, guest_pages, &slots, err);
	if (rc == 0)
		rc = timeline_new(run->job, run->pages, (uint64_t)opts.frames, slots,
				  &run->timeline, err);
	if (rc == 0)
		rc = host_new(&opts, cost, &run->host, err);
	if (rc)
		return rc;
	if (pmap_part_new(run->host, &pmaps))
		return err_run(err, ENOMEM, "no memory for a host");
	rc = large_open(run->host, job_section(run->job, &large_section), err);
	if (rc)
		return rc;
	rc = sharing_open(run->host, pmaps, job_section(run->job, &share_section), &run->sharing,
			  err);
	if (rc)
		return rc;
	rc = open_reclaimers(run, pmaps, guest_pages, err);
	if (rc)
		return rc;
	rc = sampling_open(run->host, pmaps, job_section(run->job, &sample_section), err);
	if (rc)
		return rc;
	return io_open(run->host, pmaps, job_section(run->job, &io_section), err);
}

/* Who gets what, and what is done when it is short. */
static int open_policy(struct run *run, struct err *err)
{
	struct reclaim *reclaim;
	struct tax *tax;

	int rc = reclaim_open(run->host, job_section(run->job, &reclaim_section), &reclaim, err);
	if (rc == 0)
		rc = tax_open(run->host, job_section(run->job, &tax_section), &tax, err);
	return rc ? rc : overhead_open(run->host, &run->overhead, err);
}

/* Brings the i-th VM of the job in, at the start or by the timeline. */
static int add_vm(void *ctx, size_t i, struct vm **out, struct err *err)
{
	struct run *run = ctx;
	const struct vm_opts *opts = job_titled(run->job, &vm_section, i);
	struct vm *vm;

	int rc = translating_check(run->job, i, err);
	if (rc)
		return rc;
	rc = vm_add(run->host, job_title(run->job, &vm_section, i), run->pages[i], &vm, err);
	if (rc)
		return rc;
	*out = vm;
	vm->time_ns = host_now(run->host);
	terms_give(timeline_terms(run->timeline, i), vm);
	rc = sharing_group(run->sharing, vm, opts->share_group, err);
	if (rc == 0)
		rc = overhead_take(run->overhead, vm, err);
	if (rc)
		return rc;
	struct driver_guest table;
	bool has_os = vm_has_os(opts);
	if (has_os) {
		rc = vm_os_new(run->job, vm, opts, run->oracle, &run->os[i], err);
	} else {
		struct source *source = run->source[i];
		run->source[i] = NULL;
		rc = translating(opts, run->opts)
			     ? translating_add(vm, source, opts,
					       job_section(run->job, &mmu_section), run->oracle,
					       &run->virtual[i], err)
			     : replay_new(vm, source, run->oracle, &run->replay[i], err);
	}
	if (rc || !run->ballooning)
		return rc;
	if (has_os)
		table = gos_driver_guest(run->os[i]);
	return ballooning_add(run->ballooning, vm, opts, has_os ? &table : NULL, run->oracle, err);
}

static int size_vms(struct run *run, uint64_t *guest_pages, struct err *err)
{
	int rc = 0;

	run->vms = job_count(run->job, &vm_section);
	if (run->vms == 0)
		return err_input(err, "the job has no vm: add a section vm NAME { trace = FILE }");
	run->pages = calloc(run->vms, sizeof *run->pages);
	run->source = calloc(run->vms, sizeof(struct source *));
	run->replay = calloc(run->vms, sizeof(struct replay *));
	run->virtual = calloc(run->vms, sizeof(struct replay_mmu *));
	run->os = calloc(run->vms, sizeof(struct gos *));
	run->vm = calloc(run->vms, sizeof(struct vm *));
	if (!run->pages || !run->source || !run->replay || !run->virtual || !run->os || !run->vm)
		return err_run(err, ENOMEM, "no memory for %zu VMs", run->vms);
	*guest_pages = 0;
	for (size_t i = 0; rc == 0 && i < run->vms; i++) {
		rc = vm_pages(run->job, job_title(run->job, &vm_section, i),
			      job_titled(run->job, &vm_section, i), &run->pages[i], err);
		*guest_pages += run->pages[i];
	}
	return rc;
}

static int build(struct run *run, struct err *err)
{
	uint64_t guest_pages;

	int rc = size_vms(run, &guest_pages, err);
	if (rc == 0)
		rc = open_host(run, guest_pages, err);
	if (rc == 0)
		rc = open_policy(run, err);
	if (rc == 0 && run->opts->oracle && !run->host->machine.bytes)
		rc = err_input(err, "%s: run.oracle compares bytes: it needs host.backing=ram",
			       job_where(run->job, run->opts, "oracle"));
	if (rc == 0 && run->opts->oracle && oracle_new(&run->oracle))
		rc = err_run(err, ENOMEM, "no memory for the content oracle");
	for (size_t i = 0; rc == 0 && i < run->vms; i++) {
		if (vm_has_os(job_titled(run->job, &vm_section, i)))
			continue;
		rc = vm_open_source(run->job, job_title(run->job, &vm_section, i),
				    job_titled(run->job, &vm_section, i), &run->source[i], err);
	}
	for (size_t i = 0; rc == 0 && i < run->vms; i++) {
		if (!timeline_adds(run->timeline, i))
			rc = add_vm(run, i, &run->vm[i], err);
	}
	return rc ? rc
		  : timeline_start(run->timeline, run->host, &run->host->clock, run->vm, add_vm,
				   NULL, run, err);
}

#define LIVE_SAMPLE_NS UINT64_C(1000000000)

static int build_live(struct run *run, struct err *err)
{
	int rc = run_live_open(run->job, &run->live, err);

	if (rc == 0)
		run->host = run_live_host(run->live);
	return rc;
}

static int record(struct run *run, struct err *err)
{
	uint64_t sample = run->opts->sample;

	return recording_new(run->host, run_clock(run),
			     sample || !run->live ? sample : LIVE_SAMPLE_NS, &run->recording, err);
}

int run_open(struct job *job, struct run **out, struct err *err)
{
	struct run *run = calloc(1, sizeof *run);

	if (!run)
		return err_run(err, ENOMEM, "no memory for a run");
	run->job = job;
	run->opts = job_section(job, &run_section);
	int rc = vm_live_check(job, err);
	if (rc == 0)
		rc = job_is_live(job) ? build_live(run, err) : build(run, err);
	if (rc == 0)
		rc = record(run, err);
	if (rc == 0)
		host_plan(run->host, "start");
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
	timeline_free(run->timeline);
	for (size_t i = 0; run->source && i < run->vms; i++)
		source_close(run->source[i]);
	ballooning_free(run->ballooning);
	if (run->live)
		run_live_close(run->live);
	else
		host_free(run->host);
	oracle_free(run->oracle);
	free(run->pages);
	free(run->source);
	free(run->replay);
	free(run->virtual);
	free(run->os);
	free(run->vm);
	free(run);
}

/* Progress is how far all sources have come together. */
static void on_step(void *ctx)
{
	struct run *run = ctx;
	uint64_t done = 0, total = 0;

	for (size_t i = 0; i < run->vms; i++) {
		struct source_progress p;
		if (run->os[i])
			p = gos_progress(run->os[i]);
		else if (run->virtual[i])
			p = replay_mmu_progress(run->virtual[i]);
		else if (run->replay[i])
			p = replay_progress(run->replay[i]);
		else
			continue;
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

static const char *const vm_state_names[] = {"running", "ended", "failed", "removed"};

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
		translating_tell(vm, o);
		json_object_set_new(vms, vm->name, o);
	}
	return json_pack("{s:o, s:o}", "host", host, "vm", vms);
}

/* Drives the guests, and closes the timeline. */
static int drive(struct run *run, progress_fn *progress, void *arg, struct err *err)
{
	if (run->live)
		return run_live_go(run->live, progress, arg, err);
	run->progress = progress;
	run->progress_arg = arg;
	if (progress) {
		run->host->on_step = on_step;
		run->host->step_ctx = run;
	}
	return host_run(run->host, err);
}

int run_go(struct run *run, progress_fn *progress, void *arg, struct err *err)
{
	uint64_t start = os_cpu_ns();
	int rc = drive(run, progress, arg, err);
	run->cpu_ns = os_cpu_ns() - start;
	int timeline = run->timeline ? timeline_finish(run->timeline, err) : 0;
	rc = timeline ? timeline : rc;
	if (timeline == 0 &&
	    (rc == 0 || run->host->stop)) { /* stopped: the recording may say why */
		int finished = recording_finish(run->recording, err);
		rc = finished ? finished : rc;
	}
	if (rc == 0 && !(run->summary = summarize(run)))
		rc = err_run(err, ENOMEM, "no memory for results");
	if (rc == 0 && run->oracle) /* its touches are no part of the results */
		rc = oracle_check_all(run->oracle, run->host, read_page, err);
	if (rc == 0 && run->live)
		rc = run_live_end(run->live, run->summary, err);
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
	if (run->live && run_live_failed(run->live))
		return run_live_failed(run->live);
	return run->failed.exit_code ? &run->failed : NULL;
}

struct clock *run_clock(struct run *run)
{
	return run->live ? run_live_clock(run->live) : &run->host->clock;
}

bool run_is_live(const struct run *run)
{
	return run->live != NULL;
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
	if (run->live)
		run_live_tell(run->live, provenance);
	int rc = write_json(&set, "run.json", provenance, err);
	json_decref(provenance);
	if (rc == 0)
		rc = write_json(&set, "summary.json", run->summary, err);
	if (rc == 0)
		rc = recording_write(run->recording, &set, err);
	if (rc == 0 && run->live)
		rc = run_live_logs(run->live, dir, err);
	if (rc == 0)
		return outset_commit(&set, err);
	outset_abort(&set);
	return rc;
}
