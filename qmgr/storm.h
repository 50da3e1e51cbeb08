#ifndef QMGR_STORM_H
#define QMGR_STORM_H

#include <stdbool.h>

#include "common/fiber/fiber.h"
#include "common/param/param.h"
#include "qmgr/message.h"

/* Before the first report. */
void		 storm_start(void);

/*
 * May a report about this message be made now? Waits for a turn; false when
 * too many wait, or we are about to end: come back in storm_pause(). Who is
 * patient always waits, but for our end. After true: storm_give() when the
 * report is made.
 */
WAITS bool	 storm_take(const struct message *, bool is_patient);
void		 storm_give(void);

/* When to come back who was put off: one after the other, as many in a second
 * as there may be reports. Milliseconds. */
int64_t		 storm_pause(void);

/* Nobody waits any more. */
void		 storm_drain(void);

extern const struct param	storm_params[];

#endif
