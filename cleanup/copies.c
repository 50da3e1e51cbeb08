/*
 * copies.c - recipients that nobody named.
 *
 * New mail, from the network or posted here, may have to be copied to others:
 * to always_bcc, to whom the sender's entry in sender_bcc_maps names, to whom
 * each recipient's in recipient_bcc_maps does, and to whom a BCC of
 * header_checks does. Their addresses are made final like any other's, and the
 * sender hears nothing of them. Mail that we write or pass on ourselves is not
 * copied: it would not end; nor is a question (sendmail -bv), whose answer
 * would name them.
 */
#include "cleanup/transaction.h"

#include <string.h>

#include "common/base/log.h"
#include "common/mail/dsn.h"

#include "cleanup/canonical.h"
#include "cleanup/lookup.h"

const struct param	copies_params[] = {
	PARAM_STRING("always_bcc", set.always_bcc, "", 0, 1024,
	    "An address that gets a copy of all mail that comes in."),
	PARAM_END
};

/* Addresses being collected. */
struct copies {
	struct transaction	*t;
	char			**keys;		/* what was asked about */
	char			**addresses;
	size_t			 count, room;
};

/* One more. */
static void
add(struct copies *c, char *address)
{
	c->addresses = pool_grow(c->t->pool, c->addresses, &c->room,
	    c->count + 1, sizeof(*c->addresses));
	c->addresses[c->count++] = address;
}

/* table_each(): somebody gets a copy because of this address. */
static void
take_answer(void *context, size_t i, const struct found *found)
{
	struct copies	*c = context;
	char		*address;

	address = mapping_result(c->t->pool, c->keys[i], found->value, "",
	    canonical_naming());
	if (address == NULL)
		log_warning("%s: no address for a copy of mail of %s: "
		    "\"%.200s\"", c->t->queue_id, c->keys[i], found->value);
	else if (*address != '\0')
		add(c, address);
}

/* What a table says about these addresses. */
WAITS static int
ask(struct copies *c, enum table table, char **keys, size_t count)
{
	const char	*why;

	if (!table_is_set(table))
		return 0;
	c->keys = keys;
	if (table_each(c->t->pool, table, keys, count, take_answer, c,
	    &why) == 0)
		return 0;
	log_warning("%s: %s", c->t->queue_id, why);
	transaction_refuse(c->t, 451,
	    "451 4.3.0 Error: temporary lookup failure");
	return -1;
}

/* Both tables. */
WAITS static int
ask_tables(struct copies *c)
{
	struct transaction	*t = c->t;
	char			**keys;
	size_t			 i;

	if (ask(c, TABLE_SENDER_BCC, &t->mail.sender, 1) == -1)
		return -1;
	if (!table_is_set(TABLE_RECIPIENT_BCC))
		return 0;
	keys = pool_array(t->pool, t->count + 1, sizeof(*keys));
	for (i = 0; i < t->count; i++)
		keys[i] = t->rows[i].address;
	return ask(c, TABLE_RECIPIENT_BCC, keys, t->count);
}

/* Rows for all who were found. */
static void
add_rows(struct copies *c)
{
	struct transaction	*t = c->t;
	struct recipient_row	*rows;
	size_t			 i;

	rows = pool_array(t->pool, t->count + c->count, sizeof(*rows));
	memcpy(rows, t->rows, t->count * sizeof(*rows));
	for (i = 0; i < c->count; i++)
		rows[t->count + i] = (struct recipient_row){
			.address = c->addresses[i],
			.original = pool_strdup(t->pool, ""),
			.orcpt = pool_strdup(t->pool, ""),
			.notify = NOTIFY_NEVER
		};
	t->rows = rows;
	t->room = t->count += c->count;
}

/* Does it come from outside? */
static bool
is_new(const struct mail *m)
{
	if (m->flags & (MAIL_NO_EXPAND | MAIL_IS_BOUNCE))
		return false;
	return strcmp(m->origin, "smtpd") == 0 ||
	    strcmp(m->origin, "pickup") == 0;
}

/* Add all of them. */
WAITS int
copies_add(struct transaction *t)
{
	struct copies	c = { .t = t };
	size_t		i;

	if (t->mail.flags & MAIL_IS_PROBE)
		return 0;
	for (i = 0; i < t->copy_count; i++)
		add(&c, t->copies[i]);
	if (is_new(&t->mail)) {
		if (*set.always_bcc != '\0')
			add(&c, pool_strdup(t->pool, set.always_bcc));
		if (ask_tables(&c) == -1)
			return -1;
	}
	if (c.count == 0)
		return 0;
	if (canonical_map(t, t->pool, c.addresses, c.count,
	    ENVELOPE_RECIPIENT, canonical_naming()) == -1)
		return -1;
	add_rows(&c);
	return 0;
}
