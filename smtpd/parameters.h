#ifndef SMTPD_PARAMETERS_H
#define SMTPD_PARAMETERS_H

#include "smtpd/session.h"

/*
 * What stands behind the path of MAIL FROM or RCPT TO: DONE, or what was said
 * about it. A keyword counts only where EHLO offers its extension.
 */
WAITS int	 parameters_of_mail(struct session *, const char *text);
WAITS int	 parameters_of_rcpt(struct session *, const char *text,
		    struct recipient_row *);

#endif
