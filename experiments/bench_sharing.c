/*
 * Sharing: a gigabyte of real bytes, half of it copies of 1,024 pages, from
 * nothing shared to all of it. Beside it the floor, which is to hash each page
 * and compare each copy once and nothing else, and the kernel's KSM, on the same
 * bytes.
 */
#include "experiments/bench.h"

#include "core/os.h"
#include "core/rng.h"
#include "sharing/sharing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxh_x86dispatch.h>

#define PAGES	 (UINT32_C(1) << 18)
#define CONTENTS 1024u /* of which the copies are */

/* What each page is: below CONTENTS a copy, above it one of a kind. */
struct bytes {
	uint32_t id[PAGES];
	uint32_t first[CONTENTS]; /* the first page of each content */
	uint32_t copies;	  /* pages that are copies, the first ones too */
};

static void lay_out(struct bytes *b)
{
	struct rng rng;

	rng_init(&rng, 1, "bench sharing", 0);
	b->copies = 0;
	memset(b->first, 0xff, sizeof b->first);
	for (uint32_t i = 0; i < PAGES; i++) {
		bool copy = rng_below(&rng, PAGES - i) < PAGES / 2 - b->copies;
		b->id[i] = copy ? (uint32_t)rng_below(&rng, CONTENTS) : CONTENTS + i;
		b->copies += copy;
		if (copy && b->first[b->id[i]] == UINT32_MAX)
			b->first[b->id[i]] = i;
	}
}

static void fill(void *arg, size_t page, uint8_t *bytes)
{
	const struct bytes *b = arg;

	content_expand(1 + b->id[page], bytes);
}

static uint32_t different_copies(const struct bytes *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < CONTENTS; i++)
		n += b->first[i] != UINT32_MAX;
	return n;
}

/* Hash and compare, nothing else. Pages per CPU-second. */
static double floor_speed(const struct bytes *b, const uint8_t *memory)
{
	uint64_t start = os_cpu_ns(), sum = 0;

	for (uint32_t i = 0; i < PAGES; i++) {
		const uint8_t *page = memory + (size_t)i * PAGE_SIZE;
		sum += XXH3_64bits_withSeed(page, PAGE_SIZE, 1);
		if (b->id[i] < CONTENTS && b->first[b->id[i]] != i)
			sum += (uint64_t)memcmp(
				page, memory + (size_t)b->first[b->id[i]] * PAGE_SIZE, PAGE_SIZE);
	}
	__asm__ volatile("" : : "r"(sum)); /* or all of it may be left out */
	return PAGES / ((double)(os_cpu_ns() - start) / 1e9);
}

struct rig {
	struct host *host;
	struct vm *vm;
	struct sharing *sharing;
};

static int rig_open(struct rig *r, const struct bytes *b, struct err *err)
{
	struct host_opts host;
	struct share_opts share;
	struct cost_opts cost = {0};
	struct pmap_part *pmaps;

	if (opt_defaults(&host_section, &host) || opt_defaults(&share_section, &share))
		return err_run(err, ENOMEM, "no memory for a host");
	host.frames = PAGES;
	host.backing = policy_find(backings, "ram");
	share.scan = policy_find(scans, "sequential");
	int rc = host_new(&host, &cost, &r->host, err);
	if (rc == 0 && pmap_part_new(r->host, &pmaps))
		rc = err_run(err, ENOMEM, "no memory for a host");
	if (rc == 0)
		rc = sharing_open(r->host, pmaps, &share, &r->sharing, err);
	if (rc == 0)
		rc = vm_add(r->host, "guest", PAGES, &r->vm, err);
	for (uint32_t i = 0; i < PAGES && rc == 0; i++) {
		rc = pmap_touch(r->vm->pmap, (ppn_t){i}, ACCESS_WRITE, err);
		if (rc == 0) {
			mpn_t mpn = pte_mpn(pmap_peek(r->vm->pmap, (ppn_t){i}));
			fill((void *)b, i, r->host->machine.backing->bytes(&r->host->machine, mpn));
		}
	}
	return rc;
}

/* From nothing shared to everything, and that it is everything. */
static int share_all(struct rig *r, const struct bytes *b, uint64_t *cpu_ns, struct err *err)
{
	uint64_t start = os_cpu_ns();

	while (sharing_scan(r->sharing, r->vm, PAGES) > 0)
		;
	*cpu_ns = os_cpu_ns() - start;
	uint64_t want = b->copies - different_copies(b);
	if (sharing_stats(r->sharing)->saved != want)
		return err_run(err, EUCLEAN, "%llu frames saved, not %llu",
			       (unsigned long long)sharing_stats(r->sharing)->saved,
			       (unsigned long long)want);
	return 0;
}

static int ours(struct bytes *b, json_t *out, double *speed, struct err *err)
{
	struct rig r = {NULL};
	uint64_t cpu_ns = 0;
	int rc = rig_open(&r, b, err);
	double bare = rc ? 0 : floor_speed(b, r.host->machine.bytes);

	if (rc == 0)
		rc = share_all(&r, b, &cpu_ns, err);
	if (rc == 0) {
		*speed = PAGES / ((double)cpu_ns / 1e9);
		json_object_set_new(out, "pages", json_integer(PAGES));
		json_object_set_new(out, "pages_per_cpu_second", json_real(*speed));
		json_object_set_new(out, "floor_pages_per_cpu_second", json_real(bare));
		json_object_set_new(out, "ratio_to_floor", json_real(*speed / bare));
		json_object_set_new(
			out, "bytes_per_page",
			json_real((double)sharing_stats(r.sharing)->table_bytes / PAGES));
	}
	host_free(r.host);
	return rc;
}

int bench_sharing(const struct bench_args *args, json_t *out, struct err *err)
{
	struct bytes *b = malloc(sizeof *b);
	double speed = 0;
	uint64_t ksm_ns = 0;

	(void)args;
	if (!b)
		return err_run(err, ENOMEM, "no memory for a bench");
	lay_out(b);
	int rc = ours(b, out, &speed, err);
	int ksm = rc ? rc : bench_ksm(PAGES, b->copies, fill, b, &ksm_ns, err);
	if (ksm == -ENOTSUP || ksm_ns == 0) {
		json_object_set_new(out, "ratio_to_ksm", json_null());
	} else if (ksm == 0) {
		double theirs = PAGES / ((double)ksm_ns / 1e9);
		json_object_set_new(out, "ksm_pages_per_cpu_second", json_real(theirs));
		json_object_set_new(out, "ratio_to_ksm", json_real(speed / theirs));
	}
	free(b);
	return ksm == -ENOTSUP ? 0 : ksm;
}
