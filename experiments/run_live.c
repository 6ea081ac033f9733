#include "experiments/run_live.h"

#include "core/os.h"
#include "core/reclaim.h"
#include "experiments/live_meter.h"
#include "experiments/outdir.h"
#include "experiments/terms.h"
#include "experiments/timeline.h"
#include "experiments/vm_live.h"
#include "live/channel.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND		UINT64_C(1000000000)
#define LOOK_EVERY	(SECOND / 50)
#define ATTACH_PATIENCE (20 * SECOND) /* for a process to map its memory */
#define END_PATIENCE	(5 * SECOND)  /* for one that is told to end */

/* A VM of the job. */
struct member {
	struct run_live *run;
	size_t i;
	struct guestproc proc;
	struct words words;
	struct launch launch;
	struct timer start;
	struct live_vm *live; /* NULL until it came */
	pid_t pid;	      /* 0: not started, or reaped */
	uint64_t since_ns;    /* monotonic: when it was started, or told to end */
	bool ending;	      /* it was told to end */
	struct live_meter meter;
	struct err err; /* why its process failed */
};

struct run_live {
	struct job *job;
	struct liveparts parts;
	struct timeline *timeline;
	size_t n;
	uint32_t *pages;      /* [n] */
	struct vm **vm;	      /* [n] NULL until it came; the timeline's too */
	struct member *guest; /* [n] */
	size_t starting;      /* guests whose timers run */
	char folder[108];     /* of sockets and logs; "" none */
	const char *accel;    /* once found out */
	struct timer look;    /* of the host's clock; it drives ours */
	struct clock real;
	uint64_t start_ns; /* monotonic */
	struct err err;	   /* of what a timer did */
	struct sigaction old[3];
};

/* Signals. */

static const int deadly[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t caught; /* the signal; one such run a process */

static void on_signal(int sig)
{
	caught = sig;
}

static void take_signals(struct run_live *run)
{
	struct sigaction act = {.sa_handler = on_signal};

	caught = 0;
	for (size_t i = 0; i < ARRAY_LEN(deadly); i++) {
		sigaction(deadly[i], NULL, &run->old[i]);
		if (run->old[i].sa_handler != SIG_IGN)
			sigaction(deadly[i], &act, NULL);
	}
}

static void give_signals_back(const struct run_live *run)
{
	for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
		sigaction(deadly[i], &run->old[i], NULL);
	if (caught)
		raise(caught);
}

/* Opening. */

static int size_vms(struct run_live *run, struct err *err)
{
	run->n = job_count(run->job, &vm_section);
	run->pages = calloc(run->n, sizeof *run->pages);
	run->vm = calloc(run->n, sizeof(struct vm *));
	run->guest = calloc(run->n, sizeof *run->guest);
	if (!run->pages || !run->vm || !run->guest)
		return err_run(err, ENOMEM, "no memory for %zu VMs", run->n);
	for (size_t i = 0; i < run->n; i++) {
		const struct vm_opts *opts = job_titled(run->job, &vm_section, i);
		uint64_t pages = opts->memory >> PAGE_SHIFT;
		run->guest[i] = (struct member){.run = run, .i = i};
		run->guest[i].launch = (struct launch){.ram_fd = -1, .out = -1, .device = -1};
		run->guest[i].launch.command.initrd_fd = -1;
		run->guest[i].meter.console.fd = -1;
		if (pages >= INT32_MAX)
			return err_input(err, "%s: vm.%s.memory must be less than 8tb",
					 job_where(run->job, opts, "memory"),
					 job_title(run->job, &vm_section, i));
		run->pages[i] = (uint32_t)pages;
	}
	return 0;
}

/* What this machine can do is found out once. */
static const char *accel(struct run_live *run)
{
	if (!run->accel)
		run->accel = qemu_accel();
	return run->accel;
}

static int prepare(struct run_live *run, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < run->n; i++) {
		struct member *g = &run->guest[i];
		rc = vm_live_guest(run->job, i, &g->proc, &g->words, err);
		if (rc == 0 && g->proc.linux_guest && !g->proc.qemu.accel)
			g->proc.qemu.accel = accel(run);
		if (rc == 0)
			rc = launch_prepare(&g->proc, &g->launch, err);
	}
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

static void log_of(const struct run_live *run, const struct member *g, char *path, size_t size)
{
	snprintf(path, size, "%s/%s.log", run->folder, g->proc.name);
}

/* Its way to the host's balloon, as its section says. */
static int open_balloon(struct run_live *run, struct member *g, struct err *err)
{
	const struct vm_opts *opts = job_titled(run->job, &vm_section, g->i);
	struct balloon *balloon = run->parts.balloon;
	uint32_t first, pages;

	if (!balloon)
		return 0;
	if (!opts->balloon || opts->balloon_cap > 0)
		balloon_cap(balloon, g->live->vm, opts->balloon ? opts->balloon_cap : 0);
	if (!opts->balloon)
		return 0;
	int rc = channel_open(g->live, g->proc.linux_guest ? CHANNEL_QEMU : CHANNEL_PROCESS, err);
	if (rc == 0) {
		qemu_hole(g->proc.linux_guest ? g->proc.memory : 0, &first, &pages);
		channel_hole(g->live, first, pages);
	}
	return rc;
}

/* The VM is there, and its guest is expected. */
static int come(struct run_live *run, size_t i, struct vm **vm, struct err *err)
{
	struct member *g = &run->guest[i];
	const struct terms *t = timeline_terms(run->timeline, i);
	const char *group = g->proc.group;

	int rc = live_add(run->parts.live, g->proc.name, group, run->pages[i], &g->live, err);
	if (rc)
		return rc;
	*vm = g->live->vm;
	live_claim(g->live, t->promise.min, t->promise.max, t->shares);
	meter_bind(&g->meter, g->live);
	rc = group ? sharing_group(run->parts.sharing, *vm, group, err) : 0;
	return rc ? rc : open_balloon(run, g, err);
}

static int launch(struct member *g, struct err *err)
{
	char path[sizeof g->run->folder + 48];

	log_of(g->run, g, path, sizeof path);
	snprintf(g->launch.agents, sizeof g->launch.agents, "%s/agents", g->run->folder);
	int end, rc = launch_log(&g->launch, path, err);
	if (rc == 0 && g->live->channel && g->proc.linux_guest) {
		rc = launch_device(&g->launch, &end);
		rc = rc ? rc : channel_greet(g->live->channel, end);
		if (rc)
			err_run(err, -rc, "vm %s: no balloon device: %s", g->proc.name,
				strerror(-rc));
	}
	if (rc == 0)
		rc = launch_go(&g->proc, &g->launch, &g->pid, err);
	g->since_ns = os_mono_ns();
	return rc;
}

/* As the timeline has it. */
static int add_vm(void *ctx, size_t i, struct vm **vm, struct err *err)
{
	struct run_live *run = ctx;
	int rc = come(run, i, vm, err);

	return rc ? rc : launch(&run->guest[i], err);
}

static void tell_to_end(struct member *g)
{
	if (!g->live || g->live->state == LIVE_GONE || g->ending)
		return;
	g->ending = true;
	g->since_ns = os_mono_ns();
	live_stop(g->live, false);
}

static void remove_vm(void *ctx, size_t i, const char *reason)
{
	struct run_live *run = ctx;

	host_event_now(run->parts.host, run->vm[i], "removed", "%s", reason);
	tell_to_end(&run->guest[i]);
}

static void start_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct member *g = arg;
	struct run_live *run = g->run;

	(void)clk;
	(void)timer;
	run->starting--;
	if (add_vm(run, g->i, &run->vm[g->i], &run->err) == 0)
		host_plan(run->parts.host, "vm %s came", g->proc.name);
}

/* VMs that are there from the start, and timers for those that start later. */
static int add_vms(struct run_live *run, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < run->n; i++) {
		const struct vm_opts *opts = job_titled(run->job, &vm_section, i);
		struct member *g = &run->guest[i];
		bool later = timeline_adds(run->timeline, i);
		if (later && opts->start)
			return err_input(err, "%s: vm.%s.start: and a section at adds it: take one",
					 job_where(run->job, opts, "start"), g->proc.name);
		timer_init(&g->start, start_due, g);
		if (opts->start) {
			run->starting++;
			if (timer_add(&run->real, &g->start, opts->start))
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
	take_signals(run);
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

static void fail(struct member *g, const struct err *why)
{
	if (!g->err.exit_code) {
		g->err = *why;
		err_prefix(&g->err, "vm %s", g->proc.name);
	}
	if (g->live->state == LIVE_EXPECTED)
		g->live->why = *why;
	live_stop(g->live, true);
}

/* Its process has ended, with that status. */
static void ended(struct member *g, int status)
{
	bool attached = g->live->state != LIVE_EXPECTED;
	struct err why;
	char line[400];

	g->pid = 0;
	if (g->ending || (attached && WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return;
	launch_last_line(&g->launch, line, sizeof line);
	if (!attached)
		err_run(&why, ECHILD,
			"%s ended before it mapped its memory, the file that $BALLAST_RAM names%s",
			g->launch.argv[0], line);
	else if (WIFEXITED(status))
		err_run(&why, ECHILD, "%s ended with status %d%s", g->launch.argv[0],
			WEXITSTATUS(status), line);
	else
		err_run(&why, ECHILD, "%s was killed by signal %d%s", g->launch.argv[0],
			WTERMSIG(status), line);
	fail(g, &why);
}

static void look_at(struct member *g, uint64_t now)
{
	char path[sizeof g->run->folder + 48];
	struct err why;
	int status;

	if (!g->live)
		return;
	log_of(g->run, g, path, sizeof path);
	if (g->since_ns)
		meter_read(&g->meter, path, g->live, now);
	if (g->pid && waitpid(g->pid, &status, WNOHANG) == g->pid)
		ended(g, status);
	if (!g->pid)
		return;
	if (!g->ending && g->live->state < LIVE_RUNNING && now - g->since_ns > ATTACH_PATIENCE) {
		err_run(&why, ETIMEDOUT,
			"%s did not map its memory, the file that $BALLAST_RAM names, within "
			"%llu s",
			g->launch.argv[0], (unsigned long long)(ATTACH_PATIENCE / SECOND));
		kill(g->pid, SIGKILL);
		fail(g, &why);
	}
	if (g->ending && now - g->since_ns > END_PATIENCE)
		live_stop(g->live, true);
}

static uint64_t since_start(const struct run_live *run)
{
	return os_mono_ns() - run->start_ns;
}

static void look_due(struct clock *clk, struct timer *timer, void *arg)
{
	struct run_live *run = arg;

	for (size_t i = 0; i < run->n; i++)
		look_at(&run->guest[i], os_mono_ns());
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
		const struct member *g = &run->guest[i];
		if (g->pid || (g->live && g->live->state != LIVE_GONE))
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

	while (rc == 0 && !run->parts.host->stop && !run->err.exit_code && !caught &&
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
		if (run->guest[i].live)
			rc = launch(&run->guest[i], err);
	}
	if (rc == 0 && timer_add(&run->parts.host->clock, &run->look, 0))
		rc = err_run(err, ENOMEM, "no memory for a timer");
	if (rc == 0)
		rc = drive(run, progress, arg, err);
	if (rc == 0 && run->err.exit_code) {
		*err = run->err;
		rc = -EIO;
	}
	if (rc == 0 && caught)
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
		tell_to_end(&run->guest[i]);
	int rc = liveparts_end(&run->parts, err);
	for (size_t i = 0; i < run->n; i++) {
		if (run->guest[i].pid && waitpid(run->guest[i].pid, NULL, 0) > 0)
			run->guest[i].pid = 0;
	}
	return rc;
}

int run_live_end(struct run_live *run, json_t *summary, struct err *err)
{
	json_t *vms = json_object_get(summary, "vm");
	int rc = recount(run, err), ended = end_guests(run, err);

	for (size_t i = 0; i < run->n; i++) {
		struct member *g = &run->guest[i];
		if (!g->live)
			continue;
		look_at(g, os_mono_ns());
		meter_tell(&g->meter, json_object_get(vms, g->proc.name));
	}
	rc = rc ? rc : ended;
	return rc ? rc : recount(run, err);
}

const struct err *run_live_failed(const struct run_live *run)
{
	for (size_t i = 0; i < run->n; i++) {
		if (run->guest[i].err.exit_code)
			return &run->guest[i].err;
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
	for (size_t i = 0; run->guest && i < run->n; i++) {
		struct member *g = &run->guest[i];
		meter_close(&g->meter);
		launch_free(&g->launch);
		words_free(&g->words);
	}
	drop_folder(run);
	free(run->pages);
	free(run->vm);
	free(run->guest);
	give_signals_back(run);
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

static const char *kernel_of(const struct member *g)
{
	const struct qemu_command *c = &g->launch.command;

	for (size_t i = 0; i + 1 < c->n; i++) {
		if (strcmp(c->argv[i], "-kernel") == 0)
			return c->argv[i + 1];
	}
	return "";
}

void run_live_tell(const struct run_live *run, json_t *provenance)
{
	json_t *guests = json_object();
	bool linux_guest = false;

	for (size_t i = 0; i < run->n; i++) {
		const struct member *g = &run->guest[i];
		if (g->proc.linux_guest)
			json_object_set_new(guests, g->proc.name,
					    json_pack("{s:s, s:s}", "kernel", kernel_of(g), "accel",
						      g->proc.qemu.accel));
		else
			json_object_set_new(guests, g->proc.name,
					    json_pack("{s:s}", "program", g->launch.argv[0]));
		linux_guest |= g->proc.linux_guest;
	}
	json_object_set_new(provenance, "live", json_true());
	json_object_set_new(provenance, "guests", guests);
	json_object_set_new(provenance, "qemu", linux_guest ? qemu_version() : json_null());
	json_object_set_new(provenance, "seconds", json_real((double)run->real.now_ns / 1e9));
}

static int copy_log(const struct run_live *run, const struct member *g, const char *dir,
		    struct err *err)
{
	char path[sizeof run->folder + 48], name[64], data[16384];
	struct draft *draft;
	size_t n;

	log_of(run, g, path, sizeof path);
	FILE *in = fopen(path, "r");
	if (!in)
		return 0; /* its guest never came */
	snprintf(name, sizeof name, "guest-%s.log", g->proc.name);
	int rc = outdir_open(dir, name, &draft, err);
	while (rc == 0 && (n = fread(data, 1, sizeof data, in)) > 0)
		fwrite(data, 1, n, draft_stream(draft));
	fclose(in);
	return rc ? rc : draft_commit(draft, err);
}

int run_live_logs(const struct run_live *run, const char *dir, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < run->n; i++)
		rc = copy_log(run, &run->guest[i], dir, err);
	return rc;
}
