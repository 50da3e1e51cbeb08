#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/daemon/agent.h"
#include "common/ipc/link.h"
#include "common/ipc/packets.h"
#include "common/param/param.h"

/* What main.cf says to local; rows in recipient.c and spool.c. */
struct settings {
	int64_t	 mailbox_size_limit;
};
extern struct settings		set;
extern const struct param	recipient_params[], reroute_params[];
extern struct link		*to_resolve, *to_helper, *to_cleanup;

/* One message, as long as its recipients are worked on, one by one. */
struct delivery {
	struct pool	*pool;
	struct deliver	*mail;
	bool		 is_trail_read;		/* loops.c */
	char		**trail;
	size_t		 trail_count;
};

/* One recipient. Deliveries to it add up to one outcome. */
struct addressee {
	struct delivery		*delivery;
	struct deliver_row	*row;
	struct outcome_row	*outcome;
	struct agent_times	 times;
	char			*name;		/* local part, lower case */
	char			*user;		/* without the extension */
	char			*extension;	/* or NULL */
	char			*domain;	/* "" when there is none */
};
enum { OUTCOME_OPEN = -1 };

/* main.c: log what happened and add it to the recipient's outcome: deferred
 * outweighs rerouted outweighs bounced outweighs sent. -1 unless it is sent
 * or rerouted; the latter is not logged. */
int		 addressee_settle(struct addressee *, enum outcome,
		    int64_t flags, const char *dsn, const char *format, ...)
		    __attribute__((format(printf, 5, 6)));
bool		 addressee_is_deferred(const struct addressee *);
/* The end of a question to another daemon. */
int64_t		 local_deadline(void);

/* recipient.c: everything for one recipient; its outcome is set then. */
WAITS void	 recipient_deliver(struct addressee *);
/* Into the mailbox of this user, after his .forward if `asks_forward`.
 * 0 when sent, -1 when not; settled in either case. */
WAITS int	 recipient_to_user(struct addressee *, const char *user,
		    bool asks_forward);

/* loops.c: has the message been delivered to this address before? -1 with
 * errno when it cannot be read. */
int		 loops_find(struct delivery *, const char *address);

/* lookup.c: what the tables of this parameter say of the first key that they
 * have: 1 with the answer, 0, or -1: nobody knows now. */
WAITS int	 look_up(struct addressee *, const char *parameter,
		    struct key_row *, size_t count, struct found *);

/* reroute.c: is another transport to deliver to this user's mailbox, or to
 * somebody whom nobody knows? 1: yes, and it is settled; 0: no; -1: settled,
 * not sent. */
WAITS int	 reroute_mailbox(struct addressee *, const char *user);
WAITS int	 reroute_unknown(struct addressee *, const char *user);

/* alias.c: is there an alias? 1: yes, and it is settled; 0: no; -1: settled
 * because nobody knows. */
WAITS int	 alias_deliver(struct addressee *);

/* forward.c: the same for the user's .forward. */
struct home;
WAITS int	 forward_deliver(struct addressee *, struct home *);

/*
 * expand.c: the right-hand side of an alias or a .forward, sorted: whom the
 * message is posted to anew, whose mailbox it goes to at once.
 */
struct expansion {
	struct addressee	*to;
	const char		*source;	/* "alias root", a file */
	char			*sender;
	bool			 is_list;	/* has an owner of its own */
	bool			 is_single;	/* names one address alone */
	struct recipient_row	*rows;		/* to be posted */
	size_t			 count;
	char			**direct;	/* \user */
	size_t			 direct_count;
	bool			 has_self;	/* the alias or user itself */
};
/* 0, or -1: settled. */
WAITS int	 expand_text(struct expansion *, const char *text);
/* The wishes of the recipient for one of so many whom he stands for. */
int64_t		 expand_notify(const struct addressee *, size_t items);
char		*expand_orcpt(const struct addressee *);

/* repost.c: the message for the rows, into cleanup as a new one; settled. */
WAITS int	 repost(struct expansion *);

#endif
