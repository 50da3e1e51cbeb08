/*
 * form.c - fuzz: what the keys process may sign is a part of a handshake and
 * nothing else.
 *
 * First byte: as which side it is asked; bit 1 makes what follows random bytes
 * of both sides, bit 2 the head of a CertificateVerify. What passes is taken
 * apart anew and must be what that gives put together again.
 *
 * needs: master/keys_form.c
 */
#include "t/fuzz/fuzz.h"

#include <regex.h>

#include <openssl/x509.h>

#include "master/keys_form.h"

/* --- RFC 8446 4.4.3 ------------------------------------------------------ */

static void
try_verify(const unsigned char *data, size_t len, const char *side)
{
	char	head[200];
	int	n;

	n = snprintf(head, sizeof(head), "%64s%s%s", "", side,
	    " CertificateVerify");
	MUST(n > 64 && (len == (size_t)n + 1 + 32 ||
	    len == (size_t)n + 1 + 48));
	MUST(memcmp(data, head, (size_t)n + 1) == 0);
}

/* --- RFC 5246 7.4.3 ------------------------------------------------------ */

/* A big endian number of two bytes. */
static size_t
pair(const unsigned char *at)
{
	return (size_t)at[0] * 256 + at[1];
}

/* ServerKeyExchange behind two random values: every byte has its place. */
static void
try_exchange(const unsigned char *data, size_t len)
{
	const unsigned char	*p = data + 64;
	size_t			 left = len - 64, prime, g, y;

	MUST(len > 64 + 4);
	if (p[0] == 3 && left == 4u + p[3]) {
		static const unsigned char	sizes[] = { 65, 97, 133, 65,
		    97, 129, 32, 56 };

		MUST(pair(p + 1) >= 23 && pair(p + 1) <= 30);
		MUST(p[3] == sizes[pair(p + 1) - 23]);
		MUST(pair(p + 1) >= 29 || p[4] == 4);
		return;
	}
	prime = pair(p);
	MUST(prime >= 128 && prime <= 1024 && left > 2 + prime + 2);
	MUST(p[2] != 0);
	g = pair(p + 2 + prime);
	MUST(g > 0 && g <= prime && left > 4 + prime + g + 2);
	y = pair(p + 4 + prime + g);
	MUST(y > 0 && y <= prime && left == 6 + prime + g + y);
}

/* Not what others have signed, which is one piece of DER: a certificate, a
 * request for one, a list of revoked ones, signed attributes. */
static void
try_der(const unsigned char *data, size_t len)
{
	const unsigned char	*at = data;
	int			 tag, class;
	long			 inside;

	if (data[0] != 0x30 && data[0] != 0x31)
		return;
	if (ASN1_get_object(&at, &inside, &tag, &class, (long)len) !=
	    V_ASN1_CONSTRUCTED || inside == 0 || at + inside != data + len)
		return;
	if (data[0] == 0x30)
		MUST(at[0] != 0x02 && (at[0] < 0xa0 || at[0] > 0xa2));
	MUST(at[0] != 0x30);
}

/* --- RFC 5246 7.4.8 ------------------------------------------------------ */

/* All messages of a handshake in which a client shows a certificate. */
static void
try_transcript(const unsigned char *data, size_t len)
{
	static regex_t	order;
	static bool	has_order;
	char		types[32];
	size_t		at = 0, n = 0, size;

	if (!has_order)
		MUST(regcomp(&order, "^abks?l?mnkp$", REG_EXTENDED |
		    REG_NOSUB) == 0);
	has_order = true;
	while (at < len) {
		MUST(len - at >= 4 && n < sizeof(types) - 1);
		types[n++] = data[at] == 11 ? 'k' : data[at] == 12 ? 'l' :
		    data[at] == 13 ? 'm' : data[at] == 14 ? 'n' :
		    data[at] == 16 ? 'p' : data[at] == 22 ? 's' :
		    data[at] == 1 ? 'a' : data[at] == 2 ? 'b' : '?';
		size = (size_t)data[at + 1] * 65536 + pair(data + at + 2);
		if (n <= 2)
			MUST(size >= 38 && len - at >= 6 &&
			    data[at + 4] == 3 && data[at + 5] == 3);
		at += 4 + size;
	}
	types[n] = '\0';
	MUST(at == len && regexec(&order, types, 0, NULL, 0) == 0);
}

/* --- what is asked ------------------------------------------------------- */

static void
try_server(const unsigned char *data, size_t len)
{
	enum keys_form	form = keys_server_form(data, len);

	if (form == KEYS_TLS_1_3)
		try_verify(data, len, "TLS 1.3, server");
	if (form == KEYS_TLS_1_2) {
		try_exchange(data, len);
		try_der(data, len);
		MUST(keys_client_form(data, len) != KEYS_TLS_1_3);
	}
}

static void
try_client(const unsigned char *data, size_t len)
{
	enum keys_form	form = keys_client_form(data, len);

	if (form == KEYS_TLS_1_3)
		try_verify(data, len, "TLS 1.3, client");
	if (form == KEYS_TLS_1_2)
		try_transcript(data, len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char	words[] = "TLS 1.3, server CertificateVerify";
	struct input		 in = { data, len };
	unsigned		 which = input_byte(&in);
	size_t			 head = which & 2 ? 64 : which & 4 ?
				    64 + sizeof(words) : 0;
	unsigned char		*copy = mem_alloc(head + in.left + 1);

	memset(copy, which & 4 ? ' ' : 'r', head);
	if (head > 64)
		memcpy(copy + 64, words, sizeof(words));
	memcpy(copy + head, in.at, in.left);
	/* its exact size, so that a read behind it is seen */
	copy = mem_resize(copy, head + in.left > 0 ? head + in.left : 1);
	if (which & 1)
		try_client(copy, head + in.left);
	else
		try_server(copy, head + in.left);
	free(copy);
	return 0;
}
