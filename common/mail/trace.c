/*
 * trace.c - the lines that tell where a message has been (RFC 5321 4.4).
 *
 * What strangers say of themselves is reduced to characters of an atom, so
 * that no name can end the field, open a comment or bring a field of its
 * own.
 */
#include "common/mail/trace.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"

enum {
	NAME_SHOWN	= 255		/* of a HELO name or client name */
};

/* Add a name as an atom with dots; what cannot be in one becomes '?'. */
static void
add_name(struct str *to, const char *name)
{
	size_t	i, len = strnlen(name, NAME_SHOWN);

	if (len == 0) {
		str_add(to, "unknown");
		return;
	}
	for (i = 0; i < len; i++) {
		bool	is_dot = name[i] == '.' && i > 0 && i + 1 < len &&
			    name[i - 1] != '.';

		str_add_char(to, is_dot || is_atext(name[i]) ? name[i] : '?');
	}
}

/* Add what the client called itself: a literal stays one if it is valid. */
static void
add_helo(struct str *to, const char *helo)
{
	if (domain_is_literal(helo))
		str_add(to, helo);
	else
		add_name(to, helo);
}

/* Add an address literal (RFC 5321 4.1.3). */
static void
add_literal(struct str *to, const char *address)
{
	str_add(to, strchr(address, ':') != NULL ? "[IPv6:" : "[");
	for (; *address != '\0'; address++)
		str_add_char(to, hex_value(*address) >= 0 || *address == ':' ||
		    *address == '.' ? *address : '?');
	str_add_char(to, ']');
}

/* Add text that is well-formed already, should it hold no line end. */
static void
add_line(struct str *to, const char *text)
{
	for (; *text != '\0'; text++)
		str_add_char(to, is_control((unsigned char)*text) ? '?' :
		    *text);
}

/* Add "<address>". */
static void
add_path(struct str *to, const char *address)
{
	str_add_char(to, '<');
	add_line(to, address);
	str_add_char(to, '>');
}

/* Add words of our own, each line of them folded: those that are the clause of
 * RFC 8314 4.3, or all others. */
static void
add_extra(struct str *to, const char *text, bool wants_clause)
{
	static const char	clause[] = "tls ";
	size_t			len;

	if (text == NULL || *text == '\0')
		return;
	for (;;) {
		len = strcspn(text, "\n");
		if ((strncmp(text, clause, sizeof(clause) - 1) == 0) ==
		    wants_clause) {
			str_add(to, "\r\n\t");
			for (; len > 0; len--, text++)
				str_add_char(to, is_control(
				    (unsigned char)*text) ? '?' : *text);
		}
		text += len;
		if (*text++ == '\0')
			return;
	}
}

/* Add "; DATE" and end the field. */
static void
add_date(struct str *to, time_t when)
{
	char	date[CLOCK_DATE_SIZE];

	str_addf(to, "; %s\r\n", clock_mail_date(date, sizeof(date), when));
}

/* Add the field of a message that was submitted on this host, or made by one
 * of our own programs (no user then). */
static void
add_local(struct str *to, const struct trace *t, const char *program)
{
	str_addf(to, "Received: by %s (%s", t->myhostname, program);
	if (t->uid >= 0)
		str_addf(to, ", from userid %ld", t->uid);
	str_addf(to, ")\r\n\tid %s", t->queue_id);
	add_date(to, t->when);
}

/* Add who the client is; one that is hidden is nobody. */
static void
add_client(struct str *to, const struct trace *t)
{
	str_add(to, "from ");
	add_helo(to, t->helo);
	str_add(to, " (");
	add_name(to, t->client_name != NULL ? t->client_name : "");
	str_add_char(to, ' ');
	add_literal(to, t->client_address != NULL ? t->client_address : "");
	str_add_char(to, ')');
}

/* Add the Received field. */
void
trace_received(struct str *to, const struct trace *t)
{
	const char	*program = t->program != NULL ? t->program :
			    "Postrider";

	if (t->helo == NULL) {
		add_local(to, t, program);
		return;
	}
	str_add(to, "Received: ");
	if (!t->hides_client) {
		add_client(to, t);
		add_extra(to, t->extra, false);
		str_add(to, "\r\n\t");
	}
	str_addf(to, "by %s (%s) with %s id %s", t->myhostname, program,
	    t->protocol, t->queue_id);
	if (t->hides_client)
		add_extra(to, t->extra, false);
	if (t->recipient != NULL) {
		str_add(to, "\r\n\tfor ");
		add_path(to, t->recipient);
	}
	add_extra(to, t->extra, true);
	add_date(to, t->when);
}

/* Add Return-Path. */
void
trace_return_path(struct str *to, const char *sender)
{
	str_add(to, "Return-Path: ");
	add_path(to, sender);
	str_add(to, "\r\n");
}

/* Add Delivered-To. */
void
trace_delivered_to(struct str *to, const char *recipient)
{
	str_add(to, "Delivered-To: ");
	add_line(to, recipient);
	str_add(to, "\r\n");
}

/* Add a message identifier: the time in UTC, the queue id, the host. */
void
trace_message_id(struct str *to, const char *queue_id, const char *myhostname,
    time_t when)
{
	struct tm	t;
	char		stamp[32];

	if (gmtime_r(&when, &t) == NULL ||
	    strftime(stamp, sizeof(stamp), "%Y%m%d%H%M%S", &t) == 0)
		stamp[0] = '\0';
	str_addf(to, "<%s.%s@%s>", stamp, queue_id, myhostname);
}
