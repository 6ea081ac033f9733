/* The server of an ivshmem device, with the test as the QEMU that connects. */
#include "test.h"

#include "live/ivshmem.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SIZE 65536

static char path[64];

static struct ivshmem *open_server(void)
{
	struct ivshmem *iv;
	struct err err;

	snprintf(path, sizeof path, "/tmp/ballast-test-ivshmem-%d", (int)getpid());
	CU_ASSERT_EQUAL_FATAL(ivshmem_new(path, SIZE, &iv, &err), 0);
	return iv;
}

static int connect_to(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static bool readable(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* One message as QEMU reads it: its number, and the descriptor or -1. */
static int64_t hear(int fd, int *passed)
{
	int64_t number = -99;
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec io = {&number, sizeof number};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};

	*passed = -1;
	CU_ASSERT_EQUAL_FATAL(recvmsg(fd, &m, MSG_DONTWAIT), 8);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(c), sizeof *passed);
	return number;
}

/* Takes all that a guest gets: memory, the host's bell, its own. */
static void greet(int fd, int *memory, int *host, int *own)
{
	int none;

	CU_ASSERT_EQUAL(hear(fd, &none), 0);
	CU_ASSERT_EQUAL(none, -1);
	CU_ASSERT_EQUAL(hear(fd, &none), 1);
	CU_ASSERT_EQUAL(none, -1);
	CU_ASSERT_EQUAL(hear(fd, memory), -1);
	CU_ASSERT_EQUAL(hear(fd, host), 0);
	CU_ASSERT_EQUAL(hear(fd, own), 1);
	CU_ASSERT_FATAL(*memory >= 0 && *host >= 0 && *own >= 0);
	CU_ASSERT_FALSE(readable(fd));
}

static void one_guest(void)
{
	struct ivshmem *iv = open_server();
	int memory, host, own;
	struct err err;
	uint64_t one = 1;

	CU_ASSERT_FALSE(readable(ivshmem_listener(iv)));
	CU_ASSERT_EQUAL(ivshmem_serve(iv, &err), 0); /* nobody there: nothing happens */
	ivshmem_ring(iv);
	int fd = connect_to();
	CU_ASSERT_TRUE(readable(ivshmem_listener(iv)));
	CU_ASSERT_EQUAL(ivshmem_serve(iv, &err), 0);
	greet(fd, &memory, &host, &own);
	char *seen = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	CU_ASSERT_FATAL(seen != MAP_FAILED);
	memcpy((char *)ivshmem_region(iv) + SIZE - 16, "from the host", 14);
	CU_ASSERT_STRING_EQUAL(seen + SIZE - 16, "from the host");
	CU_ASSERT_FALSE(ivshmem_rung(iv));
	CU_ASSERT_EQUAL(write(host, &one, 8), 8);
	CU_ASSERT_TRUE(readable(ivshmem_bell(iv)));
	CU_ASSERT_TRUE(ivshmem_rung(iv));
	CU_ASSERT_FALSE(ivshmem_rung(iv));
	CU_ASSERT_FALSE(readable(own));
	ivshmem_ring(iv);
	CU_ASSERT_TRUE(readable(own));
	munmap(seen, SIZE);
	close(fd);
	int next = connect_to(); /* the guest was started again */
	CU_ASSERT_EQUAL(ivshmem_serve(iv, &err), 0);
	close(memory);
	close(host);
	close(own);
	greet(next, &memory, &host, &own);
	close(next);
	close(memory);
	close(host);
	close(own);
	ivshmem_free(iv);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
}

/* One that leaves before it is greeted harms nobody. */
static void gone_at_once(void)
{
	struct ivshmem *iv = open_server();
	struct err err;

	close(connect_to());
	CU_ASSERT_EQUAL(ivshmem_serve(iv, &err), 0);
	ivshmem_ring(iv);
	ivshmem_free(iv);
}

static void refused(void)
{
	struct ivshmem *iv = open_server(), *other;
	char longer[300];
	struct err err;

	CU_ASSERT_EQUAL(ivshmem_new(path, SIZE, &other, &err), -EADDRINUSE);
	CU_ASSERT_EQUAL(access(path, F_OK), 0); /* the first one's */
	CU_ASSERT_EQUAL(ivshmem_new("/tmp/x", 5000, &other, &err), -EINVAL);
	CU_ASSERT_EQUAL(ivshmem_new("/tmp/x", 2048, &other, &err), -EINVAL);
	CU_ASSERT_EQUAL(ivshmem_new("/nowhere/x", SIZE, &other, &err), -ENOENT);
	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	CU_ASSERT_EQUAL(ivshmem_new(longer, SIZE, &other, &err), -EINVAL);
	ivshmem_free(iv);
	ivshmem_free(NULL);
}

TESTS("live/ivshmem", {"one guest", one_guest}, {"gone at once", gone_at_once},
      {"refused", refused})
