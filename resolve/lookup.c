/*
 * lookup.c - what does this parameter's table say? Only for those whose work
 * it is: an smtpd that fell into wrong hands learns no passwords here.
 *
 * A question names a service of master.cf and a parameter. The tables of
 * main.cf are for all services of a program; a service whose line sets the
 * parameter has its own. All are opened when the rules are made, while root
 * can still do it.
 */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/fiber/offload.h"
#include "common/mail/address.h"
#include "common/mail/idn.h"
#include "resolve/resolve.h"

/* Who may ask for which parameter, and what that is. */
enum kind { TABLE, DOMAINS, USERS, LOGINS, TEXT };
static const struct row {
	const char	*program, *parameter;
	enum kind	 kind;		/* TEXT: nobody may ask; below */
} rows[] = {
	{ "cleanup",	"canonical_maps",			TABLE },
	{ "cleanup",	"sender_canonical_maps",		TABLE },
	{ "cleanup",	"recipient_canonical_maps",		TABLE },
	{ "cleanup",	"sender_bcc_maps",			TABLE },
	{ "cleanup",	"recipient_bcc_maps",			TABLE },
	{ "cleanup",	"header_checks",			TABLE },
	{ "cleanup",	"mime_header_checks",			TABLE },
	{ "cleanup",	"nested_header_checks",			TABLE },
	{ "cleanup",	"body_checks",				TABLE },
	{ "cleanup",	"masquerade_exceptions",		DOMAINS },
	{ "cleanup",	"local_header_rewrite_clients",		DOMAINS },
	{ "local",	"alias_maps",				TABLE },
	{ "local",	"fallback_transport_maps",		TABLE },
	{ "local",	"mailbox_command_maps",			TABLE },
	{ "local",	"virtual_mailbox_maps",			TABLE },
	{ "local",	"virtual_uid_maps",			TABLE },
	{ "local",	"virtual_gid_maps",			TABLE },
	{ "local",	"mailbox_transport_maps",		TABLE },
	{ "local",	"local_delivery_status_filter",		TABLE },
	{ "local",	"virtual_delivery_status_filter",	TABLE },
	{ "local",	"pipe_delivery_status_filter",		TABLE },
	{ "local",	"fallback_transport",			TEXT },
	{ "local",	"mailbox_transport",			TEXT },
	{ "smtpd",	"content_filter",			TEXT },
	{ "pickup",	"content_filter",			TEXT },
	{ "qmgr",	"default_filter_nexthop",		TEXT },
	{ "pickup",	"authorized_submit_users",		USERS },
	{ "pickup",	"local_login_sender_maps",		LOGINS },
	{ "qmgr",	"authorized_flush_users",		USERS },
	{ "qmgr",	"authorized_mailq_users",		USERS },
	{ "qmgr",	"fast_flush_domains",			DOMAINS },
	{ "smtp",	"smtp_generic_maps",			TABLE },
	{ "smtp",	"smtp_header_checks",			TABLE },
	{ "smtp",	"smtp_mime_header_checks",		TABLE },
	{ "smtp",	"smtp_nested_header_checks",		TABLE },
	{ "smtp",	"smtp_body_checks",			TABLE },
	{ "smtp",	"smtp_reply_filter",			TABLE },
	{ "smtp",	"smtp_dns_reply_filter",		TABLE },
	{ "smtp",	"smtp_delivery_status_filter",		TABLE },
	{ "smtp",	"smtp_discard_ehlo_keyword_address_maps", TABLE },
	{ "smtp",	"smtp_pix_workaround_maps",		TABLE },
	{ "smtp",	"smtp_tls_policy_maps",			TABLE },
	{ "smtp",	"lmtp_tls_policy_maps",			TABLE },
	{ "smtp",	"lmtp_pix_workaround_maps",		TABLE },
	{ "smtp",	"lmtp_generic_maps",			TABLE },
	{ "smtp",	"lmtp_header_checks",			TABLE },
	{ "smtp",	"lmtp_mime_header_checks",		TABLE },
	{ "smtp",	"lmtp_nested_header_checks",		TABLE },
	{ "smtp",	"lmtp_body_checks",			TABLE },
	{ "smtp",	"lmtp_reply_filter",			TABLE },
	{ "smtp",	"lmtp_dns_reply_filter",		TABLE },
	{ "smtp",	"lmtp_delivery_status_filter",		TABLE },
	{ "smtp",	"lmtp_discard_lhlo_keyword_address_maps", TABLE },
	{ "smtp",	"smtp_sasl_password_maps",		TABLE },
	{ "smtp",	"lmtp_sasl_password_maps",		TABLE },
	{ "smtp",	"smtp_sasl_token_maps",			TABLE },
	{ "smtp",	"lmtp_sasl_token_maps",			TABLE },
	{ "smtp",	"smtp_sasl_mechanism_filter",		DOMAINS },
	{ "smtp",	"lmtp_sasl_mechanism_filter",		DOMAINS },
	{ "smtp",	"smtp_connection_cache_destinations",	DOMAINS },
	{ "smtp",	"lmtp_connection_cache_destinations",	DOMAINS },
	{ "smtpd",	"smtpd_discard_ehlo_keyword_address_maps", TABLE },
	{ "smtpd",	"smtpd_command_filter",			TABLE },
	{ "smtpd",	"smtpd_sender_login_maps",		TABLE },
	{ "smtpd",	"smtpd_reject_footer_maps",		TABLE },
	{ "smtpd",	"smtpd_forbidden_commands",		DOMAINS },
	{ "smtpd",	"relay_clientcerts",			TABLE },
	{ "smtpd",	"alias_maps",				TABLE },
	{ "smtpd",	"virtual_alias_maps",			TABLE },
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]), ACCOUNT_ROOM = 16 * 1024 };

/* What one service's setting of one parameter says. */
struct source {
	struct source		*next;
	const struct row	*row;
	const char		*service;	/* "": all that set none */
	const char		*list;
	struct table		*table;
	struct domains		*domains;
	const char		*broken;	/* the value cannot be used */
};

struct lookups {
	struct rules	*rules;
	struct source	*first, **end;
};

/* --- opening ------------------------------------------------------------- */

/* What has been opened for the same list already, NULL when nothing has. */
static struct source *
find_same(struct lookups *l, const struct row *row, const char *list)
{
	struct source	*s;

	for (s = l->first; s != NULL; s = s->next)
		if (s->broken == NULL && s->row->kind == row->kind &&
		    (row->kind == TABLE || s->row == row) &&
		    strcmp(s->list, list) == 0)
			return s;
	return NULL;
}

/* Open the list of one parameter of one service. */
static void
add_source(struct lookups *l, const char *service, const struct row *row,
    const char *list, const char *broken)
{
	struct pool	*pool = l->rules->pool;
	struct source	*s = pool_alloc(pool, sizeof(*s));
	struct source	*same = broken == NULL ? find_same(l, row, list) :
			    NULL;

	s->row = row;
	s->service = pool_strdup(pool, service);
	s->list = pool_strdup(pool, list);
	if (broken != NULL)
		s->broken = pool_strdup(pool, broken);
	else if (same != NULL)
		*s = (struct source){ .row = row, .service = s->service,
		    .list = s->list, .table = same->table,
		    .domains = same->domains };
	else if (row->kind == TABLE || row->kind == LOGINS)
		s->table = table_new(pool, row->parameter, s->list);
	else if (row->kind == DOMAINS || row->kind == USERS)
		s->domains = rules_domains(l->rules, row->parameter, s->list);
	*l->end = s;
	l->end = &s->next;
}

/* smtpd may look at aliases where somebody may say EXPN, and nowhere else. */
static bool
is_closed(struct maincf *mc, struct pool *pool, const struct row *row)
{
	const char	*clients;
	char		*why = NULL;

	if (strcmp(row->program, "smtpd") != 0 ||
	    strstr(row->parameter, "alias_maps") == NULL)
		return false;
	clients = maincf_value(mc, pool, "smtpd_expn_clients", &why);
	return clients == NULL || clients[strspn(clients, " \t,")] == '\0';
}

/* All parameters of a service that differ from main.cf. */
static void
add_service(void *context, const char *service, const char *program,
    struct maincf *mc)
{
	struct lookups		*l = context;
	const struct row	*row;
	const char		*list;
	char			*why;
	struct pool		*pool = pool_new("lookups", 0);

	for (row = rows; row < rows + ROWS; row++) {
		if (program != NULL && strcmp(row->program, program) != 0)
			continue;
		why = NULL;
		list = is_closed(mc, pool, row) ? "" :
		    maincf_value(mc, pool, row->parameter, &why);
		if (why != NULL)
			log_error("%s: %s", row->parameter, why);
		add_source(l, service, row, list != NULL ? list : "", why);
	}
	pool_free(pool);
}

/* Open everything that anybody may ask for. */
struct lookups *
lookups_new(struct rules *r)
{
	struct lookups	*l = pool_alloc(r->pool, sizeof(*l));

	l->rules = r;
	l->end = &l->first;
	services_walk(add_service, l);
	return l;
}

/* --- asking -------------------------------------------------------------- */

/* The row, NULL when it is none of the asker's business. */
static const struct row *
find_row(const char *program, const char *parameter)
{
	const struct row	*row;

	for (row = rows; row < rows + ROWS; row++)
		if (strcmp(row->program, program) == 0 &&
		    strcmp(row->parameter, parameter) == 0)
			return row;
	return NULL;
}

/* The service's own source, else that of main.cf. */
static const struct source *
find_source(const struct lookups *l, const struct row *row,
    const char *service)
{
	const struct source	*s, *general = NULL;

	for (s = l->first; s != NULL; s = s->next) {
		if (s->row != row)
			continue;
		if (strcmp(s->service, service) == 0)
			return s;
		if (*s->service == '\0')
			general = s;
	}
	return general;
}

/* No answer for now. */
static void
fail(struct found *to, struct pool *pool, const char *why)
{
	to->result = LOOKUP_TEMPORARY;
	to->text = reason(pool, why);
}

/* What a question is about, NULL with the refusal in the answer. */
static const struct source *
find_permitted(struct rules *r, struct pool *pool, const char *program,
    const struct ask_lookup *ask, struct found *to)
{
	const struct row	*row = find_row(program, ask->parameter);
	const struct source	*s;

	if (row == NULL || row->kind == TEXT || (*ask->service != '\0' &&
	    strcmp(service_program(pool, ask->service), program) != 0) ||
	    (row->kind == DOMAINS) != (ask->how == LOOKUP_DOMAIN) ||
	    (row->kind == USERS) != (ask->how == LOOKUP_USER) ||
	    (row->kind == LOGINS) != (ask->how == LOOKUP_LOGIN)) {
		log_warning("%s may not ask for %s of service %s", program,
		    ask->parameter, *ask->service != '\0' ? ask->service :
		    "none");
		fail(to, pool, "this parameter is not yours to ask for");
		return NULL;
	}
	s = find_source(r->lookups, row, ask->service);
	if (s->broken == NULL)
		return s;
	fail(to, pool, s->broken);
	return NULL;
}

/* Has the table keys of hosts beside those of senders? Then a local part alone
 * is none: "relay.example@here" would get the password of that host, and show
 * it to whom he likes. */
static bool
is_of_hosts(const struct row *row)
{
	return strstr(row->parameter, "_sasl_password_maps") != NULL ||
	    strstr(row->parameter, "_sasl_token_maps") != NULL;
}

/* An address, in the usual order of its parts. smtpd has it as the client gave
 * it; "alice" owns no other mailbox than alice@$myorigin. */
static WAITS enum map_result
find_address(struct rules *r, struct pool *pool, const struct source *s,
    const char *address, struct found *to, char **why)
{
	struct table	*table = s->table;
	char		*extension = NULL;
	enum map_result	 result;
	bool		 is_ours;

	if (table_is_empty(table))
		return MAP_NOT_FOUND;
	if (strcmp(s->row->program, "smtpd") == 0 &&
	    (address = address_complete(r, pool, address)) == NULL) {
		*why = pool_strdup(pool, "an address that cannot be completed");
		return MAP_ERROR;
	}
	if (is_of_hosts(s->row))
		is_ours = false;
	else if (domain_is_ours(r, pool, address_domain(address), &is_ours,
	    why) == -1)
		return MAP_ERROR;
	result = table_find_address(table, pool, address, r->delimiters,
	    is_ours, &to->value, &extension, why);
	if (result == MAP_FOUND && extension != NULL)
		to->extension = extension;
	return result;
}

/* A user's number, and his name. */
struct account { uid_t uid; char *name; };

/* On a thread, since accounts may be far away: 1 found, 0 not, -1. */
static int
find_account(void *arg)
{
	struct account	*a = arg;
	struct passwd	 pw, *found = NULL;
	char		*room = mem_alloc(ACCOUNT_ROOM);
	int		 error;

	error = getpwuid_r(a->uid, &pw, room, ACCOUNT_ROOM, &found);
	if (found != NULL)
		a->name = mem_strdup(pw.pw_name);
	free(room);
	errno = error;
	return found != NULL ? 1 : error == 0 || error == ENOENT ||
	    error == ESRCH ? 0 : -1;
}

/* The name of the user with this number, "" if there is none; NULL: it cannot
 * be had. */
static WAITS char *
find_name(struct pool *pool, const char *number, char **why)
{
	struct account	 a = { .name = NULL };
	char		*name;
	int64_t		 uid;

	if (text_integer(number, 0, UINT32_MAX, &uid) != NULL)
		return pool_strdup(pool, "");
	a.uid = (uid_t)uid;
	if (offload(find_account, &a) == -1) {
		*why = pool_strdup(pool, "the accounts of this machine cannot "
		    "be read");
		return NULL;
	}
	name = pool_strdup(pool, a.name != NULL ? a.name : "");
	free(a.name);
	return name;
}

/* Is the user of this number in the list? Who has no name is "unknown". */
static WAITS enum map_result
find_user(struct pool *pool, const struct source *s, const char *number,
    struct found *to, char **why)
{
	char	*name = find_name(pool, number, why);

	if (name == NULL)
		return MAP_ERROR;
	to->extension = name;
	/* Lists of names are kept in small letters. */
	return domains_match(s->domains, pool, *name != '\0' ?
	    lower(pool, name) : "unknown", why);
}

/* What does the table say of him? */
static WAITS enum map_result
find_login(struct pool *pool, const struct source *s, const char *number,
    struct found *to, char **why)
{
	char	*name = find_name(pool, number, why);

	if (name == NULL)
		return MAP_ERROR;
	to->extension = name;
	return table_find_owned(s->table, pool, *name != '\0' ? name :
	    pool_printf(pool, "uid:%s", number), &to->value, &to->owner, why);
}

/* A key as it is. Where smtpd asks, domains and addresses are among them,
 * which have two spellings. */
static WAITS enum map_result
find_plain(struct pool *pool, const struct source *s, const char *key,
    struct found *to, char **why)
{
	enum map_result	 result;
	char		*others[IDN_OTHERS + 1] = { NULL };
	size_t		 i;

	result = table_find_owned(s->table, pool, key, &to->value, &to->owner,
	    why);
	if (result != MAP_NOT_FOUND || strcmp(s->row->program, "smtpd") != 0)
		return result;
	if (strchr(key, '@') != NULL)
		idn_other_addresses(pool, key, others);
	else if (strchr(key, '.') != NULL)
		idn_others(pool, key, others);
	for (i = 0; others[i] != NULL && result == MAP_NOT_FOUND; i++)
		result = table_find_owned(s->table, pool, others[i],
		    &to->value, &to->owner, why);
	return result;
}

/* One key, in the way that is wanted. */
static WAITS enum map_result
find_key(struct rules *r, struct pool *pool, const struct source *s,
    int64_t how, const char *key, struct found *to, char **why)
{
	switch (how) {
	case LOOKUP_ADDRESS:
		return find_address(r, pool, s, key, to, why);
	case LOOKUP_DOMAIN:
		return domains_match(s->domains, pool, lower(pool, key), why);
	case LOOKUP_USER:
		return find_user(pool, s, key, to, why);
	case LOOKUP_LOGIN:
		return find_login(pool, s, key, to, why);
	default:
		return find_plain(pool, s, key, to, why);
	}
}

/* The first key that hits. */
WAITS void
lookup(struct rules *r, struct pool *pool, const char *program,
    const struct ask_lookup *ask, struct found *to)
{
	const struct source	*s;
	char			*nothing = pool_strdup(pool, ""), *why;
	size_t			 i;

	memset(to, 0, sizeof(*to));
	to->result = LOOKUP_NOT_FOUND;
	to->owner = -1;
	to->value = to->extension = to->text = nothing;
	s = find_permitted(r, pool, program, ask, to);
	for (i = 0; s != NULL && i < ask->count; i++) {
		switch (find_key(r, pool, s, ask->how, ask->keys[i].key, to,
		    &why)) {
		case MAP_FOUND:
			to->result = LOOKUP_FOUND;
			to->which = (int64_t)i;
			return;
		case MAP_ERROR:
			to->value = nothing;
			fail(to, pool, why);
			return;
		default:
			to->value = nothing;
			break;
		}
	}
}

/* --- what local passes on ------------------------------------------------ */

/* The keys under which tables of transports know a user. */
static size_t
add_user_keys(struct rules *r, struct pool *pool, const char *address,
    char *keys[3])
{
	const char	*local, *domain;
	char		*user;
	size_t		 len, user_len, n = 0;

	address_split(address, &local, &len, &domain);
	user = address_unquote_local(pool, local, len);
	len = strlen(user);
	keys[n++] = user;
	keys[n++] = lower(pool, user);
	if (address_split_extension(user, len, r->delimiters, &user_len))
		keys[n++] = lower(pool, pool_strndup(pool, user, user_len));
	return n;
}

/* The values of one table for this user. */
static WAITS size_t
add_values(struct pool *pool, struct table *table, char **keys, size_t count,
    const char **to)
{
	char	*value, *why;
	size_t	 i, n = 0;

	for (i = 0; i < count; i++)
		if (table_find(table, pool, keys[i], &value, &why) ==
		    MAP_FOUND)
			to[n++] = value;
	return n;
}

/* Is it one of mailbox_transport, fallback_transport and their tables? */
static bool
passes_on(const struct row *row)
{
	return strcmp(row->program, "local") == 0 &&
	    strstr(row->parameter, "_transport") != NULL;
}

/* What these say for one user, in all services. */
WAITS const char **
lookups_passing(struct rules *r, struct pool *pool, const char *address,
    size_t *count)
{
	const struct source	*s;
	const char		**values;
	char			*keys[3];
	size_t			 n, room = 0;

	n = add_user_keys(r, pool, address, keys);
	for (s = r->lookups->first; s != NULL; s = s->next)
		room += 3;
	values = pool_array(pool, room, sizeof(*values));
	*count = 0;
	for (s = r->lookups->first; s != NULL; s = s->next) {
		if (!passes_on(s->row))
			continue;
		if (s->row->kind == TEXT)
			values[(*count)++] = s->list;
		else if (s->table != NULL)
			*count += add_values(pool, s->table, keys, n,
			    values + *count);
	}
	return values;
}

/* What this parameter says, in all services. */
const char **
lookups_values(struct rules *r, struct pool *pool, const char *parameter,
    size_t *count)
{
	const struct source	*s;
	const char		**values;
	size_t			 room = 0;

	for (s = r->lookups->first; s != NULL; s = s->next)
		room++;
	values = pool_array(pool, room, sizeof(*values));
	*count = 0;
	for (s = r->lookups->first; s != NULL; s = s->next)
		if (strcmp(s->row->parameter, parameter) == 0)
			values[(*count)++] = s->list;
	return values;
}
