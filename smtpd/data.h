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

/*
 * When the client must have sent so many bytes more of a message, which it
 * began to send at `start`: the instant moves on with what has arrived, so
 * that a byte every few minutes does not keep a session for ever.
 */
int64_t	 data_deadline(int64_t start, int64_t bytes);

#endif
