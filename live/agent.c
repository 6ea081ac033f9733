/*
 * The agent: what runs inside the guest's process, loaded by LD_PRELOAD or, in
 * QEMU, as a plugin.
 *
 * It waits for the program to map the file that BALLAST_RAM names (QEMU's
 * guest memory, or that of a program made for it), lays the VM's window of the
 * pool over that mapping before anybody has touched it, registers it with
 * userfaultfd and hands the descriptor to the manager. From then on a thread
 * does the one thing that the manager cannot do from outside: mapping single
 * pages elsewhere, for sharing.
 *
 * That thread must never wait for the guest nor for guest memory, or the
 * manager would wait for itself: it uses no malloc, no stdio and no locks. The
 * agent keeps its own userfaultfd open: when the last one is closed the kernel
 * forgets the registration and lets the guest's threads run on, on holes. A
 * guest without a manager waits; after the time that the manager gave it is
 * ended.
 */
#include "live/agent.h"
#include "live/qemu_plugin.h"
#include "live/uffd.h"
#include "live/wire_io.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define EXPORT	  __attribute__((visibility("default")))
#define EXIT_LOST 70 /* of a guest that the agent ends */

static struct {
	struct sockaddr_un manager;
	char vm[WIRE_NAME];
	const char *ram; /* the guest's memory, as a file */
	dev_t dev;
	ino_t ino;
	uint64_t size;
	bool armed; /* the file's mapping is still to come */
	int sock, uffd, pool;
	uint8_t *base;
	uint32_t pages;
	uint64_t window;
	uint32_t orphan_s;
	int channel[WIRE_FDS]; /* to the host's balloon; -1 none */
	uint64_t channel_size;
} agent = {.sock = -1, .uffd = -1, .pool = -1, .channel = {-1, -1, -1}};

static void say(const char *a, const char *b)
{
	char line[700] = "ballast: ";
	size_t n = strlen(line);

	for (const char *s[] = {a, b, "\n", NULL}, **p = s; *p; p++) {
		size_t len = strlen(*p);
		if (len > sizeof line - n)
			len = sizeof line - n;
		memcpy(line + n, *p, len);
		n += len;
	}
	if (write(2, line, n) < 0)
		return;
}

static _Noreturn void give_up(const char *what, const char *why)
{
	say(what, why);
	_exit(EXIT_LOST);
}

void agent_give_up(const char *what, const char *why)
{
	give_up(what, why);
}

/* Mapping. Raw system calls: the program's own mmap() is this file's. */

static void *map(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, at, bytes, prot, flags, fd, offset);
}

static bool lay(uint32_t page, uint32_t n, int flags, uint64_t offset)
{
	uint8_t *at = agent.base + ((uint64_t)page << PAGE_SHIFT);
	size_t bytes = (size_t)n << PAGE_SHIFT;

	if (map(at, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED | MAP_NORESERVE, agent.pool,
		(off_t)offset) == MAP_FAILED)
		return false;
	madvise(at, bytes, MADV_NOHUGEPAGE);
	madvise(at, bytes, MADV_DONTFORK);
	return true;
}

static int move(const struct wire_move *m)
{
	uint64_t at = (uint64_t)agent.base + ((uint64_t)m->page << PAGE_SHIFT);
	bool ok = true;

	if (m->n == 0 || m->page >= agent.pages || m->n > agent.pages - m->page)
		return -ERANGE;
	if (m->place == WIRE_UNMAP) {
		ok = madvise((void *)at, (size_t)m->n << PAGE_SHIFT, MADV_DONTNEED) == 0;
		return ok ? 0 : -errno;
	}
	/* A write before the page is registered then goes to a copy, and never to others' page. */
	if (m->place == WIRE_SLOT)
		ok = lay(m->page, 1, MAP_PRIVATE, (uint64_t)m->slot << PAGE_SHIFT);
	else
		ok = lay(m->page, m->n, MAP_SHARED,
			 agent.window + ((uint64_t)m->page << PAGE_SHIFT));
	return ok ? uffd_register(agent.uffd, at, m->place == WIRE_SLOT ? 1 : m->n) : -errno;
}

/* The manager is gone: threads of the guest that touch what is not there wait until the end. */
static _Noreturn void orphaned(void)
{
	struct timespec left = {.tv_sec = agent.orphan_s};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
	give_up("the host is gone: this guest is ended", "");
}

static void *serve(void *arg)
{
	static struct wire w;
	int fd;

	(void)arg;
	while (wire_receive(agent.sock, &w, &fd) > 0) {
		if (fd >= 0)
			close(fd);
		if (w.op != WIRE_MOVE || w.n > WIRE_MOVES)
			continue;
		struct wire done = {.op = WIRE_DONE, .tag = w.tag};
		while (done.n < w.n && done.rc == 0) {
			done.rc = move(&w.move[done.n]);
			done.n += done.rc == 0;
		}
		if (!wire_send(agent.sock, &done, WIRE_SHORT, -1))
			break;
	}
	orphaned();
}

/* Attaching. */

static void open_uffd(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_NEEDED};

	agent.uffd = agent_own((int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
	if (agent.uffd < 0)
		give_up("no right to use userfaultfd for kernel accesses: run the guest as root, "
			"or "
			"set sysctl vm.unprivileged_userfaultfd=1",
			"");
	if (uffd_call(agent.uffd, UFFDIO_API, &api))
		give_up("this kernel's userfaultfd cannot write-protect shared memory: Linux 6.4 "
			"or newer can",
			"");
}

static void expect(struct wire *w, enum wire_op op, int *fd)
{
	if (wire_receive(agent.sock, w, fd) <= 0)
		give_up("the host closed the connection", "");
	if (w->op == WIRE_REFUSED)
		give_up("the host refused: ", w->text);
	if (w->op != op || (op == WIRE_WELCOME && (*fd < 0 || w->version != WIRE_VERSION)))
		give_up("the host is of another version", "");
}

/* What the manager sends after RUN, before the guest goes on. */
static void expect_channel(void)
{
	static struct wire w;

	if (wire_receive_fds(agent.sock, &w, agent.channel) <= 0 || w.op != WIRE_CHANNEL ||
	    agent.channel[WIRE_FDS - 1] < 0)
		give_up("the host is of another version", "");
	agent.channel_size = w.offset;
	for (unsigned i = 0; i < WIRE_FDS; i++)
		agent.channel[i] = agent_own(agent.channel[i]);
}

/*
 * For a balloon driver in this process: the region of memory, the bell that the
 * host rings and the one that it hears, which stay the agent's. -EAGAIN: there is
 * no guest memory yet, or no balloon is wanted.
 */
EXPORT int ballast_agent_channel(int fd[3], size_t *size);

int ballast_agent_channel(int fd[3], size_t *size)
{
	if (agent.channel_size == 0)
		return -EAGAIN;
	memcpy(fd, agent.channel, sizeof agent.channel);
	*size = agent.channel_size;
	return 0;
}

static void connect_manager(void)
{
	agent.sock = agent_own(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	if (agent.sock < 0 ||
	    connect(agent.sock, (struct sockaddr *)&agent.manager, sizeof agent.manager))
		give_up("no host answers at ", agent.manager.sun_path);
}

/* All signals are the program's. */
static void start_thread(void)
{
	sigset_t all, old;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&thread, NULL, serve, NULL))
		give_up("no thread for the agent", "");
	pthread_setname_np(thread, "ballast-agent"); /* it is no part of the guest: live/steal.h */
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void attach(void *base, uint64_t bytes)
{
	static struct wire w;
	int fd;

	agent.base = base;
	agent.pages = (uint32_t)(bytes >> PAGE_SHIFT);
	connect_manager();
	w = (struct wire){.op = WIRE_HELLO,
			  .version = WIRE_VERSION,
			  .base = (uint64_t)base,
			  .pages = agent.pages};
	memcpy(w.vm, agent.vm, sizeof w.vm);
	if (!wire_send(agent.sock, &w, WIRE_SHORT, -1))
		give_up("the host closed the connection", "");
	expect(&w, WIRE_WELCOME, &agent.pool);
	agent.pool = agent_own(agent.pool);
	agent.window = w.offset;
	agent.orphan_s = w.orphan_s;
	open_uffd();
	if (!lay(0, agent.pages, MAP_SHARED, agent.window) ||
	    uffd_register(agent.uffd, (uint64_t)base, agent.pages))
		give_up("guest memory cannot be laid over", "");
	w = (struct wire){.op = WIRE_READY};
	if (!wire_send(agent.sock, &w, WIRE_SHORT, agent.uffd))
		give_up("the host closed the connection", "");
	expect(&w, WIRE_RUN, &fd);
	if (w.n)
		expect_channel();
	start_thread();
}

static bool is_guest_memory(int fd, size_t bytes)
{
	struct stat st;

	return fd >= 0 && bytes == agent.size && fstat(fd, &st) == 0 && st.st_dev == agent.dev &&
	       st.st_ino == agent.ino;
}

/* NOLINTBEGIN(readability-*declaration*): the C library has its own */
EXPORT void *mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
EXPORT void *mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);

void *mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	void *got = map(at, bytes, prot, flags, fd, offset);

	if (agent.armed && got != MAP_FAILED && offset == 0 && is_guest_memory(fd, bytes)) {
		agent.armed = false;
		attach(got, bytes);
	}
	return got;
}

void *mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	return mmap(at, bytes, prot, flags, fd, offset);
}
/* NOLINTEND(readability-*declaration*) */

/* As a plugin of QEMU's. */

/* Where the file is mapped, whole and once; NULL: it is not. */
static void *find_mapping(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long long from, to, offset, inode, end = 0;
	unsigned major, minor;
	void *base = NULL;
	char line[4400];

	while (maps && fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%llx-%llx %*s %llx %x:%x %llu", &from, &to, &offset, &major,
			   &minor, &inode) != 6 ||
		    inode != agent.ino || makedev(major, minor) != agent.dev)
			continue;
		if (offset == 0)
			base = (void *)(uintptr_t)from;
		end = offset + (to - from); /* pieces, if they are, come in their order */
	}
	if (maps)
		fclose(maps);
	return end == agent.size ? base : NULL;
}

EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

/* QEMU has mapped its guest's memory by now, and nothing is in it. */
int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	struct stat st;

	(void)id;
	(void)info;
	(void)argc;
	(void)argv;
	if (!agent.armed)
		return 0;
	agent.armed = false;
	void *base = find_mapping();
	if (!base || stat(agent.ram, &st) || st.st_blocks)
		give_up("QEMU has not mapped the guest's memory, or has used it already", "");
	attach(base, agent.size);
	return 0;
}

static bool copy_name(char *to, size_t size, const char *from)
{
	if (!from || !*from || strlen(from) >= size)
		return false;
	memcpy(to, from, strlen(from) + 1);
	return true;
}

void agent_read_names(void)
{
	agent.manager.sun_family = AF_UNIX;
	if (!copy_name(agent.manager.sun_path, sizeof agent.manager.sun_path,
		       getenv("BALLAST_AGENT_SOCKET")) ||
	    !copy_name(agent.vm, sizeof agent.vm, getenv("BALLAST_VM")))
		give_up("BALLAST_VM and BALLAST_AGENT_SOCKET do not name a VM and its host", "");
}

void agent_attach(void *base, uint64_t bytes)
{
	attach(base, bytes);
}

void agent_leave(void)
{
	agent_disown();
}

__attribute__((constructor)) static void start(void)
{
	const char *ram = getenv("BALLAST_RAM");
	struct stat st;

	if (!ram)
		return;
	agent_read_names();
	if (stat(ram, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0)
		give_up("no such file of guest memory: ", ram);
	agent.ram = ram;
	agent.dev = st.st_dev;
	agent.ino = st.st_ino;
	agent.size = (uint64_t)st.st_size;
	agent.armed = true;
	/* What the guest starts is no guest. */
	unsetenv("LD_PRELOAD");
}
