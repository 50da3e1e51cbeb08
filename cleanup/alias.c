/*
 * alias.c - the envelope made final.
 *
 * Called on the message's fiber when everything has come: addresses are made
 * whole and canonical, who gets a copy is added, virtual aliases are expanded
 * by resolve, and who would get the message twice gets it once. The sender was
 * made final when the content began.
 */
#include "cleanup/transaction.h"

#include <errno.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/mail/address.h"
#include "common/mail/dsn.h"
#include "common/param/site.h"

#include "cleanup/canonical.h"
#include "cleanup/lookup.h"

const struct param	alias_params[] = {
	PARAM_STRING("virtual_alias_maps", set.virtual_alias_maps, "", 0, 0,
	    "Tables that say which addresses an address stands for. Without "
	    "any, no question is asked."),
	PARAM_BOOL("enable_original_recipient", set.keeps_originals, "yes",
	    "Keep the address that a recipient had before it was rewritten, "
	    "for the log and for X-Original-To:."),
	PARAM_END
};

enum {
	CHUNK_ROWS = 100,		/* in one question */
	CHUNK_BYTES = 16 * 1024,
	ORCPT_ROOM = 490		/* RFC 3461 4.2 */
};

/* Make the sender and every recipient whole, the recipients canonical; what
 * was given is kept. */
WAITS static void
map_all(struct transaction *t)
{
	const struct naming	*naming = canonical_naming();
	struct recipient_row	*row;
	char			**addresses;
	size_t			 i;

	t->mail.sender = mapping_whole(t->pool, t->mail.sender, naming);
	addresses = pool_array(t->pool, t->count + 1, sizeof(*addresses));
	for (i = 0; i < t->count; i++)
		addresses[i] = t->rows[i].address;
	if (canonical_map(t, t->pool, addresses, t->count,
	    ENVELOPE_RECIPIENT, naming) == -1)
		return;
	for (i = 0; i < t->count; i++) {
		row = &t->rows[i];
		if (strcmp(addresses[i], row->address) == 0)
			continue;
		if (*row->original == '\0')
			row->original = row->address;
		row->address = addresses[i];
	}
}

/* REDIRECT: one instead of all; he gets it as it is, whatever filter there
 * is. */
static void
redirect(struct transaction *t)
{
	t->rows = pool_alloc(t->pool, sizeof(*t->rows));
	t->rows[0] = (struct recipient_row){
		.address = t->redirect,
		.original = pool_strdup(t->pool, ""),
		.orcpt = pool_strdup(t->pool, "")
	};
	t->room = t->count = 1;
	t->mail.filter = pool_strdup(t->pool, "");
}

/* How many rows from `first` on make one question. A recipient of whose
 * success somebody wants to hear is one alone: see keep_success(). */
static size_t
chunk(const struct transaction *t, size_t first)
{
	size_t	n, bytes = 0;

	for (n = 0; n < CHUNK_ROWS && first + n < t->count; n++) {
		if (t->rows[first + n].notify & NOTIFY_SUCCESS)
			break;
		bytes += strlen(t->rows[first + n].address) +
		    strlen(t->rows[first + n].original) +
		    strlen(t->rows[first + n].orcpt) + 32;
		if (bytes > CHUNK_BYTES)
			break;
	}
	return n > 0 ? n : 1;
}

/* Rows being collected. */
struct rows {
	struct recipient_row	*row;
	size_t			 count, room;
};

/* Append the rows of one answer. */
static void
collect(struct pool *pool, struct rows *to, const struct recipient_row *rows,
    size_t n)
{
	if (n == 0)
		return;
	to->row = pool_grow(pool, to->row, &to->room, to->count + n,
	    sizeof(*rows));
	memcpy(to->row + to->count, rows, n * sizeof(*rows));
	to->count += n;
}

/*
 * RFC 3461 5.2.7.3 (c): of several that an address stands for, none reports
 * success. That the address was expanded is what its sender is told, by qmgr,
 * for whom it stays in the envelope. Failures and delays are told of each.
 */
static void
keep_success(struct transaction *t, const struct recipient_row *alias,
    struct recipient_row *rows, size_t n)
{
	struct recipient_row	*row;
	size_t			 i;

	if (n < 2)
		return;
	for (i = 0; i < n; i++) {
		rows[i].notify &= ~NOTIFY_SUCCESS;
		if (rows[i].notify == 0)
			rows[i].notify = NOTIFY_NEVER;
	}
	t->aliases = pool_grow(t->pool, t->aliases, &t->alias_room,
	    t->alias_count + 1, sizeof(*t->aliases));
	row = &t->aliases[t->alias_count++];
	*row = *alias;
	row->notify |= NOTIFY_EXPANDED;
}

/* The aliases that were kept, behind all others: nobody is to take them for
 * recipients. */
static void
add_aliases(struct transaction *t)
{
	struct recipient_row	*rows;

	if (t->alias_count == 0)
		return;
	rows = pool_array(t->pool, t->count + t->alias_count, sizeof(*rows));
	memcpy(rows, t->rows, t->count * sizeof(*rows));
	memcpy(rows + t->count, t->aliases, t->alias_count * sizeof(*rows));
	t->rows = rows;
	t->room = t->count += t->alias_count;
}

/* One question: ROUTE_OK when its rows have been collected. */
WAITS static int64_t
expand(struct transaction *t, struct rows *to, size_t first, size_t n,
    const char **text)
{
	struct ask_expand	ask = { t->rows + first, n };
	struct expanded		answer;

	if (link_ask(to_resolve, PACKET_ASK_EXPAND, &ask, PACKET_EXPANDED,
	    &answer, t->pool, clock_now() + site.ipc_timeout, true) == -1) {
		*text = strerror(errno);
		return ROUTE_TEMPORARY;
	}
	*text = answer.text;
	if (answer.result != ROUTE_OK)
		return answer.result;
	if (n == 1 && (t->rows[first].notify & NOTIFY_SUCCESS))
		keep_success(t, &t->rows[first], answer.rows, answer.count);
	collect(t->pool, to, answer.rows, answer.count);
	return ROUTE_OK;
}

/* A question whose answer may be too long for a packet is asked again row
 * by row; the first that fails alone has failed. */
WAITS static int64_t
expand_chunk(struct transaction *t, struct rows *to, size_t first, size_t n,
    const char **text)
{
	int64_t	result = expand(t, to, first, n, text);
	size_t	i;

	if (result != ROUTE_TEMPORARY || n == 1)
		return result;
	for (i = 0; i < n; i++)
		if ((result = expand(t, to, first + i, 1, text)) != ROUTE_OK)
			return result;
	return ROUTE_OK;
}

/* Say why expansion failed. */
static void
refuse(struct transaction *t, int64_t result, const char *text)
{
	log_warning("%s: virtual alias expansion: %s", t->queue_id, text);
	if (result == ROUTE_TEMPORARY)
		transaction_refuse(t, 451,
		    "451 4.3.0 Error: temporary lookup failure");
	else
		transaction_refuse(t, 550, pool_printf(t->pool,
		    "550 5.1.0 Error: %.500s", text));
}

/* Replace the recipients by whom they stand for. */
WAITS static void
expand_all(struct transaction *t)
{
	struct rows	 to = { .room = t->count + 16 };
	const char	*text = "";
	int64_t		 result;
	size_t		 first, n;

	to.row = pool_array(t->pool, to.room, sizeof(*to.row));
	for (first = 0; first < t->count; first += n) {
		n = chunk(t, first);
		result = expand_chunk(t, &to, first, n, &text);
		if (result != ROUTE_OK) {
			refuse(t, result, text);
			return;
		}
	}
	t->rows = to.row;
	t->count = to.count;
	t->room = to.room;
}

/* A number for an address, by its local part. */
static uint32_t
hash(const char *address)
{
	uint32_t	h = hash_bytes(HASH_START, address,
			    strcspn(address, "@"));

	return h ^ h >> 15;
}

/* The same mailbox? The case of a local part is the receiver's business. */
static bool
is_same(const char *a, const char *b)
{
	const char	*a_local, *a_domain, *b_local, *b_domain;
	size_t		 a_len, b_len;

	address_split(a, &a_local, &a_len, &a_domain);
	address_split(b, &b_local, &b_len, &b_domain);
	if (a_len != b_len || memcmp(a_local, b_local, a_len) != 0)
		return false;
	if (a_domain == NULL || b_domain == NULL)
		return a_domain == b_domain;
	return domain_equal(a_domain, b_domain);
}

/* The wishes of two that are the same mailbox: whatever one of them wants to
 * be told. Without a wish, failures and delays are (RFC 3461 4.1). */
static int64_t
both_wishes(int64_t a, int64_t b)
{
	enum { USUAL = NOTIFY_FAILURE | NOTIFY_DELAY };

	if (a == b || b == NOTIFY_NEVER)
		return a;
	if (a == NOTIFY_NEVER)
		return b;
	return (a != 0 ? a : USUAL) | (b != 0 ? b : USUAL);
}

/* Keep the first row of each address, in order. */
size_t
alias_unique(struct pool *pool, struct recipient_row *rows, size_t n)
{
	size_t	 size = 16, kept = 0, i, place;
	size_t	*table;		/* index + 1 into rows; 0 is free */
	struct recipient_row	*same;

	while (size < 2 * n)
		size *= 2;
	table = pool_array(pool, size, sizeof(*table));
	for (i = 0; i < n; i++) {
		place = hash(rows[i].address) & (size - 1);
		while (table[place] != 0 && !is_same(
		    rows[table[place] - 1].address, rows[i].address))
			place = (place + 1) & (size - 1);
		if (table[place] != 0) {
			same = &rows[table[place] - 1];
			same->notify = both_wishes(same->notify,
			    rows[i].notify);
			continue;
		}
		rows[kept++] = rows[i];
		table[place] = kept;
	}
	return kept;
}

/* Plain ASCII, as an address of type rfc822 is? */
static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* RFC 3461 5.2.7: whoever an alias leads to, reports name the address that
 * the sender knows. local has seen to that in what it forwards. */
static void
name_originals(struct transaction *t)
{
	struct recipient_row	*row;
	char			*whole;
	size_t			 i;

	if (t->mail.flags & MAIL_IS_FORWARD)
		return;
	for (i = 0; i < t->count; i++) {
		row = &t->rows[i];
		if (*row->orcpt != '\0' || *row->original == '\0' ||
		    !is_ascii(row->original))
			continue;
		whole = mapping_whole(t->pool, row->original,
		    canonical_naming());
		if (!is_same(whole, row->address) &&
		    strlen(whole) <= ORCPT_ROOM)
			row->orcpt = pool_printf(t->pool, "rfc822;%s", whole);
	}
}

/* As if every recipient had been given as he is now. */
static void
forget_originals(struct transaction *t)
{
	size_t	i;

	for (i = 0; i < t->count; i++)
		t->rows[i].original = pool_strdup(t->pool, "");
}

/* Make the envelope final. */
void
alias_apply(struct transaction *t)
{
	if (t->redirect != NULL) {
		redirect(t);
		return;
	}
	map_all(t);
	if (t->code != 0 || copies_add(t) == -1)
		return;
	if ((t->mail.flags & MAIL_NO_EXPAND) == 0 &&
	    *set.virtual_alias_maps != '\0')
		expand_all(t);
	if (t->code != 0)
		return;
	name_originals(t);
	if (!set.keeps_originals)
		forget_originals(t);
	if (t->count > 1)
		t->count = alias_unique(t->pool, t->rows, t->count);
	if (t->count == 0)
		transaction_refuse(t, 550, "550 5.1.0 Error: the aliases of "
		    "all recipients are empty");
	else
		add_aliases(t);
}
