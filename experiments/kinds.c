#include "experiments/kinds.h"

const struct opt_section *const job_sections[] = {
	/* One line per section of a job file, in the order of its appearance. */
	NULL,
};

const struct kind kinds[] = {
	/* One line per kind of policy. */
	{NULL},
};
