/*
 * inetaddr.c - IPv4 and IPv6 addresses and the networks they are in.
 *
 * An IPv4 address that arrives as ::ffff:a.b.c.d becomes IPv4 at once, in
 * here, so that no list of networks can be walked around by the other way of
 * writing it.
 */
#include "common/net/inetaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

/* What is wrong with a network; good until the next one in this thread. */
static _Thread_local char complaint[160];

static const unsigned char mapped[12] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};

/* How many bits an address has. */
static unsigned
width(const struct inetaddr *a)
{
	return a->family == AF_INET ? 32 : 128;
}

/* Turn ::ffff:a.b.c.d into a.b.c.d. */
static bool
unmap(struct inetaddr *a)
{
	if (a->family != AF_INET6 ||
	    memcmp(a->bytes, mapped, sizeof(mapped)) != 0)
		return false;
	memmove(a->bytes, a->bytes + 12, 4);
	memset(a->bytes + 4, 0, 12);
	a->family = AF_INET;
	a->scope = 0;
	return true;
}

/* Read an address without brackets and zone, as it is written. */
static bool
parse_plain(struct inetaddr *a, const char *text)
{
	memset(a, 0, sizeof(*a));
	a->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	return inet_pton(a->family, text, a->bytes) == 1;
}

/* The zone behind "%": an interface's name or number. */
static bool
parse_scope(const char *text, uint32_t *scope)
{
	int64_t	number;

	if ((*scope = if_nametoindex(text)) > 0)
		return true;
	if (text_integer(text, 1, UINT32_MAX, &number) != NULL)
		return false;
	*scope = (uint32_t)number;
	return true;
}

/* Copy at most what an address can need, without brackets if it has them. */
static bool
copy_inside_brackets(char *to, size_t size, const char *text, size_t len)
{
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= size || memchr(text, '\0', len) != NULL)
		return false;
	memcpy(to, text, len);
	to[len] = '\0';
	return true;
}

/* Read "192.0.2.1", "2001:db8::1", "[::1]" or "fe80::1%eth0". */
bool
inetaddr_parse(struct inetaddr *a, const char *text)
{
	char		 copy[INETADDR_TEXT], *percent;
	uint32_t	 scope = 0;

	if (!copy_inside_brackets(copy, sizeof(copy), text,
	    strnlen(text, sizeof(copy) + 2)))
		return false;
	if ((percent = strchr(copy, '%')) != NULL) {
		*percent++ = '\0';
		if (!parse_scope(percent, &scope))
			return false;
	}
	if (!parse_plain(a, copy) || (scope != 0 && a->family != AF_INET6))
		return false;
	a->scope = scope;
	unmap(a);
	return true;
}

/* From the kernel; a UNIX socket's address has family 0 here. */
void
inetaddr_from_sockaddr(struct inetaddr *a, const struct sockaddr *sa)
{
	const struct sockaddr_in	*in = (const void *)sa;
	const struct sockaddr_in6	*in6 = (const void *)sa;

	memset(a, 0, sizeof(*a));
	if (sa->sa_family == AF_INET) {
		a->family = AF_INET;
		memcpy(a->bytes, &in->sin_addr, 4);
		a->port = ntohs(in->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		a->family = AF_INET6;
		memcpy(a->bytes, &in6->sin6_addr, 16);
		a->port = ntohs(in6->sin6_port);
		a->scope = in6->sin6_scope_id;
		unmap(a);
	}
}

/* For the kernel. */
socklen_t
inetaddr_to_sockaddr(const struct inetaddr *a, struct sockaddr_storage *to)
{
	struct sockaddr_in	*in = (void *)to;
	struct sockaddr_in6	*in6 = (void *)to;

	memset(to, 0, sizeof(*to));
	to->ss_family = (sa_family_t)a->family;
	if (a->family == AF_INET) {
		memcpy(&in->sin_addr, a->bytes, 4);
		in->sin_port = htons(a->port);
		return sizeof(*in);
	}
	memcpy(&in6->sin6_addr, a->bytes, 16);
	in6->sin6_port = htons(a->port);
	in6->sin6_scope_id = a->scope;
	return sizeof(*in6);
}

/* As text, without port and zone. */
char *
inetaddr_print(const struct inetaddr *a, char *to, size_t size)
{
	if ((a->family != AF_INET && a->family != AF_INET6) ||
	    inet_ntop(a->family, a->bytes, to, (socklen_t)size) == NULL)
		snprintf(to, size, "unknown");
	return to;
}

/* The same host? Ports do not matter. */
bool
inetaddr_equal(const struct inetaddr *a, const struct inetaddr *b)
{
	return a->family == b->family && a->scope == b->scope &&
	    memcmp(a->bytes, b->bytes, width(a) / 8) == 0;
}

/* Are all but the first `prefix` bits of the address zero? */
static bool
has_no_host_bits(const struct inetaddr *a, unsigned prefix)
{
	unsigned	bit;

	for (bit = prefix; bit < width(a); bit++)
		if (a->bytes[bit / 8] & (0x80u >> bit % 8))
			return false;
	return true;
}

/* Is it one of the network's addresses? */
bool
inetaddr_in(const struct inetaddr *a, const struct inetaddr *network,
    unsigned prefix)
{
	unsigned	whole = prefix / 8, rest = prefix % 8;

	if (a->family != network->family || prefix > width(a) ||
	    memcmp(a->bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 ||
	    ((a->bytes[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}

/* This host, by an address that never leaves it? */
bool
inetaddr_is_loopback(const struct inetaddr *a)
{
	static const unsigned char	one[16] = { [15] = 1 };

	if (a->family == AF_INET)
		return a->bytes[0] == 127;
	return a->family == AF_INET6 && memcmp(a->bytes, one, 16) == 0;
}

/* Say which network was meant by an address with host bits. */
static const char *
name_network(const struct inetaddr *a, unsigned prefix)
{
	struct inetaddr	 network = *a;
	char		 text[INETADDR_TEXT];
	unsigned	 bit;

	for (bit = prefix; bit < width(a); bit++)
		network.bytes[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
	inetaddr_print(&network, text, sizeof(text));
	snprintf(complaint, sizeof(complaint), a->family == AF_INET ?
	    "expected %s/%u" : "expected [%s]/%u", text, prefix);
	return complaint;
}

/* Read ADDRESS or ADDRESS/BITS; IPv6 in brackets, which may be left out. */
const char *
inetaddr_parse_network(const char *text, struct inetaddr *network,
    unsigned *prefix)
{
	char		 copy[INETADDR_TEXT];
	const char	*slash = strchr(text, '/'), *why;
	int64_t		 bits;

	if (!copy_inside_brackets(copy, sizeof(copy), text,
	    slash != NULL ? (size_t)(slash - text) :
	    strnlen(text, sizeof(copy) + 2)) || !parse_plain(network, copy))
		return "expected an address or a network like 192.0.2.0/24 "
		    "or [2001:db8::]/32";
	bits = width(network);
	if (slash != NULL &&
	    (why = text_integer(slash + 1, 0, bits, &bits)) != NULL)
		return why;
	if (bits >= 96 && unmap(network))
		bits -= 96;
	*prefix = (unsigned)bits;
	return has_no_host_bits(network, *prefix) ? NULL :
	    name_network(network, *prefix);
}

/* Up to `room` addresses of our interfaces: how many, or -1. */
int
inetaddr_of_interfaces(struct inetaddr *to, int room)
{
	struct ifaddrs	*all, *i;
	int		 n = 0;

	if (getifaddrs(&all) == -1)
		return -1;
	for (i = all; i != NULL && n < room; i = i->ifa_next) {
		if (i->ifa_addr == NULL ||
		    (i->ifa_addr->sa_family != AF_INET &&
		    i->ifa_addr->sa_family != AF_INET6))
			continue;
		inetaddr_from_sockaddr(&to[n++], i->ifa_addr);
	}
	freeifaddrs(all);
	return n;
}
