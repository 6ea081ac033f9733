/*
 * balloon-race: how long a Linux guest takes to give 128 MB to its host and to
 * have them back, through the balloon module and through QEMU's own balloon
 * (virtio-balloon), in the same guest, in turn.
 *
 * The guest uses all its memory before each turn, so that what it gives is
 * memory that its host has to take out of the file that holds it; both do so
 * here, in the same file. Time runs from when the host asks until it counts the
 * last page. Real time on this machine, under emulation where there is no KVM:
 * the ratios of one run are what counts.
 */
#include "experiments/experiment.h"

#include "core/os.h"
#include "experiments/balloon_rig.h"
#include "experiments/expect.h"
#include "experiments/module_make.h"
#include "experiments/module_state.h"
#include "experiments/outdir.h"
#include "experiments/plot.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ID	"balloon-race"
#define MEMORY	(256u << 8) /* pages */
#define ASKED	(128u << 8)
#define ROUNDS	3
#define BOOT_NS UINT64_C(120000000000) /* the most that is waited for */
#define MOVE_NS UINT64_C(30000000000)
#define MUST_MS 60 /* design: 128 MB in 0.06 s */
#define UNKNOWN UINT32_MAX

static const char script[] =
	"for m in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci "
	"virtio_balloon ballast_balloon; do insmod /$m.ko; done\n"
	"mount -t ramfs ram /tmp\n"
	"till talk != talking\n"
	"echo AT ready\n"
	"while read word; do\n"
	"[ $word = fill ] || break\n"
	"dd if=/dev/zero of=/tmp/fill bs=1M count=180 2>/dev/null; rm /tmp/fill\n"
	"echo AT filled\n"
	"done </dev/console\n";

static const char *const kernel_modules[] = {"virtio",
					     "virtio_ring",
					     "virtio_pci_modern_dev",
					     "virtio_pci_legacy_dev",
					     "virtio_pci",
					     "virtio_balloon",
					     NULL};

static const struct variant {
	const char *name, *append;
	bool polled;
	const char *says;
} variants[] = {
	{"doorbell", "init_on_alloc=0", false, "interrupts, init_on_alloc=0"},
	{"doorbell-init", "init_on_alloc=1", false,
	 "interrupts, pages cleared as they are allocated"},
	{"polled", "init_on_alloc=0", true, "no interrupts, init_on_alloc=0"},
	{"polled-init", "init_on_alloc=1", true, "no interrupts, pages cleared"},
};

enum way { GIVE, TAKE, VIRTIO_GIVE, VIRTIO_TAKE, WAYS };

static const char *const way_names[] = {"give", "take", "virtio-give", "virtio-take"};

struct result {
	double ms[WAYS][ROUNDS];
	double first_ms[ROUNDS]; /* until the first page, of GIVE */
	double freed[WAYS / 2];	 /* share of the memory asked for that the file lost, least */
};

struct race {
	struct rig *rig;
	bool ready, filled, ended;
	uint32_t virtio; /* pages that QEMU says the guest has, UNKNOWN: not said yet */
	struct err why;	 /* a command that QEMU did not take */
};

static void heard(void *ctx, const char *line)
{
	struct race *r = ctx;

	r->ready |= strstr(line, "AT ready") != NULL;
	r->filled |= strstr(line, "AT filled") != NULL;
}

static void event(void *ctx, const char *name, const json_t *m)
{
	struct race *r = ctx;
	const json_t *actual = json_object_get(json_object_get(m, "return"), "actual");

	if (json_is_integer(actual))
		r->virtio = (uint32_t)((uint64_t)json_integer_value(actual) >> PAGE_SHIFT);
	if (strcmp(name, "error") == 0)
		(void)err_run(
			&r->why, EIO, "QEMU: %s",
			json_string_value(json_object_get(json_object_get(m, "error"), "desc")));
}

typedef bool reached_fn(struct race *r, uint32_t pages);

static bool is_ready(struct race *r, uint32_t unused)
{
	(void)unused;
	return r->ready;
}

static bool is_filled(struct race *r, uint32_t unused)
{
	(void)unused;
	return r->filled;
}

static bool has(struct race *r, uint32_t pages)
{
	return rig_has(r->rig) == pages;
}

static bool has_any(struct race *r, uint32_t unused)
{
	(void)unused;
	return rig_has(r->rig) > 0;
}

/* QEMU is asked again once it has answered. */
static bool virtio_has(struct race *r, uint32_t pages)
{
	if (r->virtio == MEMORY - pages)
		return true;
	if (r->virtio != UNKNOWN) {
		r->virtio = UNKNOWN;
		rig_qmp(r->rig, "{\"execute\": \"query-balloon\"}");
	}
	return false;
}

/* Serves until it is so. */
static int until(struct race *r, reached_fn *reached, uint32_t pages, uint64_t patience_ns,
		 const char *what, struct err *err)
{
	const uint64_t end_ns = os_mono_ns() + patience_ns;

	while (!reached(r, pages)) {
		if (!rig_turn(r->rig, 1))
			return err_run(err, EIO, "the guest has ended before it was %s", what);
		if (r->why.exit_code)
			return err_run(err, EIO, "%s", r->why.msg);
		if (os_mono_ns() > end_ns)
			return err_run(err, ETIMEDOUT, "the guest was not %s within %.0f s", what,
				       (double)patience_ns / 1e9);
	}
	return 0;
}

static int fill(struct race *r, struct err *err)
{
	r->filled = false;
	rig_say(r->rig, "fill");
	return until(r, is_filled, 0, BOOT_NS, "using its memory", err);
}

static double since_ms(uint64_t start_ns)
{
	return (double)(os_mono_ns() - start_ns) / 1e6;
}

static void keep_least(double *least, uint64_t before, uint64_t after)
{
	*least = fmin(*least, ((double)before - (double)after) / ASKED);
}

static int ours(struct race *r, struct result *out, size_t round, struct err *err)
{
	int rc = fill(r, err);
	const uint64_t before = rig_memory(r->rig);
	uint64_t start = os_mono_ns();

	rig_want(r->rig, ASKED);
	rc = rc ? rc : until(r, has_any, 0, MOVE_NS, "giving memory", err);
	out->first_ms[round] = since_ms(start);
	rc = rc ? rc : until(r, has, ASKED, MOVE_NS, "done giving memory", err);
	out->ms[GIVE][round] = since_ms(start);
	keep_least(&out->freed[0], before, rig_memory(r->rig));
	start = os_mono_ns();
	rig_want(r->rig, 0);
	rc = rc ? rc : until(r, has, 0, MOVE_NS, "given its memory back", err);
	out->ms[TAKE][round] = since_ms(start);
	return rc;
}

static void ask_virtio(struct race *r, uint32_t pages)
{
	char text[120];

	r->virtio = 0; /* whatever it is: asked at the next look */
	snprintf(text, sizeof text, "{\"execute\": \"balloon\", \"arguments\": {\"value\": %llu}}",
		 (unsigned long long)(MEMORY - pages) << PAGE_SHIFT);
	rig_qmp(r->rig, text);
}

static int theirs(struct race *r, struct result *out, size_t round, struct err *err)
{
	int rc = fill(r, err);
	const uint64_t before = rig_memory(r->rig);
	uint64_t start = os_mono_ns();

	ask_virtio(r, ASKED);
	rc = rc ? rc : until(r, virtio_has, ASKED, MOVE_NS, "done giving memory to virtio", err);
	out->ms[VIRTIO_GIVE][round] = since_ms(start);
	keep_least(&out->freed[1], before, rig_memory(r->rig));
	start = os_mono_ns();
	ask_virtio(r, 0);
	rc = rc ? rc : until(r, virtio_has, 0, MOVE_NS, "given its memory back by virtio", err);
	out->ms[VIRTIO_TAKE][round] = since_ms(start);
	return rc;
}

static int run_variant(const struct variant *v, const char *release, const char *module,
		       struct result *out, struct err *err)
{
	struct race race = {.virtio = UNKNOWN};
	const struct rig_opts opts = {
		.release = release,
		.module = module,
		.modules = kernel_modules,
		.append = v->append,
		.script = script,
		.pages = MEMORY,
		.polled = v->polled,
		.virtio_balloon = true,
		.line = heard,
		.event = event,
		.ctx = &race,
	};

	*out = (struct result){.freed = {1, 1}};
	int rc = rig_open(&opts, &race.rig, err);
	if (rc)
		return rc;
	rc = until(&race, is_ready, 0, BOOT_NS, "up", err);
	for (size_t round = 0; rc == 0 && round < ROUNDS; round++) {
		rc = ours(&race, out, round, err);
		rc = rc ? rc : theirs(&race, out, round, err);
	}
	rig_close(race.rig);
	return rc;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double ms[ROUNDS])
{
	double sorted[ROUNDS];

	memcpy(sorted, ms, sizeof sorted);
	qsort(sorted, ROUNDS, sizeof *sorted, by_value);
	return sorted[ROUNDS / 2];
}

/* Of all rounds, from the least to the most. */
static double least(const double ms[ROUNDS])
{
	return fmin(fmin(ms[0], ms[1]), ms[2]);
}

static double most(const double ms[ROUNDS])
{
	return fmax(fmax(ms[0], ms[1]), ms[2]);
}

static int write_csv(const struct result *all, const char *dir, struct err *err)
{
	struct draft *draft;
	int rc = outdir_open(dir, ID ".csv", &draft, err);

	if (rc)
		return rc;
	FILE *out = draft_stream(draft);
	fputs("variant,way,median_ms,least_ms,most_ms\n", out);
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		for (enum way w = 0; w < WAYS; w++)
			fprintf(out, "%s,%s,%.2f,%.2f,%.2f\n", variants[i].name, way_names[w],
				median(all[i].ms[w]), least(all[i].ms[w]), most(all[i].ms[w]));
	}
	return draft_commit(draft, err);
}

static void tell_way(json_t *told, const char *what, const double ms[ROUNDS], const char *more)
{
	tell(told, "  %-28s %8.1f ms  (%.1f to %.1f)%s", what, median(ms), least(ms), most(ms),
	     more);
}

static void tell_variant(json_t *told, const struct variant *v, const struct result *r)
{
	char first[60];

	tell(told, "%s", v->says);
	snprintf(first, sizeof first, ", the first page after %.1f ms", median(r->first_ms));
	tell_way(told, "ballast_balloon: given", r->ms[GIVE], first);
	tell_way(told, "taken back", r->ms[TAKE], "");
	tell_way(told, "virtio-balloon: given", r->ms[VIRTIO_GIVE], "");
	tell_way(told, "taken back", r->ms[VIRTIO_TAKE], "");
}

static void expect_all(json_t *told, const struct result *all)
{
	const struct expectation soon = {
		.quantity = "128 MB given, ms, median",
		.when = variants[0].says,
		.relation = EXPECT_AT_MOST,
		.target = MUST_MS,
		.value = median(all[0].ms[GIVE]),
		.source = "our own budget: a quarter of what virtio-balloon took",
	};
	struct expectation faster = {
		.quantity = "time to give, times that of virtio-balloon",
		.relation = EXPECT_AT_MOST,
		.target = 1,
		.source = "what the module is for",
	};
	struct expectation freed = {
		.quantity = "memory that the host has more, share of what was given, least",
		.relation = EXPECT_AT_LEAST,
		.target = 0.97,
		.source = "memory given is memory gained; the guest goes on using some meanwhile",
	};

	expect(told, &soon);
	for (size_t i = 0; i < 2; i++) {
		faster.when = variants[i].says;
		faster.value = median(all[i].ms[GIVE]) / median(all[i].ms[VIRTIO_GIVE]);
		expect(told, &faster);
	}
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		freed.when = variants[i].says;
		freed.value = all[i].freed[0];
		expect(told, &freed);
	}
}

/* Built now if it was not. */
static int find_module(char release[MODULE_RELEASE], char path[PATH_MAX], struct err *err)
{
	int rc = rig_kernel(release, err);

	return rc ? rc : module_build(release, path, err);
}

int balloon_race_run(const char *dir, json_t *told, struct err *err)
{
	struct result all[ARRAY_LEN(variants)];
	char release[MODULE_RELEASE], module[PATH_MAX];

	int rc = find_module(release, module, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(variants); i++)
		rc = run_variant(&variants[i], release, module, &all[i], err);
	rc = rc ? rc : write_csv(all, dir, err);
	rc = rc ? rc : plot_experiment(ID, dir, told, err);
	if (rc)
		return rc;
	tell(told, "128 MB of a Linux guest of 256 MB, kernel %s: median of %d (least to most)",
	     release, ROUNDS);
	for (size_t i = 0; i < ARRAY_LEN(variants); i++)
		tell_variant(told, &variants[i], &all[i]);
	tell_note(told, NOTE_ASSUMED,
		  "Measured, in real time, on this machine: compare the ratios. QEMU emulates the "
		  "guest's processor; the pages of both balloons leave the same memory file.");
	expect_all(told, all);
	return 0;
}
