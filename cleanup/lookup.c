/*
 * lookup.c - questions to resolve about the tables that cleanup goes by.
 */
#include "cleanup/lookup.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/daemon/daemon.h"
#include "common/ipc/tables.h"
#include "common/param/site.h"

static char	*values[TABLES];

const struct param lookup_params[] = {
	PARAM_STRING("canonical_maps", values[TABLE_CANONICAL], "", 0, 0,
	    "Tables that say how addresses are written, in envelopes and, in "
	    "mail from here, in headers."),
	PARAM_STRING("sender_canonical_maps", values[TABLE_SENDER_CANONICAL],
	    "", 0, 0, "As canonical_maps, for senders only; asked before it."),
	PARAM_STRING("recipient_canonical_maps",
	    values[TABLE_RECIPIENT_CANONICAL], "", 0, 0,
	    "As canonical_maps, for recipients only; asked before it."),
	PARAM_STRING("sender_bcc_maps", values[TABLE_SENDER_BCC], "", 0, 0,
	    "Tables that say who gets a copy of mail of these senders."),
	PARAM_STRING("recipient_bcc_maps", values[TABLE_RECIPIENT_BCC], "", 0,
	    0, "Tables that say who gets a copy of mail to these recipients."),
	PARAM_STRING("header_checks", values[TABLE_HEADER_CHECKS], "", 0, 0,
	    "Tables of actions on header fields of mail that comes in."),
	PARAM_STRING("mime_header_checks", values[TABLE_MIME_HEADER_CHECKS],
	    "$header_checks", 0, 0,
	    "Tables of actions on MIME header fields, of the message and of "
	    "its parts, of mail that comes in."),
	PARAM_STRING("nested_header_checks",
	    values[TABLE_NESTED_HEADER_CHECKS], "$header_checks", 0, 0,
	    "Tables of actions on header fields of messages inside a message "
	    "that comes in."),
	PARAM_STRING("body_checks", values[TABLE_BODY_CHECKS], "", 0, 0,
	    "Tables of actions on lines of the body of mail that comes in."),
	PARAM_STRING("masquerade_exceptions",
	    values[LIST_MASQUERADE_EXCEPTIONS], "", 0, 0,
	    "Users whose addresses are not masqueraded."),
	PARAM_STRING("local_header_rewrite_clients",
	    values[LIST_REWRITE_CLIENTS], "permit_inet_interfaces", 0, 0,
	    "Clients whose mail is taken for mail from here: their headers "
	    "are completed and rewritten."),
	PARAM_END
};

enum { PATIENCE = 60 * 1000 };

struct link	*to_resolve;

/* Open the way to resolve. */
void
lookup_start(void)
{
	to_resolve = link_new("resolve", site_processes("resolve"), NULL);
}

/* Is it set? */
bool
table_is_set(enum table table)
{
	return table_value(table)[strspn(table_value(table), ", \t\r\n")] !=
	    '\0';
}

/* Its value. */
const char *
table_value(enum table table)
{
	return values[table] != NULL ? values[table] : "";
}

/* Its parameter; the rows have its order. */
const char *
table_name(enum table table)
{
	return lookup_params[table].name;
}

/* Ask. */
WAITS void
table_ask(struct pool *pool, enum table table, int64_t how,
    struct key_row *keys, size_t count, struct found *found)
{
	struct ask_lookup	ask = {
		.service = pool_printf(pool, "%s/unix", daemon_service()),
		.parameter = pool_strdup(pool, table_name(table)),
		.how = how, .keys = keys, .count = count
	};

	(void)lookup_ask(to_resolve, &ask, clock_now() + PATIENCE, pool,
	    found);
}

/* Addresses from `first` on, as many as one question takes; places[] tells
 * which they are, *next where the following question begins. */
static size_t
gather(char **addresses, size_t first, size_t count, struct key_row *keys,
    size_t *places, size_t *next)
{
	size_t	i, n = 0, bytes = 0;

	for (i = first; i < count && n < KEYS_MAX; i++) {
		if (*addresses[i] == '\0')
			continue;
		bytes += strlen(addresses[i]);
		if (n > 0 && bytes > TABLE_ROOM)
			break;
		keys[n].key = addresses[i];
		places[n++] = i;
	}
	*next = i;
	return n;
}

/* Ask for each; behind a hit the rest is asked for again. */
WAITS int
table_each(struct pool *pool, enum table table, char **addresses,
    size_t count, void (*hit)(void *, size_t, const struct found *),
    void *context, const char **why)
{
	struct key_row	*keys = pool_array(pool, KEYS_MAX, sizeof(*keys));
	size_t		*places = pool_array(pool, KEYS_MAX, sizeof(*places));
	struct found	 found;
	size_t		 i = 0, n, next;

	while (i < count) {
		n = gather(addresses, i, count, keys, places, &next);
		if (n == 0)
			break;
		table_ask(pool, table, LOOKUP_ADDRESS, keys, n, &found);
		if (found.result == LOOKUP_TEMPORARY) {
			*why = pool_printf(pool, "%s: %s", table_name(table),
			    found.text);
			return -1;
		}
		if (found.result == LOOKUP_FOUND) {
			next = places[found.which] + 1;
			hit(context, next - 1, &found);
		}
		i = next;
	}
	return 0;
}
