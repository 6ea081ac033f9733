/* ballast vm dump: guests' memory at one moment, as raw images. */
#include "experiments/cmd_vm.h"
#include "experiments/livehost.h"
#include "live/control.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct dump_args {
	const char *socket, *to;
	char buf[PATH_MAX];
	char **name; /* [names] */
	size_t names;
	bool json;
};

static error_t parse_dump(int key, char *arg, struct argp_state *state)
{
	struct dump_args *a = state->input;

	switch (key) {
	case 'S':
		a->socket = arg;
		return 0;
	case 'o':
		a->to = arg;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case ARGP_KEY_ARG:
		a->name[a->names++] = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cmd_usage(state, "which guests?");
	case ARGP_KEY_END:
		return a->to ? 0 : cmd_usage(state, "where to? give -o");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option dump_options[] = {
	CMD_SOCKET_OPTION,
	{"output", 'o', "PATH", 0, "A file; or a folder, for NAME.img of each guest", 0},
	{"json", 'j', NULL, 0, "Print one JSON object", 0},
	{0},
};

static const struct argp dump_argp = {
	dump_options,
	parse_dump,
	"NAME...",
	"Writes what guests of the live host have in memory, all at one moment, as raw images."
	"\v"
	"The guests stand still meanwhile. 'ballast image scan' counts what they could share.\n\n"
	"Example:\n  ballast vm dump a b -o images",
	NULL,
	NULL,
	NULL,
};

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* From the root: the host has a folder of its own. */
static int file_of(const struct dump_args *a, const char *name, char path[PATH_MAX],
		   struct err *err)
{
	char here[PATH_MAX] = "";
	bool folder = is_folder(a->to);

	if (a->names > 1 && !folder)
		return err_input(err, "%s: no folder there, and %zu guests need one", a->to,
				 a->names);
	if (a->to[0] != '/' && !getcwd(here, sizeof here))
		return err_run(err, errno, "this folder has no name: %s", strerror(errno));
	int n = snprintf(path, PATH_MAX, "%s%s%s%s%s%s", here, here[0] ? "/" : "", a->to,
			 folder ? "/" : "", folder ? name : "", folder ? ".img" : "");
	return n < PATH_MAX ? 0 : err_input(err, "%s: that name is too long", a->to);
}

static void print_told(const json_t *reply)
{
	const char *name;
	json_t *vm;

	printf("%-16s %9s %9s %9s %9s %9s\n", "vm", "pages", "private", "shared", "swapped",
	       "never had");
	json_object_foreach(json_object_get(reply, "guests"), name, vm)
	{
		printf("%-16s", name);
		for (const char *const *w = (const char *const[]){"pages", "private", "shared",
								  "swapped", "unbacked", NULL};
		     *w; w++)
			printf(" %9lld", json_integer_value(json_object_get(vm, *w)));
		putchar('\n');
	}
	printf("host: sharing saves %lld pages\n",
	       json_integer_value(json_object_get(json_object_get(reply, "host"), "share_saved")));
}

static int dump(const struct dump_args *a, json_t **reply, struct err *err)
{
	json_t *guests = json_object();
	char path[PATH_MAX];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < a->names; i++) {
		rc = file_of(a, a->name[i], path, err);
		if (rc == 0)
			json_object_set_new(guests, a->name[i], json_string(path));
	}
	json_t *request = json_pack("{s:s, s:o}", "do", "dump", "guests", guests);
	if (rc == 0)
		rc = control_ask(a->socket, request, reply, err);
	json_decref(request);
	return rc;
}

int cmd_vm_dump(int argc, char **argv)
{
	struct dump_args a = {.name = calloc((size_t)argc + 1, sizeof(char *))};
	struct err err = {0};
	json_t *reply = NULL;

	if (!a.name)
		return cmd_fail(&(struct err){1, "no memory"});
	a.socket = livehost_socket(a.buf, sizeof a.buf);
	int rc = cmd_parse(&dump_argp, argc, argv, &a);
	if (rc == 0 && dump(&a, &reply, &err))
		rc = cmd_fail(&err);
	if (reply && a.json) {
		cmd_print_json(json_incref(reply));
	} else if (reply) {
		print_told(reply);
	}
	json_decref(reply);
	free(a.name);
	return rc;
}
