#include "test.h"

#include "live/loop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct loop loop;
static char told[20];

struct end {
	struct watch watch;
	int in;
	char name;
	struct end *closes; /* when it is ready, this one is closed */
};

static void ready(struct watch *w, uint32_t events)
{
	struct end *e = w->owner;
	char c;

	CU_ASSERT_TRUE(events & EPOLLIN);
	CU_ASSERT_EQUAL(read(w->fd, &c, 1), 1);
	strncat(told, &e->name, 1);
	if (e->closes)
		loop_close(&loop, &e->closes->watch);
}

static void open_end(struct end *e, char name)
{
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	*e = (struct end){.watch = {fd[0], ready, e}, .in = fd[1], .name = name};
	CU_ASSERT_EQUAL(loop_watch(&loop, &e->watch, EPOLLIN), 0);
}

static void turn(const char *want)
{
	*told = '\0';
	CU_ASSERT_EQUAL(loop_turn(&loop, 1000000), 0);
	CU_ASSERT_STRING_EQUAL(told, want);
}

static void what_is_ready_is_called(void)
{
	struct end a, b;

	CU_ASSERT_EQUAL_FATAL(loop_init(&loop), 0);
	open_end(&a, 'a');
	open_end(&b, 'b');
	turn("");
	CU_ASSERT_EQUAL(write(b.in, "x", 1), 1);
	turn("b");
	turn("");
	CU_ASSERT_EQUAL(write(a.in, "xy", 2), 2);
	turn("a"); /* and again, for what is left */
	turn("a");
	CU_ASSERT_EQUAL(write(a.in, "x", 1), 1);
	loop_close(&loop, &a.watch);
	CU_ASSERT_EQUAL(a.watch.fd, -1);
	loop_close(&loop, &a.watch); /* once is enough */
	turn("");
	loop_close(&loop, &b.watch);
	close(a.in);
	close(b.in);
	loop_fini(&loop);
}

/* Both are ready, and whichever comes first closes the other: that one is passed over. */
static void what_was_closed_is_passed_over(void)
{
	struct end a, b;

	CU_ASSERT_EQUAL_FATAL(loop_init(&loop), 0);
	open_end(&a, 'a');
	open_end(&b, 'b');
	a.closes = &b;
	b.closes = &a;
	CU_ASSERT_EQUAL(write(a.in, "x", 1), 1);
	CU_ASSERT_EQUAL(write(b.in, "x", 1), 1);
	*told = '\0';
	CU_ASSERT_EQUAL(loop_turn(&loop, 1000000), 0);
	CU_ASSERT_EQUAL(strlen(told), 1);
	turn("");
	CU_ASSERT_EQUAL((a.watch.fd < 0) + (b.watch.fd < 0), 1);
	loop_close(&loop, &a.watch);
	loop_close(&loop, &b.watch);
	close(a.in);
	close(b.in);
	loop_fini(&loop);
}

TESTS("live/loop", {"ready", what_is_ready_is_called},
      {"closed meanwhile", what_was_closed_is_passed_over})
