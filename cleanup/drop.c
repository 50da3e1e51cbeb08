/*
 * drop.c - a message in maildrop/.
 *
 * Written by postdrop, which runs with the rights of its group for a user who
 * may be hostile; read by pickup, which believes nothing of it. Little endian:
 *
 *	 0  8 bytes	"PRDROP1\n"
 *	 8  uint32	length of the head
 *	12  uint32	CRC-32C of the head
 *	16  head	by drop_fields: sender, options, recipients, and how
 *			long the content is
 *	    content	up to the end of the file, any line ends
 *
 * The file is complete when its owner may execute it, as in the queue; it is
 * locked while it is written. Its owner is the user who posted it.
 *
 * P1  No address, name or option from a drop contains a control byte, so none
 *     can bring a line of its own into a header, a log or a mailbox.
 */
#include "cleanup/drop.h"

#include <string.h>

#include "common/base/fields.h"
#include "common/mail/address.h"
#include "common/mail/dsn.h"
#include "common/mail/verp.h"
#include "common/queue/numbers.h"
#include "common/queue/queue.h"

static const char	magic[8] = "PRDROP1\n";
enum { AT_LENGTH = 8, AT_CRC = 12 };

enum { NOTIFY_ALL = NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE |
    NOTIFY_DELAY };

static char	*verp_filter;

const struct param	drop_params[] = {
	PARAM_STRING("verp_delimiter_filter", verp_filter, "-=+", 1, 100,
	    "The characters that VERP delimiters may be."),
	PARAM_END
};

static const struct field row_fields[] = {
	FIELD_STR(struct recipient_row, address,	1, ADDRESS_MAX),
	FIELD_STR(struct recipient_row, original,	0, ADDRESS_MAX),
	FIELD_STR(struct recipient_row, orcpt,		0, ADDRESS_MAX),
	FIELD_INT(struct recipient_row, notify,		0, 15),
	FIELD_END
};

static const struct field drop_fields[] = {
	FIELD_STR(struct drop, sender,		0, ADDRESS_MAX),
	FIELD_STR(struct drop, full_name,	0, ADDRESS_MAX),
	FIELD_STR(struct drop, envelope_id,	0, 255),
	FIELD_STR(struct drop, return_what,	0, 8),
	FIELD_STR(struct drop, verp,		0, 2),
	FIELD_INT(struct drop, flags,		0, SUBMIT_FLAGS),
	FIELD_INT(struct drop, content_length,	0, INT64_MAX / 4),
	FIELD_LIST(struct drop, recipients, count, DROP_RECIPIENTS_MAX,
	    row_fields, struct recipient_row),
	FIELD_END
};

/* Write prefix and head. */
const char *
drop_encode(const struct drop *d, struct str *to)
{
	size_t		 start = to->len, head = start + DROP_PREFIX;
	const char	*why;

	str_add_mem(to, magic, sizeof(magic));
	str_add_mem(to, "\0\0\0\0\0\0\0\0", DROP_PREFIX - AT_LENGTH);
	if (to->is_cut)
		return "there is no room for it";
	if ((why = fields_encode(drop_fields, d, to, NULL, NULL)) != NULL)
		return why;
	put32(to->data + start + AT_LENGTH, (uint32_t)(to->len - head));
	put32(to->data + start + AT_CRC,
	    queue_crc(0, to->data + head, to->len - head));
	return NULL;
}

/* The length of the head. */
const char *
drop_decode_prefix(const void *prefix, size_t *head_len)
{
	if (memcmp(prefix, magic, sizeof(magic)) != 0)
		return "it does not begin as a posted message";
	*head_len = get32((const char *)prefix + AT_LENGTH);
	if (*head_len == 0 || *head_len > DROP_HEAD_MAX)
		return "the length of its envelope is out of bounds";
	return NULL;
}

/* Read the head. */
const char *
drop_decode(struct drop *d, struct pool *pool, const void *prefix,
    const void *head, size_t head_len)
{
	const char	*why;

	if (queue_crc(0, head, head_len) !=
	    get32((const char *)prefix + AT_CRC))
		return "its envelope is damaged";
	why = fields_decode(drop_fields, d, pool, head, head_len, NULL, 0);
	if (why != NULL)
		return why;
	return drop_check(pool, d);
}

/* Does the text hold a byte that does not belong into a line? */
static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

/* One recipient. */
static const char *
check_recipient(struct pool *pool, struct recipient_row *row)
{
	const char	*why;

	if (has_control(row->original) || has_control(row->orcpt))
		return "a control character in an address";
	if (row->notify > NOTIFY_ALL ||
	    ((row->notify & NOTIFY_NEVER) && row->notify != NOTIFY_NEVER))
		return "what to notify of contradicts itself";
	why = address_parse(pool, row->address,
	    PATH_ALLOW_BARE_LOCAL | PATH_ALLOW_UTF8, &row->address);
	if (why != NULL)
		return pool_printf(pool, "recipient %s: %s", row->address, why);
	return NULL;
}

const char *
drop_check_verp(const char *delimiters)
{
	return verp_check(delimiters, verp_filter);
}

/* VERP: a sender to vary, and delimiters that are allowed. */
static const char *
check_verp(struct pool *pool, const struct drop *d)
{
	const char	*why;

	if (*d->verp == '\0')
		return NULL;
	if (*d->sender == '\0')
		return "VERP needs a sender";
	why = drop_check_verp(d->verp);
	return why == NULL ? NULL : pool_printf(pool, "VERP: %s", why);
}

/* The whole envelope. */
const char *
drop_check(struct pool *pool, struct drop *d)
{
	const char	*why;
	size_t		 i;

	if (d->count == 0)
		return "no recipients";
	if ((d->flags & ~SUBMIT_FLAGS) != 0)
		return "an option that nobody may give";
	if (has_control(d->full_name) || has_control(d->envelope_id) ||
	    has_control(d->verp))
		return "a control character in the envelope";
	if (*d->return_what != '\0' && strcmp(d->return_what, "FULL") != 0 &&
	    strcmp(d->return_what, "HDRS") != 0)
		return "what to return is neither FULL nor HDRS";
	why = address_parse(pool, d->sender, PATH_ALLOW_EMPTY |
	    PATH_ALLOW_BARE_LOCAL | PATH_ALLOW_UTF8, &d->sender);
	if (why != NULL)
		return pool_printf(pool, "sender %s: %s", d->sender, why);
	if ((why = check_verp(pool, d)) != NULL)
		return why;
	for (i = 0; i < d->count; i++)
		if ((why = check_recipient(pool, &d->recipients[i])) != NULL)
			return why;
	return NULL;
}
