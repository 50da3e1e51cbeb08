/*
 * verify.c - VRFY and EXPN: who is there, and who is on a list.
 *
 * Called through commands.c. Neither touches a transaction.
 *
 * P1  Strangers hear the same of everybody (RFC 5321 7.3); those in mynetworks
 *     are told who does not exist. 250 is not said, since tables that list
 *     nobody prove nothing (RFC 5321 3.5.3).
 * P2  EXPN is for smtpd_expn_clients only, of whom there are none at first.
 *     Members that are commands or files are not shown.
 */

#include "smtpd/verify.h"

#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/net/match.h"
#include "common/param/site.h"

#include "smtpd/commands.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/table.h"
#include "smtpd/unicode.h"

enum { PATIENCE = 30 * 1000, MEMORY = 1024 * 1024 };

const struct param verify_params[] = {
	PARAM_BOOL("disable_vrfy_command", set.disable_vrfy, "no",
	    "Tell nobody by VRFY whether an address exists, and do not "
	    "announce it."),
	PARAM_STRING("smtpd_expn_clients", set.expn_clients, "", 0, 10000,
	    "Networks of clients that may see by EXPN who is behind an "
	    "alias."),
	PARAM_END
};

static struct match	*expn_clients;

void
verify_prepare(void)
{
	struct pool	*pool = pool_new("expn", 0);
	char		*why;

	expn_clients = match_networks(pool, set.expn_clients, &why);
	if (expn_clients == NULL)
		die("smtpd_expn_clients: %s", why);
	if (match_tables(expn_clients) != NULL)
		die("smtpd_expn_clients: %s: expected networks or files",
		    match_tables(expn_clients));
}

bool
verify_may_expand(const struct session *s)
{
	return match_address(expn_clients, &s->address);
}

/* The address that is asked for, in full: NULL, or what is wrong with it. */
static const char *
parse(struct pool *pool, const char *text, char **address)
{
	const char	*why, *local, *domain;
	size_t		 len;

	why = address_parse_path(pool, &text, PATH_ALLOW_BARE_LOCAL |
	    PATH_ALLOW_NO_BRACKETS | PATH_ALLOW_UTF8, address);
	if (why == NULL && *text != '\0')
		why = "expected one address or user";
	if (why != NULL)
		return why;
	address_split(*address, &local, &len, &domain);
	if (domain == NULL)
		*address = pool_printf(pool, "%s@%s", *address,
		    site.myorigin);
	return NULL;
}

/* Ask resolve of an address. -1: nobody knows for now. */
WAITS static int
ask(struct pool *pool, char *address, struct recipient_answer *answer)
{
	struct ask_recipient	question = { address, pool_strdup(pool, "") };

	if (link_ask(to_resolve, PACKET_ASK_RECIPIENT, &question,
	    PACKET_RECIPIENT, answer, pool, clock_now() + PATIENCE,
	    true) == -1 || answer->result == RECIPIENT_TEMPORARY)
		return -1;
	return 0;
}

/* What may be said of this address to this client? */
WAITS static int
verify(struct session *s, struct pool *pool, const char *text)
{
	struct recipient_answer	 answer;
	char			*address;
	const char		*why;

	if ((why = parse(pool, text, &address)) != NULL)
		return say(s, REPLY_BAD_RECIPIENT, why);
	if (set.disable_vrfy || !s->is_trusted)
		return say(s, REPLY_CANNOT_VRFY, address);
	if (ask(pool, address, &answer) == -1)
		return say(s, REPLY_LOOKUP_FAILED, address);
	if (answer.is_final && answer.result == RECIPIENT_UNKNOWN)
		return say(s, REPLY_VRFY_UNKNOWN, address);
	return say(s, REPLY_CANNOT_VRFY, address);
}

/* Answer a question about somebody: `syntax` is what one writes. */
WAITS static int
query(struct session *s, char *args, const char *syntax,
    WAITS int (*reply)(struct session *, struct pool *, const char *))
{
	struct pool	*pool;
	char		*who = text_trim(args);
	int		 result;

	if (*who == '\0')
		return say(s, REPLY_BAD_SYNTAX, syntax);
	if (!unicode_of_query(s, who))
		return say(s, REPLY_BAD_UNICODE,
		    "a UTF-8 address needs the parameter SMTPUTF8");
	pool = pool_new("query", MEMORY);
	result = reply(s, pool, who);
	pool_free(pool);
	return result;
}

/* RFC 5321 7.3: it is there in any case. */
int
command_vrfy(struct session *s, char *args)
{
	return query(s, args, "VRFY address", verify);
}

/* What the address stands for, as its table says: virtual aliases first, then
 * those of local users. LOOKUP_NOT_FOUND: for itself. */
WAITS static void
find_alias(struct pool *pool, const struct recipient_answer *who,
    struct found *found)
{
	const char	*local, *domain;
	char		*user;
	size_t		 len;

	table_ask(pool, "virtual_alias_maps", LOOKUP_ADDRESS, who->address,
	    found);
	if (found->result != LOOKUP_NOT_FOUND ||
	    strcmp(who->address_class, "local") != 0)
		return;
	address_split(who->address, &local, &len, &domain);
	user = address_unquote_local(pool, local, len);
	text_lower(user);
	table_ask(pool, "alias_maps", LOOKUP_KEYS, user, found);
}

/* The addresses among the members, with a domain. */
static size_t
readable(struct pool *pool, const struct list_item *items, size_t count,
    char **members)
{
	const char	*local, *domain, *value;
	size_t		 i, len, n = 0;

	for (i = 0; i < count; i++) {
		if (items[i].kind != LIST_ADDRESS)
			continue;
		value = items[i].value;
		value += *value == '\\';
		address_split(value, &local, &len, &domain);
		members[n++] = domain != NULL ? pool_strdup(pool, value) :
		    pool_printf(pool, "%s@%s", value, site.myorigin);
	}
	return n;
}

/* One line for each member that is an address (RFC 5321 3.5.2). */
WAITS static int
say_members(struct session *s, struct pool *pool, const char *address,
    const char *list)
{
	struct list_item	*items;
	char			**members;
	size_t			 count, i;

	if (address_list_parse(pool, list, LIST_IS_ALIAS, &items,
	    &count) != NULL)
		return say(s, REPLY_LOOKUP_FAILED, address);
	members = pool_array(pool, count + 1, sizeof(*members));
	count = readable(pool, items, count, members);
	if (count == 0)
		return say(s, REPLY_CANNOT_VRFY, address);
	for (i = 0; i + 1 < count; i++)
		if (say(s, REPLY_MEMBER, members[i]) == GONE)
			return GONE;
	return say(s, REPLY_LAST_MEMBER, members[i]);
}

/* Who is behind the address? */
WAITS static int
expand(struct session *s, struct pool *pool, const char *text)
{
	struct recipient_answer	 answer;
	struct found		 found;
	char			*address;
	const char		*why;

	if ((why = parse(pool, text, &address)) != NULL)
		return say(s, REPLY_BAD_RECIPIENT, why);
	if (ask(pool, address, &answer) == -1)
		return say(s, REPLY_LOOKUP_FAILED, address);
	if (!answer.is_final)
		return say(s, REPLY_CANNOT_VRFY, address);
	find_alias(pool, &answer, &found);
	if (found.result == LOOKUP_TEMPORARY) {
		log_warning("EXPN %s: %s", address, found.text);
		return say(s, REPLY_LOOKUP_FAILED, address);
	}
	if (found.result == LOOKUP_FOUND)
		return say_members(s, pool, address, found.value);
	return say(s, answer.result == RECIPIENT_UNKNOWN ?
	    REPLY_VRFY_UNKNOWN : REPLY_NO_LIST, address);
}

/* RFC 5321 4.1.1.7. */
int
command_expn(struct session *s, char *args)
{
	if (!extension_is_offered(s, "EXPN"))
		return say(s, REPLY_NO_COMMAND, "EXPN");
	return query(s, args, "EXPN list", expand);
}
