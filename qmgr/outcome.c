/*
 * outcome.c - what becomes of each recipient, and of the message when all of
 * them have an outcome.
 *
 * P1  A recipient is crossed off only after an agent said that the mail is
 *     delivered, or after the report of its failure is on stable storage (or
 *     was not to be written: no sender, NOTIFY=NEVER; or could not be, ever,
 *     which is logged).
 * P2  A file is removed only when every recipient is delivered or crossed
 *     off, and then once; if that fails the message stays in memory, so that
 *     it is not delivered again, and is tried again.
 * P3  The reason of a failure is synced before the byte that says failed.
 * P4  Whatever goes wrong here, the file stays, and is tried again later.
 * P5  A delivery that its sender wants to hear of (RFC 3461, SUCCESS) is
 *     crossed off in two steps, each one byte: delivered, report due; then,
 *     when the report is on stable storage, done. After a crash in between
 *     the report is made, and nothing is delivered again.
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
#include "common/fiber/offload.h"
#include "common/mail/dsn.h"
#include "common/param/site.h"
#include "qmgr/again.h"
#include "qmgr/notify.h"
#include "qmgr/retry.h"
#include "qmgr/scan.h"
#include "qmgr/sync.h"

enum {
	PATIENCE = 60 * 1000,	/* before the disk is tried again */
	CODE_SIZE = 16, JOURNAL_LEAST = 4096,
	JOURNAL_ROOM = 16 * 1024 * 1024,	/* in one attempt */
	JOURNAL_MOST = 48 * 1024 * 1024		/* in all; see journal.c */
};

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
		if (notify_is_due(m, number, row->flags)) {
			w->state = WORK_UNTOLD;
			keep_reason(m, w, row);
		}
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

/* Remove the file. */
static int
remove_file(struct message *m)
{
	if (m->fate == FATE_GONE)
		return 0;		/* that was done before */
	if (queue_remove(m->dir, m->id) == -1 && errno != ENOENT) {
		log_error("%s: cannot be removed: %s", m->id,
		    strerror(errno));
		return -1;
	}
	sync_removed(m->dir, m->id);
	log_info("%s: removed", m->id);
	return 0;
}

/* --- putting back -------------------------------------------------------- */

/* The number for the journal. */
static int64_t
outcome_of(const struct work *w)
{
	return w->state == WORK_FAILED ? OUTCOME_BOUNCED :
	    w->state == WORK_UNTOLD ? OUTCOME_SENT : OUTCOME_DEFERRED;
}

/* A record without a recipient. */
static void
add_record(struct str *to, enum journal_kind kind)
{
	struct journal	j = { .kind = kind, .number = -1,
			    .when_us = clock_wall_us() };

	(void)journal_encode(&j, to);
}

/* Why this recipient is as it is. */
static void
add_reason(const struct message *m, size_t number, struct str *to)
{
	const struct work	*w = &m->work[number];
	struct journal		 j = { .kind = JOURNAL_OUTCOME,
	    .number = (int64_t)number, .outcome = outcome_of(w),
	    .when_us = w->reason->when_us, .dsn = w->reason->dsn,
	    .text = w->reason->text, .remote = w->reason->remote,
	    .diagnostic = w->reason->diagnostic };

	(void)journal_encode(&j, to);
}

/* The records of this attempt. What somebody has ended is none, but what was
 * handed out before counts. Reasons come last: there may be no room for all. */
static WAITS void
add_records(const struct message *m, struct str *to)
{
	const struct work	*w;
	size_t			 i;

	if (m->fate != FATE_HOLD && m->fate != FATE_REQUEUE)
		add_record(to, JOURNAL_ATTEMPT);
	if (m->is_warned_now)
		add_record(to, JOURNAL_WARNED);
	for (i = 0; i < m->envelope.count; i++) {
		w = &m->work[i];
		if (w->is_news && w->state != WORK_SENT)
			add_reason(m, i, to);
		fiber_breathe();	/* a hundred thousand of them */
	}
	if (to->is_cut)
		log_info("%s: there is no room for what was said of each of "
		    "its recipients", m->id);
}

/* How much may be appended: an attempt and a warning always. */
static size_t
room_of(const struct message *m)
{
	int64_t	left = JOURNAL_MOST + m->layout.envelope_offset +
		    m->layout.envelope_length - m->journal_end;

	return (size_t)(left < JOURNAL_LEAST ? JOURNAL_LEAST :
	    left < JOURNAL_ROOM ? left : JOURNAL_ROOM);
}

/* Append records; without room on the disk the reasons are given up, since the
 * bytes need none, and mail shall not stand still for want of its history. But
 * a failure's reason must be there before its byte (P3). */
static int
append(struct message *m, int fd, const struct str *records,
    bool has_failures)
{
	if (records->len == 0 || fs_pwrite(fd, records->data, records->len,
	    m->journal_end) == 0)
		return 0;
	if (has_failures || (errno != ENOSPC && errno != EDQUOT))
		return -1;
	log_warning("%s: no room for what happened to it: %s", m->id,
	    strerror(errno));
	return 0;
}

/* Append the journal; then, when that is safe, overwrite the bytes (P3). */
static WAITS int
write_back(struct message *m, int fd, bool has_failures)
{
	struct pool	*pool = pool_new("journal", 0);
	struct str	 records;
	int		 result = 0;

	str_init(&records, pool, room_of(m));
	add_records(m, &records);
	result = append(m, fd, &records, has_failures);
	if (result == 0 && has_failures)
		result = offload_sync(fd);
	if (result == 0)
		result = sync_write(m, fd);
	pool_free(pool);
	return result;
}

/* Where the message waits from now on. */
static void
move(struct message *m)
{
	enum queue_dir	to = m->fate == FATE_HOLD ? QUEUE_HOLD :
			    m->fate == FATE_REQUEUE ? m->dir : QUEUE_DEFERRED;

	if (m->dir == to)
		return;
	if (queue_move(m->id, m->dir, to) == 0)
		m->dir = to;
	else
		log_warning("%s: cannot be moved to %s: %s; it stays in %s",
		    m->id, queue_dir_name(to), strerror(errno),
		    queue_dir_name(m->dir));
}

/* The recipients that were reported are crossed off as failed. */
static bool
cross_failures(struct message *m)
{
	bool	has_some = false;
	size_t	i;

	for (i = 0; i < m->envelope.count; i++)
		if (m->work[i].state == WORK_FAILED) {
			sync_cross_off(m, i);
			has_some = true;
		}
	return has_some;
}

/* Write down what happened: 0, -1 if that cannot be done now, 1 if the file is
 * gone. What a crash would take of a mere postponement is an attempt: that
 * needs no sync. */
static WAITS int
write_end(struct message *m, bool has_failures, bool has_news)
{
	bool	is_gone;
	int	fd;

	if (has_news)
		sync_take_place();
	fd = queue_open_file(m->dir, m->id, O_RDWR);
	if (fd != -1 && write_back(m, fd, has_failures) == 0) {
		if (has_news)
			sync_later(fd);
		else
			close(fd);
		return 0;
	}
	is_gone = fd == -1 && errno == ENOENT;
	if (!is_gone)
		log_error("%s: what became of its recipients cannot be "
		    "written down: %s", m->id, strerror(errno));
	if (fd != -1)
		close(fd);
	if (has_news)
		sync_leave_place();
	return is_gone ? 1 : -1;
}

/* Write down what happened, and wait for the next attempt. */
static WAITS void
put_back(struct message *m)
{
	int64_t	pause;
	bool	has_failures = cross_failures(m);
	bool	has_news = m->crossing_count > 0 || m->is_warned_now;
	int	result;

	while ((result = write_end(m, has_failures, has_news)) == -1)
		if (fiber_sleep(PATIENCE) == -1)
			return;
	if (result == 1) {
		log_warning("%s: its file is gone", m->id);
		leave(m);
		return;
	}
	move(m);
	pause = m->fate == FATE_REQUEUE ? 0 : again_pause(m);
	if (queue_set_time(m->dir, m->id, clock_wall_us() + pause * 1000) == -1)
		log_warning("%s: cannot set its time: %s", m->id,
		    strerror(errno));
	if (m->dir != QUEUE_HOLD)
		again_wait(m, clock_now() + pause);
	leave(m);
}

/* --- while reports are made ---------------------------------------------- */

/* The reasons of those who have been reported: 0 when they are stored. */
static WAITS int
write_reasons(struct message *m, int fd, size_t begin, size_t end)
{
	struct pool	*pool = pool_new("journal", 0);
	struct str	 records;
	size_t		 i;
	int		 result = 0;

	str_init(&records, pool, JOURNAL_ROOM);
	for (i = begin; i < end; i++) {
		if (m->work[i].state == WORK_FAILED && m->work[i].is_news)
			add_reason(m, i, &records);
		fiber_breathe();
	}
	if (records.len > 0 && ((result = fs_pwrite(fd, records.data,
	    records.len, m->journal_end)) == -1 ||
	    (result = offload_sync(fd)) == -1))
		goto out;
	m->journal_end += (int64_t)records.len;
out:
	pool_free(pool);
	return result;
}

/* The journal grows, then the bytes follow (P3). What cannot be written now is
 * written in the end. */
void
outcome_write_down(struct message *m, size_t begin, size_t end)
{
	int	fd;

	sync_take_place();
	fd = queue_open_file(m->dir, m->id, O_RDWR);
	if (fd == -1 || write_reasons(m, fd, begin, end) == -1)
		goto out;
	for (; begin < end; begin++)
		if (m->work[begin].state == WORK_FAILED) {
			m->work[begin].is_news = false;
			sync_cross_off(m, begin);
		}
	if (sync_write(m, fd) == 0) {
		sync_later(fd);
		return;
	}
out:
	log_warning("%s: cannot cross off who was reported: %s", m->id,
	    strerror(errno));
	sync_leave_place();
	if (fd != -1)
		close(fd);
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
		    m->envelope.mail.sender, is_forced ? "force-expired" :
		    "expired");
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
	    m->envelope.mail.sender, n);
	for (i = 0; i < m->envelope.count; i++)
		if (m->work[i].state == WORK_UNTOLD) {
			m->work[i].state = WORK_SENT;
			sync_cross_off(m, i);
		}
}

/* Cross off who has the mail before somebody is told of something, since that
 * may take longer than a crash is to cost (P5, and sync.c P1). What cannot be
 * written now is written in the end. */
static WAITS void
cross_off_first(struct message *m)
{
	int	fd;

	if (m->crossing_count == 0 || !notify_has_work(m))
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

/* All have an outcome: tell who must be told, then remove or put back. */
static void
settle(void *arg)
{
	struct message	*m = arg;
	bool		 is_over;

	fiber_name("settle");
	expire(m);
	cross_off_first(m);
	notify_failures(m);
	notify_delay(m);
	notify_successes(m);
	give_up_telling(m);
	is_over = count_of(m, WORK_DEFERRED) + count_of(m, WORK_WITHDRAWN) +
	    count_of(m, WORK_UNTOLD) == 0;
	if (m->fate == FATE_GONE)
		leave(m);
	else if (!is_over)
		put_back(m);
	else {
		while (remove_file(m) == -1)
			if (fiber_sleep(PATIENCE) == -1)
				break;
		leave(m);
	}
	settling--;
}

/* Nobody waits any more. The common end is short and needs no fiber. */
static void
check(struct message *m)
{
	if (m->holds > 0 || m->open > 0 || m->is_settling)
		return;
	if ((m->fate == FATE_GONE || is_done(m)) && remove_file(m) == 0) {
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
