/*
 * A scene with the balloon module: a Linux that QEMU runs plays a script, and the
 * host's side here does what each place of it calls for ("AT name", with what the
 * guest counts there). At the end nothing was killed, nothing complained in its
 * log, no page of the balloon was touched, and none is in it.
 *
 * BALLOON_CONSOLE=1 shows the guest's console; BALLOON_KERNEL=FOLDER boots a kernel
 * that was built there instead of the distribution's, e.g. one with lockdep
 * (tests/live/lockdep.config).
 */
#ifndef BALLAST_TESTS_LIVE_SCENE_H
#define BALLAST_TESTS_LIVE_SCENE_H

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
#define LIMIT_S 240 /* BALLOON_SECONDS=1200, for a slow kernel */

/* The device that the module drives, a line for the host, and what the log must not have. */
static const char scene_common[] =
	"at() { echo \"AT $1 $(free_kb) $(get size) $(get refusals) $(get oom_deflations) "
	"$(get migrations) $(get resets)\"; }\n"
	"log() { [ ! -e /proc/lockdep_stats ] || { grep -q 'debug_locks: *1' /proc/lockdep_stats &&"
	" echo WATCHED || echo LOG lockdep has given up; }\n"
	"dmesg | grep -iE 'BUG:|WARNING:|Call Trace|oops|killed|oom-kill|ballast.*error' |"
	" sed 's/^/LOG /'; }\n"
	"half() { till size != 32768; at $1; }\n";

struct place { /* what the guest said when it was there */
	char name[16];
	unsigned long free_kb, size, refusals, oom, migrations, resets;
	uint32_t touched; /* pages of the balloon, then */
};

enum scene_with { SCENE_BELLS, SCENE_POLLED, SCENE_DISK }; /* a disk, and bells */

struct scene {
	struct rig *rig;
	uint64_t asked_ns;
	uint32_t wanted;
	struct place at[40];
	size_t places;
	unsigned complaints, errors, boots;
	bool watched; /* by lockdep, to the end */
};

static inline void scene_want(struct scene *s, uint32_t pages)
{
	s->wanted = pages;
	s->asked_ns = os_mono_ns();
	rig_want(s->rig, pages);
}

static const char *const scene_boots[] = {"first", "second", "third", "fourth"};

/* What the host does when the guest says where it is. */
static inline void scene_arrived(struct scene *s, struct place *p)
{
	p->touched = rig_touched(s->rig);
	if (!strcmp(p->name, "start"))
		rig_say(s->rig, scene_boots[s->boots++ % ARRAY_LEN(scene_boots)]);
	else if (!strcmp(p->name, "loaded") || !strcmp(p->name, "again"))
		scene_want(s, HALF);
	else if (!strcmp(p->name, "deflate"))
		scene_want(s, 0);
	else if (!strcmp(p->name, "greedy"))
		scene_want(s, MEMORY - 8 * MB);
	else if (!strcmp(p->name, "unplug"))
		rig_qmp(s->rig, "{\"execute\": \"device_del\", \"arguments\": {\"id\": "
				"\"balloon\"}}");
	else if (!strcmp(p->name, "plug"))
		rig_plug(s->rig);
}

static inline void scene_heard(void *ctx, const char *line)
{
	struct scene *s = ctx;
	const char *at = strstr(line, "AT "), *log = strstr(line, "LOG ");
	struct place *p = &s->at[s->places];

	if (getenv("BALLOON_CONSOLE"))
		printf("  | %s\n", line);
	s->watched |= strstr(line, "WATCHED") != NULL;
	if (log) {
		printf("  %s\n", log);
		s->complaints++;
	}
	if (!at || s->places == ARRAY_LEN(s->at) ||
	    sscanf(at, "AT %15s %lu %lu %lu %lu %lu %lu", p->name, &p->free_kb, &p->size,
		   &p->refusals, &p->oom, &p->migrations, &p->resets) < 2)
		return;
	s->places++;
	scene_arrived(s, p);
	if (p->touched)
		printf("  at %s %u pages of the balloon are touched\n", p->name, p->touched);
}

static inline void scene_event(void *ctx, const char *name, const json_t *message)
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

/* The distribution's kernel, or BALLOON_KERNEL, the folder that one was built in. */
static inline void scene_kernel(struct rig_opts *opts)
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

static inline void scene_serve(struct scene *s)
{
	const char *given = getenv("BALLOON_SECONDS");
	const unsigned limit = given ? (unsigned)strtoul(given, NULL, 10) : LIMIT_S;
	const uint64_t start_ns = os_mono_ns();

	while (rig_turn(s->rig, 100)) {
		if (s->asked_ns && rig_has(s->rig) == s->wanted) {
			printf("  to %u MB: %.1f ms\n", s->wanted / MB,
			       (double)(os_mono_ns() - s->asked_ns) / 1e6);
			s->asked_ns = 0;
		}
		if (os_mono_ns() - start_ns > limit * UINT64_C(1000000000)) {
			printf("  no end within %u s\n", limit);
			return;
		}
	}
}

static inline void scene_play(struct scene *s, const char *script, enum scene_with with)
{
	static const char *const modules[] = {"virtio_ring",
					      "virtio",
					      "virtio_pci_legacy_dev",
					      "virtio_pci_modern_dev",
					      "virtio_pci",
					      "virtio_blk",
					      NULL};
	const bool disk = with == SCENE_DISK;
	char text[6000], command[300], module[200], verify[200];
	const char *const programs[] = {verify, NULL};
	struct rig_opts opts = {.module = module,
				.programs = programs,
				.append = "init_on_alloc=0 hibernate=nocompress",
				.script = text,
				.pages = MEMORY,
				.disk_pages = disk ? MEMORY : 0,
				.polled = with == SCENE_POLLED,
				.bridge = true,
				.line = scene_heard,
				.event = scene_event,
				.ctx = s};
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	scene_kernel(&opts);
	opts.modules = disk && !opts.image ? modules : NULL;
	if (disk && opts.image) /* KASAN takes an eighth, and an image half of the rest */
		opts.disk_pages = opts.pages = 2 * MEMORY;
	char dir[] = "/tmp/ballast-module-XXXXXX";
	if (!mkdtemp(dir))
		abort();
	snprintf(module, sizeof module, "%s/ballast_balloon.ko", dir);
	snprintf(verify, sizeof verify, "%s/guest/static/verify", getenv("BUILD") ?: "build");
	snprintf(command, sizeof command, "balloon/linux/module.sh build %s %s", opts.release, dir);
	snprintf(text, sizeof text, "%s%s", scene_common, script);
	if (system(command))
		abort();
	if (rig_open(&opts, &s->rig, &err)) {
		printf("  %s\n", err.msg);
		abort();
	}
	scene_serve(s);
	snprintf(command, sizeof command, "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

static inline const struct place *scene_place(const struct scene *s, const char *name)
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
static inline void scene_end(struct scene *s)
{
	const struct balloon_vm_stats *told = &balloon_of(s->rig->balloon, s->rig->vm)->stats;

	for (size_t i = 0; i < s->places; i++) {
		CU_ASSERT_EQUAL(s->at[i].touched, 0);
		CU_ASSERT_EQUAL(s->at[i].resets, 0);
	}
	CU_ASSERT_EQUAL(s->complaints, 0);
	CU_ASSERT_EQUAL(s->errors, 0);
	if (s->watched)
		printf("  lockdep watched\n");
	CU_ASSERT_EQUAL(told->bad_messages, 0);
	CU_ASSERT_EQUAL(told->refused, 0);
	CU_ASSERT_EQUAL(told->popped, 0);
	CU_ASSERT_EQUAL(rig_has(s->rig), 0);
	CU_ASSERT_EQUAL(host_audit(s->rig->host, stdout), 0);
	rig_close(s->rig);
}

#endif
