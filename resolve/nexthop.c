/*
 * nexthop.c - next hops as people write them: one, or a list in the order to
 * try, with commas or white space between.
 *
 *	example.com  example.com:587  [host]  [192.0.2.1]:submission
 *	[ipv6:2001:db8::1]  unix:private/socket  inet:host:port
 */
#include <string.h>

#include "common/base/text.h"
#include "resolve/resolve.h"

/* Ports that have names in next hops; /etc/services is not asked. */
static const struct {
	const char	*name, *number;
} ports[] = {
	{ "smtp", "25" }, { "lmtp", "24" }, { "submission", "587" },
	{ "submissions", "465" }, { "smtps", "465" }
};

/* A port by its number, if the name is known. */
const char *
port_number(const char *port)
{
	size_t	i;

	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (text_equal(port, ports[i].name))
			return ports[i].number;
	return port;
}

/* "host:port" or "[host]:port"; more colons without brackets are an IPv6
 * address. */
static void
cut_port(struct hop *hop, char *text)
{
	char	*colon = strchr(text, ':');

	if (*text == '[') {
		hop->has_brackets = true;
		text++;
		if ((colon = strchr(text, ']')) == NULL)
			colon = text + strlen(text);
		else
			*colon++ = '\0';
	} else if (colon != NULL && strchr(colon + 1, ':') != NULL) {
		colon = text + strlen(text);
	}
	hop->host = text;
	hop->port = "";
	if (colon != NULL && *colon == ':') {
		*colon = '\0';
		hop->port = colon + 1;
	}
}

/* One element of the list. */
static struct hop
parse_hop(char *word)
{
	struct hop	hop = { .port = "" };

	if (strncmp(word, "unix:", 5) == 0) {
		hop.is_unix = true;
		hop.host = word + 5;
		return hop;
	}
	if (strncmp(word, "inet:", 5) == 0)
		word += 5;
	cut_port(&hop, word);
	text_lower((char *)(uintptr_t)hop.host);
	return hop;
}

/* All elements. */
struct hop *
hops_parse(struct pool *pool, const char *nexthop, size_t *count)
{
	char		**words;
	struct hop	*hops;
	size_t		  i;

	words = text_words(pool, nexthop, count);
	hops = pool_array(pool, *count + 1, sizeof(*hops));
	for (i = 0; i < *count; i++)
		hops[i] = parse_hop(words[i]);
	return hops;
}
