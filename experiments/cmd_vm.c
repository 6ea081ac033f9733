/* ballast vm: guests of a live host, from their start to their end. */
#include "experiments/cmd_vm.h"
#include "experiments/guestproc.h"
#include "experiments/livehost.h"
#include "live/control.h"

#include "core/opt.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct vm_args {
	const char *socket;
	char buf[PATH_MAX];
	bool json, all, kill;
	bool asks, by_policy; /* vm set: about its balloon; no more by hand */
	uint64_t balloon;     /* bytes */
	struct guestproc guest;
};

enum {
	KEY_LINUX = 256,
	KEY_KERNEL,
	KEY_INITRD,
	KEY_APPEND,
	KEY_DISK,
	KEY_DISK_RATE,
	KEY_RUN,
	KEY_ACCEL,
	KEY_MIN,
	KEY_MAX,
	KEY_SHARES,
	KEY_GROUP,
	KEY_BALLOON,
	KEY_INIT,
	KEY_HEAP
};

#define CLAIM_OPTIONS                                                                              \
	{"min", KEY_MIN, "SIZE", 0, "Memory that is never taken from it (0)", 0},                  \
		{"max", KEY_MAX, "SIZE", 0, "Memory that it may have at most (all of it)", 0},     \
	{                                                                                          \
		"shares", KEY_SHARES, "N", 0, "Its part where memory is short (1000)", 0           \
	}

static int parse_cpus(struct vm_args *a, const char *arg, const struct argp_state *state)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 10);

	if (*end || n < 1 || n > 64)
		return cmd_usage(state, "--smp %.20s: give 1 to 64", arg);
	a->guest.qemu.cpus = (unsigned)n;
	return 0;
}

static int parse_rate(struct vm_args *a, const char *arg, const struct argp_state *state)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end || n > DISK_RATE_MAX)
		return cmd_usage(state, "--disk-rate %.20s: give 0 to %u", arg, DISK_RATE_MAX);
	a->guest.qemu.disk_rate = n;
	return 0;
}

static error_t parse_linux(int key, char *arg, struct vm_args *a, const struct argp_state *state)
{
	struct qemu_opts *q = &a->guest.qemu;

	switch (key) {
	case KEY_LINUX:
		break;
	case 'p':
		a->guest.linux_guest = true;
		return parse_cpus(a, arg, state);
	case KEY_KERNEL:
		q->kernel = arg;
		break;
	case KEY_INITRD:
		q->initrd = arg;
		break;
	case KEY_APPEND:
		q->append = arg;
		break;
	case KEY_DISK:
		q->disk = arg;
		break;
	case KEY_DISK_RATE:
		return parse_rate(a, arg, state);
	case KEY_RUN:
		q->run = arg;
		break;
	case KEY_INIT:
		q->init_on_alloc = true;
		break;
	case KEY_ACCEL:
		if (strcmp(arg, "auto") != 0 && strcmp(arg, "kvm") != 0 && strcmp(arg, "tcg") != 0)
			return cmd_usage(state, "--accel %.20s: give auto, kvm or tcg", arg);
		q->accel = strcmp(arg, "auto") == 0 ? NULL : arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	a->guest.linux_guest = true;
	return 0;
}

static error_t parse_claim(int key, char *arg, struct vm_args *a, const struct argp_state *state)
{
	struct claim_args *c = &a->guest.claim;
	struct err err;
	char *end;

	switch (key) {
	case KEY_MIN:
	case KEY_MAX:
		if (parse_bytes(arg, key == KEY_MIN ? &c->min : &c->max, &err))
			return cmd_usage(state, "%s: %s", key == KEY_MIN ? "--min" : "--max",
					 err.msg);
		*(key == KEY_MIN ? &c->has_min : &c->has_max) = true;
		return 0;
	case KEY_SHARES:
		c->shares = strtoul(arg, &end, 10);
		if (*end || !*arg || c->shares > UINT32_MAX)
			return cmd_usage(state, "--shares %.20s: give 0 to 4294967295", arg);
		c->has_shares = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int parse_heap(struct vm_args *a, const char *arg, const struct argp_state *state)
{
	static const char *const names[] = {"auto", "on", "off"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(arg, names[i]) == 0) {
			a->guest.heap = (enum guest_heap)i;
			return 0;
		}
	}
	return cmd_usage(state, "--heap %.20s: give auto, on or off", arg);
}

static error_t parse_start(int key, char *arg, struct argp_state *state)
{
	struct vm_args *a = state->input;
	struct err err;
	error_t rc;

	switch (key) {
	case 'S':
		a->socket = arg;
		return 0;
	case 'm':
		if (parse_bytes(arg, &a->guest.memory, &err))
			return cmd_usage(state, "--memory: %s", err.msg);
		return 0;
	case 'f':
		a->guest.foreground = true;
		return 0;
	case KEY_GROUP:
		a->guest.group = arg;
		return 0;
	case KEY_BALLOON:
		if (strcmp(arg, "on") != 0 && strcmp(arg, "off") != 0)
			return cmd_usage(state, "--balloon %.20s: give on or off", arg);
		a->guest.no_balloon = strcmp(arg, "off") == 0;
		return 0;
	case KEY_HEAP:
		return parse_heap(a, arg, state);
	case ARGP_KEY_ARG:
		if (!a->guest.name) {
			a->guest.name = arg;
			return 0;
		}
		a->guest.argv = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cmd_usage(state, "which name shall the guest have?");
	default:
		rc = parse_claim(key, arg, a, state);
		return rc != ARGP_ERR_UNKNOWN ? rc : parse_linux(key, arg, a, state);
	}
}

static const struct argp_option start_options[] = {
	CMD_SOCKET_OPTION,
	{"memory", 'm', "SIZE", 0, "Its memory (128mb)", 0},
	{"group", KEY_GROUP, "NAME", 0, "Share pages with guests of that group only", 0},
	CLAIM_OPTIONS,
	{"balloon", KEY_BALLOON, "on|off", 0,
	 "A way for a driver in it to the host's balloon, where host.reclaimers has one (on)", 0},
	{"foreground", 'f', NULL, 0, "Stay, with the guest's output here", 0},
	{"heap", KEY_HEAP, "HOW", 0,
	 "on: the program's heap is guest memory; off: it maps the file $BALLAST_RAM as its "
	 "memory; auto: off if its file names BALLAST_RAM (auto)",
	 0},
	{NULL, 0, NULL, 0, "A Linux guest in QEMU; each of these asks for one:", 1},
	{"linux", KEY_LINUX, NULL, 0, "This machine's kernel and a small initramfs", 1},
	{"smp", 'p', "N", 0, "Virtual CPUs (1)", 1},
	{"run", KEY_RUN, "COMMAND", 0,
	 "Shell command to run in it (ballast list program); the guest ends with it", 1},
	{"kernel", KEY_KERNEL, "FILE", 0, "Another kernel", 1},
	{"initrd", KEY_INITRD, "FILE", 0, "Another initramfs", 1},
	{"append", KEY_APPEND, "TEXT", 0, "More of the kernel's command line", 1},
	{"init-on-alloc", KEY_INIT, NULL, 0,
	 "Leave the kernel's init_on_alloc as it is; unset: off, for a guest that clears each page "
	 "its balloon takes needs that page first",
	 1},
	{"disk", KEY_DISK, "FILE", 0, "A raw disk image, as /dev/vda", 1},
	{"disk-rate", KEY_DISK_RATE, "N", 0,
	 "Requests a second that the disk serves at most (0: as many as it can)", 1},
	{"accel", KEY_ACCEL, "NAME", 0,
	 "kvm, tcg, or auto: kvm where a test guest boots with it (auto)", 1},
	{0},
};

static const struct argp start_argp = {
	start_options,
	parse_start,
	"NAME [PROGRAM [ARGUMENT...]]",
	"Starts a guest of the live host: a Linux in QEMU, or a dynamically linked program, whose "
	"heap is its memory."
	"\v"
	"Without -f its output goes to a file beside the host's socket, and the command returns "
	"when the guest runs.\n\n"
	"Examples:\n"
	"  ballast vm start web --memory 128mb --smp 2\n"
	"  ballast vm start store --memory 256mb redis-server --save ''\n"
	"  ballast vm start check --memory 64mb build/guest/verify - 10 2 1",
	NULL,
	NULL,
	NULL,
};

static int cmd_vm_start(int argc, char **argv)
{
	struct vm_args args = {.guest = {.memory = 128 << 20, .qemu.cpus = 1}};
	struct err err = {0};

	args.socket = livehost_socket(args.buf, sizeof args.buf);
	int rc = cmd_parse(&start_argp, argc, argv, &args);
	if (rc)
		return rc;
	rc = guestproc_start(&args.guest, args.socket, &err);
	return rc < 0 ? cmd_fail(&err) : rc;
}

static error_t parse_ask(int key, char *arg, struct argp_state *state)
{
	struct vm_args *a = state->input;

	switch (key) {
	case 'S':
		a->socket = arg;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case 'a':
		a->all = true;
		return 0;
	case 'k':
		a->kill = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->guest.name)
			return cmd_usage(state, "'%.40s' is one argument too many", arg);
		a->guest.name = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_set(int key, char *arg, struct argp_state *state)
{
	struct vm_args *a = state->input;

	struct err err;
	error_t rc = parse_claim(key, arg, a, state);

	if (rc != ARGP_ERR_UNKNOWN)
		return rc;
	if (key == KEY_BALLOON) {
		a->asks = true;
		a->by_policy = strcmp(arg, "policy") == 0;
		if (!a->by_policy && parse_bytes(arg, &a->balloon, &err))
			return cmd_usage(state, "--balloon: %s", err.msg);
		return 0;
	}
	return key == 'S' || key == ARGP_KEY_ARG ? parse_ask(key, arg, state) : ARGP_ERR_UNKNOWN;
}

static const struct argp_option list_options[] = {
	CMD_SOCKET_OPTION,
	{"all", 'a', NULL, 0, "Those that are gone, too", 0},
	{"json", 'j', NULL, 0, "Print one JSON object", 0},
	{0},
};

static const struct argp_option set_options[] = {
	CMD_SOCKET_OPTION,
	CLAIM_OPTIONS,
	{"balloon", KEY_BALLOON, "SIZE", 0,
	 "Have its balloon grow or shrink to that; 'policy': as the host's reclaim loop would", 0},
	{0},
};

static const struct argp set_argp = {
	set_options,
	parse_set,
	"NAME",
	"Changes what a guest of the live host claims, or how large its balloon is to be."
	"\v"
	"Claims count where the host divides memory: host.thresholds = esx. A balloon grows up to "
	"its cap (balloon.cap), and as far as the guest can give.\n\n"
	"Examples:\n"
	"  ballast vm set web --shares 4000 --min 32mb\n"
	"  ballast vm set web --balloon 64mb",
	NULL,
	NULL,
	NULL,
};

static const struct argp_option stop_options[] = {
	CMD_SOCKET_OPTION,
	{"kill", 'k', NULL, 0, "At once (SIGKILL)", 0},
	{0},
};

static const struct argp list_argp = {
	list_options, parse_ask, NULL, "Lists the guests of the live host.", NULL, NULL, NULL,
};

static const struct argp stop_argp = {
	stop_options, parse_ask, "NAME", "Ends a guest of the live host (SIGTERM).",
	NULL,	      NULL,	 NULL,
};

static double mib(const json_t *vm, const char *name)
{
	return (double)json_integer_value(json_object_get(vm, name)) * PAGE_SIZE / (1 << 20);
}

static void print_list(const json_t *status)
{
	size_t i;
	json_t *vm;

	printf("%-16s %-10s %8s %9s %9s %9s %9s %9s %9s %9s  %s\n", "vm", "state", "pid", "MiB",
	       "private", "shared", "swapped", "balloon", "wanted", "faults", "error");
	json_array_foreach(json_object_get(status, "vms"), i, vm)
	{
		const char *error = json_string_value(json_object_get(vm, "error"));
		printf("%-16s %-10s %8lld %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f %9lld  %s\n",
		       json_string_value(json_object_get(vm, "name")),
		       json_string_value(json_object_get(vm, "state")),
		       json_integer_value(json_object_get(vm, "pid")), mib(vm, "pages"),
		       mib(vm, "private"), mib(vm, "shared"), mib(vm, "swapped"),
		       mib(vm, "balloon"), mib(vm, "balloon_target"),
		       json_integer_value(json_object_get(vm, "faults")), error ? error : "");
	}
}

static int cmd_vm_list(int argc, char **argv)
{
	struct vm_args args = {0};
	struct err err = {0};
	json_t *reply;

	args.socket = livehost_socket(args.buf, sizeof args.buf);
	int rc = cmd_parse(&list_argp, argc, argv, &args);
	if (rc)
		return rc;
	json_t *request = json_pack("{s:s, s:b}", "do", "status", "all", args.all);
	rc = control_ask(args.socket, request, &reply, &err);
	json_decref(request);
	if (rc)
		return cmd_fail(&err);
	if (args.json) {
		cmd_print_json(json_incref(reply));
	} else {
		print_list(reply);
	}
	json_decref(reply);
	return 0;
}

static int cmd_vm_set(int argc, char **argv)
{
	struct vm_args args = {0};
	struct err err = {0};
	json_t *reply;

	args.socket = livehost_socket(args.buf, sizeof args.buf);
	int rc = cmd_parse(&set_argp, argc, argv, &args);
	if (rc)
		return rc;
	if (!args.guest.name) {
		err_input(&err, "ballast vm set: which guest? 'ballast vm list' has them");
		return cmd_fail(&err);
	}
	json_t *request = json_pack("{s:s, s:s}", "do", "set", "vm", args.guest.name);
	claim_put(&args.guest.claim, request);
	if (args.asks)
		json_object_set_new(
			request, "balloon",
			args.by_policy ? json_string("policy")
				       : json_integer((json_int_t)(args.balloon >> PAGE_SHIFT)));
	rc = control_ask(args.socket, request, &reply, &err);
	json_decref(request);
	if (rc == 0)
		json_decref(reply);
	return rc ? cmd_fail(&err) : 0;
}

static int cmd_vm_stop(int argc, char **argv)
{
	struct vm_args args = {0};
	struct err err = {0};
	json_t *reply;

	args.socket = livehost_socket(args.buf, sizeof args.buf);
	int rc = cmd_parse(&stop_argp, argc, argv, &args);
	if (rc)
		return rc;
	if (!args.guest.name) {
		err_input(&err, "ballast vm stop: which guest? 'ballast vm list' has them");
		return cmd_fail(&err);
	}
	json_t *request = json_pack("{s:s, s:s, s:b}", "do", "stop", "vm", args.guest.name, "kill",
				    args.kill);
	rc = control_ask(args.socket, request, &reply, &err);
	json_decref(request);
	if (rc == 0)
		json_decref(reply);
	return rc ? cmd_fail(&err) : 0;
}

int cmd_vm(int argc, char **argv)
{
	static const struct cmd verbs[] = {
		{"start", "starts a guest: a Linux in QEMU, or a program", cmd_vm_start},
		{"list", "the guests and what they have", cmd_vm_list},
		{"set", "changes what a guest claims: min, max, shares", cmd_vm_set},
		{"dump", "what guests have in memory, as raw images", cmd_vm_dump},
		{"stop", "ends a guest", cmd_vm_stop},
		{NULL},
	};
	static const struct cmd_group group = {
		.name = "ballast vm",
		.cmds = verbs,
		.doc = "The guests of a live host ('ballast host')."
		       "\v",
		.more = "Examples:\n"
			"  ballast vm start web --memory 128mb\n"
			"  ballast vm list\n",
	};

	return cmd_group(&group, argc, argv);
}
