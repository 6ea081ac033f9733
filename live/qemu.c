#include "live/qemu.h"

#include "live/initramfs.h"
#include "live/program.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define QEMU	     "qemu-system-x86_64"
#define BUSYBOX	     "/bin/busybox"
#define KVM_PATIENCE 5000 /* ms for a test guest to say something */
#define SIGN	     "ballast: the guest is up"
#define BELOW_4G     (UINT64_C(3) << 30) /* bytes of memory there; the rest is for devices */

/* Without no_timer_check Linux tries its timer as it boots, which a guest that waits for its turn
 * may fail: "IO-APIC + timer doesn't work!", and panics. Under KVM it does not try. */
#define APPEND "console=ttyS0 quiet panic=-1 no_timer_check"
/* A guest that clears each page that its balloon takes would have it faulted in first. */
#define NO_INIT_ON_ALLOC " init_on_alloc=0"

static const char init_text[] =
	"#!/bin/busybox sh\n"
	"/bin/busybox --install -s /bin\n"
	"export PATH=/bin\n"
	"mount -t proc proc /proc\n"
	"mount -t sysfs sys /sys\n"
	"mount -t devtmpfs dev /dev\n"
	"mount -t tmpfs -o size=100%% mem /mem\n"
	"balloon=/ballast_balloon.ko\n"
	"if grep -q 0x1110 /sys/bus/pci/devices/*/device; then\n"
	"[ -e $balloon ] && insmod $balloon || "
	"echo \"ballast: no balloon: no module for $(uname -r): "
	"'ballast module build --kernel $(uname -r)' makes one\"\n"
	"fi\n"
	"ifconfig lo 127.0.0.1 up\n"
	"for m in /lib/modules/*.ko*; do [ -e \"$m\" ] && insmod \"$m\"; done\n"
	"echo " SIGN "\n"
	"%s\n"
	"echo \"ballast: the guest has ended with status $?\"\n"
	"poweroff -f\n";

static const struct policy programs[] = {
	{"verify",
	 "checks and rewrites the pages of a file, and counts wrong ones: verify FILE SECONDS "
	 "THREADS SEED [PAGES]"},
	{"toucher",
	 "touches as much memory as its schedule says: toucher [-f] [-r PASSES] [-p FILE] "
	 "SIZE:SECONDS,..."},
	{"fileserver",
	 "works on files in the manner of dbench: fileserver [-c CLIENTS] [-m SIZE] [-s SECONDS] "
	 "[-r SEED] [-d] [-f] FOLDER"},
	{"web",
	 "serves files to clients on loopback: web [-c CLIENTS] [-m SIZE] [-z SKEW] [-s SECONDS] "
	 "[-r SEED] [-d] FOLDER"},
	{"kv", "values that clients get and set: kv [-c CLIENTS] [-m SIZE] [-v BYTES] "
	       "[-g PERCENT] [-z SKEW] [-s SECONDS] [-r SEED]"},
	{"churn",
	 "takes, resizes and frees blocks of heap and checks them: churn SECONDS THREADS SEED MIB "
	 "[FORKS]"},
	{"retouch",
	 "touches the pages of a file once for each line that it reads, and says how long that "
	 "took: retouch FILE"},
};

const struct policy *const guest_programs[] = {&programs[0], &programs[1], &programs[2],
					       &programs[3], &programs[4], &programs[5],
					       &programs[6], NULL};

static PRINTF_LIKE(2, 3) int add(struct qemu_command *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = c->n + 1 < ARRAY_LEN(c->argv) ? vasprintf(&c->argv[c->n], fmt, ap) : -1;
	va_end(ap);
	if (n < 0) {
		if (c->n < ARRAY_LEN(c->argv))
			c->argv[c->n] = NULL;
		return -ENOMEM;
	}
	c->argv[++c->n] = NULL;
	return 0;
}

/* The one that sorts last among those of the name. */
int qemu_kernel(char path[512], struct err *err)
{
	static const char *const patterns[] = {"/boot/vmlinuz-*-cloud-amd64", "/boot/vmlinuz-*"};
	bool found = false;

	for (size_t i = 0; !found && i < ARRAY_LEN(patterns); i++) {
		glob_t g;
		if (glob(patterns[i], 0, NULL, &g))
			continue;
		for (size_t k = 0; k < g.gl_pathc; k++) {
			if (!found || strverscmp(g.gl_pathv[k], path) > 0)
				snprintf(path, 512, "%s", g.gl_pathv[k]);
			found = true;
		}
		globfree(&g);
	}
	if (!found)
		return err_run(err, ENOENT,
			       "there is no /boot/vmlinuz-*: apt-get install "
			       "linux-image-cloud-amd64, or give --kernel");
	return 0;
}

/* The kernel's Documentation/x86/boot.rst, "The real-mode kernel header". */
bool qemu_release(const char *kernel, char release[QEMU_RELEASE])
{
	uint8_t head[0x210];
	FILE *f = fopen(kernel, "rb");
	size_t n = 0;

	if (!f)
		return false;
	if (fread(head, 1, sizeof head, f) == sizeof head && memcmp(head + 0x202, "HdrS", 4) == 0 &&
	    fseek(f, (head[0x20e] | head[0x20f] << 8) + 0x200, SEEK_SET) == 0)
		n = fread(release, 1, QEMU_RELEASE - 1, f);
	fclose(f);
	release[n] = '\0';
	n = strspn(release, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~-");
	const bool ends = release[n] == ' ' || (n && !release[n]);
	release[n] = '\0';
	return n && ends && release[0] != '.';
}

static int readable(const char *what, const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) || access(path, R_OK))
		return err_input(err, "%s: no %s there: %s", path, what, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_input(err, "%s is no file: it must be the %s", path, what);
	return 0;
}

static int in_path(const char *program)
{
	char path[512];
	const char *at = getenv("PATH");

	while (at && *at) {
		size_t n = strcspn(at, ":");
		snprintf(path, sizeof path, "%.*s/%s", (int)n, at, program);
		if (access(path, X_OK) == 0)
			return 0;
		at += n + (at[n] == ':');
	}
	return -ENOENT;
}

/*
 * The guest programs that the command names, or all without a command, go to
 * /bin: a guest pays for each twice with its size, in the archive and in the file.
 */
static int add_programs(struct initramfs *i, const char *folder, const char *run, struct err *err)
{
	char pattern[512], name[300];
	glob_t g;
	int rc = 0;

	snprintf(pattern, sizeof pattern, "%s/*", folder);
	if (glob(pattern, 0, NULL, &g))
		return err_run(err, ENOENT, "%s: no guest programs there", folder);
	for (size_t k = 0; rc == 0 && k < g.gl_pathc; k++) {
		const char *base = strrchr(g.gl_pathv[k], '/') + 1;
		if (run && !strstr(run, base))
			continue;
		snprintf(name, sizeof name, "bin/%s", base);
		rc = initramfs_file(i, name, 0755, g.gl_pathv[k], err);
	}
	globfree(&g);
	return rc;
}

/* The kernel's modules lie where its name says. What a disk needs, each behind what it uses. */
static int add_drivers(struct initramfs *i, const char *kernel, struct err *err)
{
	static const char *const drivers[] = {
		"virtio/virtio_ring",		"virtio/virtio",     "virtio/virtio_pci_legacy_dev",
		"virtio/virtio_pci_modern_dev", "virtio/virtio_pci", "block/virtio_blk"};
	const char *version = strstr(kernel, "vmlinuz-");
	char folder[300], module[60];
	int rc = 0;

	if (!version)
		return 0;
	snprintf(folder, sizeof folder, "/lib/modules/%.200s/kernel", version + 8);
	for (size_t k = 0; rc == 0 && k < ARRAY_LEN(drivers); k++) {
		snprintf(module, sizeof module, "drivers/%s", drivers[k]);
		rc = initramfs_module(i, folder, module, err);
	}
	return rc;
}

static int fill(struct initramfs *i, const struct qemu_opts *opts, const char *kernel,
		struct err *err)
{
	static const char *const folders[] = {"bin", "dev",  "proc", "sys",	   "mem",
					      "tmp", "disk", "lib",  "lib/modules"};
	char *text = NULL;
	int rc = 0;

	for (size_t k = 0; rc == 0 && k < ARRAY_LEN(folders); k++)
		rc = initramfs_folder(i, folders[k]);
	if (rc == 0)
		rc = initramfs_console(i);
	if (rc == 0 &&
	    asprintf(&text, init_text, opts->run ? opts->run : "while :; do sleep 3600; done") < 0)
		rc = -ENOMEM;
	if (rc == 0)
		rc = initramfs_text(i, "init", 0755, text);
	free(text);
	if (rc)
		return err_run(err, -rc, "no initramfs: %s", strerror(-rc));
	rc = initramfs_file(i, "bin/busybox", 0755, BUSYBOX, err);
	if (rc == 0 && opts->programs)
		rc = add_programs(i, opts->programs, opts->run, err);
	if (rc == 0 && opts->module)
		rc = initramfs_file(i, "ballast_balloon.ko", 0644, opts->module, err);
	if (rc == 0 && opts->disk)
		rc = add_drivers(i, kernel, err);
	if (rc == 0 && initramfs_end(i))
		rc = err_run(err, ENOMEM, "no room for an initramfs");
	return rc;
}

static int make_initramfs(const struct qemu_opts *opts, const char *kernel, int *fd,
			  struct err *err)
{
	struct initramfs i = {0};

	if (access(BUSYBOX, R_OK))
		return err_run(err, ENOENT,
			       "there is no " BUSYBOX
			       ": apt-get install busybox-static, or give --initrd");
	*fd = memfd_create("initramfs", 0);
	int copy = *fd < 0 ? -1 : dup(*fd);
	i.out = copy < 0 ? NULL : fdopen(copy, "w");
	if (!i.out)
		return err_run(err, errno, "no initramfs: %s", strerror(errno));
	int rc = fill(&i, opts, kernel, err);
	if (fclose(i.out) && rc == 0)
		rc = err_run(err, errno, "no initramfs: %s", strerror(errno));
	return rc;
}

static int add_machine(struct qemu_command *c, const struct qemu_opts *opts)
{
	int rc = add(c, QEMU);

	rc = rc ? rc : add(c, "-accel");
	rc = rc ? rc : add(c, "%s", strcmp(opts->accel, "tcg") == 0 ? "tcg,thread=multi" : "kvm");
	rc = rc ? rc : add(c, "-machine");
	rc = rc ? rc
		: add(c, "pc,memory-backend=ram,graphics=off,max-ram-below-4g=%llu",
		      (unsigned long long)BELOW_4G);
	rc = rc ? rc : add(c, "-object");
	rc = rc ? rc
		: add(c, "memory-backend-file,id=ram,size=%llu,mem-path=%s,share=on",
		      (unsigned long long)opts->memory, opts->ram);
	rc = rc ? rc : add(c, "-m");
	rc = rc ? rc : add(c, "%lluk", (unsigned long long)opts->memory >> 10);
	rc = rc ? rc : add(c, "-smp");
	rc = rc ? rc : add(c, "%u", opts->cpus);
	for (const char *const *w =
		     (const char *const[]){"-nodefaults", "-no-reboot", "-display", "none",
					   "-serial", "stdio", "-name", "debug-threads=on", NULL};
	     rc == 0 && *w; w++)
		rc = add(c, "%s", *w);
	return rc;
}

static int add_contents(struct qemu_command *c, const struct qemu_opts *opts, const char *kernel)
{
	int rc = add(c, "-kernel");

	rc = rc ? rc : add(c, "%s", kernel);
	rc = rc ? rc : add(c, "-initrd");
	rc = rc		    ? rc
	     : opts->initrd ? add(c, "%s", opts->initrd)
			    : add(c, "/proc/self/fd/%d", c->initrd_fd);
	rc = rc ? rc : add(c, "-append");
	rc = rc ? rc
		: add(c, APPEND "%s %s", opts->init_on_alloc ? "" : NO_INIT_ON_ALLOC,
		      opts->append ? opts->append : "");
	if (rc == 0 && opts->disk) {
		char limit[60] = "";
		if (opts->disk_rate)
			snprintf(limit, sizeof limit, ",throttling.iops-total=%llu",
				 (unsigned long long)opts->disk_rate);
		rc = add(c, "-drive");
		rc = rc ? rc
			: add(c, "file=%s,format=raw,if=virtio,cache=writeback,aio=threads%s",
			      opts->disk, limit);
	}
	return rc;
}

/*
 * QEMU 7.2 to 8.2, built with plugins, loads the agent as one under TCG: it has
 * functions for them, and not those of the interface that came after.
 */
static int add_plugin(struct qemu_command *c, const struct qemu_opts *opts)
{
	if (!opts->agent || strcmp(opts->accel, "tcg") != 0 || strchr(opts->agent, ',') ||
	    !program_names(QEMU, "qemu_plugin_register_vcpu_tb_exec_cb") ||
	    program_names(QEMU, "qemu_plugin_scoreboard_new"))
		return 0;
	c->plugin = true;
	int rc = add(c, "-plugin");
	return rc ? rc : add(c, "file=%s", opts->agent);
}

int qemu_command(const struct qemu_opts *opts, struct qemu_command *c, struct err *err)
{
	char found[512];
	const char *kernel = opts->kernel;
	int rc = 0;

	*c = (struct qemu_command){.initrd_fd = -1};
	if (in_path(QEMU))
		return err_run(err, ENOENT,
			       "there is no " QEMU ": apt-get install qemu-system-x86");
	if (!kernel) {
		rc = qemu_kernel(found, err);
		kernel = found;
	}
	rc = rc ? rc : readable("kernel", kernel, err);
	if (rc == 0 && opts->disk && strchr(opts->disk, ','))
		rc = err_input(err, "%s: a comma in the image's name", opts->disk);
	if (rc == 0 && opts->disk)
		rc = readable("disk image", opts->disk, err);
	if (rc == 0 && opts->initrd)
		rc = readable("initramfs", opts->initrd, err);
	else if (rc == 0)
		rc = make_initramfs(opts, kernel, &c->initrd_fd, err);
	if (rc == 0 &&
	    (add_machine(c, opts) || add_plugin(c, opts) || add_contents(c, opts, kernel)))
		rc = err_run(err, ENOMEM, "no memory for a command line");
	if (rc)
		qemu_command_free(c);
	return rc;
}

int qemu_balloon(struct qemu_command *c, int socket)
{
	int rc = add(c, "-chardev");

	rc = rc ? rc : add(c, "socket,id=balloon,fd=%d", socket);
	rc = rc ? rc : add(c, "-device");
	return rc ? rc : add(c, "ivshmem-doorbell,chardev=balloon,vectors=1");
}

void qemu_hole(uint64_t memory, uint32_t *first, uint32_t *pages)
{
	const bool any = memory > BELOW_4G;

	*first = any ? (uint32_t)(BELOW_4G >> PAGE_SHIFT) : 0;
	*pages = any ? (uint32_t)(((UINT64_C(4) << 30) - BELOW_4G) >> PAGE_SHIFT) : 0;
}

void qemu_command_free(struct qemu_command *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->argv[i]);
	if (c->initrd_fd >= 0)
		close(c->initrd_fd);
	*c = (struct qemu_command){.initrd_fd = -1};
}

/* The test guest. */

static pid_t spawn(char **argv, int out)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(out, 1);
		dup2(null, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

/* Whether the sign comes through the pipe in time. */
static bool says(int fd, int patience_ms)
{
	char text[16384];
	size_t n = 0;
	struct pollfd p = {fd, POLLIN, 0};

	while (n + 1 < sizeof text && poll(&p, 1, patience_ms) == 1) {
		ssize_t got = read(fd, text + n, sizeof text - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
		text[n] = '\0';
		if (strstr(text, SIGN))
			return true;
	}
	return false;
}

static bool boots_with_kvm(void)
{
	int out[2], ram = memfd_create("test guest", 0);
	char path[40];
	struct qemu_opts opts = {
		.memory = 128 << 20, .cpus = 1, .accel = "kvm", .ram = path, .run = "true"};
	struct qemu_command c;
	bool booted = false;

	snprintf(path, sizeof path, "/proc/self/fd/%d", ram);
	if (ram >= 0 && ftruncate(ram, 128 << 20) == 0 && pipe(out) == 0) {
		if (qemu_command(&opts, &c, NULL) == 0) {
			pid_t pid = spawn(c.argv, out[1]);
			close(out[1]);
			booted = pid > 0 && says(out[0], KVM_PATIENCE);
			if (pid > 0) {
				kill(pid, SIGKILL);
				waitpid(pid, NULL, 0);
			}
			qemu_command_free(&c);
		} else {
			close(out[1]);
		}
		close(out[0]);
	}
	if (ram >= 0)
		close(ram);
	return booted;
}

const char *qemu_accel(void)
{
	return access("/dev/kvm", R_OK | W_OK) == 0 && boots_with_kvm() ? "kvm" : "tcg";
}
