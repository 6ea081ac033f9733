#include "experiments/datadir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder that the program lies in, or one further up. */
static int program_root(char root[PATH_MAX], int up, struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", root, PATH_MAX - 1);

	if (n < 0)
		return err_run(err, errno, "/proc/self/exe: %s; is /proc mounted?",
			       strerror(errno));
	root[n] = '\0';
	while (up-- > 0) {
		char *slash = strrchr(root, '/');
		if (slash)
			*slash = '\0';
	}
	return 0;
}

int data_path(const char *name, char path[PATH_MAX], struct err *err)
{
	static const char *const places[] = {"experiments", "share/ballast"};
	char root[PATH_MAX];

	int rc = program_root(root, 2, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(places); i++) {
		int n = snprintf(path, PATH_MAX, "%s/%s/%s", root, places[i], name);
		if (n < PATH_MAX && access(path, R_OK) == 0)
			return 0;
	}
	return rc ? rc
		  : err_run(err, ENOENT,
			    "%s is neither in %s/experiments nor in %s/share/ballast: install "
			    "ballast with 'make install', or run it where it was built",
			    name, root, root);
}

int program_path(const char *name, char path[PATH_MAX], struct err *err)
{
	static const char *const places[] = {"", "/../lib/ballast"};
	char root[PATH_MAX];

	int rc = program_root(root, 1, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(places); i++) {
		int n = snprintf(path, PATH_MAX, "%s%s/%s", root, places[i], name);
		if (n < PATH_MAX && access(path, R_OK) == 0)
			return 0;
	}
	return rc ? rc
		  : err_run(err, ENOENT,
			    "%s lies neither beside the program in %s nor in %s/../lib/ballast: "
			    "build all of ballast with 'make'",
			    name, root, root);
}

int module_sources(char path[PATH_MAX], struct err *err)
{
	static const char *const places[] = {"balloon/linux", "share/ballast/module"};
	char root[PATH_MAX], script[PATH_MAX];

	int rc = program_root(root, 2, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(places); i++) {
		int n = snprintf(path, PATH_MAX, "%s/%s", root, places[i]);
		int m = snprintf(script, PATH_MAX, "%s/%s/module.sh", root, places[i]);
		if (n < PATH_MAX && m < PATH_MAX && access(script, R_OK) == 0)
			return 0;
	}
	return rc ? rc
		  : err_run(err, ENOENT,
			    "the module's sources are neither in %s/balloon/linux nor in "
			    "%s/share/ballast/module: install ballast with 'make install'",
			    root, root);
}

int module_folder(const char *release, char path[PATH_MAX], struct err *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char root[PATH_MAX], tree[PATH_MAX];
	int n;

	int rc = program_root(root, 2, err);
	if (rc)
		return rc;
	n = snprintf(tree, sizeof tree, "%s/balloon/linux", root);
	if (n < PATH_MAX && access(tree, F_OK) == 0) {
		rc = program_root(root, 1, err);
		n = snprintf(path, PATH_MAX, "%s/module/%s", root, release);
	} else if (cache && *cache == '/') {
		n = snprintf(path, PATH_MAX, "%s/ballast/module/%s", cache, release);
	} else if (home && *home == '/') {
		n = snprintf(path, PATH_MAX, "%s/.cache/ballast/module/%s", home, release);
	} else {
		return err_run(err, ENOENT,
			       "no place for a built module: set HOME or XDG_CACHE_HOME");
	}
	return rc || n < PATH_MAX ? rc : err_run(err, ENAMETOOLONG, "%s: too long a path", release);
}
