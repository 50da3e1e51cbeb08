/*
 * verp.c - a sender for each recipient.
 *
 * Called by qmgr for deliveries and for reports, which must agree, and by who
 * takes delimiters from strangers (smtpd, sendmail).
 */
#include "common/mail/verp.h"

#include <string.h>

#include "common/mail/address.h"

enum { LONGEST = 1000 };	/* what packets and envelopes hold, and less */

/* "owner" "+" "user" "=" "dom", quoted again if a part had quotes. */
static char *
local_part(struct pool *pool, const char *sender, size_t sender_len,
    const char *recipient, const char *delimiters)
{
	const char	*local, *domain, *plain;
	size_t		 len;

	address_split(recipient, &local, &len, &domain);
	plain = pool_printf(pool, "%s%c%s",
	    address_unquote_local(pool, sender, sender_len), delimiters[0],
	    address_unquote_local(pool, local, len));
	if (domain != NULL)
		plain = pool_printf(pool, "%s%c%s", plain, delimiters[1],
		    domain);
	return address_quote_local(pool, plain);
}

/* The sender with the recipient in its local part. */
char *
verp_sender(struct pool *pool, const char *sender, const char *recipient,
    const char *delimiters)
{
	const char	*local, *domain;
	char		*fresh;
	size_t		 len;

	if (*sender == '\0' || strlen(delimiters) != 2)
		return pool_strdup(pool, sender);
	address_split(sender, &local, &len, &domain);
	fresh = local_part(pool, local, len, recipient, delimiters);
	if (domain != NULL)
		fresh = pool_printf(pool, "%s@%s", fresh, domain);
	return strlen(fresh) <= LONGEST ? fresh : pool_strdup(pool, sender);
}

/* Two characters, both allowed. */
const char *
verp_check(const char *delimiters, const char *filter)
{
	if (strlen(delimiters) != 2)
		return "expected two delimiter characters";
	if (strspn(delimiters, filter) != 2)
		return "this delimiter character is not allowed";
	return NULL;
}
