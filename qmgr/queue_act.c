/*
 * queue_act.c - the queue command changes messages: qmgr does it, or, while
 * it is down, the command itself.
 *
 * P1  Nothing is changed here without the lock that qmgr holds while it runs.
 *     Once taken, it is kept until the command ends, and qmgr is asked nothing
 *     more: should it start meanwhile, it waits for the lock, not for us.
 * P2  qmgr hears of a few messages at a time, so that mail flows on.
 */
#include <sys/file.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "qmgr/entry.h"
#include "qmgr/queue.h"

enum {
	BATCH = 200,			/* messages in one packet */
	PAUSE = 50 * 1000,		/* microseconds */
	LOCK_PATIENCE = 30 * 1000,	/* while qmgr starts or stops */
	SHORT_PATIENCE = 1000		/* of who cannot take the lock */
};

/* The work so far. */
static struct {
	const struct order	*order;
	int64_t			 changed, unknown;
	int			 status;
} work;

/* What is said of a change, as postsuper says it. */
static const char *const	said[][2] = {
	{ "hold",		"Placed on hold" },
	{ "release",		"Released from hold" },
	{ "requeue",		"Requeued" },
	{ "delete",		"Deleted" },
	{ "expire",		"Force-expired" },
	{ "expire-now",		"Expired" },
	{ "expire-release",	"Force-expired" },
	{ "flush",		"Scheduled" },
};

/* The totals of postsuper, in its order: which words of qmgr's count, and which
 * verbs ask for them. */
static struct {
	const char	*name, *words, *verbs[2];
	int64_t		 count;
} totals[] = {
	{ .name = "Requeued", .words = "requeued", .verbs = { "requeue" } },
	{ .name = "Deleted", .words = "removed", .verbs = { "delete" } },
	{ .name = "Force-expired", .words = "expired",
	    .verbs = { "expire", "expire-release" } },
	{ .name = "Placed on hold", .words = "placed on hold",
	    .verbs = { "hold" } },
	{ .name = "Released from hold", .words = "released from hold",
	    .verbs = { "release", "expire-release" } },
};
enum { TOTALS = sizeof(totals) / sizeof(totals[0]) };

/* A message that was not changed. */
static void
note_problem(const char *id, const char *why)
{
	if (*why != '\0') {
		complain("%s: %s", id, why);
		work.status = EX_TEMPFAIL;
		return;
	}
	work.unknown++;
	if (!command.is_postfix && !work.order->is_input &&
	    work.order->count > 0)
		complain("%s: not in the queue", id);
}

/* A message that was changed; postsuper tells of those that were named. */
static void
note_change(const char *id, const char *words)
{
	size_t	i;

	if (!command.is_postfix)
		return;
	if (!work.order->is_all)
		complain("%s: %s", id, words);
	for (i = 0; i < TOTALS; i++)
		if (strcmp(totals[i].words, words) == 0)
			totals[i].count++;
}

/* --- by ourselves -------------------------------------------------------- */

static bool	has_lock;

/* Take qmgr's lock, or not. */
static bool
take_lock(void)
{
	if (!has_lock && owner_is_here() &&
	    flock(queue_dir_fd(QUEUE_INCOMING), LOCK_EX | LOCK_NB) == 0) {
		has_lock = true;
		log_to_syslog();	/* not to the screen */
		logs_recover();
	}
	return has_lock;
}

/* Has it been taken? */
bool
act_is_alone(void)
{
	return has_lock;
}

/* Another attempt as soon as qmgr is there. */
static int
flush_alone(const char *id, enum queue_dir dir)
{
	if (dir == QUEUE_HOLD || dir == QUEUE_CORRUPT) {
		note_problem(id, dir == QUEUE_HOLD ? "it is on hold" :
		    "it cannot be tried now");
		return 0;
	}
	return queue_set_time(dir, id, clock_wall_us()) == -1 ? -1 : 1;
}

/* Change one. */
static void
change_alone(enum change change, const char *id, enum queue_dir dir)
{
	const char	*words[2];
	bool		 is_due;
	int		 result = entry_change(change, id, &dir, &is_due);
	size_t		 i, n;

	if (result == -1)
		note_problem(id, strerror(errno));
	if (result <= 0)
		return;
	work.changed++;
	n = entry_words(change, result, words);
	for (i = 0; i < n; i++)
		note_change(id, words[i]);
}

/* One message. */
static void
do_alone(const char *verb, const char *id)
{
	enum queue_dir	dir;
	int		result;

	if (!entry_find(id, &dir)) {
		note_problem(id, "");
		return;
	}
	if (strcmp(verb, "flush") != 0) {
		change_alone(change_of(verb), id, dir);
		return;
	}
	if ((result = flush_alone(id, dir)) == -1)
		note_problem(id, strerror(errno));
	else
		work.changed += result;
}

/* One of all, if it goes to the site that is meant. */
static bool
flush_any(void *context, const struct queue_entry *e)
{
	(void)context;
	if (strcmp(e->queue, "hold") != 0 && (work.order->site == NULL ||
	    entry_goes_to(e, work.order->site)))
		do_alone("flush", e->queue_id);
	return true;
}

/* --- wherever ------------------------------------------------------------ */

/* Take over what qmgr says. */
static void
take_answer(const struct answer *a)
{
	work.changed += a->changed;
	if (a->text[0] != '\0' && (a->status != 0 || !command.is_postfix))
		complain("%s", a->text);
	if (a->status != 0)
		work.status = a->status;
}

/* These messages, or to flush them all, by ourselves. */
static void
do_batch_alone(const char *verb, char **ids, size_t count)
{
	struct order	all = *work.order;
	size_t		i;

	for (i = 0; i < count; i++)
		do_alone(verb, ids[i]);
	if (count > 0)
		return;
	all.is_dry = all.site != NULL;	/* files are to be read */
	(void)find_each(&all, flush_any, NULL);
}

/*
 * These messages, by qmgr or by ourselves, whoever has the lock; while qmgr
 * starts or stops neither has it for a moment. The lock comes first: master
 * keeps the door open for a qmgr that may come back only in a minute. False
 * when nobody did it. Some may have been done by a qmgr that did not live to
 * tell: they are found done.
 */
static bool
do_batch(const char *verb, char **ids, size_t count)
{
	const char	*site = work.order->site != NULL ?
			    work.order->site : "";
	int64_t		 deadline = clock_now() + (owner_is_here() ?
			    LOCK_PATIENCE : SHORT_PATIENCE);
	struct answer	 answer;

	for (;;) {
		if (take_lock()) {
			do_batch_alone(verb, ids, count);
			return true;
		}
		answer = (struct answer){ .status = 0 };
		if (remote_do(verb, site, ids, count, &answer, note_problem,
		    note_change) != REMOTE_NOBODY) {
			take_answer(&answer);
			return answer.status == 0 || answer.text[0] == '\0';
		}
		if (clock_now() >= deadline)
			break;
		usleep(PAUSE);
	}
	complain(owner_is_here() ? "another program has locked the queue, and "
	    "the queue manager does not answer" :
	    "the mail system is down, and only root can change its queue");
	work.status = EX_UNAVAILABLE;
	return false;
}

/* --- an order ------------------------------------------------------------ */

/* Ids that were found. */
struct found_ids {
	struct pool	*pool;
	char		**ids;
	size_t		 count, room;
};

/* One more. */
static bool
add_found(void *context, const struct queue_entry *e)
{
	struct found_ids	*f = context;

	f->ids = mem_grow(f->ids, &f->room, f->count + 1, sizeof(*f->ids));
	f->ids[f->count++] = pool_strdup(f->pool, e->queue_id);
	return true;
}

/* All of these. */
static void
do_all(const char *verb, char **ids, size_t count)
{
	size_t	at, n;

	for (at = 0; at < count; at += n) {
		n = count - at < BATCH ? count - at : BATCH;
		if (!do_batch(verb, ids + at, n))
			return;
	}
}

/* Say what was done. Postfix's programs say nothing of another attempt, and
 * postsuper what was done in all. */
static void
tell(const char *verb)
{
	bool	is_flush = strcmp(verb, "flush") == 0;
	size_t	i;

	if (command.is_postfix || work.changed == 0 || (is_flush &&
	    work.order->is_all && work.order->site == NULL &&
	    select_is_everything(&work.order->select)))
		return;
	for (i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (strcmp(said[i][0], verb) == 0)
			complain("%s: %jd message%s", said[i][1],
			    (intmax_t)work.changed,
			    work.changed == 1 ? "" : "s");
}

/* Was any of these asked for? */
static bool
was_asked(const char *const verbs[2])
{
	size_t	i, j;

	for (i = 0; i < command.count; i++)
		for (j = 0; j < 2 && verbs[j] != NULL; j++)
			if (strcmp(command.orders[i].verb, verbs[j]) == 0)
				return true;
	return false;
}

/* In postsuper's order. */
void
act_tell_all(void)
{
	size_t	i;

	for (i = 0; i < TOTALS; i++)
		if (was_asked(totals[i].verbs))
			complain("%s: %jd message%s", totals[i].name,
			    (intmax_t)totals[i].count,
			    totals[i].count == 1 ? "" : "s");
}

/* Do the order. */
int
act(struct order *o)
{
	struct found_ids	f = { .count = 0 };
	bool			is_flush = strcmp(o->verb, "flush") == 0;
	bool			is_plain = select_is_everything(&o->select);

	memset(&work, 0, sizeof(work));
	work.order = o;
	if (!is_flush && !owner_is_here()) {
		complain("only root and the mail system's owner may do that");
		return command.is_postfix ? 1 : EX_NOPERM;
	}
	if (is_plain && (o->count > 0 || o->is_input))
		do_all(o->verb, o->ids, o->count);
	else if (is_plain && is_flush)
		(void)do_batch(o->verb, NULL, 0);
	else {
		f.pool = pool_new("found", 0);
		work.status = find_each(o, add_found, &f);
		do_all(o->verb, f.ids, f.count);
		free(f.ids);
		pool_free(f.pool);
	}
	tell(o->verb);
	if (work.status == 0 && work.unknown > 0 && !command.is_postfix &&
	    !o->is_input && o->count > 0)
		return EX_NOINPUT;
	return work.status;
}
