#ifndef SMTP_DELIVERY_H
#define SMTP_DELIVERY_H

#include "common/daemon/agent.h"
#include "common/ipc/link.h"
#include "common/ipc/packets.h"

#include "smtp/session.h"

/* One message, its recipients, until each has an outcome. */
struct delivery {
	struct pool		*pool;
	struct request		*request;
	struct deliver		*mail;
	struct outcome_row	*outcomes;	/* as many as recipients */
	size_t			 open;		/* without an outcome */
	struct agent_times	 times;

	/* the last thing that went wrong with a host */
	const char		*why, *dsn, *remote;
	bool			 is_permanent;
	bool			 had_session;	/* some host talked to us */
};

/* In outcome_row.outcome while there is none. */
enum { OUTCOME_OPEN = -1 };

extern struct link	*to_dns;

/* PACKET_DELIVER: a fiber of its own. */
WAITS void	 on_deliver(struct request *);
unsigned	 delivery_count(void);

/* Set one recipient's outcome, and log it. `text` is copied. */
void		 delivery_settle(struct delivery *, size_t recipient,
		    const struct connection *, enum outcome, const char *dsn,
		    const char *text, const char *diagnostic);

/*
 * transaction.c: offer the message for every open recipient. Recipients that
 * the host answered for are settled; the others stay open when -1 says that
 * the conversation broke (delivery->why tells how).
 */
WAITS int	 transaction_run(struct delivery *, struct connection *);

#endif
