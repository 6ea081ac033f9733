/*
 * Guests whose processes mean harm to their host, with the descriptors that
 * they share with it: a userfaultfd that is made to block, or read empty; one
 * opened for events that no agent asks for, each of which would cost the host a
 * descriptor or have the kernel refuse its calls; something else in its place.
 * Each is ended with a reason and leaves nothing; a neighbour, whose pages are
 * checked, runs on.
 */
#include "live.h"

#include "live/uffd.h"
#include "live/wire_io.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define PAGES  1024
#define SECOND UINT64_C(1000000000)

/* The guests. */

static const char *role;
static int uffd;
static uint8_t *memory;

static void touch_all(void)
{
	for (size_t i = 0; i < PAGES; i++)
		memory[i * PAGE_SIZE]++;
}

/* The agent's, of this process. */
static int find_uffd(void)
{
	char path[40], is[40];

	for (int fd = 3; fd < 1024; fd++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, is, sizeof is - 1);
		is[n > 0 ? n : 0] = '\0';
		if (strcmp(is, "anon_inode:[userfaultfd]") == 0)
			return fd;
	}
	_exit(10);
}

static void *toggle(void *arg)
{
	(void)arg;
	for (unsigned i = 0;; i++)
		fcntl(uffd, F_SETFL, i % 8 ? O_NONBLOCK : 0);
	return NULL;
}

/* Takes events away from the host, which finds none where it was told of some. */
static void *steal(void *arg)
{
	struct uffd_msg msg;

	(void)arg;
	for (;;) {
		if (read(uffd, &msg, sizeof msg) == sizeof msg)
			uffd_wake(uffd, (uint64_t)memory, PAGES);
	}
	return NULL;
}

/* Changes its map: each time the kernel tells the host of it first, and refuses calls meanwhile. */
static void *drop(void *arg)
{
	(void)arg;
	for (;;)
		madvise(memory, PAGES / 2 * PAGE_SIZE, MADV_DONTNEED);
	return NULL;
}

static void begin(void *(*what)(void *arg))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, what, NULL))
		_exit(11);
}

static void under_the_agent(const char *file)
{
	int fd = open(file, O_RDWR);

	memory = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		_exit(12);
	uffd = find_uffd();
	touch_all();
	if (strcmp(role, "blocks") == 0) {
		fcntl(uffd, F_SETFL, 0);
		madvise(memory, PAGES * PAGE_SIZE, MADV_DONTNEED);
		touch_all();
	} else {
		begin(steal);
		begin(toggle);
		for (;;) {
			madvise(memory, PAGES * PAGE_SIZE, MADV_DONTNEED);
			touch_all();
		}
	}
	for (;;)
		pause();
}

static void tell(int sock, struct wire w, int fd)
{
	w.version = WIRE_VERSION;
	if (!wire_send(sock, &w, WIRE_SHORT, fd))
		_exit(13);
}

/* An agent of its own: what the host hears of, it says itself. */
static int attach(int wrong)
{
	struct uffdio_api api = {.api = UFFD_API,
				 .features = UFFD_NEEDED | UFFD_FEATURE_EVENT_FORK |
					     UFFD_FEATURE_EVENT_REMOVE};
	struct sockaddr_un host = {.sun_family = AF_UNIX};
	int fd, sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	struct wire w = {.op = WIRE_HELLO, .pages = PAGES};

	snprintf(host.sun_path, sizeof host.sun_path, "%s", getenv("BALLAST_AGENT_SOCKET"));
	memory = mmap(NULL, PAGES * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (connect(sock, (struct sockaddr *)&host, sizeof host))
		_exit(14);
	w.base = (uint64_t)memory;
	snprintf(w.vm, sizeof w.vm, "%s", getenv("BALLAST_VM"));
	tell(sock, w, -1);
	if (wire_receive(sock, &w, &fd) <= 0 || w.op != WIRE_WELCOME)
		_exit(15);
	uffd = (int)syscall(SYS_userfaultfd, O_NONBLOCK);
	if (uffd_call(uffd, UFFDIO_API, &api) ||
	    mmap(memory, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)w.offset) == MAP_FAILED ||
	    uffd_register(uffd, (uint64_t)memory, PAGES))
		_exit(16);
	tell(sock, (struct wire){.op = WIRE_READY}, wrong >= 0 ? wrong : uffd);
	while (wire_receive(sock, &w, &fd) <= 0 || w.op != WIRE_RUN)
		pause(); /* refused: the host is to end it */
	return sock;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void without(void)
{
	int ends[2];

	signal(SIGUSR1, on_signal);
	if (strcmp(role, "pipe") == 0) {
		if (pipe(ends))
			_exit(18);
		attach(ends[0]);
	} else {
		attach(-1);
	}
	if (strcmp(role, "forks") == 0) {
		for (;;)
			if (fork() == 0)
				_exit(0);
	}
	touch_all();
	if (strcmp(role, "waits") == 0)
		pause();
	if (strcmp(role, "maps") == 0)
		begin(steal);
	begin(drop);
	begin(drop);
	drop(NULL);
}

/* Before the libraries' and the tests' own: argv is not there yet for every libc. */
__attribute__((constructor)) static void as_guest(void)
{
	role = getenv("ROLE");
	if (!role)
		return;
	if (strcmp(role, "blocks") == 0 || strcmp(role, "toggles") == 0)
		under_the_agent(getenv("BALLAST_RAM"));
	without();
}

/* The host. */

static struct live_vm *guest(struct live_test *t, const char *what)
{
	const char *argv[] = {"hostile", NULL, NULL};
	struct live_vm *v;
	struct err err;

	live_need(live_add(t->live, what, NULL, PAGES, &v, &err), &err);
	live_spawn(t, v, "/proc/self/exe", argv, what);
	return v;
}

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

static void run_until(struct live_test *t, const struct live_vm *v, enum live_state state)
{
	for (int i = 0; i < 600 && v->state != state; i++)
		live_run_for(t, SECOND / 20);
	CU_ASSERT_EQUAL_FATAL(v->state, state);
}

/* The i-th guest is gone, and was not let go for nothing. */
static void ended(struct live_test *t, size_t i)
{
	const struct live_vm *v = live_at(t->live, i);
	int status;

	run_until(t, v, LIVE_GONE);
	CU_ASSERT_EQUAL(v->vm->state, VM_FAILED);
	printf("  %s: %s\n", v->vm->name, v->why.msg);
	CU_ASSERT_TRUE(waitpid(t->guest[i].pid, &status, 0) > 0 && WIFSIGNALED(status));
	close(t->guest[i].out);
}

static void beside_a_neighbour(void)
{
	static const char *const roles[] = {"blocks", "forks", "maps", "pipe"};
	const unsigned before = descriptors();
	unsigned long long ops = 0, bad = 1;
	struct live_test t;

	/* Too little for all of them: pages are evicted meanwhile. */
	live_test_open(&t, (struct live_shape){.frames = 3 * PAGES, .around = 8});
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		guest(&t, roles[i]);
	live_verifier(&t, "neighbour", 2 * PAGES, 2 * PAGES, 2, 2, 3);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		ended(&t, i);
	live_run_for(&t, 60 * SECOND);
	CU_ASSERT_TRUE(live_told(&t, ARRAY_LEN(roles), &ops, &bad));
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_TRUE(ops > 1000);
	CU_ASSERT_EQUAL(t.host->machine.free, t.host->machine.frames);
	CU_ASSERT_EQUAL(live_audit(&t), 0);
	live_test_close(&t);
	CU_ASSERT_EQUAL(descriptors(), before);
}

/* Its thread may be found to be blocked, or its descriptor; in any case it can be ended. */
static void a_race_for_the_events(void)
{
	struct live_test t;
	int status;

	live_test_open(&t, (struct live_shape){.frames = 2 * PAGES, .around = 8});
	struct live_vm *v = guest(&t, "toggles");
	live_run_for(&t, SECOND);
	if (v->state != LIVE_GONE)
		live_stop(v, true);
	run_until(&t, v, LIVE_GONE);
	CU_ASSERT_TRUE(waitpid(t.guest[0].pid, &status, 0) > 0 && WIFSIGNALED(status));
	close(t.guest[0].out);
	CU_ASSERT_EQUAL(live_audit(&t), 0);
	live_test_close(&t);
}

/* Its events unread, the kernel refuses every call for this guest, for ever. */
static void refused_for_ever(void)
{
	struct live_test t;

	live_test_open(&t, (struct live_shape){.frames = 2 * PAGES, .around = 8});
	struct live_vm *v = guest(&t, "waits");
	for (int i = 0; i < 600 && v->vm->pmap->count[PAGE_PRIVATE] < PAGES; i++)
		live_run_for(&t, SECOND / 20);
	CU_ASSERT_EQUAL_FATAL(v->state, LIVE_RUNNING);
	live_run_for(&t, SECOND / 20); /* for it to sleep */
	thread_end(v);
	struct pollfd told = {v->uffd.fd, POLLIN, 0};
	for (int i = 0; i < 200 && poll(&told, 1, 50) == 0; i++)
		kill(v->pid, SIGUSR1);
	CU_ASSERT_EQUAL_FATAL(told.revents, POLLIN);
	fault_protect(t.live, v->vm->id, (ppn_t){0}, 1, true);
	CU_ASSERT_EQUAL(v->state, LIVE_DYING);
	CU_ASSERT_PTR_NOT_NULL(strstr(v->why.msg, "changes all the time"));
	ended(&t, 0);
	CU_ASSERT_EQUAL(live_audit(&t), 0);
	live_test_close(&t);
}

TESTS("live/hostile", {"beside a neighbour", beside_a_neighbour},
      {"a race for the events", a_race_for_the_events}, {"refused for ever", refused_for_ever})
