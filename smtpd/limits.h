#ifndef SMTPD_LIMITS_H
#define SMTPD_LIMITS_H

#include "smtpd/session.h"

/* May this client come in? DONE, REFUSED (told why), GONE. */
WAITS int	 limits_client(struct session *);
void		 limits_client_left(struct session *);

/* After each command: slow down who errs, REFUSED (told) who errs too much. */
WAITS int	 limits_errors(struct session *);

/* Is this client never counted? */
bool		 limits_excepts(const struct session *);

/* A command that does not bring mail forward. */
void		 limits_junk(struct session *);

/* Milliseconds that a client may take for one command, less when busy. */
int64_t		 limits_patience(void);
/* The same for something else that usually has so many. */
int64_t		 limits_hasten(int64_t usual);

/* So many visits now: accept more, or let them wait outside. */
void		 limits_slots_changed(unsigned visits);

void		 limits_prepare(void);

#endif
