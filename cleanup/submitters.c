/*
 * submitters.c - which users of this machine may post, and as whom.
 *
 * Read by pickup, which asks resolve what tables say (permit.c), and by
 * postdrop, which may not ask anybody and refuses early who is refused by
 * name. Patterns of senders are matched as the sender was given, before
 * myorigin completes it.
 */
#include "cleanup/submitters.h"

#include <string.h>
#include <strings.h>

#include "common/base/text.h"
#include "common/mail/address.h"

struct submitters	submitters;

const struct param	submitters_params[] = {
	PARAM_STRING("authorized_submit_users", submitters.users,
	    "static:anyone", 0, 0, "Which users of this machine may post "
	    "mail: names, !names, /files and type:tables of them. A user "
	    "without a name is called unknown. Root is no exception."),
	PARAM_STRING("local_login_sender_maps", submitters.senders, "static:*",
	    0, 0, "Tables that say as whom a user of this machine may post: by "
	    "login name, or uid:NUMBER without one, a list of addresses, "
	    "@domains, <> for the null sender, or * for anybody. Who is in no "
	    "table posts nothing."),
	PARAM_STRING("empty_address_local_login_sender_maps_lookup_key",
	    submitters.null_sender, "<>", 1, 100, "What the null sender is "
	    "called in local_login_sender_maps."),
	PARAM_END
};

static const char	separators[] = ", \t\n";

/* Only when that is the whole list: a "!name" may stand in front. */
bool
submitters_is_anybody(const char *list)
{
	return text_starts(list, "static:") &&
	    strpbrk(list, separators) == NULL;
}

/* Is this a word that only its reader understands: a file, a table? */
static bool
is_elsewhere(const char *word, size_t len)
{
	return memchr(word, '/', len) != NULL ||
	    memchr(word, ':', len) != NULL || memchr(word, '{', len) != NULL;
}

/* Word by word; the first that fits decides. */
enum submitter
submitters_find(const char *list, const char *name)
{
	const char	*at = list;
	size_t		 len, bangs;
	bool		 fits;

	for (;;) {
		at += strspn(at, separators);
		if ((len = strcspn(at, separators)) == 0)
			return SUBMITTER_MAY_NOT;
		bangs = strspn(at, "!");
		at += bangs;
		len -= bangs;
		fits = strncasecmp(at, "static:", 7) == 0;
		if (!fits && is_elsewhere(at, len))
			return SUBMITTER_WHO_KNOWS;
		fits = fits || (strlen(name) == len &&
		    strncasecmp(at, name, len) == 0);
		if (fits)
			return bangs % 2 == 1 ? SUBMITTER_MAY_NOT :
			    SUBMITTER_MAY;
		at += len;
	}
}

/* The sender without an extension, and its domain with the @, or "". */
static char *
plain_sender(struct pool *pool, const char *sender, const char *delimiters,
    const char **domain)
{
	const char	*local, *at_domain;
	size_t		 len, user_len;

	address_split(sender, &local, &len, &at_domain);
	*domain = at_domain != NULL ? pool_printf(pool, "@%s", at_domain) : "";
	if (*delimiters != '\0' &&
	    address_split_extension(local, len, delimiters, &user_len))
		len = user_len;
	return pool_printf(pool, "%.*s%s", (int)len, local, *domain);
}

/* Pattern by pattern. */
bool
submitters_may_be(struct pool *pool, const char *patterns, const char *sender,
    const char *delimiters)
{
	char		*list = pool_strdup(pool, patterns), *word;
	const char	*domain = "", *plain = submitters.null_sender;

	if (*sender != '\0')
		plain = plain_sender(pool, sender, delimiters, &domain);
	while ((word = strsep(&list, separators)) != NULL) {
		if (*word == '\0')
			continue;
		if (strcmp(word, "*") == 0 || text_equal(word, plain))
			return true;
		if (*word == '@' && text_equal(word, domain))
			return true;
	}
	return false;
}
