#include "experiments/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_NONBLOCK: a pipe that nobody reads is not waited for. */
#define FLAGS (O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

int logfile_open(const char *path, int *fd, struct err *err)
{
	struct stat st;
	int rc = 0;

	*fd = open(path, FLAGS, 0600);
	if (*fd < 0 && (errno == ELOOP || errno == ENXIO || errno == EISDIR))
		return err_run(err, errno, "%s: no file: it must be one of this user's alone",
			       path);
	if (*fd < 0)
		return err_run(err, errno, "%s: %s", path, strerror(errno));
	if (fstat(*fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink > 1)
		rc = err_run(err, EPERM, "%s: it must be a file of this user's alone", path);
	else if (ftruncate(*fd, 0) || fcntl(*fd, F_SETFL, O_APPEND))
		rc = err_run(err, errno, "%s: %s", path, strerror(errno));
	if (rc) {
		close(*fd);
		*fd = -1;
	}
	return rc;
}

void logfile_last_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	char text[400];

	*line = '\0';
	while (f && fgets(text, sizeof text, f)) {
		text[strcspn(text, "\r\n")] = '\0';
		for (char *c = text; *c; c++)
			*c = *c >= ' ' && *c <= '~' ? *c : '?';
		if (*text)
			snprintf(line, size, ": %.300s", text);
	}
	if (f)
		fclose(f);
}
