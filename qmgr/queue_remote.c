/*
 * queue_remote.c - what the queue command asks of qmgr.
 *
 * Each question has a connection of its own, so that a qmgr that starts or
 * stops in between costs one question and not the whole work.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/fiber/loop.h"
#include "common/ipc/channel.h"
#include "qmgr/queue.h"

/* A list takes as long as the queue is long; of a qmgr that is gone the kernel
 * tells. */
enum { PATIENCE = 600 * 1000, LIST_PATIENCE = 24 * 3600 * 1000 };

/* A question, and who hears what. */
struct talk {
	struct queue_command	 asked;
	struct queue_done	 done;
	struct pool		*pool;		/* of the answer */
	int			 fd, error;	/* 0: it is answered */
	bool			(*each)(void *, const struct queue_entry *);
	void			*context;
	bool			 has_enough;
	struct pool		*entry_pool;
	struct queue_entry	 entry;		/* as far as it was told */
};

static struct talk	*talk;			/* the one at a time */

/* --- entries ------------------------------------------------------------- */

/* One message is complete. */
static void
end_entry(void)
{
	if (talk->entry_pool == NULL)
		return;
	if (!talk->each(talk->context, &talk->entry))
		talk->has_enough = true;
	pool_free(talk->entry_pool);
	talk->entry_pool = NULL;
}

/* The head of a message. */
static void
begin_entry(const struct queue_entry *e)
{
	struct pool	*pool = pool_new("entry", 0);

	talk->entry_pool = pool;
	talk->entry = *e;
	talk->entry.queue = pool_strdup(pool, e->queue);
	talk->entry.queue_id = pool_strdup(pool, e->queue_id);
	talk->entry.sender = pool_strdup(pool, e->sender);
	talk->entry.recipients = NULL;
	talk->entry.count = 0;
}

/* More recipients of it. */
static void
add_recipients(const struct queue_entry *e)
{
	struct queue_entry	*to = &talk->entry;
	struct pool		*pool = talk->entry_pool;
	size_t			 i;

	if (to->recipients == NULL)
		to->recipients = pool_array(pool, e->count,
		    sizeof(*to->recipients));
	else
		to->recipients = pool_resize(pool, to->recipients,
		    to->count * sizeof(*to->recipients),
		    (to->count + e->count) * sizeof(*to->recipients));
	for (i = 0; i < e->count; i++)
		to->recipients[to->count++] = (struct queue_recipient){
		    pool_strdup(pool, e->recipients[i].address),
		    pool_strdup(pool, e->recipients[i].original),
		    pool_strdup(pool, e->recipients[i].reason) };
}

/* A part of a message; parts of one come one after the other. Who has enough
 * hangs up, and qmgr reads no more. */
static void
on_entry(struct request *r)
{
	const struct queue_entry	*e = r->object;

	if (talk->each == NULL || talk->has_enough)
		return;
	if (talk->entry_pool != NULL &&
	    strcmp(talk->entry.queue_id, e->queue_id) != 0)
		end_entry();
	if (talk->has_enough) {
		channel_close(r->channel);
		return;
	}
	if (talk->entry_pool == NULL)
		begin_entry(e);
	if (e->count > 0)
		add_recipients(e);
}

/* --- asking -------------------------------------------------------------- */

static const struct peer	peers[] = {
	{ "qmgr",	PACKET_QUEUE_ENTRY,	on_entry,	IN_ORDER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

/* The fiber. */
static void
run(void *arg)
{
	struct hello	 hello = { (char *)(uintptr_t)"queue", IPC_VERSION };
	static char	 nothing[1];
	struct channel	*c;

	(void)arg;
	c = channel_new(talk->fd, false, peers, NULL, NULL);
	channel_hold(c);
	channel_set_name(c, "qmgr");
	(void)channel_post(c, PACKET_HELLO, 0, &hello);
	talk->error = 0;
	if (channel_ask(c, PACKET_QUEUE_COMMAND, &talk->asked,
	    PACKET_QUEUE_DONE, &talk->done, talk->pool,
	    clock_now() + (talk->each != NULL ? LIST_PATIENCE : PATIENCE)) ==
	    -1)
		talk->error = errno;
	if (talk->has_enough && talk->error != 0) {
		talk->done = (struct queue_done){ .text = nothing };
		talk->error = 0;
	}
	channel_close(c);
	channel_release(c);
	loop_stop();
}

/* Connect; the directory is the queue's. */
static int
connect_qmgr(void)
{
	struct sockaddr_un	to = { .sun_family = AF_UNIX,
				    .sun_path = "public/qmgr" };
	int			fd;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1) {
		close(fd);
		return -1;
	}
	(void)fs_set_nonblocking(fd, true);
	return fd;
}

/* Rows of these ids. */
static void
take_ids(struct talk *t, char **ids, size_t count)
{
	static char	nothing[1];
	size_t		i;

	t->asked.rows = pool_array(t->pool, count, sizeof(*t->asked.rows));
	t->asked.count = count;
	for (i = 0; i < count; i++)
		t->asked.rows[i] = (struct queue_row){ ids[i], nothing };
}

/* Ask and hear: nobody there, or the connection broke; or an answer. */
static enum remote
ask(struct talk *t, struct answer *answer)
{
	static bool	is_open;

	talk = t;
	if (act_is_alone() || (t->fd = connect_qmgr()) == -1)
		return REMOTE_NOBODY;
	if (!is_open)
		loop_open();
	is_open = true;
	fiber_start(run, NULL);
	loop_run();
	if (t->error == ETIMEDOUT || t->error == EPROTO) {
		answer->status = EX_TEMPFAIL;
		snprintf(answer->text, sizeof(answer->text),
		    "no answer from the queue manager: %s",
		    strerror(t->error));
		return REMOTE_REFUSED;
	}
	if (t->error != 0)
		return REMOTE_NOBODY;
	if (t->each != NULL)
		end_entry();
	answer->status = (int)t->done.exit_status;
	answer->changed = t->done.changed;
	snprintf(answer->text, sizeof(answer->text), "%s", t->done.text);
	return t->done.text[0] != '\0' && answer->status != 0 ?
	    REMOTE_REFUSED : REMOTE_DONE;
}

/* A question about these messages; it has a pool. */
static struct talk
prepare(const char *verb, const char *argument, char **ids, size_t count)
{
	struct talk	t = { .asked = { .verb = (char *)(uintptr_t)verb,
			    .argument = (char *)(uintptr_t)argument } };

	t.pool = pool_new("talk", 0);
	take_ids(&t, ids, count);
	return t;
}

/* Have it done. */
enum remote
remote_do(const char *verb, const char *argument, char **ids, size_t count,
    struct answer *answer, void (*problem)(const char *id, const char *why),
    void (*change)(const char *id, const char *words))
{
	struct talk	t = prepare(verb, argument, ids, count);
	enum remote	result = ask(&t, answer);
	size_t		i;

	for (i = 0; result == REMOTE_DONE && i < t.done.count; i++)
		problem(t.done.rows[i].id, t.done.rows[i].text);
	for (i = 0; result == REMOTE_DONE && i < t.done.change_count; i++)
		change(t.done.changes[i].id, t.done.changes[i].text);
	pool_free(t.pool);
	return result;
}

/* Hear what there is. */
enum remote
remote_list(char **ids, size_t count, struct answer *answer,
    bool (*each)(void *, const struct queue_entry *), void *context)
{
	struct talk	t = prepare("list", "", ids, count);
	enum remote	result;

	t.each = each;
	t.context = context;
	result = ask(&t, answer);
	pool_free(t.entry_pool);
	pool_free(t.pool);
	return result;
}

/* A page of ids. */
static void
add_page(struct listing *l, const struct queue_done *done)
{
	size_t	i;

	l->room = l->count + done->count;
	l->rows = mem_resize(l->rows, (l->room + 1) * sizeof(*l->rows));
	for (i = 0; i < done->count; i++) {
		strlcpy(l->rows[l->count].id, done->rows[i].id,
		    sizeof(l->rows[0].id));
		l->rows[l->count++].dir = QUEUE_INCOMING;
	}
}

/* What is open: page by page. */
enum remote
remote_active(struct listing *l)
{
	struct answer	answer;
	struct talk	t;
	enum remote	result;
	size_t		count;

	do {
		t = prepare("active", l->count == 0 ? "" :
		    l->rows[l->count - 1].id, NULL, 0);
		if ((result = ask(&t, &answer)) == REMOTE_DONE)
			add_page(l, &t.done);
		count = t.done.count;
		pool_free(t.pool);
	} while (result == REMOTE_DONE && count > 0);
	return result;
}
