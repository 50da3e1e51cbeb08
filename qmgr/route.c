/*
 * route.c - where does each recipient go?
 *
 * A few hundred fibers ask resolve, each for one recipient at a time; messages
 * take turns, so that one with a hundred thousand recipients does not keep
 * the others waiting. A job is queued as soon as it fills a delivery, and the
 * rest when the whole message has been asked for. Recipients that an agent
 * passes on come before all others: their message has waited once. What is to
 * pass a content filter goes there, its recipients as they are.
 */
#include "qmgr/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/ipc/answers.h"
#include "qmgr/evict.h"
#include "qmgr/filter.h"
#include "qmgr/lane.h"
#include "qmgr/outcome.h"
#include "qmgr/transport.h"

enum { ASKERS = 256, ASKERS_OF_ONE = 128, PATIENCE = 60 * 1000 };

/* A recipient that was passed on. */
struct again {
	STAILQ_ENTRY(again)	 next;
	struct message		*message;
	size_t			 number;
	char			*via;
};

static TAILQ_HEAD(, message)	asking = TAILQ_HEAD_INITIALIZER(asking);
static STAILQ_HEAD(, again)	agains = STAILQ_HEAD_INITIALIZER(agains);
static unsigned			askers;
static size_t			asking_count;

/* --- answers ------------------------------------------------------------- */

/* How many recipients are worth a turn before all have been asked for? */
static size_t
enough(const struct message *m, const struct transport *t)
{
	if (m->envelope.mail.verp[0] != '\0')
		return 1;
	return t->tuning.pace.recipients > 0 ?
	    (size_t)t->tuning.pace.recipients : SIZE_MAX;
}

/* What the recipient waits for: a site, or with one recipient in a delivery
 * himself, as Postfix has it. */
static struct destination *
destination_of(struct transport *t, const struct route *route,
    const char *address, struct pool *pool)
{
	char	*own;

	if (t->tuning.pace.recipients != 1)
		return transport_destination(t, route->site, route->site);
	own = pool_strdup(pool, address);
	text_lower(own);
	return transport_destination(t, own, route->site);
}

/* Why a question is asked. */
enum reason_to_ask { FOR_THE_RECIPIENT, FOR_THE_FILTER, AGAIN };

/* The answer is a place to go: give the recipient to that site's job. */
static void
assign(struct message *m, size_t number, const struct route *route,
    struct pool *pool, enum reason_to_ask reason)
{
	struct transport	*t = transport_find(route->transport);
	struct destination	*site;
	struct job		*job;
	const char		*address;

	if (t == NULL) {
		log_warning("%s: there is no transport %s", m->id,
		    route->transport);
		outcome_decide(m, number, OUTCOME_DEFERRED, "4.3.0",
		    "mail transport unavailable");
		return;
	}
	m->work[number].transport = t->index;
	if (t->tuning.is_deferred && !m->is_flushed) {
		outcome_decide(m, number, OUTCOME_DEFERRED, "4.3.2",
		    "deferred transport");
		return;
	}
	address = m->envelope.recipients[number].row.address;
	m->work[number].address = reason == FOR_THE_FILTER ||
	    route->recipient[0] == '\0' ||
	    strcmp(route->recipient, address) == 0 ? NULL :
	    pool_strdup(m->pool, route->recipient);
	site = destination_of(t, route, message_address(m, number), pool);
	job = message_job(m, site, route->nexthop);
	job->least = reason == AGAIN ? 0 : enough(m, t);
	job_add(job, m->pool, (uint32_t)number);
	schedule_queue(job);
	lane_kick(lane_of(site));
}

/* Or there is nowhere to go, or not now. */
static void
take_answer(struct message *m, size_t number, const struct route *route,
    struct pool *pool, enum reason_to_ask reason)
{
	m->work[number].was_tried = true;
	switch (route->result) {
	case ROUTE_OK:
		m->work[number].was_tried = false;
		assign(m, number, route, pool, reason);
		break;
	case ROUTE_IMPOSSIBLE:
		outcome_decide(m, number, OUTCOME_BOUNCED,
		    route->dsn[0] != '\0' ? route->dsn : "5.1.1", route->text);
		break;
	default:
		outcome_decide(m, number, OUTCOME_DEFERRED,
		    route->dsn[0] != '\0' ? route->dsn : "4.3.0", route->text);
	}
}

/* --- questions ----------------------------------------------------------- */

/* One recipient; via: the way that an agent wants him to take, or NULL. */
static WAITS void
ask(struct message *m, size_t number, const char *via)
{
	enum reason_to_ask	 reason = AGAIN;
	struct ask_route	 question;
	struct route		 route;
	struct pool		*pool;

	if (m->fate != FATE_NONE) {
		outcome_withdraw(m, number);
		return;
	}
	if (daemon_unsupported() != NULL) {
		outcome_decide(m, number, OUTCOME_DEFERRED, "4.3.5",
		    daemon_unsupported());
		return;
	}
	pool = pool_new("route", 0);
	if (via == NULL) {
		via = filter_of(m, pool);
		reason = *via != '\0' ? FOR_THE_FILTER : FOR_THE_RECIPIENT;
	}
	question = (struct ask_route){
	    .address = m->envelope.recipients[number].row.address,
	    .sender = m->envelope.mail.sender,
	    .via = (char *)(uintptr_t)via };
	if (answers_route(to_resolve, &question, &route, pool,
	    clock_now() + PATIENCE) == -1) {
		log_warning("%s: resolve does not answer: %s", m->id,
		    strerror(errno));
		outcome_decide(m, number, OUTCOME_DEFERRED, "4.3.0",
		    "address resolver unavailable");
	} else if (m->fate != FATE_NONE)
		outcome_withdraw(m, number);
	else
		take_answer(m, number, &route, pool, reason);
	pool_free(pool);
}

/* Everyone has been asked for: what was gathered may go. */
static void
finish(struct message *m)
{
	struct job	*job, *evictable;

	for (job = message_next_job(m, NULL); job != NULL;
	    job = message_next_job(m, job)) {
		job->least = 0;
		if (job_count(job) == 0)
			continue;
		schedule_queue(job);
		lane_kick(lane_of(job->site));
	}
	evictable = evict_wanted(m);
	message_release(m);
	if (evictable != NULL)
		evict(evictable);
}

/* Is there a recipient that has not been asked for? Then *number is it. */
static bool
next_number(struct message *m, size_t *number)
{
	while (m->next < m->envelope.count &&
	    m->work[m->next].state != WORK_WAITING)
		m->next++;
	*number = m->next;
	return m->next < m->envelope.count;
}

static void	 run(void *);

/* See that somebody comes. */
static void
need_asker(void)
{
	if (askers >= ASKERS)
		return;
	askers++;
	fiber_start(run, NULL);
}

/* Put the message behind the others. */
static void
enqueue(struct message *m)
{
	m->is_asking = true;
	TAILQ_INSERT_TAIL(&asking, m, asking);
	asking_count++;
	need_asker();
}

/* The next recipient that was passed on. */
static WAITS void
ask_again(void)
{
	struct again	*a = STAILQ_FIRST(&agains);
	struct message	*m = a->message;

	STAILQ_REMOVE_HEAD(&agains, next);
	ask(m, a->number, a->via);
	free(a->via);
	free(a);
	message_release(m);
}

/* The next message's next recipient; the message goes behind the others. One
 * whose domains are slow to be looked up leaves some askers to others. */
static WAITS void
ask_next(void)
{
	struct message	*m = TAILQ_FIRST(&asking);
	size_t		 number, more;
	bool		 has_one = next_number(m, &number);

	TAILQ_REMOVE(&asking, m, asking);
	asking_count--;
	m->is_asking = false;
	m->asked++;
	if (has_one) {
		m->next++;
		if (next_number(m, &more) && m->asked < ASKERS_OF_ONE)
			enqueue(m);
		ask(m, number, NULL);
	}
	m->asked--;
	if (m->is_asking)
		return;
	if (next_number(m, &more))
		enqueue(m);
	else if (m->asked == 0)
		finish(m);
}

/* One of the askers; lives while there is somebody to ask for. */
static void
run(void *arg)
{
	(void)arg;
	fiber_name("route");
	for (;;) {
		if (!STAILQ_EMPTY(&agains))
			ask_again();
		else if (!TAILQ_EMPTY(&asking))
			ask_next();
		else
			break;
		fiber_breathe();
	}
	askers--;
}

/* Begin. */
void
route_start(struct message *m)
{
	message_hold(m);
	enqueue(m);
}

/* As many wait as are asked for? */
bool
route_is_busy(void)
{
	return asking_count >= ASKERS;
}

/* Once more, for one recipient. */
void
route_again(struct message *m, size_t number, const char *via)
{
	struct again	*a = mem_alloc(sizeof(*a));

	*a = (struct again){ .message = m, .number = number,
	    .via = mem_strdup(via) };
	message_hold(m);
	STAILQ_INSERT_TAIL(&agains, a, next);
	need_asker();
}
