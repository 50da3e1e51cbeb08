/*
 * maildrop.c - what was posted while nobody listened.
 *
 * posters.c finds the files and says when it is a file's turn; here it goes to
 * cleanup.
 *
 * drop-3  A file is removed only after cleanup said that it is queued, or
 *         after its return to the sender is.
 * drop-4  A file that is no posted message is moved aside, under a name that
 *         is no queue id, and told to the log: nothing is thrown away unread.
 * P1  Links, directories and devices are not touched.
 * P2  Mail of a user who may not post it makes mail to that user only.
 */
#include "cleanup/maildrop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/peers.h"
#include "common/queue/queue.h"

#include "cleanup/bring.h"
#include "cleanup/permit.h"
#include "cleanup/source.h"
#include "cleanup/undelivered.h"

enum { RETURN_MAX = 50 * 1024 };	/* bytes of a message sent back */

/* The disk's fault, not the file's. */
static const char	not_now[] = "it cannot be read now";

/* A file on its way. */
struct errand {
	struct pool	*pool;
	char		 id[QUEUE_ID_MAX + 1];
	struct source	*source;
	uid_t		 uid;
	struct drop	 drop;
	int64_t		 content_offset;
	int64_t		 posted_us;
};

/* Remove what has been queued. */
static bool
remove_file(const struct errand *e)
{
	if (queue_remove(QUEUE_MAILDROP, e->id) == 0 || errno == ENOENT)
		return true;
	log_warning("maildrop/%s: cannot be removed: %s", e->id,
	    strerror(errno));
	return false;
}

/* Give it a name that is not handed out. */
static bool
move_aside(const char *id, const char *why)
{
	char	name[QUEUE_ID_MAX + 8];
	int	dir = queue_dir_fd(QUEUE_MAILDROP);

	snprintf(name, sizeof(name), "bad-%s", id);
	log_warning("maildrop/%s: %s; kept as maildrop/%s", id, why, name);
	if (renameat(dir, id, dir, name) == 0)
		return true;
	log_warning("maildrop/%s: %s", id, strerror(errno));
	return false;
}

/* Envelope of the open file: NULL, or what is wrong with it. */
WAITS static const char *
read_envelope(struct errand *e, int64_t size)
{
	char		 prefix[DROP_PREFIX], *head;
	const char	*why;
	size_t		 len;
	ssize_t		 n;

	n = source_read_all(e->source, prefix, sizeof(prefix), 0);
	if (n != DROP_PREFIX)
		return n == -1 ? not_now : "it is too short";
	if ((why = drop_decode_prefix(prefix, &len)) != NULL)
		return why;
	if ((int64_t)len > size - DROP_PREFIX)
		return "it is too short";
	head = pool_alloc(e->pool, len);
	n = source_read_all(e->source, head, len, DROP_PREFIX);
	if (n != (ssize_t)len)
		return n == -1 ? not_now : "it is too short";
	why = drop_decode(&e->drop, e->pool, prefix, head, len);
	if (why != NULL)
		return why;
	e->content_offset = DROP_PREFIX + (int64_t)len;
	if (e->content_offset + e->drop.content_length != size)
		return "its length is not what its envelope says";
	return NULL;
}

/* Letters that no message contains by chance. */
static char *
make_boundary(const struct errand *e)
{
	uint64_t	random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t)clock_wall_us();
	return pool_printf(e->pool, "%s.%016jx", e->id, (uintmax_t)random);
}

/* Write the report that holds the message, or its beginning. NULL: it cannot
 * be read. */
WAITS static struct str *
compose_report(struct errand *e, const char *to, const char *reply)
{
	struct str		*text = pool_alloc(e->pool, sizeof(*text));
	int64_t			 len = e->drop.content_length < RETURN_MAX ?
				    e->drop.content_length : RETURN_MAX;
	char			*content = pool_alloc(e->pool, (size_t)len + 1);
	struct undelivered	 u = { .drop = &e->drop, .to = to,
				    .reply = reply,
				    .boundary = make_boundary(e),
				    .posted_us = e->posted_us,
				    .content = content,
				    .length = (size_t)len };

	if (source_read_all(e->source, content, (size_t)len,
	    e->content_offset) != len)
		return NULL;
	str_init(text, e->pool, 0);
	undelivered_report(text, &u);
	return text;
}

/* It will never be taken: send it back. True when that is queued, or nobody
 * wants to hear. */
WAITS static bool
return_to(struct errand *e, char *to, const char *reply)
{
	static char	 postmaster[] = "postmaster";
	struct str	*text;
	struct queued	 queued;

	if (!undelivered_wants_report(&e->drop)) {
		log_info("maildrop/%s: not accepted, and by NOTIFY nobody is "
		    "to be told: %s", e->id, reply);
		return true;
	}
	if (*to == '\0')
		to = postmaster;
	if ((text = compose_report(e, to, reply)) == NULL)
		return false;
	if (bring_text(e->pool, to, e->drop.flags & MAIL_IS_8BIT, text->data,
	    text->len, &queued) == -1)
		return false;
	if (queued.code != 250)
		return false;
	log_info("maildrop/%s: returned to sender as %s: %s", e->id,
	    queued.queue_id, reply);
	return true;
}

/* Bring one message; a failure leaves it for later. */
WAITS static bool
run_errand(struct errand *e)
{
	struct queued	queued;

	if (bring(e->pool, &e->drop, e->uid, e->source, e->content_offset,
	    &queued) == -1) {
		log_warning("maildrop/%s: not queued: %s", e->id,
		    strerror(errno));
		return false;
	}
	if (queued.code == 250) {
		log_info("%s: uid=%d from=<%s>", queued.queue_id, (int)e->uid,
		    log_address(e->drop.sender));
		return remove_file(e);
	}
	if (queued.code >= 500 && return_to(e, e->drop.sender, queued.reply))
		return remove_file(e);
	log_warning("maildrop/%s: not queued: %s", e->id, queued.reply);
	return false;
}

/* May its owner post this? If not it goes back to him and to nobody whom he
 * calls its sender (P4). */
WAITS static bool
bring_if_permitted(struct errand *e)
{
	struct refusal	 refusal;
	const char	*why = permit(e->pool, &e->drop, e->uid, &refusal);

	if (why == NULL)
		return run_errand(e);
	log_warning("maildrop/%s: not accepted from uid=%d: %s", e->id,
	    (int)e->uid, why);
	return refusal.exit_status == EX_NOPERM && return_to(e,
	    pool_strdup(e->pool, refusal.login), pool_printf(e->pool,
	    "554 5.7.1 %s", why)) && remove_file(e);
}

/* What the file is, and what becomes of it. */
WAITS static bool
do_errand(struct errand *e, const struct stat *st)
{
	const char	*why;

	if (st->st_nlink != 1)
		return move_aside(e->id, "it has other names");
	why = read_envelope(e, st->st_size);
	if (why == not_now)
		log_warning("maildrop/%s: %s: %s", e->id, why,
		    strerror(errno));
	if (why != NULL)
		return why != not_now && move_aside(e->id, why);
	e->uid = st->st_uid;
	e->posted_us = (int64_t)st->st_mtime * 1000000;
	return bring_if_permitted(e);
}

/* Open it: a descriptor, or -1 with what is to be said to posters.c. */
static int
open_file(const char *id, bool *is_done)
{
	int	fd = queue_open_file(QUEUE_MAILDROP, id, O_RDONLY);

	if (fd != -1)
		return fd;
	if (errno == EACCES) {			/* not what postdrop makes */
		*is_done = move_aside(id, "it cannot be read");
		return -1;
	}
	*is_done = errno == ENOENT;
	if (errno != ENOENT)
		log_warning("maildrop/%s: %s", id, strerror(errno));
	return -1;
}

/* Bring it. */
bool
maildrop_bring(const char *id)
{
	struct pool	*pool;
	struct errand	*e;
	struct stat	 st;
	bool		 is_done = false;
	int		 fd;

	if ((fd = open_file(id, &is_done)) == -1)
		return is_done;
	if (fstat(fd, &st) == -1) {
		close(fd);
		return false;
	}
	pool = pool_new("maildrop", 0);
	e = pool_alloc(pool, sizeof(*e));
	e->pool = pool;
	e->source = source_new(fd, st.st_uid);
	strlcpy(e->id, id, sizeof(e->id));
	is_done = do_errand(e, &st);
	source_close(e->source);
	pool_free(pool);
	return is_done;
}

/* Remove it, if its writer is gone. */
void
maildrop_reap(const char *id)
{
	struct stat	st;
	int		fd = queue_open_file(QUEUE_MAILDROP, id, O_RDONLY);

	if (fd == -1)
		return;
	if (queue_lock(fd) == 0 && fstat(fd, &st) == 0 &&
	    !queue_is_complete(st.st_mode) &&
	    queue_remove(QUEUE_MAILDROP, id) == 0)
		log_info("maildrop/%s: removed (whoever wrote it was never "
		    "told that it is accepted)", id);
	close(fd);
}
