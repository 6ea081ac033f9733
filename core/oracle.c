#include "core/oracle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct oracle {
	uint64_t **id; /* [vms] -> [pages] content id */
	uint32_t *pages;
	size_t vms;
	uint64_t fresh;
};

int oracle_new(struct oracle **out)
{
	*out = calloc(1, sizeof **out);
	return *out ? 0 : -ENOMEM;
}

void oracle_free(struct oracle *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->vms; i++)
		free(o->id[i]);
	free(o->id);
	free(o->pages);
	free(o);
}

/* Room for a VM's pages, all zero at first. */
static int know(struct oracle *o, const struct vm *vm)
{
	if (vm->id >= o->vms) {
		size_t vms = vm->id + 1u;
		uint64_t **id = realloc(o->id, vms * sizeof *id);
		if (id)
			o->id = id;
		uint32_t *pages = realloc(o->pages, vms * sizeof *pages);
		if (pages)
			o->pages = pages;
		if (!id || !pages)
			return -ENOMEM;
		for (; o->vms < vms; o->vms++) {
			o->id[o->vms] = NULL;
			o->pages[o->vms] = 0;
		}
	}
	if (!o->id[vm->id]) {
		o->id[vm->id] = calloc(vm->pages, sizeof **o->id);
		o->pages[vm->id] = vm->pages;
	}
	return o->id[vm->id] ? 0 : -ENOMEM;
}

int oracle_write(struct oracle *o, const struct vm *vm, ppn_t ppn, uint64_t id)
{
	int rc = know(o, vm);

	if (rc == 0)
		o->id[vm->id][ppn.n] = id;
	return rc;
}

int oracle_copy(struct oracle *o, const struct vm *vm, ppn_t to, ppn_t from)
{
	int rc = know(o, vm);

	if (rc == 0)
		o->id[vm->id][to.n] = o->id[vm->id][from.n];
	return rc;
}

uint64_t oracle_fresh_id(struct oracle *o)
{
	return ++o->fresh;
}

int64_t oracle_check(const struct oracle *o, struct vm *vm, oracle_read_fn *read, FILE *out,
		     struct err *err)
{
	const struct machine *m = &vm->host->machine;
	int64_t wrong = 0;

	for (uint32_t i = 0; i < vm->pages; i++) {
		uint64_t id = vm->id < o->vms && o->id[vm->id] ? o->id[vm->id][i] : 0;
		mpn_t mpn;
		int rc = read(vm, (ppn_t){i}, &mpn, err);
		if (rc)
			return rc;
		if (m->backing->holds(m, mpn, id))
			continue;
		fprintf(out, "oracle: vm %s page %u does not read as id %llu\n", vm->name, i,
			(unsigned long long)id);
		wrong++;
	}
	return wrong;
}

int oracle_check_all(const struct oracle *o, const struct host *host, oracle_read_fn *read,
		     struct err *err)
{
	char *text = NULL;
	size_t size = 0;
	int64_t wrong = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return err_run(err, ENOMEM, "no memory for the content oracle");
	for (size_t i = 0; i < host->vms && wrong >= 0; i++) {
		if (vm_gone(host->vm[i]))
			continue;
		int64_t found = oracle_check(o, host->vm[i], read, out, err);
		wrong = found < 0 ? found : wrong + found;
	}
	fclose(out);
	if (wrong > 0) {
		text[strcspn(text, "\n")] = '\0';
		err_run(err, EUCLEAN, "%lld pages read wrong, the first: %s", (long long)wrong,
			text);
	}
	free(text);
	return wrong < 0 ? (int)wrong : wrong ? -EUCLEAN : 0;
}
