/* Completion for bash, from the tables that the commands parse by. */
#include "experiments/describe.h"
#include "experiments/experiment.h"
#include "experiments/kinds.h"
#include "experiments/sections.h"
#include "experiments/sweep_ready.h"

#include "traces/traces.h"

#include <errno.h>
#include <string.h>

struct completion {
	struct describer d;
	FILE *out;
	json_t *sweeps; /* that come with the program */
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

static void put_sweeps(FILE *out, const json_t *sweeps)
{
	for (size_t i = 0; i < json_array_size(sweeps); i++)
		fprintf(out, " @%s",
			json_string_value(json_object_get(json_array_get(sweeps, i), "name")));
}

/* The words that a command's arguments may be; for all others files are offered. */
static void put_words(const struct completion *c, const char *command)
{
	FILE *out = c->out;

	if (strcmp(command, "reproduce") == 0)
		put_experiments(out);
	else if (strcmp(command, "list") == 0)
		put_kinds(out);
	else if (strcmp(command, "help") == 0)
		put_commands(out);
	else if (strcmp(command, "sweep") == 0)
		put_sweeps(out, c->sweeps);
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

/* "refs=": of the generator that `ballast trace gen` makes. */
static void put_gen_keys(FILE *out)
{
	for (const struct opt *opt = gen_section.opts; opt->name; opt++)
		fprintf(out, " %s=", opt->name);
}

/* What a key takes, where that is one of some words. */
static void put_values(FILE *out, const char *section, bool titled, const struct opt *opt)
{
	if (opt->type != OPT_CHOICE && opt->type != OPT_BOOL)
		return;
	fprintf(out, "\t%s%s%s) words='", section, titled ? "*." : "", opt->name);
	for (const struct policy *const *p = opt->choices; opt->type == OPT_CHOICE && *p; p++)
		fprintf(out, " %s", (*p)->name);
	fprintf(out, "%s' ;;\n", opt->type == OPT_BOOL ? " on off" : "");
}

static void put_all_values(FILE *out)
{
	char prefix[64];

	for (size_t i = 0; job_sections[i]; i++) {
		const struct opt_section *section = job_sections[i];
		snprintf(prefix, sizeof prefix, "%s.", section->name);
		for (const struct opt *opt = section->opts; opt->name; opt++)
			put_values(out, prefix, section->titled, opt);
	}
	for (const struct opt *opt = gen_section.opts; opt->name; opt++)
		put_values(out, "", false, opt);
}

static bool ends(const struct argp_option *o)
{
	return !o->name && !o->key && !o->doc && !o->group;
}

/* The options that a key of a job follows: their argument is called KEY, or KEY=VALUE. */
static void put_keyed(FILE *out, const struct argp_option *o)
{
	for (; o && !ends(o); o++) {
		if (o->name && o->arg && strncmp(o->arg, "KEY", 3) == 0)
			fprintf(out, " --%s -%c", o->name, o->key);
	}
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
	fputs("' keyed='", out);
	put_keyed(out, argp->options);
	fputs(" ' words='", out);
	put_words((struct completion *)d, command);
	fprintf(out, "'%s%s ;;\n", strcmp(command, "sweep") == 0 ? " files=y" : "",
		strcmp(command, "trace gen") == 0 ? " keys=$_ballast_gen_keys" : "");
}

static void add_group(struct describer *d, const struct cmd *cmd, const struct cmd_group *group)
{
	FILE *out = ((struct completion *)d)->out;

	fprintf(out, "\t'%s') verbs=y options='--help' words='", cmd->name);
	for (const struct cmd *c = group->cmds; c->name; c++)
		fprintf(out, " %s", c->name);
	fputs("' ;;\n", out);
}

/*
 * What stands between the tables and bash, which has broken the line at each '='
 * and '@': words are told by blanks anew, but the answers begin where bash says
 * ($2). The first words name a command of two words, of one, or none yet.
 */
static const char script[] =
	"_ballast()\n"
	"{\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} current=$2 typed before n list=\n"
	"\tlocal options=--help words= keyed= files= verbs= keys=$_ballast_keys\n"
	"\tlocal -a word\n"
	"\tread -ra word <<<\"$line\"\n"
	"\tcase $line in *[[:space:]]) word+=('') ;; esac\n"
	"\tn=${#word[@]}\n"
	"\tCOMPREPLY=()\n"
	"\t[ \"$n\" -ge 2 ] || return\n"
	"\ttyped=${word[n - 1]} before=${word[n - 2]}\n"
	"\tif [ \"$n\" -lt 3 ]; then\n"
	"\t\t_ballast_of ''\n"
	"\telif [ \"${word[1]}\" = help ] && [ \"$n\" -gt 3 ]; then\n"
	"\t\t_ballast_of \"$before\"\n"
	"\t\t[ -n \"$verbs\" ] || return\n"
	"\telif [ \"$n\" -lt 4 ] || ! _ballast_of \"${word[1]} ${word[2]}\"; then\n"
	"\t\t_ballast_of \"${word[1]}\"\n"
	"\tfi\n"
	"\tcase $typed in\n"
	"\t--*=*) before=${typed%%=*} typed=${typed#*=} ;;\n"
	"\t-*) words=$options files= ;;\n"
	"\tesac\n"
	"\tcase $keyed in *\" $before \"*)\n"
	"\t\twords=$keys files=\n"
	"\t\tcase $typed in *=*) _ballast_values \"${typed%%=*}\" ;; esac\n"
	"\t\tcase $current in *,*) list=${current%,*}, current=${current##*,} ;; esac ;;\n"
	"\tesac\n"
	"\tif [ -n \"$words\" ]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -P \"$list\" -W \"$words\" -- \"$current\")\n"
	"\tfi\n"
	"\tif [ -z \"$words\" ] || [ -n \"$files\" ]; then\n"
	"\t\tn=${#COMPREPLY[@]}\n"
	"\t\tmapfile -t -O \"$n\" COMPREPLY < <(compgen -f -- \"$current\")\n"
	"\t\t[ \"$n\" = ${#COMPREPLY[@]} ] || compopt -o filenames 2>/dev/null\n"
	"\tfi\n"
	"\tcase \"${COMPREPLY[*]}\" in *=) compopt -o nospace 2>/dev/null ;; esac\n"
	"}\n"
	"complete -F _ballast ballast\n";

int completion_write(FILE *out, struct err *err)
{
	struct completion c = {.d = {add_command, add_group}, .out = out, .sweeps = ready_all(err)};

	if (!c.sweeps)
		return -EIO;
	fputs("# Completion of ballast for bash; written by 'ballast help --completion'.\n"
	      "_ballast_keys='",
	      out);
	put_keys(out);
	fputs("'\n_ballast_gen_keys='", out);
	put_gen_keys(out);
	fputs("'\n\n# What a key takes, where that is one of some words.\n"
	      "_ballast_values()\n{\n\twords=\n\tcase $1 in\n",
	      out);
	put_all_values(out);
	fputs("\tesac\n}\n\n"
	      "# The options and words of a command; fails where there is none of that name.\n"
	      "_ballast_of()\n{\n\tcase $1 in\n\t'') words='",
	      out);
	put_commands(out);
	fputs("' ;;\n", out);
	describe_all(&cmd_program, &c.d);
	fputs("\t*) return 1 ;;\n\tesac\n}\n\n", out);
	fputs(script, out);
	json_decref(c.sweeps);
	return 0;
}
