/*
 * room.c - "no room" is said before the file system says it.
 *
 * What a transaction will need is kept for it: bytes that are not in its file
 * yet, and an inode until it has one. There are several cleanup processes,
 * and callers choose the one with the least to do; so each of them counts what
 * it has under way once for each process. smtpd looks at the same figures of
 * the file system at MAIL, and says 452 for a moment after cleanup did.
 *
 * A client who announces a large message keeps no room by that: what is kept
 * grows with what has really come. That it fits is looked at in the beginning.
 *
 * P1  Mail from outside leaves queue_minfree bytes, or one and a half times
 *     message_size_limit, and some inodes; mail of our own making may use
 *     them: a report must be written when nothing else is accepted any more.
 * P2  Whatever is missing is told as 452, and to the log once a minute.
 */
#include "cleanup/room.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/space.h"
#include "common/daemon/daemon.h"
#include "common/param/site.h"

enum {
	AHEAD = 64 * 1024,		/* of what has come */
	LAST = 128 * 1024,		/* bytes that nobody takes */
	INODES = 100, OWN_INODES = 8,	/* that are left */
	LOOK_EVERY = 64 * 1024,		/* bytes that come */
	TELL_EVERY = 60 * 1000
};

/* What goes wrong, each with a clock of its own. */
enum trouble { TROUBLE_FULL, TROUBLE_READ_ONLY, TROUBLE_OTHER, TROUBLES };

static int64_t	kept_bytes, kept_inodes;
static struct space space;		/* at the last look */
static int64_t	tell_at[TROUBLES];
static unsigned	untold[TROUBLES];
static bool	is_bad;

/* The clock for this error. */
static enum trouble
trouble_of(int error)
{
	if (error == ENOSPC || error == EDQUOT)
		return TROUBLE_FULL;
	return error == EROFS ? TROUBLE_READ_ONLY : TROUBLE_OTHER;
}

/* May the log be told of it again? Others are counted. */
static bool
is_told(enum trouble t)
{
	if (clock_now() < tell_at[t]) {
		untold[t]++;
		return false;
	}
	tell_at[t] = clock_now() + TELL_EVERY;
	return true;
}

/* Tell it, and how many were not told since the last time. */
static void
tell(const struct transaction *t, enum trouble kind, const char *what,
    const char *why)
{
	if (!is_told(kind))
		return;
	is_bad = true;
	log_error("%s: cannot %s the queue file: %s: mail is refused with a "
	    "4xx code until that is over (%u more since the last such line)",
	    t->queue_id, what, why, untold[kind]);
	untold[kind] = 0;
}

/* A call failed. */
void
room_failed(const struct transaction *t, const char *what, int error)
{
	space_forget(&space);
	tell(t, trouble_of(error), what, strerror(error));
}

/* One went well, and not only since it is ours. */
void
room_is_fine(const struct transaction *t)
{
	if (!is_bad || room_is_ours(t))
		return;
	is_bad = false;
	log_info("%s: the queue can be written to again", t->queue_id);
}

/* Ours? */
bool
room_is_ours(const struct transaction *t)
{
	return t->is_again || (t->mail.flags &
	    (MAIL_IS_BOUNCE | MAIL_IS_FORWARD)) != 0 ||
	    strcmp(t->mail.origin, "bounce") == 0;
}

/* The bytes that mail from outside has to leave. */
static int64_t
floor_of(const struct transaction *t)
{
	int64_t	least = site_queue_floor();

	return room_is_ours(t) || least < LAST ? LAST : least;
}

/* 452. */
static void
refuse(struct transaction *t, enum trouble kind, const char *why)
{
	tell(t, kind, "begin", why);
	transaction_refuse(t, 452,
	    "452 4.3.1 Error: insufficient system storage");
}

/* What is kept: by this transaction, and by others, here and, as far as one
 * can tell from here, in the other processes. */
static int64_t
kept_of(int64_t own, int64_t all)
{
	return own + (all - own) * site_processes("cleanup");
}

/* Is there so much, and so many inodes, beyond what is kept? What cannot be
 * asked is found out later. */
static void
look(struct transaction *t, int64_t need, int64_t inodes)
{
	t->looked = t->received;
	need += kept_of(t->kept_bytes, kept_bytes);
	inodes += kept_of(t->kept_inodes, kept_inodes);
	if (space_is_plenty(&space, need, inodes))
		return;
	if (space_look(&space, daemon_queue_fd()) == -1) {
		if (errno == EROFS)
			refuse(t, TROUBLE_READ_ONLY, strerror(EROFS));
	} else if (space.bytes < need) {
		refuse(t, TROUBLE_FULL, "insufficient system storage");
	} else if (space.inodes < inodes) {
		refuse(t, TROUBLE_FULL,
		    "insufficient system storage (inodes)");
	}
}

/* Keep what it needs now. */
static void
keep(struct transaction *t)
{
	int64_t	hint = t->mail.size_hint, need = t->received + AHEAD, inode;

	if (hint > need)
		need = hint < 4 * need ? hint : 4 * need;
	need = need > t->in_file ? need - t->in_file : 0;
	inode = t->fd == -1;
	kept_bytes += need - t->kept_bytes;
	kept_inodes += inode - t->kept_inodes;
	t->kept_bytes = need;
	t->kept_inodes = inode;
}

/* In the beginning. */
void
room_open(struct transaction *t)
{
	int64_t	hint = t->mail.size_hint;

	if (site.message_size_limit > 0 && hint > site.message_size_limit)
		hint = site.message_size_limit;
	look(t, floor_of(t) + (room_is_ours(t) ||
	    site.message_size_limit == 0 ? hint : 0),
	    room_is_ours(t) ? OWN_INODES : INODES);
	keep(t);
}

/* On its way. */
void
room_follow(struct transaction *t)
{
	keep(t);
	if (t->code == 0 && t->received - t->looked >= LOOK_EVERY)
		look(t, 0, 0);
}

/* The end. */
void
room_leave(struct transaction *t)
{
	kept_bytes -= t->kept_bytes;
	kept_inodes -= t->kept_inodes;
	t->kept_bytes = t->kept_inodes = 0;
}
