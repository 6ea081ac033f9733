/* The part: options, statistics, VMs and the turn of the loop. */
#include "live/channel.h"
#include "live/private.h"
#include "live/uffd.h"

#include "core/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LATE_MOST 2000000 /* ns */

const char *const live_state_names[] = {"expected", "attaching", "running", "dying", "gone"};

static const struct policy around[] = {
	{"off", "the page alone"}, {"2", "2 pages"},   {"4", "4 pages"},   {"8", "8 pages"},
	{"16", "16 pages"},	   {"32", "32 pages"}, {"64", "64 pages"},
};

const struct policy *const arounds[] = {&around[0], &around[1], &around[2], &around[3],
					&around[4], &around[5], &around[6], NULL};

static const struct policy swap_io[] = {
	{"auto", "by io_uring where the kernel has it for us"},
	{"uring", "by io_uring, or not at all"},
	{"sync", "one write after another"},
};

const struct policy *const swap_ios[] = {&swap_io[0], &swap_io[1], &swap_io[2], NULL};

#define LIVE(field) offsetof(struct live_opts, field)

static const struct opt live_options[] = {
	{"fault_around", OPT_CHOICE, LIVE(fault_around), "8", 0, 0, arounds,
	 "pages of its aligned neighbourhood that a first touch maps, where memory is not short"},
	{"beside", OPT_BOOL, LIVE(beside), "yes", 0, 0, NULL,
	 "the thread that serves a guest runs on the CPU where the guest waits for it"},
	{"swap_io", OPT_CHOICE, LIVE(swap_io), "auto", 0, 0, swap_ios,
	 "how pages that are evicted are written to the swap file"},
	{"orphan", OPT_TIME, LIVE(orphan), "30s", 0, 1e13, NULL,
	 "how long guests wait for a host that has died, before they are ended; whole seconds"},
	{"time", OPT_TIME, LIVE(time), "0", 0, 1e16, NULL,
	 "how long it runs; 0: a job until its guests have ended, a host until it is stopped"},
	{NULL},
};

const struct opt_section live_section = {
	"live", false, sizeof(struct live_opts), live_options, "live guests",
};

#define STAT(field) offsetof(struct live_vm, stats.field)

static const struct stat_row live_vm_rows[] = {
	{"live_events", STAT_COUNTER, "1", STAT(events), true, "page faults handled"},
	{"live_again", STAT_COUNTER, "1", STAT(again), false,
	 "of them, for pages that were there already"},
	{"live_around", STAT_COUNTER, "pages", STAT(around), false,
	 "pages mapped at the first touch of a neighbour"},
	{"live_moves", STAT_COUNTER, "pages", STAT(moves), false,
	 "pages that the agent mapped to a shared frame, or back"},
	{"live_gap_writes", STAT_COUNTER, "1", STAT(gap_writes), false,
	 "shared pages written while the agent was mapping them"},
	{"live_fetched", STAT_COUNTER, "pages", STAT(fetched), false,
	 "pages of the swap file that had to come from the disk"},
	{"live_fault_ns", STAT_COUNTER, "ns", STAT(fault_ns), false, "time spent on faults"},
	{"live_fault_worst", STAT_GAUGE, "ns", STAT(fault_worst), false,
	 "longest time spent on one fault"},
	{"live_bells", STAT_COUNTER, "1", STAT(bells), false,
	 "times that the balloon driver's bell was heard"},
	{"live_deaf", STAT_COUNTER, "1", STAT(deaf), false,
	 "times that it rang too often to be heard for the rest of a second"},
	{NULL},
};

#define HOST_STAT(field) offsetof(struct host, field)

static const struct stat_row live_host_rows[] = {
	{"live_in_line", STAT_COUNTER, "frames", HOST_STAT(evictor.in_line), false,
	 "frames reclaimed while a guest waited for one, the reserve being used up"},
	{NULL},
};

/* The part. */

static pte_t *entries(void *ctx, const struct vm *vm)
{
	const struct live *live = ctx;

	(void)vm;
	return arena_entries(&live->arena, live->adding);
}

/* A new window, or the one that a guest has already. */
static int open_window(struct live *live, struct arena_guest *g, uint16_t vm)
{
	struct pool *pool = pool_of(&live->host->machine);

	if (g->used)
		return pool_window_adopt(pool, vm, g->window, g->pages);
	int rc = pool_window_open(pool, vm, g->pages);
	if (rc == 0)
		g->window = pool->window[vm].offset;
	return rc;
}

static int vm_added(void *ctx, struct vm *vm)
{
	struct live *live = ctx;
	struct live_vm **list = realloc(live->vm, (vm->id + 1u) * sizeof(*list)), *v;

	if (!list)
		return -ENOMEM;
	live->vm = list;
	v = calloc(1, sizeof *v);
	if (!v)
		return -ENOMEM;
	v->live = live;
	v->vm = vm;
	v->around = live->opts.fault_around == &around[0]
			    ? 1
			    : (uint32_t)atoi(live->opts.fault_around->name);
	attach_ready(v);
	v->record = live->adding;
	v->at = arena_at(&live->arena, v->record);
	int rc = open_window(live, v->record, vm->id);
	if (rc) {
		free(v);
		return rc;
	}
	vm->pmap->blind = PTE_STORE;
	vm->pmap->hide = fault_hide;
	vm->pmap->hide_ctx = v;
	list[vm->id] = v;
	live->vms = vm->id + 1u;
	stat_bind(&vm->stats, live_vm_rows, v);
	return 0;
}

static void vm_emptied(void *ctx, struct vm *vm)
{
	struct live *live = ctx;

	pool_window_close(pool_of(&live->host->machine), vm->id);
}

static void vm_removed(void *ctx, struct vm *vm)
{
	struct live *live = ctx;
	struct live_vm *v = live->vm[vm->id];

	threads_halt(live);
	live->vm[vm->id] = NULL;
	if (!v)
		return;
	channel_close(v);
	attach_drop(v);
	free(v);
}

static size_t audit(void *ctx, FILE *out)
{
	const struct live *live = ctx;

	return pool_audit(&live->host->machine, out);
}

static void live_close(void *ctx)
{
	struct live *live = ctx;

	attach_close(live);
	threads_close(live);
	loop_fini(&live->loop);
	arena_close(&live->arena);
	pool_of(&live->host->machine)->guard = (struct pool_guard){0};
	free(live->socket);
	free(live->vm);
	free(live);
}

static const struct part live_part = {
	.name = "live guests",
	.vm_added = vm_added,
	.vm_emptied = vm_emptied,
	.vm_removed = vm_removed,
	.audit = audit,
	.close = live_close,
};

/* A descriptor that the keeper has from a manager before this one; -1 none. */
static int inherited(const struct live *live, unsigned place)
{
	return live->kept && live->kept->lives ? live->kept->fd[place] : -1;
}

static int open_memory(struct live *live, uint32_t slots)
{
	struct pool *pool = pool_of(&live->host->machine);
	int fd = inherited(live, KEPT_POOL);
	int rc = arena_open(&live->arena, inherited(live, KEPT_ARENA), live->host->machine.frames,
			    slots);

	if (rc == 0 && fd >= 0)
		rc = pool_adopt(pool, fd);
	if (rc)
		return rc;
	live->pmaps->store = (struct pte_store){entries, live};
	kept_put(live->kept, KEPT_POOL, pool->fd);
	kept_put(live->kept, KEPT_ARENA, live->arena.fd);
	return 0;
}

int live_open(struct host *host, struct pmap_part *pmaps, const struct live_opts *opts,
	      const char *socket, struct kept *kept, uint32_t slots, struct live **out,
	      struct err *err)
{
	struct live *live = calloc(1, sizeof *live);

	if (!live)
		return err_run(err, ENOMEM, "no memory for a live host");
	live->host = host;
	live->pmaps = pmaps;
	live->kept = kept;
	live->tag = kept ? kept->lives << 20 : 0;
	live->opts = *opts;
	live->start_ns = os_mono_ns();
	live->listener.fd = live->arena.fd = live->bell.fd = -1;
	host_add_part(host, &live_part, live);
	stat_bind(&host->scope, live_host_rows, host);
	pool_of(&host->machine)->guard = (struct pool_guard){fault_protect, live};
	int rc = loop_init(&live->loop);
	rc = rc ? rc : threads_open(live);
	if (rc)
		return err_run(err, -rc, "no event loop: %s", strerror(-rc));
	rc = open_memory(live, slots);
	if (rc)
		return err_run(err, -rc, "no memory for guests: %s", strerror(-rc));
	rc = attach_listen(live, socket, err);
	if (rc == 0)
		*out = live;
	return rc;
}

void live_balloon(struct live *live, struct balloon *balloon)
{
	live->balloon = balloon;
}

uint64_t *live_sums(struct live *live)
{
	return arena_sums(&live->arena);
}

/* Guests. */

/* The VM of a record. */
static int add_vm(struct live *live, struct arena_guest *g, struct live_vm **v, struct err *err)
{
	struct vm *vm;

	live->adding = g;
	int rc = vm_add(live->host, g->name, g->pages, &vm, err);
	live->adding = NULL;
	if (rc == 0)
		*v = live->vm[vm->id];
	return rc;
}

int live_add(struct live *live, const char *name, const char *group, uint32_t pages,
	     struct live_vm **v, struct err *err)
{
	struct arena_guest *g;

	if (strlen(name) >= WIRE_NAME || (group && strlen(group) >= ARENA_NAME))
		return err_input(err, "vm %s: a name has at most %d characters", name,
				 WIRE_NAME - 1);
	if (live_find(live, name))
		return err_input(err, "there is a guest named %s already", name);
	g = arena_add(&live->arena, name, pages);
	if (!g)
		return err_run(err, ENOSPC, "vm %s: a host has at most %d guests at a time", name,
			       KEPT_GUESTS);
	snprintf(g->group, sizeof g->group, "%s", group ? group : "");
	g->asked = BALLOON_BY_POLICY;
	int rc = add_vm(live, g, v, err);
	if (rc)
		arena_drop(&live->arena, g);
	return rc;
}

void live_claim(struct live_vm *v, uint64_t min, uint64_t max, uint32_t shares)
{
	v->vm->min = v->record->min = min;
	v->vm->max = v->record->max = max;
	v->vm->shares = v->record->shares = shares;
}

/* Closes what was kept of a guest that did not come to run. */
static void forget(struct live *live, unsigned i)
{
	unsigned place = KEPT_GUEST + KEPT_EACH * i;

	for (unsigned k = place; k < place + KEPT_EACH; k++) {
		if (live->kept->fd[k] < 0)
			continue;
		close(live->kept->fd[k]);
		kept_put(live->kept, k, -1);
	}
	if (live->arena.head->guest[i].name[0])
		arena_drop(&live->arena, &live->arena.head->guest[i]);
}

int live_adopt(struct live *live, struct err *err)
{
	struct live_vm *v;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < KEPT_GUESTS; i++) {
		struct arena_guest *g = &live->arena.head->guest[i];
		if (!g->used) {
			forget(live, i);
			continue;
		}
		rc = add_vm(live, g, &v, err);
		if (rc)
			break;
		live_claim(v, min_u64(g->min, g->max), g->max, g->shares); /* may be half set */
		v->pid = g->pid;
		v->base = g->base;
		v->uffd.fd = live->kept->fd[kept_place(v) + KEPT_UFFD];
		v->sock.fd = live->kept->fd[kept_place(v) + KEPT_SOCK];
		v->process.fd = live->kept->fd[kept_place(v) + KEPT_PROCESS];
		v->state = LIVE_RUNNING;
		int lost = live->balloon && g->channel ? channel_adopt(v) : 0;
		if (lost) {
			host_event(live->host, v->vm, "balloon lost", "%s", strerror(-lost));
			channel_close(v);
			g->channel = CHANNEL_NONE;
		}
	}
	return rc;
}

/* Lets a guest run on: what it waits for it asks for again. */
static int resume(struct live_vm *v, struct err *err)
{
	int rc = attach_watch(v);

	attach_hold(v, false); /* for a dump that will not come to its end */
	rc = rc ? rc : attach_sync(v);
	if (rc == 0)
		rc = fault_settle(v, err);
	rc = rc ? rc : uffd_wake(v->uffd.fd, v->base, v->vm->pages);
	if (rc && rc != -ESRCH && !err->exit_code)
		err_run(err, -rc, "it cannot be taken over: %s", strerror(-rc));
	return rc == -ESRCH ? 0 : rc;
}

int live_resume(struct live *live, struct err *err)
{
	for (size_t i = 0; i < live->vms; i++)
		fault_pin(live->vm[i]);
	int rc = pmap_adopt(live->host, err);

	if (rc)
		return rc;
	int64_t swept = pool_sweep(&live->host->machine, live->pmaps);
	if (swept < 0)
		return err_run(err, (int)-swept, "the pool cannot be swept: %s",
			       strerror((int)-swept));
	for (size_t i = 0; i < live->vms; i++) {
		struct err why = {0};
		if (resume(live->vm[i], &why))
			attach_fail(live->vm[i], &why);
		host_event(live->host, live->vm[i]->vm, "taken over", "process %d",
			   (int)live->vm[i]->pid);
	}
	return 0;
}

struct live_vm *live_find(const struct live *live, const char *name)
{
	for (size_t i = 0; i < live->vms; i++) {
		struct live_vm *v = live->vm[i];
		if (v->state != LIVE_GONE && strcmp(v->vm->name, name) == 0)
			return v;
	}
	return NULL;
}

struct live_vm *live_at(const struct live *live, size_t i)
{
	return i < live->vms ? live->vm[i] : NULL;
}

void live_hold(struct live_vm *v, bool on)
{
	attach_hold(v, on);
}

void live_stop(struct live_vm *v, bool kill)
{
	attach_stop(v, kill);
}

void live_refuse(struct live *live)
{
	attach_close(live);
}

struct loop *live_loop(struct live *live)
{
	return &live->loop;
}

struct host *live_host(struct live *live)
{
	return live->host;
}

/* Every VM's time is the host's: guests run in real time. */
static void tell_time(struct live *live, uint64_t now)
{
	clock_run_until(&live->host->clock, now);
	live->host->stats.time_ns = now;
	for (size_t i = 0; i < live->vms; i++) {
		if (live->vm[i]->state != LIVE_GONE)
			live->vm[i]->vm->time_ns = max_u64(live->vm[i]->vm->time_ns, now);
	}
}

/*
 * The host's time. A manager that is late for its timers, because it has too
 * little of the CPU, does not catch up: it would scan, and guests would wait.
 * The time is taken out of the clock.
 */
static uint64_t time_now(struct live *live)
{
	uint64_t now = os_mono_ns() - live->start_ns;
	uint64_t late = now - clock_next(&live->host->clock, now);

	if (late > LATE_MOST) {
		live->start_ns += late - LATE_MOST;
		now -= late - LATE_MOST;
	}
	return now;
}

int live_turn(struct live *live, uint64_t timeout_ns, struct err *err)
{
	uint64_t now = time_now(live), till;

	tell_time(live, now);
	for (size_t i = 0; i < live->vms; i++)
		fault_unmap(live->vm[i]);
	thread_evict(live);
	till = clock_next(&live->host->clock, now + timeout_ns);
	int rc = thread_sleep(live, till, live->shortage || till < now ? 0 : till - now);
	if (rc)
		return err_run(err, -rc, "the event loop failed: %s", strerror(-rc));
	loop_serve(&live->loop);
	return 0;
}

int live_check(struct err *err)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_NEEDED};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == EPERM)
		return err_run(err, EPERM,
			       "no right to use userfaultfd: run as root, or set sysctl "
			       "vm.unprivileged_userfaultfd=1");
	if (fd < 0)
		return err_run(err, errno, "this kernel has no userfaultfd: %s", strerror(errno));
	int rc = uffd_call(fd, UFFDIO_API, &api);
	close(fd);
	if (rc)
		return err_run(err, -rc,
			       "this kernel's userfaultfd cannot write-protect shared memory: "
			       "Linux 6.4 or newer can");
	return 0;
}
