#ifndef IPC_POSTING_H
#define IPC_POSTING_H

#include "common/ipc/link.h"
#include "common/ipc/packets.h"

/*
 * A posting is one message on its way into cleanup: how smtpd, pickup, bounce
 * and local hand mail over (PACKET_MAIL, RECIPIENTS, CONTENT; QUEUED back).
 * Small writes are gathered into packets of CONTENT_MAX; a sender is never
 * further ahead of cleanup than 2 * CREDIT_EVERY of them.
 */
struct posting;

/*
 * Open a transaction: sends the envelope with all its recipients (as many
 * packets as it takes; mail->has_more is set here). NULL with errno when
 * cleanup cannot be reached. The posting lives in the pool.
 */
WAITS struct posting *posting_open(struct pool *, struct link *cleanup,
		    struct mail *, int64_t deadline);

/* Message bytes, CRLF line ends. 0, or -1: cleanup is gone, or it has
 * answered already (posting_finish() tells what). */
WAITS int	 posting_write(struct posting *, const void *, size_t,
		    int64_t deadline);

/* Send the rest and wait for the answer, which is in the pool. -1 when there
 * is none: the caller reports a temporary failure. Ends the posting. */
WAITS int	 posting_finish(struct posting *, struct queued *,
		    int64_t deadline);

/* The message will not be finished; ends the posting. Never waits. */
void		 posting_abandon(struct posting *);

#endif
