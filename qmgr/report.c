/*
 * report.c - the text of a delivery status notification.
 *
 * Letters other than ASCII: the letter for people is UTF-8 if the template
 * says nothing else; fields for programs are ASCII, with addresses in the
 * escaped form of RFC 6533 3, unless the report goes to somebody whose own
 * address is UTF-8: then all of it is (message/global-delivery-status). What is
 * returned to others of a message with UTF-8 in its header goes in base64, as
 * nobody knows what hosts the report has to pass.
 *
 * Texts from remote servers and from strangers' envelopes go into header
 * fields here: control bytes become spaces, and lines are folded, so that none
 * of them begins a field of its own.
 */
#include "qmgr/report.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/mail/encode.h"
#include "common/mail/header.h"

enum { WIDTH = 76, LONGEST_WORD = 900, REFERENCES_MAX = 4000,
    ADDRESS_ROOM = 5000 };

/* --- what is known of the message ---------------------------------------- */

/* What report_learn() gathers. */
struct lesson {
	struct report	*report;
	struct pool	*pool;
	char		*in_reply_to;
};

/* Take note of a field. */
static void
on_field(void *context, const struct header_field *f)
{
	struct lesson	*l = context;
	char		**to = NULL;

	l->report->header_length += f->raw_len;
	if (header_is(f, "Message-ID"))
		to = &l->report->message_id;
	else if (header_is(f, "References"))
		to = &l->report->references;
	else if (header_is(f, "In-Reply-To"))
		to = &l->in_reply_to;
	if (to == NULL || *to != NULL || f->value_len >= REFERENCES_MAX)
		return;
	*to = text_trim(header_unfold(l->pool, f->value, f->value_len));
	if (**to == '\0')
		*to = NULL;	/* a field without words is none */
}

/* Read the header block. */
void
report_learn(struct report *r, struct pool *pool, const char *data,
    size_t len)
{
	static const struct header_events	events = { .field = on_field };
	struct lesson				lesson = { r, pool, NULL };
	struct header_reader			*reader;

	r->message_id = r->references = NULL;
	r->header_length = 0;
	r->is_header_8bit = false;
	reader = header_reader_new(pool, len, &events, &lesson);
	header_reader_feed(reader, data, len);
	header_reader_finish(reader);
	if (r->header_length > len)
		r->header_length = len;		/* a CRLF was missing */
	r->is_header_8bit = has_8bit(data, r->header_length);
	/* RFC 5322 3.6.4: without References, In-Reply-To is its parent. */
	if (r->references == NULL)
		r->references = lesson.in_reply_to;
}

/* RFC 3461 4.3: RET speaks of failures; other reports need no content, and
 * neither does a postmaster's copy. */
void
report_choose(struct report *r, int64_t size_limit)
{
	const struct bounce	*b = r->about;

	r->is_headers_only = b->kind != BOUNCE_FAILURE ||
	    r->audience == FOR_COPY || text_equal(b->return_what, "HDRS") ||
	    b->content_length > size_limit;
	r->copy_length = r->is_headers_only ? (int64_t)r->header_length :
	    b->content_length;
}

/* Any byte above 127 in a text? */
static bool
is_wide_text(const char *text)
{
	return has_8bit(text, strlen(text));
}

/* Among what the letter says of recipients? */
static bool
are_rows_8bit(const struct report *r)
{
	const struct bounce	*b = r->about;
	size_t			 i;

	for (i = 0; i < b->count; i++)
		if (is_wide_text(b->rows[i].text) ||
		    is_wide_text(b->rows[i].address) ||
		    is_wide_text(b->rows[i].original))
			return true;
	return false;
}

/* What the letter is written in. */
static const char *
charset_of(const struct report *r)
{
	return text_equal(r->template->charset, "us-ascii") &&
	    are_rows_8bit(r) ? "utf-8" : r->template->charset;
}

/* May other letters than ASCII stand in the letter as they are? */
static bool
is_letter_wide(const struct report *r)
{
	return text_equal(charset_of(r), "utf-8");
}

/* In the letter? */
static bool
is_letter_8bit(const struct report *r)
{
	return is_wide_text(r->template->text) ||
	    (is_letter_wide(r) && are_rows_8bit(r));
}

/* In any part? */
bool
report_is_8bit(const struct report *r)
{
	return (r->is_copy_8bit && !report_encodes_copy(r)) ||
	    is_letter_8bit(r) || report_is_utf8(r);
}

/* Only who has such an address himself can be sent UTF-8 header fields. */
bool
report_is_utf8(const struct report *r)
{
	return is_wide_text(r->to);
}

/* RFC 6532 3.7: a message of type global may be encoded, others may not. */
bool
report_encodes_copy(const struct report *r)
{
	return !report_is_utf8(r) && r->is_header_8bit &&
	    (r->about->flags & MAIL_IS_UTF8) != 0;
}

/* For the log. */
const char *
report_name(int64_t kind, enum audience audience)
{
	if (audience == FOR_SENDER)
		return kind == BOUNCE_FAILURE ?
		    "sender non-delivery notification" :
		    kind == BOUNCE_DELAY ? "sender delay notification" :
		    "sender delivery status notification";
	return kind == BOUNCE_DELAY ? "postmaster delay notification" :
	    "postmaster non-delivery notification";
}

/* --- pieces of text ------------------------------------------------------ */

/* The length of the next word, and of the white space before it. */
static size_t
next_word(const char *text, size_t *space)
{
	size_t	len = 0;

	*space = 0;
	while (text[*space] != '\0' && (is_blank(text[*space]) ||
	    is_control((unsigned char)text[*space])))
		++*space;
	text += *space;
	while (text[len] != '\0' && !is_blank(text[len]) &&
	    !is_control((unsigned char)text[len]) && len < LONGEST_WORD)
		len++;
	return len;
}

/* Words on lines of a sensible width, behind `column` bytes that are there
 * already; lines after the first begin with `indent`. Without `wants_8bit`
 * other bytes than ASCII become question marks. */
static void
add_wrapped(struct str *to, size_t column, const char *indent,
    const char *text, bool wants_8bit)
{
	size_t	len, space, i;
	bool	is_first = true;

	while ((len = next_word(text, &space)) > 0) {
		text += space;
		if (!is_first && column + 1 + len > WIDTH) {
			str_add(to, "\r\n");
			str_add(to, indent);
			column = strlen(indent);
		} else if (!is_first) {
			str_add_char(to, ' ');
			column++;
		}
		for (i = 0; i < len; i++)
			str_add_char(to, is_8bit(text[i]) && !wants_8bit ?
			    '?' : text[i]);
		column += len;
		text += len;
		is_first = false;
	}
	str_add(to, "\r\n");
}

/* A header field, which may have other letters if it is `wide`. */
static void
add_wide_field(struct str *to, const char *name, const char *value, bool wide)
{
	str_add(to, name);
	str_add(to, ": ");
	add_wrapped(to, strlen(name) + 2, "    ", value, wide);
}

/* A header field in ASCII. */
static void
add_field(struct str *to, const char *name, const char *value)
{
	add_wide_field(to, name, value, false);
}

/* A field that begins with a type: "dns; host". */
static void
add_typed(struct str *to, const char *name, const char *type,
    const char *value)
{
	struct pool	*pool = pool_new("field", 0);

	add_field(to, name, pool_printf(pool, "%s; %s", type, value));
	pool_free(pool);
}

/* A field with a mail address of the type "utf-8", in ASCII or not. */
static void
add_utf8(struct str *to, const char *name, const char *address, bool is_utf8)
{
	struct pool	*pool = pool_new("field", 0);
	struct str	 text;

	str_init(&text, pool, ADDRESS_ROOM);
	str_add(&text, "utf-8; ");
	if (is_utf8)
		str_add(&text, address);
	else
		points_encode(&text, address);
	add_wide_field(to, name, text.data, is_utf8);
	pool_free(pool);
}

/* A field with a mail address: its type is "utf-8" if it needs to be. */
static void
add_address(struct str *to, const char *name, const char *address,
    bool is_utf8)
{
	if (is_wide_text(address))
		add_utf8(to, name, address, is_utf8);
	else
		add_typed(to, name, "rfc822", address);
}

/* The same with what ORCPT said, "rfc822;a@b", type and all. */
static void
add_orcpt(struct str *to, const char *orcpt, bool is_utf8)
{
	const char	*address = strchr(orcpt, ';');
	struct pool	*pool;
	struct str	 text;

	if (address != NULL && text_starts(orcpt, "utf-8;")) {
		add_utf8(to, "Original-Recipient", address + 1, is_utf8);
		return;
	}
	if (!is_wide_text(orcpt) || address == NULL) {
		add_field(to, "Original-Recipient", orcpt);
		return;
	}
	pool = pool_new("field", 0);
	str_init(&text, pool, ADDRESS_ROOM);
	points_encode(&text, orcpt);
	add_field(to, "Original-Recipient", text.data);
	pool_free(pool);
}

/* A date field; `us` in microseconds. */
static void
add_date(struct str *to, const char *name, int64_t us)
{
	char	date[CLOCK_DATE_SIZE];

	clock_mail_date(date, sizeof(date), (time_t)(us / 1000000));
	add_field(to, name, date);
}

/* The line between parts. */
static void
add_boundary(struct str *to, const struct report *r, bool is_last)
{
	str_addf(to, "\r\n--%s%s\r\n", r->boundary, is_last ? "--" : "");
}

/* --- the parts ----------------------------------------------------------- */

/* From: as the template says, its address completed. */
static void
add_from(struct str *to, const struct report *r)
{
	const char	*from = r->template->from, *end;

	if (strchr(from, '@') != NULL) {
		add_field(to, "From", from);
		return;
	}
	if ((end = strchr(from, '>')) == NULL)
		end = from + strcspn(from, " \t");
	str_addf(to, "From: %.*s@%s%s\r\n", (int)(end - from), from,
	    r->myhostname, end);
}

/* What the report is an answer to. */
static void
add_references(struct str *to, const struct report *r)
{
	add_field(to, "In-Reply-To", r->message_id);
	str_add(to, "References: ");
	if (r->references != NULL) {
		add_wrapped(to, 12, "    ", r->references, false);
		str_add(to, "    ");
	}
	add_wrapped(to, 12, "    ", r->message_id, false);
}

/* The header of the report. */
static void
add_header(struct str *to, const struct report *r)
{
	const struct template	*t = r->template;

	add_date(to, "Date", (int64_t)r->now * 1000000);
	add_from(to, r);
	add_field(to, "Subject", r->audience != FOR_SENDER &&
	    t->postmaster_subject != NULL ? t->postmaster_subject :
	    t->subject);
	add_wide_field(to, "To", r->to, report_is_utf8(r));
	str_addf(to, "Message-ID: <%s@%s>\r\n", r->boundary, r->myhostname);
	if (r->message_id != NULL && r->is_threaded)
		add_references(to, r);
	/* RFC 3834 5: so that no vacation program answers. */
	str_addf(to, "Auto-Submitted: %s\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=%s;\r\n"
	    "    boundary=\"%s\"\r\n", r->audience == FOR_SENDER ?
	    "auto-replied" : "auto-generated", report_is_utf8(r) ?
	    "global-delivery-status" : "delivery-status", r->boundary);
	if (report_is_8bit(r))
		str_add(to, "Content-Transfer-Encoding: 8bit\r\n");
	str_add(to, "\r\nThis is a report in MIME format.\r\n");
}

/* Text with LF line ends. */
static void
add_text(struct str *to, const char *text)
{
	size_t	len;

	while (*text != '\0') {
		len = strcspn(text, "\n");
		str_add_mem(to, text, len);
		str_add(to, "\r\n");
		text += len;
		text += *text == '\n';
	}
}

/* One recipient in the letter. */
static void
add_line(struct str *to, const struct bounce_row *row, bool is_wide)
{
	struct pool	*pool = pool_new("letter", 0);
	const char	*first = "";

	if (row->original[0] != '\0' &&
	    strcmp(row->original, row->address) != 0)
		first = pool_printf(pool, " (first addressed to <%s>)",
		    row->original);
	str_add(to, "\r\n");
	add_wrapped(to, 0, "    ", pool_printf(pool, "<%s>%s: %s",
	    row->address, first, row->text), is_wide);
	pool_free(pool);
}

/* The letter. */
static void
add_letter(struct str *to, const struct report *r)
{
	size_t	i;

	str_addf(to, "Content-Description: Notification\r\n"
	    "Content-Type: text/plain; charset=%s\r\n%s\r\n",
	    charset_of(r), is_letter_8bit(r) ?
	    "Content-Transfer-Encoding: 8bit\r\n" : "");
	add_text(to, r->template->text);
	if (r->is_damaged)
		str_add(to, "\r\nYour message cannot be read any more: the disk "
		    "that holds it is damaged.\r\nThis report has as much of "
		    "it as is left.\r\n");
	for (i = 0; i < r->about->count; i++)
		add_line(to, &r->about->rows[i], is_letter_wide(r));
}

/* Was it delivered? */
static bool
is_success(const struct bounce *b, const struct bounce_row *row)
{
	return b->kind == BOUNCE_SUCCESS ||
	    (b->kind == BOUNCE_TRACE && row->outcome == OUTCOME_SENT);
}

/* RFC 3464 2.3.3; a probe delivers nothing, and has words of its own. */
static const char *
action_of(const struct bounce *b, const struct bounce_row *row)
{
	if (b->kind == BOUNCE_FAILURE)
		return "failed";
	if (b->kind == BOUNCE_DELAY)
		return "delayed";
	if ((b->flags & MAIL_IS_PROBE) != 0)
		return row->outcome == OUTCOME_SENT ? "deliverable" :
		    "undeliverable";
	if (!is_success(b, row))
		return row->outcome == OUTCOME_BOUNCED ? "failed" : "delayed";
	if (row->flags & OUTCOME_EXPANDED)
		return "expanded";
	return row->flags & OUTCOME_RELAYED ? "relayed" : "delivered";
}

/* The fields of one recipient (RFC 3464 2.3). */
static void
add_recipient(struct str *to, const struct bounce *b,
    const struct bounce_row *row, bool is_utf8)
{
	str_add(to, "\r\n");
	if (row->orcpt[0] != '\0')
		add_orcpt(to, row->orcpt, is_utf8);
	else if (row->original[0] != '\0')
		add_address(to, "Original-Recipient", row->original, is_utf8);
	add_address(to, "Final-Recipient", row->address, is_utf8);
	add_field(to, "Action", action_of(b, row));
	add_field(to, "Status", row->dsn);
	if (row->remote[0] != '\0')
		add_field(to, "Remote-MTA", row->remote);
	if (row->diagnostic[0] != '\0')
		add_field(to, "Diagnostic-Code", row->diagnostic);
	else if (!is_success(b, row))
		add_typed(to, "Diagnostic-Code", "x-postrider", row->text);
	if (row->last_attempt_us > 0)
		add_date(to, "Last-Attempt-Date", row->last_attempt_us);
	if (b->kind == BOUNCE_DELAY)
		add_date(to, "Will-Retry-Until", b->expires_us);
}

/* The part for programs (RFC 3464 2). */
static void
add_status(struct str *to, const struct report *r)
{
	const struct bounce	*b = r->about;
	bool			 is_utf8 = report_is_utf8(r);
	size_t			 i;

	str_addf(to, "Content-Description: Delivery report\r\n"
	    "Content-Type: message/%sdelivery-status\r\n%s\r\n",
	    is_utf8 ? "global-" : "",
	    is_utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	if (b->envelope_id[0] != '\0')
		add_field(to, "Original-Envelope-Id", b->envelope_id);
	add_typed(to, "Reporting-MTA", "dns", r->myhostname);
	if (b->received_from[0] != '\0')
		add_field(to, "Received-From-MTA", b->received_from);
	add_date(to, "Arrival-Date", b->arrival_us);
	add_field(to, "X-Postrider-Queue-ID", b->queue_id);
	add_address(to, "X-Postrider-Sender", b->sender, is_utf8);
	for (i = 0; i < b->count; i++)
		add_recipient(to, b, &b->rows[i], is_utf8);
}

/* What the copy of the message is. A UTF-8 message that goes to somebody with
 * an old address is called by its old name, which all programs know, unless
 * its header has UTF-8: that goes in base64 (RFC 6533 4.5). */
static void
add_copy_header(struct str *to, const struct report *r)
{
	bool	is_encoded = report_encodes_copy(r);
	bool	is_global = is_encoded || (report_is_utf8(r) &&
		    (r->about->flags & MAIL_IS_UTF8) != 0);

	str_addf(to, "Content-Description: %s%s\r\nContent-Type: %s\r\n%s\r\n",
	    r->about->kind == BOUNCE_FAILURE ? "Undelivered Message" :
	    "Message", r->is_headers_only ? " Headers" : "",
	    r->is_headers_only ? is_global ? "message/global-headers" :
	    "text/rfc822-headers" :
	    is_global ? "message/global" : "message/rfc822",
	    is_encoded ? "Content-Transfer-Encoding: base64\r\n" :
	    r->is_copy_8bit ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

/* Everything before the message itself. */
void
report_head(struct str *to, const struct report *r)
{
	add_header(to, r);
	add_boundary(to, r, false);
	add_letter(to, r);
	add_boundary(to, r, false);
	add_status(to, r);
	add_boundary(to, r, false);
	add_copy_header(to, r);
}

/* And everything after it. */
void
report_tail(struct str *to, const struct report *r)
{
	add_boundary(to, r, true);
}
