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

/* As whom anvil counts this client: by its address, or its network. */
enum { COUNTED_AS = INETADDR_TEXT + 4 };
char		*limits_counted_as(const struct session *,
		    char to[COUNTED_AS]);

/* In mynetworks, or logged in. */
bool		 limits_is_friend(const struct session *);

/* A command that does not bring mail forward. */
void		 limits_junk(struct session *);

void		 limits_prepare(void);

#endif
