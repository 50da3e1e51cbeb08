/*
 * scram.c - SCRAM-SHA-256: the example of RFC 7677, and what is not as it
 * should be.
 */
#include "common/sasl/scram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/mail/encode.h"
#include "common/sasl/scram_inside.h"

#define CLIENT_NONCE	"rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE	"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT		"W22ZaJ0SNY7soEsUEjb6gQ=="
#define FIRST		"n,,n=user,r=" CLIENT_NONCE
#define CHALLENGE	"r=" CLIENT_NONCE SERVER_NONCE ",s=" SALT ",i=4096"
#define LAST		"c=biws,r=" CLIENT_NONCE SERVER_NONCE ",p=dHzbZapW" \
			"Ik4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SIGNATURE	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct pool		*pool;
static struct scram_verifier	 verifier;
static const char		*why, *reply;
static const struct scram_binding bindings[] = {
	{ "tls-exporter", (const unsigned char *)"01234567890123456789"
	    "012345678901", 32 },
	{ "tls-server-end-point", (const unsigned char *)"abcdefghijklmnop"
	    "qrstuvwxyzabcdef", 32 }
};

/* The password of the RFC, as a server keeps it. */
static int
fill(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	pool_make_secret(pool);
	memset(&verifier, 0, sizeof(verifier));
	verifier.iterations = 4096;
	verifier.salt_length = (size_t)base64_decode(verifier.salt, SALT,
	    strlen(SALT));
	why = reply = NULL;
	return scram_verifier_make(&verifier, "pencil", 6);
}

static int
drain(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* A server's side, up to its challenge; why the first message is wrong. */
static const char *
begin(struct scram_server **s, bool is_plus, size_t count, const char *first)
{
	const char	*wrong;

	*s = scram_server_new(pool, is_plus, bindings, count, SERVER_NONCE);
	wrong = scram_server_first(*s, first, strlen(first));
	if (wrong == NULL)
		(void)scram_server_challenge(*s, &verifier);
	return wrong;
}

static enum scram_verdict
finish(struct scram_server *s, const char *last)
{
	return scram_server_finish(s, last, strlen(last), &reply, &why);
}

/* --- both sides ---------------------------------------------------------- */

static void
the_server_says_what_the_rfc_shows(void **state)
{
	struct scram_server	*s;

	(void)state;
	s = scram_server_new(pool, false, NULL, 0, SERVER_NONCE);
	assert_null(scram_server_first(s, FIRST, strlen(FIRST)));
	assert_string_equal(scram_server_user(s), "user");
	assert_string_equal(scram_server_authorize(s), "");
	assert_string_equal(scram_server_challenge(s, &verifier), CHALLENGE);
	assert_int_equal(finish(s, LAST), SCRAM_IS_HIM);
	assert_string_equal(reply, SIGNATURE);
}

static void
the_client_says_what_the_rfc_shows(void **state)
{
	struct scram_client	*c;

	(void)state;
	c = scram_client_new(pool, "user", "", "pencil", NULL, false,
	    CLIENT_NONCE, &why);
	assert_string_equal(scram_client_first(c), FIRST);
	assert_string_equal(scram_client_final(c, CHALLENGE,
	    strlen(CHALLENGE), &why), LAST);
	assert_false(scram_client_verify(c, "v=6rriTRBi23WpRR/wtup+mMhUZUn/"
	    "dB5nLTJRsjl95G5=", 46, &why));
	assert_true(scram_client_verify(c, SIGNATURE, strlen(SIGNATURE),
	    &why));
	scram_client_wipe(c);
	assert_false(scram_client_verify(c, SIGNATURE, strlen(SIGNATURE),
	    &why));
}

/* One exchange of both sides. */
static enum scram_verdict
meet(const char *password, const struct scram_binding *his,
    const struct scram_binding *ours, size_t count)
{
	struct scram_server	*s;
	struct scram_client	*c;
	const char		*m;
	enum scram_verdict	 verdict;

	s = scram_server_new(pool, his != NULL, ours, count, NULL);
	c = scram_client_new(pool, "a,b=c", "", password, his, false, NULL,
	    &why);
	m = scram_client_first(c);
	if ((why = scram_server_first(s, m, strlen(m))) != NULL)
		return SCRAM_MALFORMED;
	assert_string_equal(scram_server_user(s), "a,b=c");
	m = scram_server_challenge(s, &verifier);
	m = scram_client_final(c, m, strlen(m), &why);
	assert_non_null(m);
	verdict = finish(s, m);
	if (verdict == SCRAM_IS_HIM)
		assert_true(scram_client_verify(c, reply, strlen(reply),
		    &why));
	return verdict;
}

static void
both_sides_agree(void **state)
{
	(void)state;
	assert_int_equal(meet("pencil", NULL, NULL, 0), SCRAM_IS_HIM);
	assert_int_equal(meet("pencil", NULL, bindings, 2), SCRAM_IS_HIM);
	assert_int_equal(meet("pencil", &bindings[0], bindings, 2),
	    SCRAM_IS_HIM);
	assert_int_equal(meet("pencil", &bindings[1], bindings, 2),
	    SCRAM_IS_HIM);
}

static void
a_wrong_password_is_refused(void **state)
{
	(void)state;
	assert_int_equal(meet("pencils", NULL, NULL, 0), SCRAM_IS_NOT);
	assert_int_equal(meet("", NULL, NULL, 0), SCRAM_IS_NOT);
	assert_string_equal(why, "wrong password");
}

static void
another_channel_is_refused(void **state)
{
	struct scram_binding	other = bindings[0];

	(void)state;
	other.data = bindings[1].data;
	assert_int_equal(meet("pencil", &bindings[0], &other, 1),
	    SCRAM_IS_NOT);
	assert_string_equal(why, "it was said over another channel");
	assert_int_equal(meet("pencil", &bindings[0], &bindings[1], 1),
	    SCRAM_MALFORMED);
}

static void
a_proof_is_good_once(void **state)
{
	struct scram_server	*s;

	(void)state;
	s = scram_server_new(pool, false, NULL, 0, NULL);
	assert_null(scram_server_first(s, FIRST, strlen(FIRST)));
	(void)scram_server_challenge(s, &verifier);
	assert_int_equal(finish(s, LAST), SCRAM_IS_NOT);
	assert_string_equal(why, "it answers another challenge");
}

/* --- what is wrong ------------------------------------------------------- */

static void
a_hidden_offer_is_noticed(void **state)
{
	struct scram_server	*s;

	(void)state;
	assert_null(begin(&s, false, 0, "y,,n=user,r=abc"));
	assert_non_null(begin(&s, false, 2, "y,,n=user,r=abc"));
	assert_null(begin(&s, false, 2, "n,,n=user,r=abc"));
	assert_non_null(begin(&s, true, 2, "n,,n=user,r=abc"));
	assert_non_null(begin(&s, true, 2, "y,,n=user,r=abc"));
	assert_non_null(begin(&s, false, 2, "p=tls-exporter,,n=user,r=abc"));
	assert_non_null(begin(&s, true, 2, "p=tls-unique,,n=user,r=abc"));
	assert_null(begin(&s, true, 2, "p=tls-exporter,,n=user,r=abc"));
}

static void
malformed_first_messages_are_refused(void **state)
{
	static const char *const	bad[] = {
		"", "n", "n,", "n,,", "x,,n=user,r=abc", "n,,n=,r=abc",
		"n,,n=user", "n,,n=user,r=", "n,,r=abc,n=user",
		"n,,n=us=er,r=abc", "n,,n=us=2cer,r=abc", "n,,n=us=3D,s=abc",
		"n,,m=x,n=user,r=abc", "n,,n=user,r=a bc",
		"n,,n=user,r=abc,", "n,,n=user,r=abc,x", "n,,n=user,r=abc,x=",
		"n,,n=user,r=abc,m=x", "n,,n=user,r=abc,1=x",
		"n,a=,n=user,r=abc", "n,b=x,n=user,r=abc",
		"n,a=x=,n=user,r=abc", "n,,n=\xff,r=abc", "n,,n=user,r=\x7f"
	};
	struct scram_server		*s;
	size_t				 i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (begin(&s, false, 0, bad[i]) == NULL)
			fail_msg("'%s' was good", bad[i]);
	s = scram_server_new(pool, false, NULL, 0, NULL);
	assert_non_null(scram_server_first(s, FIRST "\0x",
	    sizeof(FIRST) + 1));
	assert_null(begin(&s, false, 0, "n,a=x=2C=3D,n=user,r=abc,x=y,z=1"));
	assert_string_equal(scram_server_authorize(s), "x,=");
}

static void
malformed_last_messages_are_refused(void **state)
{
	static const char	proof[] = ",p=dHzbZapWIk4jUhN+Ute9ytag9zjf"
				"MHgsqmmiz7AndVQ=";
	static const char *const bad[] = {
		"", "c=biws", "c=biws,r=" CLIENT_NONCE SERVER_NONCE,
		",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		LAST ",x=y", "r=x,c=biws,p=", "c=biws,r=x,p=AAAA"
	};
	struct scram_server	*s;
	size_t			 i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(begin(&s, false, 0, FIRST));
		if (finish(s, bad[i]) != SCRAM_MALFORMED)
			fail_msg("'%s' was taken", bad[i]);
	}
	assert_null(begin(&s, false, 0, FIRST));
	assert_int_equal(finish(s, pool_printf(pool, "c=eSws,r=%s%s",
	    CLIENT_NONCE SERVER_NONCE, proof)), SCRAM_IS_NOT);
	assert_null(begin(&s, false, 0, FIRST));
	assert_int_equal(finish(s, pool_printf(pool, "c=biws,r=%s,m=x%s",
	    CLIENT_NONCE SERVER_NONCE, proof)), SCRAM_MALFORMED);
}

static void
bad_servers_are_refused(void **state)
{
	static const char *const	bad[] = {
		"", "r=other,s=" SALT ",i=4096",
		"r=" CLIENT_NONCE ",s=" SALT ",i=4096",
		"r=" CLIENT_NONCE "x,s=" SALT ",i=4095",
		"r=" CLIENT_NONCE "x,s=" SALT ",i=1000001",
		"r=" CLIENT_NONCE "x,s=" SALT ",i=-1",
		"r=" CLIENT_NONCE "x,s=,i=4096",
		"r=" CLIENT_NONCE "x,s=!,i=4096",
		"m=x,r=" CLIENT_NONCE "x,s=" SALT ",i=4096",
		"s=" SALT ",r=" CLIENT_NONCE "x,i=4096",
		"r=" CLIENT_NONCE "x,s=" SALT ",i=4096,x"
	};
	struct scram_client		*c;
	size_t				 i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c = scram_client_new(pool, "user", "", "pencil", NULL, false,
		    CLIENT_NONCE, &why);
		if (scram_client_final(c, bad[i], strlen(bad[i]), &why) !=
		    NULL || why == NULL)
			fail_msg("'%s' was taken", bad[i]);
		assert_false(scram_client_verify(c, SIGNATURE,
		    strlen(SIGNATURE), &why));
	}
	assert_false(scram_client_verify(c, "e=invalid-proof", 15, &why));
	assert_string_equal(why, "it says: invalid-proof");
}

/* --- verifiers ----------------------------------------------------------- */

static void
a_verifier_is_a_line_of_text(void **state)
{
	struct scram_verifier	again;
	struct str		text;

	(void)state;
	str_init(&text, pool, 0);
	scram_verifier_format(&text, &verifier);
	assert_string_equal(text.data, "SCRAM-SHA-256$4096:" SALT "$"
	    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
	assert_true(scram_verifier_parse(&again, text.data));
	assert_memory_equal(&again, &verifier, sizeof(again));
	assert_int_equal(scram_verifier_check(&again, "pencil", 6), 1);
	assert_int_equal(scram_verifier_check(&again, "pencil ", 7), 0);
	str_cut(&text, text.len - 1);
	assert_false(scram_verifier_parse(&again, text.data));
}

static void
other_texts_are_no_verifiers(void **state)
{
	static const char *const	bad[] = {
		"", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096", "SCRAM-SHA-1$x",
		"SCRAM-SHA-256$0:" SALT "$x:y", "SCRAM-SHA-256$4096:$x:y",
		"SCRAM-SHA-256$99999999:" SALT "$x:y",
		("SCRAM-SHA-256$4096:!$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbs"
		"T4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
	};
	struct scram_verifier		v;
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (scram_verifier_parse(&v, bad[i]))
			fail_msg("'%s' was taken", bad[i]);
}

/* Base64 without its "=" is as long as that with, and holds more. */
#define WIDE	"eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5"	/* 33 bytes */

static void
keys_and_salts_stay_in_their_place(void **state)
{
	unsigned char		 room[40];
	struct scram_verifier	 v;
	struct scram_client	*c;
	const char		*text;

	(void)state;
	memset(room, 'r', sizeof(room));
	assert_false(scram_key_decode(room, WIDE, SCRAM_KEY));
	assert_int_equal(room[SCRAM_KEY], 'r');
	assert_false(scram_verifier_parse(&v, "SCRAM-SHA-256$4096:" WIDE WIDE
	    "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="));
	assert_true(v.salt_length <= SCRAM_SALT_MAX);
	c = scram_client_new(pool, "user", "", "pencil", NULL, false,
	    CLIENT_NONCE, &why);
	text = "r=" CLIENT_NONCE "x,s=" WIDE WIDE ",i=4096";
	assert_null(scram_client_final(c, text, strlen(text), &why));
	assert_string_equal(why, "its salt is malformed");
}

static void
passwords_are_ascii(void **state)
{
	(void)state;
	assert_null(scram_password_check("correct horse, battery = staple!"));
	assert_non_null(scram_password_check(""));
	assert_non_null(scram_password_check("tab\there"));
	assert_non_null(scram_password_check("gr\xc3\xbc\xc3\x9f"));
	assert_non_null(scram_password_check("\xff"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name)	cmocka_unit_test_setup_teardown(name, fill, drain)
		TEST(the_server_says_what_the_rfc_shows),
		TEST(the_client_says_what_the_rfc_shows),
		TEST(both_sides_agree),
		TEST(a_wrong_password_is_refused),
		TEST(another_channel_is_refused),
		TEST(a_proof_is_good_once),
		TEST(a_hidden_offer_is_noticed),
		TEST(malformed_first_messages_are_refused),
		TEST(malformed_last_messages_are_refused),
		TEST(bad_servers_are_refused),
		TEST(a_verifier_is_a_line_of_text),
		TEST(other_texts_are_no_verifiers),
		TEST(keys_and_salts_stay_in_their_place),
		TEST(passwords_are_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
