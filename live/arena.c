#include "live/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPAN  (UINT64_C(64) << 30)
#define MAGIC UINT64_C(0x31616e6572614c42) /* "BLarena1" */

static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
}

static void *at(const struct arena *arena, uint64_t offset)
{
	return (uint8_t *)arena->head + offset;
}

/* What a record points to lies within the file. */
static bool is_sound(const struct arena_head *head)
{
	for (unsigned i = 0; i < KEPT_GUESTS; i++) {
		const struct arena_guest *g = &head->guest[i];
		if (g->used && (g->entries > SPAN - UINT64_C(8) * g->pages ||
				g->at > SPAN - UINT64_C(4) * g->pages || g->name[ARENA_NAME - 1] ||
				g->group[ARENA_NAME - 1]))
			return false;
	}
	return head->sums <= SPAN - 8 * head->slots;
}

static int begin(struct arena *arena, bool again, uint64_t frames, uint64_t slots)
{
	struct arena_head *head = arena->head;

	if (again)
		return head->magic == MAGIC && head->frames == frames && head->slots == slots &&
				       is_sound(head)
			       ? 0
			       : -EUCLEAN;
	head->frames = frames;
	head->slots = slots;
	head->sums = whole_pages(sizeof *head);
	head->next = whole_pages(head->sums + 8 * slots);
	head->magic = MAGIC;
	return 0;
}

int arena_open(struct arena *arena, int fd, uint64_t frames, uint64_t slots)
{
	int rc = 0;

	arena->fd = fd >= 0 ? fd : memfd_create("ballast-arena", MFD_CLOEXEC);
	arena->head = MAP_FAILED;
	if (arena->fd < 0 || (fd < 0 && ftruncate(arena->fd, (off_t)SPAN)))
		rc = -errno;
	if (rc == 0)
		arena->head = mmap(NULL, SPAN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
				   arena->fd, 0);
	if (rc == 0 && arena->head == MAP_FAILED)
		rc = -errno;
	if (rc == 0)
		rc = begin(arena, fd >= 0, frames, slots);
	if (rc)
		arena_close(arena);
	return rc;
}

void arena_close(struct arena *arena)
{
	if (arena->head && arena->head != MAP_FAILED)
		munmap(arena->head, SPAN);
	if (arena->fd >= 0)
		close(arena->fd);
	*arena = (struct arena){.fd = -1};
}

struct arena_guest *arena_add(struct arena *arena, const char *name, uint32_t pages)
{
	struct arena_head *head = arena->head;
	uint64_t entries = whole_pages(UINT64_C(8) * pages),
		 places = whole_pages(UINT64_C(4) * pages);
	unsigned i = 0;

	while (i < KEPT_GUESTS && head->guest[i].name[0])
		i++;
	if (i == KEPT_GUESTS || entries + places > SPAN - head->next)
		return NULL;
	struct arena_guest *g = &head->guest[i];
	*g = (struct arena_guest){
		.pages = pages, .entries = head->next, .at = head->next + entries};
	snprintf(g->name, sizeof g->name, "%s", name);
	head->next += entries + places;
	return g;
}

void arena_drop(struct arena *arena, struct arena_guest *g)
{
	uint64_t bytes = whole_pages(UINT64_C(8) * g->pages) + whole_pages(UINT64_C(4) * g->pages);

	g->used = 0;
	if (fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)g->entries,
		      (off_t)bytes))
		memset(at(arena, g->entries), 0, bytes); /* nobody reads it again either way */
	g->name[0] = '\0';
}

pte_t *arena_entries(const struct arena *arena, const struct arena_guest *g)
{
	return at(arena, g->entries);
}

uint32_t *arena_at(const struct arena *arena, const struct arena_guest *g)
{
	return at(arena, g->at);
}

uint64_t *arena_sums(const struct arena *arena)
{
	return at(arena, arena->head->sums);
}
