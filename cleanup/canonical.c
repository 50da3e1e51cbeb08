/*
 * canonical.c - addresses as this site writes them.
 *
 * An address is made whole; sender_canonical_maps or recipient_canonical_maps
 * is asked, then canonical_maps, each again about its own result until that
 * stays; last the domain is masqueraded. What is not an address in a table's
 * answer changes nothing.
 *
 * P1  A table that does not answer postpones the message: no address passes
 *     that might have had to be another one.
 */
#include "cleanup/canonical.h"

#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/spans.h"
#include "common/param/site.h"

#include "cleanup/lookup.h"

const struct param canonical_params[] = {
	PARAM_BOOL("append_at_myorigin", set.append_at_myorigin, "yes",
	    "Complete addresses without a domain with myorigin."),
	PARAM_BOOL("append_dot_mydomain", set.append_dot_mydomain,
	    "${{$compatibility_level} <level {1} ? {yes} : {no}}",
	    "Add .$mydomain to addresses whose domain has no dot."),
	PARAM_STRING("propagate_unmatched_extensions", set.propagate,
	    "canonical, virtual", 0, 0, "Tables whose result gets the "
	    "extension that was left out of the key: canonical, virtual, "
	    "alias, forward, include, generic."),
	PARAM_STRING("canonical_classes", set.canonical_classes,
	    "envelope_sender, envelope_recipient, header_sender, "
	    "header_recipient", 0, 0, "Which addresses canonical_maps is "
	    "asked about."),
	PARAM_STRING("sender_canonical_classes", set.sender_canonical_classes,
	    "envelope_sender, header_sender", 0, 0,
	    "Which addresses sender_canonical_maps is asked about."),
	PARAM_STRING("recipient_canonical_classes",
	    set.recipient_canonical_classes,
	    "envelope_recipient, header_recipient", 0, 0,
	    "Which addresses recipient_canonical_maps is asked about."),
	PARAM_STRING("masquerade_classes", set.masquerade_classes,
	    "envelope_sender, header_sender, header_recipient", 0, 0,
	    "Which addresses are masqueraded."),
	PARAM_STRING("masquerade_domains", set.masquerade_domains, "", 0, 0,
	    "Domains whose sub-domains are left out of addresses; the first "
	    "that fits, \"!domain\" keeps what is below it."),
	PARAM_END
};

enum { ROUNDS = 100 };		/* a table may be asked about its answers */

enum { SENDERS = ENVELOPE_SENDER | HEADER_SENDER };

/* Which roles each table is for; LIST_MASQUERADE_EXCEPTIONS stands for all of
 * masquerading. */
static unsigned	roles_of[TABLES];

/* The roles that a parameter names. */
static unsigned
parse_classes(const char *parameter, const char *list)
{
	static const char *const	names[] = { "envelope_sender",
		"envelope_recipient", "header_sender", "header_recipient" };
	struct pool			*pool = pool_new("classes", 0);
	unsigned			 roles = 0, i;
	char				*at = pool_strdup(pool, list), *word;

	while ((word = text_next_word(&at)) != NULL) {
		for (i = 0; i < 4 && !text_equal(word, names[i]); i++)
			;
		if (i == 4)
			die("%s: %s: expected envelope_sender, "
			    "envelope_recipient, header_sender or "
			    "header_recipient", parameter, word);
		roles |= 1u << i;
	}
	pool_free(pool);
	return roles;
}

/* Read the classes. */
void
canonical_start(void)
{
	roles_of[TABLE_CANONICAL] = parse_classes("canonical_classes",
	    set.canonical_classes);
	roles_of[TABLE_SENDER_CANONICAL] = parse_classes(
	    "sender_canonical_classes", set.sender_canonical_classes);
	roles_of[TABLE_RECIPIENT_CANONICAL] = parse_classes(
	    "recipient_canonical_classes", set.recipient_canonical_classes);
	roles_of[LIST_MASQUERADE_EXCEPTIONS] = parse_classes(
	    "masquerade_classes", set.masquerade_classes);
	if (*set.masquerade_domains == '\0')
		roles_of[LIST_MASQUERADE_EXCEPTIONS] = 0;
}

/* Is this table to be asked about addresses of one of these roles? */
static bool
is_wanted(enum table table, unsigned roles)
{
	if (table == TABLE_SENDER_CANONICAL)
		roles &= SENDERS;
	else if (table == TABLE_RECIPIENT_CANONICAL)
		roles &= ~(unsigned)SENDERS;
	return (roles_of[table] & roles) != 0 && table_is_set(table);
}

/* Is any? */
bool
canonical_asks(unsigned roles)
{
	return is_wanted(TABLE_SENDER_CANONICAL, roles) ||
	    is_wanted(TABLE_RECIPIENT_CANONICAL, roles) ||
	    is_wanted(TABLE_CANONICAL, roles) ||
	    is_wanted(LIST_MASQUERADE_EXCEPTIONS, roles);
}

/* Of an envelope. */
const struct naming *
canonical_naming(void)
{
	static struct naming	naming;

	naming.origin = set.append_at_myorigin ? site.myorigin : NULL;
	naming.domain = set.append_dot_mydomain ? site.mydomain : NULL;
	return &naming;
}

/* Addresses in the hands of one table. */
struct mapping {
	struct pool		*pool;
	const struct naming	*naming;
	char			**addresses;
	size_t			 count;
	size_t			*places;	/* in the caller's list */
	bool			*is_changed;
};

/* table_each(): a table has something to say about this address. */
static void
take_answer(void *context, size_t i, const struct found *found)
{
	struct mapping	*m = context;
	char		*result;

	result = mapping_result(m->pool, m->addresses[i], found->value,
	    mapping_lists(set.propagate, "canonical") ? found->extension : "",
	    m->naming);
	if (result == NULL || text_equal(result, m->addresses[i]) ||
	    strlen(result) > ADDRESS_MAX)
		return;
	m->addresses[i] = result;
	m->is_changed[i] = true;
}

/* Keep those that have changed, for another round. */
static void
keep_changed(struct mapping *m, char **to)
{
	size_t	i, kept = 0;

	for (i = 0; i < m->count; i++) {
		if (!m->is_changed[i])
			continue;
		to[m->places[i]] = m->addresses[i];
		m->addresses[kept] = m->addresses[i];
		m->places[kept++] = m->places[i];
	}
	memset(m->is_changed, 0, m->count * sizeof(*m->is_changed));
	m->count = kept;
}

/* It cannot be accepted now. */
static int
refuse(struct transaction *t, const char *why)
{
	log_warning("%s: %s", t->queue_id, why);
	transaction_refuse(t, 451,
	    "451 4.3.0 Error: temporary lookup failure");
	return -1;
}

/* Ask one table about addresses, and about what it answers. */
WAITS static int
map(struct transaction *t, struct pool *pool, char **addresses, size_t count,
    enum table table, const struct naming *naming)
{
	struct mapping	 m = { .pool = pool, .naming = naming,
			    .count = count };
	const char	*why;
	size_t		 i;
	int		 round;

	m.addresses = pool_array(pool, count, sizeof(*m.addresses));
	m.places = pool_array(pool, count, sizeof(*m.places));
	m.is_changed = pool_array(pool, count, sizeof(*m.is_changed));
	for (i = 0; i < count; i++) {
		m.addresses[i] = addresses[i];
		m.places[i] = i;
	}
	for (round = 0; m.count > 0 && round < ROUNDS; round++) {
		if (table_each(pool, table, m.addresses, m.count, take_answer,
		    &m, &why) == -1)
			return refuse(t, why);
		keep_changed(&m, addresses);
	}
	return m.count == 0 ? 0 : refuse(t, pool_printf(pool, "%s: the "
	    "answers for %.200s lead in a circle", table_name(table),
	    m.addresses[0]));
}

/* Is this user not to be masqueraded? 1, 0, -1. */
WAITS static int
is_exception(struct transaction *t, struct pool *pool, const char *local,
    size_t len)
{
	struct key_row	key = { address_unquote_local(pool, local, len) };
	struct found	found;

	if (!table_is_set(LIST_MASQUERADE_EXCEPTIONS))
		return 0;
	table_ask(pool, LIST_MASQUERADE_EXCEPTIONS, LOOKUP_DOMAIN, &key, 1,
	    &found);
	if (found.result == LOOKUP_TEMPORARY)
		return refuse(t, pool_printf(pool, "%s: %s",
		    table_name(LIST_MASQUERADE_EXCEPTIONS), found.text));
	return found.result == LOOKUP_FOUND;
}

/* Leave sub-domains out. */
WAITS static int
masquerade(struct transaction *t, struct pool *pool, char **address)
{
	const char	*local, *domain, *shown;
	size_t		 len;
	int		 result;

	address_split(*address, &local, &len, &domain);
	if (domain == NULL || (shown = masquerade_domain(
	    set.masquerade_domains, domain)) == NULL)
		return 0;
	if ((result = is_exception(t, pool, local, len)) != 0)
		return result == 1 ? 0 : -1;
	*address = pool_printf(pool, "%.*s@%s", (int)len, local, shown);
	return 0;
}

/* Make them final. */
WAITS int
canonical_map(struct transaction *t, struct pool *pool, char **addresses,
    size_t count, enum role role, const struct naming *naming)
{
	static const enum table	order[] = { TABLE_SENDER_CANONICAL,
		TABLE_RECIPIENT_CANONICAL, TABLE_CANONICAL };
	size_t			i;

	for (i = 0; i < count; i++)
		addresses[i] = mapping_whole(pool, addresses[i], naming);
	if (t->mail.flags & MAIL_NO_EXPAND)
		return 0;
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (is_wanted(order[i], role) && map(t, pool, addresses,
		    count, order[i], naming) == -1)
			return -1;
	if ((roles_of[LIST_MASQUERADE_EXCEPTIONS] & role) == 0)
		return 0;
	for (i = 0; i < count; i++)
		if (masquerade(t, pool, &addresses[i]) == -1)
			return -1;
	return 0;
}

/* All addresses of a field's value. */
WAITS char *
canonical_field(struct transaction *t, struct pool *pool, const char *value,
    size_t len, enum role role, const struct naming *naming)
{
	struct span	*spans;
	struct str	 to;
	char		**results;
	size_t		 count, i, copied = 0;

	spans_find(pool, value, len, &spans, &count);
	results = pool_array(pool, count + 1, sizeof(*results));
	for (i = 0; i < count; i++)
		results[i] = spans[i].address;
	if (canonical_map(t, pool, results, count, role, naming) == -1)
		return NULL;
	str_init(&to, pool, 0);
	for (i = 0; i < count; i++) {
		if (strcmp(results[i], spans[i].address) == 0)
			continue;
		str_add_mem(&to, value + copied, spans[i].at - copied);
		str_add(&to, results[i]);
		if (spans[i].comments != NULL)
			str_add(&to, spans[i].comments);
		copied = spans[i].at + spans[i].len;
	}
	if (copied == 0)
		return NULL;
	str_add_mem(&to, value + copied, len - copied);
	return to.data;
}
