/*
 * delivery.c - one message, its recipients, until each has an answer.
 *
 * Called for each PACKET_DELIVER from qmgr, on a fiber of its own: for each
 * next hop of the list, and then for those of smtp_fallback_relay, take a
 * warm conversation or try the hosts in turn, and let transaction.c speak.
 *
 * What sends a recipient on to the next host (RFC 5321 4.2.1, 5.1):
 *	no connection, no or a wrong greeting, EHLO and HELO refused, a broken
 *	or hanging conversation before the final dot, 421, an answer that is
 *	none (354 to RCPT): all without answer
 *	4yz to MAIL, RCPT, DATA or the dot: those it was said to. A second
 *	host may have room or its database where the first has not; where
 *	both ask for patience (greylisting) that costs one more conversation
 *	at most (smtp_mx_session_limit), and the mail waits with the answer of
 *	who spoke last
 * What does not: 5yz, since the hosts of a domain speak for it; the lost
 * answer to a final dot; whatever is wrong with the message or with us.
 *
 * A site counts as failed when none of its hosts had a word for any of the
 * recipients; not for what is our own trouble (no ports, no name service).
 *
 * P1  Every recipient gets exactly one outcome, and "sent" only after the
 *     host's 2yz to the final dot.
 * P2  A recipient that a host took or refused for good, or may have taken, is
 *     not offered to another.
 * P3  A delivery ends in time: smtp_delivery_time_limit, and at once when
 *     the system stops, but never between a final dot and its answer.
 */

#include "smtp/delivery.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/ipc/status.h"

#include "smtp/cache.h"
#include "smtp/content.h"
#include "smtp/hosts.h"
#include "smtp/login.h"
#include "smtp/security.h"
#include "smtp/settings.h"
#include "smtp/starttls.h"
#include "smtp/tables.h"

const struct param delivery_params[] = {
	PARAM_STRING("smtp_fallback_relay", set.fallback_relay,
	    "$fallback_relay", 0, 0, "Next hops for mail whose own cannot be "
	    "found or reached, or take it later only; in the order to try."),
	PARAM_INT("smtp_mx_session_limit", set.session_limit, "2", 0, 1000,
	    "Conversations to begin for one next hop in one delivery; 0 means "
	    "any number."),
	PARAM_TIME("smtp_delivery_time_limit", set.delivery_time, "1h", 1,
	    604800, "How long one delivery may take in all, until the mail is "
	    "tried again later; a message that flows may take longer, by "
	    "smtp_min_data_rate."),
	PARAM_END
};

static TAILQ_HEAD(, delivery)	 deliveries =
    TAILQ_HEAD_INITIALIZER(deliveries);
static unsigned			 count;

/* --- outcomes ------------------------------------------------------------ */

/* Mail that is on its way, and conversations that want to say QUIT. */
unsigned
delivery_count(void)
{
	return count + connection_unsaid();
}

/* "X.Y.Z text" with the filter's changes. It may make now of for good, but
 * neither of sent. */
WAITS static void
filter_status(struct delivery *d, enum outcome *outcome, const char **dsn,
    const char **text)
{
	const char	*before;

	if (!table_is_set(TABLE_STATUS_FILTER))
		return;
	before = status_key(d->pool, *dsn, *text);
	status_take(d->pool, d->mail->queue_id, before,
	    content_status(d, before), outcome, dsn, text);
}

/* P1. The outcome of one recipient, from whoever told it. The texts live as
 * long as the delivery. */
WAITS static void
settle(struct delivery *d, size_t n, enum outcome outcome,
    const struct postponed *p)
{
	struct outcome_row	*row = &d->outcomes[n];
	const char		*dsn = p->dsn, *text = p->text;

	CLAIM(row->outcome == OUTCOME_OPEN);
	filter_status(d, &outcome, &dsn, &text);
	row->outcome = outcome;
	row->dsn = (char *)(uintptr_t)dsn;
	row->text = (char *)(uintptr_t)text;
	row->remote = (char *)(uintptr_t)p->remote;
	row->diagnostic = (char *)(uintptr_t)p->diagnostic;
	d->open--;

	d->times.done_us = clock_wall_us();
	agent_log(d->mail, &d->mail->recipients[n], p->relay, p->uses,
	    &d->times, row);
}

/* Who said it. */
static void
fill(struct delivery *d, struct postponed *p, const struct connection *c,
    const char *dsn, const char *text, const char *diagnostic)
{
	p->dsn = pool_strdup(d->pool, dsn);
	p->text = pool_strdup(d->pool, text);
	p->diagnostic = pool_strdup(d->pool, diagnostic);
	p->remote = pool_printf(d->pool, "dns; %s", c->host);
	p->relay = pool_strdup(d->pool, c->relay);
	p->uses = c->uses;
	d->answers++;
}

void
delivery_settle(struct delivery *d, size_t n, const struct connection *c,
    enum outcome outcome, const char *dsn, const char *text,
    const char *diagnostic)
{
	struct postponed	p;

	/* RFC 3461 5.2.2: a host that takes no DSN takes no duty for it. */
	if (outcome == OUTCOME_SENT && c->has_dsn)
		d->outcomes[n].flags |= OUTCOME_PASSED_ON;
	else if (outcome == OUTCOME_SENT && !set.assumes_final)
		d->outcomes[n].flags |= OUTCOME_RELAYED;
	fill(d, &p, c, dsn, text, diagnostic);
	settle(d, n, outcome, &p);
}

void
delivery_postpone(struct delivery *d, size_t n, const struct connection *c,
    const char *dsn, const char *text, const char *diagnostic)
{
	struct postponed	*p = pool_alloc(d->pool, sizeof(*p));

	fill(d, p, c, dsn, text, diagnostic);
	d->postponed[n] = p;
}

/* What may change is the better reason; else what came last, or what a host
 * said in so many words and meant for all. */
void
delivery_fail(struct delivery *d, const struct failure *f)
{
	d->is_over |= f->is_final;
	if (d->failure.why != NULL && f->is_permanent &&
	    !d->failure.is_permanent &&
	    !(f->is_final && f->diagnostic[0] != '\0'))
		return;
	d->failure = *f;
}

/* Nobody is left to try: the open ones get what they were told, or what was
 * wrong with the hosts. */
WAITS static void
settle_rest(struct delivery *d)
{
	const struct failure	*f = &d->failure;
	struct postponed	 p = { .dsn = f->dsn, .text = f->why,
				    .remote = f->remote, .relay = f->relay,
				    .diagnostic = f->diagnostic };
	size_t			 i;

	if (d->times.ready_us == 0)
		d->times.ready_us = clock_wall_us();
	for (i = 0; i < d->mail->count; i++) {
		if (d->outcomes[i].outcome != OUTCOME_OPEN)
			continue;
		if (d->postponed[i] != NULL) {
			settle(d, i, OUTCOME_DEFERRED, d->postponed[i]);
			continue;
		}
		if (d->answers == 0 && !f->is_permanent && !f->is_ours &&
		    !fiber_is_cancelled())
			d->outcomes[i].flags |= OUTCOME_SITE_FAILED;
		settle(d, i, f->is_permanent ? OUTCOME_BOUNCED :
		    OUTCOME_DEFERRED, &p);
	}
}

/* --- hosts --------------------------------------------------------------- */

/* Another host comes: in the log is what the one before said. */
static void
announce(struct delivery *d)
{
	struct postponed	*p;
	const char		*last = "";
	size_t			 i;

	for (i = 0; i < d->mail->count; i++) {
		p = d->postponed[i];
		if (p == NULL || p->is_told ||
		    d->outcomes[i].outcome != OUTCOME_OPEN)
			continue;
		p->is_told = true;
		if (strcmp(p->text, last) != 0)
			log_info("%s: %s", d->mail->queue_id, p->text);
		last = p->text;
	}
	if (d->untold != NULL)
		log_info("%s: %s", d->mail->queue_id, d->untold);
	d->untold = NULL;
}

/* Is there anybody left to deliver to, and time? */
static bool
goes_on(struct delivery *d)
{
	struct failure	f = { .dsn = "4.4.7", .relay = "none", .remote = "",
			    .diagnostic = "" };

	if (d->open == 0 || d->is_over)
		return false;
	if (fiber_is_cancelled()) {
		f.dsn = "4.3.2";
		f.why = "delivery was interrupted: the mail system stops";
		f.is_final = true;
		delivery_fail(d, &f);
		return false;
	}
	if (clock_now() < d->deadline)
		return true;
	if (d->failure.why == NULL) {
		f.why = pool_printf(d->pool, "the delivery took longer than "
		    "%s", settings_name("smtp_delivery_time_limit"));
		delivery_fail(d, &f);
	}
	return false;
}

/* Was this host asked before, under another name perhaps? */
static bool
was_tried(const struct delivery *d, const char *endpoint)
{
	const char	*place = cache_place(endpoint);
	size_t		 i;

	for (i = 0; i < d->tried_count; i++)
		if (strcmp(d->tried[i], place) == 0)
			return true;
	return false;
}

static void
note_tried(struct delivery *d, const char *endpoint)
{
	d->tried = pool_grow(d->pool, d->tried, &d->tried_room,
	    d->tried_count + 1, sizeof(*d->tried));
	d->tried[d->tried_count++] = pool_strdup(d->pool,
	    cache_place(endpoint));
}

/* Speak with this host; the conversation stays warm if it ended well. */
WAITS static int
use(struct delivery *d, struct connection *c, const struct nexthop *hop)
{
	int	result;

	d->times.ready_us = clock_wall_us();
	c->user = d;
	c->deadline = d->deadline;
	if (c->uses++ > 0)
		transcript_begin(c->dialogue);
	starttls_log_reuse(c);
	result = transaction_run(d, c);
	transcript_post(c->dialogue, c->name, d->mail->queue_id);
	if (result == 0)
		cache_give(c, hop);
	else
		connection_close(c);
	return result;
}

/* Another host, whom nobody was asked about yet, and who may be able to do all
 * that it offers. */
static void
begin_host(struct delivery *d)
{
	memset(d->asked, 0, d->mail->count);
	d->has_rest = false;
	d->shy = 0;
}

/* No conversation could be begun. Who hangs up on EHLO may understand HELO,
 * and who cannot do TLS may do without: then it is asked once more. */
static void
note_failure(struct delivery *d, const struct failure *f)
{
	if (fiber_is_cancelled())
		return;
	if (f->wants_helo && (d->shy & SHY_OF_EHLO) == 0) {
		d->shy |= SHY_OF_EHLO;
		d->has_rest = true;
		return;
	}
	if (f->wants_clear && d->login == NULL &&
	    (d->shy & SHY_OF_TLS) == 0) {
		log_info("%s: %s; without TLS then", d->mail->queue_id,
		    f->why);
		d->shy |= SHY_OF_TLS;
		d->has_rest = true;
		return;
	}
	if (strcmp(f->relay, "none") == 0)
		log_info("%s", f->why);
	else
		d->untold = f->why;
	delivery_fail(d, f);
}

/* Open a conversation with one host and use it; then others, as long as the
 * host wants no more of one (LIMITS), or is to be taken less at its word. */
WAITS static void
talk(struct delivery *d, const struct target *t, const struct nexthop *hop,
    const char *endpoint)
{
	struct connection	*c;
	struct failure		 f;
	bool			 is_first = true;

	do {
		d->has_rest = false;
		c = connection_open(d, t, hop, endpoint, &f);
		if (c == NULL) {
			note_failure(d, &f);
			continue;
		}
		if (is_first)
			d->sessions++;
		is_first = false;
		(void)use(d, c, hop);
	} while (d->has_rest && goes_on(d));
}

/* A host that was not asked before. */
WAITS static void
use_new(struct delivery *d, const struct target *t, const struct nexthop *hop,
    const char *endpoint)
{
	announce(d);
	note_tried(d, endpoint);
	begin_host(d);
	talk(d, t, hop, endpoint);
}

/* Where a conversation is with, for when it is over. */
static struct target *
target_of(struct pool *pool, const struct connection *c)
{
	struct target	*t = pool_alloc(pool, sizeof(*t));

	*t = c->target;
	t->host = pool_strdup(pool, t->host);
	t->path = pool_strdup(pool, t->path);
	return t;
}

/*
 * A conversation that earlier mail left. One that the host ended before it had
 * a word for this mail tells nothing about the host: as if it had not been
 * there. (One that hangs does tell.) True: it was of use.
 */
WAITS static bool
use_warm(struct delivery *d, struct connection *c, const struct nexthop *hop)
{
	struct failure	 before = d->failure, f;
	const char	*endpoint = pool_strdup(d->pool, c->endpoint);
	struct target	*t = target_of(d->pool, c);
	unsigned	 answers = d->answers;

	begin_host(d);
	if (use(d, c, hop) == -1 && d->answers == answers &&
	    !d->failure.is_timeout && !fiber_is_cancelled()) {
		d->failure = before;
		return false;
	}
	note_tried(d, endpoint);
	d->sessions++;
	if (!d->has_rest || !goes_on(d))
		return true;
	if (login_find(d, hop, t, &f) == -1)
		delivery_fail(d, &f);
	else
		talk(d, t, hop, cache_endpoint(d->pool, t,
		    login_protection(d)));
	return true;
}


/* May another conversation be begun for this next hop? */
static bool
has_sessions_left(const struct delivery *d)
{
	return set.session_limit == 0 || d->sessions < set.session_limit;
}

/* All hosts of one next hop that may be asked. */
WAITS static void
try_targets(struct delivery *d, const struct nexthop *hop,
    const struct target *targets, size_t target_count)
{
	struct connection	*c;
	struct failure		 f;
	const char		*endpoint;
	size_t			 i;

	for (i = 0; i < target_count && has_sessions_left(d) && goes_on(d);
	    i++) {
		if (login_find(d, hop, &targets[i], &f) == -1) {
			delivery_fail(d, &f);
			return;
		}
		endpoint = cache_endpoint(d->pool, &targets[i],
		    login_protection(d));
		if (was_tried(d, endpoint))
			continue;
		while ((c = cache_take_endpoint(endpoint)) != NULL)
			if (use_warm(d, c, hop))
				break;
		if (c == NULL && goes_on(d))
			use_new(d, &targets[i], hop, endpoint);
	}
}

/* How is mail to this next hop protected? Nobody is asked who could not do
 * that. */
WAITS static int
protect(struct delivery *d, const struct nexthop *hop)
{
	struct security	*security;
	struct failure	 f;

	if (security_find(d, hop, &security, &f) == -1) {
		delivery_fail(d, &f);
		return -1;
	}
	d->security = security;
	d->protection = security->text;
	if (login_find_sender(d, &f) == 0)
		return 0;
	delivery_fail(d, &f);
	return -1;
}

/* One next hop: what is warm, then its hosts, best first. */
WAITS static void
try_nexthop(struct delivery *d, const struct nexthop *hop)
{
	struct hosts_failure	 none = { .is_final = false };
	struct failure		 f = { .relay = "none", .remote = "",
				    .diagnostic = "" };
	struct target		*targets;
	struct connection	*c;
	size_t			 target_count;

	if (protect(d, hop) == -1)
		return;
	d->sessions = 0;
	while (goes_on(d) && (c = cache_take_nexthop(hop->text,
	    d->protection)) != NULL)
		if (use_warm(d, c, hop))
			break;
	if (!goes_on(d))
		return;
	if (hosts_find(d->pool, hop, &targets, &target_count, &none) == -1) {
		if (fiber_is_cancelled())
			return;
		f.dsn = none.dsn;
		f.why = none.text;
		f.is_permanent = none.is_permanent;
		f.is_ours = none.is_ours;
		delivery_fail(d, &f);
	} else
		try_targets(d, hop, targets, target_count);
	d->has_no_fallback |= none.is_final;
}

/* A list of next hops in its order. False: it is none. */
WAITS static bool
try_list(struct delivery *d, const char *list)
{
	struct failure	 f = { .dsn = "4.3.5", .relay = "none", .remote = "",
			    .diagnostic = "", .is_ours = true };
	struct nexthop	*hops;
	size_t		 i, hop_count;

	f.why = nexthop_parse(d->pool, list, set.is_lmtp, set.tcp_port, &hops,
	    &hop_count);
	if (f.why != NULL) {
		log_warning("%s: %s", d->mail->queue_id, f.why);
		delivery_fail(d, &f);
		return false;
	}
	for (i = 0; i < hop_count && goes_on(d); i++)
		try_nexthop(d, &hops[i]);
	return true;
}

/* --- one delivery -------------------------------------------------------- */

/* All that it needs, from the request's pool. */
static void
begin(struct delivery *d, struct request *r)
{
	size_t	i;

	memset(d, 0, sizeof(*d));
	d->pool = r->pool;
	d->request = r;
	d->mail = r->object;
	d->outcomes = pool_array(d->pool, d->mail->count,
	    sizeof(*d->outcomes));
	d->asked = pool_alloc(d->pool, d->mail->count);
	d->postponed = pool_array(d->pool, d->mail->count,
	    sizeof(struct postponed *));
	d->open = d->mail->count;
	for (i = 0; i < d->mail->count; i++) {
		d->outcomes[i].number = d->mail->recipients[i].number;
		d->outcomes[i].outcome = OUTCOME_OPEN;
	}
	d->times.start_us = clock_wall_us();
	d->deadline = clock_now() + set.delivery_time;
	d->fiber = fiber_self();
	TAILQ_INSERT_TAIL(&deliveries, d, entry);
}

/* Where it is to go, and where else. */
WAITS static void
deliver(struct delivery *d)
{
	struct failure	 f = { .dsn = "4.4.1", .relay = "none", .remote = "",
			    .diagnostic = "",
			    .why = "no host could be reached" };

	if (try_list(d, d->mail->nexthop) && goes_on(d) &&
	    !d->has_no_fallback && set.fallback_relay[0] != '\0')
		(void)try_list(d, set.fallback_relay);
	(void)goes_on(d);		/* it may have been stopped */
	if (d->failure.why == NULL)
		delivery_fail(d, &f);
	settle_rest(d);
}

void
on_deliver(struct request *r)
{
	struct delivery	 d;

	count++;
	log_number = daemon_session_number();
	pool_owns_fd(r->pool, ((struct deliver *)r->object)->message);
	if (daemon_unsupported() != NULL) {
		agent_report_all(r, "none", OUTCOME_DEFERRED, 0, "4.3.5",
		    daemon_unsupported());
		count--;
		return;
	}
	begin(&d, r);
	if (daemon_is_stopping())
		fiber_cancel(d.fiber);
	deliver(&d);
	TAILQ_REMOVE(&deliveries, &d, entry);
	agent_report(r, d.outcomes, d.mail->count);
	count--;
}

/* P3. */
void
delivery_stop_all(void)
{
	struct delivery	*d;

	TAILQ_FOREACH(d, &deliveries, entry)
		if (!d->is_committed)
			fiber_cancel(d->fiber);
}
