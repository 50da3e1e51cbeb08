/*
 * prepare.c - what is to be known before a transaction begins.
 *
 * Called by transaction.c. Addresses as this host gets them, the content, and
 * whether it gets it at all; who does not is settled here, without a word to
 * the host.
 */
#include "smtp/transaction.h"

#include <string.h>

#include "smtp/settings.h"

/* The same for all. */
WAITS static int
settle_all(struct transaction *t, enum outcome outcome, const char *dsn,
    const char *text)
{
	size_t	i;

	for (i = 0; i < t->count; i++)
		delivery_settle(t->d, t->to[i], t->c, outcome, dsn, text, "");
	return 1;
}

/* This host does not take it; another one of the domain may, and when none
 * does, that is for good. */
static void
blame_host(struct transaction *t, const char *dsn, const char *why)
{
	struct failure	f = { .dsn = dsn, .why = why, .remote = "",
			    .diagnostic = "", .is_permanent = true };

	f.relay = pool_strdup(t->d->pool, t->c->relay);
	delivery_fail(t->d, &f);
}

/* SMTPUTF8 is wanted, and not there? */
static bool
is_utf8_trouble(const char *dsn)
{
	return strcmp(dsn, "5.6.7") == 0;
}

/* The sender. 1: nobody is to be asked for. */
WAITS static int
prepare_sender(struct transaction *t)
{
	const char	*dsn = "4.3.0", *why = "", *address;

	address = content_address(t->d, t->d->mail->sender, &dsn, &why);
	if (address == NULL)
		return settle_all(t, OUTCOME_DEFERRED, dsn, why);
	dsn = "5.1.7";
	t->sender = wire_path(t, address, &dsn, &why);
	if (t->sender != NULL && (why = wire_refusal(t, &dsn)) == NULL)
		return 0;
	if (!is_utf8_trouble(dsn))
		return settle_all(t, OUTCOME_BOUNCED, dsn, why);
	blame_host(t, dsn, why);
	return 1;
}

/* The recipients; those that cannot be asked for are settled and left out. */
WAITS static void
prepare_recipients(struct transaction *t)
{
	const char	*dsn, *why, *address;
	size_t		 i, n = 0;

	for (i = 0; i < t->count; i++) {
		dsn = "4.3.0";
		why = "";
		address = content_address(t->d,
		    t->d->mail->recipients[t->to[i]].address, &dsn, &why);
		if (address == NULL) {
			delivery_settle(t->d, t->to[i], t->c,
			    OUTCOME_DEFERRED, dsn, why, "");
			continue;
		}
		dsn = "5.1.3";
		address = wire_path(t, address, &dsn, &why);
		if (address == NULL && is_utf8_trouble(dsn)) {
			blame_host(t, dsn, why);
			continue;
		}
		if (address == NULL) {
			delivery_settle(t->d, t->to[i], t->c,
			    OUTCOME_BOUNCED, dsn, why, "");
			continue;
		}
		t->addresses[n] = address;
		t->to[n++] = t->to[i];
	}
	t->count = n;
}

/* The content as this host gets it. 1: there is nothing to be sent to it. */
WAITS static int
prepare_content(struct transaction *t)
{
	const char	*dsn = "4.3.0", *why = "";

	t->content = content_open(t->d, t->c, &dsn, &why);
	if (t->content == NULL && dsn[0] == '5') {
		blame_host(t, dsn, why);
		return 1;
	}
	if (t->content == NULL)
		return settle_all(t, OUTCOME_DEFERRED, dsn, why);
	/* RFC 1870 6.1: it would refuse it anyhow. */
	if (t->c->size_limit > 0 &&
	    content_size(t->content) > t->c->size_limit)
		return settle_all(t, OUTCOME_BOUNCED, "5.3.4",
		    pool_printf(t->d->pool, "message size %lld exceeds size "
		    "limit %lld of server %s",
		    (long long)content_size(t->content),
		    (long long)t->c->size_limit, t->c->name));
	return 0;
}

/* Nothing is to be said to this host: as if it had not been asked, with others
 * that may be able to do more behind it (smtp_mx_session_limit). */
static int
useless(struct transaction *t)
{
	if (t->d->sessions > 0)
		t->d->sessions--;
	return 1;
}

int
prepare(struct transaction *t)
{
	if (prepare_content(t) == 1 || prepare_sender(t) == 1)
		return useless(t);
	prepare_recipients(t);
	return t->count == 0 ? useless(t) : 0;
}
