#include "test.h"

#include "live/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int parse(const char *line, struct console_record *r)
{
	return console_parse(line, strlen(line), r);
}

static void line(void)
{
	struct console_record r;

	CU_ASSERT_EQUAL(parse("@ballast fileserver t=12.345 ops=70 done=812 steal_ms=40 "
			      "mb_per_s=1.5 low=-3 clients=4\r",
			      &r),
			1);
	CU_ASSERT_STRING_EQUAL(r.name, "fileserver");
	CU_ASSERT_FALSE(r.end);
	CU_ASSERT_EQUAL(r.t_ms, 12345);
	CU_ASSERT_EQUAL(r.ops, 70);
	CU_ASSERT_EQUAL(r.done, 812);
	CU_ASSERT_EQUAL(r.steal_ms, 40);
	CU_ASSERT_EQUAL(r.values, 3);
	CU_ASSERT_EQUAL(console_value(&r, "mb_per_s", 0), 1.5);
	CU_ASSERT_EQUAL(console_value(&r, "low", 0), -3);
	CU_ASSERT_EQUAL(console_value(&r, "clients", 0), 4);
	CU_ASSERT_EQUAL(console_value(&r, "none", 7), 7);
	CU_ASSERT_EQUAL(parse("@ballast verify end bad=2 ops=9", &r), 1);
	CU_ASSERT_TRUE(r.end);
	CU_ASSERT_EQUAL(r.bad, 2);
	CU_ASSERT_EQUAL(console_value(&r, "ops", 0), 9);
	CU_ASSERT_EQUAL(parse("@ballast a  steal_ms=0 done=999999999999999 ops=0 t=0", &r), 1);
	CU_ASSERT_EQUAL(r.done, 999999999999999);
}

static void for_people(void)
{
	static const char *const lines[] = {
		"",
		"\r",
		"@",
		"@ballast",
		"@balast a end bad=0",
		" @ballast a end bad=0",
		"[    1.2] @ballast a end bad=0",
		"\xff\xfe@ballast ",
	};
	struct console_record r;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		CU_ASSERT_EQUAL(parse(lines[i], &r), 0);
	CU_ASSERT_EQUAL(console_parse("@ballast\0a end bad=0", 19, &r), 0);
}

static void damaged(void)
{
	static const char *const lines[] = {
		"@ballast ",
		"@ballast a",
		"@ballast a end",
		"@ballast a end ops=1",
		"@ballast a bad=0",
		"@ballast a t=1 ops=1 done=1",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 t=1",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 end",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 x=1 x=2",
		"@ballast a t=1 ops=-1 done=1 steal_ms=0",
		"@ballast a t=-1 ops=1 done=1 steal_ms=0",
		"@ballast a t=1 ops=1.5 done=1 steal_ms=0",
		"@ballast a t=1 ops=1 done=1000000000000000 steal_ms=0",
		"@ballast a t=1 ops=1 done=99999999999999999999999 steal_ms=0",
		"@ballast a t=1 ops= done=1 steal_ms=0",
		"@ballast a t=1. ops=1 done=1 steal_ms=0",
		"@ballast a t=1.0000001 ops=1 done=1 steal_ms=0",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 x=nan",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 =1",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 x",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 x=0x1",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 x=1e3",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 sixteen_letters_=1",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 \x80=1",
		"@ballast a/b end bad=0",
		"@ballast a name_of_two_and_thirty_letters end bad=0",
		"@ballast a_name_of_two_and_thirty_letters end bad=0",
		"@ballast a t=1 ops=1 done=1 steal_ms=0 a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 "
		"k=1 l=1 m=1",
	};
	struct console_record r;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		CU_ASSERT_EQUAL(parse(lines[i], &r), -EINVAL);
		if (parse(lines[i], &r) != -EINVAL)
			printf("  %s\n", lines[i]);
	}
}

struct seen {
	unsigned n;
	uint64_t bad; /* added up */
	char name[CONSOLE_NAME];
};

static void note(void *ctx, const struct console_record *r)
{
	struct seen *s = ctx;

	s->n++;
	s->bad += r->bad;
	memcpy(s->name, r->name, sizeof s->name);
}

/* In pieces of every size, the same. */
static void pieces(void)
{
	static const char text[] =
		"boot\r\n@ballast a end bad=1\r\nnoise @ballast a end bad=9\n"
		"@ballast a end bad=x\n@ballast b end bad=2\n@ballast c end bad=4";

	for (size_t step = 1; step < sizeof text; step++) {
		struct console c = {.fd = -1};
		struct seen s = {0};
		for (size_t at = 0; at < sizeof text - 1; at += step)
			console_feed(&c, text + at, min_u64(step, sizeof text - 1 - at), note, &s);
		CU_ASSERT_EQUAL(s.n, 2);
		CU_ASSERT_EQUAL(s.bad, 3);
		CU_ASSERT_STRING_EQUAL(s.name, "b");
		CU_ASSERT_EQUAL(c.damaged, 1);
		console_feed(&c, "0\n", 2, note, &s);
		CU_ASSERT_EQUAL(s.bad, 43);
	}
}

static void long_lines(void)
{
	struct console c = {.fd = -1};
	struct seen s = {0};
	char noise[700];

	memset(noise, ' ', sizeof noise);
	for (int i = 0; i < 3; i++) /* no record, however long */
		console_feed(&c, noise, sizeof noise, note, &s);
	console_feed(&c, "\n@ballast a end bad=1", 21, note, &s);
	console_feed(&c, noise, CONSOLE_LINE - 20, note, &s);
	console_feed(&c, "\n", 1, note, &s); /* it just fits */
	CU_ASSERT_EQUAL(s.bad, 1);
	CU_ASSERT_EQUAL(c.damaged, 0);
	console_feed(&c, "@ballast a end bad=2", 20, note, &s);
	console_feed(&c, noise, CONSOLE_LINE - 19, note, &s);
	console_feed(&c, "\n@ballast a end bad=4\n", 22, note, &s);
	CU_ASSERT_EQUAL(s.bad, 5);
	CU_ASSERT_EQUAL(s.n, 2);
	CU_ASSERT_EQUAL(c.damaged, 1);
}

static void add(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);

	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* A log that grows, and one that begins anew. */
static void file(void)
{
	char path[] = "/tmp/ballast-console.XXXXXX";
	struct seen s = {0};
	struct console c;
	struct err err;

	int fd = mkstemp(path);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(console_open(&c, path, &err), 0);
	CU_ASSERT_EQUAL(console_read(&c, note, &s), 0);
	add(path, 0, "@ballast a end bad=1\n@ballast a en");
	CU_ASSERT_EQUAL(console_read(&c, note, &s), 0);
	CU_ASSERT_EQUAL(s.bad, 1);
	add(path, O_APPEND, "d bad=2\n@ball");
	CU_ASSERT_EQUAL(console_read(&c, note, &s), 0);
	CU_ASSERT_EQUAL(s.bad, 3);
	add(path, O_TRUNC, "@ballast a end bad=4\n");
	CU_ASSERT_EQUAL(console_read(&c, note, &s), 0);
	CU_ASSERT_EQUAL(s.bad, 7);
	CU_ASSERT_EQUAL(c.records, 3);
	console_close(&c);
	unlink(path);
	CU_ASSERT_EQUAL(console_open(&c, path, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, path));
	CU_ASSERT_EQUAL(c.fd, -1);
}

TESTS("live/console", {"a line", line}, {"lines for people", for_people}, {"damage", damaged},
      {"in pieces", pieces}, {"long lines", long_lines}, {"a file", file})
