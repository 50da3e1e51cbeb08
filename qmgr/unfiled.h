#ifndef QMGR_UNFILED_H
#define QMGR_UNFILED_H

#include <stdbool.h>

#include "common/fiber/fiber.h"
#include "qmgr/message.h"

/* Look at the logs that are there, and begin. How many messages were found. */
WAITS size_t	 unfiled_start(void);
/* Look for what nobody told us of; at once for writers that are gone. */
WAITS void	 unfiled_look(void);
/* Everything gets a file, since we leave. */
void		 unfiled_drain(void);
unsigned	 unfiled_busy(void);

/* --- cleanup's packet of a message without a file ------------------------ */

/* Is it not known, and not over? */
bool		 unfiled_is_news(const struct new_mail *);
/* The message has been made from the packet. */
void		 unfiled_enter(struct message *, const struct new_mail *);
/* May one more wait without a file? Its copy is in memory. */
bool		 unfiled_has_room(void);
/* There is no room for it here: it gets a file, and waits. */
void		 unfiled_put_off(const struct new_mail *);

/* --- a message whose `log` is not NULL ----------------------------------- */

/* It is over: 0, or -1, and it is not. */
int		 unfiled_over(struct message *);
/* Give it a file: 0 when it has one, with what was crossed off, on stable
 * storage; -1 with errno. Only while it is held or settled. */
WAITS int	 unfiled_file(struct message *);
/* Soon. */
void		 unfiled_file_soon(struct message *);
/* It is forgotten without an end: it will be found again. */
void		 unfiled_leave(struct message *);

/* Give all that are here now a file, for who looks at files: but wait no
 * longer than that. */
WAITS void	 unfiled_file_all(int64_t deadline);
/* Bring the marks to the disk. */
WAITS void	 unfiled_sync(void);

#endif
