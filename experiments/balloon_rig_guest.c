#include "experiments/balloon_rig_parts.h"
#include "live/initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define QEMU "qemu-system-x86_64"

/* A guest on a slow machine is no guest that hangs: no watchdogs, and no trial of its timer. */
#define APPEND                                                                                     \
	"console=ttyS0 quiet panic=-1 no_timer_check nowatchdog workqueue.watchdog_thresh=0 "      \
	"rcupdate.rcu_cpu_stall_suppress=1"

static const char init_head[] =
	"#!/bin/busybox sh\n"
	"/bin/busybox --install -s /bin\n"
	"export PATH=/bin\n"
	"mount -t proc proc /proc\n"
	"mount -t sysfs sys /sys\n"
	"mount -t devtmpfs dev /dev\n"
	"get() { cat /sys/bus/pci/drivers/ballast_balloon/0*/$1 2>/dev/null; }\n"
	"free_kb() { sed -n 's/^MemFree: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo; }\n"
	"till() { n=0; while [ \"$(get $1)\" $2 $3 ] && [ $n -lt 400 ]; do usleep 20000; "
	"n=$((n+1)); done; }\n";

/* What the guest is made of. */

int rig_kernel(char release[65], struct err *err)
{
	char image[100];
	glob_t found;

	if (access("/bin/busybox", X_OK))
		return err_run(err, ENOENT, "no busybox: apt-get install busybox-static");
	if (glob("/lib/modules/*/build/Makefile", 0, NULL, &found))
		return err_run(err, ENOENT,
			       "no kernel headers: apt-get install linux-headers-cloud-amd64");
	const char *name = found.gl_pathv[found.gl_pathc - 1] + strlen("/lib/modules/");
	snprintf(release, 65, "%.*s", (int)strcspn(name, "/"), name);
	globfree(&found);
	snprintf(image, sizeof image, "/boot/vmlinuz-%s", release);
	if (access(image, R_OK))
		return err_run(err, ENOENT,
			       "no kernel for the headers: apt-get install "
			       "linux-image-cloud-amd64");
	return 0;
}

/* A module of the kernel's own, by its name. */
static int add_kernel_module(struct initramfs *i, const char *release, const char *name,
			     struct err *err)
{
	char pattern[200], member[80];
	glob_t found;

	snprintf(pattern, sizeof pattern, "/lib/modules/%s/kernel/drivers/*/%s.ko", release, name);
	if (glob(pattern, 0, NULL, &found))
		return err_run(err, ENOENT, "%s: no such module of the kernel's", pattern);
	snprintf(member, sizeof member, "%s.ko", name);
	int rc = initramfs_file(i, member, 0644, found.gl_pathv[0], err);
	globfree(&found);
	return rc;
}

static int add_program(struct initramfs *i, const char *path, struct err *err)
{
	const char *base = strrchr(path, '/');
	char member[80];

	snprintf(member, sizeof member, "bin/%.70s", base ? base + 1 : path);
	return initramfs_file(i, member, 0755, path, err);
}

static int fill(struct initramfs *i, const struct rig_opts *o, struct err *err)
{
	static const char *const folders[] = {"bin", "dev", "proc", "sys", "tmp"};
	char *init = NULL;
	int rc = 0;

	for (size_t f = 0; rc == 0 && f < ARRAY_LEN(folders); f++)
		rc = initramfs_folder(i, folders[f]);
	rc = rc ? rc : initramfs_console(i);
	if (rc == 0 && asprintf(&init, "%s%s\npoweroff -f\n", init_head, o->script) < 0)
		rc = -ENOMEM;
	rc = rc ? rc : initramfs_text(i, "init", 0755, init);
	free(init);
	if (rc)
		return err_run(err, -rc, "no initramfs: %s", strerror(-rc));
	rc = initramfs_file(i, "bin/busybox", 0755, "/bin/busybox", err);
	rc = rc ? rc : initramfs_file(i, "ballast_balloon.ko", 0644, o->module, err);
	for (size_t k = 0; rc == 0 && o->programs && o->programs[k]; k++)
		rc = add_program(i, o->programs[k], err);
	for (size_t m = 0; rc == 0 && o->modules && o->modules[m]; m++)
		rc = add_kernel_module(i, o->release, o->modules[m], err);
	if (rc == 0 && initramfs_end(i))
		rc = err_run(err, ENOMEM, "no room for an initramfs");
	return rc;
}

int rig_initramfs(const struct rig_parts *p, struct err *err)
{
	char path[80];

	snprintf(path, sizeof path, "%s/initrd", p->dir);
	struct initramfs i = {.out = fopen(path, "w")};
	if (!i.out)
		return err_run(err, errno, "%s: %s", path, strerror(errno));
	int rc = fill(&i, &p->opts, err);
	if (fclose(i.out) && rc == 0)
		rc = err_run(err, errno, "%s: %s", path, strerror(errno));
	return rc;
}

/* QEMU. */

struct line { /* a command line */
	char *argv[64];
	size_t n;
	bool full; /* or no memory */
};

static PRINTF_LIKE(2, 3) void add(struct line *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (l->n + 1 >= ARRAY_LEN(l->argv) || vasprintf(&l->argv[l->n], fmt, ap) < 0)
		l->full = true;
	else
		l->argv[++l->n] = NULL;
	va_end(ap);
}

static void add_words(struct line *l, const char *const *words)
{
	for (; *words; words++)
		add(l, "%s", *words);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void add_balloons(struct line *l, const struct rig_parts *p)
{
	const char *bus = p->opts.bridge ? ",bus=bridge,addr=1" : "";

	if (p->opts.bridge)
		add_words(l, WORDS("-device", "pci-bridge,id=bridge,chassis_nr=1,shpc=off"));
	if (p->iv) {
		add(l, "-chardev");
		add(l, "socket,path=%s/ivshmem,id=iv", p->dir);
		add(l, "-device");
		add(l, "ivshmem-doorbell,id=balloon,chardev=iv,vectors=1%s", bus);
	} else {
		add(l, "-object");
		add(l,
		    "memory-backend-file,id=iv,size=%u,mem-path=/proc/self/fd/%d,share=on,"
		    "prealloc=off",
		    RIG_REGION, p->region);
		add(l, "-device");
		add(l, "ivshmem-plain,id=balloon,memdev=iv%s", bus);
	}
	if (p->opts.virtio_balloon)
		add_words(l, WORDS("-device", "virtio-balloon-pci,id=virtio"));
}

static void compose(struct line *l, const struct rig_parts *p, int qmp)
{
	const struct rig_opts *o = &p->opts;

	add_words(l, WORDS(QEMU, "-accel", "tcg", "-nodefaults", "-display", "none", "-serial",
			   "stdio", "-machine", "pc,memory-backend=ram,graphics=off", "-object"));
	add(l, "memory-backend-file,id=ram,size=%lluk,mem-path=/proc/self/fd/%d,share=on",
	    (unsigned long long)o->pages * 4, p->memory);
	add(l, "-m");
	add(l, "%lluk", (unsigned long long)o->pages * 4);
	add(l, "-chardev");
	add(l, "socket,id=qmp,fd=%d", qmp);
	add_words(l, WORDS("-mon", "chardev=qmp,mode=control", "-kernel"));
	if (o->image)
		add(l, "%s", o->image);
	else
		add(l, "/boot/vmlinuz-%s", o->release);
	add(l, "-initrd");
	add(l, "%s/initrd", p->dir);
	add(l, "-append");
	add(l, APPEND " %s", o->append ? o->append : "");
	add_balloons(l, p);
	if (p->disk >= 0) {
		add(l, "-drive");
		add(l, "file=/proc/self/fd/%d,format=raw,if=virtio,cache=unsafe", p->disk);
	}
}

static _Noreturn void become(char **argv, int in, int out)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	execvp(argv[0], argv);
	dprintf(2, "there is no %s: apt-get install qemu-system-x86\n", argv[0]);
	_exit(127);
}

/* Its ends of pipes and sockets are closed here whatever comes of it. */
static int run(struct rig_parts *p, int in, int out, int qmp, struct err *err)
{
	struct line l = {.n = 0};

	compose(&l, p, qmp);
	fflush(NULL);
	p->qemu = l.full ? -1 : fork();
	if (p->qemu == 0) {
		fcntl(qmp, F_SETFD, 0);
		become(l.argv, in, out);
	}
	for (size_t i = 0; i < l.n; i++)
		free(l.argv[i]);
	return p->qemu > 0 ? 0 : err_run(err, EAGAIN, "no process for QEMU");
}

int rig_start(struct rig_parts *p, struct err *err)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, qmp[2] = {-1, -1}, rc = 0;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp))
		rc = err_run(err, errno, "no pipes to QEMU: %s", strerror(errno));
	rc = rc ? rc : run(p, in[0], out[1], qmp[1], err);
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&qmp[1]);
	p->keys = in[1];
	p->console = out[0];
	p->qmp = qmp[0];
	return rc;
}

void rig_plug(struct rig *rig)
{
	const struct rig_parts *p = parts_of(rig);
	char text[400];

	/* The device reads what the server sends anew: it takes a new connection. */
	rig_qmp(rig, "{\"execute\": \"chardev-remove\", \"arguments\": {\"id\": \"iv\"}}");
	snprintf(text, sizeof text,
		 "{\"execute\": \"chardev-add\", \"arguments\": {\"id\": \"iv\", \"backend\": "
		 "{\"type\": \"socket\", \"data\": {\"server\": false, \"addr\": {\"type\": "
		 "\"unix\", \"data\": {\"path\": \"%s/ivshmem\"}}}}}}",
		 p->dir);
	rig_qmp(rig, text);
	snprintf(text, sizeof text,
		 "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"ivshmem-doorbell\", "
		 "\"id\": \"balloon\", \"chardev\": \"iv\", \"vectors\": 1%s}}",
		 p->opts.bridge ? ", \"bus\": \"bridge\", \"addr\": \"1\"" : "");
	rig_qmp(rig, text);
}
