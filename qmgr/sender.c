/*
 * sender.c - whose mail it is, when senders take turns.
 *
 * That is the login, if there was one; else the sender's address and where it
 * came from: the client, or the local user. Of the address, what follows a
 * first + or = or # does not count: a list that has a sender of its own for
 * each recipient is one sender. Reports, which have no sender, are all one's:
 * however many there are, they wait for one another.
 */
#include "qmgr/sender.h"

#include <string.h>

#include "common/base/hash.h"
#include "common/mail/address.h"

enum { REPORTS = 1 };

/* The hash of a name and of its end, begun or continued. */
static uint32_t
hash(uint32_t h, const char *text, size_t len)
{
	return hash_number(hash_lower(h, text, len), 0xff);
}

/* The address without what changes from message to message. */
static uint32_t
hash_address(uint32_t h, const char *address)
{
	const char	*local, *domain;
	size_t		 len, own;

	address_split(address, &local, &len, &domain);
	own = strcspn(local, "+=#");
	h = hash(h, local, own < len ? own : len);
	return domain != NULL ? hash(h, domain, strlen(domain)) : h;
}

/* Who? */
uint32_t
sender_who(const struct mail *m)
{
	uint32_t	h = HASH_START;

	if (m->sender[0] == '\0')
		return REPORTS;
	if (m->login[0] != '\0')
		return hash(h, m->login, strlen(m->login));
	if (m->client_address[0] != '\0')
		h = hash(h, m->client_address, strlen(m->client_address));
	else
		h = hash_number(h, (uint32_t)m->uid);
	return hash_address(h, m->sender);
}
