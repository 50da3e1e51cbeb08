/*
 * mime_field.c - what the fields that describe a part say.
 */
#include "common/mail/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The type is this one; NULL: none. */
static void
type_is(const char *value, const char *expected)
{
	struct mime_entity	e;
	char			both[2 * MIME_WORD + 2];
	bool			understood;

	memset(&e, 0, sizeof(e));
	understood = mime_parse_type(value, strlen(value), &e);
	assert_int_equal(understood, expected != NULL);
	if (!understood)
		return;
	snprintf(both, sizeof(both), "%s/%s", e.type, e.subtype);
	assert_string_equal(both, expected);
}

/* The boundary is this one; NULL: none. */
static void
boundary_is(const char *value, const char *expected)
{
	char	to[64];
	bool	found;

	found = mime_parameter(value, strlen(value), "boundary", to,
	    sizeof(to), NULL);
	assert_int_equal(found, expected != NULL);
	if (found)
		assert_string_equal(to, expected);
}

static void
types_are_words_with_comments_between(void **state)
{
	(void)state;
	type_is("text/plain", "text/plain");
	type_is(" TEXT / Html ;charset=x", "text/html");
	type_is("\r\n\t(a (nested) \\) one)multipart(x)/(y)mixed", 
	    "multipart/mixed");
	type_is("text", NULL);
	type_is("/plain", NULL);
	type_is("text/", NULL);
	type_is("", NULL);
	type_is("(never closed", NULL);
}

static void
long_words_are_cut(void **state)
{
	struct mime_entity	e;
	char			value[200];

	(void)state;
	memset(value, 'a', sizeof(value));
	value[100] = '/';
	assert_true(mime_parse_type(value, sizeof(value), &e));
	assert_int_equal(strlen(e.type), MIME_WORD - 1);
	assert_int_equal(strlen(e.subtype), MIME_WORD - 1);
}

static void
encodings_are_known_in_any_case(void **state)
{
	(void)state;
	assert_int_equal(mime_parse_encoding(" 8Bit ", 6), MIME_8BIT);
	assert_int_equal(mime_parse_encoding("(x)7bit", 7), MIME_7BIT);
	assert_int_equal(mime_parse_encoding("binary;", 7), MIME_BINARY);
	assert_int_equal(mime_parse_encoding("BASE64", 6), MIME_BASE64);
	assert_int_equal(mime_parse_encoding("Quoted-Printable", 16), MIME_QP);
	assert_int_equal(mime_parse_encoding("x-uuencode", 10), MIME_UNKNOWN);
	assert_int_equal(mime_parse_encoding("", 0), MIME_UNKNOWN);
}

static void
parameters_are_quoted_or_not(void **state)
{
	(void)state;
	boundary_is("a/b; boundary=abc", "abc");
	boundary_is("a/b; x=y;BOUNDARY = \"a b;c\"", "a b;c");
	boundary_is("a/b; x=\"; boundary=no\"; boundary=yes", "yes");
	boundary_is("a/b (; boundary=no) ; boundary=yes(; boundary=no)", "yes");
	boundary_is("a/b; boundary=\"a\\\"b\\\\c\"", "a\"b\\c");
	boundary_is("a/b; boundary=\"a\r\n b\"", "a b");
	boundary_is("a/b; boundary=----=_Part/1:2; x", "----=_Part/1:2");
	boundary_is("a/b;\r\n\tboundary=abc\r\n", "abc");
	boundary_is("a/b; boundary=\"never closed", "never closed");
	boundary_is("a/b; boundary=", "");
	boundary_is("a/b; boundary", NULL);
	boundary_is("a/b; xboundary=c", NULL);
	boundary_is("a/b boundary=c", NULL);
	boundary_is("", NULL);
	boundary_is("a/b; boundary=first; boundary=second", "first");
}

static void
parameters_may_come_in_sections(void **state)
{
	(void)state;
	boundary_is("a/b; boundary*0=abc; boundary*1=\"d e\"", "abcd e");
	boundary_is("a/b; boundary*1=d; boundary*0=abc; boundary*3=x", "abcd");
	boundary_is("a/b; boundary*=us-ascii''a%20b%zz", "a b%zz");
	boundary_is("a/b; boundary*0*=us-ascii'en'a%2d; boundary*1=%2d;"
	    "boundary*2*=%41", "a-%2dA");
	boundary_is("a/b; boundary*1=d", NULL);
	boundary_is("a/b; boundary*0=a;boundary*1=b;boundary*2=c;boundary*3=d;"
	    "boundary*4=e;boundary*5=f;boundary*6=g;boundary*7=h;"
	    "boundary*8=i;boundary*9=j;boundary*10=k", "abcdefghijk");
}

static void
what_is_too_long_is_told(void **state)
{
	const char	*value = "a/b; boundary=12345";
	char		 to[5];
	bool		 is_cut;

	(void)state;
	assert_true(mime_parameter(value, strlen(value), "boundary", to,
	    sizeof(to), &is_cut));
	assert_string_equal(to, "1234");
	assert_true(is_cut);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_are_words_with_comments_between),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(encodings_are_known_in_any_case),
		cmocka_unit_test(parameters_are_quoted_or_not),
		cmocka_unit_test(parameters_may_come_in_sections),
		cmocka_unit_test(what_is_too_long_is_told),
	};

	return cmocka_run_group_tests_name("mime_field", tests, NULL, NULL);
}
