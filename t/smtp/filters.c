/*
 * filters.c - replies and outcomes as the administrator would rather have
 * them.
 *
 * needs: smtp/filters.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"

#include "smtp/content.h"
#include "smtp/delivery.h"
#include "smtp/tables.h"

static const char *const	rows[][2] = {
	{ "550 5.7.1 go away",	"450 4.7.1 later" },
	{ "250-STARTTLS",	"250-X" },
	{ "5.1.1 unknown",	"4.1.1 not yet known" },
	{ "5.1.2 unknown",	"2.0.0 fine" },
	{ "2.0.0 fine",		"2.1.5 very fine" },
	{ "4.0.0 wait",		"later" },
	{ "4.0.1 wait",		"4.0.1" },
	{ NULL, NULL }
};

static struct pool	*pool;
static struct deliver	 mail = { .queue_id = "ID" };
static struct delivery	 d;
static bool		 is_down, is_set = true;

bool
table_is_set(enum content_table table)
{
	(void)table;
	return is_set;
}

const char *
table_name(enum content_table table)
{
	(void)table;
	return "smtp_some_filter";
}

/* resolve's part. */
void
table_ask(struct pool *p, enum content_table table, int64_t how,
    struct key_row *keys, size_t count, struct found *found)
{
	size_t	row;

	(void)p;
	(void)table;
	assert_int_equal(how, LOOKUP_KEYS);
	assert_int_equal(count, 1);
	memset(found, 0, sizeof(*found));
	found->result = is_down ? LOOKUP_TEMPORARY : LOOKUP_NOT_FOUND;
	found->text = "down";
	for (row = 0; !is_down && rows[row][0] != NULL; row++)
		if (strcmp(rows[row][0], keys[0].key) == 0) {
			found->result = LOOKUP_FOUND;
			found->value = (char *)(uintptr_t)rows[row][1];
		}
}

static int
fill(void **state)
{
	(void)state;
	log_to_nothing();
	pool = pool_new("test", 0);
	d.pool = pool;
	d.mail = &mail;
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
replies_are_replaced_line_by_line(void **state)
{
	(void)state;
	assert_string_equal(content_reply(&d, "550 5.7.1 go away\n"),
	    "450 4.7.1 later\n");
	assert_string_equal(content_reply(&d, "250-a\n250-STARTTLS\n250 b"),
	    "250-a\n250-X\n250 b");
	assert_string_equal(content_reply(&d, "\n"), "\n");
	assert_string_equal(content_reply(&d, ""), "");
}

static void
a_status_is_replaced_by_one_of_its_kind(void **state)
{
	(void)state;
	assert_string_equal(content_status(&d, "5.1.1 unknown"),
	    "4.1.1 not yet known");
	assert_string_equal(content_status(&d, "2.0.0 fine"),
	    "2.1.5 very fine");
	assert_string_equal(content_status(&d, "5.1.2 unknown"),
	    "5.1.2 unknown");
	assert_string_equal(content_status(&d, "4.0.0 wait"), "4.0.0 wait");
	assert_string_equal(content_status(&d, "4.0.1 wait"), "4.0.1 wait");
	assert_string_equal(content_status(&d, "5.9.9 else"), "5.9.9 else");
}

static void
without_an_answer_no_is_not_for_good(void **state)
{
	(void)state;
	is_down = true;
	assert_string_equal(content_reply(&d, "250 fine\n"), "250 fine\n");
	assert_string_equal(content_reply(&d, "450 wait\n"), "450 wait\n");
	assert_string_equal(content_reply(&d, "550-a\n550 b\n"),
	    "450-4.3.0 smtp_some_filter: down; the host said: 550-a\n"
	    "450 4.3.0 smtp_some_filter: down; the host said: 550 b\n");
	assert_string_equal(content_reply(&d, "5"),
	    "450 4.3.0 smtp_some_filter: down; the host said: 5");
	assert_string_equal(content_status(&d, "5.1.1 no"), "4.1.1 no");
	assert_string_equal(content_status(&d, "2.0.0 yes"), "2.0.0 yes");
	is_down = false;
}

static void
without_a_table_nothing_changes(void **state)
{
	const char	*reply = "550 5.7.1 go away\n";

	(void)state;
	is_set = false;
	assert_ptr_equal(content_reply(&d, reply), reply);
	assert_ptr_equal(content_status(&d, reply), reply);
	is_set = true;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_replaced_line_by_line),
		cmocka_unit_test(a_status_is_replaced_by_one_of_its_kind),
		cmocka_unit_test(without_an_answer_no_is_not_for_good),
		cmocka_unit_test(without_a_table_nothing_changes),
	};

	return cmocka_run_group_tests_name("filters", tests, fill, drain);
}
