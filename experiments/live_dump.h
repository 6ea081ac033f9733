/*
 * What live guests' memory holds at one moment, as raw images: byte i of the
 * file is byte i of the guest's memory. The guests stand still meanwhile, as
 * long as writing takes, and nothing of theirs changes: swapped pages are read
 * where they lie. Pages that a guest never touched, or gave away, are holes.
 */
#ifndef BALLAST_EXPERIMENTS_LIVE_DUMP_H
#define BALLAST_EXPERIMENTS_LIVE_DUMP_H

#include "experiments/liveparts.h"

#include <jansson.h>

/*
 * {"do": "dump", "guests": {"NAME": "FILE", ..}}: files that are made, with mode
 * 0600. The reply has what each guest's pages were and the host's share_saved
 * then; NULL with err set.
 */
MUST_CHECK json_t *live_dump(const struct liveparts *parts, const json_t *request, struct err *err);

#endif
