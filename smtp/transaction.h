#ifndef SMTP_TRANSACTION_H
#define SMTP_TRANSACTION_H

#include "smtp/content.h"
#include "smtp/delivery.h"

/* The commands of one transaction: MAIL, RCPT for those who are asked for,
 * DATA. What transaction.c and data.c share. */
struct transaction {
	struct delivery		*d;
	struct connection	*c;
	struct pool		*pool;		/* of the replies */
	struct outgoing		*content;
	const char		*sender;	/* as it is sent */
	const char		**addresses;	/* the same, beside `to` */
	size_t			*to;		/* recipients, by their place */
	char			*accepted;	/* one flag for each of them */
	char			*again;		/* 452: ask once more */
	size_t			 count, accepted_count, again_count;
	bool			 is_mail_refused, wants_data, is_dot_out,
				 is_taken;	/* for one of them at least */
	size_t			 unheard;	/* BDAT: without an answer */
};

/* Recipient n of the transaction is refused, now or for good. */
WAITS void	 transaction_refuse(struct transaction *, size_t n,
		    const struct smtp_reply *, const char *command);

/* The host cannot do what it offers: those of its recipients who have no
 * answer are offered to it again, without this. False: that was tried. */
bool		 transaction_be_shy(struct transaction *, enum shy);

/* "4.2.0" from the reply, or made from its code. */
const char	*transaction_status(const struct smtp_reply *);

/* prepare.c: addresses and content. 1: nobody is left to be asked for. */
WAITS int	 prepare(struct transaction *);

/*
 * wire.c: an address as MAIL and RCPT have it, in the delivery's pool. NULL
 * with *why: this host never gets it; *dsn, the caller's word for a bad
 * address, is 5.6.7 then if the host wants SMTPUTF8.
 */
const char	*wire_path(struct transaction *, const char *address,
		    const char **dsn, const char **why);
/* Does MAIL say SMTPUTF8? Only if it is offered and anything needs it (RFC 6531
 * 3.4); addresses are prepared. */
bool		 wire_wants_utf8(struct transaction *);
/* Why this host does not get the header (RFC 6531 3.2: not ASCII, and it has
 * no SMTPUTF8), or NULL. */
const char	*wire_refusal(struct transaction *, const char **dsn);

/*
 * data.c: the message, the final dot and what is said to that. -1: the
 * conversation broke. Nobody's fault but ours (no content): settled, 0 or -1.
 */
WAITS int	 data_send(struct transaction *);

#endif
