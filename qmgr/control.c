/*
 * control.c - what people can ask of the queue manager.
 *
 *	list	rows or everything; answers QUEUE_ENTRY packets
 *	active	the argument is an id; answers the open messages behind it, as
 *		many as fit: ask again with the last one until there are none.
 *		When it is empty, each message that came before has a file then
 *	flush	rows, or everything; with an argument, what waits for that site
 *	hold release requeue delete expire expire-now expire-release: rows
 *
 * Who may list and flush is told by authorized_mailq_users and its sister; all
 * else is for root and for the user that qmgr runs as. Selecting messages is
 * not done here: who may change the queue reads it himself, and names them.
 *
 * P1  However long the queue is, mail flows on: files are read by threads, and
 *     every change is followed by a chance for everybody else. What looks at
 *     the whole index is done once in FLUSH_PAUSE, whoever asks how often.
 */
#include "qmgr/control.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/packets.h"
#include "qmgr/browse.h"
#include "qmgr/change.h"
#include "qmgr/dispatch.h"
#include "qmgr/flush.h"
#include "qmgr/message.h"
#include "qmgr/orphan.h"
#include "qmgr/scan.h"
#include "qmgr/unfiled.h"
#include "qmgr/users.h"
#include "qmgr/waiting.h"

enum {
	PATIENCE = 60 * 1000,		/* for who asked to take an entry */
	ROOM = 40 * 1024, ROWS = 500,	/* of recipients in a packet */
	LISTS_MAX = 4,			/* at once, one for each user */
	FLUSH_PAUSE = 500,
	TURN_PAUSE = 100, TURN_PATIENCE = 60 * 1000,
	SETTLE_PAUSE = 50, SETTLE_PATIENCE = 10 * 1000
};

/* A command in hand. */
struct command {
	struct request			*request;
	const struct queue_command	*asked;
	struct queue_done		 done;
};

/* --- listing ------------------------------------------------------------- */

/* The users who are being answered. */
static uid_t	listers[LISTS_MAX];
static size_t	lister_count;

/* Has he a list already, or have too many others? */
static bool
must_wait(uid_t uid)
{
	size_t	i;

	for (i = 0; i < lister_count; i++)
		if (listers[i] == uid)
			return true;
	return lister_count == LISTS_MAX;
}

/* Wait for a turn: a list costs memory and the time of a thread. */
static WAITS bool
take_turn(uid_t uid)
{
	int64_t	deadline = clock_now() + TURN_PATIENCE;

	while (must_wait(uid))
		if (clock_now() >= deadline || fiber_sleep(TURN_PAUSE) == -1)
			return false;
	listers[lister_count++] = uid;
	return true;
}

/* The turn is over. */
static void
end_turn(uid_t uid)
{
	size_t	i = 0;

	while (listers[i] != uid)
		i++;
	listers[i] = listers[--lister_count];
}

/* Is it open, and not about to wait in hold/? */
static bool
is_active(const struct message *m)
{
	return m != NULL && m->fate != FATE_HOLD && m->fate != FATE_GONE;
}

/* One packet; false when nobody listens any more. */
static WAITS bool
give(struct command *c, struct queue_entry *e)
{
	return channel_send(c->request->channel, PACKET_QUEUE_ENTRY,
	    c->request->id, e, clock_now() + PATIENCE) == 0 ||
	    errno == EMSGSIZE;
}

/* One message, in as many packets as its recipients need. */
static WAITS bool
show(void *context, struct queue_entry *e)
{
	struct command			*c = context;
	const struct queue_recipient	*r = e->recipients;
	struct queue_entry		 part = *e;
	size_t				 left = e->count, used;

	if (is_active(message_find(e->queue_id)))
		part.queue = (char *)(uintptr_t)"active";
	do {
		part.recipients = e->recipients + (e->count - left);
		part.count = used = 0;
		while (part.count < left && part.count < ROWS && used < ROOM) {
			used += strlen(r->address) + strlen(r->original) +
			    strlen(r->reason) + 64;
			part.count++;
			r++;
		}
		if (!give(c, &part))
			return false;
		left -= part.count;
	} while (left > 0);
	return true;
}

/* The messages that the command names. */
static void
take_rows(struct listing *l, const struct command *c)
{
	size_t	i;

	l->room = c->asked->count;
	l->rows = mem_alloc(l->room * sizeof(*l->rows));
	for (i = 0; i < c->asked->count; i++) {
		if (!queue_id_is_valid(c->asked->rows[i].id))
			continue;
		strlcpy(l->rows[l->count].id, c->asked->rows[i].id,
		    sizeof(l->rows[0].id));
		l->rows[l->count++].dir = QUEUE_DIRS;
	}
}

/* Say why it was not done. */
static void
refuse(struct command *c, int status, const char *why)
{
	c->done.exit_status = status;
	c->done.text = pool_strdup(c->request->pool, why);
}

/* list: what is named, or everything. */
static WAITS void
list(struct command *c)
{
	struct listing	l = { .which = LISTING_QUEUES };
	uid_t		uid = c->request->uid;

	if (!take_turn(uid)) {
		refuse(c, EX_TEMPFAIL, "too many others are asking");
		return;
	}
	if (c->asked->count > 0)
		take_rows(&l, c);
	unfiled_file_all(clock_now() + SETTLE_PATIENCE);
	if (browse(&l, show, c) == -1)
		refuse(c, EX_TEMPFAIL, strerror(errno));
	listing_free(&l);
	end_turn(uid);
}

/* active: a page of ids. */
static WAITS void
active(struct command *c)
{
	struct pool	*pool = c->request->pool;
	struct message	*m;

	if (c->asked->argument[0] == '\0')
		unfiled_file_all(clock_now() + SETTLE_PATIENCE);
	m = message_after(c->asked->argument);
	c->done.rows = pool_array(pool, ROWS_MAX, sizeof(*c->done.rows));
	for (; m != NULL && c->done.count < ROWS_MAX; m = message_next(m))
		if (is_active(m))
			c->done.rows[c->done.count++] = (struct queue_row){
			    pool_strdup(pool, m->id),
			    (char *)(uintptr_t)"" };
}

/* --- answers -------------------------------------------------------------- */

/* Room for as many as were asked about. */
static void
prepare_rows(struct command *c)
{
	c->done.rows = pool_array(c->request->pool, c->asked->count,
	    sizeof(*c->done.rows));
}

/* Why nothing was done to this one: "" when it does not exist. */
static void
add_row(struct command *c, char *id, const char *why)
{
	if (*why != '\0')
		c->done.exit_status = EX_TEMPFAIL;
	c->done.rows[c->done.count++] = (struct queue_row){ id,
	    pool_strdup(c->request->pool, why) };
}

/* --- another attempt ----------------------------------------------------- */

/* These messages: due now, unless they are being tried. */
static WAITS void
flush_rows(struct command *c)
{
	enum queue_dir	dir;
	char		*id;
	size_t		 i;

	prepare_rows(c);
	for (i = 0; i < c->asked->count; i++) {
		id = c->asked->rows[i].id;
		if (waiting_set_due(id, clock_now()) ||
		    message_find(id) != NULL || orphan_has(id))
			c->done.changed++;
		else if (!entry_find(id, &dir))
			add_row(c, id, "");
		else if (dir == QUEUE_HOLD)
			add_row(c, id, "it is on hold");
		else if (dir == QUEUE_CORRUPT ||
		    !waiting_add(id, dir, clock_now()))
			add_row(c, id, "it cannot be tried now");
		else
			c->done.changed++;	/* the scan was to find it */
		fiber_breathe();
	}
}

/* Wait for a chance to go through everything that waits. */
static WAITS bool
take_flush(void)
{
	static int64_t	not_before;
	int64_t		when = not_before, now = clock_now();

	if (when > now + TURN_PATIENCE)
		return false;
	not_before = (when > now ? when : now) + FLUSH_PAUSE;
	return when <= now || fiber_sleep(when - now) == 0;
}

/* What waits for a site. */
static void
flush_named(struct command *c)
{
	enum flush_rest	rest;

	c->done.changed = (int64_t)flush_site(c->asked->argument, &rest);
	if (rest == FLUSH_REST_READ)
		c->done.text = pool_strdup(c->request->pool, "messages that "
		    "nobody has tried since the start are looked into");
	else if (rest == FLUSH_REST_LEFT)
		refuse(c, EX_TEMPFAIL, "messages that nobody has tried since "
		    "the start are not looked into: too many others are "
		    "asking");
}

/* flush */
static WAITS void
flush(struct command *c)
{
	if (c->asked->count == 0 && !take_flush()) {
		refuse(c, EX_TEMPFAIL, "too many others are asking");
		return;
	}
	dispatch_revive();
	if (c->asked->argument[0] != '\0')
		flush_named(c);
	else if (c->asked->count > 0)
		flush_rows(c);
	else
		c->done.changed = (int64_t)flush_all();
	feed_wake();
}

/* --- changes ------------------------------------------------------------- */

/* Change one; wait a little for one that is just being settled, or has no file
 * yet. */
static WAITS int
change_patiently(enum change change, const char *id, int64_t deadline)
{
	struct message	*m = message_find(id);
	int		 result;

	if (m != NULL && m->log != NULL && change != CHANGE_DELETE)
		unfiled_file_soon(m);
	while ((result = change_message(change, id)) == -1 &&
	    errno == EBUSY && clock_now() < deadline)
		if (fiber_sleep(SETTLE_PAUSE) == -1)
			break;
	return result;
}

/* Why this one could not be changed. */
static void
complain(struct command *c, char *id, int error)
{
	add_row(c, id, error == ENOENT ? "" : error == EBUSY ?
	    "it is being worked on: try again" : strerror(error));
}

/* What was done to this one. */
static void
add_change(struct command *c, enum change change, int changed, char *id)
{
	const char	*words[2];
	size_t		 i, n = entry_words(change, changed, words);

	c->done.changed++;
	for (i = 0; i < n && c->done.change_count < ROWS; i++)
		c->done.changes[c->done.change_count++] =
		    (struct queue_row){ id, (char *)(uintptr_t)words[i] };
}

/* All that are named. */
static WAITS void
change(struct command *c, enum change change)
{
	int64_t	deadline = clock_now() + SETTLE_PATIENCE;
	char	*id;
	size_t	i;
	int	result;

	prepare_rows(c);
	c->done.changes = pool_array(c->request->pool, 2 * c->asked->count,
	    sizeof(*c->done.changes));
	for (i = 0; i < c->asked->count; i++) {
		id = c->asked->rows[i].id;
		if (!queue_id_is_valid(id))
			continue;
		result = change_patiently(change, id, deadline);
		if (result == -1)
			complain(c, id, errno);
		else if (result > 0)
			add_change(c, change, result, id);
		fiber_breathe();
	}
}

/* --- the commands -------------------------------------------------------- */

/* May this user do that? NULL, or why not. */
static WAITS const char *
check_user(const struct request *r, const char *verb)
{
	if (r->uid == 0 || r->uid == geteuid())
		return NULL;
	if (strcmp(verb, "list") == 0)
		return users_may_list(r->uid);
	if (strcmp(verb, "flush") == 0)
		return users_may_flush(r->uid);
	return "only root and the mail system's owner may do that";
}

/* Does this verb exist? Then do it. */
static WAITS bool
run(struct command *c)
{
	const char	*verb = c->asked->verb;

	if (strcmp(verb, "list") == 0)
		list(c);
	else if (strcmp(verb, "active") == 0)
		active(c);
	else if (strcmp(verb, "flush") == 0)
		flush(c);
	else if (change_of(verb) != CHANGE_NONE)
		change(c, change_of(verb));
	else
		return false;
	return true;
}

/* PACKET_QUEUE_COMMAND. */
void
on_command(struct request *r)
{
	struct command	 c = { .request = r, .asked = r->object };
	const char	*why;

	c.done.text = pool_strdup(r->pool, "");
	if ((why = check_user(r, c.asked->verb)) != NULL)
		refuse(&c, EX_NOPERM, why);
	else if (!run(&c))
		refuse(&c, EX_USAGE, "unknown command");
	(void)channel_reply(r, PACKET_QUEUE_DONE, &c.done);
}
