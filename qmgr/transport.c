/*
 * transport.c - how mail leaves: the delivering services of master.cf and the
 * sites behind them.
 *
 * "smtp" and its kin exist even if no line names them, as master has it. What
 * is set for each of them is read by settings.c.
 */
#include "qmgr/transport.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/param/mastercf.h"
#include "common/param/site.h"

/* Services that are there without a line, and the programs that deliver. */
static const char *const	builtins[][2] = {
	{ "smtp", "smtp" }, { "relay", "smtp" }, { "lmtp", "lmtp" },
	{ "local", "local" }, { "virtual", "virtual" },
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
static struct transport	**by_index;
static unsigned		  count, reading;	/* of master.cf */
RB_PROTOTYPE(transport_tree, transport, entry, )
RB_GENERATE(transport_tree, transport, entry, compare_transports)
RB_GENERATE(destinations, destination, entry, compare_sites)

/* --- settings ------------------------------------------------------------ */

/* Read them all again; sites keep their windows. -1 when something is wrong,
 * which is logged; those transports stay as they were. */
static int
refresh(void)
{
	struct pool		*pool = pool_new("transports", 0);
	struct transport	*t;
	struct str		 problems;
	int			 result = 0;

	str_init(&problems, pool, 0);
	retry.longest = 0;
	RB_FOREACH(t, transport_tree, &transports) {
		if (tuning_read(t->name, &t->tuning, &problems) == -1)
			result = -1;
		if (t->tuning.retry.maximal > retry.longest)
			retry.longest = t->tuning.retry.maximal;
	}
	log_lines(LOG_LEVEL_ERROR, problems.data);
	pool_free(pool);
	return result;
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

/* What one process can have at once: a message and a conversation each, and
 * as much for what it keeps besides. An agent that is out of descriptors loses
 * the channel that brings one more, and with it all its deliveries: some would
 * be done twice. */
static unsigned
capacity(void)
{
	struct rlimit	limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 ||
	    limit.rlim_cur / 4 > UINT16_MAX)
		return UINT16_MAX;
	return limit.rlim_cur < 8 ? 1 : (unsigned)(limit.rlim_cur / 4);
}

/* How many deliveries at once, by master.cf. */
static void
set_limit(struct transport *t, int maxproc)
{
	unsigned	i, share;

	t->limit = maxproc < 0 ? (unsigned)site.default_process_limit :
	    (unsigned)maxproc;
	share = (t->limit + t->workers - 1) / t->workers;
	for (i = 0; i < t->workers; i++) {
		t->lanes[i].limit = share != 0 && share < capacity() ?
		    share : capacity();
		t->lanes[i].schedule.slots = t->lanes[i].limit;
	}
}

/* The hash of a name, begun or continued. */
static uint32_t
hash(uint32_t h, const char *name)
{
	return hash_bytes(h, name, strlen(name));
}

/* One more, which has no line in the file yet. */
static struct transport *
transport_new(const char *name, const char *program)
{
	struct transport	*t = mem_alloc(sizeof(*t));
	unsigned		 i;

	*t = (struct transport){ .name = mem_strdup(name),
	    .index = (uint16_t)(count + 1) };
	TAILQ_INIT(&t->turns);
	t->workers = site_processes(strcmp(program, "discard") == 0 ?
	    "error" : program);
	RB_INIT(&t->sites);
	t->lanes = mem_alloc(t->workers * sizeof(*t->lanes));
	for (i = 0; i < t->workers; i++) {
		t->lanes[i] = (struct lane){ .transport = t,
		    .hint = t->workers + i };
		schedule_init(&t->lanes[i].schedule, &t->lanes[i]);
		t->lanes[i].schedule.load.mark = (hash(hash(HASH_START,
		    t->name), "//") + i) * 2 | 1;
	}
	RB_INSERT(transport_tree, &transports, t);
	by_index = mem_resize(by_index, (count + 1) * sizeof(*by_index));
	by_index[count++] = t;
	return t;
}

/* A line of the file; the first one of a name counts. */
static void
add(const char *name, const char *program, int maxproc)
{
	struct transport	*t = transport_find(name);

	if (t == NULL && count < UINT16_MAX)
		t = transport_new(name, program);
	if (t == NULL || t->reading == reading)
		return;
	t->reading = reading;
	t->may_pass_on = strcmp(program, "local") == 0;
	set_limit(t, maxproc);
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
	reading++;
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
	if (refresh() == -1)
		die("settings of single transports are wrong, see above");
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

/* New limits hold at once, not only for sites that come into use. */
static void
fit_windows(void)
{
	struct transport	*t;
	struct destination	*s;

	RB_FOREACH(t, transport_tree, &transports)
		RB_FOREACH(s, destinations, &t->sites) {
			window_fit(&s->window, s->pace);
			schedule_refresh(s);
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
	if (refresh() == -1)
		log_error("the settings of those transports stay as they "
		    "were");
	fit_windows();
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

/* By index. */
struct transport *
transport_at(unsigned index)
{
	return index == 0 || index > count ? NULL : by_index[index - 1];
}

/* Which worker has the site? */
static unsigned
worker_of(const struct transport *t, const char *label)
{
	uint32_t	h = hash(HASH_START, label);

	return (h ^ h >> 16) % t->workers;
}

/* By name, made if need be. */
struct destination *
transport_destination(struct transport *t, const char *name, const char *label)
{
	struct destination	*s, key = { .name = (char *)(uintptr_t)name };

	if ((s = RB_FIND(destinations, &t->sites, &key)) != NULL)
		return s;
	s = mem_alloc(sizeof(*s));
	destination_init(s, &t->lanes[worker_of(t, label)].schedule,
	    &t->tuning.pace, mem_strdup(name));
	if (strcmp(name, label) != 0)
		s->label = mem_strdup(label);
	s->load.mark = hash(hash(hash(HASH_START, t->name), "/"), name) | 1;
	RB_INSERT(destinations, &t->sites, s);
	return s;
}

/* Forget the sites that nobody uses. */
void
transports_sweep(void)
{
	struct transport	*t;
	struct destination	*s, *following;
	int64_t			 now = clock_now();

	RB_FOREACH(t, transport_tree, &transports)
		RB_FOREACH_SAFE(s, destinations, &t->sites, following) {
			if (!destination_is_idle(s, now))
				continue;
			RB_REMOVE(destinations, &t->sites, s);
			if (s->label != s->name)
				free(s->label);
			free(s->name);
			free(s->why);
			free(s);
		}
}
