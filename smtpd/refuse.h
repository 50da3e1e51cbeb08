#ifndef SMTPD_REFUSE_H
#define SMTPD_REFUSE_H

#include "smtpd/replies.h"
#include "smtpd/session.h"

/*
 * Log a refusal and say it. `stage` is the command, CONNECT or END-OF-MESSAGE;
 * the recipient is NULL but for RCPT; `line` is the whole reply.
 */
WAITS int	 refuse(struct session *, const char *stage,
		    const char *recipient, const char *line);

/* An address that is none, as who sent it wrote it. */
void		 refuse_note_syntax(const struct session *, const char *verb,
		    const char *args);

#endif
