/* When frames are short: the policies of host.thresholds, and what reclaim { } says of them. */
#include "core/reclaim.h"

#include <string.h>

static void marks_none(const struct host_opts *opts, uint32_t frames, uint32_t *low, uint32_t *high)
{
	(void)opts;
	(void)frames;
	*low = 0;
	*high = 1;
}

static void marks_reserve(const struct host_opts *opts, uint32_t frames, uint32_t *low,
			  uint32_t *high)
{
	*low = (uint32_t)((double)frames * opts->reserve_low);
	*high = (uint32_t)((double)frames * opts->reserve_high);
	if (*high <= *low)
		*high = *low + 1;
}

/* Shares of machine memory (Waldspurger 2002, section 6.3). */
static void states_esx(const struct reclaim_opts *opts, uint32_t frames, uint32_t *mark)
{
	mark[HOST_HIGH] = (uint32_t)((double)frames * opts->high);
	mark[HOST_CLEAR] = 0;
	mark[HOST_SOFT] = (uint32_t)((double)frames * opts->soft);
	mark[HOST_HARD] = (uint32_t)((double)frames * opts->hard);
	mark[HOST_LOW] = (uint32_t)((double)frames * opts->low);
}

#define GB_FRAMES (UINT32_C(1) << (30 - PAGE_SHIFT))

/*
 * minFree of vSphere 5 and later: 6 % of the first 4 GB, 4 % of the next 8, 2 %
 * of the next 16, 1 % beyond 28; the states begin at 100, 64, 32 and 16 % of it.
 */
static void states_later(const struct reclaim_opts *opts, uint32_t frames, uint32_t *mark)
{
	static const struct {
		uint64_t frames, percent;
	} slices[] = {{4 * GB_FRAMES, 6}, {8 * GB_FRAMES, 4}, {16 * GB_FRAMES, 2}, {UINT32_MAX, 1}};
	uint64_t left = frames, hundredths = 0;

	(void)opts;
	for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
		uint64_t part = min_u64(left, slices[i].frames);
		hundredths += part * slices[i].percent;
		left -= part;
	}
	mark[HOST_HIGH] = mark[HOST_CLEAR] = (uint32_t)(hundredths / 100);
	mark[HOST_SOFT] = (uint32_t)(hundredths * 64 / 10000);
	mark[HOST_HARD] = (uint32_t)(hundredths * 32 / 10000);
	mark[HOST_LOW] = (uint32_t)(hundredths * 16 / 10000);
}

static const struct thresholds thresholds_none = {
	.policy =
		{"none",
		 "fill memory to the last frame, replace one page per fault: textbook replacement"},
	.marks = marks_none,
};

static const struct thresholds thresholds_reserve = {
	.policy = {"reserve", "keep frames free: reclaim below reserve_low up to reserve_high"},
	.marks = marks_reserve,
};

static const struct thresholds thresholds_esx = {
	.policy = {"esx", "states high, soft, hard and low; memory is divided by shares and tax"},
	.states = states_esx,
};

static const struct thresholds thresholds_later = {
	.policy = {"esx-later", "the same with later ESX's sliding minFree and its state clear"},
	.states = states_later,
};

const struct policy *const thresholds_list[] = {
	&thresholds_none.policy,
	&thresholds_reserve.policy,
	&thresholds_esx.policy,
	&thresholds_later.policy,
	NULL,
};

#define RECLAIM(field) offsetof(struct reclaim_opts, field)

static const struct opt reclaim_options[] = {
	{"high", OPT_REAL, RECLAIM(high), "6%", 0.0001, 0.9, NULL,
	 "free share of memory that reclaiming aims at (thresholds = esx)", .live = true},
	{"soft", OPT_REAL, RECLAIM(soft), "4%", 0, 0.9, NULL,
	 "below this free share balloons are asked (thresholds = esx)", .live = true},
	{"hard", OPT_REAL, RECLAIM(hard), "2%", 0, 0.9, NULL,
	 "below this free share pages are swapped out (thresholds = esx)", .live = true},
	{"low", OPT_REAL, RECLAIM(low), "1%", 0, 0.9, NULL,
	 "below this free share VMs above their target are blocked (thresholds = esx)",
	 .live = true},
	{"width", OPT_REAL, RECLAIM(width), "5%", 0, 1, NULL,
	 "how far free memory must pass the next mark to leave a state, of the high mark; "
	 "reclaiming aims twice that",
	 .live = true},
	{"tick", OPT_TIME, RECLAIM(tick), "10ms", 1000, 1e10, NULL,
	 "virtual time between looks at memory while it is short", .live = true},
	{"adjust", OPT_TIME, RECLAIM(adjust), "0", 0, 0, NULL,
	 "virtual time after a change of settings or VMs in which balloons are asked in every "
	 "state",
	 .live = true},
	{"rate", OPT_INT, RECLAIM(rate), "5k", 0, 1e8, NULL,
	 "pages a second that are swapped out to reach targets; 0: as many as it takes, at once",
	 .live = true},
	{NULL},
};

const struct opt_section reclaim_section = {
	"reclaim",
	false,
	sizeof(struct reclaim_opts),
	reclaim_options,
	"what is done when frames are short (host.thresholds = esx, esx-later)",
};

int reclaim_check(const struct reclaim_opts *opts, struct err *err)
{
	const struct {
		const char *above, *below;
		double more, less;
	} order[] = {
		{"high", "soft", opts->high, opts->soft},
		{"soft", "hard", opts->soft, opts->hard},
		{"hard", "low", opts->hard, opts->low},
	};

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (order[i].more < order[i].less)
			return err_input(
				err,
				"reclaim.%s, %g %%, is below reclaim.%s, %g %%: each state "
				"must be shorter of memory than the one before",
				order[i].above, 100 * order[i].more, order[i].below,
				100 * order[i].less);
	}
	return 0;
}
