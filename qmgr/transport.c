/*
 * transport.c - how mail leaves: the delivering services of master.cf, their
 * settings, the sites behind them.
 *
 * "smtp" and its kin exist even if no line names them, as master has it.
 * Settings have Postfix's names: default_destination_X for all transports,
 * TRANSPORT_destination_X for one.
 */
#include "qmgr/transport.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/param/mastercf.h"
#include "common/param/site.h"
#include "qmgr/retry.h"

static struct {
	char	*initial, *limit, *recipients, *cohorts, *rate_delay;
	char	*up, *down;
	char	*defer_transports;
	int64_t	 local_limit, local_recipients;
} set;

const struct param	transport_params[] = {
	PARAM_STRING("initial_destination_concurrency", set.initial, "5", 1,
	    20, "Deliveries at once to a site that has just come into use."),
	PARAM_STRING("default_destination_concurrency_limit", set.limit, "20",
	    1, 20, "The most deliveries at once to one site; 0 means any "
	    "number. TRANSPORT_destination_concurrency_limit for one "
	    "transport."),
	PARAM_STRING("default_destination_recipient_limit", set.recipients,
	    "50", 1, 20, "The most recipients in one delivery; 0 means any "
	    "number. TRANSPORT_destination_recipient_limit for one "
	    "transport."),
	PARAM_INT("local_destination_concurrency_limit", set.local_limit, "2",
	    0, 100000, "The most deliveries at once to one local mailbox."),
	PARAM_INT("local_destination_recipient_limit", set.local_recipients,
	    "1", 0, 100000, "The most recipients in one local delivery."),
	PARAM_STRING("default_destination_concurrency_failed_cohort_limit",
	    set.cohorts, "1", 1, 20, "How many times as many deliveries as "
	    "are allowed at once must fail in a row until a site is left alone "
	    "for minimal_backoff_time; 0 means never."),
	PARAM_STRING("default_destination_concurrency_positive_feedback",
	    set.up, "1", 1, 64, "How much one good delivery widens a site's "
	    "window: a number up to 1, alone or followed by /concurrency or "
	    "/sqrt_concurrency."),
	PARAM_STRING("default_destination_concurrency_negative_feedback",
	    set.down, "1", 1, 64, "How much one delivery that did not reach "
	    "the site narrows its window."),
	PARAM_STRING("default_destination_rate_delay", set.rate_delay, "0s",
	    1, 20, "The pause between two deliveries to one site; fractions "
	    "of a second are allowed."),
	PARAM_STRING("defer_transports", set.defer_transports, "", 0, 0,
	    "Transports that deliver nothing until somebody flushes the "
	    "queue or takes them off this list."),
	PARAM_END
};

/* Services that are there without a line, and the programs that deliver. */
static const char *const	builtins[][2] = {
	{ "smtp", "smtp" }, { "relay", "smtp" }, { "local", "local" },
	{ "error", "error" }, { "retry", "error" }, { "discard", "error" }
};
static const char *const	programs[] = {
	"smtp", "lmtp", "local", "virtual", "pipe", "error", "discard"
};

static int
compare_transports(const struct transport *a, const struct transport *b)
{
	return strcmp(a->name, b->name);
}

static int
compare_sites(const struct destination *a, const struct destination *b)
{
	return strcmp(a->name, b->name);
}

static RB_HEAD(transport_tree, transport) transports =
    RB_INITIALIZER(&transports);
RB_PROTOTYPE(transport_tree, transport, entry, )
RB_GENERATE(transport_tree, transport, entry, compare_transports)
RB_GENERATE(destinations, destination, entry, compare_sites)

/* --- settings ------------------------------------------------------------ */

/* One setting of one transport: a number. What is wrong with a general one
 * was not checked by its row, so it is told here. */
static int64_t
number_of(struct pool *pool, const char *transport, const char *suffix,
    const char *otherwise, int64_t fallback)
{
	const char	*text, *why;
	int64_t		 n;

	text = param_of_transport(daemon_maincf(), pool, transport, suffix,
	    otherwise);
	if ((why = text_integer(text, 0, 1000000, &n)) == NULL)
		return n;
	log_error("%s_%s = %s: %s", transport, suffix, text, why);
	return fallback;
}

/* The same for a feedback. */
static void
feedback_of(struct pool *pool, const char *transport, const char *suffix,
    const char *otherwise, struct feedback *f)
{
	const char	*text, *why;

	text = param_of_transport(daemon_maincf(), pool, transport, suffix,
	    otherwise);
	if ((why = feedback_parse(text, f)) == NULL)
		return;
	log_error("%s_%s = %s: %s", transport, suffix, text, why);
	*f = (struct feedback){ 1, FEEDBACK_PER_DELIVERY };
}

/* The same for a pause. */
static int64_t
duration_of(struct pool *pool, const char *transport, const char *suffix,
    const char *otherwise)
{
	const char	*text, *why;
	int64_t		 milliseconds;

	text = param_of_transport(daemon_maincf(), pool, transport, suffix,
	    otherwise);
	why = text_duration(text, 's', 0, 86400, &milliseconds);
	if (why == NULL)
		return milliseconds;
	log_error("%s_%s = %s: %s", transport, suffix, text, why);
	return 0;
}

/* Is the word in the list? */
static bool
is_listed(struct pool *pool, const char *list, const char *name)
{
	size_t	  n;
	char	**words = text_words(pool, list, &n);

	while (n > 0)
		if (strcmp(words[--n], name) == 0)
			return true;
	return false;
}

/* All settings of one transport. */
static void
read_pace(struct transport *t, struct pool *pool)
{
	struct pace	*p = &t->pace;
	const char	*name = t->name, *limit = set.limit,
			*recipients = set.recipients;
	bool		 is_local = strcmp(name, "local") == 0;

	if (is_local) {
		limit = pool_printf(pool, "%jd", (intmax_t)set.local_limit);
		recipients = pool_printf(pool, "%jd",
		    (intmax_t)set.local_recipients);
	}
	p->initial = number_of(pool, name, "initial_destination_concurrency",
	    set.initial, 5);
	p->limit = number_of(pool, name, "destination_concurrency_limit",
	    limit, 20);
	p->recipients = number_of(pool, name, "destination_recipient_limit",
	    recipients, 50);
	p->cohorts = (double)number_of(pool, name,
	    "destination_concurrency_failed_cohort_limit", set.cohorts, 1);
	feedback_of(pool, name, "destination_concurrency_positive_feedback",
	    set.up, &p->up);
	feedback_of(pool, name, "destination_concurrency_negative_feedback",
	    set.down, &p->down);
	p->rate_delay = duration_of(pool, name, "destination_rate_delay",
	    set.rate_delay);
	if (p->rate_delay > 0)
		p->limit = 1;
	p->dead_time = retry.minimal;
	t->is_deferred = is_listed(pool, set.defer_transports, name);
}

/* After a reload: sites keep their windows, the rest changes. */
void
transports_refresh(void)
{
	struct pool		*pool = pool_new("transports", 0);
	struct transport	*t;

	RB_FOREACH(t, transport_tree, &transports)
		read_pace(t, pool);
	pool_free(pool);
}

/* --- master.cf ----------------------------------------------------------- */

/* Is this a program that takes deliveries? */
static bool
delivers(const char *program)
{
	size_t	i;

	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (strcmp(programs[i], program) == 0)
			return true;
	return false;
}

/* Know one more transport; the first line of a name counts. */
static void
add(const char *name, const char *program, int maxproc)
{
	struct transport	*t, key = { .name = (char *)(uintptr_t)name };
	unsigned		 i;

	if (RB_FIND(transport_tree, &transports, &key) != NULL)
		return;
	t = mem_alloc(sizeof(*t));
	*t = (struct transport){ .name = mem_strdup(name) };
	t->workers = site_processes(strcmp(program, "discard") == 0 ?
	    "error" : program);
	t->limit = maxproc < 0 ? (unsigned)site.default_process_limit :
	    (unsigned)maxproc;
	RB_INIT(&t->sites);
	t->lanes = mem_alloc(t->workers * sizeof(*t->lanes));
	for (i = 0; i < t->workers; i++) {
		t->lanes[i] = (struct lane){ .transport = t,
		    .hint = t->workers + i,
		    .limit = (t->limit + t->workers - 1) / t->workers };
		schedule_init(&t->lanes[i].schedule, &t->lanes[i]);
	}
	RB_INSERT(transport_tree, &transports, t);
}

/* Every line that delivers, then what is there without a line. NULL, or what
 * is wrong with the file, in the pool. */
static const char *
read_file(struct pool *pool)
{
	const struct mastercf	*file;
	const struct service	*s;
	char			*why;
	size_t			 i;

	file = mastercf_read(pool, pool_printf(pool, "%s/master.cf",
	    site.config_directory), &why);
	if (file == NULL)
		return why;
	for (i = 0; i < file->count; i++) {
		s = &file->services[i];
		if (strcmp(s->type, "unix") == 0 && delivers(s->command))
			add(s->name, s->command, s->maxproc);
	}
	for (i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		add(builtins[i][0], builtins[i][1], -1);
	return NULL;
}

/* At the start. */
void
transports_read(void)
{
	struct pool	*pool = pool_new("transports", 0);
	const char	*why;

	if ((why = read_file(pool)) != NULL)
		die("%s", why);
	pool_free(pool);
	transports_refresh();
}

/* Make the links that are not there yet. */
void
transports_open(const struct peer *peers,
    void (*closed)(struct channel *, void *))
{
	struct transport	*t;

	RB_FOREACH(t, transport_tree, &transports) {
		if (t->link != NULL)
			continue;
		t->link = link_new(t->name, t->workers, peers);
		link_on_closed(t->link, closed, t);
	}
}

/* After a reload: new lines are new transports. One whose line has gone stays
 * known; its socket has gone too, and its mail waits. */
void
transports_read_again(const struct peer *peers,
    void (*closed)(struct channel *, void *))
{
	struct pool	*pool = pool_new("transports", 0);
	const char	*why;

	if ((why = read_file(pool)) != NULL)
		log_error("%s; the transports stay as they were", why);
	pool_free(pool);
	transports_open(peers, closed);
	transports_refresh();
}

/* --- finding ------------------------------------------------------------- */

/* By name. */
struct transport *
transport_find(const char *name)
{
	struct transport	key = { .name = (char *)(uintptr_t)name };

	return RB_FIND(transport_tree, &transports, &key);
}

/* One after the other. */
struct transport *
transport_next(struct transport *t)
{
	return t == NULL ? RB_MIN(transport_tree, &transports) :
	    RB_NEXT(transport_tree, &transports, t);
}

/* Which worker has the site? FNV-1a of its name. */
static unsigned
worker_of(const struct transport *t, const char *name)
{
	uint32_t	h = 2166136261u;

	while (*name != '\0')
		h = (h ^ (unsigned char)*name++) * 16777619u;
	return (h ^ h >> 16) % t->workers;
}

/* By name, made if need be. */
struct destination *
transport_destination(struct transport *t, const char *name)
{
	struct destination	*s, key = { .name = (char *)(uintptr_t)name };

	if ((s = RB_FIND(destinations, &t->sites, &key)) != NULL)
		return s;
	s = mem_alloc(sizeof(*s));
	destination_init(s, &t->lanes[worker_of(t, name)].schedule, &t->pace,
	    mem_strdup(name));
	RB_INSERT(destinations, &t->sites, s);
	return s;
}

/* Forget the sites that nobody uses. */
void
transports_sweep(void)
{
	struct transport	*t;
	struct destination		*s, *following;
	int64_t			 now = clock_now();

	RB_FOREACH(t, transport_tree, &transports)
		RB_FOREACH_SAFE(s, destinations, &t->sites, following) {
			if (!destination_is_idle(s, now))
				continue;
			RB_REMOVE(destinations, &t->sites, s);
			free(s->name);
			free(s->why);
			free(s);
		}
}
