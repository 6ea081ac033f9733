/* The backings that need no guest: content ids alone, and real bytes. */
#include "core/machine.h"
#include "core/rng.h"

#include <errno.h>
#include <string.h>

void content_expand(uint64_t id, uint8_t *page)
{
	struct rng r;

	if (id == 0) {
		memset(page, 0, PAGE_SIZE);
		return;
	}
	/* One odd 64-bit step a word: every bit of the id reaches every word. */
	rng_init(&r, id, "page contents", 0);
	uint64_t word = rng_u64(&r), step = rng_u64(&r) | 1;
	for (size_t i = 0; i < PAGE_SIZE; i += sizeof word, word += step)
		memcpy(page + i, &word, sizeof word);
}

/* ids: a number stands for a page. The table comes when the first is not zero. */

static int ids_open(struct machine *m)
{
	m->ids = NULL;
	return 0;
}

static void ids_close(struct machine *m)
{
	meter_free(m->meter, m->ids, m->frames * sizeof *m->ids);
	m->ids = NULL;
}

static void ids_zero(struct machine *m, mpn_t mpn)
{
	if (m->ids)
		m->ids[mpn.n] = 0;
}

static void ids_copy(struct machine *m, mpn_t to, mpn_t from)
{
	if (m->ids)
		m->ids[to.n] = m->ids[from.n];
}

static int ids_set(struct machine *m, mpn_t mpn, uint64_t id)
{
	if (!m->ids && id == 0)
		return 0;
	if (!m->ids)
		m->ids = meter_alloc(m->meter, m->frames * sizeof *m->ids);
	if (!m->ids)
		return -ENOMEM;
	m->ids[mpn.n] = id;
	return 0;
}

static bool ids_holds(const struct machine *m, mpn_t mpn, uint64_t id)
{
	return m->ids ? m->ids[mpn.n] == id : id == 0;
}

static uint8_t *ids_bytes(const struct machine *m, mpn_t mpn)
{
	(void)m;
	(void)mpn;
	return NULL;
}

const struct backing backing_ids = {
	.policy = {"ids", "a 64-bit content id per frame, no bytes: fast, for traces"},
	.open = ids_open,
	.close = ids_close,
	.zero = ids_zero,
	.copy = ids_copy,
	.set = ids_set,
	.holds = ids_holds,
	.bytes = ids_bytes,
};

/* ram: real bytes, really copied. */

static int ram_open(struct machine *m)
{
	/* Guest memory is not bookkeeping: it stays out of the meter's sum. */
	struct meter guest_memory = {0};

	m->bytes = meter_alloc(&guest_memory, (size_t)m->frames * PAGE_SIZE);
	return m->bytes ? 0 : -ENOMEM;
}

static void ram_close(struct machine *m)
{
	struct meter guest_memory = {0};

	meter_free(&guest_memory, m->bytes, (size_t)m->frames * PAGE_SIZE);
	m->bytes = NULL;
}

static uint8_t *ram_bytes(const struct machine *m, mpn_t mpn)
{
	return m->bytes + (size_t)mpn.n * PAGE_SIZE;
}

static void ram_zero(struct machine *m, mpn_t mpn)
{
	memset(ram_bytes(m, mpn), 0, PAGE_SIZE);
}

static void ram_copy(struct machine *m, mpn_t to, mpn_t from)
{
	memcpy(ram_bytes(m, to), ram_bytes(m, from), PAGE_SIZE);
}

static int ram_set(struct machine *m, mpn_t mpn, uint64_t id)
{
	content_expand(id, ram_bytes(m, mpn));
	return 0;
}

static bool ram_holds(const struct machine *m, mpn_t mpn, uint64_t id)
{
	uint8_t want[PAGE_SIZE];

	content_expand(id, want);
	return memcmp(ram_bytes(m, mpn), want, PAGE_SIZE) == 0;
}

const struct backing backing_ram = {
	.policy = {"ram", "real bytes in every frame: slower, for checking contents"},
	.open = ram_open,
	.close = ram_close,
	.zero = ram_zero,
	.copy = ram_copy,
	.set = ram_set,
	.holds = ram_holds,
	.bytes = ram_bytes,
};

const struct policy *const backings[] = {&backing_ids.policy, &backing_ram.policy, NULL};
