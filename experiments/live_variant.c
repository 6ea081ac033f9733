#include "experiments/live_variant.h"

#include "experiments/expect.h"
#include "experiments/plot.h"
#include "experiments/watch.h"

#include "core/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

int live_variant_disk(int64_t bytes, int *fd, char path[LIVE_DISK_PATH], struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	const char *dir = tmp && *tmp ? tmp : "/tmp";

	*fd = os_temp_file(dir);
	int rc = *fd < 0 ? *fd : ftruncate(*fd, bytes) ? -errno : 0;
	if (rc == 0) {
		snprintf(path, LIVE_DISK_PATH, "/proc/%ld/fd/%d", (long)getpid(), *fd);
		return 0;
	}
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return err_run(err, -rc, "%s: no disk for a guest: %s", dir, strerror(-rc));
}
