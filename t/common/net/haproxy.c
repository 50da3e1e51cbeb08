/*
 * haproxy.c - the header of a proxy: what is one, what is none, and that it is
 * the same in however many pieces it comes.
 */
#include "common/net/haproxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static const char	signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* Version 2: signature, command, family, length, body. */
static size_t
make(unsigned char *to, int command, int family, size_t length,
    const void *body, size_t len)
{
	memcpy(to, signature, 12);
	to[12] = (unsigned char)command;
	to[13] = (unsigned char)family;
	to[14] = (unsigned char)(length >> 8);
	to[15] = (unsigned char)length;
	if (len > 0)
		memcpy(to + 16, body, len);
	return 16 + len;
}

/* Parse; as many as `least` bytes must be needed. */
static enum haproxy_result
parse(struct haproxy *h, const void *data, size_t len, size_t least)
{
	size_t	n;

	for (n = 0; n < least; n++)
		assert_int_equal(haproxy_parse(h, data, n), HAPROXY_MORE);
	return haproxy_parse(h, data, len);
}

/* "client port > server port length" */
static const char *
tell(const struct haproxy *h)
{
	static char	text[200];
	char		client[INETADDR_TEXT], server[INETADDR_TEXT];

	if (!h->is_proxied) {
		snprintf(text, sizeof(text), "itself %zu", h->length);
		return text;
	}
	inetaddr_print(&h->client, client, sizeof(client));
	inetaddr_print(&h->server, server, sizeof(server));
	snprintf(text, sizeof(text), "%s %u > %s %u %zu", client,
	    h->client.port, server, h->server.port, h->length);
	return text;
}

static void
a_line_names_both_ends(void **state)
{
	static const struct { const char *line, *says; } good[] = {
		{ "PROXY TCP4 203.0.113.9 192.0.2.1 5555 25\r\n",
		    "203.0.113.9 5555 > 192.0.2.1 25 42" },
		{ "PROXY TCP6 2001:db8::9 2001:db8::1 65535 0\r\n",
		    "2001:db8::9 65535 > 2001:db8::1 0 44" },
		{ "PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.8 1 2\r\n",
		    "192.0.2.7 1 > 192.0.2.8 2 50" },
		{ "PROXY UNKNOWN\r\n", "itself 15" },
		{ "PROXY UNKNOWN ffff::1 whatever  this is\r\n", "itself 41" },
	};
	struct haproxy	h;
	size_t		i, len;

	(void)state;
	for (i = 0; i < COUNT(good); i++) {
		len = strlen(good[i].line);
		assert_int_equal(parse(&h, good[i].line, len, len),
		    HAPROXY_OK);
		assert_string_equal(tell(&h), good[i].says);
	}
	assert_int_equal(parse(&h, "PROXY UNKNOWN\r\nEHLO x\r\n", 23, 15),
	    HAPROXY_OK);
	assert_int_equal(h.length, 15);
}

static void
what_is_not_by_the_letter_is_none(void **state)
{
	static const char *const	bad[] = {
		"EHLO x\r\n", "E", "\r\n\r\nX", "proxy TCP4 1.2.3.4",
		"PROXY TCP4 1.2.3\r\n", "PROXY\r\n", "PROXY \r\n",
		"PROXY  TCP4 1.2.3.4 1.2.3.5 1 2\r\n",
		"PROXY TCP4 1.2.3.4  1.2.3.5 1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.5 1 2 \r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.5 1 2 3\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.5 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.5 1 65536\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.5 01 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.5 -1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.5 1 2\n",
		"PROXY TCP4 1.2.3.4\r1.2.3.5 1 2\r\n",
		"PROXY TCP4 ::1 ::2 1 2\r\n",
		"PROXY TCP6 1.2.3.4 1.2.3.5 1 2\r\n",
		"PROXY TCP6 [::1] [::2] 1 2\r\n",
		"PROXY TCP6 fe80::1%1 fe80::2%1 1 2\r\n",
		"PROXY TCP5 1.2.3.4 1.2.3.5 1 2\r\n",
		"PROXY UDP4 1.2.3.4 1.2.3.5 1 2\r\n",
	};
	char		long_line[200];
	struct haproxy	h;
	size_t		i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++) {
		assert_int_equal(haproxy_parse(&h, bad[i], strlen(bad[i])),
		    HAPROXY_BAD);
		assert_non_null(h.why);
		assert_false(h.is_proxied);
	}
	assert_int_equal(haproxy_parse(&h, "PROXY UNKNOWN\0\r\n", 16),
	    HAPROXY_BAD);
	memset(long_line, 'x', sizeof(long_line));
	memcpy(long_line, "PROXY UNKNOWN ", 14);
	assert_int_equal(haproxy_parse(&h, long_line, 106), HAPROXY_MORE);
	assert_int_equal(haproxy_parse(&h, long_line, 107), HAPROXY_BAD);
	memcpy(long_line + 105, "\r\n", 2);
	assert_int_equal(haproxy_parse(&h, long_line, 107), HAPROXY_OK);
	memcpy(long_line + 105, "x\r\n", 3);
	assert_int_equal(haproxy_parse(&h, long_line, 108), HAPROXY_BAD);
}

static void
binary_headers_name_both_ends(void **state)
{
	static const unsigned char	v4[] = { 203, 0, 113, 9, 192, 0, 2, 1,
		    0x15, 0xb3, 0, 25, 3, 0, 2, 'x', 'y' };
	unsigned char			v6[36] = { 0x20, 1, 0x0d, 0xb8 },
					header[300];
	struct haproxy			h;
	size_t				len;

	(void)state;
	len = make(header, 0x21, 0x11, 12, v4, 12);
	assert_int_equal(parse(&h, header, len, 28), HAPROXY_OK);
	assert_string_equal(tell(&h), "203.0.113.9 5555 > 192.0.2.1 25 28");

	/* with a TLV, which need not be there yet */
	len = make(header, 0x21, 0x11, 17, v4, 17);
	assert_int_equal(parse(&h, header, len, 28), HAPROXY_OK);
	assert_int_equal(h.length, 33);

	v6[15] = 9;
	memcpy(v6 + 16, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01", 16);
	v6[33] = 1;
	v6[35] = 2;
	len = make(header, 0x21, 0x21, 36, v6, 36);
	assert_int_equal(parse(&h, header, len, 52), HAPROXY_OK);
	assert_string_equal(tell(&h), "2001:db8::9 1 > 192.0.2.1 2 52");
}

static void
the_proxy_may_speak_for_itself(void **state)
{
	unsigned char	header[300] = { 0 };
	struct haproxy	h;

	(void)state;
	assert_int_equal(parse(&h, header, make(header, 0x20, 0, 0, "", 0),
	    16), HAPROXY_OK);
	assert_string_equal(tell(&h), "itself 16");
	/* its addresses do not count */
	assert_int_equal(parse(&h, header, make(header, 0x20, 0x11, 12,
	    "abcdefghijkl", 12), 16), HAPROXY_OK);
	assert_string_equal(tell(&h), "itself 28");
	assert_int_equal(parse(&h, header, make(header, 0x21, 0, 100, "", 0),
	    16), HAPROXY_OK);
	assert_string_equal(tell(&h), "itself 116");
}

static void
binary_headers_have_bounds(void **state)
{
	static const struct { int command, family; size_t length; } bad[] = {
		{ 0x21, 0x11, 11 }, { 0x21, 0x21, 35 }, { 0x21, 0x11, 0 },
		{ 0x21, 0x11, 65535 }, { 0x20, 0, 65535 }, { 0x21, 0x11, 4081 },
		{ 0x11, 0x11, 12 }, { 0x31, 0x11, 12 }, { 0x22, 0x11, 12 },
		{ 0x21, 0x12, 12 }, { 0x21, 0x22, 36 }, { 0x21, 0x31, 216 },
		{ 0x21, 0x10, 12 }, { 0x21, 0x01, 12 }, { 0x21, 0x41, 12 },
	};
	unsigned char	header[300] = { 0 };
	struct haproxy	h;
	size_t		i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++) {
		make(header, bad[i].command, bad[i].family, bad[i].length,
		    "", 0);
		assert_int_equal(haproxy_parse(&h, header, 200), HAPROXY_BAD);
		assert_non_null(h.why);
	}
	make(header, 0x21, 0x11, 4080, "", 0);
	assert_int_equal(haproxy_parse(&h, header, 28), HAPROXY_OK);
	assert_int_equal(h.length, HAPROXY_LENGTH_MAX);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_line_names_both_ends),
		cmocka_unit_test(what_is_not_by_the_letter_is_none),
		cmocka_unit_test(binary_headers_name_both_ends),
		cmocka_unit_test(the_proxy_may_speak_for_itself),
		cmocka_unit_test(binary_headers_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
