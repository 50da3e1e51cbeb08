#ifndef SMTPD_RATES_H
#define SMTPD_RATES_H

#include "smtpd/session.h"

/* MAIL and RCPT: DONE, or REFUSED when this client did that too often in the
 * unit of time (told, and logged), or GONE. */
WAITS int	 rates_message(struct session *);
WAITS int	 rates_recipient(struct session *);
WAITS int	 rates_auth(struct session *);

/* Before a handshake: the same. And one that began a new session is over. */
WAITS int	 rates_new_tls(struct session *);
WAITS void	 rates_count_tls(const struct session *);

#endif
