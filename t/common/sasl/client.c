/*
 * client.c - claims about showing who we are.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/str.h"
#include "common/mail/encode.h"
#include "common/sasl/sasl.h"
#include "common/sasl/scram.h"

static struct pool	*pool;
static const char	*why;

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static struct sasl_credentials
alice(void)
{
	return (struct sasl_credentials){ .user = "alice", .authorize = "",
	    .password = "s3cret", .host = "mx.test", .port = 587 };
}

static struct sasl_credentials
token(void)
{
	return (struct sasl_credentials){ .user = "a,b=c@x.test",
	    .authorize = "", .token = "ya29.tok", .host = "mx.test",
	    .port = 587 };
}

/* The client for what is offered, everything allowed. */
static struct sasl_client *
client(const char *offered, struct sasl_credentials who)
{
	struct sasl_client	*c;

	c = sasl_client_new(pool, offered, "", 0, 0, &who, &why);
	assert_non_null(c);
	return c;
}

/* base64 to text, with its length. */
static const char *
decoded(const char *text, size_t *len)
{
	char	*to = pool_alloc(pool, strlen(text) + 1);
	ssize_t	 n = base64_decode(to, text, strlen(text));

	assert_true(n >= 0);
	*len = (size_t)n;
	return to;
}

static const char *
encoded(const char *text)
{
	struct str	to;

	str_init(&to, pool, 0);
	base64_encode(&to, text, strlen(text));
	return to.data;
}

/* What a mechanism says at first. */
static void
initial_is(struct sasl_client *c, const char *expected, size_t size)
{
	size_t		 len;
	const char	*said = decoded(sasl_client_initial(c), &len);

	assert_int_equal(len, size);
	assert_memory_equal(said, expected, size);
}

static void
answer_is(struct sasl_client *c, const char *challenge, const char *expected)
{
	const char	*said = sasl_client_answer(c, challenge, &why);

	assert_non_null(said);
	assert_string_equal(said, encoded(expected));
}

/* --- mechanisms ----------------------------------------------------------- */

static void
plain_is_rfc_4616(void **state)
{
	struct sasl_client	*c = client("PLAIN", alice());

	(void)state;
	initial_is(c, "\0alice\0s3cret", 13);
	assert_null(sasl_client_answer(c, "", &why));
	assert_string_equal(why,
	    "the server asks for more than the mechanism has");
}

static void
login_says_user_and_password(void **state)
{
	struct sasl_client	*c = client("LOGIN", alice());

	(void)state;
	assert_null(sasl_client_initial(c));
	answer_is(c, "VXNlcm5hbWU6", "alice");
	answer_is(c, "UGFzc3dvcmQ6", "s3cret");
	assert_null(sasl_client_answer(c, "UGFzc3dvcmQ6", &why));
}

/* RFC 2195 2, its example. */
static void
cram_md5_is_rfc_2195(void **state)
{
	struct sasl_credentials	 who = alice();
	struct sasl_client	*c;

	(void)state;
	who.user = "tim";
	who.password = "tanstaaftanstaaf";
	c = client("CRAM-MD5", who);
	assert_null(sasl_client_initial(c));
	answer_is(c, "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+",
	    "tim b913a602c7eda7a495b4e6e7334d3890");
	assert_null(sasl_client_answer(c, "eA==", &why));
}

static void
cram_md5_wants_a_challenge(void **state)
{
	struct sasl_client	*c = client("CRAM-MD5", alice());

	(void)state;
	(void)sasl_client_initial(c);
	assert_null(sasl_client_answer(c, "", &why));
}

static void
xoauth2_shows_the_token(void **state)
{
	struct sasl_client	*c = client("XOAUTH2", token());
	const char		 expected[] =
	    "user=a,b=c@x.test\1auth=Bearer ya29.tok\1\1";

	(void)state;
	initial_is(c, expected, sizeof(expected) - 1);
	assert_string_equal(sasl_client_answer(c, encoded("{\"status\":"
	    "\"400\"}"), &why), "");
	assert_string_equal(sasl_client_complaint(c), "{\"status\":\"400\"}");
	assert_null(sasl_client_answer(c, "", &why));
}

static void
oauthbearer_is_rfc_7628(void **state)
{
	struct sasl_client	*c = client("XOAUTH2 OAUTHBEARER", token());
	const char		 expected[] = "n,a=a=2Cb=3Dc@x.test,\1host="
				    "mx.test\1port=587\1auth=Bearer ya29.tok"
				    "\1\1";

	(void)state;
	assert_string_equal(sasl_client_mechanism(c), "OAUTHBEARER");
	initial_is(c, expected, sizeof(expected) - 1);
	assert_string_equal(sasl_client_complaint(c), "");
	assert_string_equal(sasl_client_answer(c, encoded("{\"status\":"
	    "\"invalid_token\"}\n"), &why), "AQ==");
	assert_string_equal(sasl_client_complaint(c),
	    "{\"status\":\"invalid_token\"}\\012");
	assert_true(sasl_client_is_satisfied(c));
}

/* --- SCRAM ---------------------------------------------------------------- */

/* Both sides, until the server's last word; NULL when the client stops. */
static const char *
scram_round(struct sasl_client *c, struct scram_server *s,
    const char *password)
{
	struct scram_verifier	 v = { .iterations = SCRAM_MIN,
				    .salt_length = 4, .salt = "salt" };
	const char		*said, *reply, *challenge;
	size_t			 len;

	assert_int_equal(scram_verifier_make(&v, password, strlen(password)),
	    0);
	said = decoded(sasl_client_initial(c), &len);
	assert_null(scram_server_first(s, said, len));
	assert_string_equal(scram_server_user(s), "alice");
	challenge = encoded(scram_server_challenge(s, &v));
	if ((said = sasl_client_answer(c, challenge, &why)) == NULL)
		return NULL;
	said = decoded(said, &len);
	if (scram_server_finish(s, said, len, &reply, &why) != SCRAM_IS_HIM)
		return "";
	return reply;
}

static void
scram_wants_the_server_s_proof(void **state)
{
	struct sasl_client	*c = client("PLAIN SCRAM-SHA-256", alice());
	struct scram_server	*s = scram_server_new(pool, false, NULL, 0,
				    NULL);
	const char		*last;

	(void)state;
	assert_string_equal(sasl_client_mechanism(c), "SCRAM-SHA-256");
	last = scram_round(c, s, "s3cret");
	assert_string_not_equal(last, "");
	assert_false(sasl_client_is_satisfied(c));
	assert_string_equal(sasl_client_answer(c, encoded(last), &why), "");
	assert_true(sasl_client_is_satisfied(c));
	assert_null(sasl_client_answer(c, "", &why));
}

static void
scram_is_not_content_with_another_proof(void **state)
{
	struct sasl_client	*c = client("SCRAM-SHA-256", alice());
	struct scram_server	*s = scram_server_new(pool, false, NULL, 0,
				    NULL);

	(void)state;
	assert_string_not_equal(scram_round(c, s, "s3cret"), "");
	assert_null(sasl_client_answer(c, encoded("v=AAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAAAAAAAAAAAAAAAAA="), &why));
	assert_false(sasl_client_is_satisfied(c));
}

/* What it complains about goes to logs and reports. */
static void
scram_shows_a_server_s_error_in_printable_characters(void **state)
{
	struct sasl_client	*c = client("SCRAM-SHA-256", alice());
	struct scram_server	*s = scram_server_new(pool, false, NULL, 0,
				    NULL);

	(void)state;
	assert_string_not_equal(scram_round(c, s, "s3cret"), "");
	assert_null(sasl_client_answer(c, encoded("e=no\r\nBcc: x\033[2J"
	    "\302\233"), &why));
	assert_non_null(strstr(why, "it says: no\\015\\012Bcc"));
	for (; *why != '\0'; why++)
		assert_in_range(*why, ' ', '~');
}

static void
scram_plus_binds_the_channel(void **state)
{
	const unsigned char	 exporter[32] = "exporter of 32 bytes ..........";
	struct scram_binding	 binding = { "tls-exporter", exporter, 32 };
	struct sasl_credentials	 who = alice();
	struct sasl_client	*c;

	(void)state;
	who.exporter = exporter;
	who.exporter_length = 32;
	who.is_encrypted = true;
	c = client("SCRAM-SHA-256 SCRAM-SHA-256-PLUS", who);
	assert_string_equal(sasl_client_mechanism(c), "SCRAM-SHA-256-PLUS");
	assert_string_not_equal(scram_round(c, scram_server_new(pool, true,
	    &binding, 1, NULL), "s3cret"), "");
	/* A server that could bind hears of it when -PLUS was hidden. */
	c = client("SCRAM-SHA-256", who);
	assert_memory_equal(decoded(sasl_client_initial(c),
	    &(size_t){ 0 }), "y,,n=alice", 10);
}

static void
scram_without_tls_does_not_bind(void **state)
{
	struct sasl_client	*c = client("SCRAM-SHA-256-PLUS PLAIN",
				    alice());

	(void)state;
	assert_string_equal(sasl_client_mechanism(c), "PLAIN");
	c = client("SCRAM-SHA-256-PLUS SCRAM-SHA-256", alice());
	assert_string_equal(sasl_client_mechanism(c), "SCRAM-SHA-256");
	assert_memory_equal(decoded(sasl_client_initial(c),
	    &(size_t){ 0 }), "n,,n=alice", 10);
}

/* --- the choice ----------------------------------------------------------- */

static const char *
chosen(const char *offered, const char *allowed, unsigned forbidden,
    unsigned needed, struct sasl_credentials who)
{
	struct sasl_client	*c;

	c = sasl_client_new(pool, offered, allowed, forbidden, needed, &who,
	    &why);
	return c == NULL ? "none" : sasl_client_mechanism(c);
}

static void
the_strongest_is_chosen(void **state)
{
	const char	*all = "LOGIN PLAIN XOAUTH2 CRAM-MD5 SCRAM-SHA-256 "
			    "OAUTHBEARER GSSAPI";

	(void)state;
	assert_string_equal(chosen(all, "", 0, 0, alice()), "SCRAM-SHA-256");
	assert_string_equal(chosen(all, "!scram-sha-256, static:rest", 0, 0,
	    alice()), "CRAM-MD5");
	assert_string_equal(chosen(all, "plain login", 0, 0, alice()),
	    "PLAIN");
	assert_string_equal(chosen(all, "login", 0, 0, alice()), "LOGIN");
	assert_string_equal(chosen(all, "", 0, 0, token()), "OAUTHBEARER");
	assert_string_equal(chosen("plain login", "", 0, 0, alice()),
	    "PLAIN");
}

static void
what_is_forbidden_is_not(void **state)
{
	(void)state;
	assert_string_equal(chosen("PLAIN LOGIN", "", SASL_PLAINTEXT, 0,
	    alice()), "none");
	assert_string_equal(why, "no mechanism available");
	assert_string_equal(chosen("PLAIN CRAM-MD5", "", SASL_PLAINTEXT, 0,
	    alice()), "CRAM-MD5");
	assert_string_equal(chosen("CRAM-MD5", "", SASL_ACTIVE, 0, alice()),
	    "none");
	assert_string_equal(chosen("PLAIN CRAM-MD5 SCRAM-SHA-256", "", 0,
	    SASL_MUTUAL, alice()), "SCRAM-SHA-256");
	assert_string_equal(chosen("PLAIN CRAM-MD5", "", 0, SASL_MUTUAL,
	    alice()), "none");
	assert_string_equal(chosen("SCRAM-SHA-256", "", 0,
	    SASL_FORWARD_SECRECY, alice()), "none");
	assert_string_equal(chosen("XOAUTH2 OAUTHBEARER", "", SASL_PLAINTEXT,
	    0, token()), "none");
}

static void
a_token_is_no_password(void **state)
{
	(void)state;
	assert_string_equal(chosen("PLAIN LOGIN CRAM-MD5", "", 0, 0,
	    token()), "none");
	assert_string_equal(chosen("XOAUTH2 OAUTHBEARER", "", 0, 0, alice()),
	    "none");
}

static void
names_must_be_whole(void **state)
{
	(void)state;
	assert_string_equal(chosen("PLAINER XPLAIN", "", 0, 0, alice()),
	    "none");
	assert_string_equal(chosen("", "", 0, 0, alice()), "none");
	assert_true(sasl_client_knows("cram-md5"));
	assert_false(sasl_client_knows("NTLM"));
}

static void
control_characters_are_refused(void **state)
{
	struct sasl_credentials	who = token();

	(void)state;
	who.user = "a\1auth=Bearer x";
	assert_string_equal(chosen("XOAUTH2", "", 0, 0, who), "none");
	who = token();
	who.token = "x\1host=y";
	assert_string_equal(chosen("OAUTHBEARER", "", 0, 0, who), "none");
	who = token();
	who.host = "a\1b";
	assert_string_equal(chosen("OAUTHBEARER", "", 0, 0, who), "none");
}

/* --- hostile servers ------------------------------------------------------ */

static void
challenges_that_are_none(void **state)
{
	static const char *const	wrong[] = { "!", "=", "A", "AA", "AAA",
	    "AAA=AAA=", "AA A", "AAAA\nAAAA", "AB==" };
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct sasl_client	*c = client("CRAM-MD5", alice());

		(void)sasl_client_initial(c);
		if (sasl_client_answer(c, wrong[i], &why) != NULL)
			fail_msg("\"%s\" is answered", wrong[i]);
		assert_string_equal(why, "the server's challenge is no base64");
	}
}

static void
long_challenges(void **state)
{
	struct sasl_client	*c = client("CRAM-MD5", alice());
	char			*text = pool_alloc(pool, 20000);

	(void)state;
	(void)sasl_client_initial(c);
	memset(text, 'A', 12292);
	assert_null(sasl_client_answer(c, text, &why));
	assert_string_equal(why, "the server's challenge is too long");
	c = client("CRAM-MD5", alice());
	(void)sasl_client_initial(c);
	text[12288] = '\0';
	assert_non_null(sasl_client_answer(c, text, &why));
}

static void
the_end_may_come_at_any_time_and_twice(void **state)
{
	struct sasl_client	*c = client("SCRAM-SHA-256", alice());

	(void)state;
	sasl_client_end(NULL);
	(void)sasl_client_initial(c);
	sasl_client_end(c);
	sasl_client_end(c);
	assert_string_equal(sasl_client_complaint(c), "");
}

#define CASE(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CASE(plain_is_rfc_4616),
		CASE(login_says_user_and_password),
		CASE(cram_md5_is_rfc_2195),
		CASE(cram_md5_wants_a_challenge),
		CASE(xoauth2_shows_the_token),
		CASE(oauthbearer_is_rfc_7628),
		CASE(scram_wants_the_server_s_proof),
		CASE(scram_is_not_content_with_another_proof),
		CASE(scram_shows_a_server_s_error_in_printable_characters),
		CASE(scram_plus_binds_the_channel),
		CASE(scram_without_tls_does_not_bind),
		CASE(the_strongest_is_chosen),
		CASE(what_is_forbidden_is_not),
		CASE(a_token_is_no_password),
		CASE(names_must_be_whole),
		CASE(control_characters_are_refused),
		CASE(challenges_that_are_none),
		CASE(long_challenges),
		CASE(the_end_may_come_at_any_time_and_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
