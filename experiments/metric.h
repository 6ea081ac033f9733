/*
 * Metrics: which number of a summary a sweep, a comparison or a figure is about.
 *
 *   host.time_ns          a statistic of the host
 *   vm.a.faults           of one VM
 *   vm.*.faults           the sum over all VMs
 *   vm.*.faults/vm.*.refs a ratio of two of these
 *
 * The names are those of summary.json (docs/results.md), so a statistic that a
 * part adds is a metric at once.
 */
#ifndef BALLAST_EXPERIMENTS_METRIC_H
#define BALLAST_EXPERIMENTS_METRIC_H

#include "core/err.h"

#include <jansson.h>

#define METRIC_TEXT_MAX 160

struct metric {
	char text[METRIC_TEXT_MAX]; /* as the user wrote it */
};

/* Checks the form; whether there is such a statistic only a summary tells. */
MUST_CHECK int metric_parse(const char *text, struct metric *metric, struct err *err);

/*
 * Of one run's summary. -EINVAL where it has no such statistic, with the
 * nearest name in the message; a ratio over 0 is NAN.
 */
MUST_CHECK int metric_value(const struct metric *metric, const json_t *summary, double *value,
			    struct err *err);

/* The text as a part of a file name: letters, digits and '-'. */
void metric_slug(const struct metric *metric, char *buf, size_t size);

#endif
