/*
 * outcome.c - what becomes of each recipient, and of the message when all of
 * them have an outcome.
 *
 * crossoff-2  A recipient is crossed off only after an agent said that the
 *             mail is delivered, or after the report of its failure is on
 *             stable storage (or was not to be written: no sender,
 *             NOTIFY=NEVER; or could not be, ever, which is logged).
 * unlink-1  A file is removed only when every recipient is delivered or
 *           crossed off, and then once; if that fails the message stays in
 *           memory, so that it is not delivered again, and is tried again.
 * unlink-2  Whatever goes wrong here, the file stays, and is tried again
 *           later.
 * crossoff-3  A delivery that its sender wants to hear of (RFC 3461, SUCCESS)
 *             is crossed off in two steps, each one byte: delivered, report
 *             due; then, when the report is on stable storage, done. After a
 *             crash in between the report is made, and nothing is delivered
 *             again.
 */
#include "qmgr/outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/agent.h"
#include "common/daemon/daemon.h"
#include "common/daemon/peers.h"
#include "common/fiber/offload.h"
#include "common/mail/dsn.h"
#include "common/param/site.h"
#include "qmgr/again.h"
#include "qmgr/notify.h"
#include "qmgr/patience.h"
#include "qmgr/record.h"
#include "qmgr/renew.h"
#include "qmgr/retry.h"
#include "qmgr/scan.h"
#include "qmgr/storm.h"
#include "qmgr/sync.h"
#include "qmgr/unfiled.h"

enum { CODE_SIZE = 16 };

static unsigned	settling;

/* --- one recipient ------------------------------------------------------- */

/* The same as before, for the journal's sake? */
static bool
is_same(const struct reason *r, const char *dsn, const char *text)
{
	return r != NULL && strcmp(r->text, text) == 0 &&
	    strcmp(r->dsn, dsn) == 0;
}

/* A code of the right class, whatever the agent sent. With soft_bounce what
 * failed for good has failed for now. */
static void
code_of(char to[CODE_SIZE], const struct outcome_row *row)
{
	char	class = row->outcome == OUTCOME_SENT ? '2' :
		    row->outcome == OUTCOME_BOUNCED && !site.soft_bounce ?
		    '5' : '4';

	snprintf(to, CODE_SIZE, "%c%s", class, dsn_is_valid(row->dsn) &&
	    (row->dsn[0] == class || row->outcome == OUTCOME_BOUNCED) ?
	    row->dsn + 1 : ".0.0");
}

/* Keep why it failed. */
static void
keep_reason(struct message *m, struct work *w, const struct outcome_row *row)
{
	struct reason	*r = w->reason;
	char		 code[CODE_SIZE];

	code_of(code, row);
	if (!is_same(r, code, row->text)) {
		w->is_news = true;
		r = message_reason(m, (size_t)(w - m->work), code, row->text,
		    row->remote, row->diagnostic);
	}
	r->flags = row->flags;
	r->when_us = clock_wall_us();
}

/* An outcome. */
void
outcome_set(struct message *m, size_t number, const struct outcome_row *row)
{
	struct work	*w = &m->work[number];

	if (w->state != WORK_WAITING)
		return;
	CLAIM(m->open > 0 && m->holds > 0);
	m->open--;
	switch (row->outcome) {
	case OUTCOME_SENT:
		w->state = WORK_SENT;
		if (notify_is_due(m, number, row->flags))
			w->state = WORK_UNTOLD;
		if (w->state == WORK_UNTOLD || notify_wants_trace(m))
			keep_reason(m, w, row);
		if (!(m->envelope.mail.flags & MAIL_IS_PROBE))
			sync_cross_off(m, number);
		break;
	case OUTCOME_BOUNCED:
		w->state = site.soft_bounce ? WORK_DEFERRED : WORK_FAILED;
		keep_reason(m, w, row);
		break;
	default:
		w->state = WORK_DEFERRED;
		keep_reason(m, w, row);
	}
}

/* The log line, in the shape of the agents'. */
static void
tell(const struct message *m, size_t number, const struct outcome_row *row)
{
	struct deliver		d = { .queue_id = (char *)(uintptr_t)m->id,
				    .flags = m->envelope.mail.flags,
				    .arrival_us = m->envelope.mail.arrival_us,
				    .active_us = m->active_us };
	struct deliver_row	to = {
	    .address = (char *)(uintptr_t)message_address(m, number),
	    .original = (char *)(uintptr_t)message_original(m, number) };
	struct agent_times	t;

	t.start_us = t.ready_us = t.done_us = clock_wall_us();
	agent_log(&d, &to, "none", 0, &t, row);
}

/* An outcome of our own making. */
void
outcome_decide(struct message *m, size_t number, enum outcome outcome,
    const char *dsn, const char *text)
{
	static char		nothing[1];
	struct outcome_row	row = { .number = (int64_t)number,
				    .outcome = outcome,
				    .dsn = (char *)(uintptr_t)dsn,
				    .text = (char *)(uintptr_t)text,
				    .remote = nothing, .diagnostic = nothing };

	if (m->work[number].state != WORK_WAITING)
		return;
	tell(m, number, &row);
	outcome_set(m, number, &row);
}

/* No outcome. Who was expired by hand fails in the end (expire()) with the
 * reason of the last attempt, if there was one. */
void
outcome_withdraw(struct message *m, size_t number)
{
	if (m->work[number].state != WORK_WAITING)
		return;
	CLAIM(m->open > 0 && m->holds > 0);
	if (m->fate == FATE_EXPIRE && m->work[number].reason == NULL) {
		outcome_decide(m, number, OUTCOME_DEFERRED, "4.7.0",
		    "message is administratively expired");
		return;
	}
	m->work[number].state = m->fate == FATE_EXPIRE ? WORK_DEFERRED :
	    WORK_WITHDRAWN;
	m->open--;
}

/* --- the end of a message ------------------------------------------------ */

/* Forget it, and let the next one in. */
static void
leave(struct message *m)
{
	sync_forget(m);
	message_close(m);
	feed_wake();
}

/* Recipients that are in this state. */
static size_t
count_of(const struct message *m, enum work_state state)
{
	size_t	i, n = 0;

	for (i = 0; i < m->envelope.count; i++)
		if (m->work[i].state == state)
			n++;
	return n;
}

/* Is nothing owed to anybody? */
static bool
is_done(const struct message *m)
{
	size_t	i;

	for (i = 0; i < m->envelope.count; i++)
		if (m->work[i].state != WORK_SENT &&
		    m->work[i].state != WORK_OVER)
			return false;
	return true;
}

/* Its place in the log, or its file. */
static int
remove_it(struct message *m)
{
	if (m->log != NULL)
		return unfiled_over(m);
	if (queue_remove(m->dir, m->id) == -1 && errno != ENOENT)
		return -1;
	sync_removed(m->dir, m->id);
	return 0;
}

/* Remove it. */
static int
remove_file(struct message *m)
{
	if (m->fate == FATE_GONE)
		return 0;		/* that was done before */
	if (remove_it(m) == -1) {
		log_error("%s: cannot be removed: %s", m->id,
		    strerror(errno));
		return -1;
	}
	log_info("%s: removed", m->id);
	return 0;
}

/* --- putting back -------------------------------------------------------- */

/* Where the message waits from now on. */
static void
move(struct message *m)
{
	enum queue_dir	to = m->fate == FATE_HOLD ? QUEUE_HOLD :
			    m->fate == FATE_AGAIN || m->fate == FATE_REQUEUE ?
			    m->dir : QUEUE_DEFERRED;

	if (m->dir == to)
		return;
	if (queue_move(m->id, m->dir, to) == 0)
		m->dir = to;
	else
		log_warning("%s: cannot be moved to %s: %s; it stays in %s",
		    m->id, queue_dir_name(to), strerror(errno),
		    queue_dir_name(m->dir));
}

/* Is the recipient's end not in the file yet? */
static bool
has_just_failed(const struct message *m, size_t number)
{
	unsigned char	state = m->work[number].state;

	return state == WORK_FAILED || (state == WORK_OWED &&
	    m->envelope.recipients[number].status != RECIPIENT_OWED);
}

/* The recipients that were reported are crossed off as failed, and those that
 * are still to be reported as that. */
static bool
cross_failures(struct message *m)
{
	bool	has_some = false;
	size_t	i;

	for (i = 0; i < m->envelope.count; i++)
		if (has_just_failed(m, i)) {
			sync_cross_off(m, i);
			has_some = true;
		}
	return has_some;
}

/* Write down what happened. False when the file is gone, and the message with
 * it, or we are. */
static WAITS bool
write_down(struct message *m)
{
	bool		has_failures = cross_failures(m);
	bool		has_news = m->crossing_count > 0 || m->is_warned_now;
	struct patience	patience = { 0 };
	int		result;

	while ((result = record_end(m, has_failures, has_news)) == -1)
		if (!patience_wait(&patience))
			return false;
	if (result == 0)
		return true;
	log_warning("%s: its file is gone", m->id);
	leave(m);
	return false;
}

/* How long until something is to be done again? */
static int64_t
pause_of(const struct message *m)
{
	if (m->fate == FATE_AGAIN)
		return 0;
	if (m->is_put_off && count_of(m, WORK_DEFERRED) +
	    count_of(m, WORK_WITHDRAWN) == 0)
		return storm_pause();
	return m->fate == FATE_REQUEUE ? RENEW_PAUSE : again_pause(m);
}

/* Wait for the next attempt. */
static void
wait_again(struct message *m)
{
	int64_t	pause;

	move(m);
	pause = pause_of(m);
	if (queue_set_time(m->dir, m->id, clock_wall_us() + pause * 1000) == -1)
		log_warning("%s: cannot set its time: %s", m->id,
		    strerror(errno));
	if (m->dir != QUEUE_HOLD)
		again_wait(m, clock_now() + pause);
	leave(m);
}

/* Write down what happened, and wait. */
static WAITS void
put_back(struct message *m)
{
	if (write_down(m))
		wait_again(m);
}

/* It is over. */
static WAITS void
end(struct message *m)
{
	struct patience	patience = { 0 };

	while (remove_file(m) == -1)
		if (!patience_wait(&patience))
			break;
	leave(m);
}

/* Does nobody wait, and is nothing to be told? */
static bool
is_over(const struct message *m)
{
	return count_of(m, WORK_DEFERRED) + count_of(m, WORK_WITHDRAWN) +
	    count_of(m, WORK_UNTOLD) + count_of(m, WORK_OWED) == 0;
}

/* To cleanup again, for those who wait; pickup reads in the file who they are.
 * What the sender is still to be told comes first. */
static WAITS void
begin_anew(struct message *m)
{
	enum renewed	result = RENEWED_LATER;

	if (!write_down(m))
		return;
	if (count_of(m, WORK_UNTOLD) + count_of(m, WORK_OWED) == 0)
		result = renew(m);
	if (result == RENEWED_REFUSED)
		notify_failures(m);
	if (result == RENEWED || (result == RENEWED_REFUSED && is_over(m)))
		end(m);
	else if (result == RENEWED_REFUSED)
		put_back(m);
	else
		wait_again(m);
}

/* --- settling ------------------------------------------------------------ */

/* Too old, or an administrator's wish: whoever still waits has failed. */
static void
expire(struct message *m)
{
	bool	is_forced = m->fate == FATE_EXPIRE, has_some = is_forced;
	size_t	i;

	if (!is_forced && !retry_may_expire())
		return;
	for (i = 0; i < m->envelope.count; i++)
		if (m->work[i].state == WORK_DEFERRED &&
		    (is_forced || again_is_too_old(m, i))) {
			m->work[i].state = WORK_FAILED;
			has_some = true;
		}
	if (has_some)
		log_info("%s: from=<%s>, status=%s, returned to sender", m->id,
		    log_address(m->envelope.mail.sender),
		    is_forced ? "force-expired" : "expired");
}

/* A report of success that cannot be made for days is owed to nobody. */
static void
give_up_telling(struct message *m)
{
	size_t	i, n = count_of(m, WORK_UNTOLD);

	if (n == 0 || !retry_may_expire() || !retry_is_too_old(&retry,
	    (clock_wall_us() - m->envelope.mail.arrival_us) / 1000, false))
		return;
	log_warning("%s: from=<%s>: the sender asked for a report of success, "
	    "which cannot be made; %zu recipients have their mail", m->id,
	    log_address(m->envelope.mail.sender), n);
	for (i = 0; i < m->envelope.count; i++)
		if (m->work[i].state == WORK_UNTOLD) {
			m->work[i].state = WORK_SENT;
			sync_cross_off(m, i);
		}
}

/* Cross off who has the mail before somebody is told of something, since that
 * may take longer than a crash is to cost (crossoff-3, crossoff-4). What cannot
 * be written now is written in the end. */
static WAITS void
cross_off_first(struct message *m)
{
	int	fd;

	if (m->crossing_count == 0 ||
	    (!notify_has_work(m) && !notify_wants_trace(m)))
		return;
	sync_take_place();
	if ((fd = queue_open_file(m->dir, m->id, O_RDWR)) == -1) {
		sync_leave_place();
		return;
	}
	if (sync_write(m, fd) == -1)
		log_warning("%s: cannot cross recipients off: %s", m->id,
		    strerror(errno));
	sync_later(fd);
}

/* What is to be written down needs a file. */
static WAITS bool
get_file(struct message *m)
{
	struct patience	patience = { 0 };

	if (m->fate == FATE_GONE || outcome_is_delivered(m))
		return true;
	while (unfiled_file(m) == -1) {
		log_error("%s: cannot get a file: %s", m->id,
		    strerror(errno));
		if (!patience_wait(&patience))
			return false;	/* it stands in its log */
	}
	return true;
}

/* All have an outcome: tell who must be told, then remove or put back. */
static void
settle(void *arg)
{
	struct message	*m = arg;

	fiber_name("settle");
	if (!get_file(m)) {
		leave(m);
		settling--;
		return;
	}
	expire(m);
	cross_off_first(m);
	notify_trace(m);
	notify_failures(m);
	notify_delay(m);
	notify_successes(m);
	give_up_telling(m);
	if (m->fate == FATE_GONE)
		leave(m);
	else if (is_over(m))
		end(m);
	else if (m->fate == FATE_REQUEUE)
		begin_anew(m);
	else
		put_back(m);
	settling--;
}

/* Is this the common end? */
bool
outcome_is_delivered(const struct message *m)
{
	return m->open == 0 && is_done(m) && !notify_wants_trace(m);
}

/* Nobody waits any more. The common end is short and needs no fiber. */
static void
check(struct message *m)
{
	if (m->holds > 0 || m->open > 0 || m->is_settling)
		return;
	if ((m->fate == FATE_GONE || outcome_is_delivered(m)) &&
	    remove_file(m) == 0) {
		leave(m);
		return;
	}
	m->is_settling = true;
	settling++;
	fiber_start(settle, m);
}

/* One more holder. */
void
message_hold(struct message *m)
{
	m->holds++;
}

/* One less. */
void
message_release(struct message *m)
{
	CLAIM(m->holds > 0);
	m->holds--;
	check(m);
}

/* How many are being settled. */
unsigned
outcome_settling(void)
{
	return settling;
}
