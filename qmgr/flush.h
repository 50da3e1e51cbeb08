#ifndef QMGR_FLUSH_H
#define QMGR_FLUSH_H

#include <stddef.h>

#include "common/ipc/channel.h"
#include "qmgr/schedule.h"

/*
 * Waiting messages come before their time, by what they wait for.
 */

/* PACKET_FLUSH_SITE: ETRN. */
void	 on_flush_site(struct request *);

/*
 * What waits for this domain, next hop or site is due now, and sites that did
 * not answer are tried again. Returns how many messages that are, and what
 * becomes of those of which not enough is known: there are none, they are
 * looked into in the background, or too many such requests are open.
 */
enum flush_rest { FLUSH_REST_NONE, FLUSH_REST_READ, FLUSH_REST_LEFT };
size_t	 flush_site(const char *domain, enum flush_rest *);

/* Everything that waits is tried, spread over a time if it is very much.
 * Returns how many messages that are. */
size_t	 flush_all(void);

/* A site that was dead has taken a delivery: what waits for it comes forward,
 * spread over a time. */
void	 flush_revived(const struct destination *);

#endif
