/* The self-check: shared frames, their counts and the table, recounted from the pmaps. */
#include "sharing/private.h"

#include <stdlib.h>

/* What the pmaps say of a frame. */
struct seen {
	uint64_t refs;
	uint32_t group; /* of the page that was seen first */
};

struct audit {
	const struct sharing *s;
	struct seen *seen; /* [frames] */
	FILE *out;
	size_t bad;
};

/* Every PPN that maps a shared frame, and that a frame's pages are of one group. */
static void count_vm(struct audit *a, const struct share_vm *v)
{
	const struct pmap *pmap = v->vm->pmap;
	const struct machine *m = &a->s->host->machine;
	uint64_t zero = 0;

	for (uint32_t i = 0; i < pmap->pages; i++) {
		pte_t e = pmap->pte[i];
		if (pte_state(e) != PAGE_SHARED || pte_value(e) >= m->frames)
			continue;
		struct seen *seen = &a->seen[pte_value(e)];
		zero += pte_value(e) == a->s->group[v->group].zero.n;
		if (seen->refs++ == 0)
			seen->group = v->group;
		if (seen->group == v->group)
			continue;
		fprintf(a->out, "sharing: frame %u is shared across groups, by vm %s page %u\n",
			pte_value(e), v->vm->name, i);
		a->bad++;
	}
	if (zero != v->stats.zero) {
		fprintf(a->out, "sharing: vm %s says %llu zero pages, %llu counted\n", v->vm->name,
			(unsigned long long)v->stats.zero, (unsigned long long)zero);
		a->bad++;
	}
}

/* Whether the table, or a zero frame, or the policy's own index knows the frame. */
static bool listed(const struct audit *a, uint32_t mpn)
{
	const struct sharing *s = a->s;
	uint32_t index = s->host->machine.frame[mpn].ppn;

	if (s->group[a->seen[mpn].group].zero.n == mpn)
		return index == 0;
	if (index == 0)
		return s->scan->look;
	if (index >= s->table.end)
		return false;
	const struct hash_frame *e = table_entry(&s->table, index);
	return entry_shared(e) && e->place == mpn && entry_owner(e) == a->seen[mpn].group;
}

static void check_frame(struct audit *a, uint32_t mpn, uint64_t *saved, uint32_t *many)
{
	uint64_t said = refs_get(a->s, (mpn_t){mpn}), counted = a->seen[mpn].refs;

	if (said != counted) {
		fprintf(a->out, "sharing: frame %u says %llu references, %llu pages map it\n", mpn,
			(unsigned long long)said, (unsigned long long)counted);
		a->bad++;
	}
	if (counted && !listed(a, mpn)) {
		fprintf(a->out, "sharing: shared frame %u is in no index\n", mpn);
		a->bad++;
	}
	*saved += counted - 1;
	*many += counted >= FRAME_MANY;
}

static void check_entry(struct audit *a, uint32_t index)
{
	const struct sharing *s = a->s;
	const struct hash_frame *e = table_entry(&s->table, index);
	const struct machine *m = &s->host->machine;
	uint32_t owner = entry_owner(e);

	if (owner == OWNER_FREE)
		return;
	if (entry_shared(e) ? e->place < m->frames && m->frame[e->place].vm == FRAME_SHARED &&
				      m->frame[e->place].ppn == index
			    : owner < s->vms && e->place < s->vm[owner]->vm->pages)
		return;
	fprintf(a->out, "sharing: table frame %u, %s %u of %u, stands for nothing\n", index,
		entry_shared(e) ? "shared" : "hint", e->place, owner);
	a->bad++;
}

static void expect(struct audit *a, const char *what, uint64_t said, uint64_t counted)
{
	if (said == counted)
		return;
	fprintf(a->out, "sharing: says %llu %s, %llu counted\n", (unsigned long long)said, what,
		(unsigned long long)counted);
	a->bad++;
}

size_t sharing_audit(void *ctx, FILE *out)
{
	const struct sharing *s = ctx;
	const struct machine *m = &s->host->machine;
	struct audit a = {s, calloc(m->frames, sizeof *a.seen), out, 0};
	uint64_t saved = 0;
	uint32_t many = 0;

	if (!a.seen) {
		fprintf(out, "sharing: no memory to audit %u frames\n", m->frames);
		return 1;
	}
	for (size_t i = 0; i < s->vms; i++)
		count_vm(&a, s->vm[i]);
	for (uint32_t i = 0; i < m->frames; i++) {
		if (m->frame[i].vm == FRAME_SHARED && m->frame[i].refs)
			check_frame(&a, i, &saved, &many);
	}
	for (uint32_t i = 1; i < s->table.end; i++)
		check_entry(&a, i);
	expect(&a, "frames saved", s->stats.saved, saved);
	expect(&a, "frames saved by merges less breaks",
	       s->stats.merged - s->stats.copied - s->stats.dropped, saved);
	expect(&a, "counts beyond 16 bits", s->overflow.n, many);
	free(a.seen);
	return a.bad + table_audit(&s->table, out);
}
