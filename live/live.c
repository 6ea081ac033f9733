/* The part: options, statistics, VMs and the turn of the loop. */
#include "live/private.h"
#include "live/uffd.h"

#include "core/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *const live_state_names[] = {"expected", "attaching", "running", "dying", "gone"};

#define LIVE(field) offsetof(struct live_opts, field)

static const struct opt live_options[] = {
	{"fault_around", OPT_INT, LIVE(fault_around), "8", 1, 64, NULL,
	 "pages of its aligned neighbourhood that a first touch maps, where memory is not short"},
	{"orphan", OPT_TIME, LIVE(orphan), "30s", 0, 1e13, NULL,
	 "how long guests wait for a host that has died, before they are ended; whole seconds"},
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
	{"live_fault_ns", STAT_COUNTER, "ns", STAT(fault_ns), false, "time spent on faults"},
	{"live_fault_worst", STAT_GAUGE, "ns", STAT(fault_worst), false,
	 "longest time spent on one fault"},
	{NULL},
};

/* The part. */

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
	attach_ready(v);
	v->at = meter_alloc(&live->host->meter, vm->pages * sizeof *v->at);
	int rc = v->at ? pool_window_open(pool_of(&live->host->machine), vm->id, vm->pages)
		       : -ENOMEM;
	if (rc) {
		meter_free(&live->host->meter, v->at, vm->pages * sizeof *v->at);
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

	live->vm[vm->id] = NULL;
	if (!v)
		return;
	attach_drop(v);
	meter_free(&live->host->meter, v->at, vm->pages * sizeof *v->at);
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
	loop_fini(&live->loop);
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

int live_open(struct host *host, const struct live_opts *opts, const char *socket,
	      struct live **out, struct err *err)
{
	struct live *live = calloc(1, sizeof *live);

	if (!live)
		return err_run(err, ENOMEM, "no memory for a live host");
	live->host = host;
	live->opts = *opts;
	live->start_ns = os_mono_ns();
	live->listener.fd = -1;
	host_add_part(host, &live_part, live);
	pool_of(&host->machine)->guard = (struct pool_guard){fault_protect, live};
	int rc = loop_init(&live->loop);
	if (rc)
		return err_run(err, -rc, "no event loop: %s", strerror(-rc));
	rc = attach_listen(live, socket, err);
	if (rc == 0)
		*out = live;
	return rc;
}

/* Guests. */

int live_add(struct live *live, const char *name, uint32_t pages, struct live_vm **v,
	     struct err *err)
{
	struct vm *vm;

	if (strlen(name) >= WIRE_NAME)
		return err_input(err, "vm %s: a name has at most %d characters", name,
				 WIRE_NAME - 1);
	if (live_find(live, name))
		return err_input(err, "there is a guest named %s already", name);
	int rc = vm_add(live->host, name, pages, &vm, err);
	if (rc == 0)
		*v = live->vm[vm->id];
	return rc;
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

void live_stop(struct live_vm *v, bool kill)
{
	attach_stop(v, kill);
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

int live_turn(struct live *live, uint64_t timeout_ns, struct err *err)
{
	uint64_t now = os_mono_ns() - live->start_ns;

	tell_time(live, now);
	int rc = loop_turn(&live->loop, clock_next(&live->host->clock, now + timeout_ns) - now);
	return rc ? err_run(err, -rc, "the event loop failed: %s", strerror(-rc)) : 0;
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
