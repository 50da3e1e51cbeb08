#ifndef SMTPD_COMMANDS_H
#define SMTPD_COMMANDS_H

#include "common/ipc/packets.h"

#include "smtpd/session.h"

/* Run one command line: DONE, REFUSED or GONE (replies.h). */
WAITS int	 command_run(struct session *, char *line);

/* "disconnect from ... ehlo=1 mail=1 ... commands=4/5" */
void		 log_goodbye(struct session *);

/* Does EHLO announce this extension to this client? Then what belongs to it is
 * understood (offer.c). */
bool		 extension_is_offered(const struct session *,
		    const char *keyword);

/* envelope.c, data.c, bdat.c, verify.c and etrn.c */
WAITS int	 command_mail(struct session *, char *args);
WAITS int	 command_rcpt(struct session *, char *args);
/* For arrival.c: cleanup has refused; 452 4.3.1 is said at MAIL from then on,
 * for a moment. */
void		 envelope_note_answer(const struct queued *);
WAITS int	 command_data(struct session *, char *args);
WAITS int	 command_bdat(struct session *, char *args);
WAITS int	 command_vrfy(struct session *, char *args);
WAITS int	 command_expn(struct session *, char *args);
WAITS int	 command_etrn(struct session *, char *args);

#endif
