/*
 * report.c - the text of a delivery status notification.
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

enum { WIDTH = 76, LONGEST_WORD = 900, REFERENCES_MAX = 4000 };

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
	if (to != NULL && *to == NULL && f->value_len < REFERENCES_MAX)
		*to = header_unfold(l->pool, f->value, f->value_len);
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
	reader = header_reader_new(pool, len, &events, &lesson);
	header_reader_feed(reader, data, len);
	header_reader_finish(reader);
	if (r->header_length > len)
		r->header_length = len;		/* a CRLF was missing */
	/* RFC 5322 3.6.4: without References, In-Reply-To is its parent. */
	if (r->references == NULL)
		r->references = lesson.in_reply_to;
}

/* RFC 3461 4.3: RET speaks of failures; other reports need no content. */
void
report_choose(struct report *r, int64_t size_limit)
{
	const struct bounce	*b = r->about;

	r->is_headers_only = b->kind != BOUNCE_FAILURE ||
	    text_equal(b->return_what, "HDRS") ||
	    b->content_length > size_limit;
	r->copy_length = r->is_headers_only ? (int64_t)r->header_length :
	    b->content_length;
}

/* Any byte above 127? */
static bool
has_8bit(const char *text)
{
	for (; *text != '\0'; text++)
		if (is_8bit(*text))
			return true;
	return false;
}

/* In the letter? */
static bool
is_letter_8bit(const struct report *r)
{
	const struct bounce	*b = r->about;
	size_t			 i;

	for (i = 0; i < b->count; i++)
		if (has_8bit(b->rows[i].text) || has_8bit(b->rows[i].address) ||
		    has_8bit(b->rows[i].original))
			return true;
	return false;
}

/* In any part? */
bool
report_is_8bit(const struct report *r)
{
	return (r->about->flags & MAIL_IS_8BIT) != 0 || is_letter_8bit(r);
}

/* For the log. */
const char *
report_name(int64_t kind)
{
	return kind == BOUNCE_FAILURE ? "sender non-delivery notification" :
	    kind == BOUNCE_DELAY ? "sender delay notification" :
	    "sender delivery status notification";
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

/* A header field. */
static void
add_field(struct str *to, const char *name, const char *value)
{
	str_add(to, name);
	str_add(to, ": ");
	add_wrapped(to, strlen(name) + 2, "    ", value, false);
}

/* A field that begins with a type: "rfc822; a@b". */
static void
add_typed(struct str *to, const char *name, const char *type,
    const char *value)
{
	struct pool	*pool = pool_new("field", 0);

	add_field(to, name, pool_printf(pool, "%s; %s", type, value));
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

/* The header of the report. */
static void
add_header(struct str *to, const struct report *r)
{
	static const char *const	subjects[] = {
		[BOUNCE_FAILURE] = "Undelivered Mail Returned to Sender",
		[BOUNCE_DELAY] = "Delayed Mail (still being retried)",
		[BOUNCE_SUCCESS] = "Successful Mail Delivery Report"
	};
	const struct bounce		*b = r->about;

	add_date(to, "Date", (int64_t)r->now * 1000000);
	str_addf(to, "From: MAILER-DAEMON@%s (Mail Delivery System)\r\n",
	    r->myhostname);
	add_field(to, "Subject", subjects[b->kind]);
	add_field(to, "To", b->sender);
	str_addf(to, "Message-ID: <%s@%s>\r\n", r->boundary, r->myhostname);
	if (r->message_id != NULL) {
		add_field(to, "In-Reply-To", r->message_id);
		str_add(to, "References: ");
		if (r->references != NULL) {
			add_wrapped(to, 12, "    ", r->references, false);
			str_add(to, "    ");
		}
		add_wrapped(to, 12, "    ", r->message_id, false);
	}
	/* RFC 3834 5: so that no vacation program answers. */
	str_add(to, "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n");
	str_addf(to, "    boundary=\"%s\"\r\n", r->boundary);
	if (report_is_8bit(r))
		str_add(to, "Content-Transfer-Encoding: 8bit\r\n");
	str_add(to, "\r\nThis is a report in MIME format.\r\n");
}

/* What it is all about, for people. */
static void
add_introduction(struct str *to, const struct report *r)
{
	const struct bounce	*b = r->about;
	char			 date[CLOCK_DATE_SIZE];

	str_addf(to, "This is the mail system of %s.\r\n\r\n", r->myhostname);
	switch (b->kind) {
	case BOUNCE_FAILURE:
		str_add(to, "Your message could not be delivered to everyone "
		    "it was meant for. Below are\r\nthose it did not reach, "
		    "each with the reason. They will not be tried again.\r\n");
		break;
	case BOUNCE_DELAY:
		str_addf(to, "Your message has not been delivered yet to those "
		    "below, for the reasons given.\r\nYou need not send it "
		    "again: it will be tried until\r\n%s.\r\n",
		    clock_mail_date(date, sizeof(date),
		    (time_t)(b->expires_us / 1000000)));
		break;
	default:
		str_add(to, "Your message was delivered to those below, as you "
		    "wanted to know. Where it was\r\npassed on to a system "
		    "that does not report, you will not hear more.\r\n");
	}
	str_addf(to, "\r\nIf you need help, write to postmaster@%s\r\n"
	    "and include this report.\r\n", r->myhostname);
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
	bool	is_wide = is_letter_8bit(r);
	size_t	i;

	str_addf(to, "Content-Description: Notification\r\n"
	    "Content-Type: text/plain; charset=%s\r\n%s\r\n",
	    is_wide ? "utf-8" : "us-ascii",
	    is_wide ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	add_introduction(to, r);
	for (i = 0; i < r->about->count; i++)
		add_line(to, &r->about->rows[i], is_wide);
}

/* RFC 3464 2.3.3. */
static const char *
action_of(const struct bounce *b, const struct bounce_row *row)
{
	if (b->kind == BOUNCE_FAILURE)
		return "failed";
	if (b->kind == BOUNCE_DELAY)
		return "delayed";
	if (row->flags & OUTCOME_EXPANDED)
		return "expanded";
	return row->flags & OUTCOME_RELAYED ? "relayed" : "delivered";
}

/* The fields of one recipient (RFC 3464 2.3). */
static void
add_recipient(struct str *to, const struct bounce *b,
    const struct bounce_row *row)
{
	str_add(to, "\r\n");
	if (row->orcpt[0] != '\0')
		add_field(to, "Original-Recipient", row->orcpt);
	else if (row->original[0] != '\0')
		add_typed(to, "Original-Recipient", "rfc822", row->original);
	add_typed(to, "Final-Recipient", "rfc822", row->address);
	add_field(to, "Action", action_of(b, row));
	add_field(to, "Status", row->dsn);
	if (row->remote[0] != '\0')
		add_field(to, "Remote-MTA", row->remote);
	if (row->diagnostic[0] != '\0')
		add_field(to, "Diagnostic-Code", row->diagnostic);
	else if (b->kind != BOUNCE_SUCCESS)
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
	size_t			 i;

	str_add(to, "Content-Description: Delivery report\r\n"
	    "Content-Type: message/delivery-status\r\n\r\n");
	if (b->envelope_id[0] != '\0')
		add_field(to, "Original-Envelope-Id", b->envelope_id);
	add_typed(to, "Reporting-MTA", "dns", r->myhostname);
	add_date(to, "Arrival-Date", b->arrival_us);
	add_field(to, "X-Postrider-Queue-ID", b->queue_id);
	add_typed(to, "X-Postrider-Sender", "rfc822", b->sender);
	for (i = 0; i < b->count; i++)
		add_recipient(to, b, &b->rows[i]);
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
	str_addf(to, "Content-Description: %s\r\nContent-Type: %s\r\n%s\r\n",
	    r->is_headers_only ? "Undelivered Message Headers" :
	    "Undelivered Message",
	    r->is_headers_only ? "text/rfc822-headers" : "message/rfc822",
	    r->about->flags & MAIL_IS_8BIT ?
	    "Content-Transfer-Encoding: 8bit\r\n" : "");
}

/* And everything after it. */
void
report_tail(struct str *to, const struct report *r)
{
	add_boundary(to, r, true);
}
