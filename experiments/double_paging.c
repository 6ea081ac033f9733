/*
 * double-paging: the same pressure on a guest that must swap, met by a balloon,
 * by the host's swap with random and with LRU victims, and by a VM that was
 * configured with less.
 *
 * A host that pages picks what its guest, by the same reasoning, will page out
 * next; the guest then has it read back only to write it to its own swap
 * (Waldspurger 2002, sections 3.2 and 3.3). The better the host guesses, the
 * worse: LRU below LRU is the paper's "pathological" case, random choice its
 * answer, and a balloon lets the guest choose once.
 */
#include "experiments/experiment.h"

#include "experiments/expect.h"
#include "experiments/outdir.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"
#include "experiments/trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ID     "double-paging"
#define SIZE   128 /* MB of the guest */
#define FRAMES 131072
#define AIMED  8650 /* frames that the host keeps free: its high mark and the width */
#define SOURCE "Waldspurger 2002, sections 3.2 and 3.3"

enum arm { GUEST, BALLOON, RANDOM, LRU, ARMS };

static const struct {
	const char *name, *help, *options;
} arms[ARMS] = {
	{"guest", "configured with what is left", ""},
	{"balloon", "the balloon asks the guest", "host { reclaimers = {balloon, swap} }"},
	{"random", "the host pages random pages",
	 "host { reclaimers = {swap} } swap { victim = random }"},
	{"lru", "the host pages the least recently used",
	 "host { reclaimers = {swap} } swap { victim = lru }"},
};

static const uint32_t left_mb[] = {112, 96, 80};

#define LEFT ARRAY_LEN(left_mb)

struct outcome {
	double doubled, overwritten, host_in, host_out, guest_in, guest_out, compiled;
};

struct results {
	struct outcome of[LEFT][ARMS];
};

static int make_job(size_t l, enum arm a, struct job **job, struct err *err)
{
	char text[1024];
	uint32_t kb = (FRAMES - AIMED - (left_mb[l] << (20 - PAGE_SHIFT))) * (PAGE_SIZE / 1024);

	if (a == GUEST)
		snprintf(text, sizeof text, "vm a { memory = %umb }", left_mb[l]);
	else
		snprintf(text, sizeof text,
			 "%s\nworkload quiet { kind = idle memory = 4kb active = 4kb duration = "
			 "300s }\n"
			 "vm b { os = windows memory = %ukb min = %ukb overhead = 0 balloon = off "
			 "workload = quiet }\nat 60s { add = b }\n",
			 arms[a].options, kb, kb);
	return trial_job(ID "/base.job", text, job, err);
}

static int run_one(void *arg, size_t task, void *result, struct err *err)
{
	struct outcome *o = result;
	struct job *job;
	struct run *run;

	(void)arg;
	int rc = make_job(task / ARMS, (enum arm)(task % ARMS), &job, err);
	if (rc)
		return rc;
	rc = trial_run(job, &run, err);
	if (rc == 0) {
		const struct vm *vm = run_host(run)->vm[0];
		*o = (struct outcome){
			.doubled = trial_stat(vm, "os_double_paged"),
			.overwritten = trial_stat(vm, "os_overwritten"),
			.host_in = trial_stat(vm, "swap_ins"),
			.host_out = trial_stat(vm, "swap_outs"),
			.guest_in = trial_stat(vm, "os_swap_in"),
			.guest_out = trial_stat(vm, "os_swap_out"),
			.compiled = trial_stat(vm, "work_ops"),
		};
		run_close(run);
	}
	job_free(job);
	return rc;
}

static int write_csv(const struct results *r, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("left_mb,arm,double_paged,overwritten,host_swap_in,host_swap_out,guest_swap_in,"
	      "guest_swap_out,files_compiled\n",
	      out);
	for (size_t l = 0; l < LEFT; l++) {
		for (enum arm a = GUEST; a < ARMS; a++) {
			const struct outcome *o = &r->of[l][a];
			fprintf(out, "%u,%s,%.0f,%.0f,%.0f,%.0f,%.0f,%.0f,%.0f\n", left_mb[l],
				arms[a].name, o->doubled, o->overwritten, o->host_in, o->host_out,
				o->guest_in, o->guest_out, o->compiled);
		}
	}
	return draft_commit(draft, err);
}

/* Of the pages that the guest wrote to its swap, in %, those that were read back for it. */
static double share(const struct outcome *o)
{
	return o->guest_out > 0 ? 100 * o->doubled / o->guest_out : 0;
}

static void tell_all(const struct results *r, json_t *told)
{
	tell(told, "A guest of %d MB, of which so much is left; pages, and files compiled in 150 s",
	     SIZE);
	tell(told, " MB  by        paged twice  (of guest's)  overwritten  host in    guest out  "
		   "compiled");
	for (size_t l = 0; l < LEFT; l++) {
		for (enum arm a = GUEST; a < ARMS; a++) {
			const struct outcome *o = &r->of[l][a];
			tell(told, "%3u  %-8s  %11.0f  %10.0f %%  %11.0f  %7.0f  %11.0f  %8.0f",
			     left_mb[l], arms[a].name, o->doubled, share(o), o->overwritten,
			     o->host_in, o->guest_out, o->compiled);
		}
	}
	for (enum arm a = GUEST; a < ARMS; a++)
		tell(told, "%s: %s", arms[a].name, arms[a].help);
	tell_note(told, NOTE_PREDICTED, "All of it; the paper has no figure of this.");
	tell_note(
		told, NOTE_ASSUMED,
		"Both disks take 8 ms for a page alone, and the guest stands still while the host "
		"reads; programs and sizes are ours (experiments/" ID "/base.job).");
}

static void expect_all(const struct results *r, json_t *told)
{
	for (size_t l = 0; l < LEFT; l++) {
		const struct outcome *o = r->of[l];
		char when[32];
		snprintf(when, sizeof when, "%u MB left", left_mb[l]);
		const struct expectation all[] = {
			{.quantity = "guest's swap-outs read from the host's swap, by lru, %",
			 .relation = EXPECT_AT_LEAST,
			 .target = share(&o[RANDOM]),
			 .value = share(&o[LRU])},
			{.quantity = "the same by the balloon, %",
			 .relation = EXPECT_AT_MOST,
			 .target = 5,
			 .value = share(&o[BALLOON])},
			{.quantity = "files compiled with the balloon, as a part of configured",
			 .relation = EXPECT_AT_LEAST,
			 .target = 0.9,
			 .value = o[BALLOON].compiled / o[GUEST].compiled},
			{.quantity = "files compiled with the balloon, as a multiple of random's",
			 .relation = EXPECT_AT_LEAST,
			 .target = 1,
			 .value = o[BALLOON].compiled / o[RANDOM].compiled},
		};
		/* With little pressure LRU finds pages that the guest has free. */
		for (size_t i = l == 0 ? 1 : 0; i < ARRAY_LEN(all); i++) {
			struct expectation e = all[i];
			e.when = when;
			e.source = SOURCE;
			expect(told, &e);
		}
	}
}

static int tell_examples(json_t *told, struct err *err)
{
	for (enum arm a = BALLOON; a < ARMS; a++) {
		struct job *job;
		char name[64];
		int rc = make_job(1, a, &job, err);
		if (rc)
			return rc;
		snprintf(name, sizeof name, ID "-%s.job", arms[a].name);
		tell_job(told, name, job);
		job_free(job);
	}
	return 0;
}

int double_paging_run(const char *dir, json_t *told, struct err *err)
{
	struct results *r = calloc(1, sizeof *r);

	if (!r)
		return err_run(err, ENOMEM, "no memory for " ID);
	int rc = parallel_each(ID, LEFT * ARMS, run_one, NULL, r->of, sizeof(struct outcome), err);
	if (rc == 0)
		rc = write_csv(r, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	if (rc == 0)
		rc = tell_examples(told, err);
	if (rc == 0) {
		tell_all(r, told);
		expect_all(r, told);
	}
	free(r);
	return rc;
}
