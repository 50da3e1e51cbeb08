/*
 * headers.c - the message's head made final.
 *
 * Called by intake.c with the content as it arrives. Received: goes in front,
 * fields pass one by one, what is missing in mail of our own users is added
 * behind the last of them, and the body passes untouched.
 *
 * P1  Headers of mail from strangers are not rewritten: nothing is changed but
 *     what message_drop_headers names, and Received: in front; unless
 *     remote_header_rewrite_domain or header_checks ask for it.
 * P2  A field that message_drop_headers names goes whole, however long it is:
 *     its rest may tell as much as its beginning.
 */
#include "cleanup/transaction.h"

#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"
#include "common/mail/encode.h"
#include "common/mail/header.h"
#include "common/mail/idn.h"
#include "common/mail/mime.h"
#include "common/mail/trace.h"
#include "common/param/site.h"

#include "cleanup/canonical.h"
#include "cleanup/clients.h"
#include "cleanup/inspect.h"
#include "cleanup/unicode.h"

const struct param	header_params[] = {
	PARAM_INT("hopcount_limit", set.hopcount_limit, "50", 1, 1000,
	    "A message with more Received: headers than this is in a loop."),
	PARAM_SIZE("header_size_limit", set.header_size_limit, "102400",
	    1024, 16777216, "The greatest header field that is looked at; "
	    "the rest of a longer one is passed on as it is."),
	PARAM_BOOL("always_add_missing_headers",
	    set.always_add_missing_headers, "no",
	    "Add missing From:, Date: and Message-ID: headers to mail "
	    "from strangers too."),
	PARAM_STRING("message_drop_headers", set.drop_headers,
	    "bcc, content-length, resent-bcc, return-path", 0, 4096,
	    "Headers that are removed from every message."),
	PARAM_STRING("remote_header_rewrite_domain", set.remote_domain, "", 0,
	    255, "What incomplete addresses in headers of mail from strangers "
	    "get; if empty, their headers are not rewritten at all."),
	PARAM_STRING("header_from_format", set.from_format, "standard", 1, 20,
	    "The form of an added From: standard is \"name <address>\", "
	    "obsolete \"address (name)\"."),
	PARAM_BOOL("detect_8bit_encoding_header", set.detects_8bit, "yes",
	    "Take a message for 8-bit mail that says so in "
	    "Content-Transfer-Encoding:."),
	PARAM_STRING("mail_name", set.mail_name, "Postrider", 1, 100,
	    "What the mail system calls itself, in Received: headers and in "
	    "smtpd_banner."),
	PARAM_STRING("undisclosed_recipients_header", set.undisclosed, "",
	    0, 998, "The header added to mail that names no recipient, for "
	    "instance \"To: undisclosed-recipients:;\"; none when empty."),
	PARAM_END
};

enum {
	SEEN_DATE = 1, SEEN_FROM = 2, SEEN_MESSAGE_ID = 4, SEEN_TO = 8,
	RESENT = 8			/* shift for Resent-Date: and so on */
};

struct heading {
	struct header_reader	*reader;
	struct inspection	*inspection;	/* instead, or NULL */
	unsigned		 seen;
	int64_t			 hops;
	bool			 is_over;
	bool			 is_ours;	/* from here or our network */
	bool			 is_rewritten;
	bool			 drops_more;	/* of the field, with it */
	bool			 has_told;	/* of one that is cut */
	struct naming		 naming;
};

/* Fields that we look at; the role of those made of addresses. */
static const struct known_field {
	const char	*name;
	unsigned	 bit;
	enum role	 role;		/* 0: no addresses */
} known_fields[] = {
	{ "From",		SEEN_FROM,		HEADER_SENDER },
	{ "To",			SEEN_TO,		HEADER_RECIPIENT },
	{ "Cc",			SEEN_TO,		HEADER_RECIPIENT },
	{ "Bcc",		SEEN_TO,		HEADER_RECIPIENT },
	{ "Sender",		0,			HEADER_SENDER },
	{ "Reply-To",		0,			HEADER_SENDER },
	{ "Date",		SEEN_DATE,		0 },
	{ "Message-ID",		SEEN_MESSAGE_ID,	0 },
	{ "Resent-From",	SEEN_FROM << RESENT,	HEADER_SENDER },
	{ "Resent-To",		SEEN_TO << RESENT,	HEADER_RECIPIENT },
	{ "Resent-Cc",		SEEN_TO << RESENT,	HEADER_RECIPIENT },
	{ "Resent-Bcc",		SEEN_TO << RESENT,	HEADER_RECIPIENT },
	{ "Resent-Sender",	0,			HEADER_SENDER },
	{ "Resent-Reply-To",	0,			HEADER_SENDER },
	{ "Resent-Date",	SEEN_DATE << RESENT,	0 },
	{ "Resent-Message-ID",	SEEN_MESSAGE_ID << RESENT, 0 },
	{ "Apparently-To",	0,			HEADER_RECIPIENT },
	{ "Disposition-Notification-To", 0,		HEADER_SENDER },
	{ "Errors-To",		0,			HEADER_SENDER },
	{ "Mail-Followup-To",	0,			HEADER_SENDER },
	{ "Return-Path",	0,			HEADER_SENDER },
	{ "Return-Receipt-To",	0,			HEADER_SENDER },
	{ NULL, 0, 0 }
};

/* A string with a limit, in the transaction's pool. */
static void
new_text(struct transaction *t, struct str *text)
{
	str_init(text, t->pool, 64 * 1024);
}

/* Write what a string holds. */
static void
write_text(struct transaction *t, const struct str *text)
{
	write_content(t, text->data, text->len);
}

/* The row of a field that we know. */
static const struct known_field *
find_known(const struct header_field *f)
{
	const struct known_field	*known;

	for (known = known_fields; known->name != NULL; known++)
		if (header_is(f, known->name))
			return known;
	return NULL;
}

/* Is the field's name in message_drop_headers? */
static bool
is_dropped(const struct header_field *f)
{
	const char	*at = set.drop_headers;
	size_t		 len;

	for (;;) {
		at += strspn(at, ", \t\r\n");
		if ((len = strcspn(at, ", \t\r\n")) == 0)
			return false;
		if (len == f->name_len && strncasecmp(at, f->name, len) == 0)
			return true;
		at += len;
	}
}

/* "QID: message-id=<...>" for the log. */
static void
log_message_id(struct transaction *t, bool is_resent, const char *value,
    size_t len)
{
	log_info("%s: %smessage-id=%s", t->queue_id, is_resent ? "resent-" :
	    "", header_unfold(t->pool, value, len));
}

/* Count a Received: field. */
static void
count_hop(struct transaction *t)
{
	if (++t->heading->hops <= set.hopcount_limit)
		return;
	transaction_refuse(t, 554, "554 5.4.6 Error: too many hops");
}

/* Write a field with its addresses made final. A head may have any number of
 * them: each has a pool of its own. */
WAITS static void
rewrite_field(struct transaction *t, enum role role,
    const struct header_field *f)
{
	struct pool	*pool = pool_new("field", 0);
	char		*value;

	value = canonical_field(t, pool, f->value, f->value_len, role,
	    &t->heading->naming);
	if (value == NULL) {
		unicode_note(t, f->raw, f->raw_len);
		write_content(t, f->raw, f->raw_len);
	} else {
		/* In pieces: a list of recipients may be long. */
		unicode_note(t, value, strlen(value));
		write_content(t, f->raw, (size_t)(f->value - f->raw));
		write_content(t, value, strlen(value));
		write_content(t, "\r\n", 2);
	}
	pool_free(pool);
}

/* Write a field, rewritten if its header is. A cut one never is: half an
 * address is none. */
WAITS static void
write_field(struct transaction *t, const struct known_field *known,
    const struct header_field *f)
{
	if (known != NULL && known->role != 0 && t->heading->is_rewritten &&
	    !f->is_cut)
		rewrite_field(t, known->role, f);
	else {
		unicode_note(t, f->raw, f->raw_len);
		write_content(t, f->raw, f->raw_len);
	}
}

/* Eight bits, says the field. */
static void
note_encoding(struct transaction *t, const struct header_field *f)
{
	if (set.detects_8bit && !set.disable_mime &&
	    mime_parse_encoding(f->value, f->value_len) == MIME_8BIT)
		t->mail.flags |= MAIL_IS_8BIT;
}

/* Note what is there, and log the first id. */
static void
note_known(struct transaction *t, const struct known_field *known,
    const struct header_field *f)
{
	struct heading	*h = t->heading;
	const unsigned	 ids = SEEN_MESSAGE_ID | SEEN_MESSAGE_ID << RESENT;

	if ((known->bit & ids & ~h->seen) != 0)
		log_message_id(t, known->bit >> RESENT != 0, f->value,
		    f->value_len);
	h->seen |= known->bit;
}

/* One field of the message's head. */
WAITS void
headers_field(struct transaction *t, const struct header_field *f)
{
	const struct known_field	*known = find_known(f);

	if (header_is(f, "Received"))
		count_hop(t);
	else if (header_is(f, "Content-Transfer-Encoding"))
		note_encoding(t, f);
	if (known != NULL)
		note_known(t, known, f);
	t->heading->drops_more = is_dropped(f);
	if (!t->heading->drops_more)
		write_field(t, known, f);
}

/* What follows of it. */
void
headers_more(struct transaction *t, const char *data, size_t len)
{
	if (!t->heading->drops_more)
		write_content(t, data, len);
}

/* Say it once. */
void
headers_tell_cut(struct transaction *t, const struct header_field *f)
{
	if (!f->is_cut || t->heading->has_told)
		return;
	t->heading->has_told = true;
	log_warning("%s: a header field is longer than header_size_limit: "
	    "%.*s", t->queue_id, f->name_len < 100 ? (int)f->name_len : 100,
	    f->name);
}

/* header.c: a field. */
WAITS static void
on_field(void *context, const struct header_field *f)
{
	headers_tell_cut(context, f);
	headers_field(context, f);
}

/* header.c: the rest of one that is cut. */
static void
on_more(void *context, const char *data, size_t len)
{
	headers_more(context, data, len);
}

/* The envelope sender, whole. */
static void
add_sender(struct transaction *t, struct str *text)
{
	const char	*sender = t->mail.sender;

	if (*sender == '\0')
		sender = "MAILER-DAEMON";
	str_add(text, sender);
	if (strchr(sender, '@') == NULL && set.append_at_myorigin)
		str_addf(text, "@%s", site.myorigin);
}

/* " (name)": what would be quoted in front of an address is not here, but for
 * parentheses. */
static void
add_comment(struct transaction *t, struct str *text, const char *name)
{
	const char	*at = phrase_encode(t->pool, name);
	bool		 is_quoted = *at == '"';

	str_add(text, " (");
	for (at += is_quoted; *at != '\0'; at++) {
		if (is_quoted && *at == '"')
			break;
		if (is_quoted && *at == '\\' && at[1] != '\0')
			at++;
		if (is_quoted && strchr("()\\", *at) != NULL)
			str_add_char(text, '\\');
		str_add_char(text, *at);
	}
	str_add_char(text, ')');
}

/* From: the user's name and the envelope sender. */
static void
add_from(struct transaction *t, const char *prefix)
{
	bool		 has_name = *t->mail.full_name != '\0';
	struct str	 text;

	new_text(t, &text);
	str_addf(&text, "%sFrom: ", prefix);
	if (has_name && text_equal(set.from_format, "obsolete")) {
		add_sender(t, &text);
		add_comment(t, &text, t->mail.full_name);
	} else if (has_name) {
		str_addf(&text, "%s <", phrase_encode(t->pool,
		    t->mail.full_name));
		add_sender(t, &text);
		str_add_char(&text, '>');
	} else {
		add_sender(t, &text);
	}
	str_add(&text, "\r\n");
	write_text(t, &text);
}

/* Date: the time of arrival. */
static void
add_date(struct transaction *t, const char *prefix)
{
	char		date[CLOCK_DATE_SIZE];
	struct str	text;

	clock_mail_date(date, sizeof(date), t->mail.arrival_us / 1000000);
	new_text(t, &text);
	str_addf(&text, "%sDate: %s\r\n", prefix, date);
	write_text(t, &text);
}

/* Message-ID: made of the queue id. */
static void
add_message_id(struct transaction *t, const char *prefix)
{
	struct str	text;
	size_t		start;

	new_text(t, &text);
	str_addf(&text, "%sMessage-ID: ", prefix);
	start = text.len;
	trace_message_id(&text, t->queue_id, site.myhostname,
	    t->mail.arrival_us / 1000000);
	log_message_id(t, *prefix != '\0', text.data + start,
	    text.len - start);
	str_add(&text, "\r\n");
	write_text(t, &text);
}

/* What RFC 5322 3.6 wants and the author's program left out. */
static void
add_missing(struct transaction *t)
{
	unsigned	 seen = t->heading->seen;
	const char	*prefix = "";

	if (seen >> RESENT != 0) {
		seen >>= RESENT;
		prefix = "Resent-";
	}
	if ((seen & SEEN_MESSAGE_ID) == 0)
		add_message_id(t, prefix);
	if ((seen & SEEN_DATE) == 0)
		add_date(t, prefix);
	if ((seen & SEEN_FROM) == 0)
		add_from(t, prefix);
}

/* The line for mail that names nobody. */
static void
add_undisclosed(struct transaction *t)
{
	if (*set.undisclosed == '\0' || (t->heading->seen &
	    (SEEN_TO | SEEN_TO << RESENT)) != 0)
		return;
	write_content(t, set.undisclosed, strlen(set.undisclosed));
	write_content(t, "\r\n", 2);
}

/* The head is over: complete it. */
static void
end_head(struct transaction *t)
{
	struct heading	*h = t->heading;
	const unsigned	 ids = SEEN_MESSAGE_ID | SEEN_MESSAGE_ID << RESENT;
	bool		 wants_missing;

	if (h->is_over)
		return;
	h->is_over = true;
	wants_missing = set.always_add_missing_headers || h->is_ours;
	if (wants_missing)
		add_missing(t);
	else if ((h->seen & ids) == 0)
		log_info("%s: message-id=<>", t->queue_id);
	add_undisclosed(t);
}

/* The end of the head: what is missing, and the empty line. */
void
headers_end(struct transaction *t)
{
	if (t->heading->is_over)
		return;
	end_head(t);
	write_content(t, "\r\n", 2);
}

/* The reader found it. */
static void
on_end(void *context, bool had_empty_line)
{
	(void)had_empty_line;
	headers_end(context);
}

/* Body bytes. */
static void
on_body(void *context, const char *data, size_t len)
{
	write_content(context, data, len);
}

static const struct header_events	events = {
	.field = on_field,
	.more = on_more,
	.end = on_end,
	.body = on_body
};

/* The only recipient in ASCII. UTF-8 in our own field would make the message
 * need SMTPUTF8 where its sender's words and its address may not (an alias, a
 * domain that has A-labels). */
static const char *
for_whom(struct transaction *t, const char *address)
{
	char	*ascii;

	return idn_address(t->pool, address, &ascii) == NULL &&
	    !has_8bit(ascii, strlen(ascii)) ? ascii : NULL;
}

/* RFC 6531 4.3: ESMTP and its relatives have names of their own then. */
static const char *
protocol_of(struct transaction *t)
{
	const char	*protocol = t->mail.protocol;

	if ((t->mail.flags & MAIL_IS_UTF8) == 0 ||
	    strncmp(protocol, "ESMTP", 5) != 0)
		return protocol;
	return pool_printf(t->pool, "UTF8%s", protocol + 1);
}

/* Received:, with the recipient if it is one and came by SMTP (a posted
 * message may hide whom it goes to). The queue's owner posts what is
 * requeued. */
static void
add_received(struct transaction *t)
{
	const struct mail	*m = &t->mail;
	bool			 by_smtp = *m->client_address != '\0' &&
				    !t->is_again;
	struct str		 text;
	struct trace		 trace = {
		.helo = by_smtp ? m->helo : NULL,
		.hides_client = (m->flags & MAIL_HIDES_CLIENT) != 0,
		.client_name = m->client_name,
		.client_address = m->client_address,
		.myhostname = site.myhostname,
		.protocol = protocol_of(t),
		.queue_id = t->queue_id,
		.recipient = by_smtp && t->count == 1 ?
		    for_whom(t, t->rows[0].address) : NULL,
		.extra = *m->extra != '\0' && !t->is_again ? m->extra : NULL,
		.program = set.mail_name,
		.uid = t->is_again ? (long)geteuid() : (long)m->uid,
		.when = (t->is_again ? clock_wall_us() : m->arrival_us) /
		    1000000
	};

	new_text(t, &text);
	trace_received(&text, &trace);
	if (t->heading->inspection != NULL)
		inspect_received(t->heading->inspection, text.data, text.len);
	else
		write_text(t, &text);
}

/* Whose headers are rewritten, and what incomplete addresses get. */
WAITS static void
choose_naming(struct transaction *t)
{
	struct heading	*h = t->heading;

	h->is_ours = clients_is_ours(t);
	t->mail.flags &= ~(MAIL_FROM_OURS | MAIL_FROM_OTHERS);
	t->mail.flags |= h->is_ours ? MAIL_FROM_OURS : MAIL_FROM_OTHERS;
	h->naming = *canonical_naming();
	if (h->is_ours) {
		h->is_rewritten = true;
	} else if (*set.remote_domain != '\0' &&
	    (t->mail.flags & MAIL_IS_FORWARD) == 0) {
		h->is_rewritten = true;
		h->naming.origin = set.remote_domain;
		if (h->naming.domain != NULL)
			h->naming.domain = set.remote_domain;
	}
}

/* Begin the content. */
WAITS void
headers_begin(struct transaction *t)
{
	t->heading = pool_alloc(t->pool, sizeof(*t->heading));
	choose_naming(t);
	(void)canonical_map(t, t->pool, &t->mail.sender, 1, ENVELOPE_SENDER,
	    canonical_naming());
	if (t->code != 0)
		return;
	if (inspect_is_wanted(t))
		t->heading->inspection = inspect_new(t);
	else
		t->heading->reader = header_reader_new(t->pool,
		    (size_t)set.header_size_limit, &events, t);
	add_received(t);
}

/* Does the content have questions to wait for? */
bool
headers_wait(const struct transaction *t)
{
	return inspect_is_wanted(t) || clients_ask() ||
	    canonical_asks(ENVELOPE_SENDER | HEADER_SENDER |
	    HEADER_RECIPIENT);
}

/* More content; the bytes may be changed if it waits. */
WAITS void
headers_feed(struct transaction *t, void *data, size_t len)
{
	if (t->heading->inspection != NULL)
		inspect_feed(t->heading->inspection, data, len);
	else
		header_reader_feed(t->heading->reader, data, len);
}

/* The content is over. */
WAITS void
headers_finish(struct transaction *t)
{
	if (t->heading->inspection != NULL)
		inspect_finish(t->heading->inspection);
	else
		header_reader_finish(t->heading->reader);
	if (t->code != 0 || t->is_discarded)
		return;
	end_head(t);
	if (t->tail[0] != '\r' || t->tail[1] != '\n')
		write_content(t, "\r\n", 2);
}
