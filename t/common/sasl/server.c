/*
 * server.c - what is offered to whom, and base64 is nobody else's business.
 */
#include "common/sasl/sasl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/ipc/packets.h"
#include "common/sasl/server_inside.h"

static const struct sasl_offer	all[] = {
	{ "SCRAM-SHA-256-PLUS",	SASL_MUTUAL },
	{ "SCRAM-SHA-256",	SASL_MUTUAL },
	{ "PLAIN",		SASL_PLAINTEXT },
	{ "ANONYMOUS",		SASL_ANONYMOUS },
	{ "EXTERNAL",		0 }
};

static struct pool		*pool;
static char			 heard[100];
static unsigned			 ended;
static struct sasl_answer	 next_answer;

/* --- somebody to ask ----------------------------------------------------- */

static const struct sasl_offer *
fake_offers(struct sasl_server *s, size_t *count)
{
	(void)s;
	*count = sizeof(all) / sizeof(all[0]);
	return all;
}

static void
take(const struct bytes *said, struct sasl_answer *to)
{
	snprintf(heard, sizeof(heard), "%s%.*s", said == NULL ? "nothing" :
	    "", said == NULL ? 0 : (int)said->len, said == NULL ? "" :
	    (const char *)said->data);
	*to = next_answer;
}

static void
fake_begin(struct sasl_exchange *e, const struct sasl_peer *peer,
    const char *mechanism, const struct bytes *said, struct sasl_answer *to)
{
	(void)peer;
	(void)mechanism;
	take(said, to);
	e->is_over = to->result != SASL_CONTINUE;
}

static void
fake_next(struct sasl_exchange *e, const struct bytes *said,
    struct sasl_answer *to)
{
	take(said, to);
	e->is_over = to->result != SASL_CONTINUE;
}

static void
fake_end(struct sasl_exchange *e)
{
	(void)e;
	ended++;
}

static const struct sasl_backend fake = {
	.binds_channels = true, .offers = fake_offers, .begin = fake_begin,
	.next = fake_next, .end = fake_end
};
static struct sasl_server	 server;
static struct sasl_peer		 he = { .client_address = "192.0.2.1" };

static int
fill(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	server = (struct sasl_server){ .backend = &fake };
	he.exporter_length = he.end_point_length = 0;
	ended = 0;
	heard[0] = '\0';
	return 0;
}

static int
drain(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* --- what is offered ----------------------------------------------------- */

static void
all_is_offered_unless_something_is_forbidden(void **state)
{
	(void)state;
	assert_string_equal(sasl_mechanisms(&server, pool, &he, 0, 0, ""),
	    "SCRAM-SHA-256 PLAIN ANONYMOUS EXTERNAL");
	assert_string_equal(sasl_mechanisms(&server, pool, &he,
	    SASL_ANONYMOUS | SASL_PLAINTEXT, 0, ""),
	    "SCRAM-SHA-256 EXTERNAL");
	assert_string_equal(sasl_mechanisms(&server, pool, &he, 0,
	    SASL_MUTUAL, ""), "SCRAM-SHA-256");
	assert_string_equal(sasl_mechanisms(&server, pool, &he, 0,
	    SASL_FORWARD_SECRECY, ""), "");
}

static void
the_filter_names_what_may_be(void **state)
{
	(void)state;
	assert_string_equal(sasl_mechanisms(&server, pool, &he, 0, 0,
	    "!external, static:rest"), "SCRAM-SHA-256 PLAIN ANONYMOUS");
	assert_string_equal(sasl_mechanisms(&server, pool, &he, 0, 0,
	    "plain, login"), "PLAIN");
	assert_string_equal(sasl_mechanisms(&server, pool, &he, 0, 0,
	    "texthash:/nowhere"), "");
}

static void
plus_needs_a_channel_to_bind(void **state)
{
	(void)state;
	he.exporter_length = 32;
	assert_string_equal(sasl_mechanisms(&server, pool, &he, 0,
	    SASL_MUTUAL, ""), "SCRAM-SHA-256-PLUS SCRAM-SHA-256");
	assert_false(server.hides_plus);
	assert_string_equal(sasl_mechanisms(&server, pool, &he, 0,
	    SASL_MUTUAL, "!scram-sha-256-plus, static:all"),
	    "SCRAM-SHA-256");
	assert_true(server.hides_plus);
}

static void
other_types_are_refused(void **state)
{
	const char	*why = NULL;

	(void)state;
	assert_null(sasl_server_new("cyrus", "smtp/inet", NULL, NULL, &why));
	assert_non_null(strstr(why, "no Cyrus SASL"));
	assert_null(sasl_server_new("", "smtp/inet", NULL, NULL, &why));
	assert_string_equal(why, "expected postrider or dovecot");
}

/* --- what is said -------------------------------------------------------- */

static void
both_sides_of_an_exchange_are_base64(void **state)
{
	struct sasl_exchange	*e;
	struct sasl_step	 step;

	(void)state;
	next_answer = (struct sasl_answer){ SASL_CONTINUE, "v", 1, NULL,
	    NULL };
	e = sasl_begin(&server, pool, &he, "X", NULL, &step);
	assert_string_equal(heard, "nothing");
	assert_int_equal(step.result, SASL_CONTINUE);
	assert_string_equal(step.text, "dg==");
	next_answer = (struct sasl_answer){ SASL_OK, "fin", 3, "ann", NULL };
	sasl_continue(e, pool, "YW5u", &step);
	assert_string_equal(heard, "ann");
	assert_int_equal(step.result, SASL_OK);
	assert_string_equal(step.text, "ann");
	assert_string_equal(step.user, "ann");
	assert_string_equal(step.final, "Zmlu");
	sasl_continue(e, pool, "", &step);
	assert_int_equal(step.result, SASL_MALFORMED);
	sasl_end(e);
	assert_int_equal(ended, 1);
	sasl_end(NULL);
}

static void
an_empty_response_is_one(void **state)
{
	struct sasl_exchange	*e;
	struct sasl_step	 step;

	(void)state;
	next_answer = (struct sasl_answer){ SASL_REFUSED, NULL, 0, "eve",
	    "no" };
	e = sasl_begin(&server, pool, &he, "X", "", &step);
	assert_string_equal(heard, "");
	assert_string_equal(step.text, "no");
	assert_string_equal(step.user, "eve");
	assert_null(step.final);
	sasl_end(e);
}

static void
what_is_not_base64_is_not_passed_on(void **state)
{
	static char		 long_text[SASL_DATA_MAX + 5];
	const char *const	 bad[] = { "=AAA", "AAA=BBB", "A!!!", "AAA",
				    "AB==", " ", long_text };
	struct sasl_exchange	*e;
	struct sasl_step	 step;
	size_t			 i;

	(void)state;
	memset(long_text, 'A', sizeof(long_text) - 1);
	next_answer = (struct sasl_answer){ .result = SASL_CONTINUE };
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		heard[0] = '\0';
		e = sasl_begin(&server, pool, &he, "X", bad[i], &step);
		assert_int_equal(step.result, SASL_MALFORMED);
		sasl_end(e);
		assert_string_equal(heard, "");
		e = sasl_begin(&server, pool, &he, "X", NULL, &step);
		sasl_continue(e, pool, bad[i], &step);
		assert_int_equal(step.result, SASL_MALFORMED);
		assert_string_equal(heard, "nothing");
		sasl_end(e);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name)	cmocka_unit_test_setup_teardown(name, fill, drain)
		TEST(all_is_offered_unless_something_is_forbidden),
		TEST(the_filter_names_what_may_be),
		TEST(plus_needs_a_channel_to_bind),
		TEST(other_types_are_refused),
		TEST(both_sides_of_an_exchange_are_base64),
		TEST(an_empty_response_is_one),
		TEST(what_is_not_base64_is_not_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
