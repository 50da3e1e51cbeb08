/*
 * inflow.c - input that is faster than output is slowed down.
 *
 * While mail comes in, qmgr is asked twice a second how much new mail it has
 * not tried yet. When that is much and becomes more, there is pressure, which
 * grows as long as the backlog does and fades when it does not: 1 means that a
 * message waits for in_flow_delay before it is committed. Between the commit
 * and its answer nothing is delayed, since who hangs up there makes a second
 * copy.
 *
 * The wait is shared out by what each client brings: who brings as much as the
 * average waits for the pressure times in_flow_delay, who brings less waits
 * less, who brings more waits longer, up to DELAY_MAX. Clients are addresses,
 * logins, or users of this machine, in a table of SLOTS; two that meet there
 * share their luck.
 *
 * P1  Without pressure nothing waits, and nothing is asked for a message.
 * P2  Mail of our own making never waits: reports, mail that was forwarded,
 *     what comes from the queue again, what a content filter gives back. So
 *     nobody waits for himself: a filter that does takes less, and more waits.
 * P3  When qmgr does not answer, the pressure fades, and mail is accepted.
 */
#include "cleanup/inflow.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/param/site.h"

#include "cleanup/clients.h"
#include "cleanup/room.h"

enum {
	ASK_EVERY = 500,		/* milliseconds */
	ASK_TIME = 1000,
	DELAY_MAX = 5000,
	SLOTS = 256,
	FEW = 100,			/* new messages are no backlog */
	FILTERS_LAST = 60 * 60 * 1000,	/* since the last that went there */
	TELL_EVERY = 10 * 1000
};

/* How fast the figures follow, each half second. */
static const double	keeps = 0.8;
/* How much the pressure rises at most in that time: a burst for a good site,
 * while very much waits for a bad one, hardly counts. */
static const double	step_up = 0.1;

static int64_t		in_flow_delay;

const struct param	inflow_params[] = {
	PARAM_TIME("in_flow_delay", in_flow_delay, "1s", 0, 10,
	    "How long a message of an average client waits before it is "
	    "accepted when mail comes in faster than it can be delivered and "
	    "there is much of it; up to 5s for clients who bring more. Mail "
	    "from users of this machine waits, too; reports, forwarded mail, "
	    "and what a content filter in $mynetworks gives back do not. 0 "
	    "turns it off."),
	PARAM_END
};

static struct link	*to_qmgr;
static struct fiber	*asker;
static double		 brought[SLOTS];	/* lately, by each client */
static double		 all, clients;		/* of it; who brings */
static unsigned		 came;			/* since qmgr was asked */
static double		 pressure;
static double		 growth, rate;		/* messages a second */
static int64_t		 backlog = -1, asked_at;
static int64_t		 filters_until;	/* there are some, so far */
static struct { unsigned count; int64_t total, next; } slowed;

/* Where this one's client is counted. */
static unsigned
slot_of(const struct mail *m)
{
	const char	*at = *m->login != '\0' ? m->login : m->client_address;
	uint32_t	 hash = hash_bytes(HASH_START ^ (uint32_t)(m->uid + 1),
			    at, strlen(at));

	return (hash ^ hash >> 16) % SLOTS;
}

/* What was long ago counts less. */
static void
age_clients(void)
{
	unsigned	i;

	all = clients = 0;
	for (i = 0; i < SLOTS; i++) {
		brought[i] *= keeps;
		all += brought[i];
		clients += brought[i] > 0.5;
	}
}

/* From where on new mail is a backlog, and where the pressure is 1. */
static double
pressure_at(const struct inflow *in)
{
	double	low = (double)in->limit / 10;

	if (low < FEW)
		low = FEW;
	return ((double)in->backlog - low) / (4 * low);
}

/* An answer: up towards what the backlog asks for while it grows faster than
 * by chance, down otherwise. */
static void
follow(const struct inflow *in, double seconds)
{
	double	wanted = pressure_at(in), most, fresh = 0, up;

	if (backlog != -1)
		fresh = (double)(in->backlog - backlog) / seconds;
	growth = keeps * growth + (1 - keeps) * fresh;
	rate = keeps * rate + (1 - keeps) * came / seconds;
	backlog = in->backlog;
	most = (double)DELAY_MAX / (double)in_flow_delay;
	if (wanted > most)
		wanted = most;
	up = (wanted - pressure) / 2;
	if (up > 0 && fresh > 5 && growth > 5 && growth > rate / 20)
		pressure += up < step_up ? up : step_up;
	else if (wanted <= pressure || growth <= 0)
		pressure *= keeps;
	if (pressure < 0.02)
		pressure = 0;
}

/* Tell the log what was slowed down, now and then. */
static void
tell(bool is_last)
{
	if (slowed.count == 0 || (!is_last && clock_now() < slowed.next))
		return;
	log_info("input slowed: %u messages waited for %jd ms on average; %jd "
	    "new ones have not been tried, %+.0f a second", slowed.count,
	    (intmax_t)(slowed.total / slowed.count), (intmax_t)backlog,
	    growth);
	slowed.count = 0;
	slowed.total = 0;
	slowed.next = clock_now() + TELL_EVERY;
}

/* Ask once. False when nothing has come since the last time, and nothing is
 * to be followed any more. */
static WAITS bool
ask(struct pool *pool)
{
	struct empty	question = { 0 };
	struct inflow	answer;
	int64_t		now = clock_now();
	bool		is_known, is_idle;

	is_known = link_ask(to_qmgr, PACKET_ASK_INFLOW, &question,
	    PACKET_INFLOW, &answer, pool, now + ASK_TIME, false) == 0;
	age_clients();
	if (is_known) {
		follow(&answer, (double)(now - asked_at) / 1000);
		asked_at = now;
	} else
		pressure = pressure < 0.02 ? 0 : pressure / 4;
	is_idle = came == 0 && pressure == 0;
	came = 0;
	tell(is_idle);
	return !is_idle;
}

/* Wait for mail; before it there was nothing to compare with. */
static WAITS int
wait_for_mail(void)
{
	backlog = -1;
	growth = rate = 0;
	while (came == 0)
		if (fiber_park(NEVER) == -1)
			return -1;
	asked_at = clock_now();
	return 0;
}

/* Ask as long as mail comes, or there is pressure. */
static void
watch(void *unused)
{
	struct pool	*pool;
	bool		 is_busy = false;

	(void)unused;
	fiber_name("inflow");
	while ((is_busy || wait_for_mail() == 0) &&
	    fiber_sleep(ASK_EVERY) == 0) {
		pool = pool_new("inflow", 0);
		is_busy = ask(pool);
		pool_free(pool);
	}
	asker = NULL;
}

/* Begin. */
void
inflow_start(struct link *qmgr)
{
	to_qmgr = qmgr;
	if (in_flow_delay > 0)
		asker = fiber_start(watch, NULL);
}

/*
 * Does a content filter give it back? It has waited when it came first. Filters
 * come by SMTP from near, or post it here, to a service that has none. Where
 * nothing goes to a filter nothing comes back.
 */
static bool
is_filtered(const struct mail *m)
{
	if (*m->filter != '\0') {
		filters_until = clock_now() + FILTERS_LAST;
		return false;
	}
	return filters_until != 0 && clock_now() < filters_until &&
	    (strcmp(m->origin, "pickup") == 0 || clients_is_near(m));
}

/* How long this client's message waits, in milliseconds. */
static int64_t
delay_of(unsigned slot)
{
	double	share = clients < 1 ? 1 : brought[slot] * clients / all;
	double	delay = pressure * (double)in_flow_delay * share;

	return delay < DELAY_MAX ? (int64_t)delay : DELAY_MAX;
}

/* Count it, and wait. */
void
inflow_wait(struct transaction *t)
{
	unsigned	slot;
	int64_t		delay;

	if (in_flow_delay == 0 || room_is_ours(t) || is_filtered(&t->mail) ||
	    daemon_is_draining())
		return;
	slot = slot_of(&t->mail);
	brought[slot]++;
	if (came++ == 0 && asker != NULL)
		fiber_wake(asker);
	if (pressure == 0 || (delay = delay_of(slot)) == 0)
		return;
	slowed.count++;
	slowed.total += delay;
	(void)fiber_sleep(delay);
}
