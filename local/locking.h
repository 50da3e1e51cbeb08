#ifndef LOCAL_LOCKING_H
#define LOCAL_LOCKING_H

#include "common/ipc/packets.h"
#include "common/param/param.h"

/*
 * How mbox files are locked, as main.cf says, for the process that does it.
 */
extern const struct param	locking_params[];

/* Once, when the settings are there. */
void		 locking_prepare(void);

/* Fill in how; NULL, or what is wrong with the setting. */
const char	*locking_fill(struct store *);

#endif
