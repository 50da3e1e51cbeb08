/*
 * renew.c - a message that an administrator wants to begin anew: pickup brings
 * it to cleanup, where it becomes another message.
 *
 * The file has a mark until then, so that the wish survives our end.
 *
 * P1  The file is given up only when pickup has said under which id the message
 *     is queued now; a crash in between can make two of it, and never none.
 * P2  What cleanup refuses for good is returned to the sender.
 */
#include "qmgr/renew.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/fiber/queue.h"
#include "common/ipc/link.h"
#include "common/mail/dsn.h"
#include "common/param/site.h"

enum { AT_ONCE = 20, CODE_SIZE = 16 };

static struct link	*to_pickup;
static struct semaphore	 turns;

/* Connect when it is needed. */
void
renew_start(void)
{
	to_pickup = link_new("pickup", 1, NULL);
	semaphore_init(&turns, AT_ONCE);
}

/* Have it brought. */
static WAITS int
ask(struct message *m, struct pool *pool, struct submitted *answer)
{
	struct requeue	q = { .queue_id = m->id };
	int		result, saved;

	q.message = queue_open_file(m->dir, m->id, O_RDONLY);
	if (q.message == -1)
		return -1;
	result = link_ask(to_pickup, PACKET_REQUEUE, &q, PACKET_SUBMITTED,
	    answer, pool, clock_now() + site.ipc_timeout, false);
	saved = errno;
	close(q.message);
	errno = saved;
	return result;
}

/* "554 5.7.1 text": its code and its text. */
static const char *
split_reply(const char *reply, char code[CODE_SIZE])
{
	const char	*at = reply + strcspn(reply, " ");
	size_t		 len;

	at += strspn(at, " ");
	len = strcspn(at, " ");
	snprintf(code, CODE_SIZE, "%.*s", (int)(len < CODE_SIZE ? len : 0),
	    at);
	if (!dsn_is_valid(code) || code[0] != '5') {
		snprintf(code, CODE_SIZE, "5.0.0");
		return reply;
	}
	return at + len + strspn(at + len, " ");
}

/* Whoever waits has failed. */
static void
fail(struct message *m, const char *reply)
{
	char		 code[CODE_SIZE];
	const char	*text = split_reply(reply, code);
	size_t		 i;

	for (i = 0; i < m->envelope.count; i++) {
		if (m->work[i].state != WORK_DEFERRED &&
		    m->work[i].state != WORK_WITHDRAWN)
			continue;
		message_reason(m, i, code, text, "", "")->when_us =
		    clock_wall_us();
		m->work[i].state = WORK_FAILED;
		m->work[i].is_news = true;
	}
}

/* What pickup says, in our words. */
static enum renewed
judge(struct message *m, const struct submitted *answer)
{
	if (answer->exit_status == EX_OK) {
		log_info("%s: requeued as %s", m->id, answer->queue_id);
		return RENEWED;
	}
	if (answer->exit_status == EX_UNAVAILABLE) {
		log_info("%s: not requeued, returned to sender: %s", m->id,
		    answer->text);
		fail(m, answer->text);
		return RENEWED_REFUSED;
	}
	log_warning("%s: cannot be requeued now: %s", m->id, answer->text);
	return RENEWED_LATER;
}

/* When it is its turn. */
enum renewed
renew(struct message *m)
{
	struct submitted	answer;
	struct pool		*pool;
	enum renewed		 result = RENEWED_LATER;

	if (semaphore_take(&turns, NEVER) == -1)
		return RENEWED_LATER;
	pool = pool_new("renew", 0);
	if (ask(m, pool, &answer) == 0)
		result = judge(m, &answer);
	else
		log_warning("%s: cannot be requeued now: pickup: %s", m->id,
		    strerror(errno));
	pool_free(pool);
	semaphore_give(&turns);
	return result;
}
