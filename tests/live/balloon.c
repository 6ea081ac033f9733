/*
 * The balloon module in a Linux that QEMU runs, and the host's side here, over
 * an ivshmem device with its doorbell: inflated to half of the guest's memory,
 * deflated, unloaded and loaded again, compacted, out of memory, and asked for
 * more than the guest has. Nothing is killed, nothing complains in its log, and
 * all memory is back at the end. How long 128 MB take is printed.
 */
#include "test.h"

#include "balloon/private.h"
#include "balloon/ring.h"
#include "core/os.h"
#include "live/initramfs.h"
#include "live/ivshmem.h"

#include <endian.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB	256u /* pages */
#define MEMORY	(256 * MB)
#define HALF	(MEMORY / 2)
#define REGION	(1u << 20)
#define LIMIT_S 240

static const char init_script[] =
	"#!/bin/busybox sh\n"
	"/bin/busybox --install -s /bin\n"
	"mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev\n"
	"get() { cat /sys/bus/pci/drivers/ballast_balloon/0*/$1 2>/dev/null; }\n"
	"free() { sed -n 's/^MemFree: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo; }\n"
	"at() { echo \"AT $1 $(free) $(get size) $(get refusals) $(get oom_deflations) "
	"$(get migrations)\"; }\n"
	"till() { n=0; while [ \"$(get $1)\" $2 $3 ] && [ $n -lt 200 ]; do usleep 50000; "
	"n=$((n+1)); done; }\n"
	"at start\n"
	"insmod /ballast_balloon.ko; at loaded\n"
	"till size -ne 32768; at half\n"
	"echo 1 >/proc/sys/vm/compact_memory; at compacted\n"
	"at deflate; till size -ne 0; at empty\n"
	"at again; till size -ne 32768\n"
	"i=0; while [ $i -lt 5 ]; do rmmod ballast_balloon; insmod /ballast_balloon.ko\n"
	"till size -ne 32768; i=$((i+1)); done; at reloaded\n"
	"dd if=/dev/zero of=/big bs=1M count=110 2>/dev/null; at pressed; rm /big\n"
	"at greedy; till refusals -eq 0; usleep 500000; at full\n"
	"rmmod ballast_balloon; at end\n"
	"dmesg | grep -iE 'BUG:|WARNING:|Call Trace|oops|killed|oom-kill' | sed 's/^/LOG /'\n"
	"poweroff -f\n";

struct place { /* what the guest said when it was there */
	char name[16];
	unsigned long free_kb, size, refusals, oom, migrations;
};

struct scene {
	char dir[64], text[1 << 16];
	size_t text_n;
	struct ivshmem *iv;
	struct ring_end ring;
	struct host *host;
	struct balloon *balloon;
	struct vm *vm;
	pid_t qemu;
	int console;
	uint64_t start_ns, asked_ns;
	uint32_t wanted;
	struct place at[32];
	size_t places;
	unsigned complaints;
};

static void must(int rc, const struct err *err)
{
	if (rc == 0)
		return;
	printf("  %s\n", err ? err->msg : "failed");
	abort();
}

static void path_in(const struct scene *s, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", s->dir, name);
}

/* The newest kernel that has its headers beside it; its release into version. */
static void find_kernel(char *version, size_t size)
{
	glob_t found;

	if (system("command -v qemu-system-x86_64 >/dev/null"))
		SKIP("no qemu-system-x86_64: apt-get install qemu-system-x86");
	if (access("/bin/busybox", X_OK))
		SKIP("no busybox: apt-get install busybox-static");
	if (glob("/lib/modules/*/build/Makefile", 0, NULL, &found))
		SKIP("no kernel headers: apt-get install linux-headers-cloud-amd64");
	char *name = found.gl_pathv[found.gl_pathc - 1] + strlen("/lib/modules/");
	snprintf(version, size, "%.*s", (int)strcspn(name, "/"), name);
	globfree(&found);
	char kernel[200];
	snprintf(kernel, sizeof kernel, "/boot/vmlinuz-%s", version);
	if (access(kernel, R_OK))
		SKIP("no kernel for the headers: apt-get install linux-image-cloud-amd64");
}

static void build_module(const struct scene *s, const char *version)
{
	char command[600];

	snprintf(command, sizeof command,
		 "cp balloon/linux/Kbuild balloon/linux/Makefile balloon/linux/dkms.conf "
		 "balloon/linux/*.[ch] balloon/protocol.h %s && make -s -C %s KVERSION=%s "
		 ">%s/log 2>&1 && strip -g %s/ballast_balloon.ko || { cat %s/log; false; }",
		 s->dir, s->dir, version, s->dir, s->dir, s->dir);
	if (system(command))
		abort();
}

static void write_initramfs(const struct scene *s)
{
	char path[200], module[200];
	struct err err;

	path_in(s, "initrd", path, sizeof path);
	path_in(s, "ballast_balloon.ko", module, sizeof module);
	struct initramfs i = {.out = fopen(path, "w")};
	if (!i.out)
		abort();
	const char *folders[] = {"bin", "dev", "proc", "sys", "tmp"};
	for (size_t f = 0; f < ARRAY_LEN(folders); f++)
		must(initramfs_folder(&i, folders[f]), NULL);
	must(initramfs_console(&i), NULL);
	must(initramfs_file(&i, "bin/busybox", 0755, "/bin/busybox", &err), &err);
	must(initramfs_file(&i, "ballast_balloon.ko", 0644, module, &err), &err);
	must(initramfs_text(&i, "init", 0755, init_script), NULL);
	must(initramfs_end(&i), NULL);
	if (fclose(i.out))
		abort();
}

static void start_qemu(struct scene *s, const char *version)
{
	char kernel[200], initrd[200], chardev[260], socket[200];
	int out[2];

	path_in(s, "socket", socket, sizeof socket);
	path_in(s, "initrd", initrd, sizeof initrd);
	snprintf(kernel, sizeof kernel, "/boot/vmlinuz-%s", version);
	snprintf(chardev, sizeof chardev, "socket,path=%s,id=iv", socket);
	if (pipe(out))
		abort();
	s->qemu = fork();
	if (s->qemu == 0) {
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		execlp("qemu-system-x86_64", "qemu-system-x86_64", "-accel", "tcg", "-m", "256M",
		       "-nographic", "-no-reboot", "-kernel", kernel, "-initrd", initrd, "-append",
		       /* A machine that is slow is no fault of the module's: no watchdogs. */
		       "console=ttyS0 quiet panic=-1 init_on_alloc=0 nowatchdog "
		       "workqueue.watchdog_thresh=0 rcupdate.rcu_cpu_stall_suppress=1",
		       "-chardev", chardev, "-device", "ivshmem-doorbell,chardev=iv,vectors=1",
		       (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	s->console = out[0];
}

static void open_host(struct scene *s)
{
	const struct host_opts opts = {
		.frames = MEMORY, .backing = &backing_ids.policy, .thresholds = thresholds_list[0]};
	const struct cost_opts cost = {0};
	struct balloon_opts balloon;
	struct pmap_part *pmaps;
	struct err err;

	must(opt_defaults(&balloon_section, &balloon), NULL);
	balloon.interrupt = true;
	balloon.rate = 1ull << 40;
	balloon.cap = 1;
	must(host_new(&opts, &cost, &s->host, &err), &err);
	must(pmap_part_new(s->host, &pmaps), NULL);
	must(balloon_open(s->host, pmaps, &balloon, &s->balloon, &err), &err);
	must(vm_add(s->host, "linux", MEMORY, &s->vm, &err), &err);
	must(ring_host_init(&s->ring, ivshmem_region(s->iv), REGION), NULL);
	s->ring.region->host_waits = htole32(1);
	s->ring.bell = ivshmem_ring;
	s->ring.bell_ctx = s->iv;
	const struct balloon_end end = ring_as_end(&s->ring);
	balloon_connect(s->balloon, s->vm, &end);
}

/* The guest uses whatever is not in the balloon. */
static void use_all(struct scene *s)
{
	struct err err;

	for (uint32_t i = 0; s->vm->pmap->count[PAGE_UNBACKED] && i < MEMORY; i++) {
		if (pte_state(pmap_peek(s->vm->pmap, (ppn_t){i})) == PAGE_UNBACKED)
			must(pmap_touch(s->vm->pmap, (ppn_t){i}, ACCESS_WRITE, &err), &err);
	}
}

static void want(struct scene *s, uint32_t pages)
{
	s->wanted = pages;
	s->asked_ns = os_mono_ns();
	s->vm->target = MEMORY - pages;
	s->host->reclaimer[0].reclaimer->retarget(s->host->reclaimer[0].ctx, s->vm);
}

/* What the host does when the guest says where it is. */
static void arrived(struct scene *s, const struct place *p)
{
	if (!strcmp(p->name, "loaded") || !strcmp(p->name, "again"))
		want(s, HALF);
	else if (!strcmp(p->name, "deflate"))
		want(s, 0);
	else if (!strcmp(p->name, "greedy"))
		want(s, MEMORY - 8 * MB);
}

static void hear_line(struct scene *s, char *line)
{
	char *at = strstr(line, "AT "), *log = strstr(line, "LOG ");
	struct place *p = &s->at[s->places];

	if (log) {
		printf("  %s\n", log);
		s->complaints++;
	}
	if (!at || s->places == ARRAY_LEN(s->at) ||
	    sscanf(at, "AT %15s %lu %lu %lu %lu %lu", p->name, &p->free_kb, &p->size, &p->refusals,
		   &p->oom, &p->migrations) < 2)
		return;
	s->places++;
	arrived(s, p);
}

/* False: the guest has ended. */
static bool hear(struct scene *s)
{
	ssize_t n = read(s->console, s->text + s->text_n, sizeof s->text - 1 - s->text_n);

	if (n <= 0)
		return false;
	s->text_n += (size_t)n;
	s->text[s->text_n] = '\0';
	char *line = s->text, *end;
	while ((end = strpbrk(line, "\r\n"))) {
		*end = '\0';
		hear_line(s, line);
		line = end + 1;
	}
	s->text_n = strlen(line);
	memmove(s->text, line, s->text_n + 1);
	if (s->text_n == sizeof s->text - 1)
		s->text_n = 0;
	return true;
}

/* One round of the host's loop. False: the guest has ended. */
static bool serve(struct scene *s)
{
	struct pollfd p[] = {{s->console, POLLIN, 0},
			     {ivshmem_bell(s->iv), POLLIN, 0},
			     {ivshmem_listener(s->iv), POLLIN, 0}};
	bool more = true;
	struct err err;

	poll(p, ARRAY_LEN(p), 100);
	clock_run_until(&s->host->clock, os_mono_ns() - s->start_ns);
	if (p[2].revents)
		must(ivshmem_serve(s->iv, &err), &err);
	ivshmem_rung(s->iv);
	balloon_contact(s->balloon, s->vm);
	if (s->asked_ns && s->vm->pmap->count[PAGE_BALLOONED] == s->wanted) {
		printf("  to %u MB: %.1f ms\n", s->wanted / MB,
		       (double)(os_mono_ns() - s->asked_ns) / 1e6);
		s->asked_ns = 0;
	}
	if (!s->asked_ns)
		use_all(s);
	if (p[0].revents)
		more = hear(s);
	return more;
}

static const struct place *place(const struct scene *s, const char *name)
{
	for (size_t i = 0; i < s->places; i++) {
		if (!strcmp(s->at[i].name, name))
			return &s->at[i];
	}
	printf("  the guest never came to %s\n", name);
	CU_FAIL_FATAL("the guest stopped on the way");
	abort();
}

static void check(struct scene *s)
{
	const struct place *start = place(s, "start"), *half = place(s, "half"),
			   *empty = place(s, "empty"), *pressed = place(s, "pressed"),
			   *full = place(s, "full"), *end = place(s, "end");
	const struct balloon_vm_stats *told = &balloon_of(s->balloon, s->vm)->stats;
	const unsigned long half_kb = HALF * 4;

	printf("  free KB: %lu, %lu inflated, %lu deflated, %lu at the end; %lu moved, %lu back "
	       "before a kill, greedy %lu pages\n",
	       start->free_kb, half->free_kb, empty->free_kb, end->free_kb,
	       place(s, "compacted")->migrations, pressed->oom, full->size);
	CU_ASSERT_EQUAL(half->size, HALF);
	CU_ASSERT_TRUE(half->free_kb + half_kb < start->free_kb + 4096);
	CU_ASSERT_EQUAL(empty->size, 0);
	CU_ASSERT_TRUE(empty->free_kb + 8192 > start->free_kb);
	CU_ASSERT_EQUAL(place(s, "reloaded")->size, HALF);
	CU_ASSERT_TRUE(pressed->oom > 0);
	CU_ASSERT_TRUE(full->refusals > 0);
	CU_ASSERT_TRUE(full->size > HALF && full->size < MEMORY - 8 * MB);
	CU_ASSERT_TRUE(end->free_kb + 8192 > start->free_kb);
	CU_ASSERT_EQUAL(s->complaints, 0);
	CU_ASSERT_EQUAL(told->bad_messages, 0);
	CU_ASSERT_EQUAL(told->refused, 0);
	CU_ASSERT_EQUAL(told->popped, 0);
	CU_ASSERT_EQUAL(told->hellos, 6);
	CU_ASSERT_EQUAL(host_audit(s->host, stdout), 0);
}

static void in_a_linux_guest(void)
{
	static struct scene s;
	char version[64], path[200];
	struct err err;

	find_kernel(version, sizeof version);
	snprintf(s.dir, sizeof s.dir, "/tmp/ballast-balloon-XXXXXX");
	if (!mkdtemp(s.dir))
		abort();
	build_module(&s, version);
	write_initramfs(&s);
	path_in(&s, "socket", path, sizeof path);
	must(ivshmem_new(path, REGION, &s.iv, &err), &err);
	open_host(&s);
	s.start_ns = os_mono_ns();
	start_qemu(&s, version);
	while (serve(&s)) {
		if (os_mono_ns() - s.start_ns > LIMIT_S * UINT64_C(1000000000)) {
			printf("  no end within %d s\n", LIMIT_S);
			break;
		}
	}
	kill(s.qemu, SIGKILL);
	waitpid(s.qemu, NULL, 0);
	close(s.console);
	check(&s);
	host_free(s.host);
	ivshmem_free(s.iv);
	snprintf(path, sizeof path, "rm -rf %s", s.dir);
	CU_ASSERT_EQUAL(system(path), 0);
}

TESTS("live/balloon", {"in a Linux guest", in_a_linux_guest})
