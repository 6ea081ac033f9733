#include "test.h"

#include "live/control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE (4 << 20) /* more than a socket holds */

static char path[64];
static int asked;
static bool ended;

static json_t *large_text(void)
{
	char *text = malloc(LARGE + 1);

	if (!text)
		return NULL;
	memset(text, 'x', LARGE);
	text[LARGE] = '\0';
	json_t *string = json_string(text);
	free(text);
	return string;
}

static json_t *answer(void *ctx, const json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "do"));

	(void)ctx;
	asked++;
	if (what && strcmp(what, "end") == 0)
		ended = true;
	if (what && strcmp(what, "fail") == 0)
		return json_pack("{s:b, s:s}", "ok", 0, "error", "it failed");
	if (what && strcmp(what, "large") == 0)
		return json_pack("{s:b, s:o}", "ok", 1, "text", large_text());
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

/* A host at path, in a loop of its own. */
static struct control *host(struct loop *loop)
{
	struct control *control = NULL;
	struct err err;

	snprintf(path, sizeof path, "/tmp/ballast-control.%d", (int)getpid());
	ended = false;
	CU_ASSERT_EQUAL_FATAL(loop_init(loop), 0);
	CU_ASSERT_EQUAL_FATAL(control_open(loop, path, answer, NULL, &control, &err), 0);
	return control;
}

static void no_host(struct control *control, struct loop *loop)
{
	control_close(control);
	loop_fini(loop);
}

/* A client that this process plays, too: it does not wait. */
static int connection(struct loop *loop)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	CU_ASSERT_EQUAL_FATAL(connect(sock, (struct sockaddr *)&address, sizeof address), 0);
	fcntl(sock, F_SETFL, O_NONBLOCK);
	CU_ASSERT_EQUAL_FATAL(loop_turn(loop, 0), 0); /* it is let in */
	return sock;
}

static void say(int sock, struct loop *loop, const char *lines)
{
	CU_ASSERT_EQUAL(send(sock, lines, strlen(lines), MSG_NOSIGNAL), (ssize_t)strlen(lines));
	CU_ASSERT_EQUAL_FATAL(loop_turn(loop, 0), 0);
}

/* Reads, while the host goes on, until so many lines have come. Returns their bytes. */
static size_t take(int sock, struct loop *loop, int lines)
{
	static char text[65536];
	size_t all = 0;

	while (lines > 0) {
		ssize_t n = recv(sock, text, sizeof text, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return 0;
		for (ssize_t i = 0; i < n; i++)
			lines -= text[i] == '\n';
		all += n > 0 ? (size_t)n : 0;
		if (n < 0)
			CU_ASSERT_EQUAL_FATAL(loop_turn(loop, 0), 0);
	}
	return all;
}

static void answers_are_as_long_as_they_are(void)
{
	struct loop loop;
	struct control *control = host(&loop);
	int slow = connection(&loop), other = connection(&loop);

	asked = 0;
	say(slow, &loop, "{\"do\": \"large\"}\n{\"do\": \"large\"}\n{}\n");
	CU_ASSERT_EQUAL(asked, 1); /* the others wait until it has taken the first answer */
	say(other, &loop, "{\"a\": 1}\n");
	CU_ASSERT_EQUAL(take(other, &loop, 1), strlen("{\"ok\":true,\"echo\":{\"a\":1}}\n"));
	const size_t one = LARGE + strlen("{\"ok\":true,\"text\":\"\"}\n");
	CU_ASSERT_EQUAL(take(slow, &loop, 3), 2 * one + strlen("{\"ok\":true,\"echo\":{}}\n"));
	CU_ASSERT_EQUAL(asked, 4);
	say(slow, &loop, "{\"do\": \"large\"}\n");
	close(slow); /* in the middle of its answer */
	CU_ASSERT_EQUAL_FATAL(loop_turn(&loop, 0), 0);
	say(other, &loop, "{}\n");
	CU_ASSERT_NOT_EQUAL(take(other, &loop, 1), 0);
	close(other);
	no_host(control, &loop);
}

static void clients_are_not_too_many(void)
{
	struct loop loop;
	struct control *control = host(&loop);
	int sock[100];
	char byte;

	for (size_t i = 0; i < ARRAY_LEN(sock); i++)
		sock[i] = connection(&loop);
	CU_ASSERT_EQUAL(recv(sock[0], &byte, 1, 0), 0); /* cut off for the later ones */
	CU_ASSERT_EQUAL(recv(sock[99 - 64], &byte, 1, 0), 0);
	for (size_t i = 99 - 63; i < ARRAY_LEN(sock); i++) {
		say(sock[i], &loop, "{}\n");
		CU_ASSERT_NOT_EQUAL(take(sock[i], &loop, 1), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(sock); i++)
		close(sock[i]);
	no_host(control, &loop);
}

static void only_sockets_are_removed(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char agents[80];
	struct loop loop;
	struct err err;

	snprintf(path, sizeof path, "/tmp/ballast-control.%d", (int)getpid());
	snprintf(agents, sizeof agents, "%s.agents", path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	CU_ASSERT_EQUAL(control_in_use(path, &err), -EINVAL);
	CU_ASSERT_EQUAL(err.exit_code, 2);
	CU_ASSERT_EQUAL(unlink(path), 0);
	/* Sockets that nobody listens at are a dead host's; a file is none. */
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
	close(open(agents, O_CREAT | O_WRONLY, 0600));
	CU_ASSERT_EQUAL(control_in_use(path, &err), 0);
	control_clear(path);
	CU_ASSERT_EQUAL(unlink(agents), 0);
	no_host(host(&loop), &loop); /* a host in the dead one's place */
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	close(sock);
	/* And one that is no host's, but somebody's. */
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL(listen(sock, 1), 0);
	CU_ASSERT_EQUAL(control_in_use(path, &err), -EPROTOTYPE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "no host's"));
	CU_ASSERT_EQUAL(unlink(path), 0);
	close(sock);
}

/* Clients in processes of their own. */

static int rings[2];

static void ring(int sig)
{
	(void)sig;
	if (write(rings[1], "", 1) != 1)
		_exit(9);
}

static int disturbed_client(void)
{
	const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
	struct sigaction act = {.sa_handler = ring};
	json_t *request = json_object(), *reply = NULL;
	struct err err;

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	int rc = control_ask(path, request, &reply, &err);
	setitimer(ITIMER_REAL, &never, NULL);
	json_decref(request);
	json_decref(reply);
	return rc ? 1 : 0;
}

/* Signals come while it waits for the answer, like that of a terminal that changes its size. */
static void a_client_is_not_disturbed(void)
{
	struct loop loop;
	struct control *control = host(&loop);
	char many[5];
	int status = -1;

	CU_ASSERT_EQUAL_FATAL(pipe(rings), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(disturbed_client());
	for (size_t n = 0; n < sizeof many; n++)
		CU_ASSERT_EQUAL(read(rings[0], many, 1), 1);
	while (waitpid(pid, &status, WNOHANG) == 0)
		CU_ASSERT_EQUAL_FATAL(loop_turn(&loop, 1000000), 0);
	CU_ASSERT_EQUAL(status, 0);
	close(rings[0]);
	close(rings[1]);
	no_host(control, &loop);
}

static int client_of_another(void)
{
	json_t *request = json_object(), *reply = NULL;
	struct err err = {0};

	if (setuid(65534))
		return 9;
	int rc = control_ask(path, request, &reply, &err);
	json_decref(request);
	return rc == -EACCES && strstr(err.msg, "another user's") ? 0 : 1;
}

/* A socket that anybody may have made is not trusted with a guest. */
static void whose_host_it_is_matters(void)
{
	struct loop loop;
	struct control *control;
	int status = -1;

	if (geteuid() != 0)
		return; /* there is no other user to be */
	control = host(&loop);
	CU_ASSERT_EQUAL(chmod(path, 0666), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(client_of_another());
	while (waitpid(pid, &status, WNOHANG) == 0)
		CU_ASSERT_EQUAL_FATAL(loop_turn(&loop, 1000000), 0);
	CU_ASSERT_EQUAL(status, 0);
	no_host(control, &loop);
}

TESTS("live/control", {"asks", asks_are_answered}, {"nobody there", nobody_answers},
      {"long answers", answers_are_as_long_as_they_are}, {"many", clients_are_not_too_many},
      {"files", only_sockets_are_removed}, {"signals", a_client_is_not_disturbed},
      {"other users", whose_host_it_is_matters})
