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
 *     owner: never root's. A table to which everybody can write says nothing.
 */
#include <string.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/mail/address.h"
#include "common/param/maincf.h"

#include "local/expand.h"

enum { TABLE_OF_ANYBODY = -2 };		/* struct found */

static struct { bool expands_owner; } set;
static bool	has_no_tables;

const struct param	alias_params[] = {
	PARAM_BOOL("expand_owner_alias", set.expands_owner, "no",
	    "The sender of what goes to a list NAME is whom owner-NAME stands "
	    "for, not owner-NAME itself."),
	PARAM_BOOL("owner_request_special", address_owner_is_special, "yes",
	    "owner-NAME is who hears of failures of the alias NAME, and "
	    "neither owner-NAME nor NAME-request has an extension if \"-\" "
	    "is a recipient_delimiter."),
	PARAM_END
};

/* Where main.cf says that there are no tables, resolve need not be asked. What
 * a "$name" in it means, and what holds when it is silent, resolve knows. */
void
alias_prepare(void)
{
	const struct setting	*maps = maincf_find(daemon_maincf(),
				    "alias_maps");

	has_no_tables = maps != NULL &&
	    maps->value[strspn(maps->value, ", \t\r\n")] == '\0';
}

/* Ask for the keys. */
int
alias_find(struct addressee *a, struct key_row *keys, size_t count,
    struct found *found)
{
	int	known = has_no_tables ? 0 : look_up(a, "alias_maps", keys,
		    count, found);

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
 * The alias owner-NAME: 1 with what it says, 0, or -1: settled. The null
 * sender stays: a report must not cause another one.
 */
WAITS static int
find_owner(struct expansion *e, const char *alias, struct key_row *owner,
    struct found *found)
{
	owner->key = pool_printf(e->to->delivery->pool, "owner-%s", alias);
	if (!address_owner_is_special || e->sender[0] == '\0' ||
	    strlen(owner->key) > ADDRESS_MAX)
		return 0;
	return alias_find(e->to, owner, 1, found);
}

/* Is there one? */
int
alias_has_owner(struct expansion *e, const char *alias)
{
	struct key_row	owner;
	struct found	found;

	return find_owner(e, alias, &owner, &found);
}

/* He is who hears of failures of the list. 0, or -1: settled. */
WAITS static int
use_owner(struct expansion *e, const char *alias)
{
	struct addressee	*a = e->to;
	struct pool		*pool = a->delivery->pool;
	struct key_row		 owner;
	struct found		 found;
	char			*name;
	int			 known = find_owner(e, alias, &owner, &found);

	if (known != 1)
		return known;
	e->is_list = true;
	if (set.expands_owner && is_one_address(pool, &found.value)) {
		e->sender = found.value;
		return 0;
	}
	name = address_quote_local(pool, owner.key);
	e->sender = a->domain[0] == '\0' ? name :
	    pool_printf(pool, "%s@%s", name, a->domain);
	return 0;
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
	const char		*key;
	int			 known;

	if (a->name[0] == '\0')
		return 0;
	known = alias_find(a, keys, a->extension != NULL ? 2 : 1, &found);
	if (known != 1)
		return known;
	key = keys[found.which == 1].key;
	if (found.owner == TABLE_OF_ANYBODY) {
		log_warning("%s: alias %s: everybody can write to the table",
		    a->delivery->mail->queue_id, key);
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "alias database is not to be trusted");
	}
	e.source = pool_printf(pool, "alias %s", key);
	e.context = "alias";
	e.sender = a->sender;
	e.as = rights_of(&found);
	e.chain[e.chain_count++] = key;
	if (found.which == 1 && expand_propagates("alias"))
		e.extension = a->extension - 1;
	if (use_owner(&e, key) == 0 && expand_text(&e, found.value) == 0)
		expand_deliver(&e, a->user, true);
	return 1;
}
