/*
 * logins.c - who may use which sender address.
 *
 * Called by restrict.c for reject_sender_login_mismatch and its kin. resolve
 * completes the address and looks for it in the usual order (user+tag@domain,
 * user@domain, user, @domain), so that every spelling of one address has the
 * same owners. What it says is kept for the transaction: each recipient asks
 * again.
 *
 * P1  A sender that has no owners is nobody's: who has logged in may not use
 *     it. A table that cannot be asked is a temporary refusal.
 */

#include "smtpd/logins.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"

#include "smtpd/settings.h"
#include "smtpd/table.h"

const struct param login_params[] = {
	PARAM_STRING("smtpd_sender_login_maps", set.login_maps, "", 0, 10000,
	    "Tables of sender addresses (user@domain, user, @domain) with the "
	    "names of those who may use them after they have logged in, for "
	    "reject_sender_login_mismatch and its kin."),
	PARAM_END
};

/* The owners of the sender, "" without any; NULL when nobody can tell. */
WAITS static const char *
find_owners(const struct session *s)
{
	struct transaction	*mail = s->mail;
	struct found		 found;

	if (mail->owners != NULL)
		return mail->owners;
	table_ask(mail->pool, "smtpd_sender_login_maps", LOOKUP_ADDRESS,
	    mail->sender, &found);
	if (found.result == LOOKUP_TEMPORARY) {
		log_warning("smtpd_sender_login_maps: %s", found.text);
		return NULL;
	}
	mail->owners = found.result == LOOKUP_FOUND ? found.value : "";
	return mail->owners;
}

/* Is this login one of them? */
static bool
owns(const char *owners, const char *login)
{
	size_t	len;

	if (*login == '\0')
		return false;
	for (; *owners != '\0'; owners += len) {
		owners += strspn(owners, ", \t\r\n");
		len = strcspn(owners, ", \t\r\n");
		if (len > 0 && text_equal_mem(login, owners, len))
			return true;
	}
	return false;
}

enum lookup_result
logins_break(const struct session *s, enum login_rule rule)
{
	bool		 is_in = s->login[0] != '\0';
	const char	*owners;

	if (s->mail == NULL || s->mail->sender[0] == '\0' ||
	    (rule == LOGIN_AUTHENTICATED && !is_in) ||
	    (rule == LOGIN_UNAUTHENTICATED && is_in))
		return LOOKUP_NOT_FOUND;
	if ((owners = find_owners(s)) == NULL)
		return LOOKUP_TEMPORARY;
	/* Nobody's: only who has logged in could be asked to own it. */
	if (*owners == '\0' && (!is_in || rule == LOGIN_KNOWN))
		return LOOKUP_NOT_FOUND;
	return owns(owners, s->login) ? LOOKUP_NOT_FOUND : LOOKUP_FOUND;
}
