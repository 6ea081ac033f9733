#include "balloon/local.h"
#include "balloon/ring.h"

#include <errno.h>
#include <stdlib.h>

struct local_driver {
	struct balloon *balloon;
	struct vm *vm;
	struct ring_end host_end, guest_end;
	struct driver *driver;
	void *region; /* BALLOON_REGION_MIN bytes */
};

static void host_rings(void *ctx)
{
	struct local_driver *l = ctx;

	if (l->driver)
		driver_interrupt(l->driver);
}

static void guest_rings(void *ctx)
{
	struct local_driver *l = ctx;

	balloon_contact(l->balloon, l->vm);
}

/* A region of 4096 + 2 rings, aligned so that indices have cache lines of their own. */
static int lay_out(struct local_driver *l, struct err *err)
{
	l->region = aligned_alloc(4096, BALLOON_REGION_MIN);
	if (!l->region || ring_host_init(&l->host_end, l->region, BALLOON_REGION_MIN) ||
	    ring_guest_init(&l->guest_end, l->region, BALLOON_REGION_MIN))
		return err_run(err, ENOMEM, "vm %s: no memory for a balloon's rings", l->vm->name);
	l->host_end.bell = host_rings;
	l->guest_end.bell = guest_rings;
	l->host_end.bell_ctx = l->guest_end.bell_ctx = l;
	return 0;
}

int local_driver_new(struct balloon *balloon, struct vm *vm, const struct driver_guest *guest,
		     const struct balloon_opts *opts, uint64_t start_ns, struct local_driver **out,
		     struct err *err)
{
	struct local_driver *l = calloc(1, sizeof *l);

	if (!l)
		return err_run(err, ENOMEM, "vm %s: no memory for a balloon driver", vm->name);
	l->balloon = balloon;
	l->vm = vm;
	int rc = lay_out(l, err);
	if (rc == 0) {
		const struct balloon_end host = ring_as_end(&l->host_end),
					 mine = ring_as_end(&l->guest_end);
		balloon_connect(balloon, vm, &host);
		rc = driver_new(vm, guest, opts, &mine, start_ns, &l->driver, err);
	}
	if (rc) {
		local_driver_free(l);
		return rc;
	}
	*out = l;
	return 0;
}

void local_driver_free(struct local_driver *l)
{
	if (!l)
		return;
	driver_free(l->driver);
	balloon_disconnect(l->balloon, l->vm);
	free(l->region);
	free(l);
}

struct driver *local_driver_of(struct local_driver *l)
{
	return l->driver;
}
