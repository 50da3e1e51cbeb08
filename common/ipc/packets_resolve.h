#ifndef IPC_PACKETS_RESOLVE_H
#define IPC_PACKETS_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Questions to resolve and its answers: the part of packets.h about addresses
 * and tables. Bounds are told there.
 */
struct recipient_row;

/*
 * How long resolve would say the same of this address to everybody who asks:
 * milliseconds, 0 for an answer that nobody may remember. scope: for whom else
 * it holds, as long as no address has anything special in it (answers.c).
 * CHANGED says that nothing holds any more.
 */
struct lease { int64_t time, scope; };
enum lease_scope {
	LEASE_ANY_SENDER = 1,
	LEASE_DOMAIN = 2,	/* but for the address in it, all of them */
	LEASE_SCOPES = 4
};
enum { LEASE_MAX = 1000 };

/*
 * Where does this address go? For qmgr. via: "transport:nexthop" that is to
 * take it whatever the tables say (an agent passed it on), or "".
 */
struct ask_route { char *address, *sender, *via; };
enum route_result { ROUTE_OK, ROUTE_TEMPORARY, ROUTE_IMPOSSIBLE };
struct route {
	int64_t	 result;
	char	*transport;	/* service name of master.cf: "smtp" "local" */
	char	*nexthop;	/* domain, "[host]:port", user part ...; a
				 * list of them, in the order to try, with
				 * commas or white space between them */
	char	*site;		/* shares concurrency; or nexthop */
	char	*recipient;	/* the address to deliver, rewritten */
	char	*address_class;	/* "local" "virtual-alias" "virtual-mailbox"
				 * "relay" "default" */
	char	*dsn, *text;	/* why not OK: "5.1.1", "unknown.." */
	int64_t	 generation;	/* grows at each reload */
	struct lease lease;
};

/* May this recipient be accepted, and does it exist? For smtpd. */
struct ask_recipient { char *address, *sender; };
enum recipient_result { RECIPIENT_EXISTS, RECIPIENT_UNKNOWN,
    RECIPIENT_TEMPORARY };
struct recipient_answer {
	int64_t	 result;
	char	*address;	/* completed and rewritten */
	char	*address_class;
	bool	 is_final;	/* we are a destination (not class default) */
	char	*text;		/* "User unknown in local recipient table" */
	struct lease lease;
};

/* Virtual aliases, recursively. One row in gives any number of rows out. */
struct ask_expand { struct recipient_row *rows; size_t count; };
struct expanded {
	int64_t			 result;	/* enum route_result */
	char			*text;
	struct recipient_row	*rows;
	size_t			 count;
};

/*
 * What does this parameter's table say? Several keys, the first that hits.
 * service: "relay/unix" in master.cf, whose -o settings count; "" for none.
 */
enum lookup_how {
	LOOKUP_KEYS,		/* each key as it is */
	LOOKUP_ADDRESS,		/* a key is an address: user+ext@domain, then
				 * user@domain, user+ext, user, @domain */
	LOOKUP_DOMAIN,		/* the parameter is a list of domains */
	LOOKUP_USER,		/* it is a list of users; a key is a uid */
	LOOKUP_LOGIN		/* a key is a uid, and stands for the user's
				 * name, "uid:NUMBER" without one */
};
struct key_row { char *key; };
struct ask_lookup {
	char		*service, *parameter;	/* "alias_maps" */
	int64_t		 how;
	struct key_row	*keys;
	size_t		 count;
};
enum lookup_result { LOOKUP_FOUND, LOOKUP_NOT_FOUND, LOOKUP_TEMPORARY };
/* extension: what LOOKUP_ADDRESS left out of the key to find it, or "";
 * with LOOKUP_USER and LOOKUP_LOGIN his name, or "".
 * owner: of the table's files, with LOOKUP_KEYS; -1 unknown, -2 everybody can
 * write to one of them. */
struct found {
	int64_t	 result, which, owner;
	char	*value, *extension, *text;
};

/*
 * A connection to a UNIX socket, for smtp, which has no way there. resolve
 * makes it only if the route of this address leads to this endpoint (an
 * absolute path, or one below the queue directory), or a content filter is
 * there: message is the queue file that says so, or -1.
 */
struct ask_dial {
	char	*endpoint, *transport, *address, *sender;
	int	 message;
};
struct dialed { int64_t result; char *text; int socket; };	/* ROUTE_... */

#endif
