#ifndef SMTP_DELIVERY_H
#define SMTP_DELIVERY_H

#include <sys/queue.h>

#include "common/daemon/agent.h"
#include "common/ipc/link.h"
#include "common/ipc/packets.h"

#include "smtp/session.h"

/* "Not now" that one host told one recipient: counts if no other host takes
 * it. */
struct postponed {
	const char	*dsn, *text, *diagnostic, *remote, *relay;
	unsigned	 uses;
	bool		 is_told;	/* in the log */
};

/* One message, its recipients, until each has an outcome. */
struct security;
struct login;
struct delivery {
	struct pool		*pool;
	struct request		*request;
	struct deliver		*mail;
	struct outcome_row	*outcomes;	/* as many as recipients */
	struct postponed	**postponed;	/* the same; NULL: none */
	size_t			 open;		/* without an outcome */
	struct agent_times	 times;

	/* for this next hop: how it is protected, and what a conversation
	 * must have been begun with to be of use (cache.h) */
	const struct security	*security;
	const char		*protection;
	struct login		*login;		/* with this host; NULL: none */
	struct login		*sender_login;	/* by its sender; NULL: none */

	/* the last thing that went wrong with a host */
	struct failure		 failure;

	const char		**tried;	/* cache_place() of hosts */
	size_t			 tried_count, tried_room;
	int64_t			 sessions;	/* for this next hop */
	char			*asked;		/* recipients, of this host */
	bool			 has_rest;	/* of recipients: for another
						 * conversation with it */
	unsigned		 shy;		/* enum shy */
	int64_t			 deadline;
	unsigned		 answers;	/* of hosts, to recipients */
	const char		*untold;	/* why not the last host; log */
	bool			 is_over;	/* nobody else is asked */
	bool			 has_no_fallback; /* it is not for this mail */

	struct fiber		*fiber;
	bool			 is_committed;	/* the final dot is out */
	TAILQ_ENTRY(delivery)	 entry;
};

/* What is left out with a host that offers it and cannot do it. */
enum shy { SHY_OF_EHLO = 1, SHY_OF_PIPELINING = 2, SHY_OF_CHUNKING = 4,
    SHY_OF_TLS = 8 };

/* In outcome_row.outcome while there is none. */
enum { OUTCOME_OPEN = -1 };

extern struct link	*to_dns, *to_resolve, *to_bounce;

/* PACKET_DELIVER: a fiber of its own. */
WAITS void	 on_deliver(struct request *);
unsigned	 delivery_count(void);

/* The system stops: end all deliveries but those that wait for the answer to
 * a final dot. */
void		 delivery_stop_all(void);

/* Set one recipient's outcome, and log it; once. The texts are copied. */
WAITS void	 delivery_settle(struct delivery *, size_t recipient,
		    const struct connection *, enum outcome, const char *dsn,
		    const char *text, const char *diagnostic);

/* A host said "not now" to this recipient: another one may be asked. */
void		 delivery_postpone(struct delivery *, size_t recipient,
		    const struct connection *, const char *dsn,
		    const char *text, const char *diagnostic);

/* This went wrong; the worst so far is kept. */
void		 delivery_fail(struct delivery *, const struct failure *);

/*
 * transaction.c: offer the message for every open recipient that this host was
 * not asked for yet. Recipients that the host answered for are settled or
 * postponed; -1 when the conversation broke, with the failure told. has_rest
 * says that another conversation with it is wanted for the others.
 */
WAITS int	 transaction_run(struct delivery *, struct connection *);

#endif
