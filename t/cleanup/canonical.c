/*
 * canonical.c - claims about addresses as this site writes them.
 *
 * The tables are the rows below: what resolve would say.
 *
 * needs: cleanup/canonical.c
 */
#include "cleanup/canonical.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/text.h"
#include "common/param/site.h"

#include "cleanup/lookup.h"

static const struct {
	enum table	 table;
	const char	*key, *value, *extension;
} rows[] = {
	{ TABLE_SENDER_CANONICAL,	"a@x.test", "s@x.test",	"" },
	{ TABLE_RECIPIENT_CANONICAL,	"a@x.test", "r@x.test",	"" },
	{ TABLE_CANONICAL,		"s@x.test", "@y.test",	"" },
	{ TABLE_CANONICAL,		"e+1@x.test", "f",	"+1" },
	{ TABLE_CANONICAL,		"one@x.test", "two@x.test", "" },
	{ TABLE_CANONICAL,		"two@x.test", "one@x.test", "" },
	{ TABLE_CANONICAL,		"same@x.test", "SAME@x.test", "" },
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

struct settings			 set;
static struct transaction	 t;
static bool			 is_down;
static unsigned			 questions;

/* In place of intake.c. */
void
transaction_refuse(struct transaction *unused, int code, const char *reply)
{
	(void)unused;
	t.code = code;
	t.refusal = reply;
}

/* In place of lookup.c. */
bool
table_is_set(enum table table)
{
	return table <= TABLE_RECIPIENT_CANONICAL;
}

const char *
table_name(enum table table)
{
	(void)table;
	return "a table";
}

void
table_ask(struct pool *pool, enum table table, int64_t how,
    struct key_row *keys, size_t count, struct found *found)
{
	(void)pool;
	(void)table;
	(void)how;
	(void)keys;
	(void)count;
	memset(found, 0, sizeof(*found));
}

int
table_each(struct pool *pool, enum table table, char **addresses,
    size_t count, void (*hit)(void *, size_t, const struct found *),
    void *context, const char **why)
{
	struct found	found;
	size_t		i, row;

	(void)pool;
	questions++;
	*why = "down";
	for (i = 0; i < count; i++)
		for (row = 0; row < ROWS; row++) {
			if (rows[row].table != table ||
			    !text_equal(rows[row].key, addresses[i]))
				continue;
			found.value = (char *)(uintptr_t)rows[row].value;
			found.extension =
			    (char *)(uintptr_t)rows[row].extension;
			hit(context, i, &found);
			break;
		}
	return is_down ? -1 : 0;
}

static int
setup(void **state)
{
	(void)state;
	site.myorigin = "o.test";
	set = (struct settings){ .append_at_myorigin = true,
	    .propagate = "canonical",
	    .canonical_classes = "envelope_sender, envelope_recipient, "
	    "header_sender, header_recipient",
	    .sender_canonical_classes = "envelope_sender, header_sender",
	    .recipient_canonical_classes = "envelope_recipient",
	    .masquerade_classes = "header_sender",
	    .masquerade_domains = "m.test" };
	canonical_start();
	memset(&t, 0, sizeof(t));
	t.pool = pool_new("test", 0);
	is_down = false;
	questions = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(t.pool);
	return 0;
}

/* One address. */
static const char *
mapped(const char *address, enum role role)
{
	char	*one = pool_strdup(t.pool, address);

	if (canonical_map(&t, t.pool, &one, 1, role, canonical_naming()) == -1)
		return NULL;
	return one;
}

/* A field's value; what stays comes back. */
static const char *
field(const char *value, enum role role)
{
	char	*changed = canonical_field(&t, t.pool, value, strlen(value),
		    role, canonical_naming());

	return changed != NULL ? changed : value;
}

static void
the_order_of_tables_is_kept(void **state)
{
	(void)state;
	assert_string_equal(mapped("a@x.test", ENVELOPE_SENDER), "s@y.test");
	assert_string_equal(mapped("a@x.test", ENVELOPE_RECIPIENT),
	    "r@x.test");
	assert_string_equal(mapped("a@x.test", HEADER_RECIPIENT), "a@x.test");
	assert_string_equal(mapped("e+1@x.test", HEADER_RECIPIENT),
	    "f+1@o.test");
	assert_string_equal(mapped("same@x.test", HEADER_RECIPIENT),
	    "same@x.test");
	assert_string_equal(mapped("", ENVELOPE_SENDER), "");
}

static void
roles_say_what_is_masqueraded(void **state)
{
	(void)state;
	assert_string_equal(mapped("a@h.m.test", HEADER_SENDER), "a@m.test");
	assert_string_equal(mapped("a@h.m.test", HEADER_RECIPIENT),
	    "a@h.m.test");
}

/* P1 */
static void
what_is_not_known_postpones(void **state)
{
	(void)state;
	assert_null(mapped("one@x.test", ENVELOPE_SENDER));
	assert_int_equal(t.code, 451);
	t.code = 0;
	is_down = true;
	assert_null(mapped("x@x.test", ENVELOPE_SENDER));
	assert_int_equal(t.code, 451);
}

static void
who_wants_no_mapping_gets_none(void **state)
{
	(void)state;
	t.mail.flags = MAIL_NO_EXPAND;
	assert_string_equal(mapped("a@x.test", ENVELOPE_SENDER), "a@x.test");
	assert_string_equal(mapped("a", ENVELOPE_SENDER), "a@o.test");
	assert_int_equal(questions, 0);
}

static void
bare_words_get_the_origin(void **state)
{
	(void)state;
	assert_string_equal(field("root", HEADER_RECIPIENT), "root@o.test");
	assert_string_equal(field(" root", HEADER_RECIPIENT), " root@o.test");
	assert_string_equal(field("a, b ,c@z.test,d", HEADER_RECIPIENT),
	    "a@o.test, b@o.test ,c@z.test,d@o.test");
	assert_string_equal(field("root (Cron Daemon)", HEADER_RECIPIENT),
	    "root@o.test (Cron Daemon)");
	assert_string_equal(field("(who (in) \\) fact) root",
	    HEADER_RECIPIENT), "(who (in) \\) fact) root@o.test");
	assert_string_equal(field("\"Last, First\" <me>,\r\n <you>",
	    HEADER_RECIPIENT), "\"Last, First\" <me@o.test>,\r\n <you@o.test>");
	assert_string_equal(field("friends: a, b@c.test;", HEADER_RECIPIENT),
	    "friends: a@o.test, b@c.test;");
}

static void
what_is_whole_or_odd_stays(void **state)
{
	static const char *const	good[] = {
		"a@b.test", "A <a@b.test>", "\"a, b\" <c@d.test>, e@f.test",
		"\"a b\"@c.test", "a @ b.test", "", " ", ",,", "<>",
		"<@a:b@c.test>", "undisclosed-recipients:;", "two words",
		"<a", "\"open", "(open", "[1.2.3.4]", "a \\", "\"\\"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_string_equal(field(good[i], HEADER_RECIPIENT), good[i]);
}

static void
everything_around_an_address_stays(void **state)
{
	(void)state;
	assert_string_equal(field("\"A.\" <a@x.test> (x),\r\n\tother@z.test",
	    HEADER_SENDER), "\"A.\" <s@y.test> (x),\r\n\tother@z.test");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup_teardown(the_order_of_tables_is_kept,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(roles_say_what_is_masqueraded,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_known_postpones,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(who_wants_no_mapping_gets_none,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(bare_words_get_the_origin,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_whole_or_odd_stays,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    everything_around_an_address_stays, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
