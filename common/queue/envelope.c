/*
 * envelope.c - sender, options and recipients in a queue file.
 *
 * An envelope is, in numbers of little endian:
 *
 *	uint32	length of the head	head, by head_fields
 *	uint32	number of recipients
 *	and for each of them
 *	byte	status: R to do, X done, F failed; d delivered, p passed on,
 *		E expanded, b failed, of which the sender is still to be told
 *	uint32	length of the row	row, by row_fields
 *
 * The checksum in the preamble takes every status as zero, so that crossing a
 * recipient off is one byte overwritten and nothing else. What guards a status
 * is its parity.
 *
 * P1  envelope_decode() accepts no envelope of which a byte is missing, is
 *     too many, or differs from what was committed, but for the statuses;
 *     there, none in which one bit differs from what was written.
 */
#include "common/queue/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/fields.h"
#include "common/base/fs.h"
#include "common/mail/dsn.h"
#include "common/queue/numbers.h"

enum {
	TEXT_MAX = 4096,
	HEAD_MAX = 20 * TEXT_MAX,
	ENVELOPE_MAX = 512 * 1024 * 1024	/* some million recipients */
};

static const struct field head_fields[] = {
	FIELD_STR(struct mail, sender,		0, TEXT_MAX),
	FIELD_STR(struct mail, origin,		0, TEXT_MAX),
	FIELD_STR(struct mail, client_name,	0, TEXT_MAX),
	FIELD_STR(struct mail, client_address,	0, TEXT_MAX),
	FIELD_STR(struct mail, helo,		0, TEXT_MAX),
	FIELD_STR(struct mail, protocol,	0, TEXT_MAX),
	FIELD_STR(struct mail, full_name,	0, TEXT_MAX),
	FIELD_STR(struct mail, envelope_id,	0, TEXT_MAX),
	FIELD_STR(struct mail, return_what,	0, TEXT_MAX),
	FIELD_STR(struct mail, login,		0, TEXT_MAX),
	FIELD_STR(struct mail, extra,		0, TEXT_MAX),
	FIELD_INT(struct mail, uid,		INT64_MIN, INT64_MAX),
	FIELD_INT(struct mail, flags,		0, INT64_MAX),
	FIELD_INT(struct mail, arrival_us,	0, INT64_MAX),
	FIELD_INT(struct mail, size_hint,	INT64_MIN, INT64_MAX),
	FIELD_STR(struct mail, verp,		0, 2),
	FIELD_INT(struct mail, client_port,	0, 65535),
	FIELD_OPT(struct mail, forwarded,	TEXT_MAX),
	FIELD_STR(struct mail, filter,		0, TEXT_MAX),
	FIELD_END
};

static const struct field row_fields[] = {
	FIELD_STR(struct recipient_row, address,	0, TEXT_MAX),
	FIELD_STR(struct recipient_row, original,	0, TEXT_MAX),
	FIELD_STR(struct recipient_row, orcpt,		0, TEXT_MAX),
	FIELD_INT(struct recipient_row, notify,		0, 255),
	FIELD_END
};

/* Bytes being read. */
struct cursor {
	const unsigned char	*at;
	size_t			 left;
};

/* A number of four bytes; false when they are not there. */
static bool
take_number(struct cursor *c, uint32_t *n)
{
	if (c->left < sizeof(*n))
		return false;
	*n = get32(c->at);
	c->at += sizeof(*n);
	c->left -= sizeof(*n);
	return true;
}

/* A length and the bytes it announces. */
static bool
take_part(struct cursor *c, const unsigned char **part, uint32_t *len)
{
	if (!take_number(c, len) || *len > c->left)
		return false;
	*part = c->at;
	c->at += *len;
	c->left -= *len;
	return true;
}

/* Append a length of four bytes at a place kept for it. */
static void
put_length(struct str *to, size_t place)
{
	put32(to->data + place, (uint32_t)(to->len - place - 4));
}

/* Append a part: its length, then the struct. */
static const char *
add_part(struct str *to, const struct field *fields, const void *object)
{
	size_t		 place = to->len;
	const char	*why;

	str_add_mem(to, "\0\0\0\0", 4);
	if (to->is_cut)
		return "the envelope is too long";
	if ((why = fields_encode(fields, object, to, NULL, NULL)) != NULL)
		return why;
	put_length(to, place);
	return NULL;
}

/* "" for a string that its sender left out. */
static char *
or_empty(char *text)
{
	static char	nothing[1];

	return text != NULL ? text : nothing;
}

/* The head, with no string missing. */
static const char *
add_head(struct str *to, const struct mail *mail)
{
	struct mail	m = *mail;

	m.sender = or_empty(m.sender);
	m.origin = or_empty(m.origin);
	m.client_name = or_empty(m.client_name);
	m.client_address = or_empty(m.client_address);
	m.helo = or_empty(m.helo);
	m.protocol = or_empty(m.protocol);
	m.full_name = or_empty(m.full_name);
	m.envelope_id = or_empty(m.envelope_id);
	m.return_what = or_empty(m.return_what);
	m.login = or_empty(m.login);
	m.verp = or_empty(m.verp);
	m.filter = or_empty(m.filter);
	m.extra = or_empty(m.extra);
	return add_part(to, head_fields, &m);
}

/* One recipient with the status "to do", or an alias that is reported. */
static const char *
add_recipient(struct str *to, const struct recipient_row *row)
{
	struct recipient_row	r = *row;

	r.address = or_empty(r.address);
	r.original = or_empty(r.original);
	r.orcpt = or_empty(r.orcpt);
	str_add_char(to, r.notify & NOTIFY_EXPANDED ? RECIPIENT_EXPANDED :
	    RECIPIENT_TO_DO);
	return add_part(to, row_fields, &r);
}

/* Write a whole envelope. */
const char *
envelope_encode(const struct mail *mail, const struct recipient_row *rows,
    size_t count, struct str *to)
{
	unsigned char	 raw[4];
	const char	*why;
	size_t		 i;

	if (count == 0 || count > UINT32_MAX)
		return "the envelope has no recipients or too many";
	if ((why = add_head(to, mail)) != NULL)
		return why;
	put32(raw, (uint32_t)count);
	str_add_mem(to, raw, sizeof(raw));
	for (i = 0; i < count; i++)
		if ((why = add_recipient(to, &rows[i])) != NULL)
			return why;
	return to->is_cut ? "the envelope is too long" : NULL;
}

/* The checksum: everything as it is but the statuses. What does not look
 * like an envelope is summed up as it is. */
uint32_t
envelope_crc(const void *data, size_t len)
{
	struct cursor		 c = { data, len };
	const unsigned char	*from = data, *part;
	uint32_t		 count, part_len, crc = 0;

	if (!take_part(&c, &part, &part_len) || !take_number(&c, &count))
		return queue_crc(0, data, len);
	for (; count > 0 && c.left > 0; count--) {
		crc = queue_crc(crc, from, (size_t)(c.at - from));
		crc = queue_crc(crc, "", 1);
		c.at++;
		c.left--;
		from = c.at;
		if (!take_part(&c, &part, &part_len))
			break;
	}
	return queue_crc(crc, from,
	    (size_t)((const unsigned char *)data + len - from));
}

/* One struct that must fill its part. */
static const char *
decode_part(const struct field *fields, void *object, struct pool *pool,
    struct cursor *c)
{
	const unsigned char	*part;
	uint32_t		 len;

	if (!take_part(c, &part, &len))
		return "the envelope ends too early";
	return fields_decode(fields, object, pool, part, len, NULL, 0);
}

/* Is this byte a status? */
static bool
is_status(unsigned char byte)
{
	return byte != '\0' && strchr((const char[]){ RECIPIENT_TO_DO,
	    RECIPIENT_DONE, RECIPIENT_FAILED, RECIPIENT_DELIVERED,
	    RECIPIENT_RELAYED, RECIPIENT_EXPANDED, RECIPIENT_OWED, '\0' },
	    byte) != NULL;
}

/* One recipient and where its status stands in the file. */
static const char *
decode_recipient(struct envelope_recipient *r, struct pool *pool,
    struct cursor *c, int64_t offset)
{
	if (c->left < 1)
		return "the envelope ends too early";
	r->status = *c->at;
	r->status_offset = offset;
	if (!is_status(r->status))
		return "a recipient has an unknown status";
	c->at++;
	c->left--;
	return decode_part(row_fields, &r->row, pool, c);
}

/* Read a whole envelope. */
const char *
envelope_decode(struct envelope *e, struct pool *pool, const void *data,
    size_t len, int64_t offset, uint32_t expected_crc)
{
	const unsigned char	*start = data;
	struct cursor		 c = { start, len };
	const char		*why;
	uint32_t		 count, i;

	memset(e, 0, sizeof(*e));
	if (envelope_crc(data, len) != expected_crc)
		return "the envelope is damaged";
	if ((why = decode_part(head_fields, &e->mail, pool, &c)) != NULL)
		return why;
	if (!take_number(&c, &count) || count == 0 || count > c.left / 5)
		return "the envelope ends too early";
	e->recipients = pool_array(pool, count, sizeof(*e->recipients));
	for (i = 0; i < count; i++) {
		why = decode_recipient(&e->recipients[i], pool, &c,
		    offset + (c.at - start));
		if (why != NULL)
			return why;
	}
	if (c.left > 0)
		return "something follows the last recipient";
	e->count = count;
	return NULL;
}

/* The preamble of an open file, checked against the file's size. */
static const char *
read_preamble(int fd, struct queue_layout *layout, uint32_t *crc)
{
	unsigned char	 raw[QUEUE_PREAMBLE];
	const char	*why;
	struct stat	 st;
	ssize_t		 n;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	if ((n = fs_pread(fd, raw, sizeof(raw), 0)) == -1)
		return strerror(errno);
	why = queue_preamble_decode(raw, (size_t)n, layout, crc);
	if (why != NULL)
		return why;
	if (layout->envelope_length > ENVELOPE_MAX)
		return "the envelope is too long";
	if (layout->envelope_offset + layout->envelope_length > st.st_size)
		return "the file is shorter than its preamble says";
	return NULL;
}

/* Read preamble and envelope of an open file. */
const char *
envelope_read(struct envelope *e, struct queue_layout *layout,
    struct pool *pool, int fd)
{
	const char	*why;
	uint32_t	 crc = 0;
	size_t		 len;
	void		*data;

	memset(e, 0, sizeof(*e));
	if ((why = read_preamble(fd, layout, &crc)) != NULL)
		return why;
	len = (size_t)layout->envelope_length;
	data = mem_alloc(len);
	if (fs_pread(fd, data, len, layout->envelope_offset) != (ssize_t)len)
		why = "the envelope cannot be read";
	else
		why = envelope_decode(e, pool, data, len,
		    layout->envelope_offset, crc);
	free(data);
	return why;
}

/* The bytes of the head, and how many they are. */
static const char *
read_head(int fd, struct pool *pool, unsigned char **data, size_t *len)
{
	struct queue_layout	 layout;
	const char		*why;
	uint32_t		 crc;

	if ((why = read_preamble(fd, &layout, &crc)) != NULL)
		return why;
	*len = (size_t)layout.envelope_length;
	if (*len > HEAD_MAX)
		*len = HEAD_MAX;
	*data = pool_alloc(pool, *len);
	if (fs_pread(fd, *data, *len, layout.envelope_offset) !=
	    (ssize_t)*len)
		return "the envelope cannot be read";
	return NULL;
}

/* The head alone. */
const char *
envelope_read_mail(struct mail *mail, struct pool *pool, int fd)
{
	struct cursor	 c;
	unsigned char	*data;
	const char	*why;

	memset(mail, 0, sizeof(*mail));
	if ((why = read_head(fd, pool, &data, &c.left)) != NULL)
		return why;
	c.at = data;
	return decode_part(head_fields, mail, pool, &c);
}
