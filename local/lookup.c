/*
 * lookup.c - what a table says of somebody.
 *
 * Called by alias.c, reroute.c, shell.c and virtual.c. resolve reads the
 * tables, those of our own line in master.cf if it has any.
 */
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/ipc/lookup.h"

#include "local/local.h"

/* Ask. */
WAITS static int
ask_for(struct addressee *a, const char *parameter, enum lookup_how how,
    struct key_row *keys, size_t count, struct found *found)
{
	struct pool		*pool = a->delivery->pool;
	struct ask_lookup	 ask = {
		.service = pool_printf(pool, "%s/unix", daemon_service()),
		.parameter = pool_strdup(pool, parameter),
		.how = how, .keys = keys, .count = count
	};

	if (lookup_ask(to_resolve, &ask, local_deadline(), pool, found) ==
	    -1 || found->result == LOOKUP_TEMPORARY)
		return -1;
	return found->result == LOOKUP_FOUND;
}

/* Ask for the keys. */
int
look_up(struct addressee *a, const char *parameter, struct key_row *keys,
    size_t count, struct found *found)
{
	return ask_for(a, parameter, LOOKUP_KEYS, keys, count, found);
}

/* Ask for the recipient. */
int
look_up_recipient(struct addressee *a, const char *parameter,
    struct found *found)
{
	char		*address = pool_strdup(a->delivery->pool,
			    a->row->address);
	struct key_row	 key = { address };

	text_lower(address);
	return ask_for(a, parameter, LOOKUP_ADDRESS, &key, 1, found);
}

/* Ask for a user. */
int
look_up_user(struct addressee *a, const char *parameter, const char *maps,
    const char *user, char **value)
{
	struct key_row	key = { pool_strdup(a->delivery->pool, user) };
	struct found	found;
	int		known;

	known = *maps == '\0' ? 0 : look_up(a, parameter, &key, 1, &found);
	if (known == -1)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "%s: lookup of %s failed", parameter, user);
	if (known == 1)
		*value = found.value;
	return **value != '\0';
}
