/*
 * dispatch.c - deliveries: handed to the agents, and what comes back.
 *
 * lane.c says when. How long an agent may take is not ours to know; but one
 * that has said nothing when all its own guards are over will never do. It is
 * allowed qmgr_daemon_timeout for each recipient and five times as much for
 * what comes before them (connecting, greetings, several hosts), and a second
 * for each KiB.
 *
 * P1  Each recipient that was handed out gets an outcome: from the agent, or
 *     from us when the agent is gone or silent; or it is handed out again.
 * P2  An agent's word counts only for the recipients of that delivery, and
 *     once; what comes after a delivery was given up counts for nothing.
 * P3  A recipient that agents pass on is deferred after the third time.
 */
#include "qmgr/dispatch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/ipc/packets.h"
#include "common/mail/origin.h"
#include "common/mail/verp.h"
#include "qmgr/evict.h"
#include "qmgr/flush.h"
#include "qmgr/lane.h"
#include "qmgr/message.h"
#include "qmgr/outcome.h"
#include "qmgr/route.h"

enum {
	ROOM = 40 * 1024,		/* for recipients in one packet */
	DEATHS_MAX = 5,			/* of agents, with one message */
	REROUTES_MAX = 3,
	BEFORE = 5,			/* what precedes the first recipient */
	QUICK = 10 * 1000,		/* a site that gets things done */
	SHORTEST_LOOK = 200, LONGEST_LOOK = 60 * 1000
};
static const uint32_t	NOBODY = UINT32_MAX;

static int64_t	agent_timeout;

const struct param	dispatch_params[] = {
	PARAM_TIME("qmgr_daemon_timeout", agent_timeout, "1000s", 1, 864000,
	    "How long a delivery agent may take for one recipient; it gets "
	    "five times as much before the first one, and a second for each "
	    "KiB. Then the delivery is given up and tried again later."),
	PARAM_END
};

struct delivery {
	RB_ENTRY(delivery)	 entry;
	uint64_t		 id;
	struct channel		*channel;
	struct lane		*lane;
	struct job		*job;
	struct message		*message;
	bool			 has_failed;	/* the site, not the mail */
	int64_t			 begun, deadline;
	size_t			 count, next;	/* where to look first */
	uint32_t		 numbers[];	/* NOBODY: passed on */
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

/* --- handing out --------------------------------------------------------- */

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

/* Who sends it: with VERP, each recipient has a sender of its own. */
static char *
sender_of(const struct job *job, struct pool *pool)
{
	const struct message	*m = job->message;
	const struct mail	*mail = &m->envelope.mail;
	const struct recipient_row *to;

	if (mail->verp[0] == '\0' || mail->sender[0] == '\0')
		return mail->sender;
	to = &m->envelope.recipients[job->numbers[job->first]].row;
	return verp_sender(pool, mail->sender, to->original[0] != '\0' ?
	    to->original : to->address, mail->verp);
}

/* How many recipients may it have? */
static size_t
limit_of(const struct job *job)
{
	const struct message	*m = job->message;
	size_t			 limit = (size_t)job->site->pace->recipients;

	if (m->envelope.mail.verp[0] != '\0')
		return 1;
	if (limit == 0 || limit > ROWS_MAX)
		limit = ROWS_MAX;
	return limit < job_count(job) ? limit : job_count(job);
}

/* The packet but for its recipients. */
static void
fill_packet(struct deliver *d, const struct job *job, const struct lane *lane,
    struct pool *pool)
{
	const struct message	*m = job->message;
	const struct mail	*mail = &m->envelope.mail;

	*d = (struct deliver){ .queue_id = (char *)(uintptr_t)m->id,
	    .transport = lane->transport->name, .nexthop = job->nexthop,
	    .site = job->site->label, .sender = sender_of(job, pool),
	    .envelope_id = mail->envelope_id,
	    .return_what = mail->return_what,
	    .client_name = mail->client_name,
	    .client_address = mail->client_address, .helo = mail->helo,
	    .protocol = (char *)(uintptr_t)origin_protocol(mail->protocol),
	    .login = mail->login,
	    .flags = mail->flags, .arrival_us = mail->arrival_us,
	    .active_us = m->active_us,
	    .content_offset = m->layout.content_offset,
	    .content_length = m->layout.content_length,
	    .attempt = m->attempt };
}

/* Where it came from at first, if XFORWARD told: that is for the log, for
 * commands, and for the next host. */
static void
fill_origin(struct deliver *d, const struct mail *mail, struct pool *pool)
{
	static char		 nothing[1];
	struct {
		enum origin_attribute attribute; char **to;
	} rows[] = {
		{ ORIGIN_NAME, &d->client_name },
		{ ORIGIN_ADDR, &d->client_address },
		{ ORIGIN_HELO, &d->helo },
		{ ORIGIN_PROTO, &d->protocol },
		{ ORIGIN_IDENT, &d->ident }
	};
	struct origin		 f = { { NULL } };
	size_t			 i;

	d->ident = nothing;
	d->client_port = mail->client_port;
	if (mail->forwarded == NULL || mail->forwarded[0] == '\0' ||
	    origin_parse(&f, pool, ORIGIN_XFORWARD, mail->forwarded) !=
	    NULL)
		return;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		*rows[i].to = f.values[rows[i].attribute] != NULL ?
		    f.values[rows[i].attribute] : nothing;
	d->client_port = 0;
	if (f.values[ORIGIN_PORT] != NULL)
		(void)text_integer(f.values[ORIGIN_PORT], 0, 65535,
		    &d->client_port);
}

/* Remember what was handed out. */
static void
enter(struct channel *c, struct lane *lane, struct job *job, uint64_t id,
    size_t count)
{
	struct delivery	*d;

	d = mem_alloc(sizeof(*d) + count * sizeof(d->numbers[0]));
	*d = (struct delivery){ .id = id, .channel = c, .lane = lane,
	    .job = job, .message = job->message, .count = count,
	    .begun = clock_now() };
	d->deadline = d->begun + d->message->layout.content_length +
	    agent_timeout * (int64_t)(count + BEFORE);
	memcpy(d->numbers, job->numbers + job->first,
	    count * sizeof(d->numbers[0]));
	message_hold(d->message);
	RB_INSERT(deliveries, &deliveries, d);
	lane->in_flight++;
	lane->transport->in_flight++;
	in_flight++;
	schedule_take(job, count, true);
}

/* It cannot be handed out: these recipients wait for the next attempt. */
void
dispatch_postpone(struct job *job, size_t count, const char *dsn,
    const char *text, bool was_tried)
{
	struct message	*m = job->message;
	const uint32_t	*numbers = job->numbers + job->first;
	size_t		 i;

	message_hold(m);
	schedule_take(job, count, false);
	for (i = 0; i < count; i++) {
		if (was_tried)
			m->work[numbers[i]].was_tried = true;
		outcome_decide(m, numbers[i], OUTCOME_DEFERRED, dsn, text);
	}
	message_release(m);
}

/* Post a delivery. */
bool
dispatch_deliver(struct channel *c, struct lane *lane, struct job *job)
{
	struct message	*m = job->message;
	struct pool	*pool = pool_new("delivery", 0);
	struct deliver	 d;
	size_t		 limit = limit_of(job);
	uint64_t	 id = channel_next_id(c);
	bool		 is_good = true;

	fill_packet(&d, job, lane, pool);
	fill_origin(&d, &m->envelope.mail, pool);
	d.recipients = pool_array(pool, limit, sizeof(*d.recipients));
	d.count = fill_rows(job, d.recipients, limit);
	if ((d.message = message_fd(m)) == -1) {
		log_warning("%s: cannot be opened: %s", d.queue_id,
		    strerror(errno));
		dispatch_postpone(job, d.count, "4.3.0",
		    "queue file is not available", false);
	} else if (channel_post(c, PACKET_DELIVER, id, &d) == 0)
		enter(c, lane, job, id, d.count);
	else if (errno == ECONNRESET)
		is_good = false;
	else {
		log_error("%s: cannot be handed to %s: %s", d.queue_id,
		    d.transport, strerror(errno));
		dispatch_postpone(job, d.count, "4.3.0", "mail system error",
		    false);
		m = NULL;		/* it may be gone */
	}
	if (d.message != -1 && m != NULL)
		message_let_fd(m);
	pool_free(pool);
	return is_good;
}

/* --- what comes back ----------------------------------------------------- */

/* What a delivery did to the window, for who wants to know. */
static void
tell_feedback(const struct destination *s, const char *what, int64_t before)
{
	if (tuning_is_debugged())
		log_info("feedback: site %s %s: window %jd -> %jd, success "
		    "%.2f, failure %.2f, failed cohorts %.2f", s->name, what,
		    (intmax_t)before, (intmax_t)s->window.size,
		    s->window.success, s->window.failure, s->window.cohorts);
}

/* The site's window learns from the delivery. */
static void
learn(struct delivery *d)
{
	struct destination	*s = d->job->site;
	int64_t			 before = s->window.size;

	s->is_quick = !d->has_failed && clock_now() - d->begun < QUICK;
	if (!d->has_failed) {
		window_succeeded(&s->window, s->pace, s->in_flight);
		tell_feedback(s, "answers", before);
		if (s->died != 0)
			flush_revived(s);
		s->died = 0;
		return;
	}
	if (window_failed(&s->window, s->pace, clock_now())) {
		s->died = clock_now();
		log_info("site %s of transport %s is left alone for %jd "
		    "seconds: %s", s->name, d->lane->transport->name,
		    (intmax_t)s->pace->dead_time / 1000,
		    s->why != NULL ? s->why : "it does not answer");
	}
	tell_feedback(s, "does not answer", before);
}

/* The delivery is over. The message may be gone afterwards. */
static void
end(struct delivery *d)
{
	struct lane		*lane = d->lane;
	struct destination	*site = d->job->site;

	RB_REMOVE(deliveries, &deliveries, d);
	schedule_ended(site, clock_now());
	lane->in_flight--;
	lane->transport->in_flight--;
	in_flight--;
	lane_has_slot(lane);
	message_release(d->message);
	free(d);
	evict_refill(site);
}

/* The place of this recipient in the delivery, d->count if it has none.
 * Agents answer in the order of the packet. */
static size_t
find_number(struct delivery *d, int64_t number)
{
	size_t	i, n;

	if (number < 0 || number >= NOBODY)
		return d->count;
	for (n = 0; n < d->count; n++) {
		i = (d->next + n) % d->count;
		if (d->numbers[i] != number)
			continue;
		d->next = i + 1;
		return i;
	}
	return d->count;
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

/* The recipient belongs to somebody else, who is to have it now (P3). Only
 * local may say so: an agent that strangers speak to, once owned, would send
 * mail where it likes. */
static void
pass_on(struct delivery *d, size_t place, const struct outcome_row *row)
{
	struct message	*m = d->message;
	uint32_t	 number = d->numbers[place];

	if (m->work[number].state != WORK_WAITING)
		return;
	if (!d->lane->transport->may_pass_on) {
		log_warning("%s: transport %s may not pass mail on to \"%s\"",
		    m->id, d->lane->transport->name, row->text);
		return;		/* it counts as no answer */
	}
	if (m->work[number].reroutes++ >= REROUTES_MAX) {
		outcome_decide(m, number, OUTCOME_DEFERRED, "4.3.5",
		    "transports pass this recipient on to each other");
		return;
	}
	d->numbers[place] = NOBODY;
	route_again(m, number, row->text);
}

/* One row. */
static void
take_row(struct delivery *d, const struct outcome_row *row)
{
	size_t	place = find_number(d, row->number);

	if (place == d->count)
		return;
	if (row->outcome == OUTCOME_REROUTED) {
		pass_on(d, place, row);
		return;
	}
	d->message->work[row->number].was_tried = true;
	outcome_set(d->message, (size_t)row->number, row);
	if (row->flags & OUTCOME_SITE_FAILED) {
		d->has_failed = true;
		keep_why(d->job->site, row);
	}
}

/* Deferred, by an agent that does not say so itself. */
static void
defer_one(struct message *m, uint32_t number, const char *text)
{
	m->work[number].was_tried = true;
	outcome_decide(m, number, OUTCOME_DEFERRED, "4.3.0", text);
}

/* Who has no outcome yet is deferred. */
static void
defer_rest(struct delivery *d, const char *text)
{
	size_t	i;

	for (i = 0; i < d->count; i++)
		if (d->numbers[i] != NOBODY)
			defer_one(d->message, d->numbers[i], text);
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
	d->lane->heard = clock_now();
	for (i = 0; i < p->count; i++)
		take_row(d, &p->rows[i]);
	if (!p->is_last)
		return;
	defer_rest(d, "the delivery agent gave no answer");
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
		if (d->numbers[i] == NOBODY ||
		    m->work[d->numbers[i]].state != WORK_WAITING)
			continue;
		if (m->fate != FATE_NONE)
			outcome_withdraw(m, d->numbers[i]);
		else if (is_enough)
			defer_one(m, d->numbers[i],
			    "unknown mail transport error");
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

/* --- agents that say nothing --------------------------------------------- */

/* The time of this delivery is over. One that says nothing at all any more is
 * hung: its channel is closed, and its worker left alone for a while. */
static void
abandon(struct delivery *d)
{
	struct lane	*lane = d->lane;
	struct channel	*c = d->channel;
	bool		 is_hung = lane->heard < d->begun;

	log_error("%s: transport %s has not answered for %jd seconds%s",
	    d->message->id, lane->transport->name,
	    (intmax_t)(clock_now() - d->begun) / 1000,
	    is_hung ? " at all; its connection is closed" : "");
	if (is_hung)
		lane_leave_alone(lane);
	defer_rest(d, "the delivery agent did not answer in time");
	end(d);
	if (is_hung)
		channel_close(c);
}

/* A delivery whose time is over, or NULL. */
static struct delivery *
overdue(void)
{
	struct delivery	*d;
	int64_t		 now = clock_now();

	RB_FOREACH(d, deliveries, &deliveries)
		if (d->deadline <= now)
			return d;
	return NULL;
}

/* Look at them every now and then. */
static void
watch(void *arg)
{
	struct delivery	*d;
	int64_t		 pause;

	(void)arg;
	fiber_name("watchdog");
	do {
		while ((d = overdue()) != NULL)
			abandon(d);
		pause = agent_timeout / 10;
		pause = pause < SHORTEST_LOOK ? SHORTEST_LOOK :
		    pause > LONGEST_LOOK ? LONGEST_LOOK : pause;
	} while (fiber_sleep(pause) == 0);
}

/* Begin. */
void
dispatch_start(void)
{
	fiber_start(watch, NULL);
}

/* --- the end, and a new beginning ---------------------------------------- */

/* Nothing more. */
void
dispatch_drain(void)
{
	lanes_drain();
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
