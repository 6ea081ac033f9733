/*
 * A Linux guest with a balloon hibernates, to a disk that QEMU gives it: the
 * image needs the room that the balloon takes, so all is given back first, and
 * taken again afterwards. A page verifier runs across. The kernel that loads the
 * image has a balloon of its own then.
 */
#include "scene.h"

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

static void test_hibernates(void)
{
	static const char *const inflated[] = {"first", "refused", "second",
					       "woken", "third",   "again_woken"};
	static struct scene s;

	scene_play(&s, hibernates, SCENE_DISK);
	const struct place *start = scene_place(&s, "start"), *end = scene_place(&s, "end");
	for (size_t i = 0; i < ARRAY_LEN(inflated); i++)
		CU_ASSERT_EQUAL(scene_place(&s, inflated[i])->size, HALF);
	for (size_t i = 0; i < s.places; i++)
		CU_ASSERT_TRUE(strcmp(s.at[i].name, "lost") != 0);
	CU_ASSERT_TRUE(end->free_kb + 8192 > start->free_kb);
	CU_ASSERT_EQUAL(s.boots, 3);
	scene_end(&s);
}

TESTS("live/hibernate", {"hibernates", test_hibernates})
