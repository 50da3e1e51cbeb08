/*
 * address.c - every way to write a mailbox means one mailbox, and what is no
 * mailbox is refused.
 */
#include "common/mail/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define E	PATH_ALLOW_EMPTY
#define L	PATH_ALLOW_BARE_LOCAL
#define N	PATH_ALLOW_NO_BRACKETS
#define U	PATH_ALLOW_UTF8

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static struct pool	*pool;

static int
fill(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return 0;
}

static int
drain(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static const struct {
	const char	*text;
	unsigned	 rules;
	const char	*address;
	const char	*rest;
} good[] = {
	{ "<a@b.example>", 0, "a@b.example", "" },
	{ "<a@b.example> SIZE=1", 0, "a@b.example", " SIZE=1" },
	{ "  <a@b>", 0, "a@b", "" },
	{ "<A.b+C@Example.COM>\t", 0, "A.b+C@Example.COM", "\t" },
	{ "<!#$%&'*+-/=?^_`{|}~@b>", 0, "!#$%&'*+-/=?^_`{|}~@b", "" },
	{ "<a@under_score.example>", 0, "a@under_score.example", "" },
	{ "<a@tld>", 0, "a@tld", "" },
	{ "<a@1.b>", 0, "a@1.b", "" },
	/* quoted, canonical */
	{ "<\"joe.smith\"@b>", 0, "joe.smith@b", "" },
	{ "<\"joe\\.smith\"@b>", 0, "joe.smith@b", "" },
	{ "<\"a b\"@b>", 0, "\"a b\"@b", "" },
	{ "<\"a\\ b\"@b>", 0, "\"a b\"@b", "" },
	{ "<\"a\\\"b\"@b>", 0, "\"a\\\"b\"@b", "" },
	{ "<\"a\\\\b\"@b>", 0, "\"a\\\\b\"@b", "" },
	{ "<\"a@b\"@c>", 0, "\"a@b\"@c", "" },
	{ "<\"a>b\"@c> X", 0, "\"a>b\"@c", " X" },
	{ "<\"a..b\"@c>", 0, "\"a..b\"@c", "" },
	{ "<\".\"@c>", 0, "\".\"@c", "" },
	{ "<\"<a@b>\"@c>", 0, "\"<a@b>\"@c", "" },
	/* routes are forgotten */
	{ "<@a,@b:john@c>", 0, "john@c", "" },
	{ "<@a.example:john@c.example> X=1", 0, "john@c.example", " X=1" },
	{ "<@[192.0.2.1]:john@c>", 0, "john@c", "" },
	{ "<@a:\"x:y\"@c>", 0, "\"x:y\"@c", "" },
	/* literals */
	{ "<a@[192.0.2.1]>", 0, "a@[192.0.2.1]", "" },
	{ "<a@[IPv6:2001:db8::1]>", 0, "a@[IPv6:2001:db8::1]", "" },
	{ "<a@[ipv6:::ffff:192.0.2.1]>", 0, "a@[ipv6:::ffff:192.0.2.1]", "" },
	/* what the rules allow */
	{ "<>", E, "", "" },
	{ "<> BODY=7BIT", E, "", " BODY=7BIT" },
	{ "<postmaster>", L, "postmaster", "" },
	{ "<\"a@b\">", L, "\"a@b\"", "" },
	{ "a@b SIZE=1", N, "a@b", " SIZE=1" },
	{ "postmaster", N | L, "postmaster", "" },
	{ "<\xc3\xa9@b>", U, "\xc3\xa9@b", "" },
	{ "<a@\xc3\xa9.example>", U, "a@\xc3\xa9.example", "" },
	{ "<\"\xc3\xa9 x\"@b>", U, "\"\xc3\xa9 x\"@b", "" },
};

static const struct {
	const char	*text;
	unsigned	 rules;
} bad[] = {
	/* brackets */
	{ "", E }, { "a@b", 0 }, { "<a@b", 0 }, { "a@b>", N }, { "<", E },
	{ "a@b>", 0 }, { "<<a@b>>", 0 }, { "<a@b>>", 0 }, { "<<a@b>", 0 },
	{ "<a@b>SIZE=1", 0 }, { "<a@b>,<c@d>", 0 }, { "<a@b", N }, { "<a", L },
	{ "<>", 0 }, { "<>x", E }, { "< >", E }, { "<", 0 }, { ">", N },
	/* spaces */
	{ "< a@b>", 0 }, { "<a@b >", 0 }, { "<a @b>", 0 }, { "<a@ b>", 0 },
	{ "<a b@c>", 0 }, { "<a@b c>", 0 }, { "<a\t@b>", 0 },
	/* local parts */
	{ "<@b>", 0 }, { "<.a@b>", 0 }, { "<a.@b>", 0 }, { "<a..b@c>", 0 },
	{ "<\"\"@b>", 0 }, { "<\"\">", L }, { "<a,b@c>", 0 }, { "<a(b)@c>", 0 },
	{ "<a:b@c>", 0 }, { "<a;b@c>", 0 }, { "<a[b@c>", 0 }, { "<a]b@c>", 0 },
	{ "<a\\b@c>", 0 }, { "<a\"b\"@c>", 0 }, { "<\"a\"b@c>", 0 },
	{ "<\"a@b>", 0 }, { "<\"a\\\"@b>", 0 }, { "<\"a\\", 0 }, { "<\"", 0 },
	{ "<\"a\".b@c>", 0 }, { "<a>", 0 }, { "<postmaster>", 0 },
	/* control characters */
	{ "<a\x01@b>", 0 }, { "<a\x7f@b>", 0 }, { "<\"a\x01\"@b>", 0 },
	{ "<\"a\r\n\"@b>", 0 }, { "<\"a\\\r\"@b>", 0 }, { "<a@b\x7f>", 0 },
	{ "<\"a\tb\"@c>", 0 }, { "<a\r@b>", 0 }, { "<a@b\n>", 0 },
	/* domains */
	{ "<a@>", 0 }, { "<a@b..c>", 0 }, { "<a@.b>", 0 }, { "<a@b->", 0 },
	{ "<a@-b>", 0 }, { "<a@b.>", 0 }, { "<a@b@c>", 0 }, { "<a@b,c>", 0 },
	{ "<a@192.0.2.1>", 0 }, { "<a@b!c>", 0 }, { "<a@b%c>", 0 },
	{ "<!>", 0 }, { "<@>", 0 }, { "<@@>", 0 }, { "<.>", L }, { "<..>", L },
	{ "<@:>", E | L }, { "<:;>", L }, { "<.!@b>", 0 },
	/* literals */
	{ "<a@[256.1.1.1]>", 0 }, { "<a@[1.2.3]>", 0 },
	{ "<a@[1.2.3.4.5]>", 0 }, { "<a@[2001:db8::1]>", 0 },
	{ "<a@[IPv6:fe80::1%eth0]>", 0 }, { "<a@[tag:x]>", 0 },
	{ "<a@[127.1]>", 0 }, { "<a@[0]>", 0 }, { "<a@[]>", 0 },
	{ "<a@[192.0.2.1>", 0 }, { "<a@[192.0.2.1]x>", 0 }, { "<a@[", 0 },
	{ "<a@[IPv6:]>", 0 }, { "<[10.0.0.1]:22!user@b>", 0 },
	{ "<a@[192.0.2.1 ]>", 0 }, { "<a@[IPv6:1:2:3:4:5:6:7:8:9]>", 0 },
	/* routes */
	{ "<@a:>", E }, { "<@a,b:c@d>", 0 }, { "<@a>", 0 }, { "<@a,:c@d>", 0 },
	{ "<@a c@d>", 0 }, { "<@a,@b>", 0 }, { "<@a:@b:c@d>", 0 },
	{ "<@", 0 }, { "<@a", 0 }, { "<@a,", 0 }, { "<@a:", 0 },
	/* UTF-8 */
	{ "<\xc3\xa9@b>", 0 }, { "<a@\xc3\xa9.example>", 0 },
	{ "<\"\xc3\xa9\"@b>", 0 }, { "<\xff@b>", U }, { "<\xc3@b>", U },
	{ "<\"\xc0\xaf\"@b>", U }, { "<\xed\xa0\x80@b>", U }, { "<\xc3", U },
	{ "<\xf4\x90\x80\x80@b>", U }, { "<\xc2\x80@b>", U },
	{ "<\"\xc3\"@b>", U }, { "<a@\xe3\x80\x82.b>", U },
	{ "<a@b\xe3\x80\x82" "c>", U }, { "<a@b\xef\xbc\x8f>", U },
	{ "<a@\xe2\x80\xa4.b>", U }, { "<a@b\xe2\x80\x8d" "c>", U },
};

static void
good_paths_have_one_canonical_form(void **state)
{
	const char	*text, *why;
	char		*address;
	size_t		 i;

	(void)state;
	for (i = 0; i < COUNT(good); i++) {
		text = good[i].text;
		why = address_parse_path(pool, &text, good[i].rules, &address);
		if (why != NULL)
			fail_msg("%s: %s", good[i].text, why);
		assert_string_equal(address, good[i].address);
		assert_string_equal(text, good[i].rest);
	}
}

static void
bad_paths_are_refused(void **state)
{
	const char	*text;
	char		*address;
	size_t		 i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++) {
		text = bad[i].text;
		if (address_parse_path(pool, &text, bad[i].rules, &address) ==
		    NULL)
			fail_msg("accepted: %s", bad[i].text);
		assert_ptr_equal(text, bad[i].text);
	}
}

/* "<aaa@bbb>" with as many letters as told, labels of 63. */
static char *
long_path(size_t local, size_t domain)
{
	struct str	s;
	size_t		i;

	str_init(&s, pool, 0);
	str_add_char(&s, '<');
	for (i = 0; i < local; i++)
		str_add_char(&s, 'a');
	str_add_char(&s, '@');
	for (i = 0; i < domain; i++)
		str_add_char(&s, i % 64 == 63 ? '.' : 'b');
	str_add_char(&s, '>');
	return s.data;
}

static const char *
try(const char *text)
{
	char	*address;

	return address_parse_path(pool, &text, 0, &address);
}

static void
the_limits_of_length_are_exact(void **state)
{
	(void)state;
	assert_null(try(long_path(64, 255)));
	assert_null(try(long_path(LOCAL_PART_ROOM, 255)));
	assert_non_null(try(long_path(LOCAL_PART_ROOM + 1, 255)));
	assert_non_null(try(long_path(64, 257)));
	assert_non_null(try(long_path(1000000, 10)));
	assert_non_null(try(long_path(10, 1000000)));
}

static void
a_route_of_ten_thousand_hosts_is_refused(void **state)
{
	struct str	s;
	int		i;

	(void)state;
	str_init(&s, pool, 0);
	str_add(&s, "<@a");
	for (i = 0; i < 10000; i++)
		str_add(&s, ",@b");
	str_add(&s, ":u@d>");
	assert_non_null(try(s.data));
}

static void
quoting_may_not_make_an_address_longer_than_others_take(void **state)
{
	struct str	s;
	int		i;

	(void)state;
	str_init(&s, pool, 0);
	str_add(&s, "<\"");
	for (i = 0; i < 300; i++)
		str_add(&s, "\\\\");
	str_add(&s, "\"@b>");
	assert_non_null(try(s.data));
}

static void
a_whole_string_is_one_mailbox(void **state)
{
	char	*address;

	(void)state;
	assert_null(address_parse(pool, "\"joe\"@b", 0, &address));
	assert_string_equal(address, "joe@b");
	assert_null(address_parse(pool, "joe", L, &address));
	assert_string_equal(address, "joe");
	assert_null(address_parse(pool, "", E, &address));
	assert_string_equal(address, "");
	assert_non_null(address_parse(pool, "", 0, &address));
	assert_non_null(address_parse(pool, "", L, &address));
	assert_non_null(address_parse(pool, "joe", 0, &address));
	assert_non_null(address_parse(pool, "a@b ", 0, &address));
	assert_non_null(address_parse(pool, " a@b", 0, &address));
	assert_non_null(address_parse(pool, "a@b>", 0, &address));
	assert_non_null(address_parse(pool, "<a@b>", 0, &address));
	assert_non_null(address_parse(pool, "@a:b@c", 0, &address));
	assert_non_null(address_parse(pool, "a@b\nBcc: c", 0, &address));
}

/* Split and compare. */
static void
assert_split(const char *address, const char *local, const char *domain)
{
	const char	*l, *d;
	size_t		 len;

	address_split(address, &l, &len, &d);
	assert_ptr_equal(l, address);
	assert_int_equal(len, strlen(local));
	assert_memory_equal(l, local, len);
	if (domain == NULL)
		assert_null(d);
	else
		assert_string_equal(d, domain);
}

static void
an_address_is_cut_at_its_last_unquoted_at(void **state)
{
	(void)state;
	assert_split("a@b", "a", "b");
	assert_split("\"x@y\"@b", "\"x@y\"", "b");
	assert_split("\"x@y\"", "\"x@y\"", NULL);
	assert_split("a", "a", NULL);
	assert_split("", "", NULL);
	assert_split("a@[IPv6:::1]", "a", "[IPv6:::1]");
}

static void
quoting_and_unquoting_are_each_others_reverse(void **state)
{
	static const struct { const char *plain, *quoted; } pairs[] = {
		{ "joe", "joe" }, { "joe.smith", "joe.smith" },
		{ "a b", "\"a b\"" }, { "a\"b", "\"a\\\"b\"" },
		{ "a\\b", "\"a\\\\b\"" }, { ".a", "\".a\"" },
		{ "a.", "\"a.\"" }, { "a@b", "\"a@b\"" }, { "", "\"\"" },
		{ "\xc3\xa9", "\xc3\xa9" }, { "\"", "\"\\\"\"" }
	};
	size_t	i;

	(void)state;
	for (i = 0; i < COUNT(pairs); i++) {
		assert_string_equal(address_quote_local(pool, pairs[i].plain),
		    pairs[i].quoted);
		assert_string_equal(address_unquote_local(pool,
		    pairs[i].quoted, strlen(pairs[i].quoted)), pairs[i].plain);
	}
	assert_string_equal(address_unquote_local(pool, "\"a\\\"", 4), "a\\");
	assert_string_equal(address_unquote_local(pool, "\"", 1), "\"");
}

/* The extension, or "-" when there is none. */
static const char *
extension(const char *local, const char *delimiters)
{
	size_t	user;

	if (!address_split_extension(local, strlen(local), delimiters, &user)) {
		assert_int_equal(user, strlen(local));
		return "-";
	}
	return local + user + 1;
}

static void
an_extension_is_cut_off_but_reserved_names_are_whole(void **state)
{
	(void)state;
	assert_string_equal(extension("joe+x", "+"), "x");
	assert_string_equal(extension("joe+x+y", "+"), "x+y");
	assert_string_equal(extension("joe+", "+"), "");
	assert_string_equal(extension("joe-x+y", "+-"), "x+y");
	assert_string_equal(extension("joe-x", "+"), "-");
	assert_string_equal(extension("joe", "+-"), "-");
	assert_string_equal(extension("+joe", "+"), "-");
	assert_string_equal(extension("joe+x", ""), "-");
	assert_string_equal(extension("owner-list", "-"), "-");
	assert_string_equal(extension("Owner-list+x", "+-"), "-");
	assert_string_equal(extension("list-request", "+-"), "-");
	assert_string_equal(extension("list+request", "+-"), "request");
	assert_string_equal(extension("mailer-daemon", "-"), "-");
	assert_string_equal(extension("double-bounce", "-"), "-");
	assert_string_equal(extension("Postmaster", "s"), "-");
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, fill, drain)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(good_paths_have_one_canonical_form),
		TEST(bad_paths_are_refused),
		TEST(the_limits_of_length_are_exact),
		TEST(a_route_of_ten_thousand_hosts_is_refused),
		TEST(quoting_may_not_make_an_address_longer_than_others_take),
		TEST(a_whole_string_is_one_mailbox),
		TEST(an_address_is_cut_at_its_last_unquoted_at),
		TEST(quoting_and_unquoting_are_each_others_reverse),
		TEST(an_extension_is_cut_off_but_reserved_names_are_whole),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
