/*
 * address.c - paths and mailboxes, from the wire to their canonical form.
 *
 * A local part has three shapes: as written, as meant (unquoted), and
 * canonical (quoted only when it must be). All written shapes that mean the
 * same become one canonical shape (RFC 5321 4.1.2), so that nobody behind
 * here compares quotes.
 *
 * Lists of addresses, as headers and aliases have them, are in list.c.
 */
#include "common/mail/address.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"

/* What is being read, and how far we are. */
struct reading {
	struct pool	*pool;
	const char	*at;
	unsigned	 rules;
};

/* The length of the character of an atom at text, 0 if there is none. */
static size_t
atom_character(const char *text, bool allow_utf8)
{
	uint32_t	point;
	size_t		len;

	if (is_atext(*text))
		return 1;
	if (!allow_utf8 || !is_8bit(*text))
		return 0;
	len = utf8_length(text, strnlen(text, 4), &point);
	return len > 0 && point > 0x9f ? len : 0;
}

/* The length of the Dot-string at the start of text, 0 if there is none. */
static size_t
dot_string_length(const char *text, bool allow_utf8)
{
	size_t	len = 0, n;

	for (;;) {
		if ((n = atom_character(text + len, allow_utf8)) == 0)
			return 0;		/* also "a..b" and "a." */
		while ((n = atom_character(text + len, allow_utf8)) > 0)
			len += n;
		if (text[len] != '.')
			return len;
		len++;
	}
}

/* Without the quotes; what is not quoted is as it was meant. */
char *
address_unquote_local(struct pool *pool, const char *local, size_t len)
{
	char	*copy = pool_strndup(pool, local, len), *to = copy;
	size_t	 i;

	if (len < 2 || local[0] != '"' || local[len - 1] != '"')
		return copy;
	for (i = 1; i < len - 1; i++) {
		if (local[i] == '\\' && i + 1 < len - 1)
			i++;
		*to++ = local[i];
	}
	*to = '\0';
	return copy;
}

/* Quoted if it has to be. */
char *
address_quote_local(struct pool *pool, const char *unquoted)
{
	char	*quoted, *to;
	size_t	 len = strlen(unquoted);

	if (len > 0 && dot_string_length(unquoted, true) == len)
		return pool_strndup(pool, unquoted, len);
	to = quoted = pool_alloc(pool, 2 * len + 3);
	*to++ = '"';
	for (; *unquoted != '\0'; unquoted++) {
		if (*unquoted == '"' || *unquoted == '\\')
			*to++ = '\\';
		*to++ = *unquoted;
	}
	*to++ = '"';
	return quoted;
}

/* The length of a Quoted-string with its quotes, or what is wrong with it. */
static const char *
measure_quoted(const struct reading *r, size_t *len)
{
	const char	*at = r->at + 1;

	for (; *at != '"'; at++) {
		if (*at == '\\')
			at++;
		if (*at == '\0')
			return "a quotation mark is missing";
		if (is_control((unsigned char)*at))
			return "the local part has a control character";
	}
	*len = (size_t)(at + 1 - r->at);
	if (r->rules & PATH_ALLOW_UTF8)
		return utf8_is_valid(r->at, *len) ? NULL :
		    "the local part is not valid UTF-8";
	for (at = r->at; at < r->at + *len; at++)
		if (is_8bit(*at))
			return "the local part is not ASCII";
	return NULL;
}

/* Read a local part; *local is canonical. */
static const char *
read_local(struct reading *r, char **local)
{
	const char	*why;
	size_t		 len;

	if (*r->at == '"') {
		if ((why = measure_quoted(r, &len)) != NULL)
			return why;
		*local = address_unquote_local(r->pool, r->at, len);
		if (**local == '\0')
			return "the local part is empty";
		*local = address_quote_local(r->pool, *local);
	} else {
		len = dot_string_length(r->at, r->rules & PATH_ALLOW_UTF8);
		if (len == 0)
			return "the local part is empty or has a character "
			    "that is not allowed";
		*local = pool_strndup(r->pool, r->at, len);
	}
	if (strlen(*local) > LOCAL_PART_ROOM)
		return "the local part is too long";
	r->at += len;
	return NULL;
}

/* Read a domain: all that could belong to one, then judge it. */
static const char *
read_domain(struct reading *r, char **domain)
{
	size_t	len = strcspn(r->at, " \t>,:");

	if (*r->at == '[') {
		len = strcspn(r->at, "]");
		if (r->at[len] == ']')
			len++;
	}
	if (len > DOMAIN_MAX)
		return "the domain is too long";
	*domain = pool_strndup(r->pool, r->at, len);
	if (!domain_is_valid(*domain, r->rules & PATH_ALLOW_UTF8))
		return "the domain is not valid";
	r->at += len;
	return NULL;
}

/* Read "local@domain", or "local" where that is allowed. */
static const char *
read_mailbox(struct reading *r, char **address)
{
	const char	*why;
	char		*local, *domain;

	if ((why = read_local(r, &local)) != NULL)
		return why;
	if (*r->at != '@') {
		if (!(r->rules & PATH_ALLOW_BARE_LOCAL))
			return "the domain is missing";
		*address = local;
		return NULL;
	}
	r->at++;
	if ((why = read_domain(r, &domain)) != NULL)
		return why;
	*address = pool_printf(r->pool, "%s@%s", local, domain);
	return NULL;
}

/* RFC 5321 C: read "@a,@b:" and forget it. */
static const char *
skip_source_route(struct reading *r)
{
	static const char	 wrong[] = "the source route is not valid";
	const char		*start = r->at;
	char			*domain;

	while (*r->at == '@') {
		r->at++;
		if (read_domain(r, &domain) != NULL ||
		    r->at - start > SOURCE_ROUTE_MAX)
			return wrong;
		if (*r->at == ':') {
			r->at++;
			return NULL;
		}
		if (*r->at++ != ',')
			return wrong;
	}
	return wrong;
}

/* Read what stands between angle brackets, and the closing one. */
static const char *
read_brackets(struct reading *r, char **address)
{
	const char	*why;

	r->at++;
	if (*r->at == '>' && (r->rules & PATH_ALLOW_EMPTY)) {
		r->at++;
		*address = pool_strdup(r->pool, "");
		return NULL;
	}
	if (*r->at == '>')
		return "the address is empty";
	if (*r->at == '@' && (why = skip_source_route(r)) != NULL)
		return why;
	if ((why = read_mailbox(r, address)) != NULL)
		return why;
	if (*r->at != '>')
		return *r->at == '\0' ? "the closing \">\" is missing" :
		    "the address has a character that is not allowed";
	r->at++;
	return NULL;
}

/* Read a path at the start of *text; blanks before it are tolerated. */
const char *
address_parse_path(struct pool *pool, const char **text, unsigned rules,
    char **address)
{
	struct reading	 r = { pool, *text, rules };
	const char	*why;

	r.at += strspn(r.at, " \t");
	if (*r.at == '<')
		why = read_brackets(&r, address);
	else if (!(rules & PATH_ALLOW_NO_BRACKETS))
		why = "the address must stand in \"<>\"";
	else
		why = read_mailbox(&r, address);
	if (why != NULL)
		return why;
	if (*r.at != '\0' && !is_blank(*r.at))
		return "the address has more behind its end";
	*text = r.at;
	return NULL;
}

/* Read a string that is a mailbox and nothing else. */
const char *
address_parse(struct pool *pool, const char *text, unsigned rules,
    char **address)
{
	struct reading	 r = { pool, text, rules };
	const char	*why;

	if (*text == '\0' && (rules & PATH_ALLOW_EMPTY)) {
		*address = pool_strdup(pool, "");
		return NULL;
	}
	if ((why = read_mailbox(&r, address)) != NULL)
		return why;
	return *r.at == '\0' ? NULL :
	    "the address has a character that is not allowed";
}

/* Cut in two; a canonical domain has no @, a quoted local part may. */
void
address_split(const char *address, const char **local, size_t *local_len,
    const char **domain)
{
	const char	*at = strrchr(address, '@');

	if (at != NULL && address[strlen(address) - 1] == '"')
		at = NULL;			/* "a@b" alone, with quotes */
	*local = address;
	*local_len = at != NULL ? (size_t)(at - address) : strlen(address);
	*domain = at != NULL ? at + 1 : NULL;
}

/* Names that mail to and from itself depends on are never cut. */
static bool
is_reserved(const char *local, size_t len)
{
	return text_equal_mem("MAILER-DAEMON", local, len) ||
	    text_equal_mem("double-bounce", local, len) ||
	    text_equal_mem("postmaster", local, len);
}

bool	address_owner_is_special = true;

/* With "-", owner-list and list-request are names of their own. */
static bool
is_list_name(const char *local, size_t len)
{
	return (len > 6 && text_equal_mem("owner-", local, 6)) ||
	    (len > 8 && text_equal_mem("-request", local + len - 8, 8));
}

/* Cut user+extension at the first delimiter. */
bool
address_split_extension(const char *local, size_t len, const char *delimiters,
    size_t *user_len)
{
	size_t	i;

	*user_len = len;
	if (is_reserved(local, len))
		return false;
	for (i = 0; i < len; i++)
		/* a byte of a longer character is none */
		if (!is_8bit(local[i]) && strchr(delimiters, local[i]) != NULL)
			break;
	if (i == 0 || i == len || (local[i] == '-' &&
	    address_owner_is_special && is_list_name(local, len)))
		return false;
	*user_len = i;
	return true;
}
