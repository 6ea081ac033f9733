/*
 * The balloon module in a Linux that QEMU runs, and the host's side here, over
 * an ivshmem device with its doorbell. What it does: inflated to half of the
 * guest's memory, deflated, unloaded and loaded again, compacted, out of memory,
 * and asked for more than the guest has. What it survives, with its balloon or
 * giving it back: sleep, hibernation, a reset of its bus, unbinding, removal and
 * unplugging, unloading halfway, a reboot. Nothing is killed, nothing
 * complains in its log, no page in the balloon is touched, and all memory is back
 * at the end. How long 128 MB take is printed.
 */
#include "test.h"

#include "balloon/private.h"
#include "core/os.h"
#include "experiments/balloon_rig.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define MB	256u /* pages */
#define MEMORY	(256 * MB)
#define HALF	(MEMORY / 2)
#define LIMIT_S 240
#define ROUNDS	5 /* of loading, inflating and unloading; BALLOON_ROUNDS=50 */

/* The device that the module drives, a line for the host, and what the log must not have. */
static const char common[] =
	"at() { echo \"AT $1 $(free_kb) $(get size) $(get refusals) $(get oom_deflations) "
	"$(get migrations) $(get resets)\"; }\n"
	"log() { [ ! -e /proc/lockdep_stats ] || grep -q 'debug_locks: *1' /proc/lockdep_stats ||"
	" echo LOG lockdep has given up\n"
	"dmesg | grep -iE 'BUG:|WARNING:|Call Trace|oops|killed|oom-kill|ballast.*error' |"
	" sed 's/^/LOG /'; }\n"
	"half() { till size != 32768; at $1; }\n";

static const char works[] =
	"at start\n"
	"insmod /ballast_balloon.ko; at loaded\n"
	"half half\n"
	"echo 1 >/proc/sys/vm/compact_memory; at compacted\n"
	"at deflate; till size != 0; at empty\n"
	"at again; till size != 32768\n"
	"i=0; while [ $i -lt $rounds ]; do rmmod ballast_balloon; insmod /ballast_balloon.ko\n"
	"till size != 32768; i=$((i+1)); done; at reloaded\n"
	"dd if=/dev/zero of=/big bs=1M count=110 2>/dev/null; at pressed; rm /big\n"
	"at greedy; till refusals = 0; usleep 500000; at full\n"
	"rmmod ballast_balloon; at end\n"
	"log\n";

static const char survives[] =
	"at start\n"
	"read boot </dev/console\n"
	"insmod /ballast_balloon.ko\n"
	"at loaded; half half\n"
	"if [ $boot = second ]; then rmmod ballast_balloon; at rebooted; log; poweroff -f; fi\n"
	"dev=$(readlink -f /sys/bus/pci/drivers/ballast_balloon/0*)\n"
	"drv=/sys/bus/pci/drivers/ballast_balloon\n"
	"echo mem >/sys/power/state; half slept\n"
	"echo disk >/sys/power/state 2>/dev/null; half imaged\n"
	"echo 1 >$dev/reset; half reset\n"
	"echo ${dev##*/} >$drv/unbind; at unbound; echo ${dev##*/} >$drv/bind; half bound\n"
	"echo 1 >$dev/remove; at removed; echo 1 >/sys/bus/pci/rescan; half rescanned\n"
	"at unplug; while [ -e $dev ]; do usleep 20000; done; at unplugged\n"
	"rmmod ballast_balloon; insmod /ballast_balloon.ko; at alone\n"
	"at plug; while [ ! -e $dev ]; do usleep 20000; done; half plugged\n"
	"for s in 0 0.002 0.005 0.01 0.02; do rmmod ballast_balloon; insmod /ballast_balloon.ko;"
	" sleep $s; done; rmmod ballast_balloon; at halfway\n"
	"insmod /ballast_balloon.ko; half before\n"
	"log; reboot -f\n";

/*
 * Twice: to the disk, and out of it by a kernel that has its own balloon then.
 * First an image is refused for want of a disk.
 */
static const char hibernates[] =
	"at start\n"
	"read boot </dev/console\n"
	"for m in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci "
	"virtio_blk; do [ ! -e /$m.ko ] || insmod /$m.ko; done\n"
	"insmod /ballast_balloon.ko\n"
	"at loaded; half $boot\n"
	"if [ $boot != first ]; then cat /sys/block/vda/dev >/sys/power/resume; at lost; log\n"
	"poweroff -f; fi\n"
	"truncate -s 24M /pages; verify /pages 600 2 1 >/said & verifier=$!\n"
	"echo reboot >/sys/power/disk; echo 0 >/sys/power/image_size\n"
	"echo disk >/sys/power/state 2>/dev/null && at imaged; half refused\n"
	"mkswap /dev/vda >/dev/null; swapon /dev/vda\n"
	"echo disk >/sys/power/state; half woken\n"
	"echo disk >/sys/power/state; half again_woken\n"
	"kill $verifier; wait $verifier && grep -q 'bad 0' /said || echo LOG pages are wrong\n"
	"cat /said; rm /pages; rmmod ballast_balloon; at end; log\n";

struct place { /* what the guest said when it was there */
	char name[16];
	unsigned long free_kb, size, refusals, oom, migrations, resets;
	uint32_t touched; /* pages of the balloon, then */
};

struct scene {
	struct rig *rig;
	uint64_t asked_ns;
	uint32_t wanted;
	struct place at[40];
	size_t places;
	unsigned complaints, errors, boots;
};

static void want(struct scene *s, uint32_t pages)
{
	s->wanted = pages;
	s->asked_ns = os_mono_ns();
	rig_want(s->rig, pages);
}

static const char *const boot_names[] = {"first", "second", "third", "fourth"};

/* What the host does when the guest says where it is. */
static void arrived(struct scene *s, struct place *p)
{
	p->touched = rig_touched(s->rig);
	if (!strcmp(p->name, "start"))
		rig_say(s->rig, boot_names[s->boots++ % ARRAY_LEN(boot_names)]);
	else if (!strcmp(p->name, "loaded") || !strcmp(p->name, "again"))
		want(s, HALF);
	else if (!strcmp(p->name, "deflate"))
		want(s, 0);
	else if (!strcmp(p->name, "greedy"))
		want(s, MEMORY - 8 * MB);
	else if (!strcmp(p->name, "unplug"))
		rig_qmp(s->rig, "{\"execute\": \"device_del\", \"arguments\": {\"id\": "
				"\"balloon\"}}");
	else if (!strcmp(p->name, "plug"))
		rig_plug(s->rig);
}

static void heard(void *ctx, const char *line)
{
	struct scene *s = ctx;
	const char *at = strstr(line, "AT "), *log = strstr(line, "LOG ");
	struct place *p = &s->at[s->places];

	if (getenv("BALLOON_CONSOLE"))
		printf("  | %s\n", line);
	if (log) {
		printf("  %s\n", log);
		s->complaints++;
	}
	if (!at || s->places == ARRAY_LEN(s->at) ||
	    sscanf(at, "AT %15s %lu %lu %lu %lu %lu %lu", p->name, &p->free_kb, &p->size,
		   &p->refusals, &p->oom, &p->migrations, &p->resets) < 2)
		return;
	s->places++;
	arrived(s, p);
	if (p->touched)
		printf("  at %s %u pages of the balloon are touched\n", p->name, p->touched);
}

static void event(void *ctx, const char *name, const json_t *message)
{
	struct scene *s = ctx;

	if (!strcmp(name, "SUSPEND"))
		rig_qmp(s->rig, "{\"execute\": \"system_wakeup\"}");
	if (strcmp(name, "error") != 0)
		return;
	printf("  QEMU: ");
	json_dumpf(message, stdout, JSON_COMPACT);
	putchar('\n');
	s->errors++;
}

static unsigned rounds(void)
{
	const char *given = getenv("BALLOON_ROUNDS");

	return given ? (unsigned)strtoul(given, NULL, 10) : ROUNDS;
}

/* The distribution's kernel, or BALLOON_KERNEL, the folder that one was built in. */
static void find_kernel(struct rig_opts *opts)
{
	static char release[65], image[300];
	const char *own = getenv("BALLOON_KERNEL");
	struct err err;

	if (system("command -v qemu-system-x86_64 >/dev/null"))
		SKIP("no qemu-system-x86_64: apt-get install qemu-system-x86");
	if (!own && rig_kernel(release, &err))
		SKIP(err.msg);
	opts->release = own ? "own" : release;
	if (!own)
		return;
	snprintf(image, sizeof image, "%s/arch/x86/boot/bzImage", own);
	opts->image = image;
	setenv("KDIR", own, 1); /* for balloon/linux/Makefile */
}

static void serve(struct scene *s)
{
	const uint64_t start_ns = os_mono_ns();

	while (rig_turn(s->rig, 100)) {
		if (s->asked_ns && rig_has(s->rig) == s->wanted) {
			printf("  to %u MB: %.1f ms\n", s->wanted / MB,
			       (double)(os_mono_ns() - s->asked_ns) / 1e6);
			s->asked_ns = 0;
		}
		if (os_mono_ns() - start_ns > LIMIT_S * UINT64_C(1000000000)) {
			printf("  no end within %d s\n", LIMIT_S);
			return;
		}
	}
}

static void play(struct scene *s, const char *script, bool disk)
{
	static const char *const modules[] = {"virtio_ring",
					      "virtio",
					      "virtio_pci_legacy_dev",
					      "virtio_pci_modern_dev",
					      "virtio_pci",
					      "virtio_blk",
					      NULL};
	char text[4000], command[300], module[200], verify[200];
	const char *const programs[] = {verify, NULL};
	struct rig_opts opts = {.module = module,
				.programs = programs,
				.append = "init_on_alloc=0 hibernate=nocompress",
				.script = text,
				.pages = MEMORY,
				.disk_pages = disk ? MEMORY : 0,
				.bridge = true,
				.line = heard,
				.event = event,
				.ctx = s};
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	find_kernel(&opts);
	opts.modules = disk && !opts.image ? modules : NULL;
	char dir[] = "/tmp/ballast-module-XXXXXX";
	if (!mkdtemp(dir))
		abort();
	snprintf(module, sizeof module, "%s/ballast_balloon.ko", dir);
	snprintf(verify, sizeof verify, "%s/guest/static/verify", getenv("BUILD") ?: "build");
	snprintf(command, sizeof command, "balloon/linux/module.sh build %s %s", opts.release, dir);
	snprintf(text, sizeof text, "rounds=%u\n%s%s", rounds(), common, script);
	if (system(command))
		abort();
	if (rig_open(&opts, &s->rig, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	serve(s);
	snprintf(command, sizeof command, "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
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

/* What holds whatever was done. */
static void check_end(struct scene *s)
{
	const struct balloon_vm_stats *told = &balloon_of(s->rig->balloon, s->rig->vm)->stats;

	for (size_t i = 0; i < s->places; i++) {
		CU_ASSERT_EQUAL(s->at[i].touched, 0);
		CU_ASSERT_EQUAL(s->at[i].resets, 0);
	}
	CU_ASSERT_EQUAL(s->complaints, 0);
	CU_ASSERT_EQUAL(s->errors, 0);
	CU_ASSERT_EQUAL(told->bad_messages, 0);
	CU_ASSERT_EQUAL(told->refused, 0);
	CU_ASSERT_EQUAL(told->popped, 0);
	CU_ASSERT_EQUAL(rig_has(s->rig), 0);
	CU_ASSERT_EQUAL(host_audit(s->rig->host, stdout), 0);
	rig_close(s->rig);
}

static void test_works(void)
{
	static struct scene s;

	play(&s, works, false);
	const struct place *start = place(&s, "start"), *half = place(&s, "half"),
			   *empty = place(&s, "empty"), *pressed = place(&s, "pressed"),
			   *full = place(&s, "full"), *end = place(&s, "end");

	printf("  free KB: %lu, %lu inflated, %lu deflated, %lu at the end; %lu moved, %lu back "
	       "before a kill, greedy %lu pages\n",
	       start->free_kb, half->free_kb, empty->free_kb, end->free_kb,
	       place(&s, "compacted")->migrations, pressed->oom, full->size);
	CU_ASSERT_EQUAL(half->size, HALF);
	CU_ASSERT_TRUE(half->free_kb + 4 * HALF < start->free_kb + 4096);
	CU_ASSERT_EQUAL(empty->size, 0);
	CU_ASSERT_TRUE(empty->free_kb + 8192 > start->free_kb);
	CU_ASSERT_EQUAL(place(&s, "reloaded")->size, HALF);
	CU_ASSERT_TRUE(pressed->oom > 0);
	CU_ASSERT_TRUE(full->refusals > 0);
	CU_ASSERT_TRUE(full->size > HALF && full->size < MEMORY - 8 * MB);
	CU_ASSERT_TRUE(end->free_kb + 8192 > start->free_kb);
	CU_ASSERT_EQUAL(balloon_of(s.rig->balloon, s.rig->vm)->stats.hellos, 1 + rounds());
	check_end(&s);
}

static void test_survives(void)
{
	static const char *const inflated[] = {"half",	"slept",     "imaged",	"reset",
					       "bound", "rescanned", "plugged", "before"};
	static const char *const back[] = {"unbound", "removed", "unplugged",
					   "alone",   "halfway", "rebooted"};
	static struct scene s;

	play(&s, survives, false);
	const struct place *start = place(&s, "start");
	for (size_t i = 0; i < ARRAY_LEN(inflated); i++)
		CU_ASSERT_EQUAL(place(&s, inflated[i])->size, HALF);
	for (size_t i = 0; i < ARRAY_LEN(back); i++) {
		const struct place *p = place(&s, back[i]);
		printf("  %s: %lu of %lu KB free\n", p->name, p->free_kb, start->free_kb);
		CU_ASSERT_TRUE(p->free_kb + 8192 > start->free_kb);
	}
	CU_ASSERT_EQUAL(s.boots, 2);
	check_end(&s);
}

static void test_hibernates(void)
{
	static const char *const inflated[] = {"first", "refused", "second",
					       "woken", "third",   "again_woken"};
	static struct scene s;

	play(&s, hibernates, true);
	const struct place *start = place(&s, "start"), *end = place(&s, "end");
	for (size_t i = 0; i < ARRAY_LEN(inflated); i++)
		CU_ASSERT_EQUAL(place(&s, inflated[i])->size, HALF);
	for (size_t i = 0; i < s.places; i++)
		CU_ASSERT_TRUE(strcmp(s.at[i].name, "lost") != 0);
	CU_ASSERT_TRUE(end->free_kb + 8192 > start->free_kb);
	CU_ASSERT_EQUAL(s.boots, 3);
	check_end(&s);
}

TESTS("live/balloon", {"in a Linux guest", test_works}, {"survives", test_survives},
      {"hibernates", test_hibernates})
