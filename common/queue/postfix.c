/*
 * postfix.c - a message in Postfix's queue, taken apart.
 *
 * The format is not documented; this is what files of Postfix 3.7 and what its
 * postcat says of them show. A file is a sequence of records: a byte that is
 * its type, a length in digits to the base of 128, the lowest first, with the
 * high bit in all but the last, and so many bytes. First the envelope up to M,
 * then the content up to X, then more of the envelope up to E:
 *
 *	T  arrival: seconds, microseconds	S  sender
 *	A  attribute, name=value		F  sender's full name
 *	R  recipient to do			D  recipient done, was R
 *	O  original recipient, before R		/  recipient cancelled, was R
 *	>  one recipient instead of all		L  content filter
 *	V  VERP delimiters			W  when to warn the sender of
 *						   the delay; -1 he has been
 *	p  the next record is at this place, in decimal; 0: the one behind
 *	N  a line of content			L  part of a line of content
 *	C  sizes	c  created	I P f e r  of no use here
 *	w  room		K  a record that is void
 *
 * Notifications are attributes in front of O and R (notify_flags, with the bits
 * of enum dsn_notify, and dsn_orig_rcpt). Addresses have no quotes.
 *
 * P1  Each byte is read once at most: a file whose pointers lead in a circle
 *     is refused after as many bytes as it has.
 * P2  A record of a type that is not listed here refuses the file: it might
 *     say something that must be obeyed.
 * P3  A file is good only with sender, time, M, X and E: Postfix writes E last.
 * P4  No text of the envelope has a control byte.
 */
#include "common/queue/postfix.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/dsn.h"
#include "common/mail/origin.h"

enum {
	RECORD_MAX = 1 << 30,
	TEXT_LEN_MAX = 2048,		/* an envelope takes more */
	NOTIFY_BITS = NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE |
	    NOTIFY_DELAY
};

/* A record. */
struct record {
	unsigned char		 type;
	const unsigned char	*data;
	size_t			 len;
};

/* Where a client came from: what a name of an attribute may begin with "log_",
 * since it was told by a server in front of Postfix. */
struct client {
	char	*name, *address, *port, *helo, *protocol;
};

/* The work on one file. */
struct work {
	struct postfix_file	*file;
	struct pool		*pool;
	const unsigned char	*data;
	size_t			 len, at, seen;
	enum { ENVELOPE, CONTENT, EXTRACTED, OVER } part;
	bool			 has_sender, has_time;
	struct client		 client, first;
	char			*redirect;
	/* of the next recipient */
	char			*original, *orcpt;
	int64_t			 notify;
	size_t			 room;
};

/* --- records ------------------------------------------------------------- */

/* The length of a record. */
static const char *
take_length(struct work *w, size_t *len)
{
	unsigned	shift;
	unsigned char	byte;

	*len = 0;
	for (shift = 0; shift < 35; shift += 7) {
		if (w->at == w->len)
			return "it ends in the middle of a record";
		byte = w->data[w->at++];
		*len |= (size_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return *len > RECORD_MAX ? "a record is too long" :
			    NULL;
	}
	return "a record is too long";
}

/* The next record (P1). */
static const char *
take_record(struct work *w, struct record *r)
{
	size_t		 begin = w->at;
	const char	*why;

	if (w->at == w->len)
		return "it ends without a record that says so";
	r->type = w->data[w->at++];
	if ((why = take_length(w, &r->len)) != NULL)
		return why;
	if (r->len > w->len - w->at)
		return "a record reaches beyond the end";
	r->data = w->data + w->at;
	w->at += r->len;
	w->seen += w->at - begin;
	return w->seen > w->len ? "its pointers lead in a circle" : NULL;
}

/* The text of a record (P4). */
static const char *
text_of(struct work *w, const struct record *r, char **text)
{
	size_t	i;

	if (r->len > TEXT_LEN_MAX)
		return "a text in its envelope is too long";
	for (i = 0; i < r->len; i++)
		if (r->data[i] < ' ' || r->data[i] == 0x7f)
			return "there is a control character in its envelope";
	*text = pool_strndup(w->pool, r->data, r->len);
	return NULL;
}

/* A number in a record, perhaps with blanks around it. */
static const char *
number_of(struct work *w, const struct record *r, int64_t min, int64_t max,
    int64_t *n)
{
	char		*text;
	const char	*why = text_of(w, r, &text);

	return why != NULL ? why : text_integer(text_trim(text), min, max,
	    n) != NULL ? "there is a bad number in its envelope" : NULL;
}

/* Go on elsewhere. */
static const char *
follow(struct work *w, const struct record *r)
{
	int64_t		 place;
	const char	*why = number_of(w, r, 0, INT64_MAX, &place);

	if (why != NULL || place == 0)
		return why;
	if ((uint64_t)place >= w->len)
		return "a pointer leads beyond the end";
	w->at = (size_t)place;
	return NULL;
}

/* --- addresses ----------------------------------------------------------- */

/* A recipient may be a name alone, as programs of Postfix's own queue it. */
static const char *
address_of(struct work *w, const struct record *r, char **address)
{
	enum { RULES = PATH_ALLOW_EMPTY | PATH_ALLOW_BARE_LOCAL |
	    PATH_ALLOW_UTF8 };
	char		*raw, *at, *quoted;
	const char	*why = text_of(w, r, &raw);

	if (why != NULL)
		return why;
	if (address_parse(w->pool, raw, RULES, address) == NULL)
		return NULL;
	at = strrchr(raw, '@');
	if (at != NULL)
		*at = '\0';
	quoted = address_quote_local(w->pool, raw);
	if (at != NULL)
		quoted = pool_printf(w->pool, "%s@%s", quoted, at + 1);
	return address_parse(w->pool, quoted, RULES, address) == NULL ? NULL :
	    "there is a bad address in its envelope";
}

/* S, O and > */
static const char *
take_address(struct work *w, const struct record *r)
{
	char		*address;
	const char	*why = address_of(w, r, &address);

	if (why != NULL)
		return why;
	if (r->type == 'O')
		w->original = address;
	else if (r->type == '>')
		w->redirect = address;
	else {
		w->file->mail.sender = address;
		w->has_sender = true;
	}
	return NULL;
}

/* What was told of the next recipient is used up. */
static void
forget_options(struct work *w)
{
	static char	nothing[1];

	w->original = w->orcpt = nothing;
	w->notify = 0;
}

/* R */
static const char *
take_recipient(struct work *w, const struct record *r)
{
	struct postfix_file	*f = w->file;
	struct recipient_row	 row = { .orcpt = w->orcpt,
				    .original = w->original,
				    .notify = w->notify };
	const char		*why = address_of(w, r, &row.address);

	if (why != NULL)
		return why;
	if (*row.address == '\0')
		return "a recipient is empty";
	if (strcmp(row.original, row.address) == 0)
		row.original += strlen(row.original);
	f->recipients = pool_grow(w->pool, f->recipients, &w->room,
	    f->count + 1, sizeof(*f->recipients));
	f->recipients[f->count++] = row;
	forget_options(w);
	return NULL;
}

/* --- attributes ---------------------------------------------------------- */

/* 1 FULL, 2 HDRS */
static const char *
take_return(struct work *w, const char *value)
{
	static char	full[] = "FULL", headers[] = "HDRS";

	if (strcmp(value, "1") == 0)
		w->file->mail.return_what = full;
	else if (strcmp(value, "2") == 0)
		w->file->mail.return_what = headers;
	else if (strcmp(value, "0") != 0)
		return "there is a bad value of ret_flags in its envelope";
	return NULL;
}

/* The bits of enum dsn_notify. */
static const char *
take_notify(struct work *w, const char *value)
{
	if (text_integer(value, 0, NOTIFY_BITS, &w->notify) != NULL)
		return "there is a bad value of notify_flags in its envelope";
	return NULL;
}

/* What sets flags: a body type, whose headers are completed, SMTPUTF8. */
static const char *
take_flag(struct work *w, const char *value)
{
	int64_t	*flags = &w->file->mail.flags;

	if (text_equal(value, "8bit"))
		*flags |= MAIL_IS_8BIT;
	else if (strcmp(value, "local") == 0)
		*flags |= MAIL_FROM_OURS;
	else if (strcmp(value, "remote") == 0)
		*flags |= MAIL_FROM_OTHERS;
	else if (strspn(value, "0123456789") > 0 && strcmp(value, "0") != 0)
		*flags |= MAIL_IS_UTF8;
	return NULL;
}

/* sendmail -bv and -v, which are told in a report. */
static const char *
take_trace(struct work *w, const char *value)
{
	int64_t	bits;

	if (text_integer(value, 0, INT32_MAX, &bits) != NULL)
		return "there is a bad value of trace_flags in its envelope";
	if (bits != 0)
		return "it is a probe or asks for a report of each delivery "
		    "(sendmail -bv, -v)";
	(void)w;
	return NULL;
}

/* Attributes with a meaning of their own. */
static const struct {
	const char	*name;
	const char	*(*take)(struct work *, const char *);
} meanings[] = {
	{ "encoding",		take_flag },
	{ "ret_flags",		take_return },
	{ "notify_flags",	take_notify },
	{ "smtputf8",		take_flag },
	{ "rewrite_context",	take_flag },
	{ "trace_flags",	take_trace },
};

/* The place of an attribute that is kept as it is, or NULL. */
static char **
place_of(struct work *w, const char *name)
{
	struct mail	*m = &w->file->mail;
	bool		 is_first = strncmp(name, "log_", 4) == 0;
	struct client	*c = is_first ? &w->first : &w->client;
	const struct { const char *name; char **place; } places[] = {
		{ "client_name",	&c->name },
		{ "client_address",	&c->address },
		{ "client_port",	&c->port },
		{ "helo_name",		&c->helo },
		{ "protocol_name",	&c->protocol },
		{ "envelope_id",	&m->envelope_id },
		{ "sasl_username",	&m->login },
		{ "dsn_orig_rcpt",	&w->orcpt },
	};
	size_t		 i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strcmp(name + (is_first ? 4 : 0), places[i].name) == 0)
			return places[i].place;
	return NULL;
}

/* A: what is not known here is of no use to us. */
static const char *
take_attribute(struct work *w, const struct record *r)
{
	char		*name, *value, **place;
	const char	*why = text_of(w, r, &name);
	size_t		 i;

	if (why != NULL)
		return why;
	if ((value = strchr(name, '=')) == NULL)
		return "an attribute in its envelope has no value";
	*value++ = '\0';
	for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strcmp(name, meanings[i].name) == 0)
			return meanings[i].take(w, value);
	if ((place = place_of(w, name)) != NULL)
		*place = value;
	return NULL;
}

/* --- the rest of the envelope -------------------------------------------- */

/* T: "seconds microseconds" */
static const char *
take_time(struct work *w, const struct record *r)
{
	char		*text, *rest;
	const char	*why = text_of(w, r, &text);
	int64_t		 seconds, more = 0;

	if (why != NULL)
		return why;
	text = text_trim(text);
	if ((rest = strchr(text, ' ')) != NULL)
		*rest++ = '\0';
	if (text_integer(text, 0, INT32_MAX * (int64_t)1000, &seconds) !=
	    NULL || (rest != NULL && text_integer(text_trim(rest), 0, 999999,
	    &more) != NULL))
		return "there is a bad time in its envelope";
	w->file->mail.arrival_us = seconds * 1000000 + more;
	w->has_time = true;
	return NULL;
}

/* W: -1 when the sender has been warned. */
static const char *
take_warning(struct work *w, const struct record *r)
{
	int64_t		 when;
	const char	*why = number_of(w, r, INT64_MIN, INT64_MAX, &when);

	w->file->was_warned = why == NULL && when < 0;
	return why;
}

/* V, F and L */
static const char *
take_text(struct work *w, const struct record *r)
{
	struct mail	*m = &w->file->mail;

	if (r->type == 'V' && r->len != 2)
		return "there are bad VERP delimiters in its envelope";
	return text_of(w, r, r->type == 'V' ? &m->verp : r->type == 'F' ?
	    &m->full_name : &m->filter);
}

/* D and / */
static const char *
take_done(struct work *w, const struct record *r)
{
	(void)r;
	w->file->done++;
	forget_options(w);
	return NULL;
}

/* M, X, E: what follows is another part. */
static const char *
take_mark(struct work *w, const struct record *r)
{
	static const unsigned char	marks[] = { [ENVELOPE] = 'M',
					    [CONTENT] = 'X',
					    [EXTRACTED] = 'E' };

	if (r->type != marks[w->part])
		return "its parts are in a wrong order";
	w->part++;
	return NULL;
}

/* Records of the envelope, in front of the content or behind it; NULL:
 * of no use here. */
static const struct {
	char		 type;
	const char	*(*take)(struct work *, const struct record *);
} kinds[] = {
	{ 'A', take_attribute },	{ 'R', take_recipient },
	{ 'O', take_address },		{ 'D', take_done },
	{ '/', take_done },		{ 'S', take_address },
	{ 'T', take_time },		{ 'F', take_text },
	{ 'L', take_text },		{ 'V', take_text },
	{ 'W', take_warning },		{ '>', take_address },
	{ 'M', take_mark },		{ 'X', take_mark },
	{ 'E', take_mark },		{ 'p', follow },
	{ 'C', NULL }, { 'c', NULL }, { 'I', NULL }, { 'P', NULL },
	{ 'f', NULL }, { 'e', NULL }, { 'r', NULL }, { 'w', NULL },
	{ 'K', NULL },
};

/* A record of the envelope (P2). */
static const char *
take_envelope(struct work *w, const struct record *r)
{
	size_t	i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].type == r->type)
			return kinds[i].take != NULL ?
			    kinds[i].take(w, r) : NULL;
	return pool_printf(w->pool, "it has a record of unknown type %d",
	    r->type);
}

/* --- content ------------------------------------------------------------- */

/* Bytes of a line: one LF among them would be a line end that only some see. */
static void
add_bytes(struct work *w, const unsigned char *data, size_t len)
{
	struct str	*to = &w->file->content;
	const void	*lf;
	size_t		 n;

	while (len > 0) {
		lf = memchr(data, '\n', len);
		n = lf != NULL ? (size_t)((const unsigned char *)lf - data) :
		    len;
		str_add_mem(to, data, n);
		if (lf != NULL) {
			str_add_mem(to, "\r\n", 2);
			n++;
		}
		data += n;
		len -= n;
	}
}

/* A record of the content. */
static const char *
take_content(struct work *w, const struct record *r)
{
	if (r->type == 'N' || r->type == 'L') {
		add_bytes(w, r->data, r->len);
		if (r->type == 'N')
			str_add_mem(&w->file->content, "\r\n", 2);
		return w->file->content.is_cut ? "it is too large" : NULL;
	}
	if (r->type == 'p')
		return follow(w, r);
	if (r->type == 'w' || r->type == 'K')
		return NULL;
	if (r->type == 'X')
		return take_mark(w, r);
	return pool_printf(w->pool, "its content has a record of unknown type "
	    "%d", r->type);
}

/* --- all of it ----------------------------------------------------------- */

/* Where the message came from at first, if not from the client. */
static void
add_first_client(struct work *w)
{
	struct mail	*m = &w->file->mail;
	struct origin	 o = { { NULL } };
	struct str	 text;

	if (w->first.address == NULL || w->client.address == NULL ||
	    strcmp(w->first.address, w->client.address) == 0)
		return;
	o.values[ORIGIN_NAME] = w->first.name;
	o.values[ORIGIN_ADDR] = w->first.address;
	o.values[ORIGIN_HELO] = w->first.helo;
	o.values[ORIGIN_PROTO] = w->first.protocol;
	str_init(&text, w->pool, TEXT_LEN_MAX);
	origin_format(&text, &o, ORIGIN_XFORWARD);
	m->forwarded = text.data;
}

/* The client of the connection. */
static void
add_client(struct work *w)
{
	static char	nothing[1], smtpd[] = "smtpd", pickup[] = "pickup";
	struct mail	*m = &w->file->mail;
	struct client	*c = &w->client;

	m->origin = c->address != NULL ? smtpd : pickup;
	m->client_name = c->name != NULL ? c->name : nothing;
	m->client_address = c->address != NULL ? c->address : nothing;
	m->helo = c->helo != NULL ? c->helo : nothing;
	m->protocol = c->protocol != NULL ? c->protocol : nothing;
	if (c->port != NULL)
		(void)text_integer(c->port, 0, 65535, &m->client_port);
	add_first_client(w);
}

/* One recipient instead of those that are to do. */
static void
redirect(struct work *w)
{
	struct postfix_file	*f = w->file;

	if (w->redirect == NULL || *w->redirect == '\0' || f->count == 0)
		return;
	f->count = 1;
	if (*f->recipients[0].original == '\0')
		f->recipients[0].original = f->recipients[0].address;
	f->recipients[0].address = w->redirect;
}

/* Is there all that a message must have? */
static const char *
check(const struct work *w)
{
	if (!w->has_sender)
		return "it has no sender";
	if (!w->has_time)
		return "it does not say when it came";
	if (w->file->count + w->file->done == 0)
		return "it has no recipients";
	return NULL;
}

/* Take a file apart. */
const char *
postfix_parse(struct postfix_file *f, struct pool *pool, const void *data,
    size_t len)
{
	static char	 nothing[1];
	struct work	 w = { .file = f, .pool = pool, .data = data,
			    .len = len };
	struct record	 r;
	const char	*why;

	memset(f, 0, sizeof(*f));
	f->mail = (struct mail){ .sender = nothing, .full_name = nothing,
	    .envelope_id = nothing, .return_what = nothing, .login = nothing,
	    .extra = nothing, .verp = nothing, .filter = NULL, .uid = -1 };
	str_init(&f->content, pool, 2 * len + 2);
	forget_options(&w);
	while (w.part != OVER) {
		if ((why = take_record(&w, &r)) != NULL)
			return why;
		why = w.part == CONTENT ? take_content(&w, &r) :
		    take_envelope(&w, &r);
		if (why != NULL)
			return why;
	}
	add_client(&w);
	redirect(&w);
	return check(&w);
}
