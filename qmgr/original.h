#ifndef QMGR_ORIGINAL_H
#define QMGR_ORIGINAL_H

#include "common/fiber/fiber.h"
#include "qmgr/report.h"

/*
 * Read the beginning of the message that the report is about, and make up our
 * mind how much of it the report brings along; what has more than size_limit
 * bytes is not returned whole. What the disk does not give back (EIO) is left
 * out, and the report says so. 0, or -1 with errno when it may be read later.
 */
WAITS int	 original_look(struct report *, struct pool *,
		    int64_t size_limit);

#endif
