/*
 * haproxy.c - whose connection a proxy brings.
 *
 * Called by servers behind a proxy, before anything else is read. A header is
 * believed by the letter or not at all: there is no guessing whether one was
 * meant, since a client's first words must not make it another client.
 *
 *	1	PROXY TCP4 192.0.2.1 192.0.2.2 4711 25 CRLF; TCP6; UNKNOWN and
 *		anything; at most 107 bytes
 *	2	0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A, version and command,
 *		family and protocol, uint16 length of what follows: both
 *		addresses, both ports, more (TLVs) that nobody here needs
 */
#include "common/net/haproxy.h"

#include <netinet/in.h>
#include <string.h>

#include "common/mail/chars.h"

enum {
	LINE_MAX = 107,			/* version 1, with CRLF */
	HEAD = 16,			/* version 2, without addresses */
	AT_COMMAND = 12, AT_FAMILY = 13, AT_LENGTH = 14,
	COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21,
	TCP_OVER_IPV4 = 0x11, TCP_OVER_IPV6 = 0x21
};
_Static_assert(HEAD + 36 <= HAPROXY_DECIDED, "addresses are in reach");

static const char	word[] = "PROXY ";
static const char	signature[] = "\r\n\r\n\0\r\nQUIT\n";
enum { WORD = sizeof(word) - 1, SIGNATURE = sizeof(signature) - 1 };

static enum haproxy_result
refuse(struct haproxy *h, const char *why)
{
	h->why = why;
	return HAPROXY_BAD;
}

/* --- version 1 ----------------------------------------------------------- */

/* The next field of the line, ended by one blank; NULL without one. */
static char *
next_field(char **rest)
{
	char	*field = *rest, *end;

	if (field == NULL || *field == '\0' || *field == ' ')
		return NULL;
	if ((end = strchr(field, ' ')) != NULL)
		*end++ = '\0';
	*rest = end;
	return field;
}

/* An address as this family writes it. */
static bool
read_address(struct inetaddr *a, const char *text, int family)
{
	bool	has_colon;

	if (text == NULL || strpbrk(text, "[]%") != NULL)
		return false;
	has_colon = strchr(text, ':') != NULL;
	return has_colon == (family == AF_INET6) && inetaddr_parse(a, text);
}

/* A port: digits, not more than there are ports. */
static bool
read_port(struct inetaddr *a, const char *text)
{
	unsigned	port = 0;
	size_t		len;

	if (text == NULL || (len = strlen(text)) == 0 || len > 5 ||
	    (len > 1 && text[0] == '0'))
		return false;
	for (; *text != '\0'; text++) {
		if (!is_digit(*text))
			return false;
		port = port * 10 + (unsigned)(*text - '0');
	}
	a->port = (uint16_t)port;
	return port <= 65535;
}

/* What stands behind "PROXY ", without CRLF. */
static enum haproxy_result
read_fields(struct haproxy *h, char *rest)
{
	char	*protocol = next_field(&rest);
	int	 family;

	if (protocol == NULL)
		return refuse(h, "the line names no protocol");
	if (strcmp(protocol, "UNKNOWN") == 0)
		return HAPROXY_OK;
	if (strcmp(protocol, "TCP4") != 0 && strcmp(protocol, "TCP6") != 0)
		return refuse(h, "the protocol is not TCP4, TCP6 or UNKNOWN");
	family = protocol[3] == '4' ? AF_INET : AF_INET6;
	if (!read_address(&h->client, next_field(&rest), family) ||
	    !read_address(&h->server, next_field(&rest), family))
		return refuse(h, "an address is missing or malformed");
	if (!read_port(&h->client, next_field(&rest)) ||
	    !read_port(&h->server, next_field(&rest)))
		return refuse(h, "a port is missing or malformed");
	if (rest != NULL)
		return refuse(h, "there is more than addresses and ports");
	h->is_proxied = true;
	return HAPROXY_OK;
}

static enum haproxy_result
read_line(struct haproxy *h, const char *data, size_t len)
{
	char		 line[LINE_MAX + 1];
	const char	*end;
	size_t		 n;

	if (len > LINE_MAX)
		len = LINE_MAX;
	if ((end = memchr(data, '\n', len)) == NULL)
		return len < LINE_MAX ? HAPROXY_MORE :
		    refuse(h, "the line is too long");
	n = (size_t)(end - data);
	if (n == 0 || data[n - 1] != '\r')
		return refuse(h, "the line does not end with CRLF");
	h->length = n + 1;
	n--;
	if (n < WORD || memchr(data, '\0', n) != NULL ||
	    memchr(data, '\r', n) != NULL)
		return refuse(h, "the line is malformed");
	memcpy(line, data, n);
	line[n] = '\0';
	return read_fields(h, line + WORD);
}

/* --- version 2 ----------------------------------------------------------- */

/* One address of so many bytes. */
static void
take_address(struct inetaddr *a, const unsigned char *bytes, size_t size,
    const unsigned char *port)
{
	struct sockaddr_in	v4 = { .sin_family = AF_INET };
	struct sockaddr_in6	v6 = { .sin6_family = AF_INET6 };

	if (size == 4) {
		memcpy(&v4.sin_addr, bytes, 4);
		inetaddr_from_sockaddr(a, (struct sockaddr *)&v4);
	} else {
		memcpy(&v6.sin6_addr, bytes, 16);
		inetaddr_from_sockaddr(a, (struct sockaddr *)&v6);
	}
	a->port = (uint16_t)(port[0] << 8 | port[1]);
}

/* Addresses and ports, of which `length` bytes were announced. */
static enum haproxy_result
take_addresses(struct haproxy *h, const unsigned char *data, size_t len,
    size_t size)
{
	const unsigned char	*at = data + HEAD;

	if (h->length < HEAD + 2 * size + 4)
		return refuse(h, "it is too short for its addresses");
	if (len < HEAD + 2 * size + 4)
		return HAPROXY_MORE;
	take_address(&h->client, at, size, at + 2 * size);
	take_address(&h->server, at + size, size, at + 2 * size + 2);
	h->is_proxied = true;
	return HAPROXY_OK;
}

static enum haproxy_result
read_binary(struct haproxy *h, const unsigned char *data, size_t len)
{
	if (len < HEAD)
		return HAPROXY_MORE;
	h->length = HEAD + (size_t)(data[AT_LENGTH] << 8 |
	    data[AT_LENGTH + 1]);
	if (data[AT_COMMAND] != COMMAND_LOCAL &&
	    data[AT_COMMAND] != COMMAND_PROXY)
		return refuse(h, "its version or command is not known");
	if (h->length > HAPROXY_LENGTH_MAX)
		return refuse(h, "it is too long");
	if (data[AT_COMMAND] == COMMAND_LOCAL)
		return HAPROXY_OK;
	switch (data[AT_FAMILY]) {
	case 0:
		return HAPROXY_OK;
	case TCP_OVER_IPV4:
		return take_addresses(h, data, len, 4);
	case TCP_OVER_IPV6:
		return take_addresses(h, data, len, 16);
	}
	return refuse(h, "it is not for TCP over IPv4 or IPv6");
}

/* --- both ---------------------------------------------------------------- */

/* Do these bytes begin with that, as far as they go? */
static bool
begins(const void *data, size_t len, const char *with, size_t with_len)
{
	return memcmp(data, with, len < with_len ? len : with_len) == 0;
}

enum haproxy_result
haproxy_parse(struct haproxy *h, const void *data, size_t len)
{
	memset(h, 0, sizeof(*h));
	if (len == 0)
		return HAPROXY_MORE;
	if (begins(data, len, word, WORD))
		return read_line(h, data, len);
	if (begins(data, len, signature, SIGNATURE))
		return read_binary(h, data, len);
	return refuse(h, "it does not begin like one");
}
