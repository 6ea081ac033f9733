/* Entries by hand, as DynamoRIO's documentation of trace_entry_t lays them out. */
#include "imports.h"

#define ENTRIES 64

struct trace {
	uint8_t bytes[12 * ENTRIES];
	size_t n;
};

static void entry(struct trace *t, uint16_t type, uint16_t size, uint64_t address)
{
	memcpy(t->bytes + t->n, &type, 2);
	memcpy(t->bytes + t->n + 2, &size, 2);
	memcpy(t->bytes + t->n + 4, &address, 8);
	t->n += 12;
}

static struct trace begun(void)
{
	struct trace t = {.n = 0};

	entry(&t, 25, 0, 5);	    /* header, version 5 */
	entry(&t, 22, 4, 777);	    /* thread */
	entry(&t, 24, 4, 700);	    /* process */
	entry(&t, 28, 9, 0x42);	    /* marker: file type */
	entry(&t, 28, 2, 1000000);  /* marker: timestamp, us */
	entry(&t, 28, 3, 1);	    /* marker: processor */
	entry(&t, 47, 3, 0xc03148); /* encoding */
	entry(&t, 10, 3, 0x401000); /* instruction */
	return t;
}

static void test_accesses(void)
{
	const rec_t want[] = {
		rec_make(REC_READ, 0x401, 0),	     rec_make(REC_READ, 0x7ffff7ff0, 0),
		rec_make(REC_WRITE, 0x7ffff7ff0, 0), rec_make(REC_READ, 0x401, 0),
		rec_make(REC_READ, 0x402, 0),	     rec_make(REC_WRITE, 0x500, 0),
		rec_make(REC_WRITE, 0x501, 0),
	};
	struct trace t = begun();

	entry(&t, 0, 8, 0x7ffff7ff0010); /* load */
	entry(&t, 0, 8, 0x7ffff7ff0018); /* the same page: dropped */
	entry(&t, 1, 8, 0x7ffff7ff0ff8); /* store */
	entry(&t, 17, 2, 0x0403);	 /* bundle */
	entry(&t, 3, 1, 0x900000);	 /* prefetch: none */
	entry(&t, 48, 4, 0x401ffe);	 /* taken jump, over the page's end */
	entry(&t, 1, 16, 0x500ff8);	 /* a store likewise */
	entry(&t, 26, 0, 0);		 /* footer */
	import_expect(t.bytes, t.n, "drmemtrace", want, ARRAY_LEN(want));
}

static void test_times_and_processes(void)
{
	const rec_t want[] = {
		rec_make(REC_READ, 0x401, 0),
		rec_make(REC_READ, 0x600, 250),
		rec_make(REC_SWITCH, 701, 0),
		rec_make(REC_READ, 0x600, 0),
		rec_make(REC_SWITCH, 0, 0),
		rec_make(REC_SLEEP, 20000000 - REC_DELTA_MAX, 0),
		rec_make(REC_READ, 0x600, REC_DELTA_MAX),
	};
	struct trace t = begun();

	entry(&t, 28, 2, 1000250); /* 250 us on */
	entry(&t, 0, 8, 0x600000);
	entry(&t, 24, 4, 701); /* another process, and back 20 s later */
	entry(&t, 0, 8, 0x600000);
	entry(&t, 24, 4, 700);
	entry(&t, 28, 2, 900000); /* backwards: time stands still */
	entry(&t, 28, 2, 1000250 + 20000000);
	entry(&t, 0, 8, 0x600000);
	import_expect(t.bytes, t.n, "drmemtrace", want, ARRAY_LEN(want));
}

static void test_widest(void)
{
	struct trace t = begun();
	rec_t want[18] = {rec_make(REC_READ, 0x401, 0)};

	for (uint64_t i = 0; i < 17; i++)
		want[1 + i] = rec_make(REC_WRITE, 0x800 + i, 0);
	entry(&t, 1, UINT16_MAX, 0x800fff); /* 1 + 15 * 4096 + 4094 bytes and more: 17 pages */
	import_expect(t.bytes, t.n, "drmemtrace", want, ARRAY_LEN(want));
}

/* A leap of time whose sleeps leave less room in their batch than the store after it takes. */
static void test_widest_after_leap(void)
{
	enum { SLEEPS = 8186 };
	static rec_t want[1 + SLEEPS + 17];
	struct trace t = begun();

	want[0] = rec_make(REC_READ, 0x401, 0);
	for (int i = 0; i < SLEEPS; i++)
		want[1 + i] = rec_make(REC_SLEEP, REC_PAGE_MAX, 0);
	for (uint64_t i = 0; i < 17; i++)
		want[1 + SLEEPS + i] = rec_make(REC_WRITE, 0x800 + i, i ? 0 : REC_DELTA_MAX);
	entry(&t, 28, 2, 1000000 + SLEEPS * REC_PAGE_MAX + REC_DELTA_MAX);
	entry(&t, 1, UINT16_MAX, 0x800fff);
	import_expect(t.bytes, t.n, "drmemtrace", want, ARRAY_LEN(want));
}

static void test_refused(void)
{
	struct trace t = begun(), bare = {.n = 0};

	import_refused(t.bytes, t.n - 1, "drmemtrace", "at byte 84: 11 bytes are left");
	entry(&bare, 0, 8, 0x1000);
	import_refused(bare.bytes, bare.n, "drmemtrace", "at byte 0: no drmemtrace header");
	entry(&t, 50, 0, 0);
	import_refused(t.bytes, t.n, "drmemtrace", "at byte 96: an entry of unknown type 50");
	t = begun();
	entry(&t, 0, 8, 0x800000000000);
	import_refused(t.bytes, t.n, "drmemtrace", "800000000000 is no address of 48 bits");
	t = begun();
	entry(&t, 0, 8, 0x7ffffffffffc);
	import_refused(t.bytes, t.n, "drmemtrace", "is no address of 48 bits");
	t = begun();
	entry(&t, 0, 8, UINT64_MAX - 2);
	import_refused(t.bytes, t.n, "drmemtrace", "is no address of 48 bits");
	t = begun();
	entry(&t, 24, 4, UINT64_C(1) << 36);
	import_refused(t.bytes, t.n, "drmemtrace", "process 68719476736 is over");
	t = begun();
	entry(&t, 28, 2, UINT64_MAX);
	import_refused(t.bytes, t.n, "drmemtrace", "time leaps");
}

TESTS("traces/read_drmemtrace", {"accesses", test_accesses},
      {"times and processes", test_times_and_processes}, {"widest", test_widest},
      {"widest after a leap", test_widest_after_leap}, {"refused", test_refused})
