/* fifo: the page that got its frame first; a hit does not move it. */
#include "swap/private.h"

struct fifo_state {
	struct victim_env env;
	struct frame_links links;
	struct frame_list list;
};

static int fifo_open(void *state, const struct victim_env *env)
{
	struct fifo_state *s = state;

	s->env = *env;
	s->list = FRAME_LIST_EMPTY;
	return frame_links_init(&s->links, &env->host->meter, env->host->machine.frames);
}

static void fifo_close(void *state)
{
	struct fifo_state *s = state;

	frame_links_fini(&s->links, &s->env.host->meter);
}

static void fifo_mapped(void *state, mpn_t mpn)
{
	struct fifo_state *s = state;

	frame_list_append(&s->links, &s->list, mpn);
}

static void fifo_unmapped(void *state, mpn_t mpn)
{
	struct fifo_state *s = state;

	frame_list_remove(&s->links, &s->list, mpn);
}

static mpn_t fifo_pick(void *state)
{
	const struct fifo_state *s = state;

	for (uint32_t at = s->list.head; at != UINT32_MAX; at = s->links.next[at]) {
		if (victim_eligible(&s->env, (mpn_t){at}))
			return (mpn_t){at};
	}
	return MPN_NONE;
}

const struct victim victim_fifo = {
	.policy = {"fifo", "the page that has been in memory longest"},
	.state_size = sizeof(struct fifo_state),
	.open = fifo_open,
	.close = fifo_close,
	.mapped = fifo_mapped,
	.unmapped = fifo_unmapped,
	.pick = fifo_pick,
};
