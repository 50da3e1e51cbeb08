/*
 * transcript.c - what was said in a session, for the postmaster.
 *
 * Written by session.c as a conversation goes on, when notify_classes wants
 * to know; sent to bounce when something went wrong. The introduction is
 * kept, and the commands of the transaction that runs; the message is not.
 */
#include "smtp/transcript.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"

#include "smtp/delivery.h"

enum {
	INTRODUCTION = 4 * 1024,
	ROOM = 16 * 1024,
	LINE = 512,
	ON_THE_WAY = 20,		/* more at once are dropped */
	PATIENCE = 30 * 1000
};

struct dialogue {
	struct str	 text;
	size_t		 kept;		/* bytes of the introduction */
	const char	*class;		/* who is to blame, or NULL */
};

/* One that is being sent. */
struct parcel {
	struct pool		*pool;
	struct transcript	 packet;
};

static bool		 wants_protocol, wants_resource;
static unsigned		 on_the_way;

/* What notify_classes says. The parameter belongs to bounce; we look at it
 * only to save work. */
void
transcript_prepare(void)
{
	struct pool	*pool = pool_new("classes", 0);
	char		*why, **words;
	const char	*list;
	size_t		 i, count;

	list = maincf_value(daemon_maincf(), pool, "notify_classes", &why);
	words = text_words(pool, list == NULL ? "" : list, &count);
	for (i = 0; i < count; i++) {
		wants_protocol |= text_equal(words[i], "protocol");
		wants_resource |= text_equal(words[i], "resource");
	}
	pool_free(pool);
}

/* A new one, if it is wanted. */
struct dialogue *
transcript_new(struct pool *pool)
{
	struct dialogue	*t;

	if (!wants_protocol && !wants_resource)
		return NULL;
	t = pool_alloc(pool, sizeof(*t));
	str_init(&t->text, pool, ROOM);
	return t;
}

/* One line, escaped and cut; the last one says that there were more. */
static void
add(struct dialogue *t, const char *who, const char *line)
{
	size_t	len;

	if (t == NULL || t->text.is_cut)
		return;
	len = strcspn(line, "\r\n");
	str_add(&t->text, who);
	str_add_escaped(&t->text, line, len < LINE ? len : LINE);
	str_add(&t->text, len < LINE ? "\n" : "...\n");
}

void
transcript_in(struct dialogue *t, const char *line)
{
	add(t, " In:  ", line);
}

void
transcript_out(struct dialogue *t, const char *line)
{
	add(t, " Out: ", line);
}

/* The introduction is over. */
void
transcript_keep(struct dialogue *t)
{
	if (t == NULL)
		return;
	if (t->text.len > INTRODUCTION)
		str_cut(&t->text, INTRODUCTION);
	t->kept = t->text.len;
}

/* A transaction begins. */
void
transcript_begin(struct dialogue *t)
{
	if (t == NULL)
		return;
	str_cut(&t->text, t->kept);
	t->text.is_cut = false;
	t->class = NULL;
}

/* The first to blame is the cause. */
void
transcript_blame(struct dialogue *t, const char *class)
{
	if (t == NULL || t->class != NULL)
		return;
	if (strcmp(class, "protocol") == 0 ? wants_protocol : wants_resource)
		t->class = class;
}

/* On a fiber of its own, so that no mail waits for it. */
WAITS static void
send_parcel(void *arg)
{
	struct parcel	*p = arg;
	struct bounced	 answer;

	if (link_ask(to_bounce, PACKET_TRANSCRIPT, &p->packet, PACKET_BOUNCED,
	    &answer, p->pool, clock_now() + PATIENCE, false) == -1)
		log_warning("%s: the transcript of a session with %s could "
		    "not be sent: %s", p->packet.queue_id, p->packet.peer,
		    strerror(errno));
	on_the_way--;
	pool_free(p->pool);
}

/* Send it, if somebody is to blame; once. */
void
transcript_post(struct dialogue *t, const char *peer, const char *queue_id)
{
	struct pool	*pool;
	struct parcel	*p;

	if (t == NULL || t->class == NULL || on_the_way == ON_THE_WAY ||
	    daemon_is_stopping())
		return;
	pool = pool_new("transcript", 0);
	p = pool_alloc(pool, sizeof(*p));
	p->pool = pool;
	p->packet.class = pool_strdup(pool, t->class);
	p->packet.peer = pool_strdup(pool, peer);
	p->packet.queue_id = pool_strdup(pool, queue_id);
	p->packet.lines = pool_strdup(pool, t->text.data);
	t->class = NULL;
	on_the_way++;
	fiber_start(send_parcel, p);
}
