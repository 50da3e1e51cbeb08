/*
 * generic.c - addresses are rewritten, and nothing around them.
 *
 * The table is the array below: what resolve would say to each address.
 *
 * needs: smtp/generic.c
 */
#include "smtp/generic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/ipc/tables.h"
#include "common/param/site.h"

#include "smtp/content.h"
#include "smtp/delivery.h"
#include "smtp/tables.h"

static const struct {
	const char	*key, *value, *extension;
} rows[] = {
	{ "root@local",		"admin@example.com",	"" },
	{ "bob+x@local",	"bob@example.com",	"+x" },
	{ "same@local",		"same@local",		"" },
	{ "any@hidden",		"@example.com",		"" },
	{ "bare",		"found",		"" },
	{ "nonsense@local",	"<<",			"" },
	{ NULL, NULL, NULL }
};

struct content_settings	 content_set;
static struct pool	*pool;
static unsigned		 questions;
static bool		 is_down;

bool
table_is_set(enum content_table table)
{
	return table == TABLE_GENERIC;
}

const char *
table_name(enum content_table table)
{
	(void)table;
	return "smtp_generic_maps";
}

/* resolve's part. */
void
table_ask(struct pool *p, enum content_table table, int64_t how,
    struct key_row *keys, size_t count, struct found *found)
{
	size_t	i, row;

	(void)p;
	assert_int_equal(table, TABLE_GENERIC);
	assert_int_equal(how, LOOKUP_ADDRESS);
	assert_true(count > 0 && count <= KEYS_MAX);
	questions++;
	memset(found, 0, sizeof(*found));
	found->result = is_down ? LOOKUP_TEMPORARY : LOOKUP_NOT_FOUND;
	found->text = "down";
	for (i = 0; !is_down && i < count; i++)
		for (row = 0; rows[row].key != NULL; row++)
			if (strcmp(rows[row].key, keys[i].key) == 0) {
				found->result = LOOKUP_FOUND;
				found->which = (int64_t)i;
				found->value = (char *)(uintptr_t)
				    rows[row].value;
				found->extension = (char *)(uintptr_t)
				    rows[row].extension;
				return;
			}
}

static int
fill(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	content_set.propagate = "canonical, Generic";
	content_set.append_at_myorigin = true;
	site.myorigin = "origin.example";
	site.mydomain = "example.net";
	return 0;
}

static int
drain(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* The value becomes this one; NULL: nothing is to be changed. */
static void
becomes(const char *value, const char *expected)
{
	struct str	 to;
	const char	*why;

	str_init(&to, pool, 0);
	assert_int_equal(generic_value(pool, value, strlen(value), &to, &why),
	    expected != NULL);
	assert_string_equal(to.data, expected != NULL ? expected : "");
}

static void
what_is_around_an_address_stays(void **state)
{
	(void)state;
	becomes(" Root <root@local> (me)", " Root <admin@example.com> (me)");
	becomes(" x: a@b, root@local (c),\r\n\t\"q, r\" <root@local>;",
	    " x: a@b, admin@example.com (c),\r\n\t\"q, r\" "
	    "<admin@example.com>;");
	becomes(" root (x) @local", " admin@example.com (x)");
}

static void
unknown_addresses_and_values_stay(void **state)
{
	(void)state;
	becomes(" a@b, c@d", NULL);
	becomes(" same@local", NULL);
	becomes(" nonsense@local", NULL);
	becomes("", NULL);
}

static void
results_are_completed(void **state)
{
	(void)state;
	becomes("bare", "found@origin.example");
	content_set.append_dot_mydomain = true;
	assert_string_equal(generic_result(pool, "a@b", "x@y", ""),
	    "x@y.example.net");
	content_set.append_dot_mydomain = false;
	becomes("any@hidden", "any@example.com");
	assert_string_equal(generic_result(pool, "\"a b+c\"@d", "@e.f", ""),
	    "\"a b+c\"@e.f");
}

static void
extensions_are_propagated_if_they_should(void **state)
{
	(void)state;
	becomes("bob+x@local", "bob+x@example.com");
	content_set.propagate = "canonical, virtual";
	becomes("bob+x@local", "bob@example.com");
	content_set.propagate = "generic";
}

static void
many_addresses_take_few_questions(void **state)
{
	struct str	value;
	int		i;

	(void)state;
	str_init(&value, pool, 0);
	for (i = 0; i < 128; i++)
		str_addf(&value, "a%d@b, ", i);
	questions = 0;
	becomes(value.data, NULL);
	assert_int_equal(questions, 2);
}

static void
the_envelope_is_rewritten_too(void **state)
{
	struct delivery	 d = { .pool = pool };
	const char	*dsn = NULL, *why = NULL;

	(void)state;
	assert_string_equal(content_address(&d, "root@local", &dsn, &why),
	    "admin@example.com");
	assert_string_equal(content_address(&d, "a@b", &dsn, &why), "a@b");
	questions = 0;
	assert_string_equal(content_address(&d, "", &dsn, &why), "");
	assert_int_equal(questions, 0);
}

static void
a_table_that_does_not_answer_stops_everything(void **state)
{
	struct delivery	 d = { .pool = pool };
	struct str	 to;
	const char	*dsn = NULL, *why = NULL;

	(void)state;
	is_down = true;
	assert_null(content_address(&d, "root@local", &dsn, &why));
	assert_string_equal(dsn, "4.3.0");
	assert_string_equal(why, "smtp_generic_maps: down");
	str_init(&to, pool, 0);
	assert_int_equal(generic_value(pool, "a@b", 3, &to, &why), -1);
	is_down = false;
}

static void
only_fields_of_addresses_count(void **state)
{
	struct header_field	f = { .name = "resent-TO", .name_len = 9 };

	(void)state;
	assert_true(generic_is_field(&f));
	f.name = "Received";
	f.name_len = 8;
	assert_false(generic_is_field(&f));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_around_an_address_stays),
		cmocka_unit_test(unknown_addresses_and_values_stay),
		cmocka_unit_test(results_are_completed),
		cmocka_unit_test(extensions_are_propagated_if_they_should),
		cmocka_unit_test(many_addresses_take_few_questions),
		cmocka_unit_test(the_envelope_is_rewritten_too),
		cmocka_unit_test(
		    a_table_that_does_not_answer_stops_everything),
		cmocka_unit_test(only_fields_of_addresses_count),
	};

	return cmocka_run_group_tests_name("generic", tests, fill, drain);
}
