/*
 * parameters.c - what stands behind the path of MAIL FROM and RCPT TO.
 *
 * Called by envelope.c. SIZE (RFC 1870), BODY (RFC 6152), RET, ENVID, NOTIFY
 * and ORCPT (RFC 3461), AUTH (RFC 4954), and XVERP, which is Postfix's. Values
 * are decoded here and go on as text; what they may hold is told by
 * common/mail/dsn.c.
 */

#include "smtpd/parameters.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"
#include "common/mail/dsn.h"
#include "common/mail/encode.h"
#include "common/mail/smtp.h"
#include "common/mail/verp.h"
#include "common/param/site.h"

#include "smtpd/commands.h"
#include "smtpd/refuse.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"

const struct param parameter_params[] = {
	PARAM_STRING("default_verp_delimiters", set.verp_delimiters, "+=", 2,
	    2, "The two characters of VERP for who does not give his own."),
	PARAM_STRING("verp_delimiter_filter", set.verp_filter, "-=+", 1, 100,
	    "The characters that VERP delimiters may be."),
	PARAM_END
};

/* A keyword, the extension that it belongs to, and its reader, which gets ""
 * for a keyword without a value only if that is allowed. */
struct keyword {
	const char	*name, *extension;
	WAITS int	(*read)(struct session *, struct recipient_row *,
			    const char *value);
	bool		 may_be_bare;
};

/* SIZE=: one to twenty digits, and not more than we take (RFC 1870 3). */
WAITS static int
read_size(struct session *s, struct recipient_row *row, const char *value)
{
	char	line[REPLY_LINE];
	size_t	digits;

	(void)row;
	digits = strspn(value, "0123456789");
	if (digits == 0 || digits > 20 || value[digits] != '\0')
		return say(s, REPLY_BAD_PARAMETER, "SIZE");
	if (text_integer(value, 0, INT64_MAX, &s->mail->size_hint) != NULL)
		s->mail->size_hint = INT64_MAX;
	if (site.message_size_limit > 0 &&
	    s->mail->size_hint > site.message_size_limit)
		return refuse(s, "MAIL", NULL,
		    reply_text(line, REPLY_TOO_BIG));
	return DONE;
}

WAITS static int
read_body(struct session *s, struct recipient_row *row, const char *value)
{
	(void)row;
	if (text_equal(value, "8BITMIME"))
		s->mail->flags |= MAIL_IS_8BIT;
	else if (text_equal(value, "BINARYMIME"))
		/* RFC 3030 3; bdat.c tells why it is not offered */
		return say(s, REPLY_UNKNOWN_PARAMETER, "BODY=BINARYMIME");
	else if (!text_equal(value, "7BIT"))
		return say(s, REPLY_BAD_PARAMETER, "BODY");
	return DONE;
}

/* RFC 6531 3.4: a word alone. */
WAITS static int
read_utf8(struct session *s, struct recipient_row *row, const char *value)
{
	(void)row;
	if (*value != '\0')
		return say(s, REPLY_BAD_PARAMETER, "SMTPUTF8");
	s->mail->flags |= MAIL_IS_UTF8;
	return DONE;
}

WAITS static int
read_ret(struct session *s, struct recipient_row *row, const char *value)
{
	const char	*why;

	(void)row;
	why = dsn_parse_ret(value, &s->mail->return_what);
	return why == NULL ? DONE : say(s, REPLY_BAD_WISH, why);
}

WAITS static int
read_envid(struct session *s, struct recipient_row *row, const char *value)
{
	const char	*why;

	(void)row;
	why = dsn_parse_envid(s->mail->pool, value, &s->mail->envelope_id);
	return why == NULL ? DONE : say(s, REPLY_BAD_WISH, why);
}

/* XVERP or XVERP=+=; what would a bounce be sent back to? */
WAITS static int
read_verp(struct session *s, struct recipient_row *row, const char *value)
{
	const char	*why;

	(void)row;
	if (s->mail->sender[0] == '\0')
		return say(s, REPLY_BAD_WISH, "XVERP needs a sender");
	if (*value != '\0') {
		if ((why = verp_check(value, set.verp_filter)) != NULL)
			return say(s, REPLY_BAD_VERP, why);
		s->mail->verp = pool_strdup(s->mail->pool, value);
		return DONE;
	}
	if (verp_check(set.verp_delimiters, set.verp_filter) != NULL)
		return say(s, REPLY_MISCONFIGURED);
	s->mail->verp = set.verp_delimiters;
	return DONE;
}

/*
 * AUTH=<> or AUTH=xtext of a mailbox: who wrote it, says the client (RFC 4954
 * 5). Nobody is trusted in that, so that it means <> and nothing else is
 * passed on; the log has what somebody said who has logged in.
 */
WAITS static int
read_auth(struct session *s, struct recipient_row *row, const char *value)
{
	struct pool	*pool = s->mail->pool;
	char		*text, *address;

	(void)row;
	if (strcmp(value, "<>") == 0)
		return DONE;
	if ((text = xtext_decode(pool, value)) == NULL ||
	    address_parse(pool, text, (s->mail->flags & MAIL_IS_UTF8) != 0 ?
	    PATH_ALLOW_UTF8 : 0, &address) != NULL)
		return say(s, REPLY_BAD_PARAMETER, "AUTH");
	if (s->login[0] != '\0')
		s->mail->author = address;
	return DONE;
}

WAITS static int
read_notify(struct session *s, struct recipient_row *row, const char *value)
{
	const char	*why;
	int		 bits;

	if ((why = dsn_parse_notify(value, &bits)) != NULL)
		return say(s, REPLY_BAD_WISH, why);
	row->notify = bits;
	return DONE;
}

WAITS static int
read_orcpt(struct session *s, struct recipient_row *row, const char *value)
{
	const char	*why;

	if (has_8bit(value, strlen(value)) &&
	    (s->mail->flags & MAIL_IS_UTF8) == 0)
		return say(s, REPLY_BAD_UNICODE,
		    "UTF-8 in ORCPT needs the parameter SMTPUTF8");
	why = dsn_parse_orcpt(s->mail->scratch, value, &row->orcpt);
	return why == NULL ? DONE : say(s, REPLY_BAD_WISH, why);
}

static const struct keyword of_mail[] = {
	{ "SIZE",	"SIZE",		read_size,	false },
	{ "BODY",	"8BITMIME",	read_body,	false },
	{ "SMTPUTF8",	"SMTPUTF8",	read_utf8,	true },
	{ "RET",	"DSN",		read_ret,	false },
	{ "ENVID",	"DSN",		read_envid,	false },
	{ "AUTH",	"AUTH",		read_auth,	false },
	{ "XVERP",	"XVERP",	read_verp,	true },
	{ NULL,		NULL,		NULL,		false }
};

static const struct keyword of_rcpt[] = {
	{ "NOTIFY",	"DSN",		read_notify,	false },
	{ "ORCPT",	"DSN",		read_orcpt,	false },
	{ NULL,		NULL,		NULL,		false }
};

/* Read one parameter by the table. */
WAITS static int
read_parameter(struct session *s, const struct keyword *k,
    struct recipient_row *row, const struct smtp_parameter *p)
{
	/* RFC 5321 4.1.1.11: parameters belong to EHLO. */
	if (!s->is_extended)
		return say(s, REPLY_NEED_EHLO, p->keyword);
	while (k->name != NULL && !text_equal(k->name, p->keyword))
		k++;
	if (k->name == NULL || !extension_is_offered(s, k->extension))
		return say(s, REPLY_UNKNOWN_PARAMETER, p->keyword);
	if (p->value == NULL && !k->may_be_bare)
		return say(s, REPLY_BAD_PARAMETER, k->name);
	return k->read(s, row, p->value != NULL ? p->value : "");
}

/* Read all of them; they are not needed longer than the pool is. */
WAITS static int
read_all(struct session *s, struct pool *pool, const char *text,
    const struct keyword *table, struct recipient_row *row,
    const char *syntax)
{
	struct smtp_parameter	*p;
	size_t			 count, i;
	int			 result;

	if (*text == '\0')
		return DONE;
	if (smtp_parse_parameters(pool, text, &p, &count) != NULL)
		return say(s, REPLY_BAD_SYNTAX, syntax);
	for (i = 0; i < count; i++) {
		result = read_parameter(s, table, row, &p[i]);
		if (result != DONE)
			return result;
	}
	return DONE;
}

int
parameters_of_mail(struct session *s, const char *text)
{
	return read_all(s, s->mail->pool, text, of_mail, NULL,
	    "MAIL FROM:<address>");
}

int
parameters_of_rcpt(struct session *s, const char *text,
    struct recipient_row *row)
{
	return read_all(s, s->mail->scratch, text, of_rcpt, row,
	    "RCPT TO:<address>");
}
