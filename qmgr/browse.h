#ifndef QMGR_BROWSE_H
#define QMGR_BROWSE_H

#include <stdbool.h>

#include "common/fiber/fiber.h"
#include "qmgr/entry.h"
#include "qmgr/listing.h"

/*
 * Read these directories, or, with rows, these messages (their dir may be
 * QUEUE_DIRS: look for it), and hand over every message that can be read,
 * until `each` says false. The disk is read on threads, a few messages at a
 * time. 0, or -1 with errno when a directory cannot be read.
 */
WAITS int	 browse(struct listing *, bool (*each)(void *context,
		    struct queue_entry *), void *context);

#endif
