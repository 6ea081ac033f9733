#include "experiments/datadir.h"

#include <errno.h>
#include <stdio.h>
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
