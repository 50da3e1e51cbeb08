#ifndef IPC_OVERRIDES_H
#define IPC_OVERRIDES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/param/param.h"

/*
 * Services that take mail in: the content filter that it goes to, and what is
 * left out (receive_override_options) where the filter gives it back.
 */
extern const struct param	overrides_params[];

/* Understand the words; what they are not is told, and the process ends. */
void		 overrides_start(void);

/* content_filter: "transport:nexthop" for every message, or "". */
char		*overrides_filter(void);
/* MAIL_NO_EXPAND and MAIL_NO_CHECKS, for every message. */
int64_t		 overrides_flags(void);
/* Are recipients to be accepted who do not exist? */
bool		 overrides_unlisted(void);

#endif
