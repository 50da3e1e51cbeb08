#ifndef CLEANUP_CLIENTS_H
#define CLEANUP_CLIENTS_H

#include "cleanup/transaction.h"

/*
 * Whose headers are rewritten: local_header_rewrite_clients.
 */

/* As root: which addresses are this host's. */
void		 clients_before(void);
void		 clients_start(void);

/* Has resolve to be asked about clients? */
bool		 clients_ask(void);

/* Is this mail from here, as far as its headers go? In doubt the message is
 * refused for now and the answer is false. */
WAITS bool	 clients_is_ours(struct transaction *);

/* Does it come by SMTP from this host, or from mynetworks? */
bool		 clients_is_near(const struct mail *);

#endif
