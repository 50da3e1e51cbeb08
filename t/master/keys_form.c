/*
 * keys_form.c - what looks like a part of a handshake, and what does not.
 *
 * needs: master/keys_form.c
 */
#include "master/keys_form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>

static unsigned char	text[8192];
static size_t		text_len;

/* Append bytes, or a big endian number of so many. */
static void
put(const void *data, size_t len)
{
	memcpy(text + text_len, data, len);
	text_len += len;
}

static void
put_number(size_t value, size_t bytes)
{
	while (bytes-- > 0)
		text[text_len++] = (unsigned char)(value >> 8 * bytes);
}

static void
fill(int byte, size_t count)
{
	memset(text + text_len, byte, count);
	text_len += count;
}

/* RFC 8446 4.4.3 */
static void
verify(int space, size_t spaces, const char *words, size_t hash)
{
	text_len = 0;
	fill(space, spaces);
	put(words, strlen(words) + 1);
	fill('h', hash);
}

/* One handshake message of TLS 1.2 with so many bytes. */
static void
message(int type, size_t len)
{
	put_number((size_t)type, 1);
	put_number(len, 3);
	if (type == 1 || type == 2) {
		put("\3\3", 2);
		len -= 2;
	}
	fill('m', len);
}

/* Those of these types. */
static void
messages(const char *types)
{
	for (text_len = 0; *types != '\0'; types++)
		message(*types, 50);
}

#define SERVER	"TLS 1.3, server CertificateVerify"
#define CLIENT	"TLS 1.3, client CertificateVerify"

static void
certificate_verify_of_each_side_is_its_own(void **state)
{
	static const size_t	hashes[] = { 32, 48 };
	size_t			i;

	(void)state;
	for (i = 0; i < 2; i++) {
		verify(' ', 64, SERVER, hashes[i]);
		assert_int_equal(keys_server_form(text, text_len),
		    KEYS_TLS_1_3);
		assert_int_equal(keys_client_form(text, text_len),
		    KEYS_NO_FORM);
		verify(' ', 64, CLIENT, hashes[i]);
		assert_int_equal(keys_client_form(text, text_len),
		    KEYS_TLS_1_3);
		assert_int_equal(keys_server_form(text, text_len),
		    KEYS_NO_FORM);
	}
}

static void
certificate_verify_is_exact(void **state)
{
	static const struct {
		int space; size_t spaces; const char *words; size_t hash;
	} bad[] = {
		{ ' ', 63, SERVER, 32 }, { ' ', 65, SERVER, 32 },
		{ ' ', 63, SERVER, 33 }, { '\t', 64, SERVER, 32 },
		{ ' ', 64, SERVER, 31 }, { ' ', 64, SERVER, 33 },
		{ ' ', 64, SERVER, 64 }, { ' ', 64, SERVER, 0 },
		{ ' ', 64, "TLS 1.3, server CertificateVerifx", 32 },
		{ ' ', 64, "TLS 1.4, server CertificateVerify", 32 }
	};
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		verify(bad[i].space, bad[i].spaces, bad[i].words, bad[i].hash);
		assert_int_equal(keys_server_form(text, text_len),
		    KEYS_NO_FORM);
	}
	verify(' ', 64, SERVER, 32);
	text[64 + sizeof(SERVER) - 1] = 'x';	/* no zero */
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	assert_int_equal(keys_server_form(text, 0), KEYS_NO_FORM);
	assert_int_equal(keys_client_form(text, 0), KEYS_NO_FORM);
}

/* Two randoms and a named curve. */
static void
ecdhe(size_t type, size_t group, size_t point, int first)
{
	text_len = 0;
	fill('r', 64);
	put_number(type, 1);
	put_number(group, 2);
	put_number(point, 1);
	fill(first, point > 0);
	fill('p', point > 0 ? point - 1 : 0);
}

static void
ecdhe_parameters_of_known_curves(void **state)
{
	static const size_t	good[][2] = { { 23, 65 }, { 24, 97 },
				    { 25, 133 }, { 29, 32 }, { 30, 56 } };
	size_t			i;

	(void)state;
	for (i = 0; i < 5; i++) {
		ecdhe(3, good[i][0], good[i][1], 4);
		assert_int_equal(keys_server_form(text, text_len),
		    KEYS_TLS_1_2);
		assert_int_equal(keys_client_form(text, text_len),
		    KEYS_NO_FORM);
		assert_int_equal(keys_server_form(text, text_len - 1),
		    KEYS_NO_FORM);
		fill('x', 1);
		assert_int_equal(keys_server_form(text, text_len),
		    KEYS_NO_FORM);
	}
	ecdhe(1, 23, 65, 4);			/* an explicit prime */
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	ecdhe(3, 23, 65, 2);			/* a compressed point */
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	ecdhe(3, 23, 0, 4);
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	ecdhe(3, 4711, 65, 4);
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	for (i = 0; i < 68; i++) {
		ecdhe(3, 23, 65, 4);
		assert_int_equal(keys_server_form(text, i), KEYS_NO_FORM);
	}
}

/* Two randoms, prime (that of RFC 3526, if it has the length), generator,
 * public value. */
static void
dhe(size_t prime, size_t generator, size_t value)
{
	BIGNUM	*known = BN_get_rfc3526_prime_2048(NULL);

	text_len = 0;
	fill('r', 64);
	put_number(prime, 2);
	fill('p', prime);
	if (prime == 256)
		assert_int_equal(BN_bn2bin(known, text + text_len - 256),
		    256);
	BN_free(known);
	put_number(generator, 2);
	fill(2, generator);
	put_number(value, 2);
	fill('y', value);
}

static void
dhe_parameters(void **state)
{
	(void)state;
	dhe(256, 1, 256);
	assert_int_equal(keys_server_form(text, text_len), KEYS_TLS_1_2);
	assert_int_equal(keys_server_form(text, text_len - 1), KEYS_NO_FORM);
	fill('x', 1);
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	dhe(64, 1, 64);				/* too small */
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	dhe(2000, 1, 2000);			/* too large */
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	dhe(384, 1, 384);			/* nobody's prime */
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	dhe(256, 1, 256);
	text[64 + 2 + 100] ^= 1;
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	dhe(256, 2, 256);
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	dhe(256, 0, 256);
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	dhe(256, 1, 257);
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
}

/* A TBSCertificate (RFC 5280 4.1) whose common name has the parameters of an
 * exchange by X448 in it. */
static void
a_certificate_is_no_exchange(void **state)
{
	static const char	 head[] =
		"\x30\x7a\x02\1\1\x30\x0a\6\x08\x2a\x86\x48\xce\x3d\4\3\2"
		"\x30\0\x30\x1e\x17\r260101000000Z\x17\r360101000000Z\x30\x1b"
		"\x31\x19\x30\x17\6\3\x55\4\3\x0c\x10";
	static const char	 key[] =
		"\x30\x2a\x30\5\6\3\x2b\x65\x70\3\x21\0";
	static const struct { const char *start; size_t len; } others[] = {
		{ "\x30\x7a\xa0", 3 }, { "\x31\x7a\x30", 3 },
		{ "\x30\x81\x79\x30", 4 }, { "\x30\x84\0\0\0\x76\2", 7 },
		{ "\x30\x80\2", 3 }
	};
	static const struct { const char *start; size_t len; } good[] = {
		{ "\x30\x7b\2", 3 }, { "\x30\x7a\4", 3 },
		{ "\x31\x7a\2", 3 }, { "\x32\x7a\2", 3 }
	};
	size_t			 i;

	(void)state;
	text_len = 0;
	put(head, sizeof(head) - 1);
	assert_int_equal(text_len, 64);
	put("\3\0\x1e\x38" "bbbbbbbbbbbb", 16);
	put(key, sizeof(key) - 1);
	fill('K', 32);
	assert_int_equal(keys_server_form(text, text_len), KEYS_NO_FORM);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		memcpy(text, others[i].start, others[i].len);
		assert_int_equal(keys_server_form(text, text_len),
		    KEYS_NO_FORM);
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		memcpy(text, good[i].start, good[i].len);
		assert_int_equal(keys_server_form(text, text_len),
		    KEYS_TLS_1_2);
	}
}

static void
a_clients_transcript(void **state)
{
	static const char *const	good[] = {
		"\1\2\13\14\15\16\13\20",	/* octal: 11 12 13 14 11 16 */
		"\1\2\13\26\14\15\16\13\20", "\1\2\13\15\16\13\20"
	};
	static const char *const	bad[] = {
		"\1", "\1\2", "\2\13\14\15\16\13\20", "\1\2\13\14\16\13\20",
		"\1\1\2\13\14\15\16\13\20", "\1\2\13\14\15\16\13",
		"\1\2\13\14\15\16\20", "\1\2\13\14\15\16\13\20\17",
		"\1\2\13\14\15\16\13\20\24", "\1\2\13\14\15\16\13\13\20",
		"\1\2\14\13\15\16\13\20", "\20"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		messages(good[i]);
		assert_int_equal(keys_client_form(text, text_len),
		    KEYS_TLS_1_2);
		assert_int_equal(keys_server_form(text, text_len),
		    KEYS_NO_FORM);
		assert_int_equal(keys_client_form(text, text_len - 1),
		    KEYS_NO_FORM);
		fill(0, 1);
		assert_int_equal(keys_client_form(text, text_len),
		    KEYS_NO_FORM);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		messages(bad[i]);
		assert_int_equal(keys_client_form(text, text_len),
		    KEYS_NO_FORM);
	}
	messages(good[0]);
	text[4] = 'M';				/* no version of TLS */
	assert_int_equal(keys_client_form(text, text_len), KEYS_NO_FORM);
}

/* Every length of every beginning, at the very end of an allocation. */
static void
nothing_is_read_beyond_the_end(void **state)
{
	unsigned char	*copy;
	size_t		 len, kind;

	(void)state;
	for (kind = 0; kind < 4; kind++) {
		if (kind == 0)
			verify(' ', 64, SERVER, 48);
		else if (kind == 1)
			ecdhe(3, 25, 133, 4);
		else if (kind == 2)
			dhe(256, 1, 256);
		else
			messages("\1\2\13\14\15\16\13\20");
		for (len = 0; len < text_len; len++) {
			copy = malloc(len + 1);
			assert_non_null(copy);
			memcpy(copy + 1, text, len);
			if (kind != 0 || len != text_len - 16)
				assert_int_equal(keys_server_form(copy + 1,
				    len), KEYS_NO_FORM);
			assert_int_equal(keys_client_form(copy + 1, len),
			    KEYS_NO_FORM);
			free(copy);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificate_verify_of_each_side_is_its_own),
		cmocka_unit_test(certificate_verify_is_exact),
		cmocka_unit_test(ecdhe_parameters_of_known_curves),
		cmocka_unit_test(dhe_parameters),
		cmocka_unit_test(a_certificate_is_no_exchange),
		cmocka_unit_test(a_clients_transcript),
		cmocka_unit_test(nothing_is_read_beyond_the_end)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
