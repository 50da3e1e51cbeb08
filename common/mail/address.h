#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * What is and is not a mailbox (RFC 5321 4.1.2, RFC 5322 3.4, RFC 6531).
 *
 * Inside Postrider an address is its RFC 5321 Mailbox in canonical form: the
 * local part quoted only when it must be, no source route, no white space,
 * the domain as given; "" is the null path. A local part alone ("postmaster",
 * "alice") is allowed where a caller says so.
 */
enum {
	LOCAL_PART_MAX = 64,	/* RFC 5321 4.5.3.1.1: what all must take */
	LOCAL_PART_ROOM = 512,	/* what we take: lists put a whole address of
				 * someone else there (VERP, SRS) */
	DOMAIN_MAX = 255,
	SOURCE_ROUTE_MAX = 2048
};

enum path_rules {
	PATH_ALLOW_EMPTY = 1,		/* <> : MAIL FROM */
	PATH_ALLOW_BARE_LOCAL = 2,	/* <postmaster>, <alice> */
	PATH_ALLOW_NO_BRACKETS = 4,	/* MAIL FROM:alice@x (tolerance) */
	PATH_ALLOW_UTF8 = 8		/* SMTPUTF8 was given */
};

/*
 * The path at *text, as in "MAIL FROM:<@a,@b:john@c> SIZE=1": *address gets
 * the canonical mailbox, *text moves behind the path. NULL, or what is wrong.
 */
const char	*address_parse_path(struct pool *, const char **text,
		    unsigned rules, char **address);

/* A whole string that must be one mailbox (or a local part, by the rules). */
const char	*address_parse(struct pool *, const char *text, unsigned rules,
		    char **address);

/*
 * Cut a canonical address at its last @ outside quotes: lengths told, no
 * copy. *domain is NULL without one.
 */
void		 address_split(const char *address, const char **local,
		    size_t *local_len, const char **domain);

/* The local part without quotes and backslashes; and back. Control bytes are
 * for the caller to refuse. */
char		*address_unquote_local(struct pool *, const char *local,
		    size_t len);
char		*address_quote_local(struct pool *, const char *unquoted);

/* user+ext: length of the user before the first of the delimiters ("+-"); no
 * extension for owner-x, x-request, MAILER-DAEMON, double-bounce, postmaster.
 */
bool		 address_split_extension(const char *local, size_t len,
		    const char *delimiters, size_t *user_len);
/* owner_request_special: is owner-x a name of its own? A setting, whose row
 * local and resolve have. */
extern bool	 address_owner_is_special;

/* Valid host name (letters, digits, hyphen, underscore tolerated), address
 * literal "[192.0.2.1]" or "[IPv6:...]". */
bool		 domain_is_valid(const char *, bool allow_utf8);
bool		 domain_is_literal(const char *);
/* Equal but for ASCII case, or the same in A-labels (and a trailing dot in
 * neither); see idn.c. */
bool		 domain_equal(const char *, const char *);

/*
 * Addresses of a header's value (To:, Cc:, Bcc:) or of an alias or .forward
 * line: mailbox lists, groups, comments, display names, quoted strings,
 * folded lines. In a header the answer is canonical addresses or bare local
 * parts; with LIST_IS_ALIAS also the forms |command "|command args" /file
 * :include:path are recognised and told by kind, their value without the "|"
 * or ":include:"; and \user, an address whose backslash is kept in front.
 * NULL, or what is wrong, named with the words near by (in the pool).
 */
enum list_kind { LIST_ADDRESS, LIST_COMMAND, LIST_FILE, LIST_INCLUDE };
struct list_item { enum list_kind kind; char *value; };
enum { LIST_IS_HEADER = 0, LIST_IS_ALIAS = 1 };
const char	*address_list_parse(struct pool *, const char *text, int how,
		    struct list_item **items, size_t *count);

#endif
