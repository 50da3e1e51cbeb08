/*
 * addresses.c - from "submission" or "localhost:10025" to addresses.
 *
 * A service without a host listens at what inet_interfaces says; both ways
 * only families that inet_protocols allows count.
 */
#include "master/listeners.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/net/dial.h"
#include "common/param/site.h"

enum { ADDRESSES_MAX = 64 };

/* Where addresses gather. */
struct gathering {
	struct pool	*pool;
	struct inetaddr	*list;
	size_t		 count;
	uint16_t	 port;
	bool		 has_v4, has_v6;
	bool		 is_strict;	/* inet_protocols names the families */
};

/* Which families are allowed. */
static const char *
read_protocols(struct gathering *g)
{
	char	**words;
	size_t	  count, i;

	words = text_words(g->pool, site.inet_protocols, &count);
	for (i = 0; i < count; i++) {
		if (text_equal(words[i], "all"))
			g->has_v4 = g->has_v6 = true;
		else if (text_equal(words[i], "ipv4"))
			g->has_v4 = g->is_strict = true;
		else if (text_equal(words[i], "ipv6"))
			g->has_v6 = g->is_strict = true;
		else
			return pool_printf(g->pool, "inet_protocols: expected "
			    "all, ipv4 or ipv6, got \"%s\"", words[i]);
	}
	return g->has_v4 || g->has_v6 ? NULL : "inet_protocols is empty";
}

/* Does this kernel speak IPv6 at all? */
static bool
has_ipv6(void)
{
	return access("/proc/net/if_inet6", R_OK) == 0;
}

/* Add one address, unless it is there or its family is not wanted. */
static const char *
add(struct gathering *g, struct inetaddr address)
{
	size_t	i;

	address.port = g->port;
	if (address.family == AF_INET ? !g->has_v4 : !g->has_v6)
		return NULL;
	for (i = 0; i < g->count; i++)
		if (inetaddr_equal(&g->list[i], &address))
			return NULL;
	if (g->count == ADDRESSES_MAX)
		return "more than 64 addresses";
	g->list[g->count++] = address;
	return NULL;
}

/* Add an address in text that is known to be good. */
static const char *
add_text(struct gathering *g, const char *text)
{
	struct inetaddr	address;

	if (!inetaddr_parse(&address, text))
		return pool_printf(g->pool, "%s is not an address", text);
	if (address.family == AF_INET6 && !g->is_strict && !has_ipv6())
		return NULL;
	return add(g, address);
}

/* Add the addresses of a host name. */
static const char *
add_host(struct gathering *g, const char *host)
{
	const struct addrinfo	 hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE
	};
	struct inetaddr		 address;
	struct addrinfo		*found, *a;
	const char		*why = NULL;
	int			 error;

	if (inetaddr_parse(&address, host))
		return add(g, address);
	if ((error = getaddrinfo(host, NULL, &hints, &found)) != 0)
		return pool_printf(g->pool, "cannot find the address of %s: "
		    "%s", host, gai_strerror(error));
	for (a = found; a != NULL && why == NULL; a = a->ai_next) {
		if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
			continue;
		if (a->ai_family == AF_INET6 && !has_ipv6())
			continue;
		inetaddr_from_sockaddr(&address, a->ai_addr);
		why = add(g, address);
	}
	freeaddrinfo(found);
	return why;
}

/* Add what inet_interfaces says. */
static const char *
add_interfaces(struct gathering *g)
{
	const char	*why = NULL;
	char		**words;
	size_t		  count, i;

	words = text_words(g->pool, site.inet_interfaces, &count);
	for (i = 0; i < count && why == NULL; i++) {
		if (text_equal(words[i], "all")) {
			if ((why = add_text(g, "0.0.0.0")) == NULL)
				why = add_text(g, "::");
		} else if (text_equal(words[i], "loopback-only")) {
			if ((why = add_text(g, "127.0.0.1")) == NULL)
				why = add_text(g, "::1");
		} else
			why = add_host(g, words[i]);
		if (why != NULL)
			return pool_printf(g->pool, "inet_interfaces: %s",
			    why);
	}
	return NULL;
}

/* A port by number or name; a system without /etc/services knows mail's. */
static const char *
read_port(struct gathering *g, const char *text)
{
	static const struct {
		const char	*name;
		uint16_t	 port;
	} names[] = {
		{ "smtp", 25 }, { "submission", 587 }, { "submissions", 465 },
		{ "smtps", 465 }, { "lmtp", 24 }
	};
	const struct servent	*entry;
	int64_t			 number;
	size_t			 i;

	if (text_integer(text, 1, 65535, &number) == NULL) {
		g->port = (uint16_t)number;
		return NULL;
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, text) == 0) {
			g->port = names[i].port;
			return NULL;
		}
	if ((entry = getservbyname(text, "tcp")) == NULL)
		return pool_printf(g->pool, "there is no TCP service named "
		    "\"%s\"", text);
	g->port = ntohs((uint16_t)entry->s_port);
	return NULL;
}

/* "[::1]:25" or "host:25" in two; without a host, it is "". */
static const char *
split(struct gathering *g, const char *service, char **host, char **port)
{
	char	*text = pool_strdup(g->pool, service), *colon;

	if ((colon = strrchr(text, ':')) == NULL) {
		*host = pool_strdup(g->pool, "");
		*port = text;
		return NULL;
	}
	*colon = '\0';
	*port = colon + 1;
	*host = text;
	if (text[0] != '[')
		return NULL;
	if (colon[-1] != ']')
		return "expected [address]:port";
	colon[-1] = '\0';
	(*host)++;
	if (text_starts(*host, "ipv6:"))
		*host += 5;
	return NULL;
}

/* All addresses of a service. */
const char *
listener_addresses(struct pool *pool, const char *service,
    struct inetaddr **addresses, size_t *count)
{
	struct gathering	 g = { .pool = pool };
	const char		*why;
	char			*host, *port;

	g.list = pool_array(pool, ADDRESSES_MAX, sizeof(struct inetaddr));
	if ((why = read_protocols(&g)) != NULL ||
	    (why = split(&g, service, &host, &port)) != NULL ||
	    (why = read_port(&g, port)) != NULL)
		return why;
	why = *host == '\0' ? add_interfaces(&g) : add_host(&g, host);
	if (why != NULL)
		return why;
	if (g.count == 0)
		return "no address is left by inet_protocols";
	*addresses = g.list;
	*count = g.count;
	return NULL;
}

/* Try to listen there, and let go. */
const char *
listener_probe(struct pool *pool, const struct inetaddr *address)
{
	char	text[INETADDR_TEXT];
	int	fd;

	if ((fd = listen_inet(address, 1)) != -1) {
		close(fd);
		return NULL;
	}
	return pool_printf(pool, "port %u at %s: %s", address->port,
	    inetaddr_print(address, text, sizeof(text)), strerror(errno));
}
