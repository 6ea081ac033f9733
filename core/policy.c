#include "core/policy.h"

#include <string.h>

const struct policy *policy_find(const struct policy *const *list, const char *name)
{
	for (; *list; list++) {
		if (strcmp((*list)->name, name) == 0)
			return *list;
	}
	return NULL;
}
