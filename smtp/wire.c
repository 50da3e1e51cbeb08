/*
 * wire.c - addresses as MAIL and RCPT have them, and who can have them so.
 *
 * Called by transaction.c. What stands in the queue file is canonical and
 * clean when it comes from our front; here nobody relies on that.
 *
 * W1  An address is one path of one command, whatever a queue file or a table
 *     of smtp_generic_maps says: it has no control byte, and no blank and no
 *     "<" or ">" outside of quotes.
 * W2  A host without SMTPUTF8 gets no address that is not ASCII, and nothing
 *     of a message whose sender asked for SMTPUTF8 and whose header needs it.
 *     A mailbox behind LMTP is no next hop: it gets the header, as our own
 *     mailboxes do, since a message is not returned for a letter in its
 *     subject when it has arrived; but no such address.
 */
#include <string.h>

#include "common/base/fs.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"
#include "common/mail/idn.h"

#include "smtp/settings.h"
#include "smtp/transaction.h"

enum { BLOCK = 8 * 1024 };

/* --- addresses ----------------------------------------------------------- */

/* W1. */
static bool
is_one_path(const char *address)
{
	bool	is_quoted = false;

	for (; *address != '\0'; address++) {
		if (is_control((unsigned char)*address))
			return false;
		if (is_quoted && *address == '\\' && address[1] != '\0')
			address++;
		else if (*address == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && strchr(" <>", *address) != NULL)
			return false;
	}
	return !is_quoted;
}

/* May a local part go out without its quotes? What would make another command
 * of it may not. */
static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= ' ' ||
		    strchr("<>\"\\@,;:()[]\x7f", *text) != NULL)
			return false;
	return true;
}

/* smtp_quote_rfc821_envelope = no: without quotes, where that is safe. */
static const char *
unquote(struct pool *pool, const char *address)
{
	const char	*local, *domain;
	char		*plain;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	plain = address_unquote_local(pool, local, len);
	if (!is_plain(plain))
		return address;
	return domain == NULL ? plain : pool_printf(pool, "%s@%s", plain,
	    domain);
}

/* RFC 6531 3.2. */
static const char *
needs_utf8(struct transaction *t, const char **dsn)
{
	*dsn = "5.6.7";
	return pool_printf(t->d->pool, "SMTPUTF8 is required, but was not "
	    "offered by host %s", t->c->name);
}

/* For a host without SMTPUTF8: the domain in A-labels. There is no such form
 * of a local part. */
static const char *
old_style(struct transaction *t, const char *address, const char **dsn,
    const char **why)
{
	const char	*local, *domain;
	char		*ascii;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	if (!has_8bit(local, len)) {
		*why = idn_address(t->d->pool, address, &ascii);
		return *why == NULL ? ascii : NULL;
	}
	*why = needs_utf8(t, dsn);
	return NULL;
}

const char *
wire_path(struct transaction *t, const char *address, const char **dsn,
    const char **why)
{
	if (!is_one_path(address)) {
		*why = "the address cannot be written in a command";
		return NULL;
	}
	if (!t->c->has_utf8 && has_8bit(address, strlen(address)) &&
	    (address = old_style(t, address, dsn, why)) == NULL)
		return NULL;
	return set.quotes_envelope || address[0] != '"' ? address :
	    unquote(t->d->pool, address);
}

/* --- the header ---------------------------------------------------------- */

/* A block of the header: is there a byte of 8 bits before the empty line?
 * *line is the length of the line so far; *is_over: the header ends here. */
static bool
look(const char *data, size_t len, size_t *line, bool *is_over)
{
	size_t	i;

	for (i = 0; i < len; i++) {
		if (is_8bit(data[i]))
			return true;
		if (data[i] == '\n') {
			*is_over = *line == 0;
			*line = 0;
		} else if (data[i] != '\r')
			(*line)++;
		if (*is_over)
			return false;
	}
	return false;
}

/* Has the header more than ASCII? What cannot be read is told by who sends
 * it. */
static bool
header_has_8bit(struct pool *pool, const struct deliver *mail)
{
	char	*block = pool_alloc(pool, BLOCK);
	int64_t	 done = 0, left = mail->content_length;
	size_t	 line = 0;
	ssize_t	 n;
	bool	 is_over = false;

	for (; left > 0 && !is_over; done += n, left -= n) {
		n = fs_pread(mail->message, block, left < BLOCK ?
		    (size_t)left : BLOCK, mail->content_offset + done);
		if (n <= 0)
			return false;
		if (look(block, (size_t)n, &line, &is_over))
			return true;
	}
	return false;
}

bool
wire_wants_utf8(struct transaction *t)
{
	size_t	i;

	if (!t->c->has_utf8)
		return false;
	if (has_8bit(t->sender, strlen(t->sender)))
		return true;
	for (i = 0; i < t->count; i++)
		if (has_8bit(t->addresses[i], strlen(t->addresses[i])))
			return true;
	return (t->d->mail->flags & MAIL_IS_UTF8) != 0 &&
	    header_has_8bit(t->pool, t->d->mail);
}

const char *
wire_refusal(struct transaction *t, const char **dsn)
{
	const struct deliver	*mail = t->d->mail;

	if (set.is_lmtp || t->c->has_utf8 ||
	    (mail->flags & MAIL_IS_UTF8) == 0 ||
	    !header_has_8bit(t->pool, mail))
		return NULL;
	return needs_utf8(t, dsn);
}
