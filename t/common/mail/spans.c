/*
 * spans.c - addresses are found where they stand, and nothing else is.
 */
#include "common/mail/spans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/str.h"

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

/* The value with each address marked: "{what stands there=address}". */
static void
marks(const char *value, const char *expected)
{
	struct span	*spans;
	struct str	 text;
	size_t		 count, i, at = 0;

	str_init(&text, pool, 0);
	spans_find(pool, value, strlen(value), &spans, &count);
	for (i = 0; i < count; i++) {
		str_add_mem(&text, value + at, spans[i].at - at);
		str_addf(&text, "{%.*s=%s%s}", (int)spans[i].len, value +
		    spans[i].at, spans[i].address, spans[i].comments != NULL ?
		    spans[i].comments : "");
		at = spans[i].at + spans[i].len;
	}
	str_add(&text, value + at);
	assert_string_equal(text.data, expected);
}

static void
addresses_stand_alone_or_in_brackets(void **state)
{
	(void)state;
	marks(" a@b.c", " {a@b.c=a@b.c}");
	marks(" A. B. <a@b.c>", " A. B. <{a@b.c=a@b.c}>");
	marks(" \"x, <y@z>\" <a@b.c>, d@e", 
	    " \"x, <y@z>\" <{a@b.c=a@b.c}>, {d@e=d@e}");
	marks("root", "{root=root}");
	marks("<root>", "<{root=root}>");
	marks("\"a b\"@c.d", "{\"a b\"@c.d=\"a b\"@c.d}");
	marks("a@[192.0.2.1]", "{a@[192.0.2.1]=a@[192.0.2.1]}");
	marks("\xc3\xa4@b.c", "{\xc3\xa4@b.c=\xc3\xa4@b.c}");
}

static void
comments_and_folding_are_around_them(void **state)
{
	(void)state;
	marks("root (Cron (x) \\) Daemon)", "{root=root} (Cron (x) \\) Daemon)");
	marks("(a@b) c@d (e@f),\r\n g@h", "(a@b) {c@d=c@d} (e@f),\r\n {g@h=g@h}");
	marks("a (x) @ (y) b.c (z)", "{a (x) @ (y) b.c=a@b.c (x) (y)} (z)");
	marks("< a@b.c (x)>", "<{ a@b.c (x)=a@b.c (x)}>");
	marks("\"a\r\n b\"@c", "{\"a\r\n b\"@c=\"a b\"@c}");
}

static void
groups_and_routes_are_understood(void **state)
{
	(void)state;
	marks("Team: a@b, C <d@e>;, f@g",
	    "Team: {a@b=a@b}, C <{d@e=d@e}>;, {f@g=f@g}");
	marks("undisclosed-recipients:;", "undisclosed-recipients:;");
	marks("<@x,@y:a@b>", "<{@x,@y:a@b=a@b}>");
}

static void
what_is_no_address_is_left_alone(void **state)
{
	(void)state;
	marks("", "");
	marks("<>", "<>");
	marks("John Doe", "John Doe");
	marks("John Doe a@b", "John Doe a@b");
	marks("a@b@c", "a@b@c");
	marks("a@", "a@");
	marks("<a@b", "<a@b");
	marks("(never closed a@b", "(never closed a@b");
	marks("\"never closed a@b", "\"never closed a@b");
	marks("a@b, \\, <, c@d", "{a@b=a@b}, \\, <, c@d");
	marks(",,;:,", ",,;:,");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_stand_alone_or_in_brackets),
		cmocka_unit_test(comments_and_folding_are_around_them),
		cmocka_unit_test(groups_and_routes_are_understood),
		cmocka_unit_test(what_is_no_address_is_left_alone),
	};

	return cmocka_run_group_tests_name("spans", tests, fill, drain);
}
