#include "experiments/module_state.h"

#include "experiments/datadir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define TEXT_MOST 200 /* of an attribute */

bool module_release_ok(const char *release)
{
	size_t n = strlen(release);

	if (n == 0 || n >= MODULE_RELEASE || !isalnum((unsigned char)release[0]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)release[i]) && !strchr("._+~-", release[i]))
			return false;
	}
	return true;
}

int module_running(char release[MODULE_RELEASE], struct err *err)
{
	struct utsname u;

	if (uname(&u))
		return err_run(err, errno, "which kernel runs? %s", strerror(errno));
	snprintf(release, MODULE_RELEASE, "%s", u.release);
	return 0;
}

bool module_headers(const char *root, const char *release)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/lib/modules/%s/build/Makefile", root, release);

	return n < (int)sizeof path && access(path, R_OK) == 0;
}

/* The kernels of a root, sorted by name; NULL-ended, or NULL. Freed by free_names(). */
static char **kernels(const char *root)
{
	char path[PATH_MAX];
	struct dirent **found = NULL;
	size_t kept = 0;

	snprintf(path, sizeof path, "%s/lib/modules", root);
	int n = scandir(path, &found, NULL, alphasort);
	char **names = calloc((size_t)(n < 0 ? 0 : n) + 1, sizeof *names);
	for (int i = 0; i < n; i++) {
		if (names && module_release_ok(found[i]->d_name))
			names[kept] = strdup(found[i]->d_name);
		kept += names && names[kept];
		free(found[i]);
	}
	free(found);
	return names;
}

static void free_names(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}

void module_list_headers(char *list, size_t size)
{
	char **names = kernels("");
	size_t used = 0;

	*list = '\0';
	for (size_t i = 0; names && names[i]; i++) {
		if (!module_headers("", names[i]) || used + strlen(names[i]) + 3 > size)
			continue;
		used += (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "",
					 names[i]);
	}
	free_names(names);
}

/* modules_install takes extra/ or updates/, by the kernel's age, DKMS updates/dkms/. */
bool module_installed(const char *root, const char *release, char path[PATH_MAX])
{
	static const char *const places[] = {"extra", "updates", "updates/dkms"};
	char pattern[PATH_MAX];
	bool there = false;

	for (size_t i = 0; !there && i < ARRAY_LEN(places); i++) {
		glob_t g;
		int n = snprintf(pattern, sizeof pattern,
				 "%s/lib/modules/%s/%s/" MODULE_NAME ".ko*", root, release,
				 places[i]);
		if (n >= (int)sizeof pattern || glob(pattern, 0, NULL, &g))
			continue;
		there = snprintf(path, PATH_MAX, "%s", g.gl_pathv[0]) < PATH_MAX;
		globfree(&g);
	}
	return there;
}

static json_t *built(const char *release)
{
	char folder[PATH_MAX], path[PATH_MAX + 32];

	if (module_folder(release, folder, NULL))
		return json_null();
	snprintf(path, sizeof path, "%s/" MODULE_NAME ".ko", folder);
	return access(path, R_OK) ? json_null() : json_string(path);
}

static json_t *kernel(const char *root, const char *release, const char *running)
{
	char where[PATH_MAX];
	bool there = module_installed(root, release, where);

	return json_pack("{s:s, s:b, s:b, s:o, s:o}", "release", release, "running",
			 !*root && strcmp(release, running) == 0, "headers",
			 module_headers(root, release), "built", built(release), "installed",
			 there ? json_string(where) : json_null());
}

static int list_kernels(const char *root, json_t *list, struct err *err)
{
	char running[MODULE_RELEASE];
	char **names = kernels(root);
	bool seen = *root;

	int rc = names ? module_running(running, err) : err_run(err, ENOMEM, "no memory for names");
	for (size_t i = 0; rc == 0 && names[i]; i++) {
		seen |= strcmp(names[i], running) == 0;
		json_array_append_new(list, kernel(root, names[i], running));
	}
	if (rc == 0 && !seen)
		json_array_append_new(list, kernel(root, running, running));
	free_names(names);
	return rc;
}

/* A file's first line as text, under its name; what cannot be read is left out. */
static void add_text(json_t *o, const char *path, const char *name)
{
	char text[TEXT_MOST] = "";
	FILE *in = fopen(path, "r");

	if (!in)
		return;
	if (fgets(text, sizeof text, in)) {
		text[strcspn(text, "\n")] = '\0';
		json_object_set_new(o, name, json_string(text));
	}
	fclose(in);
}

/* Every file that matches, by its last name. */
static void add_texts(json_t *o, const char *pattern)
{
	glob_t g;

	if (glob(pattern, 0, NULL, &g))
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		add_text(o, g.gl_pathv[i], strrchr(g.gl_pathv[i], '/') + 1);
	globfree(&g);
}

/* The attributes of a device that are the driver's (docs/balloon.md). */
static json_t *device(const char *folder)
{
	static const char *const own[] = {
		"talk",	  "target",	  "size",	    "cap",	  "rate",     "refusals",
		"resets", "host_refused", "oom_deflations", "migrations", "reported",
	};
	json_t *o = json_pack("{s:s}", "address", strrchr(folder, '/') + 1);
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, own[i]);
		add_text(o, path, own[i]);
	}
	snprintf(path, sizeof path, "%s/host_*", folder);
	add_texts(o, path);
	return o;
}

static json_t *devices(const char *root)
{
	json_t *list = json_array();
	char pattern[PATH_MAX];
	glob_t g;

	snprintf(pattern, sizeof pattern, "%s/sys/bus/pci/drivers/" MODULE_NAME "/*:*:*", root);
	if (glob(pattern, 0, NULL, &g))
		return list;
	for (size_t i = 0; i < g.gl_pathc; i++)
		json_array_append_new(list, device(g.gl_pathv[i]));
	globfree(&g);
	return list;
}

static json_t *loaded(const char *root)
{
	char folder[PATH_MAX - 32], path[PATH_MAX];

	if (snprintf(folder, sizeof folder, "%s/sys/module/" MODULE_NAME, root) >=
		    (int)sizeof folder ||
	    access(folder, F_OK))
		return json_null();
	json_t *o = json_pack("{s:{}, s:o}", "parameters", "devices", devices(root));
	snprintf(path, sizeof path, "%s/version", folder);
	add_text(o, path, "version");
	snprintf(path, sizeof path, "%s/parameters/*", folder);
	add_texts(json_object_get(o, "parameters"), path);
	return o;
}

int module_status(const char *root, json_t **status, struct err *err)
{
	json_t *list = json_array();
	int rc = list_kernels(root, list, err);

	if (rc) {
		json_decref(list);
		return rc;
	}
	*status = json_pack("{s:o, s:o}", "kernels", list, "loaded", loaded(root));
	return *status ? 0 : err_run(err, ENOMEM, "no memory for a status");
}
