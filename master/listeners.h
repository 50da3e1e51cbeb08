#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include "master/services.h"

/*
 * The sockets that master holds open for the daemons as long as a service
 * wants them: across the death of a process and across a reload, so that no
 * connection is refused in between.
 */

/* Open what the units want, keep what is open already and still wanted. On
 * failure, a sentence: nothing that was open has been closed. */
const char	*listeners_open(struct services *);
/* Close what the given table does not use. */
void		 listeners_sweep(const struct services *);

int		 listener_fd(const struct listener *);
bool		 listener_is_inet(const struct listener *);
/* Has somebody called since it was opened? */
bool		 listener_is_called(const struct listener *);
/* Tell when one is called for the first time. */
void		 listeners_on_call(void (*)(void));

/* "127.0.0.1:25", "submission", "[::1]:587": every address to listen at,
 * after inet_interfaces and inet_protocols. NULL, or what is wrong. */
const char	*listener_addresses(struct pool *, const char *service,
		    struct inetaddr **, size_t *count);

/* Would these addresses be free for us? NULL, or why not. */
const char	*listener_probe(struct pool *, const struct inetaddr *);

#endif
