#ifndef SMTPD_LISTED_H
#define SMTPD_LISTED_H

#include <stdbool.h>

#include "common/ipc/packets.h"

/* Look at what this service sets of tables that only resolve reads. */
void	 listed_prepare(void);

/* Must the recipient that resolve has answered for be in a table? */
bool	 listed_is_wanted(const struct recipient_answer *);

/* Has this service tables of its own, which nobody would ask? */
bool	 listed_is_broken(void);

#endif
