/*
 * haproxy.c - fuzz: the header of a proxy, in one piece and byte by byte.
 */
#include "t/fuzz/fuzz.h"

#include "common/net/haproxy.h"

/* What is told of the ends can be printed and read again. */
static void
try_address(const struct inetaddr *a)
{
	struct inetaddr	again;
	char		text[INETADDR_TEXT];

	inetaddr_print(a, text, sizeof(text));
	MUST(inetaddr_parse(&again, text));
	MUST(inetaddr_equal(a, &again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct haproxy		h, part;
	enum haproxy_result	result = haproxy_parse(&h, data, len), early;
	size_t			n;

	MUST(len < HAPROXY_DECIDED || result != HAPROXY_MORE);
	if (result == HAPROXY_OK) {
		MUST(h.length > 0 && h.length <= HAPROXY_LENGTH_MAX);
		if (h.is_proxied) {
			try_address(&h.client);
			try_address(&h.server);
		}
	}
	MUST((result == HAPROXY_BAD) == (h.why != NULL));

	/* Pieces are undecided, then the same for ever. */
	for (n = 0; n <= len && n <= HAPROXY_DECIDED; n++) {
		uint8_t	*copy = mem_alloc(n + 1);

		memcpy(copy, data, n);
		early = haproxy_parse(&part, copy, n);
		free(copy);
		if (early == HAPROXY_MORE)
			continue;
		MUST(early == result && part.length == h.length &&
		    part.is_proxied == h.is_proxied);
		return 0;
	}
	MUST(result == HAPROXY_MORE);
	return 0;
}
