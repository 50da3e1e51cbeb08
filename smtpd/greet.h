#ifndef SMTPD_GREET_H
#define SMTPD_GREET_H

#include "smtpd/session.h"

/*
 * Before the greeting: wait for those who talk too early. DONE; REFUSED when
 * the session is over (told); GONE with errno.
 */
WAITS int	 greet_wait(struct session *);

/* 220, or what smtpd_refusal_greeting says; then only QUIT is heard. */
WAITS int	 greet_say(struct session *);

/* The answer to what a client says after it was refused at the greeting. */
WAITS int	 greet_repeat(struct session *);

/* Check the parameters; die()s on bad ones. */
void		 greet_prepare(void);

#endif
