#include "experiments/provenance.h"

#include "experiments/sections.h"

#include "core/host.h"
#include "core/os.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <xxhash.h>

int provenance_hash(const char *path, char hex[17], struct err *err)
{
	void *map;
	size_t size;
	int rc = os_map_file(path, &map, &size);

	if (rc)
		return err_run(err, -rc, "%s: cannot be read for its hash: %s", path,
			       strerror(-rc));
	snprintf(hex, 17, "%016llx", (unsigned long long)XXH3_64bits(map ? map : "", size));
	if (map)
		os_unmap(map, size);
	return 0;
}

static json_t *traces_json(const struct job *job, struct err *err)
{
	json_t *traces = json_object();

	for (size_t i = 0; i < job_count(job, &vm_section); i++) {
		const struct vm_opts *opts = job_titled(job, &vm_section, i);
		char hex[17];
		if (!opts->trace || trace_reads_once(opts->trace))
			continue;
		if (provenance_hash(opts->trace, hex, err)) {
			json_decref(traces);
			return NULL;
		}
		json_object_set_new(
			traces, job_title(job, &vm_section, i),
			json_pack("{s:o, s:s}", "file", json_words(opts->trace), "xxh3", hex));
	}
	return traces;
}

/* The processor's own name for itself. */
static void cpu_name(char *name, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];

	snprintf(name, size, "unknown");
	if (!f)
		return;
	while (fgets(line, sizeof line, f)) {
		char *value = strchr(line, ':');
		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		value[strcspn(value, "\n")] = '\0';
		snprintf(name, size, "%s", value + 2);
		break;
	}
	fclose(f);
}

json_t *machine_json(void)
{
	struct utsname u;
	char cpu[256];

	cpu_name(cpu, sizeof cpu);
	if (uname(&u) != 0)
		return json_pack("{s:s}", "cpu", cpu);
	return json_pack("{s:s, s:s, s:s, s:s}", "cpu", cpu, "system", u.sysname, "release",
			 u.release, "architecture", u.machine);
}

json_t *provenance_json(const struct job *job, struct err *err)
{
	const struct host_opts *host = job_section(job, &host_section);
	json_t *traces = traces_json(job, err);

	if (!traces)
		return NULL;
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "version", BALLAST_VERSION, "build",
			 ballast_build, "seed", (json_int_t)host->seed, "job", job_json(job),
			 "traces", traces, "machine", machine_json());
}
