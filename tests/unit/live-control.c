#include "test.h"

#include "live/control.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64];
static int asked;
static bool ended;

static json_t *answer(void *ctx, const json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "do"));

	(void)ctx;
	asked++;
	if (what && strcmp(what, "end") == 0)
		ended = true;
	if (what && strcmp(what, "fail") == 0)
		return json_pack("{s:b, s:s}", "ok", 0, "error", "it failed");
	return json_pack("{s:b, s:O}", "ok", 1, "echo", request);
}

/* In a process of its own: 0 if all was as it must be. */
static int client(void)
{
	struct err err = {0};
	json_t *reply = NULL, *hello = json_pack("{s:s}", "do", "hello"),
	       *fail = json_pack("{s:s}", "do", "fail"), *end = json_pack("{s:s}", "do", "end");

	if (control_ask(path, hello, &reply, &err) ||
	    !json_equal(json_object_get(reply, "echo"), hello))
		return 1;
	json_decref(reply);
	if (control_ask(path, fail, &reply, &err) != -EREMOTEIO ||
	    strcmp(err.msg, "it failed") != 0 || err.exit_code != 1 || reply)
		return 2;
	if (control_ask(path, end, &reply, &err))
		return 3;
	json_decref(reply);
	json_decref(hello);
	json_decref(fail);
	json_decref(end);
	return 0;
}

static void asks_are_answered(void)
{
	struct control *control;
	struct loop loop;
	struct stat st;
	struct err err;
	int status;

	snprintf(path, sizeof path, "/tmp/ballast-control.%d", (int)getpid());
	CU_ASSERT_EQUAL_FATAL(loop_init(&loop), 0);
	CU_ASSERT_EQUAL(control_in_use(path, &err), 0);
	CU_ASSERT_EQUAL_FATAL(control_open(&loop, path, answer, NULL, &control, &err), 0);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(control_in_use(path, &err), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "running there already"));
	pid_t pid = fork();
	if (pid == 0)
		_exit(client());
	while (!ended)
		CU_ASSERT_EQUAL_FATAL(loop_turn(&loop, 1000000000), 0);
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(asked, 3);
	control_close(control);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	loop_fini(&loop);
}

static void nobody_answers(void)
{
	json_t *request = json_object(), *reply = NULL;
	char longest[300];
	struct err err;

	CU_ASSERT_EQUAL(control_ask("/no/such/socket", request, &reply, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "no host is running there"));
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	CU_ASSERT_EQUAL(control_ask(longest, request, &reply, &err), -EINVAL);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	json_decref(request);
}

TESTS("live/control", {"asks", asks_are_answered}, {"nobody there", nobody_answers})
