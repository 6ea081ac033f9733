/*
 * esx-fig2: dbench in VMs configured with 128 to 256 MB, and in one of 256 MB
 * ballooned down to the same (Waldspurger 2002, section 3.2, Fig. 2).
 *
 * Two costs, of the processor for a page and of the disk for a seek, are
 * calibrated on the end points of the configured series; everything else is
 * predicted, the whole ballooned series among it. The balloon is the real one:
 * another VM takes the machine's memory, the host asks the driver in the guest,
 * and the guest chooses what to give. The loss is run again without what Linux
 * sizes by the memory at boot, to show that it comes from there.
 */
#include "experiments/experiment.h"

#include "experiments/expect.h"
#include "experiments/outdir.h"
#include "experiments/paper.h"
#include "experiments/parallel.h"
#include "experiments/plot.h"
#include "experiments/trial.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ID	   "esx-fig2"
#define SIZES	   5 /* 128 to 256 MB, by 32 */
#define LAST	   (SIZES - 1)
#define SEEDS	   3 /* "mean of three runs" */
#define FRAMES	   131072
#define AIMED	   7871 /* frames that the host keeps free: 6 %, and a thousandth of that */
#define START_NS   60e9 /* of dbench, as base.job has it */
#define ROUNDS	   16	/* of calibration, at most */
#define CLOSE	   0.001
#define WITHIN	   3 /* % of the paper's bar */
#define SOURCE	   "Waldspurger 2002, Fig. 2"
#define LEAST_LOSS 1 /* %; the paper's losses are 1.4 to 4.4 */
#define MOST_LOSS  6

/* What Linux sizes by the memory at boot. */
enum sized { ALL, STRUCTURES, NOTHING, SIZED };

static const char *const sized_options[SIZED] = {
	"",
	"boot_limits = off",
	"boot_limits = off boot_structures = off",
};

struct setting {
	uint32_t size_mb, left_mb; /* configured, and left by the balloon */
	enum sized sized;
	int seed;
	double page_ns, seek_ns;
};

struct measured {
	double mb_s, balloon_mb;
};

struct fig2 {
	struct paper *paper;
	double page_ns, seek_ns;
	double configured[SIZED][SIZES], ballooned[SIZED][SIZES]; /* MB/s */
	double balloon_mb[SIZES];
	int rounds;
};

static uint32_t size_mb(size_t i)
{
	return 128 + 32 * (uint32_t)i;
}

/* What the setting adds to base.job. */
static void format_setting(const struct setting *s, char *buf, size_t size)
{
	int n = snprintf(buf, size,
			 "guest { disk_seek = %.0fns %s }\n"
			 "workload clients { page_time = %.0fns seed = %d }\n"
			 "vm a { os = linux memory = %umb overhead = 0 workload = clients }\n",
			 s->seek_ns, sized_options[s->sized], s->page_ns, s->seed, s->size_mb);
	if (s->left_mb == s->size_mb)
		return;
	uint32_t kb = (FRAMES - AIMED - (s->left_mb << (20 - PAGE_SHIFT))) * (PAGE_SIZE / 1024);
	snprintf(buf + n, size - (size_t)n,
		 "workload quiet { kind = idle memory = 4kb active = 4kb duration = 300s }\n"
		 "vm b { os = windows memory = %ukb min = %ukb overhead = 0 balloon = off "
		 "workload = quiet }\nat 30s { add = b }\n",
		 kb, kb);
}

static int make_job(const struct setting *s, struct job **job, struct err *err)
{
	char text[1024];

	format_setting(s, text, sizeof text);
	return trial_job(ID "/base.job", text, job, err);
}

static int run_one(void *arg, size_t task, void *result, struct err *err)
{
	struct measured *m = result;
	struct job *job;
	struct run *run;

	int rc = make_job((const struct setting *)arg + task, &job, err);
	if (rc)
		return rc;
	rc = trial_run(job, &run, err);
	if (rc == 0) {
		const struct vm *vm = run_host(run)->vm[0];
		*m = (struct measured){
			.mb_s = trial_stat(vm, "work_bytes") / 0x1p20 /
				(((double)vm->time_ns - START_NS) / 1e9),
			.balloon_mb = trial_stat(vm, "os_balloon") * PAGE_SIZE / 0x1p20,
		};
		run_close(run);
	}
	job_free(job);
	return rc;
}

/* n settings, each under every seed; means in the order of the settings. */
static int run_all(const struct setting *settings, size_t n, struct measured *mean,
		   const char *label, struct err *err)
{
	struct setting *each = calloc(n * SEEDS, sizeof *each);
	struct measured *found = calloc(n * SEEDS, sizeof *found);
	int rc = each && found ? 0 : err_run(err, ENOMEM, "no memory for " ID);

	for (size_t i = 0; rc == 0 && i < n * SEEDS; i++) {
		each[i] = settings[i / SEEDS];
		each[i].seed = 1 + (int)(i % SEEDS);
	}
	if (rc == 0)
		rc = parallel_each(label, n * SEEDS, run_one, each, found, sizeof *found, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		mean[i] = (struct measured){0};
		for (size_t k = i * SEEDS; k < (i + 1) * SEEDS; k++) {
			mean[i].mb_s += found[k].mb_s / SEEDS;
			mean[i].balloon_mb += found[k].balloon_mb / SEEDS;
		}
	}
	free(each);
	free(found);
	return rc;
}

static double paper_configured(const struct fig2 *f, size_t i)
{
	return paper_value(f->paper, i, "configured_mb_s");
}

/*
 * With all in memory throughput is the processor's, so the largest VM tells the
 * cost of a page; what a MB takes longer in the smallest is the disk's.
 */
static int calibrate(struct fig2 *f, struct err *err)
{
	const double small = paper_configured(f, 0), large = paper_configured(f, LAST);
	struct measured m[2];
	int rc = 0;

	f->page_ns = 1e9 / large / 256;
	f->seek_ns = 10e6;
	for (f->rounds = 1; f->rounds <= ROUNDS; f->rounds++) {
		struct setting s[2] = {
			{size_mb(0), size_mb(0), ALL, 0, f->page_ns, f->seek_ns},
			{size_mb(LAST), size_mb(LAST), ALL, 0, f->page_ns, f->seek_ns},
		};
		rc = run_all(s, 2, m, ID " calibration", err);
		if (rc ||
		    (fabs(m[0].mb_s / small - 1) < CLOSE && fabs(m[1].mb_s / large - 1) < CLOSE))
			break;
		double more = (1 / small - 1 / large) / fmax(1 / m[0].mb_s - 1 / m[1].mb_s, 1e-6);
		f->page_ns *= m[1].mb_s / large;
		f->seek_ns *= fmax(0.3, fmin(3, more));
	}
	return rc;
}

static int measure(struct fig2 *f, struct err *err)
{
	struct setting s[SIZED * 2 * SIZES];
	struct measured m[SIZED * 2 * SIZES];
	size_t n = 0;

	for (enum sized z = ALL; z < SIZED; z++) {
		for (size_t i = 0; i < SIZES; i++) {
			s[n++] = (struct setting){size_mb(i), size_mb(i), z,
						  0,	      f->page_ns, f->seek_ns};
			s[n++] = (struct setting){size_mb(LAST), size_mb(i), z, 0,
						  f->page_ns,	 f->seek_ns};
		}
	}
	int rc = run_all(s, n, m, ID, err);
	for (size_t k = 0; rc == 0 && k < n; k += 2) {
		enum sized z = (enum sized)(k / 2 / SIZES);
		size_t i = k / 2 % SIZES;
		f->configured[z][i] = m[k].mb_s;
		f->ballooned[z][i] = m[k + 1].mb_s;
		if (z == ALL)
			f->balloon_mb[i] = m[k + 1].balloon_mb;
	}
	return rc;
}

/* What the balloon costs, in % of the throughput of a VM configured so. */
static double loss(const struct fig2 *f, enum sized z, size_t i)
{
	return 100 * (1 - f->ballooned[z][i] / f->configured[z][i]);
}

static double paper_loss(const struct fig2 *f, size_t i)
{
	return 100 * (1 - paper_value(f->paper, i, "ballooned_mb_s") / paper_configured(f, i));
}

static const char *point(size_t i)
{
	return i == 0 || i == LAST ? "calibrated" : "predicted";
}

static int write_csv(const struct fig2 *f, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("vm_mb,configured_point,configured_mb_s,paper_configured_mb_s,balloon_mb,"
	      "ballooned_mb_s,paper_ballooned_mb_s,loss_pct,paper_loss_pct,"
	      "loss_structures_alone_pct,loss_nothing_sized_pct\n",
	      out);
	for (size_t i = 0; i < SIZES; i++) {
		fprintf(out, "%u,%s,%.3f,%.2f", size_mb(i), point(i), f->configured[ALL][i],
			paper_configured(f, i));
		if (i == LAST)
			fputs(",,,,,,,\n", out);
		else
			fprintf(out, ",%.2f,%.3f,%.2f,%.2f,%.2f,%.2f,%.2f\n", f->balloon_mb[i],
				f->ballooned[ALL][i], paper_value(f->paper, i, "ballooned_mb_s"),
				loss(f, ALL, i), paper_loss(f, i), loss(f, STRUCTURES, i),
				loss(f, NOTHING, i));
	}
	return draft_commit(draft, err);
}

static void tell_points(const struct fig2 *f, json_t *told)
{
	tell(told, "MB/s of dbench, 40 clients: ours, the paper's (difference); mean of %d", SEEDS);
	tell(told,
	     "  MB  configured             ballooned                        loss by the balloon");
	for (size_t i = 0; i < SIZES; i++) {
		double c = f->configured[ALL][i], pc = paper_configured(f, i);
		double b = f->ballooned[ALL][i], pb = paper_value(f->paper, i, "ballooned_mb_s");
		if (i == LAST)
			tell(told, " %u  %5.2f, %5.2f (%+.1f %%)", size_mb(i), c, pc,
			     100 * (c / pc - 1));
		else
			tell(told,
			     " %u  %5.2f, %5.2f (%+.1f %%)  %5.2f, %5.2f (%+.1f %%) by %5.1f MB  "
			     "%.1f %%, %.1f %%",
			     size_mb(i), c, pc, 100 * (c / pc - 1), b, pb, 100 * (b / pb - 1),
			     f->balloon_mb[i], loss(f, ALL, i), paper_loss(f, i));
	}
	tell(told, "The loss, with what Linux sizes by the memory at boot: all of it, structures "
		   "alone, nothing:");
	for (size_t i = 0; i < LAST; i++)
		tell(told, " %u  %5.1f %% %5.1f %% %5.1f %%", size_mb(i), loss(f, ALL, i),
		     loss(f, STRUCTURES, i), loss(f, NOTHING, i));
}

static void tell_notes(const struct fig2 *f, json_t *told)
{
	tell_note(told, NOTE_CALIBRATED,
		  "On 128 and 256 MB configured, in %d rounds: %.0f us of the processor for a page "
		  "of a request, %.2f ms for a seek.",
		  f->rounds, f->page_ns / 1e3, f->seek_ns / 1e6);
	tell_note(told, NOTE_PREDICTED, "The other configured sizes, and every ballooned one.");
	tell_note(told, NOTE_ASSUMED,
		  "Each client builds up 6.8 MB of files and reads twice in them for each write; "
		  "chosen with the configured series in view: its bend hangs on it.");
	tell_note(
		told, NOTE_ASSUMED,
		"Limits to changed pages are shares of the memory at boot, as in Linux from 2.4.10 "
		"on. Red Hat 7.2 came with 2.4.7, which counts free and inactive pages: then the "
		"structures alone are left, 79 bytes a page, and the loss is smaller.");
	tell_note(told, NOTE_NOT_MODELLED,
		  "Inodes, dentries and the journal; the processor's caches; a second run of "
		  "dbench on a disk that the first one has filled.");
}

static void tell_all(const struct fig2 *f, json_t *told)
{
	tell_points(f, told);
	tell_notes(f, told);
	for (size_t i = 0; i < SIZES; i++) {
		char when[32];
		snprintf(when, sizeof when, "%u MB", size_mb(i));
		expect(told, &(struct expectation){
				     .quantity = "dbench in a VM configured so, MB/s",
				     .when = when,
				     .relation = EXPECT_NEAR,
				     .target = paper_configured(f, i),
				     .tolerance = paper_configured(f, i) * WITHIN / 100,
				     .value = f->configured[ALL][i],
				     .source = SOURCE,
				     .calibrated = i == 0 || i == LAST,
			     });
	}
	for (size_t i = 0; i < LAST; i++)
		expect_near(told, SOURCE ", 1.4 to 4.4 %", (LEAST_LOSS + MOST_LOSS) / 2.0,
			    (MOST_LOSS - LEAST_LOSS) / 2.0, loss(f, ALL, i),
			    "loss by the balloon at %u MB, %%", size_mb(i));
	for (size_t i = 0; i < LAST; i++)
		expect_near(told, "nothing but what is sized at boot explains it", 0, 1,
			    loss(f, NOTHING, i), "loss without that at %u MB, %%", size_mb(i));
}

static int tell_example(const struct fig2 *f, json_t *told, struct err *err)
{
	struct setting s = {size_mb(LAST), size_mb(0), ALL, 1, f->page_ns, f->seek_ns};
	struct job *job;

	int rc = make_job(&s, &job, err);
	if (rc)
		return rc;
	tell_job(told, ID "-ballooned-128.job", job);
	job_free(job);
	return 0;
}

int esx_fig2_run(const char *dir, json_t *told, struct err *err)
{
	struct fig2 *f = calloc(1, sizeof *f);

	if (!f)
		return err_run(err, ENOMEM, "no memory for " ID);
	int rc = paper_load("paper/fig2_balloon.csv", &f->paper, err);
	if (rc == 0)
		rc = calibrate(f, err);
	if (rc == 0)
		rc = measure(f, err);
	if (rc == 0)
		rc = write_csv(f, dir, err);
	if (rc == 0)
		rc = plot_experiment(ID, dir, told, err);
	if (rc == 0)
		rc = tell_example(f, told, err);
	if (rc == 0)
		tell_all(f, told);
	free(f->paper);
	free(f);
	return rc;
}
