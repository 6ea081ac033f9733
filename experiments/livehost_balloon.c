#include "experiments/livehost_balloon.h"

#include "balloon/balloon.h"
#include "live/channel.h"

#include <errno.h>
#include <string.h>

int live_balloon_add(struct live_vm *v, struct balloon *balloon, const json_t *request,
		     struct err *err)
{
	const char *kind = json_string_value(json_object_get(request, "balloon"));
	json_int_t first = json_integer_value(json_object_get(request, "hole"));
	json_int_t pages = json_integer_value(json_object_get(request, "hole_pages"));

	if (kind && strcmp(kind, "qemu") != 0 && strcmp(kind, "process") != 0 &&
	    strcmp(kind, "off") != 0)
		return err_input(err, "vm %s: balloon is \"qemu\", \"process\" or \"off\"",
				 v->vm->name);
	if (first < 0 || pages < 0 || first > INT32_MAX || pages > INT32_MAX)
		return err_input(err, "vm %s: hole and hole_pages are page numbers below 2^31",
				 v->vm->name);
	if (!balloon)
		return 0;
	if (!kind || strcmp(kind, "off") == 0) {
		balloon_cap(balloon, v->vm, 0);
		return 0;
	}
	int rc = channel_open(v, strcmp(kind, "qemu") == 0 ? CHANNEL_QEMU : CHANNEL_PROCESS, err);
	if (rc == 0)
		channel_hole(v, (uint32_t)first, (uint32_t)pages);
	return rc;
}

int live_balloon_set(struct live_vm *v, const json_t *request, struct err *err)
{
	const json_t *size = json_object_get(request, "balloon");
	const char *word = json_string_value(size);
	json_int_t pages = json_integer_value(size);

	if (!size)
		return 0;
	if (word ? strcmp(word, "policy") != 0
		 : !json_is_integer(size) || pages < 0 || pages > v->vm->pages)
		return err_input(
			err,
			"vm %s: balloon is 0 to its %u pages, or \"policy\": as the host's "
			"reclaim loop would have it",
			v->vm->name, v->vm->pages);
	if (!v->channel)
		return err_run(err, ENODEV,
			       "vm %s has no balloon: the host needs host.reclaimers = balloon, "
			       "swap, and the guest 'vm start --balloon on'",
			       v->vm->name);
	channel_ask(v, word ? BALLOON_BY_POLICY : (uint32_t)pages);
	return 0;
}

const char *live_balloon_state(const struct live_vm *v, struct balloon *balloon)
{
	return v->channel ? balloon_driver(balloon, v->vm) : "off";
}
