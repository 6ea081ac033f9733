/* What `trace stat` counts, by hand. */
#include "traces.h"

static void test_by_hand(void)
{
	/* page 0: 6 touches, page 1: 3, pages 2 to 11: 1 each; 12 pages, 19 touches */
	static const char text[] = "page,op,time_ns,content,vm\n"
				   "0,r,0,,0\n0,w,1,,0\n0,r,2,,0\n0,r,3,,0\n1,r,4,,0\n1,w,5,9,0\n"
				   "2,r,6,,0\n3,r,7,,0\n4,r,8,,0\n5,r,9,,0\n6,r,10,,0\n7,r,11,,0\n"
				   "8,r,12,,0\n9,r,13,,0\n10,r,14,,0\n0,r,15,,0\n0,dma,16,1,0\n"
				   "1,r,17,,0\n99,map,18,50,0\n3,switch,20,,0\n0,r,30,,0\n";
	struct trace_stat stat;
	struct source *source;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(source_open_memory("m", text, sizeof text - 1, "csv", &source, &err),
			      0);
	CU_ASSERT_EQUAL(source_stat(source, &stat, NULL, NULL, &err), 0);
	source_close(source);
	CU_ASSERT_EQUAL(stat.records, 21);
	CU_ASSERT_EQUAL(stat.ticks, 30);
	CU_ASSERT_EQUAL(stat.touches, 19);
	CU_ASSERT_EQUAL(stat.pages, 12); /* page 0 of the second space is one more */
	CU_ASSERT_EQUAL(stat.kinds[REC_READ], 16);
	CU_ASSERT_EQUAL(stat.kinds[REC_WRITE], 1);
	CU_ASSERT_EQUAL(stat.kinds[REC_WRITE_ID], 1);
	CU_ASSERT_EQUAL(stat.kinds[REC_DMA], 1);
	CU_ASSERT_EQUAL(stat.kinds[REC_MAP], 1);
	CU_ASSERT_EQUAL(stat.kinds[REC_SWITCH], 1);
	CU_ASSERT_EQUAL(stat.hottest_100th, 6);	   /* one page */
	CU_ASSERT_EQUAL(stat.hottest_10th, 6 + 3); /* two */
	CU_ASSERT_EQUAL(stat.footprints, 5);
	CU_ASSERT_EQUAL(stat.footprint[0], 1);	/* 1 touch */
	CU_ASSERT_EQUAL(stat.footprint[2], 1);	/* 4 */
	CU_ASSERT_EQUAL(stat.footprint[3], 4);	/* 8: pages 0 to 3 */
	CU_ASSERT_EQUAL(stat.footprint[4], 11); /* 16: pages 0 to 10 */
}

static void test_empty(void)
{
	struct trace_stat stat;
	struct source *source;
	struct err err;

	CU_ASSERT_EQUAL_FATAL(source_open_memory("m", "page,op\n", 8, "csv", &source, &err), 0);
	CU_ASSERT_EQUAL(source_stat(source, &stat, NULL, NULL, &err), 0);
	source_close(source);
	CU_ASSERT(stat.records == 0 && stat.pages == 0 && stat.footprints == 0);
}

TESTS("traces/stat", {"by hand", test_by_hand}, {"empty", test_empty})
