#include "experiments/vm_live.h"

#include "experiments/datadir.h"
#include "experiments/terms.h"
#include "live/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wordexp.h>

static const struct policy live_none = {"none", "no live guest: a trace, or a model of one"};
static const struct policy live_linux = {"linux", "a Linux in QEMU"};
static const struct policy live_process = {"process", "a program that maps its memory"};

const struct policy *const live_kinds[] = {&live_none, &live_linux, &live_process, NULL};

static const struct policy accel_auto = {"auto", "kvm where a test guest boots with it, else tcg"};
static const struct policy accel_kvm = {"kvm", "by the processor"};
static const struct policy accel_tcg = {"tcg", "translated"};

const struct policy *const accel_kinds[] = {&accel_auto, &accel_kvm, &accel_tcg, NULL};

bool job_is_live(const struct job *job)
{
	for (size_t i = 0; i < job_count(job, &vm_section); i++) {
		if (vm_is_live(job_titled(job, &vm_section, i)))
			return true;
	}
	return false;
}

/* What goes with which kinds. */

static const char *const for_traces[] = {"trace",	"format",      "trace_vm",	"gen",
					 "translation", "large_pages", "balloon_start", "overhead",
					 "os",		"workload"};
static const char *const for_linux[] = {"run",	  "smp",    "accel", "kernel",
					"initrd", "append", "disk",  "disk_rate"};
static const char *const for_processes[] = {"program"};
static const char *const for_both[] = {"start", "balloon_size"};

static int check_keys(const struct job *job, size_t i, const char *const *keys, size_t n,
		      struct err *err)
{
	const struct vm_opts *opts = job_titled(job, &vm_section, i);

	for (size_t k = 0; k < n; k++) {
		if (job_gives(job, opts, keys[k]))
			return err_input(err, "%s: vm.%s.%s is nothing for a VM with live = %s",
					 job_where(job, opts, keys[k]),
					 job_title(job, &vm_section, i), keys[k], opts->live->name);
	}
	return 0;
}

#define CHECK_KEYS(keys) check_keys(job, i, keys, ARRAY_LEN(keys), err)

static int check_vm(const struct job *job, size_t i, struct err *err)
{
	const struct vm_opts *opts = job_titled(job, &vm_section, i);
	int rc = 0;

	if (vm_is_live(opts))
		rc = CHECK_KEYS(for_traces);
	else
		rc = CHECK_KEYS(for_both);
	if (rc == 0 && opts->live != &live_linux)
		rc = CHECK_KEYS(for_linux);
	if (rc == 0 && opts->live != &live_process)
		rc = CHECK_KEYS(for_processes);
	return rc;
}

static int check_ends(const struct job *job, size_t i, struct err *err)
{
	const struct vm_opts *opts = job_titled(job, &vm_section, i);
	const struct live_opts *live = job_section(job, &live_section);
	const char *name = job_title(job, &vm_section, i);

	if (opts->live == &live_process && !opts->program)
		return err_input(err, "vm %s: which program? give vm.%s.program", name, name);
	if (opts->memory == 0)
		return err_input(err, "vm %s: how much memory? give vm.%s.memory", name, name);
	if (opts->disk_rate && !opts->disk)
		return err_input(err, "%s: vm.%s.disk_rate: of which disk? give vm.%s.disk",
				 job_where(job, opts, "disk_rate"), name, name);
	if (opts->live == &live_linux && !opts->run && !opts->initrd && live->time == 0)
		return err_input(err,
				 "vm %s never ends: give vm.%s.run, what it is to do, or live.time",
				 name, name);
	return 0;
}

static int check_section(const struct job *job, const struct opt_section *section, const char *key,
			 struct err *err)
{
	const void *options = job_section(job, section);

	if (!job_gives(job, options, key))
		return 0;
	return err_input(err, "%s: %s.%s is nothing for live guests", job_where(job, options, key),
			 section->name, key);
}

int vm_live_check(const struct job *job, struct err *err)
{
	bool live = job_is_live(job);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < job_count(job, &vm_section); i++) {
		const struct vm_opts *opts = job_titled(job, &vm_section, i);
		if (live && !vm_is_live(opts))
			return err_input(err,
					 "vm %s is no live guest, and others are: traces run in "
					 "virtual time and live guests in real time: make two jobs "
					 "of it",
					 job_title(job, &vm_section, i));
		rc = check_vm(job, i, err);
		if (rc == 0 && live)
			rc = check_ends(job, i, err);
	}
	if (rc || !live)
		return rc;
	rc = check_section(job, &run_section, "oracle", err);
	rc = rc ? rc : check_section(job, &run_section, "digest", err);
	return rc ? rc : check_section(job, &host_section, "backing", err);
}

/* Making it. */

void words_free(struct words *words)
{
	for (char **w = words->argv; w && *w; w++)
		free(*w);
	free(words->argv);
	words->argv = NULL;
}

/* A name without a '/' is first looked for among the guest programs. */
static char *find_program(const char *word)
{
	char name[PATH_MAX], path[PATH_MAX];

	if (strchr(word, '/'))
		return strdup(word);
	snprintf(name, sizeof name, "guest/%s", word);
	return strdup(program_path(name, path, NULL) == 0 ? path : word);
}

static int split(const char *text, struct words *words, struct err *err)
{
	wordexp_t w;

	if (wordexp(text, &w, WRDE_NOCMD))
		return err_input(err,
				 "'%.60s' is no command: words, quotes and $VARIABLES, but nothing "
				 "for a shell",
				 text);
	if (w.we_wordc == 0) {
		wordfree(&w);
		return err_input(err, "it names no program");
	}
	words->argv = calloc(w.we_wordc + 1, sizeof *words->argv);
	bool ok = words->argv != NULL;
	for (size_t i = 0; ok && i < w.we_wordc; i++) {
		words->argv[i] = i == 0 ? find_program(w.we_wordv[0]) : strdup(w.we_wordv[i]);
		ok = words->argv[i] != NULL;
	}
	wordfree(&w);
	return ok ? 0 : err_run(err, ENOMEM, "no memory for a command");
}

int vm_live_guest(const struct job *job, size_t i, struct guestproc *g, struct words *words,
		  struct err *err)
{
	const struct vm_opts *opts = job_titled(job, &vm_section, i);

	*g = (struct guestproc){
		.name = job_title(job, &vm_section, i),
		.group = opts->share_group,
		.memory = opts->memory,
		.dies_with_us = true,
		.no_balloon = !opts->balloon,
		.linux_guest = opts->live == &live_linux,
		.qemu =
			{
				.cpus = (unsigned)opts->smp,
				.accel = opts->accel == &accel_auto ? NULL : opts->accel->name,
				.kernel = opts->kernel,
				.initrd = opts->initrd,
				.append = opts->append,
				.disk = opts->disk,
				.disk_rate = (uint64_t)opts->disk_rate,
				.run = opts->run,
			},
	};
	if (g->linux_guest)
		return 0;
	int rc = split(opts->program, words, err);
	if (rc)
		err_prefix(err, "%s: vm.%s.program", job_where(job, opts, "program"), g->name);
	g->argv = words->argv;
	return rc;
}
