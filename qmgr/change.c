/*
 * change.c - what an administrator wants done to one message.
 *
 * rename-2  What is answered to the administrator has been done to the file:
 *           its directory, its mark or its end survive our own end.
 * P1  A message that is being delivered is withdrawn as far as it has not been
 *     handed out; what was handed out is waited for, and counts: what an agent
 *     has delivered is not delivered again, whatever the message becomes.
 */
#include "qmgr/change.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "qmgr/dispatch.h"
#include "qmgr/message.h"
#include "qmgr/orphan.h"
#include "qmgr/outcome.h"
#include "qmgr/scan.h"
#include "qmgr/sync.h"
#include "qmgr/unfiled.h"
#include "qmgr/waiting.h"

/* --- messages that are open ---------------------------------------------- */

/* Take back what has not been handed out. */
static void
withdraw(struct message *m)
{
	struct job	*job;
	size_t		 i;

	for (job = message_next_job(m, NULL); job != NULL;
	    job = message_next_job(m, job)) {
		schedule_withdraw(job);
		for (i = job->first; i < job->end; i++)
			outcome_withdraw(m, job->numbers[i]);
		job->first = job->end;
	}
}

/* This is to become of it, when nobody delivers it any more. */
static int
decide(struct message *m, enum fate fate)
{
	m->fate = fate;
	message_hold(m);
	withdraw(m);
	message_release(m);
	return 1;
}

/* Its file goes there now. */
static int
move(struct message *m, enum queue_dir to)
{
	enum queue_dir	from = m->dir;

	if (from == to)
		return 0;
	if (queue_move(m->id, from, to) == -1)
		return -1;
	m->dir = to;
	sync_removed(from, m->id);
	return 0;
}

/* Its place in a log is over. */
static int
delete_unfiled(struct message *m)
{
	return unfiled_over(m) == -1 ? -1 : decide(m, FATE_GONE);
}

/* Its file goes now; it is remembered until its deliveries are over. */
static int
delete(struct message *m)
{
	if (m->log != NULL)
		return delete_unfiled(m);
	if (queue_remove(m->dir, m->id) == -1 && errno != ENOENT)
		return -1;
	sync_removed(m->dir, m->id);
	return decide(m, FATE_GONE);
}

/* Into hold/. */
static int
hold(struct message *m)
{
	if (m->fate == FATE_HOLD)
		return 0;
	return move(m, QUEUE_HOLD) == -1 ? -1 : decide(m, FATE_HOLD);
}

/* Begin again, out of hold/. */
static int
begin_again(struct message *m, enum fate fate)
{
	if (m->dir == QUEUE_HOLD && move(m, QUEUE_DEFERRED) == -1)
		return -1;
	return decide(m, fate);
}

/* Put a mark on its file. */
static int
mark(struct message *m, int (*set_mark)(int fd))
{
	int	fd = queue_open_file(m->dir, m->id, O_RDONLY), result;

	if (fd == -1)
		return -1;
	result = set_mark(fd);
	close(fd);
	return result;
}

/* Mark it. One that is held stays there, unless that is wanted too. */
static int
expire(struct message *m, enum change change)
{
	if (mark(m, queue_set_expired) == -1)
		return -1;
	if (m->fate != FATE_HOLD)
		return decide(m, FATE_EXPIRE);
	if (change != CHANGE_EXPIRE_RELEASE)
		return CHANGED;
	return begin_again(m, FATE_AGAIN) == -1 ? -1 : CHANGED | CHANGED_FREE;
}

/* Change an open message; as change_message(). It may be gone afterwards. */
static int
change_open(struct message *m, enum change change)
{
	switch (change) {
	case CHANGE_DELETE:
		return delete(m);
	case CHANGE_HOLD:
		return hold(m);
	case CHANGE_RELEASE:
		return m->fate == FATE_HOLD ? begin_again(m, FATE_AGAIN) : 0;
	case CHANGE_REQUEUE:
		return mark(m, queue_set_renewed) == -1 ? -1 :
		    begin_again(m, FATE_REQUEUE);
	case CHANGE_EXPIRE:
	case CHANGE_EXPIRE_NOW:
	case CHANGE_EXPIRE_RELEASE:
		return expire(m, change);
	case CHANGE_NONE:
		break;
	}
	return 0;
}

/* --- messages that wait -------------------------------------------------- */

/* Change one that is not open; the index follows. */
static int
change_closed(enum change change, const char *id, enum queue_dir from)
{
	enum queue_dir	dir = from;
	bool		is_due;
	int		result = entry_change(change, id, &dir, &is_due);

	if (result <= 0)
		return result;
	if (change == CHANGE_DELETE || dir != from)
		sync_removed(from, id);
	if (change != CHANGE_DELETE && dir == from && !is_due)
		return result;
	(void)waiting_remove(id);
	if (is_due)
		(void)waiting_add(id, dir, clock_now());
	feed_wake();
	return result;
}

/* Wherever it is. */
int
change_message(enum change change, const char *id)
{
	struct message	*m = message_find(id);
	enum queue_dir	 dir;
	char		 name[QUEUE_ID_MAX + 1];
	int		 result;

	/* A file alone is not all of it: its record would make another. */
	if (m == NULL && orphan_has(id)) {
		errno = EBUSY;
		return -1;
	}
	if (m == NULL) {
		if (entry_find(id, &dir))
			return change_closed(change, id, dir);
		errno = ENOENT;
		return -1;
	}
	if (m->fate == FATE_GONE || m->is_settling || m->is_filing ||
	    (m->log != NULL && change != CHANGE_DELETE)) {
		errno = m->fate == FATE_GONE ? ENOENT : EBUSY;
		return -1;
	}
	strlcpy(name, m->id, sizeof(name));
	if ((result = change_open(m, change)) > 0)
		entry_log(change, result, name);
	return result;
}
