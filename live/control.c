#include "live/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MOST    65536
#define CLIENTS_MOST 64 /* at a time: the one that came first makes room for one more */
#define PATIENCE_MS  30000
#define DIAL_TRIES   20 /* of 50 ms */

struct control {
	struct loop *loop;
	struct watch listener;
	char *path;
	answer_fn *answer;
	void *ctx;
	struct client *clients; /* the last that came first */
};

struct client {
	struct control *control;
	struct client *next;
	struct watch sock;
	char *reply; /* what it has not taken yet; until then it is not listened to */
	size_t reply_n, sent;
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
	free(c->reply);
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

/* Sends what the client takes of its reply. False if it is lost. */
static bool send_reply(struct client *c)
{
	ssize_t n = send(c->sock.fd, c->reply + c->sent, c->reply_n - c->sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->sent += (size_t)n;
	if (c->sent == c->reply_n) {
		free(c->reply);
		c->reply = NULL;
	}
	return true;
}

/* Answers one line. False if the client is lost. */
static bool answer_line(struct client *c, const char *line, size_t n)
{
	json_error_t bad;
	json_t *request = json_loadb(line, n, 0, &bad);
	json_t *reply = request ? c->control->answer(c->control->ctx, request)
				: refusal("that line is not JSON");

	c->reply = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
	json_decref(reply);
	json_decref(request);
	if (!c->reply)
		return false;
	c->reply_n = strlen(c->reply) + 1;
	c->reply[c->reply_n - 1] = '\n'; /* in place of the final 0 */
	c->sent = 0;
	return send_reply(c);
}

/* Answers the lines that are there, while the client takes the answers. False: it is lost. */
static bool answer_lines(struct client *c)
{
	const char *end = NULL;
	bool ok = true;

	while (ok && !c->reply && (end = memchr(c->line, '\n', c->n)) != NULL) {
		size_t len = (size_t)(end - c->line);
		ok = answer_line(c, c->line, len);
		c->n -= len + 1;
		memmove(c->line, end + 1, c->n);
	}
	return ok && (c->reply || c->n < sizeof c->line);
}

static void client_ready(struct watch *w, uint32_t events)
{
	struct client *c = w->owner;
	bool ok = !c->reply || send_reply(c);
	const bool listens = ok && !c->reply;

	if (listens && events & ~(uint32_t)EPOLLOUT) {
		ssize_t got = recv(w->fd, c->line + c->n, sizeof c->line - c->n, MSG_DONTWAIT);
		ok = got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
		c->n += got > 0 ? (size_t)got : 0;
	}
	ok = ok && (!listens || answer_lines(c)) &&
	     loop_change(c->control->loop, w, c->reply ? EPOLLOUT : EPOLLIN) == 0;
	if (!ok)
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

/* There is room for one more. */
static void make_room(struct control *control)
{
	struct client *first = control->clients;
	unsigned n = 1;

	for (; first && first->next; n++)
		first = first->next;
	if (first && n >= CLIENTS_MOST)
		client_leaves(first);
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
	make_room(control);
	c->control = control;
	c->next = control->clients;
	c->sock = (struct watch){fd, client_ready, c};
	control->clients = c;
	if (loop_watch(control->loop, &c->sock, EPOLLIN))
		client_leaves(c);
}

/* Nobody's any more; anything else that lies there is not for us to remove. */
static void unlink_socket(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
}

void control_clear(const char *path)
{
	char agents[sizeof((struct sockaddr_un *)0)->sun_path + 8];

	snprintf(agents, sizeof agents, "%s.agents", path);
	unlink_socket(agents);
}

int control_in_use(const char *path, struct err *err)
{
	struct sockaddr_un address;
	struct stat st;
	int fd, rc = address_of(path, &address, err);

	if (rc)
		return rc;
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_input(
			err, "%s: there is something, and no socket: give another --socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_run(err, errno, "no socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)&address, sizeof address) ? errno : EADDRINUSE;
	close(fd);
	if (rc == ENOENT || rc == ECONNREFUSED)
		return 0;
	return rc == EADDRINUSE ? err_run(err, rc, CONTROL_IN_USE, path)
				: err_run(err, rc, "%s: a socket is there, and no host's: %s", path,
					  strerror(rc));
}

/*
 * Beside the path first, then in the place of what a host that died left there:
 * a client that waits for the next finds a socket at all times.
 */
static int listen_at(struct control *control, const char *path)
{
	struct sockaddr_un beside = {.sun_family = AF_UNIX};

	if (snprintf(beside.sun_path, sizeof beside.sun_path, "%s.new", path) >=
	    (int)sizeof beside.sun_path)
		return -ENAMETOOLONG;
	unlink_socket(beside.sun_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old = umask(0177);
	int rc = fd < 0 || bind(fd, (const struct sockaddr *)&beside, sizeof beside) ? -errno : 0;

	umask(old);
	control->listener = (struct watch){fd, listener_ready, control};
	if (rc)
		return rc;
	control->path = strdup(path);
	if (!control->path)
		rc = -ENOMEM;
	else if (listen(fd, 16) || rename(beside.sun_path, path))
		rc = -errno;
	if (rc) {
		unlink(beside.sun_path);
		free(control->path);
		control->path = NULL; /* not ours to remove */
		return rc;
	}
	return loop_watch(control->loop, &control->listener, EPOLLIN);
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
	rc = listen_at(control, path);
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

/* Who listens is whom its user may trust with guests: anybody can make a socket in /tmp. */
static bool is_ours(int sock)
{
	struct ucred cred;
	socklen_t size = sizeof cred;

	return geteuid() == 0 || (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 &&
				  cred.uid == geteuid());
}

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
			    (errno == ECONNREFUSED || errno == EINTR) && tries < DIAL_TRIES;
	     tries++)
		usleep(50000);
	rc = rc ? errno : is_ours(fd) ? 0 : EACCES;
	if (rc) {
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
	text[len++] = '\n';
	size_t sent = 0;
	ssize_t n = 0;
	while (sent < len && (n >= 0 || errno == EINTR)) {
		n = send(sock, text + sent, len - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	}
	free(text);
	return sent == len ? 0 : -EPIPE;
}

/* Waits for more; a signal, like that of a terminal of another size, does not matter. */
static bool is_there_more(int sock)
{
	struct pollfd more = {sock, POLLIN, 0};
	int rc;

	do
		rc = poll(&more, 1, PATIENCE_MS);
	while (rc < 0 && errno == EINTR);
	return rc == 1;
}

/* Reads up to the end of a line; *text is the caller's. */
static int receive_line(int sock, char **text)
{
	char *buf = NULL, part[16384];
	size_t n = 0;
	ssize_t got = 1;

	while (n == 0 || buf[n - 1] != '\n') {
		if (!is_there_more(sock)) {
			free(buf);
			return -ETIMEDOUT;
		}
		got = recv(sock, part, sizeof part, MSG_DONTWAIT);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
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
