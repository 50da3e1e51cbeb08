#ifndef SMTPD_ARRIVAL_H
#define SMTPD_ARRIVAL_H

#include "common/ipc/posting.h"
#include "common/mail/smtp.h"

#include "smtpd/session.h"

/* What is read at a time: nobody waits for input with so much memory. */
enum { ARRIVAL_ROOM = 64 * 1024 };

/*
 * The text of a message on its way to cleanup, by DATA or by BDAT. It lives
 * in its transaction's pool; transaction_end() gives it up if nobody did.
 */
struct arrival {
	struct session	*session;
	struct posting	*posting;	/* NULL when it is settled */
	char		 queue_id[QUEUE_ID_MAX + 1]; /* proposed */
	struct crlf	 repair;
	char		*repaired;	/* NULL until it is needed */
	int64_t		 bytes;		/* of the message, dots unstuffed */
	int64_t		 bare_lf;	/* line ends without CR */
	bool		 is_lost;	/* cleanup gave up or refused */
	bool		 is_ended;	/* by a line end */
};

/* Tell cleanup of the envelope. NULL with errno when it cannot be told. */
WAITS struct arrival *arrival_open(struct session *);

/*
 * Bytes of the message, dots already unstuffed.
 * `is_clean`: no LF among them is without its CR. What cleanup does not want
 * any more is forgotten. -1: the session is over (ECANCELED).
 */
WAITS int	 arrival_write(struct arrival *, const char *, size_t,
		    bool is_clean);

/* The message is complete: what becomes of it is said, as by say(). */
WAITS int	 arrival_settle(struct arrival *);

/* It will never be. Fine without one. */
void		 arrival_abandon(struct arrival *);

/* Whoever was refused may bring his message to its end, since he does not
 * listen before; one without an end he may not. */
bool		 arrival_is_endless(int64_t bytes);

#endif
