/*
 * maildrop.c - what was posted while nobody listened.
 *
 * The directory is looked through every second; what is complete goes to
 * cleanup, a few at a time.
 *
 * P1  A file is removed only after cleanup said that it is queued, or after
 *     its return to the sender is.
 * P2  A file that is no posted message is moved aside, under a name that is
 *     no queue id, and told to the log: nothing is thrown away unread.
 * P3  Links, directories and devices are not touched.
 * P4  Mail of a user who may not post it makes mail to that user only.
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
#include "common/daemon/daemon.h"
#include "common/daemon/peers.h"
#include "common/fiber/queue.h"
#include "common/queue/queue.h"

#include "cleanup/bring.h"
#include "cleanup/permit.h"
#include "cleanup/undelivered.h"

enum {
	AT_ONCE = 20,
	SCAN_EVERY = 1000,		/* milliseconds */
	PAUSE_AFTER_FAILURE = 5000,
	RETURN_MAX = 50 * 1024		/* bytes of a message sent back */
};

static struct semaphore	places;
static unsigned		busy;
static bool		has_failed;	/* in this round */

/* A file on its way. */
struct errand {
	struct pool	*pool;
	char		 id[QUEUE_ID_MAX + 1];
	int		 fd;
	uid_t		 uid;
	struct drop	 drop;
	int64_t		 content_offset;
	int64_t		 posted_us;
};

/* Files being brought now. */
unsigned
maildrop_busy(void)
{
	return busy;
}

/* Remove what has been queued. */
static void
remove_file(const struct errand *e)
{
	if (queue_remove(QUEUE_MAILDROP, e->id) == -1 && errno != ENOENT) {
		log_warning("maildrop/%s: cannot be removed: %s", e->id,
		    strerror(errno));
		has_failed = true;
	}
}

/* Give it a name that the walk does not hand out. */
static void
move_aside(const char *id, const char *why)
{
	char	name[QUEUE_ID_MAX + 8];
	int	dir = queue_dir_fd(QUEUE_MAILDROP);

	snprintf(name, sizeof(name), "bad-%s", id);
	log_warning("maildrop/%s: %s; kept as maildrop/%s", id, why, name);
	if (renameat(dir, id, dir, name) == -1) {
		log_warning("maildrop/%s: %s", id, strerror(errno));
		has_failed = true;
	}
}

/* Envelope of the open file: NULL, or what is wrong with it. */
WAITS static const char *
read_envelope(struct errand *e, int64_t size)
{
	char		 prefix[DROP_PREFIX], *head;
	const char	*why;
	size_t		 len;

	if (bring_read(e->fd, prefix, sizeof(prefix), 0) != DROP_PREFIX)
		return "it is too short";
	if ((why = drop_decode_prefix(prefix, &len)) != NULL)
		return why;
	if ((int64_t)len > size - DROP_PREFIX)
		return "it is too short";
	head = pool_alloc(e->pool, len);
	if (bring_read(e->fd, head, len, DROP_PREFIX) != (ssize_t)len)
		return "it cannot be read";
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

	if (bring_read(e->fd, content, (size_t)len, e->content_offset) != len)
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

/* Bring one message; a failure leaves it for the next round. */
WAITS static void
run_errand(struct errand *e)
{
	struct queued	queued;

	if (bring(e->pool, &e->drop, e->uid, e->fd, e->content_offset,
	    &queued) == -1) {
		log_warning("maildrop/%s: not queued: %s", e->id,
		    strerror(errno));
		has_failed = true;
	} else if (queued.code == 250) {
		log_info("%s: uid=%d from=<%s>", queued.queue_id, (int)e->uid,
		    log_address(e->drop.sender));
		remove_file(e);
	} else if (queued.code >= 500 &&
	    return_to(e, e->drop.sender, queued.reply)) {
		remove_file(e);
	} else {
		log_warning("maildrop/%s: not queued: %s", e->id,
		    queued.reply);
		has_failed = true;
	}
}

/* May its owner post this? If not it goes back to him and to nobody whom he
 * calls its sender (P4). True: it may be brought. */
WAITS static bool
is_permitted(struct errand *e)
{
	struct refusal	 refusal;
	const char	*why = permit(e->pool, &e->drop, e->uid, &refusal);

	if (why == NULL)
		return true;
	log_warning("maildrop/%s: not accepted from uid=%d: %s", e->id,
	    (int)e->uid, why);
	if (refusal.exit_status == EX_NOPERM && return_to(e,
	    pool_strdup(e->pool, refusal.login), pool_printf(e->pool,
	    "554 5.7.1 %s", why)))
		remove_file(e);
	else
		has_failed = true;
	return false;
}

/* A file's fiber. */
static void
do_errand(void *arg)
{
	struct errand	*e = arg;
	struct stat	 st;
	const char	*why;

	fiber_name("maildrop");
	if (fstat(e->fd, &st) == -1)
		has_failed = true;
	else if (st.st_nlink != 1)
		move_aside(e->id, "it has other names");
	else if ((why = read_envelope(e, st.st_size)) != NULL)
		move_aside(e->id, why);
	else {
		e->uid = st.st_uid;
		e->posted_us = (int64_t)st.st_mtime * 1000000;
		if (is_permitted(e))
			run_errand(e);
	}
	close(e->fd);
	pool_free(e->pool);
	busy--;
	semaphore_give(&places);
}

/* Remove an unfinished file that nobody writes any more. */
static void
reap(const char *id, int fd)
{
	struct stat	st;

	if (queue_lock(fd) == -1 || fstat(fd, &st) == -1 ||
	    queue_is_complete(st.st_mode))
		return;
	if (queue_remove(QUEUE_MAILDROP, id) == 0)
		log_info("maildrop/%s: removed (whoever wrote it was never "
		    "told that it is accepted)", id);
}

/* Look at one name: bring it, reap it, or leave it. */
WAITS static void
visit(const char *id, mode_t mode)
{
	struct errand	*e;
	struct pool	*pool;
	int		 fd;

	if ((fd = queue_open_file(QUEUE_MAILDROP, id, O_RDONLY)) == -1) {
		if (errno == EACCES)		/* not what postdrop makes */
			move_aside(id, "it cannot be read");
		else if (errno != ENOENT)
			log_warning("maildrop/%s: %s", id, strerror(errno));
		return;
	}
	if (!queue_is_complete(mode)) {
		reap(id, fd);
		close(fd);
		return;
	}
	if (semaphore_take(&places, NEVER) == -1) {
		close(fd);
		return;
	}
	pool = pool_new("maildrop", 0);
	e = pool_alloc(pool, sizeof(*e));
	e->pool = pool;
	e->fd = fd;
	snprintf(e->id, sizeof(e->id), "%s", id);
	busy++;
	fiber_start(do_errand, e);
}

/* Wait until every file of this round has its answer. */
WAITS static void
finish_round(void)
{
	int	taken;

	for (taken = 0; taken < AT_ONCE; taken++)
		if (semaphore_take(&places, NEVER) == -1)
			break;
	while (taken-- > 0)
		semaphore_give(&places);
}

/* One look through the directory. */
WAITS static void
scan(void)
{
	struct queue_walk	*walk = queue_walk_start(QUEUE_MAILDROP);
	char			 id[QUEUE_ID_MAX + 1];
	mode_t			 mode;
	int64_t			 mtime, size;

	if (walk == NULL) {
		log_warning("cannot read maildrop/: %s", strerror(errno));
		has_failed = true;
		return;
	}
	while (!daemon_is_draining() &&
	    queue_walk_next(walk, id, &mode, &mtime, &size) == 1) {
		visit(id, mode);
		fiber_breathe();
	}
	queue_walk_end(walk);
	finish_round();
}

/* Drain it for ever. */
void
maildrop_drain(void *unused)
{
	(void)unused;
	fiber_name("maildrop scan");
	semaphore_init(&places, AT_ONCE);
	while (!daemon_is_draining()) {
		has_failed = false;
		scan();
		if (fiber_sleep(has_failed ? PAUSE_AFTER_FAILURE :
		    SCAN_EVERY) == -1)
			return;
	}
}
