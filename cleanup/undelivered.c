/*
 * undelivered.c - the report about a posted message that is not accepted.
 *
 * Called by maildrop.c, whose sender left long ago and hears by mail. There is
 * no queue file yet that the program bounce could be handed, hence a report of
 * our own: a letter, a delivery-status for programs, and the message, or its
 * header when it is large.
 */
#include "cleanup/undelivered.h"

#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/mail/dsn.h"
#include "common/mail/smtp.h"
#include "common/param/site.h"

enum { ROWS = 1000 };		/* as many as a packet's; more are counted */

/* Does the sender want to hear that this recipient did not get it? */
static bool
is_told(const struct recipient_row *row)
{
	return row->notify == 0 || (row->notify & NOTIFY_FAILURE) != 0;
}

/* Does anybody's? */
bool
undelivered_wants_report(const struct drop *d)
{
	size_t	i;

	for (i = 0; i < d->count; i++)
		if (is_told(&d->recipients[i]))
			return true;
	return false;
}

/* The header of the report. */
static void
add_header(struct str *to, const struct undelivered *u)
{
	bool	is_8bit = (u->drop->flags & MAIL_IS_8BIT) != 0;

	str_addf(to, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n"
	    "To: %s\r\nSubject: Undelivered Mail Returned to Sender\r\n"
	    "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n",
	    site.myhostname, u->to);
	if (is_8bit)
		str_add(to, "Content-Transfer-Encoding: 8bit\r\n");
	str_addf(to, "Content-Type: multipart/report; "
	    "report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n",
	    u->boundary);
}

/* For people. */
static void
add_letter(struct str *to, const struct undelivered *u)
{
	str_addf(to, "--%s\r\nContent-Description: Notification\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
	    "This is the mail system at host %s.\r\n\r\n"
	    "Your message could not be accepted for delivery:\r\n\r\n"
	    "    %.900s\r\n\r\nIt, or its header, is attached.\r\n\r\n",
	    u->boundary, site.myhostname, u->reply);
}

/* One recipient for programs (RFC 3464 2.3). */
static void
add_recipient(struct str *to, const struct undelivered *u,
    const struct recipient_row *row)
{
	const char	*text = strlen(u->reply) > 4 ? u->reply + 4 : "";
	size_t		 len = dsn_find(text, 0);

	str_add(to, "\r\n");
	if (row->orcpt[0] != '\0')
		str_addf(to, "Original-Recipient: %s\r\n", row->orcpt);
	str_addf(to, "Final-Recipient: rfc822; %s\r\nAction: failed\r\n"
	    "Status: %.*s\r\nDiagnostic-Code: x-postrider; %.900s\r\n",
	    row->address, len > 0 ? (int)len : 5, len > 0 ? text : "5.0.0",
	    u->reply);
}

/* All of them (RFC 3464 2.2). */
static void
add_status(struct str *to, const struct undelivered *u)
{
	const struct drop	*d = u->drop;
	char			 date[64];
	size_t			 i, count = 0;

	str_addf(to, "--%s\r\nContent-Description: Delivery report\r\n"
	    "Content-Type: message/delivery-status\r\n\r\n", u->boundary);
	if (*d->envelope_id != '\0')
		str_addf(to, "Original-Envelope-Id: %s\r\n", d->envelope_id);
	str_addf(to, "Reporting-MTA: dns; %s\r\n", site.myhostname);
	str_addf(to, "Arrival-Date: %s\r\n", clock_mail_date(date,
	    sizeof(date), (time_t)(u->posted_us / 1000000)));
	for (i = 0; i < d->count && count < ROWS; i++) {
		if (!is_told(&d->recipients[i]))
			continue;
		add_recipient(to, u, &d->recipients[i]);
		count++;
	}
	str_add(to, "\r\n");
}

/* How long the header is, its last line end included; all of it without an
 * end. */
static size_t
header_length(const char *text, size_t len)
{
	const char	*end, *at = text, *line;

	while ((size_t)(at - text) < len &&
	    (line = memchr(at, '\n', len - (size_t)(at - text))) != NULL) {
		end = line > at && line[-1] == '\r' ? line - 1 : line;
		if (end == at)
			return (size_t)(at - text);
		at = line + 1;
	}
	return len;
}

/* The message if it is all there and wanted, else its header. */
static void
add_message(struct str *to, const struct undelivered *u, struct pool *pool)
{
	bool		 is_whole = (int64_t)u->length ==
			    u->drop->content_length &&
			    strcmp(u->drop->return_what, "HDRS") != 0;
	size_t		 len = is_whole ? u->length :
			    header_length(u->content, u->length);
	char		*out = pool_alloc(pool, 2 * len + 2);
	struct crlf	 crlf = { false };

	str_addf(to, "--%s\r\nContent-Description: %s\r\nContent-Type: %s\r\n",
	    u->boundary, is_whole ? "Undelivered Message" :
	    "Undelivered Message Headers", is_whole ? "message/rfc822" :
	    "text/rfc822-headers");
	if (u->drop->flags & MAIL_IS_8BIT)
		str_add(to, "Content-Transfer-Encoding: 8bit\r\n");
	str_add(to, "\r\n");
	str_add_mem(to, out, crlf_encode(&crlf, u->content, len, out));
	str_addf(to, "\r\n--%s--\r\n", u->boundary);
}

/* The whole report. */
void
undelivered_report(struct str *to, const struct undelivered *u)
{
	add_header(to, u);
	add_letter(to, u);
	add_status(to, u);
	add_message(to, u, to->pool);
}
