/*
 * queue_logs.c - messages in write-ahead logs, for who looks at files.
 *
 * While qmgr runs it gives them files itself, if it is asked what is open.
 * While it does not, each that is not done with gets one here, as qmgr would
 * do at its next start: also from a log that is still written, but for who may
 * be refused yet (wal-4). Who has a file already, since qmgr has died before he
 * was marked, is marked now: if he was deleted first, the next qmgr would find
 * nothing but his record, and deliver him.
 */
#include <sys/file.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/queue/wal.h"
#include "qmgr/entry.h"
#include "qmgr/queue.h"

/* A file for it. */
static int
make_file(const struct wal *w, const struct wal_record *r)
{
	int	fd = wal_copy(w, r, false), result;

	if (fd == -1)
		return -1;
	result = queue_set_complete(fd) == 0 && fs_sync(fd) == 0 ? 0 : -1;
	if (result == -1)
		(void)queue_remove(QUEUE_INCOMING, r->id);
	close(fd);
	return result;
}

/* One message. What is damaged is left to qmgr, and who may not be committed,
 * unless there is a file: nobody makes one of him. */
static void
recover_one(const struct wal *w, const struct wal_record *r, bool is_committed)
{
	enum queue_dir	dir;
	int		result = 1;

	if (entry_find(r->id, &dir))
		result = wal_keep_found(w, r, dir);
	else if (!is_committed)
		return;
	if (result == 1)
		result = make_file(w, r);
	if (result == 0)
		(void)wal_mark(w, r->at);
	else if (errno != EBADMSG)
		complain("%s: cannot get a file: %s", r->id, strerror(errno));
}

/* How far is it committed? */
static int64_t
committed(const struct wal *w)
{
	struct wal_record	record;
	struct wal_proof	proof;
	int64_t			at = w->records;

	wal_prove(w, &proof);
	for (; wal_seek(w, at, &record) != -1; at = wal_after(&record))
		wal_prove_more(&proof, &record);
	return proof.end;
}

/* One log. */
static void
recover(const struct wal *w)
{
	struct wal_record	record;
	int64_t			at = w->records, end = committed(w);

	for (; wal_seek(w, at, &record) != -1; at = wal_after(&record))
		if (!wal_is_marked(w, record.at))
			recover_one(w, &record, record.at < end);
	if (errno != EINVAL)
		complain("incoming/wal.%u: %s", w->number, strerror(errno));
	(void)fs_sync(w->fd);
}

/* All of them. */
void
logs_recover(void)
{
	struct wal	wal;
	unsigned	number;
	bool		is_alone = act_is_alone();

	if (!is_alone && flock(queue_dir_fd(QUEUE_INCOMING),
	    LOCK_EX | LOCK_NB) == -1)
		return;			/* qmgr sees to it */
	for (number = 0; number < WAL_FILES; number++) {
		if (wal_open(&wal, number) == -1)
			continue;
		if (!wal_is_released(&wal))
			recover(&wal);
		wal_close(&wal);
	}
	if (!is_alone)
		(void)flock(queue_dir_fd(QUEUE_INCOMING), LOCK_UN);
}

/* What qmgr has open; who asks sees all of it as files. */
void
logs_ask(struct listing *active)
{
	if (remote_active(active) == REMOTE_NOBODY)
		logs_recover();
}
