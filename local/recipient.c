/*
 * recipient.c - one recipient: alias, .forward, mailbox_transport,
 * mailbox_command, mailbox, fallback_transport, luser_relay, in that order.
 *
 * Called by main.c for each recipient of a message, and by alias.c for the
 * users whose mailboxes an alias names.
 *
 * R1  A name that neither an alias nor the user database knows is returned;
 *     one that nobody could be asked about now is tried again.
 * R2  Root's mailbox is in the spool, and root's home is not looked at.
 */
#include <string.h>

#include "local/homes.h"
#include "local/local.h"
#include "local/spool.h"

static struct { bool strict_mailbox_ownership, biff; } set;

const struct param	recipient_params[] = {
	PARAM_BOOL("strict_mailbox_ownership", set.strict_mailbox_ownership,
	    "yes", "Mail for a mailbox file that belongs to somebody else "
	    "waits."),
	PARAM_BOOL("biff", set.biff, "yes",
	    "Tell comsat(8) of mail in a mailbox of mail_spool_directory, by "
	    "a datagram to this machine's port 512."),
	PARAM_END
};

/* --- mailbox ------------------------------------------------------------- */

/* The mailbox's path (R2). */
static char *
mailbox_path(struct pool *pool, const struct home *h)
{
	if (h->uid == 0 || spool.home_mailbox[0] == '\0')
		return spool_path(pool, h->user);
	return pool_printf(pool, "%s/%s", h->path, spool.home_mailbox);
}

/* Put the message into the mailbox, unless one of these files is there: then
 * it is 1. */
WAITS static int
store(struct addressee *a, struct home *h, struct word_row *unless,
    size_t files)
{
	struct deposit	what = {
		.path = mailbox_path(a->delivery->pool, h),
		.flags = set.biff ? STORE_NOTIFIES : 0,
		.size_limit = mailbox_size_limit,
		.head = shell_wants_delivered("file") ? HEAD_ALL :
		    HEAD_RETURN_PATH | HEAD_ORIGINAL,
		.unless = unless, .files = files
	};

	if (!set.strict_mailbox_ownership && h->uid != 0)
		what.flags |= STORE_ANY_OWNER;
	return deposit(a, h, &what);
}

/* Most users have a mailbox and nothing else: their process finds that out on
 * the way, and is asked once. 1 when it found a .forward; then nothing has
 * been done. */
WAITS static int
store_unless_forwarded(struct addressee *a, struct home *h)
{
	struct word_row	*files;
	size_t		 count;

	if (reroute_may_mailbox() || shell_may_mailbox())
		return 1;
	if (forward_files(a, h, &files, &count) == -1)
		return -1;
	return store(a, h, files, count);
}

/* What the process of a user has to do. */
WAITS static int
deliver_as(struct addressee *a, struct home *h, bool asks_forward)
{
	int	found;

	if (asks_forward && h->uid != 0) {
		if ((found = store_unless_forwarded(a, h)) != 1)
			return found;
		if ((found = forward_deliver(a, h)) != 0)
			return found == 1 ? 0 : -1;
	}
	if ((found = reroute_mailbox(a, h->user)) != 0 ||
	    (found = shell_mailbox(a, h)) != 0)
		return found == 1 ? 0 : -1;
	return store(a, h, NULL, 0);
}

/* To a name that the user database does not have: somebody else may know it,
 * else it is returned. */
WAITS static int
deliver_unknown(struct addressee *a, const char *user, const char *why)
{
	int	found;

	if ((found = reroute_mailbox(a, user)) == 0)
		found = reroute_unknown(a, user);
	if (found != 0)
		return found == 1 ? 0 : -1;
	return addressee_settle(a, OUTCOME_BOUNCED, 0, "5.1.1", "%s", why);
}

/* To a user of this machine. */
int
recipient_to_user(struct addressee *a, const char *user, bool asks_forward)
{
	struct become	 who = { BECOME_USER,
			    pool_strdup(a->delivery->pool, user), -1, -1,
			    NULL };
	struct home	*h;
	const char	*why;
	int		 result;

	if (*user == '\0' || strlen(user) > 255)
		return addressee_settle(a, OUTCOME_BOUNCED, 0, "5.1.1",
		    "unknown user: \"%s\"", user);
	switch (home_take(a->delivery->pool, &who, &h, &why)) {
	case HOME_UNKNOWN:
		return deliver_unknown(a, user, why);
	case HOME_TEMPORARY:
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0", "%s",
		    why);
	default:
		result = deliver_as(a, h, asks_forward);
		home_give(h);
		return result;
	}
}

/* --- the recipient ------------------------------------------------------- */

/* Alias, .forward, mailbox, unless the message has been here before. */
void
recipient_deliver(struct addressee *a)
{
	if (loops_is_one(a))
		return;
	if (alias_deliver(a) == 0)
		(void)recipient_to_user(a, a->user, true);
}
