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

#include <ctype.h>
#include <string.h>

#include "common/mail/address.h"

enum { REPORTS = 1, START = 2166136261u };

/* FNV-1a, begun or continued; letters without their case. */
static uint32_t
hash(uint32_t h, const char *text, size_t len)
{
	for (; len > 0; text++, len--)
		h = (h ^ (uint32_t)tolower((unsigned char)*text)) * 16777619u;
	return (h ^ 0xff) * 16777619u;
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
	uint32_t	h = START;

	if (m->sender[0] == '\0')
		return REPORTS;
	if (m->login[0] != '\0')
		return hash(h, m->login, strlen(m->login));
	if (m->client_address[0] != '\0')
		h = hash(h, m->client_address, strlen(m->client_address));
	else
		h = (h ^ (uint32_t)m->uid) * 16777619u;
	return hash_address(h, m->sender);
}
