/*
 * restrict.c - who may send where.
 *
 * Called by envelope.c for each recipient. A list is read once at start into
 * steps; a name that we do not know, or lists that would let anybody relay,
 * make the service answer 451: we never guess what an administrator meant.
 */

#include "smtpd/restrict.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/address.h"

#include "smtpd/settings.h"

const struct param restrict_params[] = {
	PARAM_STRING("smtpd_relay_restrictions", set.relay_restrictions,
	    "permit_mynetworks, permit_sasl_authenticated, "
	    "defer_unauth_destination", 0, 10000,
	    "Who may relay: names are tried in order, the first that permits, "
	    "rejects or defers decides."),
	PARAM_STRING("smtpd_recipient_restrictions",
	    set.recipient_restrictions, "", 0, 10000,
	    "Asked after smtpd_relay_restrictions, in the same way."),
	PARAM_STRING("smtpd_etrn_restrictions", set.etrn_restrictions, "", 0,
	    10000, "Who may send ETRN; everybody, when empty."),
	PARAM_INT("relay_domains_reject_code", set.relay_code, "554", 400,
	    599, "The reply code of \"Relay access denied\"."),
	PARAM_INT("unknown_local_recipient_reject_code", set.unlisted_code,
	    "550", 400, 599, "The reply code for recipients there are not."),
	PARAM_END
};

static const struct step {
	const char	*name;
	enum verdict	 verdict;
	enum { ALWAYS, IF_TRUSTED, IF_LOGGED_IN, IF_STRANGE,
	    IF_OURS } when;
} known[] = {
	{ "permit_mynetworks",		VERDICT_PERMIT,		IF_TRUSTED },
	{ "permit_sasl_authenticated",	VERDICT_PERMIT,		IF_LOGGED_IN },
	{ "reject_unauth_destination",	VERDICT_RELAY_DENIED,	IF_STRANGE },
	{ "defer_unauth_destination",	VERDICT_RELAY_DEFERRED,	IF_STRANGE },
	{ "permit",			VERDICT_PERMIT,		ALWAYS },
	{ "reject",			VERDICT_REJECT,		ALWAYS },
	{ "defer",			VERDICT_DEFER,		ALWAYS },
	{ "permit_auth_destination",	VERDICT_PERMIT,		IF_OURS },
};
enum { KNOWN = sizeof(known) / sizeof(known[0]), STEPS = 64 };

struct list {
	const struct step	*steps[STEPS];
	size_t			 count;
	bool			 is_broken;
};
static struct list	 relay_list, recipient_list, etrn_list;
static bool		 is_open;	/* anybody could relay */

/* One list; an unknown name breaks the service, and says so. */
static bool
read_list(struct list *list, const char *parameter, const char *value)
{
	struct pool	*pool;
	char	       **words;
	size_t		 count, i, k;
	bool		 refuses;

	pool = pool_new(parameter, 0);
	words = text_words(pool, value, &count);
	refuses = false;
	for (i = 0; i < count; i++) {
		for (k = 0; k < KNOWN; k++)
			if (text_equal(words[i], known[k].name))
				break;
		if (k == KNOWN || list->count == STEPS) {
			log_error("%s: \"%s\" is not supported: every "
			    "%s is answered with 451", parameter, words[i],
			    list == &etrn_list ? "ETRN" : "recipient");
			list->is_broken = true;
			break;
		}
		list->steps[list->count++] = &known[k];
		if (known[k].verdict != VERDICT_PERMIT)
			refuses = true;
	}
	pool_free(pool);
	return refuses;
}

void
restrict_prepare(void)
{
	bool	refuses;

	refuses = read_list(&relay_list, "smtpd_relay_restrictions",
	    set.relay_restrictions);
	if (read_list(&recipient_list, "smtpd_recipient_restrictions",
	    set.recipient_restrictions))
		refuses = true;
	(void)read_list(&etrn_list, "smtpd_etrn_restrictions",
	    set.etrn_restrictions);
	if (!refuses && !relay_list.is_broken && !recipient_list.is_broken) {
		log_error("smtpd_relay_restrictions and "
		    "smtpd_recipient_restrictions would let anybody relay: "
		    "one needs reject_unauth_destination, "
		    "defer_unauth_destination, reject or defer; every "
		    "recipient is answered with 451");
		is_open = true;
	}
}

/* Does the step apply to this client and recipient? Without one (ETRN), no
 * step applies that permits by it, and every one that refuses by it. */
static bool
applies(const struct step *step, const struct session *s,
    const struct recipient_answer *to)
{
	switch (step->when) {
	case ALWAYS:
		return true;
	case IF_TRUSTED:
		return s->is_trusted;
	case IF_LOGGED_IN:
		return false;		/* nobody can log in here */
	case IF_STRANGE:
		return to == NULL || !to->is_final;
	case IF_OURS:
		return to != NULL && to->is_final;
	}
	return false;
}

/* The first step that decides. */
static enum verdict
ask_list(const struct list *list, const struct session *s,
    const struct recipient_answer *to)
{
	const struct step	*step;
	size_t			 i;

	for (i = 0; i < list->count; i++) {
		step = list->steps[i];
		if (applies(step, s, to))
			return step->verdict;
	}
	return VERDICT_NONE;
}

enum verdict
restrict_recipient(const struct session *s, const struct recipient_answer *to)
{
	enum verdict	verdict;

	if (is_open || relay_list.is_broken || recipient_list.is_broken)
		return VERDICT_BROKEN;
	verdict = ask_list(&relay_list, s, to);
	if (verdict != VERDICT_NONE && verdict != VERDICT_PERMIT)
		return verdict;
	return ask_list(&recipient_list, s, to);
}

enum verdict
restrict_etrn(const struct session *s)
{
	if (etrn_list.is_broken)
		return VERDICT_BROKEN;
	return ask_list(&etrn_list, s, NULL);
}
