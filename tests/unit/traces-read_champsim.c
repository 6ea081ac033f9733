/* Instructions by hand, in the layout of ChampSim's trace_instruction.h. */
#include "imports.h"

struct instr {
	uint64_t ip;
	uint8_t is_branch, taken, written_regs[2], read_regs[4];
	uint64_t written[2], read[4];
};

static void test_accesses(void)
{
	const struct instr in[] = {
		{.ip = 0x401000, .read = {0x7fff0000, 0, 0x601000}},
		{.ip = 0x401004, .written = {0, 0x602008}, .is_branch = 1, .taken = 1},
		{.ip = 0x401008}, /* the fetch alone */
		{.ip = 0x40100c}, /* the same page again: dropped */
	};
	const rec_t want[] = {
		rec_make(REC_READ, 0x401, 0),  rec_make(REC_READ, 0x7fff0, 0),
		rec_make(REC_READ, 0x601, 0),  rec_make(REC_READ, 0x401, 0),
		rec_make(REC_WRITE, 0x602, 0), rec_make(REC_READ, 0x401, 0),
	};

	CU_ASSERT_EQUAL_FATAL(sizeof in[0], 64);
	import_expect(in, sizeof in, "champsim", want, ARRAY_LEN(want));
}

static void test_many(void)
{
	enum { N = 5000 }; /* over a batch */
	struct instr *in = calloc(N, sizeof *in);
	rec_t *want = calloc(2 * N, sizeof *want);

	for (uint64_t i = 0; i < N; i++) {
		in[i].ip = 0x1000 * (i + 1);
		in[i].written[0] = 0x100000000 + 0x1000 * i;
		want[2 * i] = rec_make(REC_READ, i + 1, 0);
		want[2 * i + 1] = rec_make(REC_WRITE, 0x100000 + i, 0);
	}
	import_expect(in, N * sizeof *in, "champsim", want, 2 * N);
	free(in);
	free(want);
}

static void test_refused(void)
{
	struct instr in[2] = {{.ip = 0x401000}, {.ip = 0x401000}};

	import_refused(in, 127, "champsim", "at byte 64: 63 bytes are left");
	in[1].is_branch = 2;
	import_refused(in, 128, "champsim", "at byte 72: no instruction of ChampSim's");
	in[1].is_branch = 0;
	in[1].read[3] = UINT64_C(1) << 47;
	import_refused(in, 128, "champsim", "at byte 120: no instruction");
}

TESTS("traces/read_champsim", {"accesses", test_accesses}, {"many", test_many},
      {"refused", test_refused})
