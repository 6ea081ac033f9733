/* Completion for bash, from the tables that the commands parse by. */
#include "experiments/describe.h"
#include "experiments/experiment.h"
#include "experiments/kinds.h"

#include <string.h>

struct completion {
	struct describer d;
	FILE *out;
};

static void put_policies(FILE *out, const char *kind_name)
{
	for (const struct kind *kind = kinds; kind->name; kind++) {
		if (strcmp(kind->name, kind_name) != 0)
			continue;
		for (const struct policy *const *p = kind->policies; *p; p++)
			fprintf(out, " %s", (*p)->name);
	}
}

static void put_experiments(FILE *out)
{
	for (const struct experiment *e = experiments; e->id; e++)
		fprintf(out, " %s", e->id);
}

static void put_kinds(FILE *out)
{
	for (const struct kind *kind = kinds; kind->name; kind++)
		fprintf(out, " %s", kind->name);
	for (size_t i = 0; job_sections[i]; i++)
		fprintf(out, " %s", job_sections[i]->name);
}

static void put_commands(FILE *out)
{
	for (const struct cmd *cmd = cmd_program.cmds; cmd->name; cmd++)
		fprintf(out, " %s", cmd->name);
}

/* The words that a command's arguments may be; for all others files are offered. */
static void put_words(FILE *out, const char *command)
{
	if (strcmp(command, "reproduce") == 0)
		put_experiments(out);
	else if (strcmp(command, "list") == 0)
		put_kinds(out);
	else if (strcmp(command, "help") == 0)
		put_commands(out);
	else if (strcmp(command, "trace gen") == 0)
		put_policies(out, "law");
}

/* "host.memory="; not of sections whose titles are the user's own. */
static void put_keys(FILE *out)
{
	for (size_t i = 0; job_sections[i]; i++) {
		const struct opt_section *section = job_sections[i];
		for (const struct opt *opt = section->opts; !section->titled && opt->name; opt++)
			fprintf(out, " %s.%s=", section->name, opt->name);
	}
}

static bool ends(const struct argp_option *o)
{
	return !o->name && !o->key && !o->doc && !o->group;
}

static void add_command(struct describer *d, const struct cmd *cmd, const char *name,
			const struct argp *argp, void *input)
{
	FILE *out = ((struct completion *)d)->out;
	const char *command = name + strlen("ballast ");

	(void)cmd;
	(void)input;
	fprintf(out, "\t'%s') options='--help", command);
	for (const struct argp_option *o = argp->options; o && !ends(o); o++) {
		if (o->name && !(o->flags & OPTION_HIDDEN))
			fprintf(out, " --%s%s", o->name, o->arg ? "=" : "");
	}
	fputs("' words='", out);
	put_words(out, command);
	fputs("' ;;\n", out);
}

static void add_group(struct describer *d, const struct cmd *cmd, const struct cmd_group *group)
{
	FILE *out = ((struct completion *)d)->out;

	fprintf(out, "\t'%s') options='--help' words='", cmd->name);
	for (const struct cmd *c = group->cmds; c->name; c++)
		fprintf(out, " %s", c->name);
	fputs("' ;;\n", out);
}

/*
 * What stands between the tables and bash: the words typed so far name a
 * command of two words, of one, or none yet.
 */
static const char script[] =
	"_ballast()\n"
	"{\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"\tlocal options=--help words=\n"
	"\tCOMPREPLY=()\n"
	"\tif [ \"$COMP_CWORD\" -lt 2 ]; then\n"
	"\t\t_ballast_of ''\n"
	"\telif [ \"$COMP_CWORD\" -lt 3 ] || ! _ballast_of \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\"; "
	"then\n"
	"\t\t_ballast_of \"${COMP_WORDS[1]}\"\n"
	"\tfi\n"
	"\tcase ${COMP_WORDS[1]}$before in\n"
	"\trun-s | run--set | sweep-[sv] | sweep--set | sweep--vary) words=$_ballast_keys ;;\n"
	"\tesac\n"
	"\tcase $current in -*) words=$options ;; esac\n"
	"\tif [ -n \"$words\" ]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	"\telse\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	"\tfi\n"
	"\tcase \"${COMPREPLY[*]}\" in *=) compopt -o nospace 2>/dev/null ;; esac\n"
	"}\n"
	"complete -o filenames -F _ballast ballast\n";

void completion_write(FILE *out)
{
	struct completion c = {.d = {add_command, add_group}, .out = out};

	fputs("# Completion of ballast for bash; written by 'ballast help --completion'.\n"
	      "_ballast_keys='",
	      out);
	put_keys(out);
	fputs("'\n\n# The options and words of a command; fails where there is none of that name.\n"
	      "_ballast_of()\n{\n\tcase $1 in\n\t'') words='",
	      out);
	put_commands(out);
	fputs("' ;;\n", out);
	describe_all(&cmd_program, &c.d);
	fputs("\t*) return 1 ;;\n\tesac\n}\n\n", out);
	fputs(script, out);
}
