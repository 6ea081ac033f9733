/* The swap area: slots, their file and their checksums. */
#include "swap/private.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#define CLUSTER 64

static size_t words_of(uint32_t bits)
{
	return ((size_t)bits + 63) / 64;
}

static bool bit_get(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

static void bit_put(uint64_t *map, uint32_t i, bool on)
{
	map[i / 64] = (map[i / 64] & ~(UINT64_C(1) << (i % 64))) | (uint64_t)on << (i % 64);
}

/* The first clear bit at or after `from`, around the end; n if all are set. */
static uint32_t find_clear(const uint64_t *map, uint32_t n, uint32_t from)
{
	size_t words = words_of(n), at = from / 64;

	for (size_t i = 0; i <= words; i++, at = at + 1 == words ? 0 : at + 1) {
		uint64_t open = ~map[at];
		if (i == 0)
			open &= UINT64_MAX << (from % 64);
		if (open && at * 64 + (unsigned)__builtin_ctzll(open) < n)
			return (uint32_t)(at * 64 + (unsigned)__builtin_ctzll(open));
	}
	return n;
}

int area_init(struct area *area, struct meter *meter, uint32_t slots, const char *dir,
	      const struct os_io *io, struct err *err)
{
	*area = (struct area){
		.slots = slots,
		.clusters = (uint32_t)words_of(slots),
		.empty = (uint32_t)words_of(slots),
		.fd = -1,
		.io = io,
		.meter = meter,
	};
	area->map = meter_alloc(meter, area->clusters * sizeof *area->map);
	area->occupied = meter_alloc(meter, words_of(area->clusters) * sizeof(uint64_t));
	area->full = meter_alloc(meter, words_of(area->clusters) * sizeof(uint64_t));
	if (dir)
		area->sum = meter_alloc(meter, slots * sizeof *area->sum);
	if (!area->map || !area->occupied || !area->full || (dir && !area->sum)) {
		area_fini(area);
		return err_run(err, ENOMEM, "no memory for a swap area of %u slots", slots);
	}
	if (slots % CLUSTER) { /* the last cluster's missing slots are taken for ever */
		area->map[slots / CLUSTER] = UINT64_MAX << (slots % CLUSTER);
		bit_put(area->occupied, slots / CLUSTER, true);
		area->empty--;
	}
	if (dir) {
		area->fd = os_temp_file(dir);
		if (area->fd < 0) {
			int rc = -area->fd;
			area_fini(area);
			return err_run(err, rc, "%s: no swap file there: %s; set swap.dir", dir,
				       strerror(rc));
		}
	}
	return 0;
}

void area_fini(struct area *area)
{
	os_close(area->fd);
	meter_free(area->meter, area->map, area->clusters * sizeof *area->map);
	meter_free(area->meter, area->occupied, words_of(area->clusters) * sizeof(uint64_t));
	meter_free(area->meter, area->full, words_of(area->clusters) * sizeof(uint64_t));
	if (!area->kept)
		meter_free(area->meter, area->sum, area->slots * sizeof *area->sum);
	meter_free(area->meter, area->ids, area->slots * sizeof *area->ids);
}

void area_keep(struct area *area, int fd, uint64_t *sums)
{
	if (!area->kept)
		meter_free(area->meter, area->sum, area->slots * sizeof *area->sum);
	area->sum = sums;
	area->kept = true;
	if (fd >= 0) {
		os_close(area->fd);
		area->fd = fd;
	}
}

bool area_taken(const struct area *area, uint32_t slot)
{
	return bit_get(area->map, slot);
}

/* Chooses the next cluster to fill: a wholly free one, else any with room. */
static bool next_cluster(struct area *area)
{
	uint32_t c = area->clusters;

	if (area->empty)
		c = find_clear(area->occupied, area->clusters, area->cluster);
	if (c == area->clusters)
		c = find_clear(area->full, area->clusters, area->cluster);
	if (c == area->clusters)
		return false;
	area->cluster = c;
	return true;
}

uint32_t area_take_elsewhere(struct area *area)
{
	if (area->taken == area->slots)
		return SLOT_NONE;
	if (area->map[area->cluster] == UINT64_MAX && !next_cluster(area))
		return SLOT_NONE;
	uint64_t *word = &area->map[area->cluster];
	unsigned bit = (unsigned)__builtin_ctzll(~*word);
	if (*word == 0) {
		bit_put(area->occupied, area->cluster, true);
		area->empty--;
	}
	*word |= UINT64_C(1) << bit;
	bit_put(area->full, area->cluster, *word == UINT64_MAX);
	area->taken++;
	return area->cluster * CLUSTER + bit;
}

bool area_claim(struct area *area, uint32_t slot)
{
	uint32_t c = slot / CLUSTER;

	if (slot >= area->slots || area_taken(area, slot))
		return false;
	if (area->map[c] == 0) {
		bit_put(area->occupied, c, true);
		area->empty--;
	}
	bit_put(area->map, slot, true);
	bit_put(area->full, c, area->map[c] == UINT64_MAX);
	area->taken++;
	return true;
}

void area_put(struct area *area, uint32_t slot)
{
	uint32_t c = slot / CLUSTER;

	if (area->map[c] == UINT64_MAX)
		bit_put(area->full, c, false);
	bit_put(area->map, slot, false);
	if (area->map[c] == 0) {
		bit_put(area->occupied, c, false);
		area->empty++;
	}
	area->taken--;
}

static int store_id(struct area *area, uint32_t slot, uint64_t id, struct err *err)
{
	if (!area->ids && id == 0)
		return 0;
	if (!area->ids)
		area->ids = meter_alloc(area->meter, area->slots * sizeof *area->ids);
	if (!area->ids)
		return err_run(err, ENOMEM, "no memory for the swap area's content ids");
	area->ids[slot] = id;
	return 0;
}

int area_write(const struct area *area, uint32_t slot, uint32_t n, const uint8_t *bytes)
{
	return os_write_at(area->io, area->fd, bytes, (size_t)n * PAGE_SIZE,
			   (uint64_t)slot * PAGE_SIZE);
}

void area_seal(const struct area *area, uint32_t slot, uint32_t n, const uint8_t *bytes)
{
	for (uint32_t i = 0; i < n; i++)
		area->sum[slot + i] = XXH64(bytes + (size_t)i * PAGE_SIZE, PAGE_SIZE, slot + i);
}

int area_store(struct area *area, uint32_t slot, const struct machine *m, mpn_t mpn,
	       struct err *err)
{
	if (area->fd < 0)
		return store_id(area, slot, m->ids ? m->ids[mpn.n] : 0, err);
	const uint8_t *page = m->backing->bytes(m, mpn);
	int rc = os_write_at(area->io, area->fd, page, PAGE_SIZE, (uint64_t)slot * PAGE_SIZE);
	if (rc)
		return err_run(err, -rc, "swap slot %u cannot be written: %s", slot, strerror(-rc));
	area->sum[slot] = XXH64(page, PAGE_SIZE, slot);
	return 0;
}

/* A slot's bytes, as they were written. */
static int read_slot(const struct area *area, uint32_t slot, uint8_t *page, struct err *err)
{
	int rc = os_read_at(area->io, area->fd, page, PAGE_SIZE, (uint64_t)slot * PAGE_SIZE);

	if (rc)
		return err_run(err, -rc, "swap slot %u cannot be read: %s", slot, strerror(-rc));
	uint64_t sum = XXH64(page, PAGE_SIZE, slot);
	if (sum != area->sum[slot])
		return err_run(err, EIO,
			       "swap slot %u is damaged: checksum %016llx, written %016llx", slot,
			       (unsigned long long)sum, (unsigned long long)area->sum[slot]);
	return 0;
}

int area_peek(const struct area *area, uint32_t slot, uint8_t *page, struct err *err)
{
	return area_taken(area, slot) ? read_slot(area, slot, page, err)
				      : err_run(err, ENOENT, "swap slot %u is free", slot);
}

int area_load(struct area *area, uint32_t slot, struct machine *m, mpn_t mpn, struct err *err)
{
	if (area->fd < 0) {
		int rc = m->backing->set(m, mpn, area->ids ? area->ids[slot] : 0);
		return rc ? err_run(err, -rc, "no memory for page contents") : 0;
	}
	return read_slot(area, slot, m->backing->bytes(m, mpn), err);
}
