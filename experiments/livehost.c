#include "experiments/livehost.h"

#include "balloon/balloon.h"
#include "experiments/livehost_balloon.h"
#include "experiments/live_dump.h"
#include "experiments/liveparts.h"

#include "core/os.h"
#include "live/control.h"
#include "tax/sample.h"
#include "tax/tax.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

const struct opt_section *const livehost_sections[] = {
	&host_section,	  &cost_section,   &reclaim_section, &share_section, &swap_section,
	&balloon_section, &sample_section, &tax_section,     &live_section,  NULL,
};

struct livehost {
	struct job *job;
	struct liveparts parts;
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

/* A line of the log for everything that happens. */
static void on_event(void *ctx, uint64_t time_ns, const struct vm *vm, const char *event,
		     const char *reason)
{
	const struct livehost *h = ctx;

	fprintf(h->log, "%.3f %s%s%s: %s\n", (double)time_ns / 1e9, vm ? vm->name : "",
		vm ? " " : "", event, reason);
}

/* Takes over the guests of a manager that was killed. */
static int adopt(struct livehost *h, struct err *err)
{
	int rc = live_adopt(h->parts.live, err);

	for (size_t i = 0; rc == 0 && live_at(h->parts.live, i); i++) {
		const struct live_vm *v = live_at(h->parts.live, i);
		if (v->record->group[0])
			rc = sharing_group(h->parts.sharing, v->vm, v->record->group, err);
	}
	rc = rc ? rc : live_resume(h->parts.live, err);
	if (rc == 0)
		host_plan(h->parts.host, "the manager was killed");
	return rc;
}

/* Answers. */

static json_t *refusal(const struct err *err)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", err->msg);
}

static json_t *guest_json(const struct live_vm *v, struct balloon *balloon)
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
	if (o)
		json_object_set_new(o, "driver", json_string(live_balloon_state(v, balloon)));
	if (o && v->vm->state == VM_FAILED)
		json_object_set_new(o, "error", json_string(v->vm->err.msg));
	return o;
}

static json_t *do_status(struct livehost *h, const json_t *request, struct err *err)
{
	bool all = json_is_true(json_object_get(request, "all"));
	json_t *vms = json_array();

	(void)err;
	host_refresh(h->parts.host);
	for (size_t i = 0; live_at(h->parts.live, i); i++) {
		const struct live_vm *v = live_at(h->parts.live, i);
		if (all || v->state != LIVE_GONE)
			json_array_append_new(vms, guest_json(v, h->parts.balloon));
	}
	return json_pack("{s:b, s:i, s:i, s:s, s:s, s:o, s:o}", "ok", 1, "pid", (int)getpid(),
			 "lives", (int)h->kept->lives, "accel", h->accel, "state",
			 host_state_names[h->parts.host->state], "host",
			 stat_json(&h->parts.host->scope), "vms", vms);
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

	if (h->stop) {
		err_run(err, ESHUTDOWN, "this host is about to end");
		return NULL;
	}
	if (!name || !good_name(name)) {
		err_input(err, "a guest's name has 1 to 31 letters, digits, '-' and '_'");
		return NULL;
	}
	if (pages < 1 || pages >= INT32_MAX) {
		err_input(err, "vm %s: memory must be 4kb or more, and less than 8tb", name);
		return NULL;
	}
	if (live_add(h->parts.live, name, group, (uint32_t)pages, &v, err))
		return NULL;
	live_claim(v, 0, v->vm->max, 1000);
	if (!claim(v, request, err) ||
	    (group && sharing_group(h->parts.sharing, v->vm, group, err)) ||
	    live_balloon_add(v, h->parts.balloon, request, err)) {
		live_stop(v, true);
		return NULL;
	}
	host_plan(h->parts.host, "vm %s came", name);
	return json_pack("{s:b, s:s+, s:s, s:b}", "ok", 1, "agents", h->socket, ".agents", "accel",
			 h->accel, "balloon", v->channel != NULL);
}

static json_t *do_set(struct livehost *h, const json_t *request, struct err *err)
{
	const char *name = json_string_value(json_object_get(request, "vm"));
	struct live_vm *v = name ? live_find(h->parts.live, name) : NULL;

	if (!v) {
		err_run(err, ENOENT, "there is no guest named '%.40s'; 'ballast vm list' has them",
			name ? name : "");
		return NULL;
	}
	if (!claim(v, request, err) || live_balloon_set(v, request, err))
		return NULL;
	host_plan(h->parts.host, "vm %s was set", name);
	return json_pack("{s:b}", "ok", 1);
}

static json_t *do_stop(struct livehost *h, const json_t *request, struct err *err)
{
	const char *name = json_string_value(json_object_get(request, "vm"));
	struct live_vm *v = name ? live_find(h->parts.live, name) : NULL;

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
	size_t bad = host_audit(h->parts.host, out);
	fclose(out);
	json_t *reply =
		json_pack("{s:b, s:I, s:s}", "ok", 1, "violations", (json_int_t)bad, "text", text);
	free(text);
	return reply;
}

static json_t *do_dump(struct livehost *h, const json_t *request, struct err *err)
{
	return live_dump(&h->parts, request, err);
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
	{"accel", do_accel},   {"check", do_check}, {"shutdown", do_shutdown}, {"dump", do_dump},
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
	char agents[200];

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
	snprintf(agents, sizeof agents, "%s.agents", socket);
	rc = liveparts_check(job, err);
	if (rc == 0)
		rc = control_in_use(socket, err);
	if (rc == 0) {
		control_clear(socket);
		rc = liveparts_open(job, agents, kept, &h->parts, err);
	}
	if (rc == 0) {
		h->parts.host->on_event = on_event;
		h->parts.host->event_ctx = h;
		rc = kept->lives ? adopt(h, err) : 0;
	}
	if (rc == 0)
		rc = control_open(live_loop(h->parts.live), socket, answer, h, &h->control, err);
	if (rc) {
		livehost_close(h);
		return rc;
	}
	kept_up(kept);
	*out = h;
	return 0;
}

/* The host is gone for its clients when all of its sockets are (ballast host stop). */
void livehost_close(struct livehost *h)
{
	if (h->parts.live)
		live_refuse(h->parts.live);
	control_close(h->control);
	host_free(h->parts.host);
	free(h->socket);
	free(h);
}

int livehost_run(struct livehost *h, struct err *err)
{
	const struct live_opts *opts = job_section(h->job, &live_section);
	uint64_t end = opts->time ? os_mono_ns() + opts->time : UINT64_MAX;
	int rc = 0;

	while (rc == 0 && !h->stop && os_mono_ns() < end)
		rc = live_turn(h->parts.live, SECOND, err);
	return rc ? rc : liveparts_end(&h->parts, err);
}

void livehost_stop(struct livehost *h)
{
	h->stop = true;
}
