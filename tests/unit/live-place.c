#include "test.h"

#include "live/place.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

static void a_line_is_read(void)
{
	CU_ASSERT_EQUAL(place_parse("12 (qemu) S 1 12 12 0 -1 4194560 23 0 0 0 0 0 0 0 20 0 1 0 "
				    "100 1 2 3 4 5 6 7 8 0 0 0 0 0 0 0 17 3 0 0 0 0 0"),
			3);
	/* A name may look like anything. */
	CU_ASSERT_EQUAL(
		place_parse("12 (CPU 0) x (/TCG) S 1 12 12 0 -1 4194560 23 0 0 0 0 0 0 0 20 "
			    "0 1 0 100 1 2 3 4 5 6 7 8 0 0 0 0 0 0 0 17 11 0 0 0 0 0"),
		11);
	CU_ASSERT_EQUAL(place_parse("12 (qemu) S 1 12"), -1);
	CU_ASSERT_EQUAL(place_parse("12 (qemu"), -1);
	CU_ASSERT_EQUAL(place_parse(""), -1);
	CU_ASSERT_EQUAL(
		place_parse("1 (a) 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 "
			    "3 4 5 6 7 8 99999999"),
		-1);
}

/* Who serves this very thread belongs where it is. */
static void it_goes_where_the_thread_is(void)
{
	struct place place = {.cpu = -1};
	cpu_set_t before, now;

	CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof before, &before), 0);
	place_beside(&place, getpid(), (uint32_t)syscall(SYS_gettid));
	CU_ASSERT_TRUE(place.cpu >= 0);
	CU_ASSERT_EQUAL(sched_getaffinity(0, sizeof now, &now), 0);
	CU_ASSERT_EQUAL(CPU_COUNT(&now), 1);
	CU_ASSERT_TRUE(CPU_ISSET((unsigned)place.cpu, &now));
	CU_ASSERT_EQUAL(sched_getcpu(), place.cpu);
	sched_setaffinity(0, sizeof before, &before);
}

static void a_thread_that_is_gone(void)
{
	struct place place = {.cpu = -1};
	cpu_set_t before, now;

	CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof before, &before), 0);
	place_beside(&place, getpid(), 1);
	CU_ASSERT_EQUAL(place.cpu, -1);
	CU_ASSERT_EQUAL(sched_getaffinity(0, sizeof now, &now), 0);
	CU_ASSERT_TRUE(CPU_EQUAL(&before, &now));
}

TESTS("live/place", {"a line of /proc is read", a_line_is_read},
      {"it goes where the thread is", it_goes_where_the_thread_is},
      {"a thread that is gone", a_thread_that_is_gone})
