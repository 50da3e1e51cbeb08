/*
 * unicode.c - addresses that are not ASCII (SMTPUTF8, RFC 6531).
 *
 * U1  What is not valid UTF-8 (overlong forms, surrogates, pieces of a
 *     character) is no command, whatever was agreed on.
 * U2  A domain that is not ASCII has A-labels, or its address is refused: it
 *     is looked up by them, and nothing else is delivered to.
 * U3  Who did not say SMTPUTF8 hears ASCII.
 */
#include "smtpd/unicode.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"
#include "common/mail/idn.h"
#include "common/param/site.h"

#include "smtpd/commands.h"
#include "smtpd/refuse.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"

const struct param unicode_params[] = {
	PARAM_BOOL("strict_smtputf8", set.strict_smtputf8, "yes",
	    "Take UTF-8 addresses only from clients that gave the parameter "
	    "SMTPUTF8 with MAIL, as RFC 6531 has it; no takes them from "
	    "others too, and their mail for such."),
	PARAM_END
};

bool
unicode_is_offered(const struct session *s)
{
	/* RFC 6531 3.1: 8BITMIME belongs to it. */
	return site.smtputf8_enable && extension_is_offered(s, "8BITMIME");
}

/* U1. */
bool
unicode_may_pass(const struct session *s, const char *line)
{
	static const char *const	verbs[] = {
		"MAIL", "RCPT", "VRFY", "EXPN"
	};
	size_t				i, len = strcspn(line, " \t");

	if (!s->is_extended || !extension_is_offered(s, "SMTPUTF8") ||
	    !utf8_is_valid(line, strlen(line)))
		return false;
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (text_equal_mem(verbs[i], line, len))
			return true;
	return false;
}

unsigned
unicode_rules(const struct session *s)
{
	return s->is_extended && extension_is_offered(s, "SMTPUTF8") ?
	    PATH_ALLOW_UTF8 : 0;
}

/* Refuse it, with a line in the log as for others that are refused. */
WAITS static int
refuse_address(struct session *s, const char *address, bool is_sender,
    const char *why)
{
	char	line[REPLY_LINE];

	return refuse(s, is_sender ? "MAIL" : "RCPT",
	    is_sender ? NULL : address,
	    reply_text(line, REPLY_BAD_UNICODE, why));
}

int
unicode_check(struct session *s, const char *address, bool is_sender)
{
	const char	*why;
	char		*ascii;

	if (!has_8bit(address, strlen(address)))
		return DONE;
	if ((s->mail->flags & MAIL_IS_UTF8) == 0 && set.strict_smtputf8)
		return refuse_address(s, address, is_sender,
		    "a UTF-8 address needs the parameter SMTPUTF8");
	if ((why = idn_address(s->mail->pool, address, &ascii)) != NULL)
		return refuse_address(s, address, is_sender, why);
	s->mail->flags |= MAIL_IS_UTF8;
	return DONE;
}

bool
unicode_of_query(struct session *s, char *text)
{
	static const char	word[] = " SMTPUTF8";
	size_t			len = strlen(text), n = strlen(word);

	if (unicode_rules(s) != 0 && len > n &&
	    text_equal(text + len - n, word)) {
		text[len - n] = '\0';
		(void)text_trim(text);
		s->takes_utf8 = true;
	}
	return s->takes_utf8 || !has_8bit(text, strlen(text));
}

bool
unicode_may_reply(const struct session *s)
{
	return s->takes_utf8 ||
	    (s->mail != NULL && (s->mail->flags & MAIL_IS_UTF8) != 0);
}
