#ifndef IPC_OVERRIDES_H
#define IPC_OVERRIDES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/param/param.h"

/*
 * receive_override_options: what a service that takes mail in leaves out. The
 * mail that a content filter gives back comes in by such a service.
 */
extern const struct param	overrides_params[];

/* Understand the words; what they are not is told, and the process ends. */
void		 overrides_start(void);

/* MAIL_NO_EXPAND and MAIL_NO_CHECKS, for every message. */
int64_t		 overrides_flags(void);
/* Are recipients to be accepted who do not exist? */
bool		 overrides_unlisted(void);

#endif
