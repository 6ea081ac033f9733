/*
 * esx-ioremap: what remapping I/O pages saves a guest that sends packets through
 * a ring of buffers (Waldspurger 2002, section 7).
 *
 * The paper says that copies fall by several orders of magnitude for some loads,
 * and gives neither a number nor the threshold. So every number here is of our
 * own loads; what is expected is that it is orders of magnitude.
 */
#include "experiments/experiment.h"

#include "experiments/expect.h"
#include "experiments/outdir.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"
#include "experiments/watch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define ID	   "esx-ioremap"
#define PACKETS	   1000000u
#define PACE_US	   100u
#define ROWS	   200
#define RING	   256
#define FULL_PAGES 65535 /* all frames but the bounce buffer */
#define FACTOR	   100
#define SOURCE	   "Waldspurger 2002, section 7: several orders of magnitude; no number is given"

static const struct variant {
	const char *name, *remap;
	uint32_t threshold;
	uint32_t pages; /* of the VM */
	uint32_t ring;
	const char *says;
} variants[] = {
	{"off", "off", 16, 57344, RING, "no remapping"},
	{"on 64", "on", 64, 57344, RING, "a page moves after 64 copies"},
	{"on 16", "on", 16, 57344, RING, "after 16, the default"},
	{"on 4", "on", 4, 57344, RING, "after 4"},
	{"full", "on", 16, FULL_PAGES, RING, "after 16, and all low memory in use"},
	{"full off", "off", 16, FULL_PAGES, RING, "that without remapping"},
	{"wide", "on", 16, 57344, 40000, "a ring of 156 MB, more than low memory"},
	{"wide off", "off", 16, 57344, 40000, "that without remapping"},
};

enum { OFF, ON_64, ON_16, ON_4, FULL, FULL_OFF, WIDE, WIDE_OFF };

struct result {
	double copies[ROWS];
	double all_copies, transfers, moved, displaced, stuck, time_ns;
};

static double host_stat(const struct host *host, const char *name)
{
	const void *where;

	return stat_find(&host->scope, name, NULL, &where) ? (double)*(const uint64_t *)where : 0;
}

static void take_row(void *arg, const struct host *host, size_t row)
{
	struct result *r = arg;

	r->copies[row] = (double)watch_stat(host->vm[0], "io_copies");
}

static void take_end(void *arg, const struct host *host)
{
	const struct vm *vm = host->vm[0];
	struct result *r = arg;

	r->all_copies = (double)watch_stat(vm, "io_copies");
	r->transfers = (double)watch_stat(vm, "io_dma");
	r->moved = host_stat(host, "io_moved");
	r->displaced = host_stat(host, "io_displaced");
	r->stuck = host_stat(host, "io_stuck");
	r->time_ns = (double)vm->time_ns;
}

static int make_job(size_t task, struct job **job, struct err *err)
{
	const struct variant *v = &variants[task];
	char text[512];

	snprintf(text, sizeof text,
		 "io { remap = %s threshold = %u }\n"
		 "gen net { law = netbuf pages = %u set_pages = %u refs = %u write_ratio = 0 "
		 "pace = %uus }\nvm sender { gen = net }\n",
		 v->remap, v->threshold, v->pages, v->ring, v->pages + 3 * PACKETS, PACE_US);
	return watch_job(ID "/base.job", text, job, err);
}

static int run_one(void *arg, size_t task, void *result, struct err *err)
{
	const uint64_t all_ns = UINT64_C(1000) * PACE_US * PACKETS;
	const struct watch watch = {
		.first_ns = all_ns / ROWS,
		.step_ns = all_ns / ROWS,
		.rows = ROWS,
		.row = take_row,
		.end = take_end,
		.arg = result,
	};
	struct job *job;

	(void)arg;
	int rc = make_job(task, &job, err);
	if (rc)
		return rc;
	rc = watch_run(job, &watch, err);
	job_free(job);
	return rc;
}

static int run_all(struct result *all, struct err *err)
{
	return parallel_each(ID, ARRAY_LEN(variants), run_one, NULL, all, sizeof *all, err);
}

static int write_csv(const struct result *all, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("variant,remap,threshold,vm_pages,ring_pages,time_s,copies\n", out);
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		const struct variant *v = &variants[i];
		for (size_t row = 0; row < ROWS; row++)
			fprintf(out, "%s,%s,%u,%u,%u,%g,%.0f\n", v->name, v->remap, v->threshold,
				v->pages, v->ring,
				(double)(row + 1) * PACE_US * PACKETS / ROWS / 1e6,
				all[i].copies[row]);
	}
	return draft_commit(draft, err);
}

static void tell_table(const struct result *all, json_t *told)
{
	tell(told, "%u packets sent through a ring of %d buffers, or of 40000 (wide)", PACKETS,
	     RING);
	tell(told, "                 copies   of transfers   moved  displacing   virtual time");
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		const struct result *r = &all[i];
		tell(told, "%-8s  %11.0f        %6.2f %%  %6.0f      %6.0f     %7.3f s  %s",
		     variants[i].name, r->all_copies, 100 * r->all_copies / r->transfers, r->moved,
		     r->displaced, r->time_ns / 1e9, variants[i].says);
	}
}

static double factor(const struct result *all, size_t off, size_t on)
{
	return all[off].all_copies / all[on].all_copies;
}

static void expect_factor(const struct result *all, json_t *told, size_t off, size_t on,
			  const char *when)
{
	const struct expectation e = {
		.quantity = "copies without remapping / with it",
		.when = when,
		.relation = EXPECT_AT_LEAST,
		.target = FACTOR,
		.value = factor(all, off, on),
		.source = SOURCE,
	};

	expect(told, &e);
}

static void tell_answer(const struct result *all, json_t *told)
{
	const struct expectation harmless = {
		.quantity = "time with remapping / without",
		.when = "a ring larger than low memory",
		.relation = EXPECT_AT_MOST,
		.target = 1.01,
		.value = all[WIDE].time_ns / all[WIDE_OFF].time_ns,
		.source = "our own bound: what cannot help must not harm",
	};

	tell(told, "So: remapping cuts the copies %.0f-fold, %.0f-fold where low memory was full.",
	     factor(all, OFF, ON_16), factor(all, FULL_OFF, FULL));
	tell(told,
	     "  A page that has moved is copied no more, so that the factor grows with time.");
	expect_factor(all, told, OFF, ON_16, "ring of 256 buffers");
	expect_factor(all, told, FULL_OFF, FULL, "ring of 256 buffers, low memory full");
	expect(told, &harmless);
	tell_note(told, NOTE_ASSUMED,
		  "The load, the threshold, the sizes (64 MB of low memory stand for 4 GB) and the "
		  "costs of a copy (1 us) and of a move (3 us): the paper prints none of them.");
	tell_note(told, NOTE_PREDICTED, "All copies.");
	tell_note(told, NOTE_NOT_MODELLED, "The device, and what a copy does to the caches.");
}

static int tell_job_of(json_t *told, struct err *err)
{
	struct job *job;
	int rc = make_job(ON_16, &job, err);

	if (rc)
		return rc;
	tell_job(told, ID ".job", job);
	job_free(job);
	return 0;
}

int esx_ioremap_run(const char *dir, json_t *told, struct err *err)
{
	struct result *all = calloc(ARRAY_LEN(variants), sizeof *all);

	if (!all)
		return err_run(err, ENOMEM, "no memory for " ID);
	int rc = run_all(all, err);
	if (rc == 0)
		rc = write_csv(all, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	if (rc == 0) {
		tell_table(all, told);
		tell_answer(all, told);
		rc = tell_job_of(told, err);
	}
	free(all);
	return rc;
}
