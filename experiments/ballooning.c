#include "experiments/ballooning.h"

#include "balloon/local.h"
#include "swap/swap.h"
#include "traces/replay_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct policy *const reclaimers[] = {
	&balloon_reclaimer.policy,
	&swap_reclaimer.policy,
	NULL,
};

int reclaimers_check(const struct job *job, const struct host_opts *opts, struct err *err)
{
	for (char **name = opts->reclaimers; name && *name; name++) {
		if (!policy_find(reclaimers, *name))
			return err_input(err,
					 "%s: host.reclaimers: there is no reclaimer %s: balloon "
					 "and swap there are",
					 job_where(job, opts, "reclaimers"), *name);
		for (char **other = opts->reclaimers; other < name; other++) {
			if (strcmp(*other, *name) == 0)
				return err_input(err, "%s: host.reclaimers names %s twice",
						 job_where(job, opts, "reclaimers"), *name);
		}
	}
	return 0;
}

struct ballooned {
	struct replay_guest *guest; /* NULL: the VM brought its own */
	struct local_driver *driver;
};

struct ballooning {
	struct host *host;
	struct balloon *balloon;
	struct balloon_opts opts;
	struct ballooned *vm; /* [n] */
	size_t n;
};

int ballooning_new(struct host *host, struct balloon *balloon, const struct balloon_opts *opts,
		   struct ballooning **out, struct err *err)
{
	struct ballooning *b = calloc(1, sizeof *b);

	if (!b)
		return err_run(err, ENOMEM, "no memory for balloon drivers");
	b->host = host;
	b->balloon = balloon;
	b->opts = *opts;
	*out = b;
	return 0;
}

void ballooning_free(struct ballooning *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++) {
		local_driver_free(b->vm[i].driver);
		replay_guest_free(b->vm[i].guest);
	}
	free(b->vm);
	free(b);
}

int ballooning_add(struct ballooning *b, struct vm *vm, const struct vm_opts *opts,
		   const struct driver_guest *guest, struct oracle *oracle, struct err *err)
{
	struct ballooned *list = realloc(b->vm, (b->n + 1) * sizeof *list), *it;
	struct driver_guest table;
	int rc = 0;

	if (!list)
		return err_run(err, ENOMEM, "no memory for balloon drivers");
	b->vm = list;
	if (opts->balloon_cap > 0)
		balloon_cap(b->balloon, vm, opts->balloon_cap);
	if (!opts->balloon) {
		balloon_cap(b->balloon, vm, 0);
		return 0;
	}
	it = &b->vm[b->n];
	*it = (struct ballooned){0};
	if (guest) {
		table = *guest;
	} else {
		rc = replay_guest_new(vm, oracle, b->opts.trace_read, &it->guest, err);
		if (rc)
			return rc;
		table = replay_guest_table(it->guest);
	}
	b->n++;
	return local_driver_new(b->balloon, vm, &table, &b->opts,
				b->host->clock.now_ns + opts->balloon_start, &it->driver, err);
}
