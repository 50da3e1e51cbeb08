/*
 * keys_form.c - what may be signed: parts of TLS handshakes, by their looks.
 *
 * Who asks is believed nothing; a process that somebody took over may ask for
 * any bytes. It can have handshakes signed while it lives, as it could with a
 * key of its own, but no certificate, no message, nothing of the other side.
 */
#include "master/keys_form.h"

#include <string.h>

#include <openssl/bn.h>

enum {
	SPACES = 64,
	RANDOMS = 2 * 32,
	NAMED_CURVE = 3,
	DH_MIN = 2048 / 8, DH_MAX = 8192 / 8
};

/* Bytes that are still to be looked at. */
struct rest {
	const unsigned char	*at;
	size_t			 left;
};

/* A big endian number of so many bytes; false if there are not so many. */
static bool
take_number(struct rest *r, size_t bytes, size_t *value)
{
	if (r->left < bytes)
		return false;
	for (*value = 0; bytes > 0; bytes--, r->left--)
		*value = *value << 8 | *r->at++;
	return true;
}

/* Pass over so many bytes. */
static bool
skip(struct rest *r, size_t bytes)
{
	if (r->left < bytes)
		return false;
	r->at += bytes;
	r->left -= bytes;
	return true;
}

/*
 * A piece of DER of just this length, as certificates, requests, lists of
 * revoked ones, OCSP's answers (SEQUENCE) and CMS's attributes (SET) are. An
 * exchange can be one, too: 64 bytes of it, and most of a key, are whatever he
 * who asks wants. By chance one in a million is, and refused.
 */
static bool
is_der(struct rest r)
{
	size_t	outer, len, first;

	if (!take_number(&r, 1, &outer) || (outer != 0x30 && outer != 0x31) ||
	    !take_number(&r, 1, &len))
		return false;
	if (len == 0x80)			/* to its end */
		len = r.left;
	else if (len > 0x80 && !take_number(&r, len & 0x7f, &len))
		return false;
	if (len != r.left || !take_number(&r, 1, &first))
		return false;
	return first == 0x30 || (outer == 0x30 &&
	    (first == 0x02 || (first >= 0xa0 && first <= 0xa2)));
}

/* --- TLS 1.3 -------------------------------------------------------------- */

/* RFC 8446 4.4.3: spaces, the side's words, a zero, the hash of all messages
 * (SHA-256 or SHA-384, by the cipher). */
static bool
is_certificate_verify(const unsigned char *data, size_t len, const char *words)
{
	size_t	i, head = SPACES + strlen(words) + 1;

	if (len != head + 32 && len != head + 48)
		return false;
	for (i = 0; i < SPACES; i++)
		if (data[i] != ' ')
			return false;
	return memcmp(data + SPACES, words, strlen(words) + 1) == 0;
}

/* --- TLS 1.2, server ------------------------------------------------------ */

/* RFC 8422 5.4: a named curve, and a point of just its length. */
static bool
is_ecdhe(struct rest r)
{
	static const struct { size_t group, point; }	groups[] = {
		{ 23, 65 }, { 24, 97 }, { 25, 133 },	/* P-256 384 521 */
		{ 26, 65 }, { 27, 97 }, { 28, 129 },	/* Brainpool */
		{ 29, 32 }, { 30, 56 }			/* X25519, X448 */
	};
	size_t						type, group, len, i;

	if (!take_number(&r, 1, &type) || type != NAMED_CURVE ||
	    !take_number(&r, 2, &group) || !take_number(&r, 1, &len) ||
	    r.left != len)
		return false;
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (groups[i].group == group)
			return groups[i].point == len &&
			    (group >= 29 || r.at[0] == 4);
	return false;
}

/* One of the primes of RFC 3526, which are all that OpenSSL chooses by itself:
 * of any other a thousand bytes would be what he who asks wants. */
static bool
is_known_prime(const unsigned char *bytes, size_t len)
{
	static BIGNUM	*(*const known[])(BIGNUM *) = {
		BN_get_rfc3526_prime_2048, BN_get_rfc3526_prime_3072,
		BN_get_rfc3526_prime_4096, BN_get_rfc3526_prime_8192
	};
	BIGNUM		*prime = BN_bin2bn(bytes, (int)len, NULL), *one;
	bool		 is_known = false;
	size_t		 i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]) && !is_known; i++) {
		one = known[i](NULL);
		is_known = prime != NULL && one != NULL &&
		    BN_cmp(prime, one) == 0;
		BN_free(one);
	}
	BN_free(prime);
	return is_known && bytes[0] != 0;
}

/* RFC 5246 7.4.3: a prime, the generator 2, a public value, and no more. */
static bool
is_dhe(struct rest r)
{
	size_t	prime, generator, len, value;

	if (!take_number(&r, 2, &prime) || prime < DH_MIN || prime > DH_MAX ||
	    r.left < prime || !is_known_prime(r.at, prime))
		return false;
	return skip(&r, prime) && take_number(&r, 2, &len) && len == 1 &&
	    take_number(&r, 1, &generator) && generator == 2 &&
	    take_number(&r, 2, &value) && value > 0 && value <= prime &&
	    r.left == value;
}

/* --- TLS 1.2, client ------------------------------------------------------ */

enum {
	CLIENT_HELLO = 1, SERVER_HELLO = 2, CERTIFICATE = 11, SERVER_KEY = 12,
	REQUEST = 13, SERVER_DONE = 14, CLIENT_KEY = 16, STATUS = 22
};

/* May this message follow that one, when the client shows a certificate
 * (RFC 5246 7.3, RFC 6066 8)? */
static bool
may_follow(size_t before, size_t now, bool is_server_done)
{
	switch (now) {
	case CLIENT_HELLO:
		return before == 0;
	case SERVER_HELLO:
		return before == CLIENT_HELLO;
	case CERTIFICATE:
		return before == (is_server_done ? SERVER_DONE : SERVER_HELLO);
	case STATUS:
		return before == CERTIFICATE && !is_server_done;
	case SERVER_KEY:
		return (before == CERTIFICATE || before == STATUS) &&
		    !is_server_done;
	case REQUEST:
		return (before == CERTIFICATE || before == STATUS ||
		    before == SERVER_KEY) && !is_server_done;
	case SERVER_DONE:
		return before == REQUEST;
	case CLIENT_KEY:
		return before == CERTIFICATE && is_server_done;
	default:
		return false;
	}
}

/* RFC 5246 7.4.8: all messages from ClientHello to ClientKeyExchange. */
static bool
is_transcript(struct rest r)
{
	size_t	type = 0, before = 0, len;
	bool	is_server_done = false;

	while (r.left > 0) {
		if (!take_number(&r, 1, &type) || !take_number(&r, 3, &len) ||
		    !may_follow(before, type, is_server_done))
			return false;
		/* both hellos begin with the version: 3, 3 */
		if (type <= SERVER_HELLO && (len < 38 || r.left < 2 ||
		    r.at[0] != 3 || r.at[1] != 3))
			return false;
		if (!skip(&r, len))
			return false;
		if (type == SERVER_DONE)
			is_server_done = true;
		before = type;
	}
	return type == CLIENT_KEY;
}

/* --- the two sides -------------------------------------------------------- */

enum keys_form
keys_server_form(const unsigned char *data, size_t len)
{
	struct rest	r = { data, len };

	if (is_certificate_verify(data, len,
	    "TLS 1.3, server CertificateVerify"))
		return KEYS_TLS_1_3;
	if (!is_der(r) && skip(&r, RANDOMS) && (is_ecdhe(r) || is_dhe(r)))
		return KEYS_TLS_1_2;
	return KEYS_NO_FORM;
}

enum keys_form
keys_client_form(const unsigned char *data, size_t len)
{
	if (is_certificate_verify(data, len,
	    "TLS 1.3, client CertificateVerify"))
		return KEYS_TLS_1_3;
	return is_transcript((struct rest){ data, len }) ? KEYS_TLS_1_2 :
	    KEYS_NO_FORM;
}
