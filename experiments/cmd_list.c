#include "experiments/cmds.h"

#include "experiments/kinds.h"

#include <stdlib.h>
#include <string.h>

struct list_args {
	const char *what; /* a kind or a section; NULL: all */
};

static error_t parse_list(int key, char *arg, struct argp_state *state)
{
	struct list_args *args = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (args->what)
		return cmd_usage(state, "one kind or section at a time, please");
	args->what = arg;
	return 0;
}

static const struct argp list_argp = {
	.parser = parse_list,
	.args_doc = "[KIND|SECTION]",
	.doc = "Shows what a job file may say: its sections with their keys (what each takes, its "
	       "default, its meaning), and the policies that keys choose from by name."
	       "\vSizes are written 4kb, 256mb, 1.5gb; times 250us, 10ms, 30s, 2min; counts 500, "
	       "50k, 1.5M (thousands); numbers 0.75 or 75%.\n\nExamples:\n"
	       "  ballast list            everything\n"
	       "  ballast list victim     the policies that choose a page to evict\n"
	       "  ballast list host       the keys of section host",
};

/* "INDENTname  text", the text in lines of at most 100 columns beside its name. */
static void print_entry(int indent, const char *name, const char *text)
{
	const int column = indent + 16;
	int at = printf("%*s%-15s", indent, "", name);

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at > column && at + 1 + len > 100)
			at = printf("\n%*s", column - 1, "") - 1;
		at += printf(" %.*s", len, text);
		text += len + (text[len] == ' ');
	}
	putchar('\n');
}

static void print_keys(const struct opt_section *section, int indent)
{
	char domain[256], text[600];

	for (const struct opt *opt = section->opts; opt->name; opt++) {
		opt_domain(opt, domain, sizeof domain);
		snprintf(text, sizeof text, "%s (%s%s%s%s)", opt->help, domain,
			 opt->def ? "; default " : "", opt->def ? opt->def : "",
			 opt->live ? "; may be set while it runs" : "");
		print_entry(indent, opt->name, text);
	}
}

static void print_section(const struct opt_section *section)
{
	struct cmd_bold bold = cmd_bold(stdout);

	printf("%s%s%s { }%s  %s\n", bold.on, section->name, section->titled ? " NAME" : "",
	       bold.off, section->help);
	print_keys(section, 4);
}

static void print_kind(const struct kind *kind)
{
	struct cmd_bold bold = cmd_bold(stdout);

	printf("%s%s%s  %s\n", bold.on, kind->name, bold.off, kind->help);
	for (const struct policy *const *p = kind->policies; *p; p++) {
		print_entry(4, (*p)->name, (*p)->help);
		if ((*p)->section)
			print_keys((*p)->section, 8);
	}
}

static void print_all(void)
{
	puts("Sections of a job file and their keys");
	for (const struct opt_section *const *section = job_sections; *section; section++) {
		putchar('\n');
		print_section(*section);
	}
	puts("\nPolicies, by kind");
	for (const struct kind *kind = kinds; kind->name; kind++) {
		putchar('\n');
		print_kind(kind);
	}
}

/* Prints whatever has that name: a kind, a section, or one of each. */
static bool print_named(const char *name)
{
	bool found = false;

	for (const struct kind *kind = kinds; kind->name; kind++) {
		if (strcmp(kind->name, name) == 0) {
			print_kind(kind);
			found = true;
		}
	}
	for (const struct opt_section *const *section = job_sections; *section; section++) {
		if (strcmp((*section)->name, name) == 0) {
			if (found)
				putchar('\n');
			print_section(*section);
			found = true;
		}
	}
	return found;
}

static int unknown(const char *name)
{
	const char *names[64];
	char all[400] = "";
	struct err err;
	size_t n = 0, used = 0;

	for (const struct kind *kind = kinds; kind->name && n < ARRAY_LEN(names); kind++)
		names[n++] = kind->name;
	for (size_t i = 0; job_sections[i] && n < ARRAY_LEN(names); i++)
		names[n++] = job_sections[i]->name;
	for (size_t i = 0; i < n && used < sizeof all; i++)
		used += (size_t)snprintf(all + used, sizeof all - used, " %s", names[i]);
	const char *near = nearest_name(name, names, n);
	if (near)
		err_input(&err, "there is no kind or section '%.40s'; did you mean '%s'?", name,
			  near);
	else
		err_input(&err, "there is no kind or section '%.40s'; there are:%s", name, all);
	return cmd_fail(&err);
}

int cmd_list(int argc, char **argv)
{
	struct list_args args = {0};
	int rc = cmd_parse(&list_argp, argc, argv, &args);

	if (rc)
		return rc;
	if (!args.what)
		print_all();
	else if (!print_named(args.what))
		return unknown(args.what);
	return 0;
}
