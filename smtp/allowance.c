/*
 * allowance.c - what a host wants of one conversation (RFC 9422).
 *
 * Called by open.c, which hears of it, and transaction.c, which keeps to it:
 * who goes beyond is refused there, and the refusal costs an attempt.
 */
#include "smtp/allowance.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"

/* More domains than that are remembered for nobody. */
enum { DOMAINS_MAX = 500 };

/* "NAME=123"; RFC 9422 3.1: digits, the first of which is not 0, at most six
 * (4.1 to 4.3). */
static void
take_word(struct allowance *a, const char *word)
{
	const struct { const char *name; int64_t *to; } limits[] = {
		{ "MAILMAX=", &a->mails }, { "RCPTMAX=", &a->recipients },
		{ "RCPTDOMAINMAX=", &a->domains }
	};
	const char	*digits;
	int64_t		 n;
	size_t		 i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (!text_starts(word, limits[i].name))
			continue;
		digits = word + strlen(limits[i].name);
		if (*digits != '0' && strlen(digits) <= 6 &&
		    text_integer(digits, 1, 999999, &n) == NULL)
			*limits[i].to = n;
	}
}

void
allowance_learn(struct allowance *a, const char *words)
{
	struct pool	*pool = pool_new("limits", 0);
	char		*rest = pool_strdup(pool, words), *word;

	a->mails = a->recipients = a->domains = 0;
	while ((word = strsep(&rest, " \t")) != NULL)
		take_word(a, word);
	pool_free(pool);
}

bool
allowance_has_mail(const struct allowance *a)
{
	return a->mails == 0 || a->mails_had < a->mails;
}

void
allowance_note_mail(struct allowance *a)
{
	a->mails_had++;
}

/* Is it one of those that the conversation has had? */
static bool
is_known(const struct allowance *a, const char *domain)
{
	size_t	i;

	for (i = 0; i < a->count; i++)
		if (text_equal(a->domains_had[i], domain))
			return true;
	return false;
}

bool
allowance_take(struct allowance *a, struct pool *pool, size_t recipients,
    const char *address)
{
	const char	*local, *domain;
	size_t		 len;

	if (a->recipients > 0 && recipients >= (size_t)a->recipients)
		return false;
	if (a->domains == 0)
		return true;
	address_split(address, &local, &len, &domain);
	if (domain == NULL)
		domain = "";
	if (is_known(a, domain))
		return true;
	if (a->count >= (size_t)a->domains || a->count >= DOMAINS_MAX)
		return false;
	a->domains_had = pool_grow(pool, a->domains_had, &a->room,
	    a->count + 1, sizeof(*a->domains_had));
	a->domains_had[a->count++] = pool_strdup(pool, domain);
	return true;
}
