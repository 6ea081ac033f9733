#include "experiments/livehost.h"

#include "core/os.h"
#include "live/control.h"
#include "live/live.h"
#include "live/pool.h"
#include "sharing/sharing.h"
#include "swap/swap.h"
#include "swap/victim.h"
#include "tax/sample.h"
#include "tax/tax.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND	     UINT64_C(1000000000)
#define END_PATIENCE (5 * SECOND) /* for guests to end when they are asked to */

const struct opt_section *const livehost_sections[] = {
	&host_section,	 &cost_section, &reclaim_section, &share_section, &swap_section,
	&sample_section, &tax_section,	&live_section,	  NULL,
};

struct livehost {
	struct job *job;
	struct host *host;
	struct sharing *sharing;
	struct swap *swap;
	struct live *live;
	struct kept *kept;
	struct control *control;
	char *socket;
	FILE *log;
	char accel[8]; /* what a client found out about this machine; "" unknown */
	volatile sig_atomic_t stop;
};

const char *livehost_socket(char *buf, size_t size)
{
	const char *given = getenv("BALLAST_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");

	if (given && *given)
		return given;
	if (runtime && *runtime)
		snprintf(buf, size, "%s/ballast.sock", runtime);
	else if (geteuid() == 0)
		snprintf(buf, size, "/run/ballast.sock");
	else
		snprintf(buf, size, "/tmp/ballast-%u.sock", (unsigned)geteuid());
	return buf;
}

/* Building. */

/* Memory that the kernel says is free for the taking, in bytes; 0 if it does not say. */
static uint64_t memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long long kb = 0;
	char line[128];

	while (f && fgets(line, sizeof line, f) && sscanf(line, "MemAvailable: %llu kB", &kb) != 1)
		;
	if (f)
		fclose(f);
	return (uint64_t)kb << 10;
}

static int host_size(const struct livehost *h, struct host_opts *opts, struct err *err)
{
	uint64_t available = h->kept->lives ? 0 : memory_available(), wanted;

	if (opts->frames == 0)
		opts->frames = (int64_t)(opts->memory >> PAGE_SHIFT);
	if (opts->frames == 0)
		return err_input(err, "how much memory may guests have? give -s host.memory=SIZE");
	if (opts->frames >= INT32_MAX)
		return err_input(err, "%s: host.memory is more than 8 TiB",
				 job_where(h->job, job_section(h->job, &host_section), "memory"));
	wanted = (uint64_t)opts->frames << PAGE_SHIFT;
	if (available && wanted > available)
		return err_run(err, ENOMEM,
			       "%llu MiB for guests are more than the %llu MiB that this machine "
			       "has available: give a smaller host.memory",
			       (unsigned long long)wanted >> 20,
			       (unsigned long long)available >> 20);
	return 0;
}

/* Policies that a live guest gives nothing to go by are refused. */
static int check_policies(const struct livehost *h, struct err *err)
{
	const struct share_opts *share = job_section(h->job, &share_section);
	const struct swap_opts *swap = job_section(h->job, &swap_section);
	const struct sample_opts *sample = job_section(h->job, &sample_section);
	const char *scan = share->scan->name, *sampler = sample->sampler->name;

	if (((const struct victim *)swap->victim)->track != TRACK_NOTHING)
		return err_input(err,
				 "%s: swap.victim = %s needs to see every reference, and those of "
				 "a live guest are not seen: take random or fifo",
				 job_where(h->job, swap, "victim"), swap->victim->name);
	if (strcmp(scan, "ksm") == 0 || strcmp(scan, "idle-first") == 0)
		return err_input(err,
				 "%s: share.scan = %s needs to know which pages were written, and "
				 "a live guest's writes are not seen: take random or sequential",
				 job_where(h->job, share, "scan"), scan);
	if (strcmp(sampler, "esx") != 0 && strcmp(sampler, "none") != 0)
		return err_input(err,
				 "%s: sample.sampler = %s needs to see every reference, and those "
				 "of a live guest are not seen: take esx",
				 job_where(h->job, sample, "sampler"), sampler);
	return 0;
}

/* A line of the log for everything that happens. */
static void on_event(void *ctx, uint64_t time_ns, const struct vm *vm, const char *event,
		     const char *reason)
{
	const struct livehost *h = ctx;

	fprintf(h->log, "%.3f %s%s%s: %s\n", (double)time_ns / 1e9, vm ? vm->name : "",
		vm ? " " : "", event, reason);
}

static int open_parts(struct livehost *h, struct err *err)
{
	struct host_opts opts = *(const struct host_opts *)job_section(h->job, &host_section);
	const struct swap_opts *swap = job_section(h->job, &swap_section);
	uint64_t slots = swap->size >> PAGE_SHIFT;
	struct reclaim *reclaim;
	struct tax *tax;
	struct pmap_part *pmaps;
	char agents[200];

	int rc = host_size(h, &opts, err);
	if (rc)
		return rc;
	opts.backing = &backing_live.policy;
	rc = host_new(&opts, job_section(h->job, &cost_section), &h->host, err);
	if (rc)
		return rc;
	if (slots == 0)
		slots = min_u64(4 * (uint64_t)opts.frames, UINT32_MAX - 1);
	if (pmap_part_new(h->host, &pmaps))
		return err_run(err, ENOMEM, "no memory for a host");
	rc = sharing_open(h->host, pmaps, job_section(h->job, &share_section), &h->sharing, err);
	if (rc == 0)
		rc = swap_open(h->host, pmaps, swap, (uint32_t)slots, &os_io, &h->swap, err);
	if (rc == 0)
		rc = sampling_open(h->host, pmaps, job_section(h->job, &sample_section), err);
	if (rc == 0)
		rc = reclaim_open(h->host, job_section(h->job, &reclaim_section), &reclaim, err);
	if (rc == 0)
		rc = tax_open(h->host, job_section(h->job, &tax_section), &tax, err);
	snprintf(agents, sizeof agents, "%s.agents", h->socket);
	if (rc == 0)
		rc = live_open(h->host, pmaps, job_section(h->job, &live_section), agents, h->kept,
			       (uint32_t)slots, &h->live, err);
	if (rc)
		return rc;
	swap_keep(h->swap, h->kept->lives ? h->kept->fd[KEPT_SWAP] : -1, live_sums(h->live));
	kept_put(h->kept, KEPT_SWAP, swap_fd(h->swap));
	return 0;
}

/* Takes over the guests of a manager that was killed. */
static int adopt(struct livehost *h, struct err *err)
{
	int rc = live_adopt(h->live, err);

	for (size_t i = 0; rc == 0 && live_at(h->live, i); i++) {
		const struct live_vm *v = live_at(h->live, i);
		if (v->record->group[0])
			rc = sharing_group(h->sharing, v->vm, v->record->group, err);
	}
	rc = rc ? rc : live_resume(h->live, err);
	if (rc == 0)
		host_plan(h->host, "the manager was killed");
	return rc;
}

/* Answers. */

static json_t *refusal(const struct err *err)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", err->msg);
}

static json_t *guest_json(const struct live_vm *v)
{
	json_t *o = json_pack("{s:s, s:s, s:i, s:i}", "name", v->vm->name, "state",
			      v->vm->state == VM_FAILED ? "failed" : live_state_names[v->state],
			      "pages", (int)v->vm->pages, "pid", (int)v->pid);
	json_t *stats = stat_json(&v->vm->stats);

	if (o && stats)
		json_object_update(o, stats);
	json_decref(stats);
	if (o)
		json_object_update_new(o, json_pack("{s:I, s:I, s:I, s:I, s:I}", "active",
						    (json_int_t)vm_active(v->vm), "min",
						    (json_int_t)v->vm->min, "max",
						    (json_int_t)v->vm->max, "shares",
						    (json_int_t)v->vm->shares, "target",
						    (json_int_t)v->vm->target));
	if (o && v->vm->state == VM_FAILED)
		json_object_set_new(o, "error", json_string(v->vm->err.msg));
	return o;
}

static json_t *do_status(struct livehost *h, const json_t *request, struct err *err)
{
	bool all = json_is_true(json_object_get(request, "all"));
	json_t *vms = json_array();

	(void)err;
	host_refresh(h->host);
	for (size_t i = 0; live_at(h->live, i); i++) {
		const struct live_vm *v = live_at(h->live, i);
		if (all || v->state != LIVE_GONE)
			json_array_append_new(vms, guest_json(v));
	}
	return json_pack("{s:b, s:i, s:i, s:s, s:o, s:o}", "ok", 1, "pid", (int)getpid(), "lives",
			 (int)h->kept->lives, "accel", h->accel, "host", stat_json(&h->host->scope),
			 "vms", vms);
}

static bool good_name(const char *name)
{
	size_t n = 0;

	while (isalnum((unsigned char)name[n]) || name[n] == '-' || name[n] == '_')
		n++;
	return n > 0 && n <= 31 && name[n] == '\0';
}

/* Sizes in pages and shares from a request, or as they are. False with err set. */
static bool claim(struct live_vm *v, const json_t *request, struct err *err)
{
	json_int_t min = (json_int_t)v->vm->min, max = (json_int_t)v->vm->max;
	json_int_t shares = v->vm->shares;

	json_t *copy = json_copy((json_t *)request);
	int bad = json_unpack(copy, "{s?I, s?I, s?I}", "min", &min, "max", &max, "shares", &shares);
	json_decref(copy);
	if (bad || min < 0 || min > max || max > v->vm->pages || shares < 0 ||
	    shares > UINT32_MAX) {
		err_input(err,
			  "vm %s: min is at most max, max at most its %u pages, shares below "
			  "4294967296",
			  v->vm->name, v->vm->pages);
		return false;
	}
	live_claim(v, (uint64_t)min, (uint64_t)max, (uint32_t)shares);
	return true;
}

static json_t *do_add(struct livehost *h, const json_t *request, struct err *err)
{
	const char *name = json_string_value(json_object_get(request, "vm"));
	const char *group = json_string_value(json_object_get(request, "group"));
	json_int_t pages = json_integer_value(json_object_get(request, "pages"));
	struct live_vm *v;

	if (!name || !good_name(name)) {
		err_input(err, "a guest's name has 1 to 31 letters, digits, '-' and '_'");
		return NULL;
	}
	if (pages < 1 || pages >= INT32_MAX) {
		err_input(err, "vm %s: memory must be 4kb or more, and less than 8tb", name);
		return NULL;
	}
	if (live_add(h->live, name, group, (uint32_t)pages, &v, err))
		return NULL;
	live_claim(v, 0, v->vm->max, 1000);
	if (!claim(v, request, err) || (group && sharing_group(h->sharing, v->vm, group, err))) {
		live_stop(v, true);
		return NULL;
	}
	host_plan(h->host, "vm %s came", name);
	return json_pack("{s:b, s:s+, s:s}", "ok", 1, "agents", h->socket, ".agents", "accel",
			 h->accel);
}

static json_t *do_set(struct livehost *h, const json_t *request, struct err *err)
{
	const char *name = json_string_value(json_object_get(request, "vm"));
	struct live_vm *v = name ? live_find(h->live, name) : NULL;

	if (!v) {
		err_run(err, ENOENT, "there is no guest named '%.40s'; 'ballast vm list' has them",
			name ? name : "");
		return NULL;
	}
	if (!claim(v, request, err))
		return NULL;
	host_plan(h->host, "vm %s was set", name);
	return json_pack("{s:b}", "ok", 1);
}

static json_t *do_stop(struct livehost *h, const json_t *request, struct err *err)
{
	const char *name = json_string_value(json_object_get(request, "vm"));
	struct live_vm *v = name ? live_find(h->live, name) : NULL;

	if (!v) {
		err_run(err, ENOENT, "there is no guest named '%.40s'; 'ballast vm list' has them",
			name ? name : "");
		return NULL;
	}
	live_stop(v, json_is_true(json_object_get(request, "kill")));
	return json_pack("{s:b}", "ok", 1);
}

static json_t *do_accel(struct livehost *h, const json_t *request, struct err *err)
{
	const char *is = json_string_value(json_object_get(request, "is"));

	if (!is || (strcmp(is, "kvm") != 0 && strcmp(is, "tcg") != 0)) {
		err_input(err, "accel is kvm or tcg");
		return NULL;
	}
	snprintf(h->accel, sizeof h->accel, "%s", is);
	return json_pack("{s:b}", "ok", 1);
}

static json_t *do_check(struct livehost *h, const json_t *request, struct err *err)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)request;
	if (!out) {
		err_run(err, ENOMEM, "no memory for a self-check");
		return NULL;
	}
	size_t bad = host_audit(h->host, out);
	fclose(out);
	json_t *reply =
		json_pack("{s:b, s:I, s:s}", "ok", 1, "violations", (json_int_t)bad, "text", text);
	free(text);
	return reply;
}

static json_t *do_shutdown(struct livehost *h, const json_t *request, struct err *err)
{
	(void)request;
	(void)err;
	h->stop = true;
	return json_pack("{s:b}", "ok", 1);
}

static const struct {
	const char *name;
	json_t *(*answer)(struct livehost *h, const json_t *request, struct err *err);
} requests[] = {
	{"status", do_status}, {"set", do_set},	    {"add", do_add},	       {"stop", do_stop},
	{"accel", do_accel},   {"check", do_check}, {"shutdown", do_shutdown},
};

static json_t *answer(void *ctx, const json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "do"));
	struct err err = {0};

	for (size_t i = 0; what && i < ARRAY_LEN(requests); i++) {
		if (strcmp(requests[i].name, what) == 0) {
			json_t *reply = requests[i].answer(ctx, request, &err);
			return reply || !err.exit_code ? reply : refusal(&err);
		}
	}
	err_input(&err, "a request is {\"do\": \"status\", ...}; there is no '%.40s'",
		  what ? what : "");
	return refusal(&err);
}

/* The host. */

int livehost_open(struct job *job, const char *socket, FILE *log, struct kept *kept,
		  struct livehost **out, struct err *err)
{
	struct livehost *h;

	int rc = live_check(err);
	if (rc)
		return rc;
	h = calloc(1, sizeof *h);
	if (!h || !(h->socket = strdup(socket))) {
		free(h);
		return err_run(err, ENOMEM, "no memory for a host");
	}
	h->job = job;
	h->log = log;
	h->kept = kept;
	rc = check_policies(h, err);
	if (rc == 0)
		rc = control_in_use(socket, err);
	if (rc == 0)
		rc = open_parts(h, err);
	if (rc == 0) {
		h->host->on_event = on_event;
		h->host->event_ctx = h;
		rc = kept->lives ? adopt(h, err) : 0;
	}
	if (rc == 0)
		rc = control_open(live_loop(h->live), socket, answer, h, &h->control, err);
	if (rc) {
		livehost_close(h);
		return rc;
	}
	kept_up(kept);
	*out = h;
	return 0;
}

void livehost_close(struct livehost *h)
{
	control_close(h->control);
	host_free(h->host);
	free(h->socket);
	free(h);
}

/* Tells every guest to end; returns how many there are. */
static size_t stop_all(struct livehost *h, bool kill)
{
	size_t n = 0;

	for (size_t i = 0; live_at(h->live, i); i++) {
		if (live_at(h->live, i)->state == LIVE_GONE)
			continue;
		live_stop(live_at(h->live, i), kill);
		n++;
	}
	return n;
}

/* Asks every guest to end, gives them some time, and kills who is left. */
static int end_guests(struct livehost *h, struct err *err)
{
	uint64_t end = os_mono_ns() + END_PATIENCE;
	bool killed = false;
	int rc = 0;

	size_t left = stop_all(h, false);
	while (rc == 0 && left) {
		rc = live_turn(h->live, SECOND / 20, err);
		left = 0;
		for (size_t i = 0; live_at(h->live, i); i++)
			left += live_at(h->live, i)->state != LIVE_GONE;
		if (os_mono_ns() > end) {
			if (killed)
				break;
			killed = true;
			end += END_PATIENCE;
			stop_all(h, true);
		}
	}
	return rc;
}

int livehost_run(struct livehost *h, struct err *err)
{
	int rc = 0;

	while (rc == 0 && !h->stop)
		rc = live_turn(h->live, SECOND, err);
	return rc ? rc : end_guests(h, err);
}

void livehost_stop(struct livehost *h)
{
	h->stop = true;
}
