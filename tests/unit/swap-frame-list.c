#include "host.h"

#include "core/rng.h"

#define FRAMES 50
#define LISTS  3

/* Lists as arrays: [0] is the oldest. */
static struct {
	uint32_t n, frame[FRAMES];
} twin[LISTS];

static void twin_remove(size_t list, uint32_t at)
{
	twin[list].n--;
	memmove(&twin[list].frame[at], &twin[list].frame[at + 1],
		(twin[list].n - at) * sizeof twin[list].frame[0]);
}

/* Forwards and backwards. */
static void compare(const struct frame_links *links, const struct frame_list *list, size_t which)
{
	uint32_t i = 0, n = twin[which].n;

	CU_ASSERT_EQUAL_FATAL(list->n, n);
	for (uint32_t at = list->head; at != UINT32_MAX; at = links->next[at]) {
		CU_ASSERT_TRUE_FATAL(i < n);
		CU_ASSERT_EQUAL(at, twin[which].frame[i++]);
	}
	CU_ASSERT_EQUAL(i, n);
	for (uint32_t at = list->tail; at != UINT32_MAX; at = links->prev[at]) {
		CU_ASSERT_TRUE_FATAL(i > 0);
		CU_ASSERT_EQUAL(at, twin[which].frame[--i]);
	}
	CU_ASSERT_EQUAL(i, 0);
}

static void lists_equal_their_twins(void)
{
	struct frame_list list[LISTS] = {FRAME_LIST_EMPTY, FRAME_LIST_EMPTY, FRAME_LIST_EMPTY};
	int on[FRAMES]; /* which list, or -1 */
	struct frame_links links;
	struct meter meter = {0};
	struct rng rng;

	rng_init(&rng, test_seed(9), "frame lists", 0);
	memset(twin, 0, sizeof twin);
	memset(on, 0xff, sizeof on);
	CU_ASSERT_EQUAL_FATAL(frame_links_init(&links, &meter, FRAMES), 0);
	for (int i = 0; i < 20000; i++) {
		uint32_t frame = (uint32_t)rng_below(&rng, FRAMES), at = 0;
		size_t which = on[frame] < 0 ? rng_below(&rng, LISTS) : (size_t)on[frame];
		if (on[frame] < 0) {
			frame_list_append(&links, &list[which], (mpn_t){frame});
			twin[which].frame[twin[which].n++] = frame;
			on[frame] = (int)which;
		} else {
			frame_list_remove(&links, &list[which], (mpn_t){frame});
			while (twin[which].frame[at] != frame)
				at++;
			twin_remove(which, at);
			on[frame] = -1;
		}
		compare(&links, &list[which], which);
	}
	for (size_t which = 0; which < LISTS; which++)
		compare(&links, &list[which], which);
	frame_links_fini(&links, &meter);
	CU_ASSERT_EQUAL(meter.bytes, 0);
}

TESTS("swap/frame-list", {"lists equal their twins", lists_equal_their_twins})
