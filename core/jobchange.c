/* Jobs that change while they run. */
#include "core/job_private.h"

#include <errno.h>
#include <stdlib.h>

/* The options that were set, as they are now. */
static int copy_part(struct job_kind *kind, struct job_part *to, const struct job_part *from,
		     struct err *err)
{
	char text[JOB_VALUE_MAX + 1];
	int rc = 0;

	for (size_t i = 0; rc == 0 && kind->section->opts[i].name; i++) {
		const struct opt *opt = &kind->section->opts[i];
		if (!from->where[i])
			continue;
		if (opt_format(opt, from->options, text, sizeof text) < 0)
			return err_input(err, "%s: %s.%s is longer than %d letters", from->where[i],
					 kind->section->name, opt->name, JOB_VALUE_MAX);
		rc = job_assign(kind, to, opt, text, from->where[i], err);
	}
	return rc;
}

int job_copy(const struct job *job, struct job **out, struct err *err)
{
	const struct opt_section **sections = calloc(job->n_kinds + 1, sizeof *sections);
	struct job *copy = NULL;
	int rc = 0;

	for (size_t i = 0; sections && i < job->n_kinds; i++)
		sections[i] = job->kinds[i].section;
	if (!sections || job_new(sections, &copy))
		rc = err_run(err, ENOMEM, "out of memory for a job");
	free(sections);
	for (size_t i = 0; rc == 0 && i < job->n_kinds; i++) {
		const struct job_kind *kind = &job->kinds[i];
		for (size_t k = 0; rc == 0 && k < kind->n; k++) {
			struct job_part *part;
			rc = job_make_part(&copy->kinds[i], kind->parts[k].title, &part, err);
			if (rc == 0)
				rc = copy_part(&copy->kinds[i], part, &kind->parts[k], err);
		}
	}
	if (rc) {
		job_free(copy);
		return rc;
	}
	*out = copy;
	return 0;
}

int job_change(struct job *job, const char *assignment, const char *where,
	       const struct opt_section **section, const char **title, struct err *err)
{
	char *path, *value;
	struct job_kind *kind;
	struct job_part *part;
	const struct opt *opt;

	int rc = job_split(assignment, &path, &value, err);
	if (rc)
		return rc;
	rc = job_find_key(job, path, &kind, &part, &opt, err);
	if (rc == 0 && !opt->live)
		rc = err_input(err,
			       "%s.%s cannot be set while a job runs; 'ballast list %s' says which "
			       "keys can",
			       kind->section->name, opt->name, kind->section->name);
	if (rc == 0)
		rc = job_assign(kind, part, opt, value, where, err);
	free(path);
	if (rc)
		return rc;
	*section = kind->section;
	*title = part->title;
	return 0;
}
