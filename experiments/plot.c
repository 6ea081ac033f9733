#include "experiments/plot.h"

#include "experiments/datadir.h"
#include "experiments/outdir.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int plot_script(const char *script, const char *dir, const char *name, struct err *err)
{
	char path[PATH_MAX], file[128], buf[4096];
	struct draft *draft;
	size_t n;

	int rc = data_path(script, path, err);
	if (rc)
		return rc;
	FILE *in = fopen(path, "re");
	if (!in)
		return err_run(err, errno, "%s: %s", path, strerror(errno));
	snprintf(file, sizeof file, "%s.gp", name);
	rc = outdir_open(dir, file, &draft, err);
	if (rc == 0) {
		while ((n = fread(buf, 1, sizeof buf, in)) > 0)
			fwrite(buf, 1, n, draft_stream(draft));
		rc = draft_commit(draft, err);
	}
	fclose(in);
	return rc;
}

/* Starts gnuplot in dir with its output in the draft; *complaints is its standard error. */
static int start(const char *dir, const char *name, const char *format, struct draft *draft,
		 pid_t *pid, int *complaints)
{
	char set[32], script[128];
	char gnuplot[] = "gnuplot", defaults[] = "--default-settings", e[] = "-e";
	char *argv[] = {gnuplot, defaults, e, set, script, NULL};
	posix_spawn_file_actions_t actions;
	int ends[2];

	snprintf(set, sizeof set, "format='%s'", format);
	snprintf(script, sizeof script, "%s.gp", name);
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	int rc = posix_spawn_file_actions_init(&actions);
	if (rc == 0) {
		rc = posix_spawn_file_actions_addchdir_np(&actions, dir);
		if (rc == 0)
			rc = posix_spawn_file_actions_adddup2(&actions, fileno(draft_stream(draft)),
							      STDOUT_FILENO);
		if (rc == 0)
			rc = posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
		if (rc == 0)
			rc = posix_spawnp(pid, gnuplot, &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[1]);
	if (rc)
		close(ends[0]);
	else
		*complaints = ends[0];
	return -rc;
}

/* Keeps the last line that is not blank: there gnuplot says what was wrong. */
static void read_complaints(int fd, char *last, size_t size)
{
	FILE *in = fdopen(fd, "r");
	char line[512];

	last[0] = '\0';
	if (!in) {
		close(fd);
		return;
	}
	while (fgets(line, sizeof line, in)) {
		char *text = line + strspn(line, " \t^");
		text[strcspn(text, "\n")] = '\0';
		if (*text)
			snprintf(last, size, "%s", text);
	}
	fclose(in);
}

static int run_gnuplot(const char *dir, const char *name, const char *format, struct draft *draft,
		       struct err *err)
{
	char last[400];
	int status, complaints = -1;
	pid_t pid = 0;

	int rc = start(dir, name, format, draft, &pid, &complaints);
	if (rc == -ENOENT)
		return err_run(err, ENOENT,
			       "gnuplot is not installed: apt-get install gnuplot-nox draws the "
			       "figures of %s/%s.csv",
			       dir, name);
	if (rc)
		return err_run(err, -rc, "cannot start gnuplot: %s", strerror(-rc));
	read_complaints(complaints, last, sizeof last);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_run(err, errno, "waiting for gnuplot: %s", strerror(errno));
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_run(err, EIO, "gnuplot failed on %s/%s.gp: %s", dir, name,
			       *last ? last : "it does not say why");
	return 0;
}

int plot_draw(const char *dir, const char *name, const char *format, struct err *err)
{
	struct draft *draft;
	char file[128];

	snprintf(file, sizeof file, "%s.%s", name, format);
	int rc = outdir_open(dir, file, &draft, err);
	if (rc)
		return rc;
	rc = run_gnuplot(dir, name, format, draft, err);
	if (rc) {
		draft_abort(draft);
		return rc;
	}
	return draft_commit(draft, err);
}

int plot_figure(const char *script, const char *id, const char *dir, json_t *told, struct err *err)
{
	static const char *const suffixes[] = {"csv", "gp", "svg", "png"};
	char file[128];
	json_t *files = json_array();

	int rc = plot_script(script, dir, id, err);
	if (rc == 0)
		rc = plot_draw(dir, id, "svg", err);
	if (rc == 0)
		rc = plot_draw(dir, id, "png", err);
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		snprintf(file, sizeof file, "%s.%s", id, suffixes[i]);
		json_array_append_new(files, json_string(file));
	}
	json_object_set_new(told, "files", files);
	return rc;
}

int plot_experiment(const char *id, const char *dir, json_t *told, struct err *err)
{
	char script[128];

	snprintf(script, sizeof script, "%s/plot.gp", id);
	return plot_figure(script, id, dir, told, err);
}
