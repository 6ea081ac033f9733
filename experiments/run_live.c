#include "experiments/run_live.h"

#include "core/os.h"
#include "core/reclaim.h"
#include "experiments/caught.h"
#include "experiments/live_guest.h"
#include "experiments/timeline.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND	   UINT64_C(1000000000)
#define LOOK_EVERY (SECOND / 50)

/* A VM of the job, and the timer of its start. */
struct member {
	struct run_live *run;
	size_t i;
	struct timer start;
	struct live_guest guest;
};

struct run_live {
	struct job *job;
	struct liveparts parts;
	struct timeline *timeline;
	size_t n;
	uint32_t *pages;       /* [n] */
	struct vm **vm;	       /* [n] NULL until it came; the timeline's too */
	struct member *member; /* [n] */
	size_t starting;       /* guests whose timers run */
	char folder[108];      /* of sockets and logs; "" none */
	const char *accel;     /* once found out */
	struct timer look;     /* of the host's clock; it drives ours */
	struct clock real;
	uint64_t start_ns; /* monotonic */
	struct err err;	   /* of what a timer did */
	struct caught signals;
};

/* Opening. */

static int size_vms(struct run_live *run, struct err *err)
{
	run->n = job_count(run->job, &vm_section);
	run->pages = calloc(run->n, sizeof *run->pages);
	run->vm = calloc(run->n, sizeof(struct vm *));
	run->member = calloc(run->n, sizeof *run->member);
	if (!run->pages || !run->vm || !run->member)
		return err_run(err, ENOMEM, "no memory for %zu VMs", run->n);
	for (size_t i = 0; i < run->n; i++) {
		run->member[i] = (struct member){.run = run, .i = i};
		live_guest_init(&run->member[i].guest, run->folder);
	}
	for (size_t i = 0; i < run->n; i++) {
		const struct vm_opts *opts = job_titled(run->job, &vm_section, i);
		uint64_t pages = opts->memory >> PAGE_SHIFT;
		if (pages >= INT32_MAX)
			return err_input(err, "%s: vm.%s.memory must be less than 8tb",
					 job_where(run->job, opts, "memory"),
					 job_title(run->job, &vm_section, i));
		run->pages[i] = (uint32_t)pages;
	}
	return 0;
}

/* What this machine can do is found out once. */
static const char *accel(void *ctx)
{
	struct run_live *run = ctx;

	if (!run->accel)
		run->accel = qemu_accel();
	return run->accel;
}

static int prepare(struct run_live *run, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < run->n; i++)
		rc = live_guest_prepare(&run->member[i].guest, run->job, i, accel, run, err);
	return rc;
}

static int make_folder(struct run_live *run, struct err *err)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(run->folder, sizeof run->folder, "%s/ballast-live-XXXXXX",
		 tmp && *tmp && strlen(tmp) < 60 ? tmp : "/tmp");
	if (mkdtemp(run->folder))
		return 0;
	int rc = errno;
	run->folder[0] = '\0';
	return err_run(err, rc, "no folder for sockets and logs: %s", strerror(rc));
}

static void drop_folder(struct run_live *run)
{
	DIR *d = run->folder[0] ? opendir(run->folder) : NULL;

	if (!d)
		return;
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		unlinkat(dirfd(d), e->d_name, 0); /* of "." and ".." it is refused */
	closedir(d);
	rmdir(run->folder);
}

static int come(struct run_live *run, size_t i, struct vm **vm, struct err *err)
{
	struct live_guest *g = &run->member[i].guest;
	int rc = live_guest_come(g, &run->parts, timeline_terms(run->timeline, i), err);

	if (rc == 0)
		*vm = g->live->vm;
	return rc;
}

/* As the timeline has it. */
static int add_vm(void *ctx, size_t i, struct vm **vm, struct err *err)
{
	struct run_live *run = ctx;
	int rc = come(run, i, vm, err);

	return rc ? rc : live_guest_launch(&run->member[i].guest, err);
}

static void remove_vm(void *ctx, size_t i, const char *reason)
{
	struct run_live *run = ctx;

	host_event_now(run->parts.host, run->vm[i], "removed", "%s", reason);
	live_guest_end(&run->member[i].guest);
}

static void start_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct member *m = arg;
	struct run_live *run = m->run;

	(void)clk;
	(void)timer;
	run->starting--;
	if (add_vm(run, m->i, &run->vm[m->i], &run->err) == 0)
		host_plan(run->parts.host, "vm %s came", m->guest.proc.name);
}

/* VMs that are there from the start, and timers for those that start later. */
static int add_vms(struct run_live *run, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < run->n; i++) {
		const struct vm_opts *opts = job_titled(run->job, &vm_section, i);
		struct member *m = &run->member[i];
		bool later = timeline_adds(run->timeline, i);
		if (later && opts->start)
			return err_input(err, "%s: vm.%s.start: and a section at adds it: take one",
					 job_where(run->job, opts, "start"), m->guest.proc.name);
		timer_init(&m->start, start_due, m);
		if (opts->start) {
			run->starting++;
			if (timer_add(&run->real, &m->start, opts->start))
				rc = err_run(err, ENOMEM, "no memory for a timer");
		} else if (!later) {
			rc = come(run, i, &run->vm[i], err);
		}
	}
	return rc;
}

static int open_host(struct run_live *run, struct err *err)
{
	char agents[sizeof run->folder + 8];

	int rc = live_check(err);
	if (rc == 0)
		rc = make_folder(run, err);
	snprintf(agents, sizeof agents, "%s/agents", run->folder);
	if (rc == 0)
		rc = liveparts_open(run->job, agents, NULL, &run->parts, err);
	if (rc == 0)
		rc = timeline_new(run->job, run->pages, run->parts.host->machine.frames,
				  run->parts.slots, &run->timeline, err);
	if (rc == 0)
		rc = add_vms(run, err);
	if (rc == 0)
		rc = timeline_start(run->timeline, run->parts.host, &run->real, run->vm, add_vm,
				    remove_vm, run, err);
	if (rc == 0)
		host_plan(run->parts.host, "start");
	return rc;
}

int run_live_open(struct job *job, struct run_live **out, struct err *err)
{
	struct run_live *run = calloc(1, sizeof *run);

	if (!run)
		return err_run(err, ENOMEM, "no memory for a run");
	run->job = job;
	clock_init(&run->real);
	caught_begin(&run->signals);
	int rc = size_vms(run, err);
	if (rc == 0)
		rc = liveparts_check(job, err);
	if (rc == 0)
		rc = prepare(run, err);
	if (rc == 0)
		rc = open_host(run, err);
	if (rc) {
		run_live_close(run);
		return rc;
	}
	*out = run;
	return 0;
}

struct host *run_live_host(const struct run_live *run)
{
	return run->parts.host;
}

/* While it goes. */

static uint64_t since_start(const struct run_live *run)
{
	return os_mono_ns() - run->start_ns;
}

static void look_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct run_live *run = arg;

	for (size_t i = 0; i < run->n; i++)
		live_guest_look(&run->member[i].guest, os_mono_ns());
	clock_run_until(&run->real, since_start(run));
	if (timer_add(clk, timer, clk->now_ns + LOOK_EVERY))
		err_run(&run->err, ENOMEM, "no memory for a timer");
}

/* Every guest has come and gone. */
static bool all_gone(const struct run_live *run)
{
	if (run->starting || run->parts.host->arrivals)
		return false;
	for (size_t i = 0; i < run->n; i++) {
		if (!live_guest_gone(&run->member[i].guest))
			return false;
	}
	return true;
}

struct clock *run_live_clock(struct run_live *run)
{
	return &run->real;
}

static int drive(struct run_live *run, progress_fn *progress, void *arg, struct err *err)
{
	const struct live_opts *opts = job_section(run->job, &live_section);
	int rc = 0;

	while (rc == 0 && !run->parts.host->stop && !run->err.exit_code && !caught_signal() &&
	       !all_gone(run) && (opts->time == 0 || since_start(run) < opts->time)) {
		rc = live_turn(run->parts.live, LOOK_EVERY, err);
		if (progress)
			progress(arg, since_start(run) / SECOND, opts->time / SECOND);
	}
	return rc;
}

int run_live_go(struct run_live *run, progress_fn *progress, void *arg, struct err *err)
{
	int rc = 0;

	timer_init(&run->look, look_due, run);
	run->start_ns = os_mono_ns();
	for (size_t i = 0; rc == 0 && i < run->n; i++) {
		if (run->member[i].guest.live)
			rc = live_guest_launch(&run->member[i].guest, err);
	}
	if (rc == 0 && timer_add(&run->parts.host->clock, &run->look, 0))
		rc = err_run(err, ENOMEM, "no memory for a timer");
	if (rc == 0)
		rc = drive(run, progress, arg, err);
	if (rc == 0 && run->err.exit_code) {
		*err = run->err;
		rc = -EIO;
	}
	if (rc == 0 && caught_signal())
		rc = err_run(err, EINTR, "interrupted: the guests are ended");
	int timeline = timeline_finish(run->timeline, err);
	return timeline ? timeline : rc;
}

/* Afterwards. */

static int recount(struct run_live *run, struct err *err)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return err_run(err, ENOMEM, "no memory for a self-check");
	size_t bad = host_audit(run->parts.host, out);
	fclose(out);
	int rc = 0;
	if (bad) {
		text[strcspn(text, "\n")] = '\0';
		rc = err_run(err, EUCLEAN, "the self-check found %zu violations, the first: %s",
			     bad, text);
	}
	free(text);
	return rc;
}

/* Ends the guests and takes their processes' leave. */
static int end_guests(struct run_live *run, struct err *err)
{
	for (size_t i = 0; i < run->n; i++)
		live_guest_end(&run->member[i].guest);
	int rc = liveparts_end(&run->parts, err);
	for (size_t i = 0; i < run->n; i++)
		live_guest_wait(&run->member[i].guest);
	return rc;
}

int run_live_end(struct run_live *run, json_t *summary, struct err *err)
{
	json_t *vms = json_object_get(summary, "vm");
	int rc = recount(run, err), ended = end_guests(run, err);

	for (size_t i = 0; i < run->n; i++) {
		struct live_guest *g = &run->member[i].guest;
		if (!g->live)
			continue;
		live_guest_look(g, os_mono_ns());
		meter_tell(&g->meter, json_object_get(vms, g->proc.name));
	}
	rc = rc ? rc : ended;
	return rc ? rc : recount(run, err);
}

const struct err *run_live_failed(const struct run_live *run)
{
	for (size_t i = 0; i < run->n; i++) {
		if (run->member[i].guest.err.exit_code)
			return &run->member[i].guest.err;
	}
	return NULL;
}

void run_live_close(struct run_live *run)
{
	struct err ignored;

	if (run->parts.live && end_guests(run, &ignored) == 0)
		timer_cancel(&run->parts.host->clock, &run->look);
	timeline_free(run->timeline);
	clock_free(&run->real);
	host_free(run->parts.host);
	for (size_t i = 0; run->member && i < run->n; i++)
		live_guest_free(&run->member[i].guest);
	drop_folder(run);
	free(run->pages);
	free(run->vm);
	free(run->member);
	caught_end(&run->signals);
	free(run);
}

/* Telling. */

/* "7.2.22 (Debian ...)", what QEMU says of itself. */
static json_t *qemu_version(void)
{
	char line[200] = "";
	FILE *f = popen("qemu-system-x86_64 --version 2>/dev/null", "r");

	if (!f)
		return json_null();
	if (!fgets(line, sizeof line, f))
		line[0] = '\0';
	pclose(f);
	line[strcspn(line, "\n")] = '\0';
	const char *at = strstr(line, "version ");
	return json_string(at ? at + 8 : line);
}

void run_live_tell(const struct run_live *run, json_t *provenance)
{
	json_t *guests = json_object();
	bool linux_guest = false;

	for (size_t i = 0; i < run->n; i++) {
		const struct live_guest *g = &run->member[i].guest;
		json_object_set_new(guests, g->proc.name, live_guest_json(g));
		linux_guest |= g->proc.linux_guest;
	}
	json_object_set_new(provenance, "live", json_true());
	json_object_set_new(provenance, "guests", guests);
	json_object_set_new(provenance, "qemu", linux_guest ? qemu_version() : json_null());
	json_object_set_new(provenance, "seconds", json_real((double)run->real.now_ns / 1e9));
}

int run_live_logs(const struct run_live *run, const char *dir, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < run->n; i++)
		rc = live_guest_log(&run->member[i].guest, dir, err);
	return rc;
}
