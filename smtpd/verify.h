#ifndef SMTPD_VERIFY_H
#define SMTPD_VERIFY_H

#include "smtpd/session.h"

/* May this client ask who is on a list (EXPN)? */
bool	 verify_may_expand(const struct session *);

/* Read smtpd_expn_clients; die()s on a bad one. */
void	 verify_prepare(void);

#endif
