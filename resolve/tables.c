/*
 * tables.c - tables that notice when their files change.
 *
 * At most once a second a question looks at the files first. Changed ones are
 * opened anew and swapped in; who was in the middle of the old one keeps it
 * until he is done. A new state that cannot be opened (half written, or a
 * mistake in it) fails every question, for a time: the old one might call a
 * recipient unknown whom the new one has. A file that is written where it is,
 * not put in place of the old one, is read when nobody has written for a
 * second: half of a text looks like a table with half of the rows. So does one
 * that was being written when this process began: until that is over, questions
 * wait. Since a file may have its new size some microseconds before its new
 * time, one that has changed where it is, long ago by its time, is looked at
 * twice; questions wait for that, too. Only when the reason is that nobody but
 * root may read it, the old state goes on answering, and this process leaves,
 * so that a fresh one opens the table as root.
 */
#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/mail/idn.h"
#include "resolve/resolve.h"

enum {
	LOOK_EVERY	= 1000,		/* milliseconds */
	DOUBT_EVERY	= 50,		/* while somebody is writing */
	SETTLES_IN	= 10000,	/* at most */
	BUSY_PAUSE	= 20,		/* between tries of a busy table */
	BUSY_TRIES	= 100
};

/* One state of a table. */
struct opened {
	struct pool	*pool;
	struct maps	*maps;
	char		*why;		/* not all could be opened */
	unsigned	 users;
	bool		 is_old;
};

struct table {
	TAILQ_ENTRY(table) all;
	const char	*parameter;
	char		*list;
	struct opened	*now;
	int64_t		 look_at;	/* when to look at the files again */
	int64_t		 settles_by;	/* 0: nobody is writing */
	bool		 is_doubtful;	/* opened while it was written */
	bool		 is_sudden;	/* changed, and seen once */
	char		 told[200];	/* the last complaint */
};

static TAILQ_HEAD(, table)	tables = TAILQ_HEAD_INITIALIZER(tables);
static int64_t			look_again_at;
static unsigned			broken, denied;

/* --- opening ------------------------------------------------------------- */

/*
 * What makes a table of patterns dangerous for its parameter, NULL: nothing.
 * A part of an address, which strangers choose, must not become a command, a
 * file, a transport or a user; nor the name of an action.
 */
static const char *
danger(const char *parameter, const struct maps *maps)
{
	static const char *const	sensitive[] = {
		"alias_maps", "mailbox_command_maps", "mailbox_transport_maps",
		"fallback_transport_maps", "transport_maps",
		"sender_dependent_default_transport_maps",
		"sender_dependent_relayhost_maps", "virtual_mailbox_maps",
		"virtual_uid_maps", "virtual_gid_maps"
	};
	const char			*name;
	size_t				 i;

	for (i = 0; i < sizeof(sensitive) / sizeof(sensitive[0]); i++)
		if (strcmp(parameter, sensitive[i]) == 0 &&
		    (name = maps_taking_parts(maps, false)) != NULL)
			return name;
	if (text_ends(parameter, "_checks") ||
	    text_ends(parameter, "_restrictions"))
		return maps_taking_parts(maps, true);
	return NULL;
}

/* Open the tables as they are now. */
static struct opened *
open_now(const char *parameter, const char *list)
{
	struct pool	*pool = pool_new("table", 0);
	struct opened	*o = pool_alloc(pool, sizeof(*o));
	const char	*name;

	o->pool = pool;
	o->maps = maps_open_all(pool, list, &o->why);
	if ((name = danger(parameter, o->maps)) == NULL)
		return o;
	o->why = pool_printf(pool, "%s: results of patterns for this "
	    "parameter must not %s$1 and the like", name,
	    text_ends(parameter, "_maps") ? "have " : "begin with ");
	maps_close(o->maps);
	o->maps = maps_open_none(pool, list, o->why);
	return o;
}

/* Close and free a state. */
static void
discard(struct opened *o)
{
	maps_close(o->maps);
	pool_free(o->pool);
}

/* Done with a state; an old one goes with its last user. */
static void
release(struct opened *o)
{
	if (--o->users == 0 && o->is_old)
		discard(o);
}

/* Is the reason that only root may read it? */
static bool
is_denied(const char *why)
{
	return strstr(why, strerror(EACCES)) != NULL;
}

/* How many tables could not be opened so far, and how many for that reason. */
unsigned
tables_broken(bool only_denied)
{
	return only_denied ? denied : broken;
}

/* Say once what is wrong. */
static void
complain(struct table *t, const char *why)
{
	broken++;
	denied += is_denied(why);
	if (strncmp(t->told, why, sizeof(t->told) - 1) == 0)
		return;
	strlcpy(t->told, why, sizeof(t->told));
	log_error("%s: %s", t->parameter, why);
}

/* The pool of the rules is freed. */
static void
close_table(void *table)
{
	struct table	*t = table;

	TAILQ_REMOVE(&tables, t, all);
	discard(t->now);
}

/* Open the tables of a parameter. */
struct table *
table_new(struct pool *pool, const char *parameter, const char *list)
{
	struct table	*t = pool_alloc(pool, sizeof(*t));

	t->parameter = parameter;
	t->list = pool_strdup(pool, list);
	t->now = open_now(parameter, list);
	t->look_at = clock_now() + LOOK_EVERY;
	if (t->now->why != NULL)
		complain(t, t->now->why);
	else if (maps_are_unsettled(t->now->maps)) {
		t->is_doubtful = true;
		t->look_at = 0;
	}
	TAILQ_INSERT_TAIL(&tables, t, all);
	if (t->look_at < look_again_at)
		look_again_at = t->look_at;
	pool_on_free(pool, close_table, t);
	return t;
}

/* Does the parameter name no table? */
bool
table_is_empty(const struct table *t)
{
	return maps_are_empty(t->now->maps);
}

/* Is it made of tables of these types only? */
static bool
has_only(const struct table *t, const char *const *types)
{
	char	*copy = mem_strdup(t->list), *at = copy, *word;
	size_t	 i;
	bool	 is_so = true;

	while (is_so && (word = text_next_word(&at)) != NULL) {
		if (strncmp(word, "proxy:", 6) == 0)
			word += 6;
		for (i = 0; types[i] != NULL &&
		    strncmp(word, types[i], strlen(types[i])) != 0; i++)
			;
		is_so = types[i] != NULL;
	}
	free(copy);
	return is_so;
}

/* Is it made of tables only whose changes we see? Others (users, chance) may
 * say something else at any time. */
bool
table_is_stable(const struct table *t)
{
	static const char *const	types[] = {
		"hash:", "btree:", "lmdb:", "cdb:", "texthash:", "regexp:",
		"pcre:", "cidr:", "static:", "inline:", "fail:", NULL
	};

	return has_only(t, types);
}

/* The same, and none that are changed where they are: those say something new
 * before we look at their files again. */
bool
table_is_still(const struct table *t)
{
	static const char *const	types[] = {
		"cdb:", "texthash:", "regexp:", "pcre:", "cidr:", "static:",
		"inline:", "fail:", NULL
	};

	return has_only(t, types);
}

/* --- changing ------------------------------------------------------------ */

/* Put another state in the place of the present one. */
static void
swap(struct table *t, struct opened *fresh)
{
	struct opened	*old = t->now;

	t->now = fresh;
	t->told[0] = '\0';
	if (fresh->why != NULL)
		complain(t, fresh->why);
	rules_changed();
	old->is_old = true;
	old->users++;
	release(old);
}

/* Only root may read it: a process that starts as root has to. */
static void
make_room(struct table *t)
{
	if (daemon_is_draining())
		return;
	log_info("%s changed and only root may read it: leaving, so that a "
	    "fresh process opens it", t->parameter);
	daemon_leave();
}

/* Is this the first look at a change of long ago? After a failure nobody knows
 * what has changed. */
static bool
wants_second_look(struct table *t)
{
	if (t->is_sudden || (t->now->why == NULL &&
	    !maps_have_changed_here(t->now->maps)))
		return false;
	t->is_sudden = true;
	return true;
}

/* Somebody is writing the files, or may be: what we have, if only a failure, is
 * better than half of them. */
static bool
can_wait(struct table *t, struct maps *maps)
{
	if (!maps_are_unsettled(maps))
		return wants_second_look(t);
	t->is_sudden = false;
	if (t->settles_by == 0)
		t->settles_by = clock_now() + SETTLES_IN;
	return clock_now() < t->settles_by;
}

/* Nobody is writing any more, or for so long that nobody waits for it. */
static void
settle(struct table *t)
{
	t->settles_by = 0;
	t->is_doubtful = t->is_sudden = false;
}

/* The files of a good state have changed. */
static void
renew(struct table *t)
{
	struct opened	*fresh;

	if (can_wait(t, t->now->maps))
		return;
	fresh = open_now(t->parameter, t->list);
	/* Did somebody begin to write between that look and the reading? */
	if (can_wait(t, t->now->maps)) {
		discard(fresh);
		return;
	}
	settle(t);
	if (fresh->why != NULL && is_denied(fresh->why)) {
		discard(fresh);
		make_room(t);
	} else
		swap(t, fresh);
}

/* Try again what could not be opened. The same failure is no news. */
static void
mend(struct table *t)
{
	struct opened	*fresh = open_now(t->parameter, t->list);

	if (fresh->why == NULL && can_wait(t, fresh->maps)) {
		discard(fresh);
		return;
	}
	settle(t);
	if (fresh->why != NULL && strcmp(fresh->why, t->now->why) == 0)
		discard(fresh);
	else
		swap(t, fresh);
}

/* Look at the files if it is time. */
static void
refresh(struct table *t)
{
	int64_t	 now = clock_now();

	if (now < t->look_at)
		return;
	/* Nobody has asked meanwhile: who writes now has just begun. */
	if (now > t->look_at + LOOK_EVERY)
		t->settles_by = 0;
	if (maps_have_changed(t->now->maps)) {
		if (t->now->why == NULL)
			renew(t);
		else
			mend(t);
	} else if (!maps_are_unsettled(t->now->maps))
		settle(t);
	/* All processes shall believe the end of the writing together. */
	t->look_at = now + (t->is_doubtful || t->is_sudden ||
	    t->settles_by != 0 ? DOUBT_EVERY : LOOK_EVERY);
}

/* Look at all tables whose time it is, for those who remember what these
 * said. */
void
tables_look(void)
{
	struct table	*t, *next;

	if (clock_now() < look_again_at)
		return;
	look_again_at = clock_now() + LOOK_EVERY;
	TAILQ_FOREACH_SAFE(t, &tables, all, next) {
		refresh(t);
		if (t->look_at < look_again_at)
			look_again_at = t->look_at;
	}
}

/* Until then all of them say what they say now. */
int64_t
tables_next_look(void)
{
	return look_again_at;
}

/* --- asking -------------------------------------------------------------- */

struct question {
	enum { WHOLE, PART, ADDRESS } kind;
	const char	*key, *delimiters;
	bool		 is_ours;
	char		**value, **extension, **why;
	int64_t		*owner;		/* or NULL */
};

/* Ask in the way that is wanted. */
static WAITS enum map_result
ask_once(struct maps *maps, struct pool *pool, const struct question *q)
{
	switch (q->kind) {
	case PART:
		return maps_find_part(maps, pool, q->key, q->value, q->why);
	case ADDRESS:
		return maps_find_address(maps, pool, q->key, q->delimiters,
		    q->is_ours, q->value, q->extension, q->why);
	default:
		return maps_find(maps, pool, q->key, q->value, q->why);
	}
}

/* Ask the present state; with MAP_ERROR, errno EAGAIN means that it is being
 * written. */
static WAITS enum map_result
ask_now(struct table *t, struct pool *pool, const struct question *q)
{
	struct opened	*o;
	enum map_result	 result;
	int		 error;

	refresh(t);
	if (t->is_doubtful || t->is_sudden) {
		*q->why = pool_printf(pool, "%s is being written", t->list);
		errno = EAGAIN;
		return MAP_ERROR;
	}
	o = t->now;
	o->users++;
	result = ask_once(o->maps, pool, q);
	error = errno;
	if (q->owner != NULL)
		*q->owner = maps_owner(o->maps);
	release(o);
	errno = error;
	return result;
}

/* Ask, again while somebody is writing the table. */
static WAITS enum map_result
ask(struct table *t, struct pool *pool, const struct question *q)
{
	enum map_result	 result;
	int		 tries = 0;

	do {
		result = ask_now(t, pool, q);
		if (result != MAP_ERROR || errno != EAGAIN)
			break;
	} while (++tries < BUSY_TRIES && fiber_sleep(BUSY_PAUSE) == 0);
	if (result == MAP_ERROR)
		log_warning("%s: lookup of %s: %s", t->parameter, q->key,
		    *q->why);
	return result;
}

/* Ask for a whole key. */
WAITS enum map_result
table_find(struct table *t, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct question	q = { .kind = WHOLE, .key = key, .value = value,
			    .why = why };

	return ask(t, pool, &q);
}

/* The same, and whose table it was. */
WAITS enum map_result
table_find_owned(struct table *t, struct pool *pool, const char *key,
    char **value, int64_t *owner, char **why)
{
	struct question	q = { .kind = WHOLE, .key = key, .value = value,
			    .owner = owner, .why = why };

	return ask(t, pool, &q);
}

/* Ask for a part of something. */
WAITS enum map_result
table_find_part(struct table *t, struct pool *pool, const char *key,
    char **value, char **why)
{
	struct question	q = { .kind = PART, .key = key, .value = value,
			    .why = why };

	return ask(t, pool, &q);
}

/* Ask for an address with all its keys. */
WAITS enum map_result
table_find_address(struct table *t, struct pool *pool, const char *address,
    const char *delimiters, bool is_ours, char **value, char **extension,
    char **why)
{
	struct question	 q = { .kind = ADDRESS, .key = address,
			     .delimiters = delimiters, .is_ours = is_ours,
			     .value = value, .extension = extension,
			     .why = why };
	enum map_result	 result = ask(t, pool, &q);
	char		*others[IDN_OTHERS + 1];
	size_t		 i;

	if (result != MAP_NOT_FOUND || table_is_empty(t))
		return result;
	/* People write one spelling of a domain in tables, others send the
	 * other one. */
	idn_other_addresses(pool, address, others);
	for (i = 0; others[i] != NULL && result == MAP_NOT_FOUND; i++) {
		q.key = others[i];
		result = ask(t, pool, &q);
	}
	return result;
}
