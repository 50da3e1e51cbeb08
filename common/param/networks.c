/*
 * networks.c - the networks that this machine is in, for mynetworks_style.
 */
#include "common/param/networks.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include "common/base/str.h"

static const char	loopback[] = "127.0.0.0/8 [::1]/128";

enum style { LOOPBACK, HOST, SUBNET, CLASS, STYLES };

static const char *const style_names[STYLES] = {
	"loopback", "host", "subnet", "class"
};

/* Length of a netmask; the same for both families. */
static unsigned
mask_bits(const unsigned char *mask, size_t len)
{
	unsigned	bits = 0;
	size_t		i;

	for (i = 0; i < len; i++)
		bits += (unsigned)__builtin_popcount(mask[i]);
	return bits;
}

/* The class that an IPv4 address was in before 1993. */
static unsigned
class_bits(const unsigned char *address)
{
	return address[0] < 128 ? 8 : address[0] < 192 ? 16 : 24;
}

/* Clear what is behind the network's part. */
static void
cut_host_part(unsigned char *address, size_t len, unsigned bits)
{
	size_t	i;

	for (i = 0; i < len; i++)
		if (bits <= i * 8)
			address[i] = 0;
		else if (bits < (i + 1) * 8)
			address[i] &= (unsigned char)(0xff << ((i + 1) * 8 -
			    bits));
}

/* Add an interface's network, as wide as the style has it. */
static void
add_interface(struct str *to, enum style style, const struct ifaddrs *i)
{
	unsigned char	 address[16], mask[16];
	char		 text[INET6_ADDRSTRLEN];
	int		 family = i->ifa_addr->sa_family;
	size_t		 len = family == AF_INET ? 4 : 16;
	unsigned	 bits = (unsigned)len * 8;

	if (family == AF_INET) {
		memcpy(address, &((struct sockaddr_in *)(void *)
		    i->ifa_addr)->sin_addr, len);
		memcpy(mask, &((struct sockaddr_in *)(void *)
		    i->ifa_netmask)->sin_addr, len);
	} else {
		memcpy(address, &((struct sockaddr_in6 *)(void *)
		    i->ifa_addr)->sin6_addr, len);
		memcpy(mask, &((struct sockaddr_in6 *)(void *)
		    i->ifa_netmask)->sin6_addr, len);
	}
	if (style == CLASS && family == AF_INET)
		bits = class_bits(address);
	else if (style != HOST)
		bits = mask_bits(mask, len);
	cut_host_part(address, len, bits);
	if (inet_ntop(family, address, text, sizeof(text)) != NULL)
		str_addf(to, family == AF_INET ? " %s/%u" : " [%s]/%u", text,
		    bits);
}

/* Is it an interface whose network may be ours? */
static bool
is_wanted(const struct ifaddrs *i)
{
	return i->ifa_addr != NULL && i->ifa_netmask != NULL &&
	    (i->ifa_flags & IFF_UP) != 0 &&
	    (i->ifa_flags & IFF_LOOPBACK) == 0 &&
	    (i->ifa_addr->sa_family == AF_INET ||
	    i->ifa_addr->sa_family == AF_INET6);
}

/* Loopback always, and the interfaces. */
const char *
networks_of_style(struct pool *pool, const char *style, char **networks)
{
	struct ifaddrs	*list, *i;
	struct str	 all;
	int		 s = 0;

	while (s < STYLES && strcmp(style, style_names[s]) != 0)
		s++;
	if (s == STYLES)
		return "expected loopback, host, subnet or class";
	str_init(&all, pool, 0);
	str_add(&all, loopback);
	if (s != LOOPBACK) {
		if (getifaddrs(&list) == -1)
			return strerror(errno);
		for (i = list; i != NULL; i = i->ifa_next)
			if (is_wanted(i))
				add_interface(&all, (enum style)s, i);
		freeifaddrs(list);
	}
	*networks = all.data;
	return NULL;
}
