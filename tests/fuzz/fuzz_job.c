/* Job files: whatever the text, one line of error or a job that can be printed. */
#include "core/job.h"

#include "tests/job_tables.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	struct job *job;
	char *text = malloc(size + 1);

	if (!text || job_new(demo_sections, &job))
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	int rc = job_parse(job, text, "fuzz", &err);
	if (rc == 0) {
		json_t *json = job_json(job);
		char *dump = json_dumps(json, JSON_COMPACT);

		if (!dump)
			abort();
		free(dump);
		json_decref(json);
	} else if (err.exit_code != 2 || !err.msg[0] || strchr(err.msg, '\n')) {
		abort();
	}
	if (job_set(job, text, &err) && (err.exit_code != 2 || strchr(err.msg, '\n')))
		abort();
	job_free(job);
	free(text);
	return 0;
}
