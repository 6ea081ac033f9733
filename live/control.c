#include "live/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MOST   65536
#define PATIENCE_MS 30000
#define DIAL_TRIES  20 /* of 50 ms */

struct control {
	struct loop *loop;
	struct watch listener;
	char *path;
	answer_fn *answer;
	void *ctx;
	struct client *clients;
};

struct client {
	struct control *control;
	struct client *next;
	struct watch sock;
	size_t n; /* bytes of the line so far */
	char line[LINE_MOST];
};

static int address_of(const char *path, struct sockaddr_un *address, struct err *err)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address->sun_path)
		return err_input(err, "%s: a socket's name has at most %zu characters", path,
				 sizeof address->sun_path - 1);
	memcpy(address->sun_path, path, strlen(path) + 1);
	return 0;
}

/* Server. */

static void client_free(struct client *c)
{
	loop_close(c->control->loop, &c->sock);
	free(c);
}

static void client_leaves(struct client *c)
{
	struct client **at = &c->control->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	client_free(c);
}

static json_t *refusal(const char *why)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", why);
}

/* Answers one line. False if the client is lost. */
static bool answer_line(struct client *c, const char *line, size_t n)
{
	json_error_t bad;
	json_t *request = json_loadb(line, n, 0, &bad);
	json_t *reply = request ? c->control->answer(c->control->ctx, request)
				: refusal("that line is not JSON");
	char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
	bool ok = text != NULL;

	if (ok) {
		size_t len = strlen(text);
		text[len] = '\n'; /* in place of the final 0 */
		ok = send(c->sock.fd, text, len + 1, MSG_NOSIGNAL | MSG_DONTWAIT) ==
		     (ssize_t)len + 1;
	}
	free(text);
	json_decref(reply);
	json_decref(request);
	return ok;
}

static void client_ready(struct watch *w, uint32_t events)
{
	struct client *c = w->owner;
	ssize_t got = recv(w->fd, c->line + c->n, sizeof c->line - c->n, MSG_DONTWAIT);
	bool ok = got > 0 || (got < 0 && errno == EAGAIN);
	char *end;

	(void)events;
	c->n += got > 0 ? (size_t)got : 0;
	while (ok && (end = memchr(c->line, '\n', c->n)) != NULL) {
		size_t len = (size_t)(end - c->line);
		ok = answer_line(c, c->line, len);
		c->n -= len + 1;
		memmove(c->line, end + 1, c->n);
	}
	if (!ok || c->n == sizeof c->line)
		client_leaves(c);
}

/* The file's mode lets in its owner and root; this holds where modes are not honoured. */
static bool welcome(int sock)
{
	struct ucred cred;
	socklen_t size = sizeof cred;

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 &&
	       (cred.uid == geteuid() || cred.uid == 0);
}

static void listener_ready(struct watch *w, uint32_t events)
{
	struct control *control = w->owner;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
	struct client *c = fd >= 0 && welcome(fd) ? calloc(1, sizeof *c) : NULL;

	(void)events;
	if (!c) {
		if (fd >= 0)
			close(fd);
		return;
	}
	*c = (struct client){.control = control, .next = control->clients};
	c->sock = (struct watch){fd, client_ready, c};
	control->clients = c;
	if (loop_watch(control->loop, &c->sock, EPOLLIN))
		client_leaves(c);
}

int control_in_use(const char *path, struct err *err)
{
	struct sockaddr_un address;
	char agents[sizeof address.sun_path + 8];
	int fd, rc = address_of(path, &address, err);

	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_run(err, errno, "no socket: %s", strerror(errno));
	bool used = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
	/* Without a socket, too: one may have died between making the agents' and its own. */
	bool dead = !used && (errno == ECONNREFUSED || errno == ENOENT);
	close(fd);
	if (used)
		return err_run(err, EADDRINUSE,
			       "%s: a host is running there already: stop it with 'ballast host "
			       "stop', or give --socket",
			       path);
	if (dead) {
		snprintf(agents, sizeof agents, "%s.agents", path);
		unlink(path);
		unlink(agents);
	}
	return 0;
}

static int listen_at(struct control *control, const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old = umask(0177);
	int rc = fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof *address) ||
				 listen(fd, 16)
			 ? -errno
			 : 0;

	umask(old);
	control->listener = (struct watch){fd, listener_ready, control};
	if (rc == 0)
		control->path = strdup(address->sun_path);
	return rc ? rc : loop_watch(control->loop, &control->listener, EPOLLIN);
}

int control_open(struct loop *loop, const char *path, answer_fn *answer, void *ctx,
		 struct control **out, struct err *err)
{
	struct control *control;
	struct sockaddr_un address;
	int rc = address_of(path, &address, err);

	if (rc)
		return rc;
	control = calloc(1, sizeof *control);
	if (!control)
		return err_run(err, ENOMEM, "no memory for the host's socket");
	control->loop = loop;
	control->answer = answer;
	control->ctx = ctx;
	rc = listen_at(control, &address);
	if (rc) {
		control_close(control);
		return err_run(err, -rc, "%s: no socket there: %s", path, strerror(-rc));
	}
	*out = control;
	return 0;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	for (struct client *c = control->clients, *next; c; c = next) {
		next = c->next;
		client_free(c);
	}
	loop_close(control->loop, &control->listener);
	if (control->path)
		unlink(control->path);
	free(control->path);
	free(control);
}

/* Client. */

static int dial(const char *path, int *sock, struct err *err)
{
	struct sockaddr_un address;
	int rc = address_of(path, &address, err);

	if (rc)
		return rc;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_run(err, errno, "no socket: %s", strerror(errno));
	/* A host whose manager was killed is back within some milliseconds. */
	for (int tries = 0; (rc = connect(fd, (struct sockaddr *)&address, sizeof address)) != 0 &&
			    errno == ECONNREFUSED && tries < DIAL_TRIES;
	     tries++)
		usleep(50000);
	if (rc) {
		rc = errno;
		close(fd);
		if (rc == EACCES)
			return err_run(err, rc, "%s: that host is another user's", path);
		return err_run(err, rc,
			       "%s: no host is running there: start one with 'ballast "
			       "host start'",
			       path);
	}
	*sock = fd;
	return 0;
}

static int send_line(int sock, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;

	if (!text)
		return -ENOMEM;
	text[len] = '\n';
	ssize_t n = send(sock, text, len + 1, MSG_NOSIGNAL);
	free(text);
	return n == (ssize_t)len + 1 ? 0 : -EPIPE;
}

/* Reads up to the end of a line; *text is the caller's. */
static int receive_line(int sock, char **text)
{
	struct pollfd more = {sock, POLLIN, 0};
	char *buf = NULL, part[4096];
	size_t n = 0;
	ssize_t got = 1;

	while (n == 0 || buf[n - 1] != '\n') {
		if (poll(&more, 1, PATIENCE_MS) != 1) {
			free(buf);
			return -ETIMEDOUT;
		}
		got = recv(sock, part, sizeof part, 0);
		char *grown = got > 0 ? realloc(buf, n + (size_t)got + 1) : NULL;
		if (!grown) {
			free(buf);
			return got > 0 ? -ENOMEM : -EPIPE;
		}
		buf = grown;
		memcpy(buf + n, part, (size_t)got);
		n += (size_t)got;
		buf[n] = '\0';
	}
	*text = buf;
	return 0;
}

static int understand(const char *path, json_t *reply, struct err *err)
{
	const char *error;

	if (json_is_true(json_object_get(reply, "ok")))
		return 0;
	error = json_string_value(json_object_get(reply, "error"));
	return err_run(err, EREMOTEIO, "%s", error ? error : path);
}

int control_ask(const char *path, const json_t *request, json_t **reply, struct err *err)
{
	json_error_t bad;
	char *text = NULL;
	int sock, rc = dial(path, &sock, err);

	if (rc)
		return rc;
	rc = send_line(sock, request);
	if (rc == 0)
		rc = receive_line(sock, &text);
	close(sock);
	if (rc)
		return err_run(err, -rc, "%s: the host did not answer: %s", path, strerror(-rc));
	*reply = json_loads(text, 0, &bad);
	free(text);
	if (!*reply)
		return err_run(err, EPROTO, "%s: the host's answer is not JSON", path);
	rc = understand(path, *reply, err);
	if (rc) {
		json_decref(*reply);
		*reply = NULL;
	}
	return rc;
}
