#include "experiments/trial.h"

#include "experiments/datadir.h"
#include "experiments/kinds.h"

#include <errno.h>
#include <math.h>

int trial_job(const char *base, const char *text, struct job **out, struct err *err)
{
	char path[PATH_MAX];
	struct job *job;

	if (job_new(job_sections, &job))
		return err_run(err, ENOMEM, "no memory for a job");
	int rc = data_path(base, path, err);
	if (rc == 0)
		rc = job_load(job, path, err);
	if (rc == 0)
		rc = job_parse(job, text, "a run of an experiment", err);
	if (rc) {
		job_free(job);
		return rc;
	}
	*out = job;
	return 0;
}

int trial_run(struct job *job, struct run **out, struct err *err)
{
	struct run *run;

	int rc = run_open(job, &run, err);
	if (rc)
		return rc;
	rc = run_go(run, NULL, NULL, err);
	if (rc == 0 && run_failed(run)) {
		*err = *run_failed(run);
		rc = -EIO;
	}
	if (rc) {
		run_close(run);
		return rc;
	}
	*out = run;
	return 0;
}

double trial_stat(const struct vm *vm, const char *name)
{
	const struct stat_row *stat;
	const void *base;

	if (!stat_find(&vm->stats, name, &stat, &base))
		return NAN;
	return (double)*(const uint64_t *)base;
}
