#ifndef SMTPD_TRANSCRIPT_H
#define SMTPD_TRANSCRIPT_H

#include "smtpd/session.h"

/* A line of the client's, before it is taken apart; one that nobody may see;
 * one of ours. */
void		 transcript_heard(struct session *, const char *line);
void		 transcript_heard_secret(struct session *);
void		 transcript_said(struct session *, const char *line);

/* The session is over: have bounce tell the postmaster, if there was
 * something that notify_classes wants told. */
WAITS void	 transcript_send(struct session *);

/* Is the line one that nobody may see: a response to AUTH that has failed? */
bool		 transcript_hides(const struct session *, const char *line);

/* Read notify_classes. */
void		 transcript_prepare(void);

#endif
