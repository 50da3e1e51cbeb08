/*
 * control.c - what administrators can ask of the queue manager.
 *
 * Anybody may list the queue and ask for another try; everything else is for
 * root and for the user that qmgr runs as.
 *
 * P1  A walk through the directories yields after every message: mail flows
 *     on, however long the queue is.
 * P2  A message that is being delivered is withdrawn as far as it has not been
 *     handed out; what was handed out is waited for.
 */
#include "qmgr/control.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/packets.h"
#include "common/queue/queue.h"
#include "qmgr/dispatch.h"
#include "qmgr/entry.h"
#include "qmgr/message.h"
#include "qmgr/outcome.h"
#include "qmgr/scan.h"
#include "qmgr/sync.h"
#include "qmgr/waiting.h"

enum { PATIENCE = 60 * 1000 };

static const enum queue_dir	dirs[] = { QUEUE_INCOMING, QUEUE_DEFERRED,
				    QUEUE_HOLD };

/* A command in hand. */
struct command {
	struct request	*request;
	const char	*verb, *id, *argument;
	int64_t		 count;
	char		*problem;	/* the last one, or NULL */
	int		 problems;
};

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

/* What an open message is to become. */
static enum fate
fate_of(const char *verb)
{
	if (strcmp(verb, "delete") == 0)
		return FATE_GONE;
	if (strcmp(verb, "hold") == 0)
		return FATE_HOLD;
	if (strcmp(verb, "requeue") == 0)
		return FATE_REQUEUE;
	if (strcmp(verb, "expire") == 0)
		return FATE_EXPIRE;
	return FATE_NONE;
}

/* Change an open message: 1, 0 for nothing to do, -1. */
static int
change_open(struct message *m, const char *verb)
{
	enum fate	fate = fate_of(verb);

	if (fate == FATE_NONE || m->fate == FATE_GONE)
		return 0;
	if (m->is_settling) {
		errno = EBUSY;
		return -1;
	}
	if (fate == FATE_GONE) {
		if (queue_remove(m->dir, m->id) == -1 && errno != ENOENT)
			return -1;
		sync_removed(m->dir, m->id);
		log_info("%s: removed", m->id);
	} else
		log_info("%s: %s", m->id, fate == FATE_HOLD ?
		    "placed on hold" : fate == FATE_REQUEUE ? "requeued" :
		    "expired");
	m->fate = fate;
	message_hold(m);
	withdraw(m);
	message_release(m);
	return 1;
}

/* --- messages that wait -------------------------------------------------- */

/* Open one only to give it up. */
static int
expire_closed(const char *id, enum queue_dir dir)
{
	struct message	*m;
	size_t		 i;

	switch (message_open(id, dir, &m)) {
	case OPENED:
		break;
	case OPENED_GONE:
		return 0;
	default:
		errno = EBUSY;
		return -1;
	}
	(void)waiting_remove(id);
	m->fate = FATE_EXPIRE;
	message_hold(m);
	for (i = 0; i < m->envelope.count; i++)
		outcome_withdraw(m, i);
	message_release(m);
	return 1;
}

/* Change one that is not open; the index follows. */
static int
change_closed(const char *verb, const char *id, enum queue_dir from)
{
	enum queue_dir	to;
	int		result;

	if (strcmp(verb, "expire") == 0)
		return expire_closed(id, from);
	if ((result = entry_change(verb, id, from, &to)) != 1)
		return result;
	(void)waiting_remove(id);
	if (strcmp(verb, "delete") == 0)
		sync_removed(from, id);
	else if (to != QUEUE_HOLD)
		(void)waiting_add(id, to, clock_now());
	feed_wake();
	return 1;
}

/* --- one message --------------------------------------------------------- */

/* Note that something went wrong. */
static void
complain(struct command *c, const char *id)
{
	c->problems++;
	c->problem = pool_printf(c->request->pool, "%s: %s", id,
	    errno == EBUSY ? "it is being worked on, try again" :
	    strerror(errno));
}

/* Change one, wherever it is. */
static void
change(struct command *c, const char *id, const enum queue_dir *where)
{
	struct message	*m = message_find(id);
	enum queue_dir	 dir;
	int		 result = 0;

	if (m != NULL)
		result = change_open(m, c->verb);
	else if (where != NULL)
		result = change_closed(c->verb, id, *where);
	else if (entry_find(id, &dir))
		result = change_closed(c->verb, id, dir);
	if (result == -1)
		complain(c, id);
	else
		c->count += result;
}

/* One entry to whoever asked; false when he does not listen any more. */
static WAITS bool
give(void *context, const struct queue_entry *e)
{
	struct command	*c = context;

	return channel_send(c->request->channel, PACKET_QUEUE_ENTRY,
	    c->request->id, e, clock_now() + PATIENCE) == 0 ||
	    errno == EMSGSIZE;
}

/* Show one. */
static WAITS bool
show(struct command *c, const char *id, enum queue_dir dir)
{
	c->count++;
	return entry_show(dir, id, message_find(id) != NULL ? "active" :
	    queue_dir_name(dir), give, c);
}

/* Make one due now, if it goes to that site. */
static void
flush_one(struct command *c, const char *id, enum queue_dir dir)
{
	if (c->argument[0] != '\0' && !entry_goes_to(dir, id, c->argument))
		return;
	if (waiting_set_due(id, clock_now()))
		c->count++;
}

/* --- many messages ------------------------------------------------------- */

/* May this directory be part of the command? */
static bool
is_meant(const struct command *c, enum queue_dir dir)
{
	bool	is_change = fate_of(c->verb) != FATE_NONE ||
		    strcmp(c->verb, "release") == 0;

	if (strcmp(c->verb, "flush") == 0)
		return dir != QUEUE_HOLD;
	if (strcmp(c->verb, "hold") == 0 && dir == QUEUE_HOLD)
		return false;
	if (strcmp(c->verb, "release") == 0 && dir != QUEUE_HOLD)
		return false;
	return !is_change || c->argument[0] == '\0' ||
	    strcmp(c->argument, queue_dir_name(dir)) == 0;
}

/* What the command does to each message. */
static WAITS bool
handle(struct command *c, const char *id, enum queue_dir dir)
{
	if (strcmp(c->verb, "list") == 0)
		return show(c, id, dir);
	if (strcmp(c->verb, "flush") == 0)
		flush_one(c, id, dir);
	else
		change(c, id, dir == QUEUE_INCOMING ? NULL : &dir);
	return true;
}

/* One directory. */
static WAITS bool
walk(struct command *c, enum queue_dir dir)
{
	struct queue_walk	*w;
	char			 id[QUEUE_ID_MAX + 1];
	mode_t			 mode;
	int64_t			 mtime_us, size;
	bool			 goes_on = true;

	if ((w = queue_walk_start(dir)) == NULL) {
		complain(c, queue_dir_name(dir));
		return true;
	}
	while (goes_on && queue_walk_next(w, id, &mode, &mtime_us, &size) == 1)
		if (queue_is_complete(mode)) {
			goes_on = handle(c, id, dir);
			fiber_yield();
		}
	queue_walk_end(w);
	return goes_on;
}

/* All that are meant. */
static WAITS void
walk_all(struct command *c)
{
	size_t	i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (is_meant(c, dirs[i]) && !walk(c, dirs[i]))
			break;
}

/* --- the commands -------------------------------------------------------- */

/* Everything at once, or what goes to one site, or one message. */
static WAITS void
flush(struct command *c)
{
	dispatch_revive();
	if (c->id[0] != '\0') {
		if (waiting_set_due(c->id, clock_now()) ||
		    message_find(c->id) != NULL)
			c->count++;
	} else if (c->argument[0] != '\0')
		walk_all(c);
	else {
		c->count = (int64_t)waiting_count();
		waiting_all_due(clock_now());
	}
	feed_wake();
}

/* All, or one. */
static WAITS void
list(struct command *c)
{
	enum queue_dir	dir;

	if (c->id[0] == '\0')
		walk_all(c);
	else if (entry_find(c->id, &dir))
		(void)show(c, c->id, dir);
}

/* Does this verb exist? Then run it. */
static WAITS bool
run(struct command *c)
{
	if (strcmp(c->verb, "list") == 0)
		list(c);
	else if (strcmp(c->verb, "flush") == 0)
		flush(c);
	else if (fate_of(c->verb) == FATE_NONE &&
	    strcmp(c->verb, "release") != 0)
		return false;
	else if (strcmp(c->id, "ALL") == 0)
		walk_all(c);
	else if (queue_id_is_valid(c->id))
		change(c, c->id, NULL);
	return true;
}

/* Is it for everybody, or is this somebody special? */
static bool
may(const struct request *r, const char *verb)
{
	return r->uid == 0 || r->uid == geteuid() ||
	    strcmp(verb, "list") == 0 || strcmp(verb, "flush") == 0;
}

/* PACKET_QUEUE_COMMAND. */
void
on_command(struct request *r)
{
	const struct queue_command	*q = r->object;
	struct command			 c = { .request = r, .verb = q->verb,
					    .id = q->id,
					    .argument = q->argument };
	struct queue_done		 done = { .exit_status = 0 };

	if (!may(r, q->verb)) {
		done.exit_status = 77;		/* EX_NOPERM */
		done.text = "only root and the mail system's owner may do that";
	} else if (!run(&c)) {
		done.exit_status = 64;		/* EX_USAGE */
		done.text = "unknown command";
	} else {
		done.exit_status = c.problems > 0 ? 75 : 0;
		done.text = c.problem != NULL ? c.problem : "";
	}
	done.count = c.count;
	(void)channel_reply(r, PACKET_QUEUE_DONE, &done);
}
