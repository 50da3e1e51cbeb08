/*
 * nexthop.c - where a route says that mail goes: one or several next hops.
 *
 * Called by delivery.c with what qmgr handed over and with
 * smtp_fallback_relay. No I/O: services have the names below, since the
 * process that delivers has no /etc/services any more.
 */
#include "smtp/nexthop.h"

#include <string.h>

#include "common/base/text.h"
#include "common/net/inetaddr.h"

static const struct { const char *name; uint16_t port; } services[] = {
	{ "smtp", 25 }, { "mail", 25 }, { "lmtp", 24 },
	{ "submission", 587 }, { "submissions", 465 }, { "smtps", 465 },
	{ "ssmtp", 465 }, { "urd", 465 }, { NULL, 0 }
};

/* The number of a port. */
uint16_t
nexthop_port(const char *service)
{
	int64_t	port;
	size_t	i;

	if (text_integer(service, 1, 65535, &port) == NULL)
		return (uint16_t)port;
	for (i = 0; services[i].name != NULL; i++)
		if (text_equal(services[i].name, service))
			return services[i].port;
	return 0;
}

/* "[host]:port" with the bracket first, or "[IPv6:2001:db8::1]": cut it up;
 * what is behind the bracket, or NULL. */
static char *
cut_brackets(struct nexthop *n, char *text)
{
	struct inetaddr	 address;
	char		*end = strchr(text, ']');

	if (end == NULL)
		return NULL;
	*end++ = '\0';
	text++;
	n->kind = NEXTHOP_HOST;
	n->name = text;
	if (text_starts(text, "ipv6:") &&
	    inetaddr_parse(&address, text + strlen("ipv6:")))
		n->name = text + strlen("ipv6:");
	return end;
}

/* Host and port of one next hop. False: it is none. */
static bool
parse_host(struct nexthop *n, char *text, const char *port)
{
	char	*rest;

	if (text[0] == '[')
		rest = cut_brackets(n, text);
	else {
		n->name = text;
		rest = text + strcspn(text, ":");
		/* An IPv6 address needs brackets, or its end is a port. */
		if (*rest == ':' && strchr(rest + 1, ':') != NULL)
			rest = NULL;
	}
	if (rest == NULL)
		return false;
	n->service = port;
	if (*rest == ':') {
		*rest = '\0';
		n->service = rest + 1;
	} else if (*rest != '\0')
		return false;
	n->port = nexthop_port(n->service);
	return n->name[0] != '\0' && n->port != 0;
}

/* One of the list. */
static bool
parse_one(struct pool *pool, struct nexthop *n, const char *word,
    bool is_lmtp, const char *port)
{
	n->text = word;
	n->service = "";
	if (is_lmtp && text_starts(word, "unix:")) {
		n->kind = NEXTHOP_UNIX;
		n->name = word + strlen("unix:");
		return n->name[0] != '\0';
	}
	n->kind = is_lmtp ? NEXTHOP_HOST : NEXTHOP_DOMAIN;
	if (is_lmtp && text_starts(word, "inet:"))
		word += strlen("inet:");
	return parse_host(n, pool_strdup(pool, word), port);
}

/* All of the list. */
const char *
nexthop_parse(struct pool *pool, const char *list, bool is_lmtp,
    const char *port, struct nexthop **hops, size_t *count)
{
	char	**words;
	size_t	  i;

	words = text_words(pool, list, count);
	*hops = pool_array(pool, *count + 1, sizeof(**hops));
	for (i = 0; i < *count; i++)
		if (!parse_one(pool, &(*hops)[i], words[i], is_lmtp, port))
			return pool_printf(pool, "bad next hop \"%s\": "
			    "expected %s", words[i], is_lmtp ? "unix:path, "
			    "inet:host, inet:host:port or the like" : "host, "
			    "[host], [address], each with :port or without");
	return *count > 0 ? NULL : "the next hop is empty";
}
