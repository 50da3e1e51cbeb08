#ifndef QMGR_USERS_H
#define QMGR_USERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/fiber/fiber.h"
#include "common/param/param.h"

/* Which users of this machine may look at the queue, and which may ask for
 * another attempt. */
extern const struct param	users_params[];

/* NULL when this user may, else why not. Root and the mail system's own user
 * always may. */
WAITS const char	*users_may_list(uid_t);
WAITS const char	*users_may_flush(uid_t);

#endif
