#ifndef SMTPD_FOOTER_H
#define SMTPD_FOOTER_H

#include "smtpd/session.h"

enum { FOOTER_LINES = 16 };

/*
 * The lines of a refusal with what smtpd_reject_footer adds to it, in the
 * pool: without CRLF, at most FOOTER_LINES. How many there are.
 */
WAITS size_t	 footer_add(const struct session *, struct pool *,
		    const char *line, const char *lines[FOOTER_LINES]);

/* Is there anything to add? */
bool		 footer_is_wanted(void);

#endif
