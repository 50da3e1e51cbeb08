/*
 * retry.c - when to try again, when to warn, when to give up.
 *
 * Pure arithmetic, so that five days can be tested in a moment.
 *
 * P1  A message is given up only by who has just tried to deliver it, and
 *     only while the clock that says how old it is can be believed.
 */
#include "qmgr/retry.h"

#include <sys/random.h>

#include "common/base/clock.h"

enum {
	JUMP = 60 * 60 * 1000,
	WRITTEN_IN = 1735689600		/* 2025: no clock is right before */
};
#define YEAR	(INT64_C(365) * 24 * 60 * 60 * 1000)

struct retry_settings	retry;

const struct param	retry_params[] = {
	PARAM_TIME("minimal_backoff_time", retry.minimal, "300s", 1, 864000,
	    "The pause after the first failed attempt to deliver a message; "
	    "also how long a site that does not answer is left alone. "
	    "TRANSPORT_minimal_backoff_time for one transport, and so for "
	    "the other pauses and ages here."),
	PARAM_TIME("maximal_backoff_time", retry.maximal, "4000s", 1, 864000,
	    "The longest pause between two attempts to deliver a message."),
	PARAM_TIME_IN("maximal_queue_lifetime", 'd', retry.lifetime, "5d", 0,
	    8640000,
	    "How old a message may be when an attempt fails; older ones are "
	    "returned to their senders."),
	PARAM_TIME_IN("bounce_queue_lifetime", 'd', retry.bounce_lifetime,
	    "5d", 0, 8640000,
	    "The age at which messages without a sender are dropped."),
	PARAM_TIME_IN("delay_warning_time", 'h', retry.warning, "0h", 0,
	    8640000,
	    "The age at which a sender is told that the message is still "
	    "waiting; 0 means never."),
	PARAM_TIME("queue_run_delay", retry.scan_every, "300s", 1, 864000,
	    "How often the queue directories are looked through for messages "
	    "that the queue manager does not know."),
	PARAM_END
};

/* Doubled each time, between the bounds, a quarter more or less. */
int64_t
retry_pause(const struct retry_settings *s, unsigned attempt, uint32_t random)
{
	int64_t	pause = s->minimal, spread;

	while (attempt-- > 0 && pause < s->maximal)
		pause *= 2;
	if (pause > s->maximal)
		pause = s->maximal;
	spread = pause / 2;
	return pause - spread / 2 +
	    (int64_t)((double)spread * (random / 4294967296.0));
}

/* From the kernel; without one, the middle, which means the plain pause. */
uint32_t
retry_random(void)
{
	uint32_t	random;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) !=
	    sizeof(random))
		random = UINT32_MAX / 2;
	return random;
}

/* With such a number. */
int64_t
retry_pause_now(unsigned attempt)
{
	return retry_pause(&retry, attempt, retry_random());
}

/* Of any transport, with its spread. */
int64_t
retry_longest_pause(void)
{
	int64_t	longest = retry.longest > retry.maximal ? retry.longest :
		    retry.maximal;

	return longest + longest / 4;
}

/* From its arrival; or from what it has been through, when it came while the
 * clock of this machine had not been set yet. */
int64_t
retry_age(const struct retry_settings *s, int64_t arrival_us,
    unsigned attempts)
{
	int64_t		age = 0;
	unsigned	i;

	if (arrival_us >= WRITTEN_IN * INT64_C(1000000))
		return (clock_wall_us() - arrival_us) / 1000;
	for (i = 0; i < attempts && age < YEAR; i++)
		age += retry_pause(s, i, UINT32_MAX / 2);
	return age;
}

/* Older than it may get? */
bool
retry_is_too_old(const struct retry_settings *s, int64_t age, bool is_bounce)
{
	return age >= (is_bounce ? s->bounce_lifetime : s->lifetime);
}

/* Compare the clocks; remember a jump. */
bool
retry_clock_is_sane(struct retry_clock *c, int64_t wall, int64_t now,
    int64_t cycle)
{
	int64_t	difference = wall - now, jump = difference - c->difference;

	if (!c->is_set) {
		c->is_set = true;
		c->trusted_from = now;
	} else if (jump > JUMP || jump < -JUMP) {
		c->trusted_from = now + cycle;
	}
	c->difference = difference;
	return now >= c->trusted_from;
}

/* May messages be given up now? */
bool
retry_may_expire(void)
{
	static struct retry_clock	clock;

	return retry_clock_is_sane(&clock, clock_wall_us() / 1000, clock_now(),
	    retry_longest_pause());
}
