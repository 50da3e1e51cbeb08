/*
 * names.c - which names a certificate stands for.
 */
#include "t/common/tls/pair.h"

static void
a_name_stands_for_itself_in_any_case(void **state)
{
	(void)state;
	assert_true(name_matches("mx.example", "MX.example", false));
	assert_false(name_matches("mx.example", "mx.example.org", false));
	assert_false(name_matches("mx.example.org", "mx.example", false));
	assert_false(name_matches("", "", false));
	assert_false(name_matches("mx.example", "", false));
}

static void
n2_a_star_is_one_whole_left_most_label(void **state)
{
	(void)state;
	assert_true(name_matches("*.a.example", "mx.a.example", false));
	assert_false(name_matches("*.a.example", "a.example", false));
	assert_false(name_matches("*.a.example", "b.mx.a.example", false));
	assert_true(name_matches("*.a.example", "b.mx.a.example", true));
	assert_false(name_matches("*.a.example", "a.example", true));
	assert_false(name_matches("*.example", "xa.bexample", true));
	assert_false(name_matches("m*.a.example", "mx.a.example", false));
	assert_false(name_matches("mx.*.example", "mx.a.example", false));
	assert_false(name_matches("*.example", "mx.example", false));
	assert_false(name_matches("*", "mx", false));
	assert_false(name_matches("*.a.example", ".a.example.x", false));
}

static void
a_dot_wants_any_name_below(void **state)
{
	(void)state;
	assert_true(name_matches("mx.a.example", ".a.example", false));
	assert_true(name_matches("x.mx.a.example", ".a.example", false));
	assert_true(name_matches("*.a.example", ".a.example", false));
	assert_false(name_matches("a.example", ".a.example", false));
	assert_false(name_matches("mxa.example", ".a.example", false));
	assert_false(name_matches("mx.a.example", ".", false));
}

/* The names of a certificate with these, "a b ". */
static const char *
names_of(const char *common, const char *alternative)
{
	struct issued	 made = issue("EC", common, alternative, 30, NULL,
			    false);
	struct str	 text;
	const char	**names;
	size_t		 i, count;

	str_init(&text, pool, 0);
	names = name_list(pool, made.certificate, &count);
	for (i = 0; i < count; i++)
		str_addf(&text, "%s ", names[i]);
	forget_issued(&made);
	return text.data;
}

static void
n1_the_common_name_stands_in_where_there_is_no_dns_name(void **state)
{
	(void)state;
	assert_string_equal(names_of("cn.example", "DNS:a.example,DNS:*.b"),
	    "a.example *.b ");
	assert_string_equal(names_of("cn.example", NULL), "cn.example ");
	assert_string_equal(names_of("cn.example",
	    "email:a@b.example,IP:192.0.2.1"), "cn.example ");
	assert_string_equal(names_of("cn.example", "DNS:bad name"), "");
	assert_string_equal(names_of("two words", NULL), "");
	assert_string_equal(names_of(NULL, NULL), "");
}

static void
n3_text_of_strangers_is_bounded_and_printable(void **state)
{
	ASN1_STRING	*text = ASN1_STRING_type_new(V_ASN1_UTF8STRING);
	const char	*shown;
	static char	 longest[5000];
	size_t		 i;

	(void)state;
	assert_int_equal(ASN1_STRING_set(text, "a\0b\r\n\x1b[0;\xe2\x80\xae",
	    12), 1);
	shown = name_printable(pool, text);
	for (i = 0; shown[i] != '\0'; i++)
		assert_in_range(shown[i], ' ', '~');
	assert_true(strlen(shown) > 12);
	memset(longest, 'x', sizeof longest);
	assert_int_equal(ASN1_STRING_set(text, longest, sizeof longest), 1);
	assert_int_equal(strlen(name_printable(pool, text)), 256);
	memset(longest, '\n', sizeof longest);
	assert_int_equal(ASN1_STRING_set(text, longest, sizeof longest), 1);
	assert_in_range(strlen(name_printable(pool, text)), 200, 256);
	ASN1_STRING_free(text);
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_name_stands_for_itself_in_any_case),
		cmocka_unit_test(n2_a_star_is_one_whole_left_most_label),
		cmocka_unit_test(a_dot_wants_any_name_below),
		cmocka_unit_test(
		    n1_the_common_name_stands_in_where_there_is_no_dns_name),
		cmocka_unit_test(
		    n3_text_of_strangers_is_bounded_and_printable),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
