#include "swap/private.h"

#include <errno.h>

#define END UINT32_MAX

int frame_links_init(struct frame_links *links, struct meter *meter, uint32_t frames)
{
	links->frames = frames;
	links->next = meter_alloc(meter, frames * sizeof *links->next);
	links->prev = meter_alloc(meter, frames * sizeof *links->prev);
	if (links->next && links->prev)
		return 0;
	frame_links_fini(links, meter);
	return -ENOMEM;
}

void frame_links_fini(struct frame_links *links, struct meter *meter)
{
	meter_free(meter, links->next, links->frames * sizeof *links->next);
	meter_free(meter, links->prev, links->frames * sizeof *links->prev);
	links->next = links->prev = NULL;
}

void frame_list_append(struct frame_links *links, struct frame_list *list, mpn_t mpn)
{
	links->next[mpn.n] = END;
	links->prev[mpn.n] = list->tail;
	if (list->tail == END)
		list->head = mpn.n;
	else
		links->next[list->tail] = mpn.n;
	list->tail = mpn.n;
	list->n++;
}

void frame_list_remove(struct frame_links *links, struct frame_list *list, mpn_t mpn)
{
	uint32_t next = links->next[mpn.n], prev = links->prev[mpn.n];

	if (prev == END)
		list->head = next;
	else
		links->next[prev] = next;
	if (next == END)
		list->tail = prev;
	else
		links->prev[next] = prev;
	list->n--;
}
