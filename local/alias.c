/*
 * alias.c - names that stand for others (aliases(5)).
 *
 * Called by recipient.c before the user database is asked. resolve reads the
 * tables of alias_maps; the name is looked up as it is, then without its
 * extension.
 *
 * A1  When the tables cannot be read the mail waits: it is never delivered to
 *     the mailbox of somebody whose alias we could not see.
 * A2  Mailboxes come first. If one of them has to wait, nothing is posted, so
 *     that the next attempt does not send the rest of them a second copy.
 */
#include <string.h>

#include "common/mail/address.h"

#include "local/local.h"

/* Ask for the keys: 1 with the answer, 0, or -1: settled. */
WAITS static int
find_alias(struct addressee *a, struct key_row *keys, size_t count,
    struct found *found)
{
	int	known = look_up(a, "alias_maps", keys, count, found);

	return known != -1 ? known : addressee_settle(a, OUTCOME_DEFERRED, 0,
	    "4.3.0", "alias database unavailable");
}

/*
 * owner-NAME is who hears of failures of the list NAME. The null sender stays:
 * a report must not cause another one. 0, or -1: settled.
 */
WAITS static int
find_owner(struct expansion *e, const char *alias)
{
	struct addressee	*a = e->to;
	struct pool		*pool = a->delivery->pool;
	char			*owner = pool_printf(pool, "owner-%s", alias);
	struct key_row		 key = { owner };
	struct found		 found;

	if (e->sender[0] == '\0' || strlen(owner) > ADDRESS_MAX)
		return 0;
	switch (find_alias(a, &key, 1, &found)) {
	case -1:
		return -1;
	case 0:
		return 0;
	default:
		owner = address_quote_local(pool, owner);
		e->sender = a->domain[0] == '\0' ? owner :
		    pool_printf(pool, "%s@%s", owner, a->domain);
		e->is_list = true;
		return 0;
	}
}

/* Deliver to everything that the alias names (A2). */
WAITS static void
deliver_all(struct expansion *e)
{
	struct addressee	*a = e->to;
	size_t			 i;

	if (e->has_self)
		(void)recipient_to_user(a, a->user, true);
	for (i = 0; i < e->direct_count && !addressee_is_deferred(a); i++)
		(void)recipient_to_user(a, e->direct[i], false);
	if (e->count > 0 && !addressee_is_deferred(a))
		(void)repost(e);
}

/* The alias of this recipient, if there is one. */
int
alias_deliver(struct addressee *a)
{
	struct pool		*pool = a->delivery->pool;
	struct expansion	 e = { .to = a };
	struct key_row		 keys[2] = { { a->name }, { a->user } };
	struct found		 found;
	int			 known;

	if (a->name[0] == '\0')
		return 0;
	known = find_alias(a, keys, a->extension != NULL ? 2 : 1, &found);
	if (known != 1)
		return known;
	e.source = pool_printf(pool, "alias %s", keys[found.which == 1].key);
	e.sender = a->delivery->mail->sender;
	if (expand_text(&e, found.value) == 0 &&
	    find_owner(&e, keys[found.which == 1].key) == 0)
		deliver_all(&e);
	return 1;
}
