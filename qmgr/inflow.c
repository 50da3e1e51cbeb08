/*
 * inflow.c - how much new mail has not been tried yet.
 *
 * cleanup asks twice a second while mail comes in, and slows the senders down
 * if it becomes more and more (cleanup/inflow.c). New mail is what lies in
 * incoming/: among the open messages, and among those that wait for a place
 * there, or for a file before that. What was tried and has been deferred does
 * not count: a site that is down makes a long queue, and is no reason to keep
 * others waiting.
 *
 * Counting looks at each open message, which takes a millisecond for 20,000
 * of them; the answer of a moment ago is given again.
 */
#include "qmgr/inflow.h"

#include "common/base/clock.h"
#include "common/ipc/packets.h"
#include "qmgr/evict.h"
#include "qmgr/message.h"
#include "qmgr/orphan.h"
#include "qmgr/waiting.h"

enum { COUNT_EVERY = 200 };		/* milliseconds */

/* Open messages that are new. */
static int64_t
count_open(void)
{
	struct message	*m;
	int64_t		 n = 0;

	for (m = message_next(NULL); m != NULL; m = message_next(m))
		n += m->dir == QUEUE_INCOMING;
	return n;
}

/* How many. */
void
on_ask_inflow(struct request *r)
{
	static struct inflow	answer;
	static int64_t		counted = INT64_MIN / 2;

	if (clock_now() - counted >= COUNT_EVERY) {
		counted = clock_now();
		answer.backlog = count_open() +
		    (int64_t)(waiting_count_new() + orphan_count());
		answer.limit = (int64_t)evict_limit();
	}
	(void)channel_reply(r, PACKET_INFLOW, &answer);
}
