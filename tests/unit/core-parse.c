#include "core/parse.h"

#include "core/opt.h"

#include "test.h"

#include <errno.h>
#include <string.h>

static void sizes(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"512", 512},
		{"7b", 7},
		{"4k", 4096},
		{"4K", 4096},
		{"4kb", 4096},
		{"4KiB", 4096},
		{"256mb", 268435456},
		{"256 mb", 268435456},
		{"1.5gb", 1610612736},
		{"0.5k", 512},
		{"1.50g", 1610612736},
		{"2tb", 2199023255552},
		{"8388607tb", 9223370937343148032u},
		{"9223372036854775807", 9223372036854775807u},
	};
	uint64_t bytes;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		bytes = 1;
		CU_ASSERT_EQUAL(parse_bytes(good[i].text, &bytes, NULL), 0);
		CU_ASSERT_EQUAL(bytes, good[i].bytes);
	}
}

/* What is refused says which mend, and leaves the value alone. */
static void bad_sizes(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"", "256mb"},
		{"mb", "256mb"},
		{"-1", "256mb"},
		{"+1", "256mb"},
		{" 1", "256mb"},
		{"nan", "256mb"},
		{"1.", "256mb"},
		{".5g", "256mb"},
		{"1.5.5g", "no unit"},
		{"256xb", "b, kb, mb, gb or tb"},
		{"256mbb", "no unit"},
		{"1e3", "no unit"},
		{"0x10", "no unit"},
		{"1mb ", "no unit"},
		{"0.3b", "whole number of bytes"},
		{"1.5", "whole number of bytes"},
		{"0.0000000000000000001tb", "whole number of bytes"},
		{"8388608tb", "too large"},
		{"9223372036854775808", "too large"},
		{"18446744073709551616", "too large"},
		{"340282366920938463463374607431768211456", "too large"},
		{"99999999999999999999999999999999999999999999999999tb", "too large"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint64_t bytes = 77;
		struct err err = {0};

		CU_ASSERT_EQUAL(parse_bytes(bad[i].text, &bytes, &err), -EINVAL);
		CU_ASSERT_EQUAL(bytes, 77);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		if (!strstr(err.msg, bad[i].says))
			printf("  '%s': %s\n", bad[i].text, err.msg);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, bad[i].says));
	}
}

static void times(void)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"0", 0},
		{"40ns", 40},
		{"250us", 250000},
		{"10ms", 10000000},
		{"2.5ms", 2500000},
		{"30s", 30000000000},
		{"2min", 120000000000},
		{"1h", 3600000000000},
		{"1.5 H", 5400000000000},
		{"0s", 0},
	};
	static const char *const bad[] = {"",	   "30",  "s",	  "1 m",      "1d",
					  "0.5ns", "-1s", "1e9s", "2562048h", "00"};
	uint64_t ns;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ns = 1;
		CU_ASSERT_EQUAL(parse_time(good[i].text, &ns, NULL), 0);
		CU_ASSERT_EQUAL(ns, good[i].ns);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		ns = 77;
		CU_ASSERT_EQUAL(parse_time(bad[i], &ns, &err), -EINVAL);
		CU_ASSERT_EQUAL(err.exit_code, 2);
		CU_ASSERT_EQUAL(ns, 77);
	}
}

static void counts(void)
{
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{"0", 0},
		{"-3", -3},
		{"0x1F", 31},
		{"-0x10", -16},
		{"50k", 50000},
		{"50M", 50000000},
		{"1.5m", 1500000},
		{"2G", 2000000000},
		{"9223372036854775807", INT64_MAX},
		{"-9223372036854775807", -INT64_MAX},
		{"0x7fffffffffffffff", INT64_MAX},
	};
	static const char *const bad[] = {
		"",
		"-",
		"--1",
		"0x",
		"0xg",
		"1.5",
		"1.0005k",
		"9223372036854775808",
		"9300000000G",
		"0x8000000000000000",
		"0x10000000000000000",
		"5kb",
		"1e6",
		"12 monkeys",
		"0x-1",
	};
	int64_t value;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CU_ASSERT_EQUAL(parse_int(good[i].text, &value, NULL), 0);
		CU_ASSERT_EQUAL(value, good[i].value);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		value = 77;
		CU_ASSERT_EQUAL(parse_int(bad[i], &value, NULL), -EINVAL);
		CU_ASSERT_EQUAL(value, 77);
	}
}

static void reals_and_bools(void)
{
	static const struct {
		const char *text;
		double value;
	} good[] = {{"0.75", 0.75}, {"75%", 0.75}, {"-2", -2},	   {"1e-3", 0.001},
		    {"+4", 4},	    {".5", 0.5},   {"0.5%", 0.005}};
	static const char *const bad[] = {"",	  "%",	 "nan", "inf", "0x10", "1e999", "-1e999",
					  "75 %", "1,5", "7%%", "e",   "1-2",  "--1"};
	static const char *const yes[] = {"on", "TRUE", "Yes"}, *const no[] = {"off", "false",
									       "NO"};
	double value;
	bool flag;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CU_ASSERT_EQUAL(parse_real(good[i].text, &value, NULL), 0);
		CU_ASSERT_EQUAL(value, good[i].value);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		value = 77;
		CU_ASSERT_EQUAL(parse_real(bad[i], &value, NULL), -EINVAL);
		CU_ASSERT_EQUAL(value, 77);
	}
	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT(parse_bool(yes[i], &flag, NULL) == 0 && flag);
		CU_ASSERT(parse_bool(no[i], &flag, NULL) == 0 && !flag);
	}
	CU_ASSERT_EQUAL(parse_bool("1", &flag, NULL), -EINVAL);
	CU_ASSERT_EQUAL(parse_bool("", &flag, NULL), -EINVAL);
}

static void check_format(int (*format)(char *, size_t, uint64_t), uint64_t value, const char *want)
{
	char buf[40];

	CU_ASSERT_EQUAL(format(buf, sizeof buf, value), (int)strlen(want));
	CU_ASSERT_STRING_EQUAL(buf, want);
}

static void formats(void)
{
	char buf[40];

	check_format(format_bytes, 0, "0");
	check_format(format_bytes, 512, "512b");
	check_format(format_bytes, 268435456, "256mb");
	check_format(format_bytes, 268435457, "268435457b");
	check_format(format_bytes, 1610612736, "1536mb");
	check_format(format_time, 5400000000000, "90min");
	check_format(format_time, 250000, "250us");
	check_format(format_time, 1, "1ns");
	format_real(buf, sizeof buf, 0.1);
	CU_ASSERT_STRING_EQUAL(buf, "0.1");
	format_real(buf, sizeof buf, 1.0 / 3);
	CU_ASSERT_EQUAL(strtod(buf, NULL), 1.0 / 3);
}

static uint64_t next_random(uint64_t *x)
{
	return *x = *x * 6364136223846793005u + 1442695040888963407u;
}

/* Whatever a formatter writes, its parser reads back as the same value. */
static void round_trips(void)
{
	uint64_t x = test_seed(1), back;
	char buf[40];
	double real;

	for (int i = 0; i < 20000; i++) {
		uint64_t value = next_random(&x) >> (1 + (x >> 40) % 60);
		double d = (double)(int64_t)next_random(&x) * 0x1p-40;

		format_bytes(buf, sizeof buf, value);
		CU_ASSERT(parse_bytes(buf, &back, NULL) == 0 && back == value);
		format_time(buf, sizeof buf, value);
		CU_ASSERT(parse_time(buf, &back, NULL) == 0 && back == value);
		format_real(buf, sizeof buf, d);
		CU_ASSERT(parse_real(buf, &real, NULL) == 0 && real == d);
	}
}

TESTS("core/parse", {"sizes", sizes}, {"bad sizes", bad_sizes}, {"times", times},
      {"counts", counts}, {"reals and bools", reals_and_bools}, {"formats", formats},
      {"round trips", round_trips})
