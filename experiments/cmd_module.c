/* ballast module: the balloon module of Linux guests, built, installed, looked after. */
#include "experiments/cmds.h"
#include "experiments/module_make.h"
#include "experiments/module_state.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct module_args {
	const char *kernel; /* NULL: the running one */
	const char *root;
	bool dkms, json;
};

enum { KEY_DKMS = 1, KEY_ROOT };

static error_t parse_module(int key, char *arg, struct argp_state *state)
{
	struct module_args *a = state->input;

	switch (key) {
	case 'k':
		if (!module_release_ok(arg))
			return cmd_usage(state,
					 "'%.40s' is no kernel's release, as uname -r has it", arg);
		a->kernel = arg;
		return 0;
	case KEY_ROOT:
		if (*arg != '/')
			return cmd_usage(state, "--root takes a path from / on, not '%.40s'", arg);
		a->root = arg;
		return 0;
	case KEY_DKMS:
		a->dkms = true;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case ARGP_KEY_ARG:
		return cmd_usage(state, "'%.40s' is one argument too many", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

#define KERNEL_OPTION                                                                              \
	{                                                                                          \
		"kernel", 'k', "RELEASE", 0, "For that kernel, not for the running one", 0         \
	}

static const struct argp_option build_options[] = {KERNEL_OPTION, {0}};

static const struct argp_option install_options[] = {
	KERNEL_OPTION,
	{"root", KEY_ROOT, "DIR", 0, "Below this folder, a guest's root, instead of /", 0},
	{"dkms", KEY_DKMS, NULL, 0, "By DKMS, which builds it again for each new kernel", 0},
	{0},
};

static const struct argp_option status_options[] = {
	{"json", 'j', NULL, 0, "Print one JSON object", 0},
	{"root", KEY_ROOT, "DIR", 0, "Of a guest whose root this folder is", 0},
	{0},
};

static const struct argp build_argp = {
	build_options,
	parse_module,
	NULL,
	"Builds the module against a kernel's headers, and prints where it lies: in build/module "
	"of a source tree, else in $XDG_CACHE_HOME/ballast/module. Guests of 'ballast vm start "
	"--linux' take it from there.",
	NULL,
	NULL,
	NULL,
};

static const struct argp install_argp = {
	install_options,
	parse_module,
	NULL,
	"Builds the module and installs it among a kernel's modules, where modprobe finds it and "
	"the kernel loads it for its device. Needs root."
	"\v"
	"Examples:\n"
	"  ballast module install\n"
	"  ballast module install --dkms\n"
	"  ballast module install --kernel 6.1.0-56-cloud-amd64 --root /mnt/guest",
	NULL,
	NULL,
	NULL,
};

static const struct argp status_argp = {
	status_options,
	parse_module,
	NULL,
	"For which kernels there are headers, for which the module is built and installed; whether "
	"it is loaded, with which parameters, and how large its balloons are.",
	NULL,
	NULL,
	NULL,
};

/* A kernel that has its headers here. */
static int choose_kernel(const struct module_args *a, char release[MODULE_RELEASE], struct err *err)
{
	char running[MODULE_RELEASE], others[300];

	int rc = module_running(running, err);
	if (rc)
		return rc;
	snprintf(release, MODULE_RELEASE, "%s", a->kernel ? a->kernel : running);
	if (module_headers("", release))
		return 0;
	module_list_headers(others, sizeof others);
	return err_run(err, ENOENT,
		       "no headers of %s kernel %s: apt-get install linux-headers-%s%s%s",
		       strcmp(release, running) ? "the" : "the running", release, release,
		       *others ? ", or give --kernel with one of " : "", others);
}

static int build(const struct module_args *a, struct err *err)
{
	char release[MODULE_RELEASE], path[PATH_MAX];

	int rc = choose_kernel(a, release, err);
	rc = rc ? rc : module_build(release, path, err);
	if (rc == 0)
		printf("%s\n", path);
	return rc;
}

static int install(const struct module_args *a, struct err *err)
{
	const char *root = a->root ? a->root : "";
	char release[MODULE_RELEASE], where[PATH_MAX];

	if (a->dkms && a->root)
		return err_input(err, "--dkms installs on this machine: leave --root away");
	if (geteuid())
		return err_run(err, EPERM, "installing a module needs root");
	int rc = choose_kernel(a, release, err);
	rc = rc ? rc
		: module_script(a->dkms ? "dkms" : "install", release, a->dkms ? NULL : root, err);
	if (rc)
		return rc;
	if (!module_installed(root, release, where))
		return err_run(err, EIO, "it is not in %s/lib/modules/%s after all", root, release);
	printf("%s\n", where);
	return 0;
}

static int finish(int rc, const struct err *err)
{
	return rc ? cmd_fail(err) : 0;
}

static int cmd_build(int argc, char **argv)
{
	struct module_args args = {0};
	struct err err = {0};
	int rc = cmd_parse(&build_argp, argc, argv, &args);

	return rc ? rc : finish(build(&args, &err), &err);
}

static int cmd_install(int argc, char **argv)
{
	struct module_args args = {0};
	struct err err = {0};
	int rc = cmd_parse(&install_argp, argc, argv, &args);

	return rc ? rc : finish(install(&args, &err), &err);
}

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "?";
}

static const char *yes(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name))	  ? "yes"
	       : json_is_string(json_object_get(o, name)) ? "yes"
							  : "no";
}

static void print_loaded(const json_t *loaded)
{
	const char *name;
	json_t *value, *device;
	size_t i;

	if (!json_is_object(loaded)) {
		printf("not loaded\n");
		return;
	}
	printf("loaded, version %s:", text(loaded, "version"));
	json_object_foreach(json_object_get(loaded, "parameters"), name, value)
	{
		printf(" %s=%s", name, json_string_value(value));
	}
	putchar('\n');
	json_array_foreach(json_object_get(loaded, "devices"), i, device)
	{
		printf("%s: %s, target %s, holds %s of at most %s pages\n", text(device, "address"),
		       text(device, "talk"), text(device, "target"), text(device, "size"),
		       text(device, "cap"));
	}
}

static void print_status(const json_t *status)
{
	json_t *kernel;
	size_t i;

	printf("%-32s %-8s %-8s %s\n", "kernel", "headers", "built", "installed");
	json_array_foreach(json_object_get(status, "kernels"), i, kernel)
	{
		printf("%-32s %-8s %-8s %s%s\n", text(kernel, "release"), yes(kernel, "headers"),
		       yes(kernel, "built"), yes(kernel, "installed"),
		       json_is_true(json_object_get(kernel, "running")) ? "  (running)" : "");
	}
	print_loaded(json_object_get(status, "loaded"));
}

static int cmd_status(int argc, char **argv)
{
	struct module_args args = {0};
	struct err err = {0};
	json_t *status = NULL;
	int rc = cmd_parse(&status_argp, argc, argv, &args);

	if (rc)
		return rc;
	if (module_status(args.root ? args.root : "", &status, &err))
		return cmd_fail(&err);
	if (args.json) {
		cmd_print_json(json_incref(status));
	} else {
		print_status(status);
	}
	json_decref(status);
	return 0;
}

int cmd_module(int argc, char **argv)
{
	static const struct cmd verbs[] = {
		{"build", "builds it for a kernel whose headers are here", cmd_build},
		{"install", "builds it and puts it among a kernel's modules", cmd_install},
		{"status", "for which kernels it is there, and whether it is loaded", cmd_status},
		{NULL},
	};
	static const struct cmd_group group = {
		.name = "ballast module",
		.cmds = verbs,
		.doc = "The balloon module of Linux guests (" MODULE_NAME "), from its sources, "
		       "which came with ballast."
		       "\v",
		.more = "Examples:\n"
			"  ballast module build --kernel 6.1.0-56-cloud-amd64\n"
			"  ballast module install --dkms\n"
			"  ballast module status\n",
	};

	return cmd_group(&group, argc, argv);
}
