#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Distinct pages are bits in regions of 32,768 pages, each 4 KiB and made when
 * touched; a small hash table finds the region of (VM, address space, number),
 * and the last one found answers most lookups. A hostile trace can make one
 * region a record, so their number is bounded.
 */
#define REGION_SHIFT 15
#define REGIONS_MAX  (1u << 18) /* 1 GiB of bits: honest traces touch a few dozen */

struct region {
	uint64_t number, space; /* the key, with vm; bits NULL: the slot is free */
	uint32_t vm;
	uint64_t *bits;
};

struct counter {
	struct region *table; /* open addressing, never more than half full */
	size_t slots, regions;
	struct region *last;
	uint32_t vm;
	uint64_t space[VMS_MAX]; /* each VM is in one of its own */
	uint64_t records, words, writes, pages, highest;
	uint32_t vms;
};

static size_t region_slot(const struct region *table, size_t slots, uint32_t vm, uint64_t space,
			  uint64_t number)
{
	uint64_t h = (number * 0x9e3779b97f4a7c15u) ^ (space * 0xbf58476d1ce4e5b9u) ^
		     (vm * 0x94d049bb133111ebu);
	size_t i = (h ^ h >> 32) & (slots - 1);

	while (table[i].bits &&
	       (table[i].number != number || table[i].space != space || table[i].vm != vm))
		i = (i + 1) & (slots - 1);
	return i;
}

static int grow(struct counter *c)
{
	size_t slots = c->slots ? 2 * c->slots : 64;
	struct region *table = calloc(slots, sizeof *table);

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < c->slots; i++) {
		struct region *r = &c->table[i];

		if (r->bits)
			table[region_slot(table, slots, r->vm, r->space, r->number)] = *r;
	}
	free(c->table);
	c->table = table;
	c->slots = slots;
	c->last = NULL;
	return 0;
}

/* Makes c->last the region of that number; -ENOMEM, or -EINVAL when there are too many. */
static int find_region(struct counter *c, uint64_t number)
{
	struct region *r;

	if (2 * c->regions >= c->slots && grow(c))
		return -ENOMEM;
	r = &c->table[region_slot(c->table, c->slots, c->vm, c->space[c->vm], number)];
	if (!r->bits) {
		if (c->regions == REGIONS_MAX)
			return -EINVAL;
		r->bits = calloc(1, (1u << REGION_SHIFT) / 8);
		if (!r->bits)
			return -ENOMEM;
		*r = (struct region){number, c->space[c->vm], c->vm, r->bits};
		c->regions++;
	}
	c->last = r;
	return 0;
}

static int touch(struct counter *c, uint64_t page)
{
	uint64_t number = page >> REGION_SHIFT, bit = UINT64_C(1) << page % 64, *word;

	if (!c->last || c->last->number != number) {
		int rc = find_region(c, number);
		if (rc)
			return rc;
	}
	word = &c->last->bits[page % (1u << REGION_SHIFT) / 64];
	c->pages += !(*word & bit);
	*word |= bit;
	c->highest = max_u64(c->highest, page);
	return 0;
}

int counter_new(struct counter **counter)
{
	struct counter *c = calloc(1, sizeof *c);

	if (!c || grow(c)) {
		free(c);
		return -ENOMEM;
	}
	c->vms = 1;
	*counter = c;
	return 0;
}

void counter_free(struct counter *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->slots; i++)
		free(c->table[i].bits);
	free(c->table);
	free(c);
}

/* Kinds other than read and write; 0, -ENOMEM, -EINVAL: regions, -ERANGE: a number too large. */
static int count_special(struct counter *c, rec_t r, uint64_t operand)
{
	uint64_t page = rec_page(r);

	switch (rec_kind(r)) {
	case REC_SWITCH:
		c->space[c->vm] = page;
		c->last = NULL;
		return 0;
	case REC_VM:
		if (page >= VMS_MAX)
			return -ERANGE;
		c->vm = (uint32_t)page;
		c->vms = (uint32_t)max_u64(c->vms, page + 1);
		c->last = NULL;
		return 0;
	case REC_PROTECT:
		operand /= 2;
		/* fall through */
	case REC_MAP:
	case REC_UNMAP:
		if (operand > REC_PAGE_MAX + 1 - page)
			return -ERANGE;
		if (operand)
			c->highest = max_u64(c->highest, page + operand - 1);
		return 0;
	case REC_WRITE_ID:
		c->writes++;
		return touch(c, page);
	case REC_DMA:
		return touch(c, page);
	default:
		return kind_valid(rec_kind(r)) ? 0 : -ERANGE;
	}
}

int counter_add(struct counter *c, const rec_t *batch, size_t words, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < words && !rc; i++) {
		rec_t r = batch[i];

		c->records++;
		if (rec_kind(r) <= REC_WRITE) {
			c->writes += rec_kind(r);
			rc = touch(c, rec_page(r));
		} else {
			rc = count_special(c, r, rec_is_wide(r) ? batch[i + 1] : 0);
			i += rec_is_wide(r);
		}
	}
	c->words += words;
	if (rc == -ENOMEM)
		return err_run(err, ENOMEM, "out of memory for the counts");
	if (rc == -EINVAL)
		return err_input(err,
				 "record %llu: pages lie in over %u regions of 128 MiB: "
				 "number them densely (import --renumber)",
				 (unsigned long long)c->records, REGIONS_MAX);
	if (rc)
		return err_input(err,
				 "record %llu: a VM, a range of pages or a kind of record is out "
				 "of range",
				 (unsigned long long)c->records);
	return 0;
}

void counter_result(const struct counter *c, struct trace_info *info, uint64_t *words)
{
	info->counted = true;
	info->records = c->records;
	info->writes = c->writes;
	info->pages = c->pages;
	info->highest_page = c->highest;
	info->vms = (uint32_t)max_u64(info->vms, c->vms);
	if (words)
		*words = c->words;
}

int source_count(struct source *source, struct trace_info *info, progress_fn *progress, void *arg,
		 struct err *err)
{
	const rec_t *batch;
	struct counter *counter;
	unsigned batches = 0;
	ssize_t n = 0;
	int rc = counter_new(&counter);

	if (rc)
		return err_run(err, -rc, "out of memory");
	while (!rc && (n = source_next(source, &batch, err)) > 0) {
		rc = counter_add(counter, batch, (size_t)n, err);
		if (rc)
			err_prefix(err, "%s", source->name);
		if (progress && ++batches % 64 == 0) {
			struct source_progress p = source_progress(source);
			progress(arg, p.done, p.total);
		}
	}
	if (n < 0)
		rc = (int)n;
	if (!rc) {
		*info = source->info;
		counter_result(counter, info, NULL);
	}
	counter_free(counter);
	return rc;
}
