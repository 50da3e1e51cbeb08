/*
 * reroute.c - recipients that another transport is to deliver.
 *
 * Called by recipient.c. mailbox_transport takes the place of mailboxes, and
 * fallback_transport gets those whom neither an alias nor the user database
 * knows. qmgr hears the transport and asks resolve anew, in the same attempt;
 * nothing is logged here, since nothing has been delivered yet.
 *
 * Where a .forward names others beside the mailbox, they get a copy at each
 * attempt at which the other transport defers: we do not hear of that before.
 *
 * O1  A recipient is never handed back to the transport he came by.
 * O2  Whose copy goes to another user's mailbox ("\\bob" in an alias) is posted
 *     to him as a message of its own: the other transport gets the recipient
 *     of this one.
 */
#include <string.h>

#include "common/mail/address.h"

#include "local/expand.h"

static struct {
	char	*mailbox, *mailbox_maps, *fallback, *fallback_maps, *luser;
} ways;

const struct param	reroute_params[] = {
	PARAM_STRING("mailbox_transport", ways.mailbox, "", 0, 1000,
	    "\"transport:nexthop\" that gets mail for users instead of their "
	    "mailboxes here."),
	PARAM_STRING("mailbox_transport_maps", ways.mailbox_maps, "", 0, 10000,
	    "Tables of users with what mailbox_transport says of all."),
	PARAM_STRING("fallback_transport", ways.fallback, "", 0, 1000,
	    "\"transport:nexthop\" that gets mail for names that neither an "
	    "alias nor a user of this machine has."),
	PARAM_STRING("fallback_transport_maps", ways.fallback_maps, "", 0,
	    10000, "Tables of names with what fallback_transport says of all."),
	PARAM_RAW("luser_relay", ways.luser, "", 0, 1000,
	    "An address that gets mail for unknown names, for instance "
	    "\"$user@other.example\": $user, $local, $domain, $extension, "
	    "$recipient, $recipient_delimiter."),
	PARAM_END
};

/* One of the two. */
struct way {
	const char	*parameter, *table;
	char		*transport, *maps;
};

/* A message of its own for another user (O2). */
WAITS static int
post_to(struct addressee *a, const char *user)
{
	struct pool		*pool = a->delivery->pool;
	char			*name = address_quote_local(pool, user);
	struct recipient_row	 row = {
		.address = a->domain[0] == '\0' ? name :
		    pool_printf(pool, "%s@%s", name, a->domain),
		.original = a->row->original[0] != '\0' ? a->row->original :
		    a->row->address,
		.orcpt = expand_orcpt(a), .notify = expand_notify(a, 2)
	};
	struct expansion	 e = {
		.to = a, .source = user, .rows = &row, .count = 1,
		.sender = a->sender
	};

	return repost(&e);
}

/* Hand the recipient on. */
WAITS static int
hand_on(struct addressee *a, const struct way *way, const char *user,
    const char *via)
{
	const char	*own = a->delivery->mail->transport;
	size_t		 len = strcspn(via, ":");

	if (len == 0 || (strlen(own) == len && memcmp(own, via, len) == 0))
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "%s: \"%s\" is no other transport", way->parameter, via);
	if (strcmp(user, a->user) != 0)
		return post_to(a, user);
	return addressee_settle(a, OUTCOME_REROUTED, 0, "2.0.0", "%s%s", via,
	    via[len] == '\0' ? ":" : "");
}

/* By one of the two ways, if it is there. */
WAITS static int
reroute(struct addressee *a, const struct way *way, const char *user)
{
	char	*via = way->transport;
	int	 found = look_up_user(a, way->table, way->maps, user, &via);

	if (found != 1)
		return found;
	return hand_on(a, way, user, via) == 0 ? 1 : -1;
}

/* Is there another transport for any mailbox? */
bool
reroute_may_mailbox(void)
{
	return *ways.mailbox != '\0' || *ways.mailbox_maps != '\0';
}

/* Instead of the user's mailbox. */
int
reroute_mailbox(struct addressee *a, const char *user)
{
	const struct way	way = { "mailbox_transport",
				    "mailbox_transport_maps", ways.mailbox,
				    ways.mailbox_maps };

	return reroute(a, &way, user);
}

/* To the address of luser_relay. As reroute(). */
WAITS static int
relay_unknown(struct addressee *a)
{
	struct pool		*pool = a->delivery->pool;
	const char		*why;
	char			*address;
	struct list_item	*items;
	size_t			 count;
	struct expansion	 e = { .to = a, .source = "luser_relay",
				    .is_single = true, .sender = a->sender };
	struct recipient_row	 row;

	address = macro_expand(pool, ways.luser, shell_macros(a, NULL), NULL,
	    NULL, &why);
	if (address == NULL || address_list_parse(pool, address,
	    LIST_IS_ALIAS, &items, &count) != NULL || count != 1 ||
	    items[0].kind != LIST_ADDRESS ||
	    strlen(items[0].value) > ADDRESS_MAX)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "luser_relay gives no address for %s", a->row->address);
	row = (struct recipient_row){
		.address = items[0].value,
		.original = a->row->original[0] != '\0' ? a->row->original :
		    a->row->address,
		.orcpt = expand_orcpt(a), .notify = expand_notify(a, 1)
	};
	e.rows = &row;
	e.count = 1;
	return repost(&e) == 0 ? 1 : -1;
}

/* Because there is no such user. */
int
reroute_unknown(struct addressee *a, const char *user)
{
	const struct way	way = { "fallback_transport",
				    "fallback_transport_maps", ways.fallback,
				    ways.fallback_maps };
	int			found = reroute(a, &way, user);

	return found != 0 || *ways.luser == '\0' ? found : relay_unknown(a);
}
