/*
 * dispatch.c - deliveries: handed to the agents, and what comes back.
 *
 * Each lane has a fiber while it has work: it takes the job whose turn it is
 * and posts it to its worker, until slots, windows or jobs are used up. The
 * end of a delivery starts it again.
 *
 * P1  Each recipient that was handed out gets an outcome: from the agent, or
 *     from us when the agent is gone; or it is handed out again.
 * P2  An agent's word counts only for the recipients of that delivery, and
 *     once.
 */
#include "qmgr/dispatch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/packets.h"
#include "qmgr/message.h"
#include "qmgr/outcome.h"

enum {
	PATIENCE = 30 * 1000,		/* for a connection to a worker */
	UNAVAILABLE = 60 * 1000,	/* and then leave it alone */
	ROOM = 40 * 1024,		/* for recipients in one packet */
	SLICE = 100,			/* suspended in one go */
	DEATHS_MAX = 5			/* of agents, with one message */
};

struct delivery {
	RB_ENTRY(delivery)	 entry;
	uint64_t		 id;
	struct channel		*channel;
	struct lane		*lane;
	struct job		*job;
	struct message		*message;
	bool			 has_failed;	/* the site, not the mail */
	size_t			 count;
	uint32_t		 numbers[];
};

static int
compare(const struct delivery *a, const struct delivery *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_HEAD(deliveries, delivery);
RB_PROTOTYPE(deliveries, delivery, entry, )
RB_GENERATE(deliveries, delivery, entry, compare)

static struct deliveries	deliveries = RB_INITIALIZER(&deliveries);
static unsigned			in_flight;
static bool			is_draining;

/* --- handing out --------------------------------------------------------- */

/* Has the lane a free slot? */
static bool
has_slot(const struct lane *lane)
{
	const struct transport	*t = lane->transport;

	return (lane->limit == 0 || lane->in_flight < lane->limit) &&
	    (t->limit == 0 || t->in_flight < t->limit);
}

/* The recipients of the packet: as many of the job's as fit. */
static size_t
fill_rows(const struct job *job, struct deliver_row *rows, size_t limit)
{
	const struct message	*m = job->message;
	const struct recipient_row *to;
	size_t			 n, used = 0;
	uint32_t		 number;

	for (n = 0; n < limit && n < job_count(job); n++) {
		number = job->numbers[job->first + n];
		to = &m->envelope.recipients[number].row;
		rows[n] = (struct deliver_row){ .number = number,
		    .address = (char *)(uintptr_t)message_address(m, number),
		    .original = (char *)(uintptr_t)message_original(m, number),
		    .orcpt = to->orcpt, .notify = to->notify };
		used += strlen(rows[n].address) + strlen(rows[n].original) +
		    strlen(rows[n].orcpt) + 64;
		if (n > 0 && used > ROOM)
			break;
	}
	return n;
}

/* The packet but for its recipients. */
static void
fill_packet(struct deliver *d, const struct job *job, const struct lane *lane)
{
	const struct message	*m = job->message;
	const struct mail	*mail = &m->envelope.mail;

	*d = (struct deliver){ .queue_id = (char *)(uintptr_t)m->id,
	    .transport = lane->transport->name, .nexthop = job->nexthop,
	    .site = job->site->name, .sender = mail->sender,
	    .envelope_id = mail->envelope_id,
	    .return_what = mail->return_what,
	    .client_name = mail->client_name,
	    .client_address = mail->client_address, .helo = mail->helo,
	    .protocol = mail->protocol, .login = mail->login,
	    .flags = mail->flags, .arrival_us = mail->arrival_us,
	    .active_us = m->active_us,
	    .content_offset = m->layout.content_offset,
	    .content_length = m->layout.content_length,
	    .attempt = m->attempt };
}

/* Remember what was handed out. */
static void
enter(struct channel *c, struct lane *lane, struct job *job, uint64_t id,
    size_t count)
{
	struct delivery	*d;

	d = mem_alloc(sizeof(*d) + count * sizeof(d->numbers[0]));
	*d = (struct delivery){ .id = id, .channel = c, .lane = lane,
	    .job = job, .message = job->message, .count = count };
	memcpy(d->numbers, job->numbers + job->first,
	    count * sizeof(d->numbers[0]));
	message_hold(d->message);
	RB_INSERT(deliveries, &deliveries, d);
	lane->in_flight++;
	lane->transport->in_flight++;
	in_flight++;
	schedule_take(job, count, clock_now(), true);
}

/* It cannot be handed out: these recipients wait for the next attempt. */
static void
give_up(struct job *job, size_t count, const char *dsn, const char *text)
{
	struct message	*m = job->message;
	const uint32_t	*numbers = job->numbers + job->first;
	size_t		 i;

	message_hold(m);
	schedule_take(job, count, clock_now(), false);
	for (i = 0; i < count; i++)
		outcome_decide(m, numbers[i], OUTCOME_DEFERRED, dsn, text);
	message_release(m);
}

/* Post a delivery of this job. False when the channel is no good. */
static bool
deliver(struct channel *c, struct lane *lane, struct job *job)
{
	struct pool	*pool = pool_new("delivery", 0);
	struct deliver	 d;
	size_t		 limit = (size_t)job->site->pace->recipients;
	uint64_t	 id = channel_next_id(c);
	bool		 is_good = true;

	if (limit == 0 || limit > ROWS_MAX)
		limit = ROWS_MAX;
	if (limit > job_count(job))
		limit = job_count(job);
	fill_packet(&d, job, lane);
	d.recipients = pool_array(pool, limit, sizeof(*d.recipients));
	d.count = fill_rows(job, d.recipients, limit);
	if ((d.message = message_fd(job->message)) == -1) {
		log_warning("%s: cannot be opened: %s", d.queue_id,
		    strerror(errno));
		give_up(job, d.count, "4.3.0", "queue file is not available");
	} else if (channel_post(c, PACKET_DELIVER, id, &d) == 0)
		enter(c, lane, job, id, d.count);
	else if (errno == ECONNRESET)
		is_good = false;
	else {
		log_error("%s: cannot be handed to %s: %s", d.queue_id,
		    d.transport, strerror(errno));
		give_up(job, d.count, "4.3.0", "mail system error");
	}
	pool_free(pool);
	return is_good;
}

/* --- the lane's fiber ---------------------------------------------------- */

/* A dead site's job: nothing is tried, in pieces that let others run. */
static void
suspend(struct job *job)
{
	const char	*why = job->site->why, *text = "site does not answer";
	char		 dsn[16] = "4.4.1", line[512];
	size_t		 n = job_count(job);
	const char	*space;

	if (why != NULL && (space = strchr(why, ' ')) != NULL) {
		snprintf(dsn, sizeof(dsn), "%.*s", (int)(space - why), why);
		text = space + 1;
	}
	snprintf(line, sizeof(line), "delivery temporarily suspended: %s",
	    text);
	give_up(job, n < SLICE ? n : SLICE, dsn, line);
}

/* No worker can be reached: everything in the lane waits for another time. */
static WAITS void
be_unavailable(struct lane *lane)
{
	struct job	*job;
	size_t		 n;
	bool		 is_dead;
	int64_t		 when;

	if (clock_now() >= lane->unavailable_until)
		log_warning("transport %s does not answer",
		    lane->transport->name);
	lane->unavailable_until = clock_now() + UNAVAILABLE;
	while ((job = schedule_next(&lane->schedule, clock_now(), &is_dead,
	    &when)) != NULL) {
		n = job_count(job);
		give_up(job, n < SLICE ? n : SLICE, "4.3.0",
		    "mail transport unavailable");
		fiber_breathe();
	}
}

/* The lane's next step: true when it may have another one at once. */
static WAITS bool
step(struct lane *lane, int64_t *when)
{
	struct channel	*c;
	struct job	*job;
	bool		 is_dead;

	job = schedule_next(&lane->schedule, clock_now(), &is_dead, when);
	if (job == NULL)
		return false;
	if (is_dead) {
		suspend(job);
		return true;
	}
	if (!has_slot(lane)) {
		*when = NEVER;
		return false;
	}
	c = clock_now() < lane->unavailable_until ? NULL :
	    link_channel(lane->transport->link, lane->hint,
	    clock_now() + PATIENCE);
	if (c == NULL) {
		be_unavailable(lane);
		return true;
	}
	/* That may have been a wait: whose turn is it now? */
	job = schedule_next(&lane->schedule, clock_now(), &is_dead, when);
	if (job != NULL && !is_dead && has_slot(lane) &&
	    !deliver(c, lane, job))
		fiber_yield();		/* let the channel notice its end */
	return true;
}

/* The life of the fiber. */
static void
run(void *arg)
{
	struct lane	*lane = arg;
	int64_t		 when;

	fiber_name("lane");
	while (!is_draining) {
		if (step(lane, &when))
			fiber_breathe();
		else if (when == NEVER)
			break;
		else {		/* rate delay: nobody else will wake us */
			lane->sleeper = fiber_self();
			(void)fiber_park(when);
			lane->sleeper = NULL;
		}
	}
	lane->is_running = false;
}

/* Start it, if it does not run. */
void
lane_kick(struct lane *lane)
{
	if (lane->sleeper != NULL)
		fiber_wake(lane->sleeper);
	if (lane->is_running || is_draining ||
	    TAILQ_EMPTY(&lane->schedule.sites))
		return;
	lane->is_running = true;
	fiber_start(run, lane);
}

/* All of them. */
void
lanes_kick_all(void)
{
	struct transport	*t;
	unsigned		 i;

	for (t = transport_next(NULL); t != NULL; t = transport_next(t))
		for (i = 0; i < t->workers; i++)
			lane_kick(&t->lanes[i]);
}

/* A slot is free. When it is the transport's slots that are short, the lanes
 * get them in turn. */
static void
kick_after(struct lane *lane)
{
	struct transport	*t = lane->transport;
	unsigned		 i;

	if (t->limit == 0 || t->in_flight + 1 < t->limit) {
		lane_kick(lane);
		return;
	}
	t->last_lane = (t->last_lane + 1) % t->workers;
	for (i = 0; i < t->workers; i++)
		lane_kick(&t->lanes[(t->last_lane + i) % t->workers]);
}

/* --- what comes back ----------------------------------------------------- */

/* The site's window learns from the delivery. */
static void
learn(struct delivery *d)
{
	struct destination	*s = d->job->site;

	if (!d->has_failed)
		window_succeeded(&s->window, s->pace, s->in_flight);
	else if (window_failed(&s->window, s->pace, clock_now()))
		log_info("site %s of transport %s is left alone for %jd "
		    "seconds: %s", s->name, d->lane->transport->name,
		    (intmax_t)s->pace->dead_time / 1000,
		    s->why != NULL ? s->why : "it does not answer");
}

/* The delivery is over. The message may be gone afterwards. */
static void
end(struct delivery *d)
{
	struct lane	*lane = d->lane;

	RB_REMOVE(deliveries, &deliveries, d);
	schedule_ended(d->job->site);
	lane->in_flight--;
	lane->transport->in_flight--;
	in_flight--;
	kick_after(lane);
	message_release(d->message);
	free(d);
}

/* Is this recipient one of the delivery's? */
static bool
has_number(const struct delivery *d, int64_t number)
{
	size_t	i;

	for (i = 0; i < d->count; i++)
		if (d->numbers[i] == number)
			return true;
	return false;
}

/* Why a site fails, for those who will not be tried. */
static void
keep_why(struct destination *s, const struct outcome_row *row)
{
	size_t	size = strlen(row->dsn) + strlen(row->text) + 2;

	free(s->why);
	s->why = mem_alloc(size);
	snprintf(s->why, size, "%s %s", row->dsn, row->text);
}

/* The agent reports. */
void
on_outcome(struct request *r)
{
	const struct outcome_packet	*p = r->object;
	struct delivery			*d, key = { .id = r->id };
	size_t				 i;

	d = RB_FIND(deliveries, &deliveries, &key);
	if (d == NULL || d->channel != r->channel) {
		log_warning("an outcome for a delivery that nobody knows");
		return;
	}
	for (i = 0; i < p->count; i++) {
		if (!has_number(d, p->rows[i].number))
			continue;
		outcome_set(d->message, (size_t)p->rows[i].number,
		    &p->rows[i]);
		if (p->rows[i].flags & OUTCOME_SITE_FAILED) {
			d->has_failed = true;
			keep_why(d->job->site, &p->rows[i]);
		}
	}
	if (!p->is_last)
		return;
	for (i = 0; i < d->count; i++)
		outcome_decide(d->message, d->numbers[i], OUTCOME_DEFERRED,
		    "4.3.0", "the delivery agent gave no answer");
	learn(d);
	end(d);
}

/* The agent is gone: its recipients are handed out again, but not for ever,
 * since it may be the message that kills it. An agent dies once, however many
 * deliveries of the message it had. */
static void
lose(struct delivery *d, unsigned death)
{
	struct message	*m = d->message;
	bool		 is_enough;
	size_t		 i;

	if (m->last_death != death) {
		m->last_death = death;
		m->deaths++;
	}
	is_enough = m->deaths > DEATHS_MAX;
	for (i = 0; i < d->count; i++) {
		if (m->work[d->numbers[i]].state != WORK_WAITING)
			continue;
		if (m->fate != FATE_NONE)
			outcome_withdraw(m, d->numbers[i]);
		else if (is_enough)
			outcome_decide(m, d->numbers[i], OUTCOME_DEFERRED,
			    "4.3.0", "unknown mail transport error");
		else
			job_add(d->job, m->pool, d->numbers[i]);
	}
	d->job->least = 0;
	schedule_queue(d->job);
	end(d);
}

/* A channel is dead. */
void
on_agent_lost(struct channel *c, void *transport)
{
	struct transport	*t = transport;
	struct delivery		*d, *following;
	static unsigned		 deaths;
	unsigned		 lost = 0;

	deaths++;
	RB_FOREACH_SAFE(d, deliveries, &deliveries, following)
		if (d->channel == c) {
			lost++;
			lose(d, deaths);
		}
	if (lost > 0)
		log_warning("an agent of transport %s is gone: %u deliveries "
		    "are begun again", t->name, lost);
}

/* --- the end, and a new beginning ---------------------------------------- */

/* Nothing more. */
void
dispatch_drain(void)
{
	is_draining = true;
}

/* What is out. */
unsigned
dispatch_in_flight(void)
{
	return in_flight;
}

/* Everything is tried again. */
void
dispatch_revive(void)
{
	struct transport	*t;
	struct destination	*s;
	unsigned		 i;

	for (t = transport_next(NULL); t != NULL; t = transport_next(t)) {
		for (i = 0; i < t->workers; i++)
			t->lanes[i].unavailable_until = 0;
		RB_FOREACH(s, destinations, &t->sites)
			if (s->window.dead_until != 0) {
				window_start(&s->window, s->pace);
				schedule_refresh(s);
			}
	}
	lanes_kick_all();
}
