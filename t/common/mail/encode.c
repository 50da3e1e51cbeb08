/*
 * encode.c - what is encoded is safe on its way and comes back the same.
 */
#include "common/mail/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/mail/chars.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static struct pool	*pool;
static struct str	 s;

static int
fill(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	str_init(&s, pool, 0);
	return 0;
}

static int
drain(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static void
base64_has_the_vectors_of_its_standard(void **state)
{
	static const char *const	vectors[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
		{ "\xff\xef\xfe", "/+/+" }
	};
	char				back[16];
	size_t				i;
	ssize_t				n;

	(void)state;
	for (i = 0; i < COUNT(vectors); i++) {
		str_clear(&s);
		base64_encode(&s, vectors[i][0], strlen(vectors[i][0]));
		assert_string_equal(s.data, vectors[i][1]);
		n = base64_decode(back, s.data, s.len);
		assert_int_equal(n, strlen(vectors[i][0]));
		assert_memory_equal(back, vectors[i][0], (size_t)n);
	}
}

static void
base64_is_strict(void **state)
{
	static const char *const	bad[] = {
		"Z", "Zg", "Zg=", "=", "====", "Z===", "Zg==Zg==", "Zh==",
		"Zm9=", "Zm9v\n", "Zm 9v", "Zm9v====", "Zg=a", "Zm-_",
		"\xff\xff\xff\xff"
	};
	char				back[16];
	size_t				i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++)
		if (base64_decode(back, bad[i], strlen(bad[i])) != -1)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(base64_decode(back, "Zg\0=", 4), -1);
}

static void
xtext_hides_and_shows_every_byte(void **state)
{
	char	all[256], *back;
	int	c, n = 0;

	(void)state;
	for (c = ' '; c < 256; c++)
		if (c != 0x7f)
			all[n++] = (char)c;
	all[n] = '\0';
	xtext_encode(&s, all);
	assert_null(strpbrk(s.data, " =\x80\xff"));
	back = xtext_decode(pool, s.data);
	assert_non_null(back);
	assert_string_equal(back, all);
	str_clear(&s);
	xtext_encode(&s, "a+b=c\n");
	assert_string_equal(s.data, "a+2Bb+3Dc+0A");
}

static void
xtext_with_control_bytes_or_half_a_code_is_refused(void **state)
{
	static const char *const	bad[] = {
		"a+00b", "+0D+0AX:", "+", "+2", "+2G", "+ZZ", "a b", "a=b",
		"a\x01", "a\x7f", "+7F", "a+"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++)
		if (xtext_decode(pool, bad[i]) != NULL)
			fail_msg("accepted: %s", bad[i]);
	assert_string_equal(xtext_decode(pool, ""), "");
	assert_string_equal(xtext_decode(pool, "+2b"), "+");
}

/* Decode quoted-printable as RFC 2045 says. */
static void
qp_decode(struct str *to, const char *in)
{
	for (; *in != '\0'; in++) {
		if (*in != '=')
			str_add_char(to, *in);
		else if (in[1] == '\r')
			in += 2;
		else {
			str_add_char(to, (char)(hex_value(in[1]) << 4 |
			    hex_value(in[2])));
			in += 2;
		}
	}
}

static void
quoted_printable_shows_what_it_must_hide(void **state)
{
	static const char	text[] = "a=b \r\n\t\r\n.\r\nFrom x\r\n"
				    "Frame\r\n\xc3\xa9\r\nx ";

	(void)state;
	qp_encode(&s, text, sizeof(text) - 1);
	assert_string_equal(s.data, "a=3Db=20\r\n=09\r\n=2E\r\n=46rom x\r\n"
	    "Frame\r\n=C3=A9\r\nx=20");
	str_clear(&s);
	qp_encode(&s, "a\rb\nc\0d", 7);
	assert_string_equal(s.data, "a=0Db=0Ac=00d");
}

static void
quoted_printable_lines_are_short_and_come_back(void **state)
{
	struct str	in, back;
	const char	*at;
	size_t		i, len;

	(void)state;
	str_init(&in, pool, 0);
	str_init(&back, pool, 0);
	for (i = 0; i < 3000; i++)
		str_add_char(&in, (char)(i % 255 + 1));
	for (i = 0; i < 200; i++)
		str_add(&in, " .From .\t");
	qp_encode(&s, in.data, in.len);
	for (at = s.data; *at != '\0'; at += len + (at[len] != '\0' ? 2 : 0)) {
		len = strcspn(at, "\r");
		assert_in_range(len, 0, 76);
		assert_true(*at != '.' && strncmp(at, "From ", 5) != 0);
		assert_true(len == 0 || !is_blank(at[len - 1]));
	}
	qp_decode(&back, s.data);
	assert_string_equal(back.data, in.data);
}

static void
a_display_name_is_dressed_as_it_needs(void **state)
{
	static const char *const	names[][2] = {
		{ "John", "John" }, { "John Doe", "John Doe" },
		{ "John Q. Doe", "\"John Q. Doe\"" },
		{ "Doe, John", "\"Doe, John\"" }, { "", "\"\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" }, { "<", "\"<\"" },
		{ "(((", "\"(((\"" }, { "\\", "\"\\\\\"" },
		{ " a", "\" a\"" }, { "a ", "\"a \"" }, { "a  b", "\"a  b\"" },
		{ "J\xc3\xb6rg", "=?utf-8?B?SsO2cmc=?=" },
		{ "a\r\nBcc: b", "\"a??Bcc: b\"" },
		{ "\xff\xc3", "??" },
		{ "a\tb", "a?b" }
	};
	size_t				i;

	(void)state;
	for (i = 0; i < COUNT(names); i++)
		assert_string_equal(phrase_encode(pool, names[i][0]),
		    names[i][1]);
}

static void
a_long_name_is_cut_into_words_of_whole_characters(void **state)
{
	char		*coded, bytes[64];
	const char	*at;
	size_t		 len;
	ssize_t		 n;
	int		 i;

	(void)state;
	for (i = 0; i < 100; i++)
		str_add(&s, i % 3 ? "\xe2\x82\xac" : "a");
	coded = phrase_encode(pool, s.data);
	for (at = coded; *at != '\0'; at += len + (at[len] == ' ')) {
		len = strcspn(at, " ");
		assert_in_range(len, 13, 75);
		assert_memory_equal(at, "=?utf-8?B?", 10);
		n = base64_decode(bytes, at + 10, len - 12);
		assert_in_range(n, 1, 45);
		assert_true(utf8_is_valid(bytes, (size_t)n));
		assert_memory_equal(bytes, s.data, (size_t)n);
		memmove(s.data, s.data + n, s.len - (size_t)n + 1);
		str_cut(&s, s.len - (size_t)n);
	}
	assert_int_equal(s.len, 0);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, fill, drain)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(base64_has_the_vectors_of_its_standard),
		TEST(base64_is_strict),
		TEST(xtext_hides_and_shows_every_byte),
		TEST(xtext_with_control_bytes_or_half_a_code_is_refused),
		TEST(quoted_printable_shows_what_it_must_hide),
		TEST(quoted_printable_lines_are_short_and_come_back),
		TEST(a_display_name_is_dressed_as_it_needs),
		TEST(a_long_name_is_cut_into_words_of_whole_characters),
	};

	return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
