#ifndef QMGR_CHANGE_H
#define QMGR_CHANGE_H

#include "qmgr/entry.h"

/*
 * Change a message wherever it is: open, waiting or held. Bits of enum
 * changed, 0 there was nothing to do, -1 with errno: ENOENT there is no such
 * message, EBUSY it is being settled, which is soon over.
 */
int	 change_message(enum change, const char *id);

#endif
