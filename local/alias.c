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
 * A3  Commands and files get the rights of default_privs, or of the table's
 *     owner: never root's.
 */
#include <string.h>

#include "common/mail/address.h"

#include "local/expand.h"

static bool	expands_owner;

const struct param	expand_params[] = {
	PARAM_BOOL("expand_owner_alias", expands_owner, "no",
	    "The sender of what goes to a list NAME is whom owner-NAME stands "
	    "for, not owner-NAME itself."),
	PARAM_END
};

/* Ask for the keys: 1 with the answer, 0, or -1: settled. */
WAITS static int
find_alias(struct addressee *a, struct key_row *keys, size_t count,
    struct found *found)
{
	int	known = look_up(a, "alias_maps", keys, count, found);

	return known != -1 ? known : addressee_settle(a, OUTCOME_DEFERRED, 0,
	    "4.3.0", "alias database unavailable");
}

/* Is the text one address, and no more? It is made canonical. */
static bool
is_one_address(struct pool *pool, char **text)
{
	struct list_item	*items;
	size_t			 count;

	if (address_list_parse(pool, *text, LIST_IS_ALIAS, &items,
	    &count) != NULL || count != 1 || items[0].kind != LIST_ADDRESS ||
	    items[0].value[0] == '\\' ||
	    strlen(items[0].value) > ADDRESS_MAX)
		return false;
	*text = items[0].value;
	return true;
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
		if (expands_owner && is_one_address(pool, &found.value)) {
			e->sender = found.value;
			e->is_list = true;
			return 0;
		}
		owner = address_quote_local(pool, owner);
		e->sender = a->domain[0] == '\0' ? owner :
		    pool_printf(pool, "%s@%s", owner, a->domain);
		e->is_list = true;
		return 0;
	}
}

/* With whose rights: those of the table's owner, unless that is root. */
static struct become
rights_of(const struct found *found)
{
	static char	nobody[1];

	return found->owner > 0 ? (struct become){
		.kind = BECOME_OWNER, .user = nobody, .uid = found->owner,
		.gid = -1
	} : (struct become){
		.kind = BECOME_DEFAULT, .user = nobody, .uid = -1, .gid = -1
	};
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
	e.context = "alias";
	e.sender = a->sender;
	e.as = rights_of(&found);
	if (expand_text(&e, found.value) == 0 &&
	    find_owner(&e, keys[found.which == 1].key) == 0)
		expand_deliver(&e, a->user, true);
	return 1;
}
