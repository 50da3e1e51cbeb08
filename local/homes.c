/*
 * homes.c - processes that run as recipients, kept warm for seconds.
 *
 * recipient.c takes the one of a user and gives it back. helper starts them;
 * we hold the other end of the channel, and closing it ends the process: so
 * there is no moment at which one leaves while a message is on its way in.
 *
 * H1  One process for a user at a time: who comes while it starts waits.
 * H2  A process is given up only when nobody uses it.
 */
#include <sys/queue.h>

#include "local/homes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/fiber/queue.h"
#include "common/ipc/packets.h"

#include "local/local.h"

enum {
	WARM_TIME = 10 * 1000,		/* milliseconds without mail */
	SWEEP_EVERY = 1000,
	WARM_MAX = 100
};

TAILQ_HEAD(homes, home);

/* The most recently used first. */
static struct homes		homes = TAILQ_HEAD_INITIALIZER(homes);
static unsigned			count;
static struct fiber_queue	opened;		/* some opening is over */
static bool			is_sweeping;

/* Begin. */
void
homes_start(void)
{
	fiber_queue_init(&opened);
}

/* Forget it; its process ends. */
static void
drop(struct home *h)
{
	CLAIM(h->uses == 0 && !h->is_opening);
	TAILQ_REMOVE(&homes, h, next);
	count--;
	if (h->channel != NULL) {
		channel_close(h->channel);
		channel_release(h->channel);
	}
	pool_free(h->pool);
}

/* Is there still somebody on the other side? */
static bool
is_alive(const struct home *h)
{
	return h->channel != NULL && channel_is_open(h->channel);
}

/* Drop those who had no mail for a while, or died. */
static void
sweep(void)
{
	int64_t		 now = clock_now();
	struct home	*h, *next;

	for (h = TAILQ_FIRST(&homes); h != NULL; h = next) {
		next = TAILQ_NEXT(h, next);
		if (h->uses == 0 && !h->is_opening &&
		    (!is_alive(h) || now - h->last_use >= WARM_TIME))
			drop(h);
	}
}

/* The fiber that sweeps as long as there is something to sweep. */
static void
sweep_all(void *arg)
{
	(void)arg;
	fiber_name("homes");
	while (!TAILQ_EMPTY(&homes) && fiber_sleep(SWEEP_EVERY) == 0)
		sweep();
	is_sweeping = false;
}

/* Make room for one more: the one unused for the longest time goes. */
static void
make_room(void)
{
	struct home	*h;

	if (count < WARM_MAX)
		return;
	TAILQ_FOREACH_REVERSE(h, &homes, homes, next)
		if (h->uses == 0 && !h->is_opening) {
			drop(h);
			return;
		}
}

/* Is this the one that is asked for? */
static bool
is_of(const struct home *h, const struct become *who)
{
	const char	*root = who->root != NULL ? who->root : "";

	return h->who.kind == who->kind && h->who.uid == who->uid &&
	    h->who.gid == who->gid && strcmp(h->who.user, who->user) == 0 &&
	    strcmp(h->who.root != NULL ? h->who.root : "", root) == 0;
}

/* The home of this user that lives or is being opened. */
static struct home *
find(const struct become *who)
{
	struct home	*h;

	TAILQ_FOREACH(h, &homes, next)
		if (is_of(h, who) && (h->is_opening || is_alive(h)))
			return h;
	return NULL;
}

/* A home that is being opened. */
static struct home *
new_home(const struct become *who)
{
	struct pool	*pool = pool_new("home", 0);
	struct home	*h = pool_alloc(pool, sizeof(*h));

	make_room();
	h->pool = pool;
	h->who = *who;
	h->who.user = pool_strdup(pool, who->user);
	h->who.root = pool_strdup(pool, who->root);
	h->is_opening = true;
	TAILQ_INSERT_HEAD(&homes, h, next);
	count++;
	if (!is_sweeping) {
		is_sweeping = true;
		fiber_start(sweep_all, NULL);
	}
	return h;
}

/* Ask helper for the process. */
WAITS static enum home_result
open_home(struct home *h, struct pool *pool, const char **why)
{
	struct became	answer;

	if (link_ask(to_helper, PACKET_BECOME, &h->who, PACKET_BECAME, &answer,
	    h->pool, local_deadline(), false) == -1) {
		*why = pool_printf(pool, "the helper does not answer: %s",
		    strerror(errno));
		return HOME_TEMPORARY;
	}
	if (answer.result != ROUTE_OK || answer.channel == -1) {
		if (answer.channel != -1)
			close(answer.channel);
		*why = pool_strdup(pool, answer.text);
		return answer.result == ROUTE_IMPOSSIBLE ? HOME_UNKNOWN :
		    HOME_TEMPORARY;
	}
	h->user = answer.user;
	h->path = answer.home;
	h->shell = answer.shell;
	h->uid = (uid_t)answer.uid;
	if (fs_set_nonblocking(answer.channel, true) == -1 ||
	    fs_set_cloexec(answer.channel, true) == -1)
		bug("a channel cannot be set up: %s", strerror(errno));
	h->channel = channel_new(answer.channel, false, NULL, NULL, NULL);
	channel_hold(h->channel);
	channel_set_name(h->channel, "mailbox");
	return HOME_OK;
}

/* One more user of it. */
static void
use(struct home *h)
{
	h->uses++;
	TAILQ_REMOVE(&homes, h, next);
	TAILQ_INSERT_HEAD(&homes, h, next);
}

enum home_result
home_take(struct pool *pool, const struct become *who, struct home **home,
    const char **why)
{
	int64_t			 deadline = local_deadline();
	struct home		*h;
	enum home_result	 result;

	while ((h = find(who)) != NULL && h->is_opening)
		if (fiber_queue_wait(&opened, deadline) == -1) {
			*why = "the user's process does not start";
			return HOME_TEMPORARY;
		}
	if (h == NULL) {
		h = new_home(who);
		result = open_home(h, pool, why);
		h->is_opening = false;
		fiber_queue_wake_all(&opened);
		if (result != HOME_OK) {
			drop(h);
			return result;
		}
	}
	use(h);
	*home = h;
	return HOME_OK;
}

void
home_give(struct home *h)
{
	CLAIM(h->uses > 0);
	h->uses--;
	h->last_use = clock_now();
}
