#include "experiments/live_variant.h"

#include "experiments/expect.h"
#include "experiments/plot.h"
#include "experiments/watch.h"

#include <stdio.h>

int live_variant_plot(const char *id, const char *dir, json_t *told, struct err *err)
{
	char name[64], script[80];

	snprintf(name, sizeof name, "%s-live", id);
	snprintf(script, sizeof script, "%s/live.gp", id);
	return plot_figure(script, name, dir, told, err);
}

int live_variant_tell(const char *id, json_t *told, struct err *err)
{
	char name[64], base[80];

	snprintf(name, sizeof name, "%s-live.job", id);
	snprintf(base, sizeof base, "%s/live.job", id);
	tell_note(
		told, NOTE_PREDICTED,
		"Every value is measured live, on real Linux guests in QEMU, in this run: another "
		"run gives others, and so does a machine that is busy with something else.");
	return watch_tell_job(told, name, base, "", err);
}
