#include "experiments/bench.h"
#include "experiments/cmds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One line per bench. */
const struct bench benches[] = {
	{"replay", "references replayed per CPU-second, against bare loops and a peer",
	 bench_replay},
	{"replay-full",
	 "the same with everything on: four VMs, sharing, sampler, tax, reclaim loop", bench_full},
	{"guest", "references through the guest operating system, against the flat replay",
	 bench_guest},
	{"sharing", "pages shared per CPU-second, against hashing alone and the kernel's KSM",
	 bench_sharing},
	{"mmu", "references translated per CPU-second, by each way of translation", bench_mmu},
	{"live",
	 "a live guest's page touched, evicted, brought back and sampled, against the bare calls",
	 bench_live},
	{"live-linux", "boot and speed of a live Linux guest, against plain QEMU; a minute or two",
	 bench_linux, true},
	{NULL},
};

struct bench_cmd {
	struct bench_args args;
	const char *name; /* NULL: all */
	bool json;
};

static const struct bench *bench_find(const char *name)
{
	for (const struct bench *b = benches; b->name; b++) {
		if (strcmp(b->name, name) == 0)
			return b;
	}
	return NULL;
}

static error_t parse_bench(int key, char *arg, struct argp_state *state)
{
	struct bench_cmd *cmd = state->input;

	switch (key) {
	case 'j':
		cmd->json = true;
		return 0;
	case 'p':
		cmd->args.peer = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (cmd->name)
			return cmd_usage(state, "one bench at a time, please");
		if (!bench_find(arg))
			return cmd_usage(state, "there is no bench '%.40s'", arg);
		cmd->name = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option bench_options[] = {
	{"json", 'j', NULL, 0, "One JSON object on standard output"},
	{"peer", 'p', "PATH", 0, "A program to measure against, for benches that take one"},
	{NULL},
};

/* The list of benches comes from their table. argp frees what we return. */
static char *list_benches(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size;

	(void)input;
	FILE *out = key == ARGP_KEY_HELP_POST_DOC ? open_memstream(&list, &size) : NULL;
	if (!out)
		return (char *)text;
	fputs("Benches:\n", out);
	for (const struct bench *b = benches; b->name; b++)
		fprintf(out, "  %-10s %s\n", b->name, b->help);
	fprintf(out, "\n%s", text);
	if (fclose(out) == 0)
		return list;
	free(list);
	return (char *)text;
}

static const struct argp bench_argp = {
	.options = bench_options,
	.parser = parse_bench,
	.args_doc = "[NAME]",
	.doc = "Measures how fast the parts are, each beside what it is measured against in the "
	       "same run."
	       "\v"
	       "Without NAME: all of them but live-linux. Speeds move from hour to hour; compare "
	       "the ratios.\n\n"
	       "Examples:\n"
	       "  ballast bench replay\n"
	       "  ballast bench replay --peer ~/libCacheSim/_build/bin/cachesim --json",
	.help_filter = list_benches,
};

/* A line per value; an object is a heading with its values indented below. */
static void print_value(const char *key, json_t *value, int indent)
{
	const char *name;
	json_t *inner;

	printf("%*s%-*s", indent, "", 40 - indent, key);
	if (json_is_object(value)) {
		putchar('\n');
		json_object_foreach(value, name, inner)
		{
			print_value(name, inner, indent + 2);
		}
	} else if (json_is_integer(value)) {
		printf(" %14lld\n", (long long)json_integer_value(value));
	} else if (json_is_real(value)) {
		printf(" %14.3f\n", json_real_value(value));
	} else {
		printf(" %14s\n", json_is_string(value) ? json_string_value(value) : "none");
	}
}

/* Runs one; its object goes into all, or is printed. */
static int run_one(const struct bench *b, const struct bench_cmd *cmd, json_t *all, struct err *err)
{
	json_t *out = json_object();

	if (!out)
		return err_run(err, ENOMEM, "no memory for a bench");
	int rc = b->run(&cmd->args, out, err);
	if (rc == 0 && !cmd->json)
		print_value(b->name, out, 0);
	if (json_object_set_new(all, b->name, out) && rc == 0)
		rc = err_run(err, ENOMEM, "no memory for a bench");
	return rc;
}

int cmd_bench(int argc, char **argv)
{
	struct bench_cmd cmd = {{NULL}, NULL, false};
	struct err err = {0};
	json_t *all;
	int rc = cmd_parse(&bench_argp, argc, argv, &cmd);

	if (rc)
		return rc;
	all = json_object();
	if (!all)
		rc = err_run(&err, ENOMEM, "no memory for a bench");
	for (const struct bench *b = benches; b->name && rc == 0; b++) {
		if (cmd.name ? strcmp(b->name, cmd.name) == 0 : !b->apart)
			rc = run_one(b, &cmd, all, &err);
	}
	if (rc == 0 && cmd.json) {
		cmd_print_json(json_incref(cmd.name ? json_object_get(all, cmd.name) : all));
	}
	json_decref(all);
	return rc ? cmd_fail(&err) : 0;
}
