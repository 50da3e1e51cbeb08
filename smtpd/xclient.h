#ifndef SMTPD_XCLIENT_H
#define SMTPD_XCLIENT_H

#include "smtpd/session.h"

/* The commands; commands.c calls them. */
WAITS int	 command_xclient(struct session *, char *args);
WAITS int	 command_xforward(struct session *, char *args);

/* What stands behind the keywords in the answer to EHLO. */
#define XCLIENT_OFFER	"XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT " \
			"LOGIN DESTADDR DESTPORT"
#define XFORWARD_OFFER	"XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT"

/* XFORWARD is about one transaction: forget it. */
void		 xforward_forget(struct session *);

/* For the packet to cleanup: the attributes as they were given, or "" (in the
 * transaction's pool), and the flags that they bring. */
char		*xforward_text(const struct session *);
int64_t		 xforward_flags(const struct session *);

/* For the log, behind "client=...": ", orig_queue_id=..., orig_client=..." or
 * "" (in the transaction's pool). */
const char	*xforward_note(const struct session *);

#endif
