#ifndef SMTPD_DATA_H
#define SMTPD_DATA_H

#include "smtpd/session.h"

/* Read the parameters of DATA; die()s on bad ones. */
void	 data_prepare(void);

/* Is a line end without CR a reason to refuse this client's message? */
bool	 data_rejects_bare(const struct session *);

/* And may it end this client's commands? RFC 5321 2.3.8: it must not, but
 * those in our networks may be programs that know no better. */
bool	 data_takes_bare(const struct session *);

/* Read more of a message, in the time that it has left (turns.h): 0, or -1
 * with errno, which is ECONNRESET at the end of input. */
WAITS int data_fill(struct session *);

#endif
