/* Agents connect, guests live and die. */
#include "live/channel.h"
#include "live/private.h"
#include "live/uffd.h"
#include "live/wire_io.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define STALE_MOST 4 /* answers that were not asked for */
#define MOVE_PATIENCE_MS                                                                           \
	10000 /* an agent that does not answer for that long has lost its guest                    \
	       */

#define CALLERS_MOST 64 /* at a time: the one that came first makes room for one more */

/* A connection whose HELLO is still to come. */
struct caller {
	struct live *live;
	struct caller *next; /* that came before */
	struct watch sock;
};

static void caller_free(struct caller *c)
{
	loop_close(&c->live->loop, &c->sock);
	free(c);
}

static void caller_leaves(struct caller *c)
{
	struct caller **at = &c->live->callers;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	caller_free(c);
}

static void refuse(int sock, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void refuse(int sock, const char *fmt, ...)
{
	struct wire w = {.op = WIRE_REFUSED, .version = WIRE_VERSION};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w.text, sizeof w.text, fmt, ap);
	va_end(ap);
	if (!wire_send(sock, &w, sizeof w, -1))
		return; /* it is gone, which is as well */
}

/* The end of a guest. */

static void signal_guest(const struct live_vm *v, int sig)
{
	if (v->process.fd >= 0)
		syscall(SYS_pidfd_send_signal, v->process.fd, sig, NULL, 0);
}

/* Closes what is open. */
static void let_go(struct live_vm *v)
{
	struct loop *loop = &v->live->loop;

	thread_end(v);
	loop_close(loop, &v->uffd);
	loop_close(loop, &v->sock);
	loop_close(loop, &v->process);
	if (v->pagemap >= 0)
		close(v->pagemap);
	v->pagemap = -1;
}

/* The process is no more, or never was: its memory goes back. */
static void bury(struct live_vm *v)
{
	let_go(v);
	v->state = LIVE_GONE;
	if (v->why.exit_code)
		vm_fail(v->vm, &v->why);
	else
		vm_end(v->vm, "its process has ended");
	channel_close(v);
	/* First: a manager that dies in between must not find a guest without descriptors. */
	arena_drop(&v->live->arena, v->record);
	for (unsigned i = 0; i < KEPT_EACH; i++)
		kept_put(v->live->kept, kept_place(v) + i, -1);
	v->at = NULL;
	v->record = NULL;
}

static void process_ready(struct watch *w, uint32_t events)
{
	(void)events;
	bury(w->owner);
}

void attach_fail(struct live_vm *v, const struct err *why)
{
	if (v->state == LIVE_DYING || v->state == LIVE_GONE)
		return;
	v->why = *why;
	v->state = LIVE_DYING; /* its memory goes back when nobody can touch it any more */
	signal_guest(v, SIGKILL);
}

void attach_hold(struct live_vm *v, bool on)
{
	signal_guest(v, on ? SIGSTOP : SIGCONT);
}

void attach_stop(struct live_vm *v, bool kill)
{
	if (v->state == LIVE_EXPECTED)
		bury(v);
	else
		signal_guest(v, kill ? SIGKILL : SIGTERM);
}

/* Moves. */

/* Whether it says anything, before the patience is at its end; a signal to the host is no end. */
static bool is_heard(const struct live_vm *v)
{
	struct pollfd answer = {v->sock.fd, POLLIN, 0};
	int rc;

	do
		rc = poll(&answer, 1, MOVE_PATIENCE_MS);
	while (rc < 0 && errno == EINTR);
	return rc == 1;
}

static int ask(struct live_vm *v, struct wire *w, size_t size)
{
	const uint32_t tag = ++v->live->tag;
	int fd;

	w->op = WIRE_MOVE;
	w->tag = tag;
	if (!wire_send(v->sock.fd, w, size, -1))
		return -ESRCH;
	/*
	 * Nothing that the agent does waits for the manager. A process that
	 * is stopped from outside does not answer: its guest goes, not the host.
	 * Before this answer there may be one to a manager that has died.
	 */
	for (int stale = 0; stale < STALE_MOST; stale++) {
		if (!is_heard(v))
			return -ETIMEDOUT;
		ssize_t n = wire_receive(v->sock.fd, w, &fd);
		if (fd >= 0)
			close(fd);
		if (n <= 0)
			return -ESRCH;
		if (w->op != WIRE_DONE)
			return -EPROTO;
		if (w->tag == tag)
			return w->rc;
	}
	return -EPROTO;
}

int attach_move(struct live_vm *v, const struct wire_move *move, uint32_t n)
{
	struct wire w = {.n = n};

	memcpy(w.move, move, n * sizeof *move);
	return v->state == LIVE_RUNNING ? ask(v, &w, WIRE_SHORT + n * sizeof *move) : -ESRCH;
}

int attach_sync(struct live_vm *v)
{
	struct wire w = {.n = 0};

	return ask(v, &w, WIRE_SHORT);
}

/*
 * The agent speaks only when it is asked, so this is its end, and mostly that
 * of its process. If not, it is made so: there is no guest without an agent.
 */
static void sock_gone(struct live_vm *v)
{
	static const struct err no_reason;

	loop_close(&v->live->loop, &v->sock);
	attach_fail(v, &no_reason);
}

/* Attaching. */

static int open_pagemap(struct live_vm *v)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/%d/pagemap", (int)v->pid);
	v->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	return v->pagemap < 0 ? -errno : 0;
}

int attach_watch(struct live_vm *v)
{
	struct loop *loop = &v->live->loop;
	int rc = loop_watch(loop, &v->process, EPOLLIN);

	rc = rc ? rc : open_pagemap(v);
	rc = rc ? rc : loop_watch(loop, &v->sock, EPOLLRDHUP);
	return rc ? rc : thread_start(v);
}

/* From now on the guest outlives this manager. */
static void keep(struct live_vm *v)
{
	const struct kept *kept = v->live->kept;

	kept_put(kept, kept_place(v) + KEPT_UFFD, v->uffd.fd);
	kept_put(kept, kept_place(v) + KEPT_SOCK, v->sock.fd);
	kept_put(kept, kept_place(v) + KEPT_PROCESS, v->process.fd);
	v->record->pid = v->pid;
	v->record->base = v->base;
	__atomic_store_n(&v->record->used, 1, __ATOMIC_RELEASE);
}

/* What an agent sends may be anything that can be read for ever, or never. */
static bool is_uffd(int fd)
{
	static const char name[] = "anon_inode:[userfaultfd]";
	char path[40], is[sizeof name];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return readlink(path, is, sizeof is) == sizeof name - 1 &&
	       memcmp(is, name, sizeof name - 1) == 0;
}

static int run_guest(struct live_vm *v, int uffd)
{
	const bool channel = v->record->channel == CHANNEL_PROCESS;
	struct wire w = {.op = WIRE_RUN, .version = WIRE_VERSION, .n = channel};

	v->uffd.fd = uffd;
	fcntl(uffd, F_SETFL, O_NONBLOCK);
	int rc = is_uffd(uffd) ? open_pagemap(v) : -EPROTO;
	rc = rc ? rc : loop_change(&v->live->loop, &v->sock, EPOLLRDHUP);
	rc = rc ? rc : thread_start(v);
	if (rc)
		return rc;
	keep(v);
	v->state = LIVE_RUNNING;
	host_event(v->live->host, v->vm, "started", "process %d", (int)v->pid);
	if (!wire_send(v->sock.fd, &w, WIRE_SHORT, -1) || (channel && !channel_hand_over(v)))
		return -ESRCH;
	return 0;
}

static void sock_ready(struct watch *s, uint32_t events)
{
	struct live_vm *v = s->owner;
	struct pollfd still = {s->fd, POLLIN, 0};
	struct wire w;
	struct err err;
	int fd;

	(void)events;
	if (poll(&still, 1, 0) != 1)
		return; /* it was an answer, and who asked has it */
	ssize_t n = wire_receive(s->fd, &w, &fd);
	if (n > 0 && w.op == WIRE_READY && fd >= 0 && v->state == LIVE_ATTACHING) {
		int rc = run_guest(v, fd);
		if (rc == 0)
			return;
		refuse(s->fd, "vm %s cannot be attached: %s", v->vm->name, strerror(-rc));
		err_run(&err, -rc, "it cannot be attached: %s", strerror(-rc));
		attach_fail(v, &err);
		return;
	}
	if (fd >= 0)
		close(fd);
	sock_gone(v);
}

static int peer(int sock, struct ucred *cred)
{
	socklen_t size = sizeof *cred;

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, cred, &size) ? -errno : 0;
}

/* Makes the connection that of the VM which waits for it. */
static int adopt(struct live_vm *v, int sock, pid_t pid, const struct wire *hello)
{
	const struct pool *pool = pool_of(&v->live->host->machine);
	struct wire w = {.op = WIRE_WELCOME,
			 .version = WIRE_VERSION,
			 .offset = pool->window[v->vm->id].offset,
			 .orphan_s = (uint32_t)(v->live->opts.orphan / 1000000000u)};

	v->process.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (v->process.fd < 0)
		return -errno;
	v->sock.fd = sock;
	v->pid = pid;
	v->base = hello->base;
	v->state = LIVE_ATTACHING;
	int rc = loop_watch(&v->live->loop, &v->process, EPOLLIN);
	if (rc == 0)
		rc = loop_watch(&v->live->loop, &v->sock, EPOLLIN);
	if (rc == 0 && !wire_send(sock, &w, WIRE_SHORT, pool->fd))
		rc = -ESRCH;
	return rc;
}

static void hello(struct live *live, int sock, const struct wire *w)
{
	struct live_vm *v = live_find(live, w->vm);
	struct ucred cred = {0};
	struct err err;

	if (w->op != WIRE_HELLO || w->version != WIRE_VERSION)
		refuse(sock, "the agent is of another version than the host");
	else if (peer(sock, &cred) || cred.uid != geteuid())
		refuse(sock, "this host is user %u's, and so must its guests be", geteuid());
	else if (!v || v->state != LIVE_EXPECTED)
		refuse(sock, "no guest named %s is expected: use 'ballast vm start'", w->vm);
	else if (w->pages != v->vm->pages)
		refuse(sock, "vm %s has %u pages, and its process maps %u", w->vm, v->vm->pages,
		       w->pages);
	else if (w->base & (PAGE_SIZE - 1))
		refuse(sock, "vm %s: its memory does not begin at a page", w->vm);
	else {
		int rc = adopt(v, sock, cred.pid, w);
		if (rc == 0)
			return;
		err_run(&err, -rc, "it cannot be attached: %s", strerror(-rc));
		attach_fail(v, &err);
		if (v->process.fd >= 0)
			return;
		bury(v);
	}
	close(sock);
}

/* The way to the ivshmem device of a QEMU that is about to be started. */
static void device(struct live *live, int sock, const struct wire *w, int qemu)
{
	struct wire done = {.op = WIRE_DONE, .version = WIRE_VERSION};
	struct live_vm *v = live_find(live, w->vm);
	struct ucred cred = {0};

	if (w->version != WIRE_VERSION || peer(sock, &cred) || cred.uid != geteuid() || !v ||
	    v->state != LIVE_EXPECTED || !v->channel) {
		close(qemu);
		refuse(sock, "no guest named %s is expected to have a balloon device", w->vm);
	} else {
		done.rc = channel_greet(v->channel, qemu);
		if (!wire_send(sock, &done, WIRE_SHORT, -1))
			host_event(live->host, v->vm, "left alone", "who starts it is gone");
	}
	close(sock);
}

static void caller_ready(struct watch *s, uint32_t events)
{
	struct caller *c = s->owner;
	struct live *live = c->live;
	struct wire w;
	int fd, sock = dup(s->fd);

	(void)events;
	ssize_t n = wire_receive(s->fd, &w, &fd);
	caller_leaves(c);
	if (n > 0 && sock >= 0) {
		fcntl(sock, F_SETFD, FD_CLOEXEC);
		if (w.op == WIRE_DEVICE && fd >= 0) {
			device(live, sock, &w, fd);
			return;
		}
		hello(live, sock, &w);
	} else if (sock >= 0) {
		close(sock);
	}
	if (fd >= 0)
		close(fd);
}

/* There is room for one more. */
static void make_room(struct live *live)
{
	struct caller *first = live->callers;
	unsigned n = 1;

	for (; first && first->next; n++)
		first = first->next;
	if (first && n >= CALLERS_MOST)
		caller_leaves(first);
}

static void listener_ready(struct watch *s, uint32_t events)
{
	struct live *live = s->owner;
	struct caller *c = calloc(1, sizeof *c);
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (!c || fd < 0) {
		free(c);
		if (fd >= 0)
			close(fd);
		return;
	}
	make_room(live);
	*c = (struct caller){live, live->callers, {fd, caller_ready, c}};
	live->callers = c;
	if (loop_watch(&live->loop, &c->sock, EPOLLIN))
		caller_leaves(c);
}

int attach_listen(struct live *live, const char *path, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof address.sun_path)
		return err_input(err, "%s: a socket's name has at most %zu characters", path,
				 sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	live->socket = strdup(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old = umask(0177);
	int rc = fd < 0 || !live->socket || bind(fd, (struct sockaddr *)&address, sizeof address) ||
				 listen(fd, 64)
			 ? -errno
			 : 0;
	umask(old);
	live->listener = (struct watch){fd, listener_ready, live};
	if (rc == 0)
		rc = loop_watch(&live->loop, &live->listener, EPOLLIN);
	return rc ? err_run(err, -rc, "%s: no socket for agents there: %s", path, strerror(-rc))
		  : 0;
}

void attach_close(struct live *live)
{
	if (live->listener.fd < 0)
		return;
	for (struct caller *c = live->callers, *next; c; c = next) {
		next = c->next;
		caller_free(c);
	}
	live->callers = NULL;
	loop_close(&live->loop, &live->listener);
	unlink(live->socket);
}

void attach_ready(struct live_vm *v)
{
	v->uffd = (struct watch){-1, NULL, v}; /* its thread's */
	v->sock = (struct watch){-1, sock_ready, v};
	v->process = (struct watch){-1, process_ready, v};
	v->pagemap = -1;
}

void attach_drop(struct live_vm *v)
{
	signal_guest(v, SIGKILL);
	let_go(v);
}
