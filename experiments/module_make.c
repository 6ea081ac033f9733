#include "experiments/module_make.h"

#include "experiments/datadir.h"
#include "experiments/module_state.h"
#include "experiments/spawn.h"
#include "live/qemu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int module_script(const char *verb, const char *release, const char *to, struct err *err)
{
	char sources[PATH_MAX], script[PATH_MAX + 16];
	char *out = NULL;

	int rc = module_sources(sources, err);
	if (rc)
		return rc;
	snprintf(script, sizeof script, "%s/module.sh", sources);
	rc = spawn_read((const char *const[]){script, verb, release, to, NULL}, &out, err);
	free(out);
	return rc;
}

int module_build(const char *release, char path[PATH_MAX], struct err *err)
{
	char folder[PATH_MAX];

	int rc = module_folder(release, folder, err);
	rc = rc ? rc : module_script("build", release, folder, err);
	if (rc == 0 && snprintf(path, PATH_MAX, "%s/" MODULE_NAME ".ko", folder) >= PATH_MAX)
		rc = err_run(err, ENAMETOOLONG, "%s: too long a path", folder);
	return rc;
}

int module_for_guests(struct err *err)
{
	char kernel[512], release[QEMU_RELEASE], path[PATH_MAX];
	int rc = qemu_kernel(kernel, err);

	if (rc == 0 && !qemu_release(kernel, release))
		rc = err_run(err, ENOEXEC, "%s: it does not say of what release it is", kernel);
	return rc ? rc : module_build(release, path, err);
}
