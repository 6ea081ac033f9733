/*
 * What a machine has of the guest's balloon module: kernels with their headers,
 * modules built and installed, the one that is loaded. Read from the file
 * system alone (/lib/modules, /sys), below a root that is a guest's or "".
 * Nothing here changes anything.
 */
#ifndef BALLAST_EXPERIMENTS_MODULE_STATE_H
#define BALLAST_EXPERIMENTS_MODULE_STATE_H

#include "core/err.h"

#include <jansson.h>
#include <limits.h>

#define MODULE_NAME    "ballast_balloon"
#define MODULE_RELEASE 65 /* bytes of a kernel's release with its 0 (uname(2)) */

/* Letters, digits and "._+~-", not ".": one name in /lib/modules, whatever comes from outside. */
bool module_release_ok(const char *release);

MUST_CHECK int module_running(char release[MODULE_RELEASE], struct err *err);

/* Whether a module can be built for it. */
bool module_headers(const char *root, const char *release);

/* Kernels of this machine that have headers, with commas between; "" none. */
void module_list_headers(char *list, size_t size);

/* Whether it is among the kernel's modules, packed or not, and where. */
bool module_installed(const char *root, const char *release, char path[PATH_MAX]);

/*
 * {"kernels": [{"release", "running", "headers", "built": path or null,
 *  "installed": path or null}], "loaded": null or {"version", "parameters":
 *  {NAME: text}, "devices": [{"address", and a text for each attribute}]}}
 * running only where root is ""; built: here, for a guest, too. *status is the caller's.
 */
MUST_CHECK int module_status(const char *root, json_t **status, struct err *err);

#endif
