/*
 * list.c - all that people write behind To: is understood, or named.
 */
#include "common/mail/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

/* The items as one text: "a@b | |command | ...", or the complaint. */
static const char *
parse(const char *text, int how)
{
	static const char *const	marks[] = {
		"", "CMD:", "FILE:", "INC:"
	};
	struct list_item		*items;
	struct str			 all;
	const char			*why;
	size_t				 i, n;

	str_init(&all, pool, 0);
	if ((why = address_list_parse(pool, text, how, &items, &n)) != NULL) {
		str_addf(&all, "? %s", why);
		return all.data;
	}
	for (i = 0; i < n; i++)
		str_addf(&all, "%s%s%s", i > 0 ? " | " : "",
		    marks[items[i].kind], items[i].value);
	return all.data;
}

static const struct { const char *text, *items; } headers[] = {
	{ "", "" },
	{ " \r\n\t", "" },
	{ "a@b", "a@b" },
	{ "a@b, c@d", "a@b | c@d" },
	{ " a@b ,\r\n\t c@d , ", "a@b | c@d" },
	{ ",,a@b,,", "a@b" },
	{ "alice", "alice" },
	{ "<a@b>", "a@b" },
	{ "<a@b>,<c@d>", "a@b | c@d" },
	/* display names */
	{ "John Doe <a@b>", "a@b" },
	{ "John Q. Public <a@b>, x@y", "a@b | x@y" },
	{ "\"Doe, John\" <a@b>", "a@b" },
	{ "\"a\\\"b <x@y>\" <a@b>", "a@b" },
	{ "=?utf-8?Q?J=C3=B6rg?= <a@b>", "a@b" },
	{ "=?utf-8?B?w7Y=?= =?utf-8?B?w7Y=?=\r\n <a@b>", "a@b" },
	{ "J\xc3\xb6rg <a@b>", "a@b" },
	{ "me@home <a@b>", "a@b" },
	{ "\"\" <a@b>", "a@b" },
	{ "[list] John <a@b>", "a@b" },
	{ "\"folded\r\n name\" <a@b>", "a@b" },
	/* comments */
	{ "a@b (a comment, with <x@y>)", "a@b" },
	{ "(x) a (y) @ (z) b (w)", "a@b" },
	{ "a@b (nested (deep (er)) \\) x)", "a@b" },
	{ "<a@b> (x), (y) <c@d>", "a@b | c@d" },
	{ "(only a comment)", "" },
	{ "<(x)a(y)@(z)b(w)>", "a@b" },
	/* local parts and domains */
	{ "\"a b\"@c", "\"a b\"@c" },
	{ "\"joe.smith\"@c", "joe.smith@c" },
	{ "\"a@b\"@c", "\"a@b\"@c" },
	{ "a . b @ c . d", "a.b@c.d" },
	{ "\"a\".b@c", "a.b@c" },
	{ "<\"a b\"@c>", "\"a b\"@c" },
	{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
	{ "<a@[IPv6:::1]>", "a@[IPv6:::1]" },
	{ "\xc3\xa9@b", "\xc3\xa9@b" },
	{ "a@\xc3\xa9.example", "a@\xc3\xa9.example" },
	{ "a/b@c", "a/b@c" },
	{ "a\\b@c", "\"a\\\\b\"@c" },
	/* routes */
	{ "<@x,@y:a@b>", "a@b" },
	{ "Name <@x:a@b>", "a@b" },
	{ "<@x , , @y : a@b>", "a@b" },
	/* groups */
	{ "Friends: a@b, C <c@d>;", "a@b | c@d" },
	{ "undisclosed-recipients:;", "" },
	{ "g: ; h: a@b;, c@d", "a@b | c@d" },
	{ "My Friends: a@b; c@d", "a@b | c@d" },
	{ "\"g, h\": a@b;", "a@b" },
	/* in a header these are only odd names */
	{ "/file", "/file" },
	{ "|cmd", "|cmd" },
	{ "\"|cmd x\"", "\"|cmd x\"" },
	{ "\"|a\"@b", "|a@b" },
};

static const char *const bad[] = {
	"a b", "a@b c@d", "a@b <c", "<a@b", "a@b>", "<>", "< >", "a@", "@b",
	"@", "a@@b", "a@b@c", "a..b@c", ".a@b", "a.@b", "a@b.", "a@.b",
	"\"\"@b", "\"\"", "a@b..c", "a@-b", "a@192.0.2.1", "a@[1.2.3]",
	"a@[x", "[", "]", "a@b]", "\"a", "\"a\\", "\"", "(", "(a", "((a)",
	")", "a@b)", "(\\", ":", ":;", ": a@b;", "<a@b> c", "<a@b> <c@d>",
	"<<a@b>>", "a@b <c@d> \"x\"", "<a@b, c@d>", "<@x>", "<@x a@b>",
	"<@x:>", "<@x", "<@x:a@b", "\x01@b", "a\x7f@b", "\"a\x01\"@b",
	"\"a\tb\"@c", "\"a\\\r\"@b", "a\x0b@b", "\xff@b", "a@\xff",
	"\"\xff\"@b", "a@\xe3\x80\x82", "<a@b;c@d>", "a@b\x0c",
};

static const struct { const char *text, *items; } aliases[] = {
	{ "a@b, alice", "a@b | alice" },
	{ "|/bin/cat", "CMD:/bin/cat" },
	{ "\"|/bin/cat -n, x\"", "CMD:/bin/cat -n, x" },
	{ "\"|sh -c \\\"a \\\\ b\\\"\"", "CMD:sh -c \"a \\ b\"" },
	{ "\"| exec x\"", "CMD: exec x" },
	{ "|/bin/a,|/bin/b", "CMD:/bin/a | CMD:/bin/b" },
	{ "/var/mail/x", "FILE:/var/mail/x" },
	{ "\"/tmp/a b\"", "FILE:/tmp/a b" },
	{ "/dev/null, a@b", "FILE:/dev/null | a@b" },
	{ "/c=us/@gw.example", "/c=us/@gw.example" },
	{ ":include:/etc/list", "INC:/etc/list" },
	{ ":Include:/a, :include:/b", "INC:/a | INC:/b" },
	{ "\":include:/a b\"", "INC:/a b" },
	{ "\":include: /a\"", "INC:/a" },
	{ "\\alice", "\\alice" },
	{ "\\alice, \"|vacation alice\"", "\\alice | CMD:vacation alice" },
	{ "\\alice@here.example", "\\alice@here.example" },
	{ "(who) \\alice (me)", "\\alice" },
	{ "\"|a\"@b", "|a@b" },
	{ "(x) |/bin/a (y)", "CMD:/bin/a" },
	{ "Friends: a@b, c@d;", "a@b | c@d" },
	{ "John <a@b>", "a@b" },
	{ "\"a b\"", "\"a b\"" },
	{ "", "" },
};

static const char *const bad_aliases[] = {
	"|/bin/cat -n", "\"|cat\" x", "/tmp/a b", ":include:", ":include: /a",
	"\\", "\\,", "\\ ", "\\a b", "\"|cat", "\"", "\"\\", "|", "\"|\"",
	":x", "\":include: \"",
	":include:/a /b", "alice bob", "\"|a\x01\"", "alice\n\tbob",
};

static void
headers_give_canonical_addresses(void **state)
{
	size_t	i;

	(void)state;
	for (i = 0; i < COUNT(headers); i++)
		if (strcmp(parse(headers[i].text, LIST_IS_HEADER),
		    headers[i].items) != 0)
			fail_msg("%s: %s", headers[i].text,
			    parse(headers[i].text, LIST_IS_HEADER));
}

static void
what_is_no_list_is_refused_as_header_and_alias(void **state)
{
	size_t	i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++) {
		if (*parse(bad[i], LIST_IS_HEADER) != '?')
			fail_msg("header: %s", bad[i]);
		if (*parse(bad[i], LIST_IS_ALIAS) != '?')
			fail_msg("alias: %s", bad[i]);
	}
}

static void
aliases_also_name_commands_files_and_lists(void **state)
{
	size_t	i;

	(void)state;
	for (i = 0; i < COUNT(aliases); i++)
		if (strcmp(parse(aliases[i].text, LIST_IS_ALIAS),
		    aliases[i].items) != 0)
			fail_msg("%s: %s", aliases[i].text,
			    parse(aliases[i].text, LIST_IS_ALIAS));
	for (i = 0; i < COUNT(bad_aliases); i++)
		if (*parse(bad_aliases[i], LIST_IS_ALIAS) != '?')
			fail_msg("accepted: %s", bad_aliases[i]);
}

static void
a_complaint_names_the_place(void **state)
{
	(void)state;
	assert_string_equal(parse("a@b, c@d e@f, g", LIST_IS_HEADER),
	    "? not an address near \", g\"");
	assert_string_equal(parse("x@y, \"never closed", LIST_IS_HEADER),
	    "? a quotation mark is missing near \"\"never closed\"");
}

/* `count` times the same, between two ends. */
static const char *
many(const char *before, const char *what, size_t count, const char *after)
{
	struct str	s;

	str_init(&s, pool, 0);
	str_add(&s, before);
	while (count-- > 0)
		str_add(&s, what);
	str_add(&s, after);
	return s.data;
}

static void
hostile_depth_and_length_cost_neither_stack_nor_time(void **state)
{
	enum { MUCH = 100000 };		/* squared this would take minutes */
	const char	*items;

	(void)state;
	items = parse(many("", "(", MUCH, ""), LIST_IS_HEADER);
	assert_int_equal(*items, '?');
	items = parse(many(many("", "(", MUCH, ""), ")", MUCH, "a@b"),
	    LIST_IS_HEADER);
	assert_string_equal(items, "a@b");
	items = parse(many("", "g: ", MUCH, "a@b;;;"), LIST_IS_HEADER);
	assert_string_equal(items, "a@b");
	items = parse(many("<", "@a,", MUCH, "@b:c@d>"), LIST_IS_HEADER);
	assert_string_equal(items, "c@d");
	items = parse(many("", ",", MUCH, "a@b"), LIST_IS_ALIAS);
	assert_string_equal(items, "a@b");
	items = parse(many("", "()a.", MUCH, "b"), LIST_IS_ALIAS);
	assert_int_equal(*items, '?');
	items = parse(many("", "\"", MUCH + 1, ""), LIST_IS_ALIAS);
	assert_int_equal(*items, '?');
	items = parse(many("", "a b ", MUCH, "<a@b>"), LIST_IS_HEADER);
	assert_string_equal(items, "a@b");
	items = parse(many("", "a", MUCH, "@b"), LIST_IS_HEADER);
	assert_int_equal(*items, '?');
	items = parse(many("a@", "b.", MUCH, "c"), LIST_IS_HEADER);
	assert_int_equal(*items, '?');
	items = parse(many("a@b", ", a@b", MUCH, ""), LIST_IS_HEADER);
	assert_int_equal(strlen(items), 3 + 6 * MUCH);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, fill, drain)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(headers_give_canonical_addresses),
		TEST(what_is_no_list_is_refused_as_header_and_alias),
		TEST(aliases_also_name_commands_files_and_lists),
		TEST(a_complaint_names_the_place),
		TEST(hostile_depth_and_length_cost_neither_stack_nor_time),
	};

	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
