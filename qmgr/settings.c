/*
 * settings.c - what is set for all transports and for each of them.
 *
 * The names, the defaults and what they mean are Postfix's; that the times of
 * retrying may be set for one transport, too, is ours.
 *
 * P1  A transport's settings change all together or, when one of them is
 *     wrong, not at all.
 */
#include "qmgr/settings.h"

#include <stddef.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"

enum { MOST = 1000000 };

/* For all transports; local has numbers of its own. */
static struct {
	struct pace	 pace;
	int64_t		 cohorts, rate_delay, retry_time;
	int64_t		 local_recipients;
	char		*up, *down, *defer_transports;
	bool		 is_debugged;
} set;

const struct param	transport_params[] = {
	PARAM_INT("initial_destination_concurrency", set.pace.initial, "5",
	    1, MOST, "Deliveries at once to a site that has just come into "
	    "use. TRANSPORT_initial_destination_concurrency for one "
	    "transport; the same holds for those that begin with default_."),
	PARAM_INT("default_destination_concurrency_limit", set.pace.limit,
	    "20", 0, MOST, "The most deliveries at once to one site; 0 means "
	    "any number."),
	PARAM_INT("default_destination_recipient_limit", set.pace.recipients,
	    "50", 0, MOST, "The most recipients in one delivery; 0 means any "
	    "number. With 1, limits and pauses of a site hold for each "
	    "recipient instead."),
	PARAM_INT("local_destination_recipient_limit", set.local_recipients,
	    "1", 0, MOST, "The most recipients in one local delivery."),
	PARAM_INT("default_destination_concurrency_failed_cohort_limit",
	    set.cohorts, "1", 0, MOST, "How many times as many deliveries as "
	    "are allowed at once must fail in a row until a site is left alone "
	    "for minimal_backoff_time; 0 means never."),
	PARAM_STRING("default_destination_concurrency_positive_feedback",
	    set.up, "1", 1, 64, "How much one good delivery widens a site's "
	    "window: a number up to 1, alone or followed by /concurrency or "
	    "/sqrt_concurrency."),
	PARAM_STRING("default_destination_concurrency_negative_feedback",
	    set.down, "1", 1, 64, "How much one delivery that did not reach "
	    "the site narrows its window."),
	PARAM_TIME("default_destination_rate_delay", set.pace.rate_delay,
	    "0s", 0, 86400, "The pause after each delivery to a site before "
	    "the next one; then there is one at a time. Fractions of a second "
	    "are allowed, as 0.2s or 200ms."),
	PARAM_TIME("default_transport_rate_delay", set.rate_delay, "0s", 0,
	    86400, "The time from one delivery of a transport to the next, "
	    "wherever they go; fractions of a second are allowed."),
	PARAM_TIME("transport_retry_time", set.retry_time, "60s", 1, 86400,
	    "How long a transport whose service does not answer is left "
	    "alone."),
	PARAM_BOOL("destination_concurrency_feedback_debug", set.is_debugged,
	    "no", "Log what each delivery does to the window of its site."),
	PARAM_STRING("defer_transports", set.defer_transports, "", 0, 0,
	    "Transports that deliver nothing until somebody flushes the "
	    "queue or takes them off this list."),
	PARAM_END
};

/* Settings of one transport that are numbers: what follows its name, and the
 * general one, which says what is allowed. */
static const struct {
	const char	*suffix, *general;
	size_t		 place;
} numbers[] = {
#define PLACE(member)	offsetof(struct tuning, member)
	{ "initial_destination_concurrency", NULL, PLACE(pace.initial) },
	{ "destination_concurrency_limit",
	    "default_destination_concurrency_limit", PLACE(pace.limit) },
	{ "destination_recipient_limit",
	    "default_destination_recipient_limit", PLACE(pace.recipients) },
	{ "destination_rate_delay", "default_destination_rate_delay",
	    PLACE(pace.rate_delay) },
	{ "transport_rate_delay", "default_transport_rate_delay",
	    PLACE(rate_delay) },
	{ "minimal_backoff_time", NULL, PLACE(retry.minimal) },
	{ "maximal_backoff_time", NULL, PLACE(retry.maximal) },
	{ "maximal_queue_lifetime", NULL, PLACE(retry.lifetime) },
	{ "bounce_queue_lifetime", NULL, PLACE(retry.bounce_lifetime) },
#undef PLACE
};

/* The row of a general setting. */
static const struct param *
row_of(const char *name)
{
	static const struct param *const	tables[] = { transport_params,
						    retry_params, NULL };
	const struct param			*row = param_find(tables, name);

	CLAIM(row != NULL);
	return row;
}

/* Everything that is a number. */
static int
read_numbers(const char *transport, struct tuning *t, struct str *problems)
{
	const char	*general;
	size_t		 i;
	int		 result = 0;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		general = numbers[i].general != NULL ? numbers[i].general :
		    numbers[i].suffix;
		if (param_number_of_transport(daemon_maincf(), transport,
		    numbers[i].suffix, row_of(general),
		    (int64_t *)((char *)t + numbers[i].place), problems) == -1)
			result = -1;
	}
	return result;
}

/* The cohorts, which may be many and are counted in parts. */
static int
read_cohorts(const char *transport, struct tuning *t, struct str *problems)
{
	int64_t	n = set.cohorts;
	int	result;

	result = param_number_of_transport(daemon_maincf(), transport,
	    "destination_concurrency_failed_cohort_limit",
	    row_of("default_destination_concurrency_failed_cohort_limit"), &n,
	    problems);
	t->pace.cohorts = (double)n;
	return result;
}

/* One feedback. */
static int
read_feedback(const char *transport, const char *suffix,
    const char *otherwise, struct feedback *f, struct str *problems)
{
	struct maincf	*mc = daemon_maincf();
	struct pool	*pool = pool_new("feedback", 0);
	const char	*text, *why, *name;

	text = param_of_transport(mc, pool, transport, suffix, otherwise);
	if ((why = feedback_parse(text, f)) != NULL) {
		name = pool_printf(pool, "%s_%s", transport, suffix);
		if (maincf_find(mc, name) == NULL)
			name = pool_printf(pool, "default_%s", suffix);
		param_complain(mc, name, text, why, problems);
	}
	pool_free(pool);
	return why == NULL ? 0 : -1;
}

/* Is the transport in the list? */
static bool
is_listed(const char *name)
{
	struct pool	 *pool = pool_new("defer_transports", 0);
	size_t		  n;
	char		**words = text_words(pool, set.defer_transports, &n);
	bool		  is_in = false;

	while (n > 0 && !is_in)
		is_in = strcmp(words[--n], name) == 0;
	pool_free(pool);
	return is_in;
}

/* All of it. */
int
tuning_read(const char *transport, struct tuning *to, struct str *problems)
{
	struct tuning	t = { .pace = set.pace, .retry = retry,
			    .rate_delay = set.rate_delay,
			    .is_deferred = is_listed(transport) };
	int		result = 0;

	/* local_destination_concurrency_limit has no default here: local keeps
	 * commands within it by itself (local/turns.c). */
	if (strcmp(transport, "local") == 0)
		t.pace.recipients = set.local_recipients;
	if (read_numbers(transport, &t, problems) == -1)
		result = -1;
	if (read_cohorts(transport, &t, problems) == -1)
		result = -1;
	if (read_feedback(transport,
	    "destination_concurrency_positive_feedback", set.up, &t.pace.up,
	    problems) == -1)
		result = -1;
	if (read_feedback(transport,
	    "destination_concurrency_negative_feedback", set.down,
	    &t.pace.down, problems) == -1)
		result = -1;
	if (result == -1)
		return -1;
	if (t.pace.rate_delay > 0)
		t.pace.limit = 1;
	t.pace.dead_time = t.retry.minimal;
	*to = t;
	return 0;
}

/* Is every feedback logged? */
bool
tuning_is_debugged(void)
{
	return set.is_debugged;
}

/* How long is a transport that does not answer left alone? */
int64_t
tuning_transport_pause(void)
{
	return set.retry_time;
}
