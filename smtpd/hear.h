#ifndef SMTPD_HEAR_H
#define SMTPD_HEAR_H

#include "smtpd/session.h"

/*
 * One command line, without its end: DONE; REFUSED when it cannot be one,
 * and that was told; GONE with errno. The line is good until the next call.
 */
WAITS int	 hear(struct session *, char **line);

/*
 * One response of AUTH's dialogue, in the same way. What it holds, like the
 * line of AUTH itself, is nowhere in our memory after the next call.
 */
WAITS int	 hear_response(struct session *, char **line);
bool		 hear_is_secret(const struct session *); /* the last line? */
void		 hear_forget(struct session *);

/* How many of these bytes that came early may stand in the log: what follows
 * AUTH may not. */
int		 hear_shown(const char *text, size_t len);

#endif
