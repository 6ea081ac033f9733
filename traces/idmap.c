#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>

struct pair {
	uint64_t key, value; /* the key plus one; 0: the slot is free */
};

struct idmap {
	struct pair *slot; /* open addressing, never more than half full */
	size_t slots;
	uint64_t used;
	struct pair odd; /* the key UINT64_MAX, whose plus one is 0 */
	bool has_odd;
};

#define SLOTS_MIN 1024

static struct pair *probe(struct pair *slot, size_t slots, uint64_t key)
{
	uint64_t h = key * 0x9e3779b97f4a7c15u;
	size_t i = (h ^ h >> 32) & (slots - 1);

	while (slot[i].key && slot[i].key != key + 1)
		i = (i + 1) & (slots - 1);
	return &slot[i];
}

int idmap_new(struct idmap **map)
{
	struct idmap *m = calloc(1, sizeof *m);

	if (m)
		m->slot = calloc(SLOTS_MIN, sizeof *m->slot);
	if (!m || !m->slot) {
		free(m);
		return -ENOMEM;
	}
	m->slots = SLOTS_MIN;
	*map = m;
	return 0;
}

void idmap_free(struct idmap *m)
{
	if (!m)
		return;
	free(m->slot);
	free(m);
}

uint64_t idmap_size(const struct idmap *m)
{
	return m->used + m->has_odd;
}

uint64_t *idmap_find(const struct idmap *m, uint64_t key)
{
	struct pair *p;

	if (key == UINT64_MAX)
		return m->has_odd ? (uint64_t *)&m->odd.value : NULL;
	p = probe(m->slot, m->slots, key);
	return p->key ? &p->value : NULL;
}

static int grow(struct idmap *m)
{
	struct pair *bigger = calloc(2 * m->slots, sizeof *bigger);

	if (!bigger)
		return -ENOMEM;
	for (size_t i = 0; i < m->slots; i++) {
		if (m->slot[i].key)
			*probe(bigger, 2 * m->slots, m->slot[i].key - 1) = m->slot[i];
	}
	free(m->slot);
	m->slot = bigger;
	m->slots *= 2;
	return 0;
}

int idmap_add(struct idmap *m, uint64_t key, uint64_t value)
{
	if (key == UINT64_MAX) {
		m->odd.value = value;
		m->has_odd = true;
		return 0;
	}
	if (2 * (m->used + 1) > m->slots && grow(m))
		return -ENOMEM;
	*probe(m->slot, m->slots, key) = (struct pair){key + 1, value};
	m->used++;
	return 0;
}
