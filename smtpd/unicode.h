#ifndef SMTPD_UNICODE_H
#define SMTPD_UNICODE_H

#include <stdbool.h>

#include "smtpd/session.h"

/* Is SMTPUTF8 for this client (extension_is_offered() asks this)? */
bool		 unicode_is_offered(const struct session *);

/* May this line, which is not ASCII, be a command? */
bool		 unicode_may_pass(const struct session *, const char *line);

/* What paths may have: PATH_ALLOW_UTF8 or 0. */
unsigned	 unicode_rules(const struct session *);

/* The address of MAIL or RCPT, when the parameters of MAIL are known: DONE, or
 * what say() made of the refusal. */
WAITS int	 unicode_check(struct session *, const char *address,
		    bool is_sender);

/* The parameter SMTPUTF8 at the end of what VRFY or EXPN asks for is cut off
 * and remembered until the reply. False: UTF-8 without it. */
bool		 unicode_of_query(struct session *, char *text);

/* May the reply to the present command have UTF-8 (RFC 6531 3.7.4)? */
bool		 unicode_may_reply(const struct session *);

#endif
