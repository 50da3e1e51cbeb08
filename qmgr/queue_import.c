/*
 * queue_import.c - postrider queue import: what waits in Postfix's queue waits
 * in ours from now on.
 *
 * A message of Postfix's queue becomes a queue file of ours with the same
 * content, the same envelope and the same time of arrival; its cleanup has
 * rewritten it already. One that lies in its maildrop has been seen by nobody:
 * it is posted with our sendmail.
 *
 * P1  A file of Postfix's is moved aside only after our file, its mode and its
 *     name are on stable storage, or after sendmail said 0.
 * P2  A message that is not understood entirely stays where it is.
 * P3  What is read is read as the owner of our queue, not as root.
 */
#include "qmgr/queue_import.h"

#include <sys/stat.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/queue/postfix.h"
#include "qmgr/queue.h"
#include "qmgr/queue_post.h"

enum {
	FILE_MAX = 1 << 30,
	BATCH = 100,
	WORKER = 0
};

/* The work so far. */
static struct {
	bool		 is_dry;
	uint64_t	 imported, left;
	char		*ids[BATCH];	/* that qmgr has not heard of */
	size_t		 count;
	struct pool	*pool;		/* of the ids */
} work;

/* --- our file ------------------------------------------------------------- */

/* What the sender knows already. */
static const char *
add_journal(struct str *to, const struct postfix_file *f)
{
	struct journal	j = { .kind = JOURNAL_WARNED, .number = -1,
			    .when_us = clock_wall_us() };

	return f->was_warned ? journal_encode(&j, to) : NULL;
}

/* All of it into the new file. NULL or why not. */
static const char *
write_file(int fd, struct pool *pool, const struct postfix_file *f)
{
	struct queue_layout	 layout = { .content_offset = QUEUE_PREAMBLE };
	unsigned char		 preamble[QUEUE_PREAMBLE];
	struct str		 envelope;
	const char		*why;

	str_init(&envelope, pool, 512 * 1024 * 1024);
	why = envelope_encode(&f->mail, f->recipients, f->count, &envelope);
	if (why != NULL)
		return why;
	layout.content_length = (int64_t)f->content.len;
	layout.envelope_offset = QUEUE_PREAMBLE + layout.content_length;
	layout.envelope_length = (int64_t)envelope.len;
	queue_preamble_encode(preamble, &layout, envelope_crc(envelope.data,
	    envelope.len));
	if ((why = add_journal(&envelope, f)) != NULL)
		return why;
	if (fs_pwrite(fd, preamble, sizeof(preamble), 0) == -1 ||
	    fs_pwrite(fd, f->content.data, f->content.len, QUEUE_PREAMBLE) ==
	    -1 || fs_pwrite(fd, envelope.data, envelope.len,
	    layout.envelope_offset) == -1)
		return strerror(errno);
	return NULL;
}

/* Complete, in its place, on stable storage. A file for hold/ goes there
 * before it is complete, so that qmgr does not begin with it. */
static const char *
make_durable(int fd, const char *id, enum queue_dir *dir, bool is_held,
    bool is_expired)
{
	if (fs_sync(fd) == -1)
		return strerror(errno);
	if (is_held && queue_move(id, QUEUE_INCOMING, QUEUE_HOLD) == -1)
		return strerror(errno);
	*dir = is_held ? QUEUE_HOLD : QUEUE_INCOMING;
	if (queue_set_complete(fd) == -1 ||
	    (is_expired && queue_set_expired(fd) == -1) ||
	    fs_sync(fd) == -1 || fs_sync(queue_dir_fd(QUEUE_INCOMING)) == -1 ||
	    (is_held && fs_sync(queue_dir_fd(QUEUE_HOLD)) == -1))
		return strerror(errno);
	return NULL;
}

/* A queue file of ours. NULL or why not; nothing is left then. */
static const char *
commit(struct pool *pool, const struct spool_file *from,
    const struct postfix_file *f, char id[QUEUE_ID_MAX + 1])
{
	enum queue_dir	 dir = QUEUE_INCOMING;
	const char	*why;
	int		 fd;

	if ((fd = queue_create(queue_id_new(id, WORKER))) == -1)
		return strerror(errno);
	why = write_file(fd, pool, f);
	if (why == NULL)
		why = make_durable(fd, id, &dir,
		    strcmp(from->queue, "hold") == 0,
		    (from->mode & S_IXGRP) != 0);
	if (why != NULL)
		(void)queue_remove(dir, id);
	close(fd);
	return why;
}

/* --- qmgr ----------------------------------------------------------------- */

/* Of no interest: it finds them by itself, later. */
static void
ignore(const char *id, const char *words)
{
	(void)id;
	(void)words;
}

/* Tell qmgr, if it runs. */
static void
tell_qmgr(void)
{
	struct answer	answer = { .status = 0 };

	if (work.count > 0)
		(void)remote_do("flush", "", work.ids, work.count, &answer,
		    ignore, ignore);
	work.count = 0;
	pool_free(work.pool);
	work.pool = pool_new("ids", 0);
}

/* One that it should hear of. */
static void
add_id(const char *id)
{
	work.ids[work.count++] = pool_strdup(work.pool, id);
	if (work.count == BATCH)
		tell_qmgr();
}

/* --- one message --------------------------------------------------------- */

/* It stays where it is. */
static void
leave(const struct spool_file *from, const char *why)
{
	complain("%s/%s: %s", from->queue, from->name, why);
	log_warning("%s: not imported from Postfix's %s: %s", from->name,
	    from->queue, why);
	if (!from->is_unfinished)
		work.left++;
	(void)spool_done(false);
}

/* It is ours: tell it, and let Postfix's file be moved. */
static void
note(const struct spool_file *from, const struct postfix_file *f,
    const char *id)
{
	int	error;

	printf("%s/%s: %s, from=<", from->queue, from->name, id);
	print_safe(stdout, f->mail.sender);
	printf(">, nrcpt=%zu\n", f->count);
	work.imported++;
	error = spool_done(!work.is_dry);
	if (work.is_dry)
		return;
	log_info("%s: imported from Postfix's %s: orig_id=%s, from=<%s>, "
	    "nrcpt=%zu", id, from->queue, from->name,
	    f->mail.sender, f->count);
	if (error == 0)
		return;
	complain("%s/%s: imported as %s, but it cannot be moved aside, and "
	    "would be imported again: %s", from->queue, from->name, id,
	    strerror(error));
	work.left++;
}

/* A message that was understood. */
static void
import_message(struct pool *pool, const struct spool_file *from,
    const struct postfix_file *f)
{
	char		 id[QUEUE_ID_MAX + 1] = "would be imported";
	bool		 is_drop = strcmp(from->queue, "maildrop") == 0;
	const char	*why = NULL;

	if (f->count == 0) {
		note(from, f, "nobody waits for it");
		return;
	}
	if (is_drop)
		why = queue_post(pool, f, work.is_dry);
	else if (!work.is_dry)
		why = commit(pool, from, f, id);
	if (why != NULL) {
		leave(from, why);
		return;
	}
	note(from, f, is_drop && !work.is_dry ? "posted" : id);
	if (!is_drop && !work.is_dry && strcmp(from->queue, "hold") != 0)
		add_id(id);
}

/* One file. */
static void
import_file(struct pool *pool, const struct spool_file *from)
{
	struct postfix_file	 f;
	const char		*why;
	char			*data;
	size_t			 len;

	if (from->why[0] != '\0') {
		leave(from, from->why);
		return;
	}
	if ((data = fs_read_fd(pool, from->fd, FILE_MAX, &len)) == NULL) {
		leave(from, strerror(errno));
		return;
	}
	if ((why = postfix_parse(&f, pool, data, len)) != NULL)
		leave(from, why);
	else
		import_message(pool, from, &f);
}

/* --- all of them --------------------------------------------------------- */

/* So many. */
static void
tell(const char *what, uint64_t n)
{
	complain("%s: %" PRIu64 " message%s", what, n, n == 1 ? "" : "s");
}

/* What is in this queue directory of Postfix's. */
int
import(const struct order *o)
{
	struct spool_file	 f;
	struct pool		*pool;
	int			 status;

	if (geteuid() != 0) {
		complain("only root may do that");
		return EX_NOPERM;
	}
	if (o->site[0] != '/') {
		complain("%s: expected an absolute path", o->site);
		return EX_USAGE;
	}
	work.is_dry = o->is_dry;
	work.pool = pool_new("ids", 0);
	if ((status = spool_open(o->site)) != 0)
		return status;
	spool_start();
	if (!owner_is_here())
		return EX_NOPERM;
	log_to_syslog();		/* not to the screen */
	while (spool_next(&f)) {
		pool = pool_new("import", 0);
		pool_owns_fd(pool, f.fd);
		import_file(pool, &f);
		pool_free(pool);
	}
	tell_qmgr();
	if (!spool_end()) {
		complain("the process that reads %s has failed", o->site);
		work.left++;
	}
	tell(work.is_dry ? "Would be imported" : "Imported", work.imported);
	if (work.left > 0)
		tell("Left where they are", work.left);
	return work.left > 0 ? 1 : 0;
}
