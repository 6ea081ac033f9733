#include "core/opt.h"

#include "job_tables.h"
#include "test.h"

#include <errno.h>
#include <string.h>

static struct demo_host host;

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(opt_defaults(&demo_host_section, &host), 0);
}

static void end(void)
{
	opt_release(&demo_host_section, &host);
}

static int set(const char *key, const char *text, struct err *err)
{
	const struct opt *opt = opt_find(&demo_host_section, key);

	CU_ASSERT_PTR_NOT_NULL_FATAL(opt);
	return opt_set(opt, &host, text, err);
}

static void defaults_are_filled(void)
{
	begin();
	CU_ASSERT_EQUAL(host.memory, 2097152);
	CU_ASSERT_EQUAL(host.period, 30000000000);
	CU_ASSERT_EQUAL(host.frames, 0);
	CU_ASSERT_EQUAL(host.tax, 0.75);
	CU_ASSERT(host.sharing);
	CU_ASSERT_PTR_EQUAL(host.victim, &demo_lru);
	CU_ASSERT_STRING_EQUAL(host.reclaim[0], "balloon");
	CU_ASSERT_STRING_EQUAL(host.reclaim[1], "swap");
	CU_ASSERT_PTR_NULL(host.reclaim[2]);
	CU_ASSERT_PTR_NULL(opt_find(&demo_host_section, "nothing"));
	end();
}

/* Each bad text, and what the message must say; the field stays. */
static void bad_values_change_nothing(void)
{
	static const struct {
		const char *key, *text, *says;
	} bad[] = {
		{"memory", "256xb", "b, kb, mb, gb or tb"},
		{"memory", "0", "write 4kb to 1tb"},
		{"memory", "4095", "write 4kb to 1tb"},
		{"memory", "1025gb", "write 4kb to 1tb"},
		{"memory", "99999999tb", "too large"},
		{"period", "30", "write ns, us, ms, s, min or h"},
		{"frames", "-1", "write 0 or more"},
		{"offset", "11", "write -10 to 10"},
		{"offset", "-11", "write -10 to 10"},
		{"tax", "1", "write 0 to 0.999"},
		{"tax", "-1%", "write 0 to 0.999"},
		{"sharing", "maybe", "neither on nor off"},
		{"reclaim", "a,,b", "empty entry"},
		{"reclaim", "a,", "empty entry"},
		{"victim", "cluck", "did you mean 'clock'? There are: lru clock"},
		{"victim", "", "there are: lru clock"},
		{"victim", "optimal", "there are: lru clock"},
	};
	char before[100], after[100];

	begin();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct opt *opt = opt_find(&demo_host_section, bad[i].key);
		struct err err = {0};

		CU_ASSERT_EQUAL(opt_format(opt, &host, before, sizeof before), 0);
		CU_ASSERT_EQUAL(set(bad[i].key, bad[i].text, &err), -EINVAL);
		CU_ASSERT_EQUAL(opt_format(opt, &host, after, sizeof after), 0);
		CU_ASSERT_STRING_EQUAL(before, after);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		if (!strstr(err.msg, bad[i].says))
			printf("  %s = '%s': %s\n", bad[i].key, bad[i].text, err.msg);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, bad[i].says));
	}
	end();
}

static void limits_are_in_range(void)
{
	begin();
	CU_ASSERT(set("memory", "4kb", NULL) == 0 && host.memory == 4096);
	CU_ASSERT(set("memory", "1tb", NULL) == 0 && host.memory == 1099511627776);
	CU_ASSERT(set("offset", "-10", NULL) == 0 && host.offset == -10);
	CU_ASSERT(set("offset", "10", NULL) == 0 && host.offset == 10);
	CU_ASSERT(set("frames", "9223372036854775807", NULL) == 0 && host.frames == INT64_MAX);
	CU_ASSERT(set("tax", "99.9%", NULL) == 0 && host.tax == 0.999);
	end();
}

/* Limits of a kind: one-sided, and above what a double can count. */
static void odd_limits(void)
{
	static const struct opt at_least = {"n", OPT_INT, 0, NULL, .min = 16};
	static const struct opt large = {"n", OPT_INT, 0, NULL, .min = 1, .max = 1e30};
	int64_t n = 0;
	struct err err = {0};

	CU_ASSERT_EQUAL(opt_set(&at_least, &n, "15", &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "write 16 or more"));
	CU_ASSERT(opt_set(&at_least, &n, "16", NULL) == 0 && n == 16);
	CU_ASSERT(opt_set(&large, &n, "9223372036854775807", NULL) == 0 && n == INT64_MAX);
	CU_ASSERT_EQUAL(opt_set(&large, &n, "0", &err), -EINVAL);
}

static void lists_and_strings(void)
{
	static const struct opt *trace = &demo_vm_opts[1];
	struct demo_vm vm = {0};

	begin();
	CU_ASSERT_EQUAL(set("reclaim", " a b ,c\t", NULL), 0);
	CU_ASSERT_STRING_EQUAL(host.reclaim[0], "a b");
	CU_ASSERT_STRING_EQUAL(host.reclaim[1], "c");
	CU_ASSERT_PTR_NULL(host.reclaim[2]);
	CU_ASSERT_EQUAL(set("reclaim", " ", NULL), 0);
	CU_ASSERT_PTR_NULL(host.reclaim);
	end();

	CU_ASSERT_EQUAL(opt_set(trace, &vm, "a file, with = and blanks ", NULL), 0);
	CU_ASSERT_STRING_EQUAL(vm.trace, "a file, with = and blanks ");
	CU_ASSERT_EQUAL(opt_set(trace, &vm, "", NULL), 0);
	CU_ASSERT_PTR_NULL(vm.trace);
	CU_ASSERT_EQUAL(opt_set(trace, &vm, "x", NULL), 0);
	opt_release(&demo_vm_section, &vm);
	CU_ASSERT_PTR_NULL(vm.trace);
}

static void format_reads_back(void)
{
	static const char *const values[][2] = {
		{"memory", "256mb"}, {"period", "90min"},   {"frames", "50000"},
		{"offset", "-7"},    {"tax", "0.1"},	    {"sharing", "off"},
		{"victim", "clock"}, {"reclaim", "x, y z"}, {"reclaim", ""},
	};
	char buf[40];

	begin();
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		const struct opt *opt = opt_find(&demo_host_section, values[i][0]);

		CU_ASSERT_EQUAL(set(values[i][0], values[i][1], NULL), 0);
		CU_ASSERT_EQUAL(opt_format(opt, &host, buf, sizeof buf), 0);
		CU_ASSERT_STRING_EQUAL(buf, values[i][1]);
	}
	CU_ASSERT_EQUAL(set("reclaim", "one, two", NULL), 0);
	for (size_t size = 0; size <= strlen("one, two"); size++)
		CU_ASSERT_EQUAL(
			opt_format(opt_find(&demo_host_section, "reclaim"), &host, buf, size),
			-ENOSPC);
	CU_ASSERT_EQUAL(opt_format(opt_find(&demo_host_section, "memory"), &host, buf, 5), -ENOSPC);
	end();
}

static void domain_of(const char *key, const char *want)
{
	char buf[100];

	opt_domain(opt_find(&demo_host_section, key), buf, sizeof buf);
	CU_ASSERT_STRING_EQUAL(buf, want);
}

static void domains_for_help(void)
{
	domain_of("memory", "size, 4kb to 1tb");
	domain_of("period", "time");
	domain_of("offset", "count, -10 to 10");
	domain_of("sharing", "on or off");
	domain_of("victim", "lru clock");
}

TESTS("core/opt", {"defaults are filled", defaults_are_filled},
      {"bad values change nothing", bad_values_change_nothing},
      {"limits are in range", limits_are_in_range}, {"odd limits", odd_limits},
      {"lists and strings", lists_and_strings}, {"format reads back", format_reads_back},
      {"domains for help", domains_for_help})
