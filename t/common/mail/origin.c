/*
 * origin.c - the attributes of XCLIENT and XFORWARD: what is one, and that
 * what is formatted is read as the same.
 */
#include "common/mail/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
values_are_decoded_and_encoded(void **state)
{
	static const char	text[] = "NAME=mx.example.org "
				    "ADDR=IPV6:2001:db8::1 PORT=25 "
				    "PROTO=ESMTP HELO=a+20b+3Dc "
				    "IDENT=[UNAVAILABLE] SOURCE=LOCAL";
	struct pool		*pool = pool_new("test", 0);
	struct origin		 o = { { NULL } };
	struct str		 again;

	(void)state;
	assert_null(origin_parse(&o, pool, ORIGIN_XFORWARD, text));
	assert_string_equal(o.values[ORIGIN_ADDR], "2001:db8::1");
	assert_string_equal(o.values[ORIGIN_HELO], "a b=c");
	assert_string_equal(o.values[ORIGIN_IDENT], "");
	assert_null(o.values[ORIGIN_LOGIN]);
	str_init(&again, pool, 0);
	origin_format(&again, &o, ORIGIN_XFORWARD);
	assert_string_equal(again.data, text);
	str_init(&again, pool, 0);
	origin_format(&again, &o, 1u << ORIGIN_PORT | 1u << ORIGIN_LOGIN);
	assert_string_equal(again.data, "PORT=25");
	pool_free(pool);
}

static void
later_values_replace_earlier_ones(void **state)
{
	struct pool	*pool = pool_new("test", 0);
	struct origin	 o = { { NULL } };

	(void)state;
	assert_null(origin_parse(&o, pool, ORIGIN_XCLIENT,
	    "name=a.test addr=192.0.2.1"));
	assert_null(origin_parse(&o, pool, ORIGIN_XCLIENT,
	    "  NAME=[tempunavail]\tPORT=0 "));
	assert_string_equal(o.values[ORIGIN_NAME], "");
	assert_string_equal(o.values[ORIGIN_ADDR], "192.0.2.1");
	pool_free(pool);
}

static void
what_is_wrong_is_told(void **state)
{
	static const struct { unsigned known; const char *text, *why; }
	    bad[] = {
		{ ORIGIN_XCLIENT, "", "Syntax: XCLIENT attribute=value..." },
		{ ORIGIN_XFORWARD, " ",
		    "Syntax: XFORWARD attribute=value..." },
		{ ORIGIN_XCLIENT, "NAME",
		    "Error: attribute=value expected" },
		{ ORIGIN_XCLIENT, "NAME=",
		    "Error: attribute=value expected" },
		{ ORIGIN_XCLIENT, "SOURCE=LOCAL",
		    "Bad XCLIENT attribute name: SOURCE" },
		{ ORIGIN_XFORWARD, "LOGIN=x",
		    "Bad XFORWARD attribute name: LOGIN" },
		{ ORIGIN_XFORWARD, "NAME=a.test ADDR=1.2.3",
		    "Bad ADDR syntax: 1.2.3" },
		{ ORIGIN_XFORWARD, "ADDR=IPV6:1.2.3.4",
		    "Bad ADDR syntax: IPV6:1.2.3.4" },
		{ ORIGIN_XFORWARD, "ADDR=2001:db8::1%1",
		    "Bad ADDR syntax: 2001:db8::1%1" },
		{ ORIGIN_XFORWARD, "PORT=65536", "Bad PORT syntax: 65536" },
		{ ORIGIN_XFORWARD, "HELO=a+0Ab", "Bad HELO syntax: a+0Ab" },
		{ ORIGIN_XFORWARD, "HELO=a+FF", "Bad HELO syntax: a+FF" },
		{ ORIGIN_XFORWARD, "HELO=a+4", "Bad HELO syntax: a+4" },
		{ ORIGIN_XCLIENT, "PROTO=LMTP", "Bad PROTO syntax: LMTP" },
	};
	struct pool	*pool = pool_new("test", 0);
	struct origin	 o = { { NULL } };
	size_t		 i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_string_equal(origin_parse(&o, pool, bad[i].known,
		    bad[i].text), bad[i].why);
	assert_null(origin_parse(&o, pool, ORIGIN_XFORWARD, "PROTO=LMTP"));
	pool_free(pool);
}

static void
a_server_names_what_it_knows(void **state)
{
	(void)state;
	assert_int_equal(origin_offered("NAME addr  NEW\tSOURCE LOGIN"),
	    1u << ORIGIN_NAME | 1u << ORIGIN_ADDR | 1u << ORIGIN_SOURCE);
	assert_int_equal(origin_offered(""), 0);
}

static void
protocols_are_smtp_or_esmtp(void **state)
{
	(void)state;
	assert_string_equal(origin_protocol("ESMTPSA"), "ESMTP");
	assert_string_equal(origin_protocol("ESMTP"), "ESMTP");
	assert_string_equal(origin_protocol("SMTP"), "SMTP");
	assert_string_equal(origin_protocol(""), "");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(values_are_decoded_and_encoded),
		cmocka_unit_test(later_values_replace_earlier_ones),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(a_server_names_what_it_knows),
		cmocka_unit_test(protocols_are_smtp_or_esmtp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
