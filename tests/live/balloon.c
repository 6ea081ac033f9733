/*
 * The balloon module in a Linux that QEMU runs, and the host's side here, over
 * an ivshmem device with its doorbell. What it does: inflated to half of the
 * guest's memory, deflated, unloaded and loaded again, compacted, out of memory,
 * and asked for more than the guest has. What it survives, with its balloon or
 * giving it back: sleep, a reset of its bus, unbinding, removal and unplugging,
 * unloading halfway, a reboot. Then without the doorbell. All memory is back at
 * the end. How long 128 MB take is printed.
 */
#include "scene.h"

#define ROUNDS 5 /* of loading, inflating and unloading; BALLOON_ROUNDS=50 */

static const char works[] =
	"at start\n"
	"insmod /ballast_balloon.ko; at loaded\n"
	"half half\n"
	"echo 1 >/proc/sys/vm/compact_memory; at compacted\n"
	"at deflate; till size != 0; at empty\n"
	"at again; till size != 32768\n"
	"i=0; while [ $i -lt %u ]; do rmmod ballast_balloon; insmod /ballast_balloon.ko\n"
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

static const char polls[] = "at start\n"
			    "insmod /ballast_balloon.ko; at loaded\n"
			    "half half\n"
			    "at deflate; till size != 0; at empty\n"
			    "at again; till size != 32768\n"
			    "rmmod ballast_balloon; at end\n"
			    "log\n";

static unsigned rounds(void)
{
	const char *given = getenv("BALLOON_ROUNDS");

	return given ? (unsigned)strtoul(given, NULL, 10) : ROUNDS;
}

static void test_works(void)
{
	static struct scene s;
	char script[2000];

	snprintf(script, sizeof script, works, rounds());
	scene_play(&s, script, SCENE_BELLS);
	const struct place *start = scene_place(&s, "start"), *half = scene_place(&s, "half"),
			   *empty = scene_place(&s, "empty"), *pressed = scene_place(&s, "pressed"),
			   *full = scene_place(&s, "full"), *end = scene_place(&s, "end");

	printf("  free KB: %lu, %lu inflated, %lu deflated, %lu at the end; %lu moved, %lu back "
	       "before a kill, greedy %lu pages\n",
	       start->free_kb, half->free_kb, empty->free_kb, end->free_kb,
	       scene_place(&s, "compacted")->migrations, pressed->oom, full->size);
	CU_ASSERT_EQUAL(half->size, HALF);
	CU_ASSERT_TRUE(half->free_kb + 4 * HALF < start->free_kb + 4096);
	CU_ASSERT_EQUAL(empty->size, 0);
	CU_ASSERT_TRUE(empty->free_kb + 8192 > start->free_kb);
	CU_ASSERT_EQUAL(scene_place(&s, "reloaded")->size, HALF);
	CU_ASSERT_TRUE(pressed->oom > 0);
	CU_ASSERT_TRUE(full->refusals > 0);
	CU_ASSERT_TRUE(full->size > HALF && full->size < MEMORY - 8 * MB);
	CU_ASSERT_TRUE(end->free_kb + 8192 > start->free_kb);
	CU_ASSERT_EQUAL(balloon_of(s.rig->balloon, s.rig->vm)->stats.hellos, 1 + rounds());
	scene_end(&s);
}

static void test_survives(void)
{
	static const char *const inflated[] = {"half",	    "slept",   "reset", "bound",
					       "rescanned", "plugged", "before"};
	static const char *const back[] = {"unbound", "removed", "unplugged",
					   "alone",   "halfway", "rebooted"};
	static struct scene s;

	scene_play(&s, survives, SCENE_BELLS);
	const struct place *start = scene_place(&s, "start");
	for (size_t i = 0; i < ARRAY_LEN(inflated); i++)
		CU_ASSERT_EQUAL(scene_place(&s, inflated[i])->size, HALF);
	for (size_t i = 0; i < ARRAY_LEN(back); i++) {
		const struct place *p = scene_place(&s, back[i]);
		printf("  %s: %lu of %lu KB free\n", p->name, p->free_kb, start->free_kb);
		CU_ASSERT_TRUE(p->free_kb + 8192 > start->free_kb);
	}
	CU_ASSERT_EQUAL(s.boots, 2);
	scene_end(&s);
}

/* The same device without its doorbell: both ends poll. */
static void test_polls(void)
{
	static struct scene s;

	scene_play(&s, polls, SCENE_POLLED);
	const struct place *start = scene_place(&s, "start"), *end = scene_place(&s, "end");
	CU_ASSERT_EQUAL(scene_place(&s, "half")->size, HALF);
	CU_ASSERT_EQUAL(scene_place(&s, "empty")->size, 0);
	CU_ASSERT_TRUE(end->free_kb + 8192 > start->free_kb);
	scene_end(&s);
}

TESTS("live/balloon", {"in a Linux guest", test_works}, {"survives", test_survives},
      {"polls", test_polls})
