/*
 * record.c - what became of a message is written into its file: the journal
 * grows, and recipients are crossed off.
 *
 * crossoff-1  The reason of a failure is synced before the byte that says
 *             failed.
 */
#include "qmgr/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/fiber/offload.h"
#include "qmgr/sync.h"

enum {
	JOURNAL_LEAST = 4096,
	JOURNAL_ROOM = 16 * 1024 * 1024,	/* in one attempt */
	JOURNAL_MOST = 48 * 1024 * 1024		/* in all; see journal.c */
};

/* The number for the journal. */
static int64_t
outcome_of(const struct work *w)
{
	return w->state == WORK_FAILED || w->state == WORK_OWED ?
	    OUTCOME_BOUNCED :
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

	if (m->fate != FATE_HOLD && m->fate != FATE_AGAIN &&
	    m->fate != FATE_REQUEUE)
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
 * a failure's reason must be there before its byte (crossoff-1). */
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

/* Append the journal; then, when that is safe, overwrite the bytes
 * (crossoff-1). */
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

/* At the end. What a crash would take of a mere postponement is an attempt:
 * that needs no sync. */
int
record_end(struct message *m, bool has_failures, bool has_news)
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

/* The journal grows, then the bytes follow (crossoff-1). What cannot be written
 * now is written in the end. */
void
record_reported(struct message *m, size_t begin, size_t end)
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
