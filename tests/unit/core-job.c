#include "core/job.h"

#include "job_tables.h"
#include "test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct job *new_job(void)
{
	struct job *job;

	CU_ASSERT_EQUAL_FATAL(job_new(demo_sections, &job), 0);
	return job;
}

static struct job *parsed(const char *text)
{
	struct job *job = new_job();
	struct err err = {0};

	if (job_parse(job, text, "J", &err))
		CU_FAIL_FATAL(err.msg);
	return job;
}

static void untitled_sections_exist_at_once(void)
{
	struct job *job = new_job();
	struct demo_host *host = job_section(job, &demo_host_section);

	CU_ASSERT_PTR_NOT_NULL_FATAL(host);
	CU_ASSERT_EQUAL(host->memory, 2097152);
	CU_ASSERT_EQUAL(job_count(job, &demo_host_section), 1);
	CU_ASSERT_EQUAL(job_count(job, &demo_vm_section), 0);
	CU_ASSERT_PTR_NULL(job_title(job, &demo_vm_section, 0));
	CU_ASSERT_PTR_NULL(job_titled(job, &demo_vm_section, 0));
	CU_ASSERT_STRING_EQUAL(job_where(job, host, "memory"), "default");
	job_free(job);
	job_free(NULL);
}

static void set_overrides(void)
{
	struct job *job = parsed("host { memory = 4mb }\nvm a { }\nvm b-2 { }");
	struct demo_host *host = job_section(job, &demo_host_section);
	struct demo_vm *b = job_titled(job, &demo_vm_section, 1);

	CU_ASSERT_STRING_EQUAL(job_where(job, host, "memory"), "J:1");
	CU_ASSERT_EQUAL(job_set(job, "host.memory=8mb", NULL), 0);
	CU_ASSERT_EQUAL(host->memory, 8388608);
	CU_ASSERT_STRING_EQUAL(job_where(job, host, "memory"), "-s");
	CU_ASSERT_STRING_EQUAL(job_where(job, host, "tax"), "default");
	CU_ASSERT_EQUAL(job_set(job, " vm.b-2.memory = 64kb ", NULL), 0);
	CU_ASSERT_EQUAL(b->memory, 65536);
	/* Only the first '=' divides, and only dots before it. */
	CU_ASSERT_EQUAL(job_set(job, "vm.b-2.trace=./x=y.bt", NULL), 0);
	CU_ASSERT_STRING_EQUAL(b->trace, "./x=y.bt");
	CU_ASSERT_EQUAL(job_set(job, "vm.b-2.trace=", NULL), 0);
	CU_ASSERT_PTR_NULL(b->trace);
	CU_ASSERT_EQUAL(job_set(job, "host.reclaim=swap, balloon", NULL), 0);
	CU_ASSERT_STRING_EQUAL(host->reclaim[1], "balloon");
	job_free(job);
}

static void bad_assignments_say_the_mend(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"", "write section.key=value"},
		{"host.memory", "write section.key=value"},
		{"memory=1mb", "write section.key=value"},
		{"=1mb", "section.key=value"},
		{"hots.memory=1mb", "did you mean 'host'?"},
		{"zoo.memory=1mb", "there are: host vm"},
		{"host.memry=1mb", "did you mean 'memory'?"},
		{"host.=1mb", "host has no key ''"},
		{"host.zoo=1mb", "host has no key 'zoo'; 'ballast list host'"},
		{"host.a.memory=1mb", "host has no parts; write host.memory"},
		{"vm.memory=1mb", "say which vm: vm.NAME.memory"},
		{"vm.zoo.memory=1mb", "no vm 'zoo'; it has: a b"},
		{"vm.a.b.memory=1mb", "no vm 'a.b'; it has: a b"},
		{"vm..memory=1mb", "no vm ''; it has: a b"},
		{"vm.a.memroy=1mb", "did you mean 'memory'?"},
		{"vm.a.memory=1xb", "-s: vm.a.memory: '1xb' has no unit"},
		{"host.victim=cluck", "-s: host.victim: there is no victim 'cluck'; did you mean"},
		{".=", "there is no section ''"},
	};
	struct job *job = parsed("vm a { } vm b { }");

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		CU_ASSERT_EQUAL(job_set(job, bad[i].text, &err), -EINVAL);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		CU_ASSERT_EQUAL(strncmp(err.msg, "-s: ", 4), 0);
		if (!strstr(err.msg, bad[i].says))
			printf("  %s: %s\n", bad[i].text, err.msg);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, bad[i].says));
	}
	job_free(job);

	struct err err = {0};
	job = new_job();
	CU_ASSERT_EQUAL(job_set(job, "vm.a.memory=1mb", &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "nor any other vm"));
	job_free(job);
}

/* From a file, or from none; the assignments come last; no job is left of what failed. */
static void read_as_a_whole(void)
{
	static const char *const set[] = {"host.memory=8mb", "host.frames=7", "host.frmaes=7"};
	char path[] = "/tmp/ballast-job-XXXXXX";
	struct job *job = NULL;
	struct err err = {0};
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0 && dprintf(fd, "host { memory = 4mb tax = 0.5 }\n") > 0);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(job_read(demo_sections, path, set, 2, &job, &err), 0);
	const struct demo_host *host = job_section(job, &demo_host_section);
	CU_ASSERT(host->memory == 8 << 20 && host->frames == 7 && host->tax == 0.5);
	job_free(job);
	CU_ASSERT_EQUAL_FATAL(job_read(demo_sections, NULL, set, 2, &job, &err), 0);
	host = job_section(job, &demo_host_section);
	CU_ASSERT(host->memory == 8 << 20 && host->tax == 0.75);
	job_free(job);
	CU_ASSERT_EQUAL(job_read(demo_sections, path, set, 3, &job, &err), -EINVAL);
	CU_ASSERT_PTR_NULL(job);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "frames"));
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_NOT_EQUAL(job_read(demo_sections, path, set, 2, &job, &err), 0);
	CU_ASSERT_PTR_NULL(job);
}

TESTS("core/job", {"untitled sections exist at once", untitled_sections_exist_at_once},
      {"set overrides", set_overrides}, {"read as a whole", read_as_a_whole},
      {"bad assignments say the mend", bad_assignments_say_the_mend})
