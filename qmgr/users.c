/*
 * users.c - which users of this machine may look at the queue, and which may
 * ask for another attempt.
 *
 * The kernel says who called (SO_PEERCRED). The password file is out of our
 * sight, and lists may name tables: resolve, which sees both, compares the
 * user's name with the list. The usual list, static:anyone, needs no question.
 *
 * P1  When resolve does not answer, nobody but root and ourselves may.
 */
#include "qmgr/users.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/ipc/lookup.h"
#include "qmgr/outcome.h"

enum { PATIENCE = 20 * 1000 };

extern struct link	*to_resolve;

static struct {
	char	*mailq, *flush;
} set;

const struct param	users_params[] = {
	PARAM_STRING("authorized_mailq_users", set.mailq, "static:anyone", 0,
	    0, "Which users may list the queue: names, !names, /files and "
	    "type:tables of them. Root always may."),
	PARAM_STRING("authorized_flush_users", set.flush, "static:anyone", 0,
	    0, "Which users may have the queue, a site's mail or a message "
	    "tried at once. Root always may."),
	PARAM_END
};

/* Everybody? Only when that is the whole list: a "!name" may stand before. */
static bool
is_anybody(const char *list)
{
	return text_starts(list, "static:") && strpbrk(list, " \t,") == NULL;
}

/* Ask whether the user of this number is in the list. */
static WAITS const char *
ask(const char *parameter, uid_t uid)
{
	struct pool		*pool = pool_new("users", 0);
	char			 number[16];
	struct key_row		 key = { number };
	struct ask_lookup	 question = {
	    .service = (char *)(uintptr_t)"",
	    .parameter = (char *)(uintptr_t)parameter,
	    .how = LOOKUP_USER, .keys = &key, .count = 1 };
	struct found		 answer;
	const char		*why = "resolve does not answer: not now";

	snprintf(number, sizeof(number), "%u", (unsigned)uid);
	if (lookup_ask(to_resolve, &question, clock_now() + PATIENCE, pool,
	    &answer) == 0)
		why = answer.result == LOOKUP_FOUND ? NULL :
		    answer.result == LOOKUP_TEMPORARY ?
		    "the list of users cannot be read: not now" :
		    "you are not one of the users who may do that";
	pool_free(pool);
	return why;
}

/* May he? */
static WAITS const char *
may(const char *parameter, const char *list, uid_t uid)
{
	if (uid == 0 || uid == geteuid() || is_anybody(list))
		return NULL;
	if (list[strspn(list, " \t,")] == '\0')
		return "only root may do that";
	return ask(parameter, uid);
}

/* List the queue? */
const char *
users_may_list(uid_t uid)
{
	return may("authorized_mailq_users", set.mailq, uid);
}

/* Have it flushed? */
const char *
users_may_flush(uid_t uid)
{
	return may("authorized_flush_users", set.flush, uid);
}
