/*
 * checks.c - fields and lines as the tables want them, in their order.
 *
 * The table is an array: resolve's answer to a key that begins with it.
 *
 * needs: smtp/checks.c
 */
#include "smtp/checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "common/ipc/tables.h"

#include "smtp/tables.h"

static const struct {
	enum content_table	 table;
	const char		*key, *value;
} rows[] = {
	{ TABLE_HEADER_CHECKS, "Subject: replace", "REPLACE Subject: new" },
	{ TABLE_HEADER_CHECKS, "Subject: prepend", "PREPEND X-A: b" },
	{ TABLE_HEADER_CHECKS, "Subject: ignore", "IGNORE" },
	{ TABLE_HEADER_CHECKS, "Subject: reject", "REJECT no" },
	{ TABLE_HEADER_CHECKS, "Subject: wrong", "REPLACE no field" },
	{ TABLE_HEADER_CHECKS, "A: b\n c", "REPLACE A: d\n e\nf" },
	{ TABLE_MIME_HEADER_CHECKS, "Content-Type", "STRIP text" },
	{ TABLE_NESTED_HEADER_CHECKS, "Subject", "REPLACE Nested: x" },
	{ TABLE_BODY_CHECKS, "strip", "STRIP" },
	{ TABLE_BODY_CHECKS, "replace", "REPLACE instead" },
	{ TABLE_BODY_CHECKS, "prepend", "PREPEND front" },
	{ TABLE_BODY_CHECKS, "warn", "WARN words" },
	{ TABLE_BODY_CHECKS, "n u l", "REPLACE nul" },
	{ TABLES, NULL, NULL }
};

static struct pool	*pool;
static struct str	 out;
static struct checks	*checks;
static unsigned		 questions, set_tables;
static bool		 is_down;

bool
table_is_set(enum content_table table)
{
	return (set_tables >> table & 1) != 0;
}

const char *
table_name(enum content_table table)
{
	(void)table;
	return "smtp_some_checks";
}

/* resolve's part. */
void
table_ask(struct pool *p, enum content_table table, int64_t how,
    struct key_row *keys, size_t count, struct found *found)
{
	size_t	i, row, bytes = 0;

	(void)p;
	assert_int_equal(how, LOOKUP_KEYS);
	assert_true(count > 0 && count <= KEYS_MAX);
	questions++;
	memset(found, 0, sizeof(*found));
	found->result = is_down ? LOOKUP_TEMPORARY : LOOKUP_NOT_FOUND;
	found->text = "down";
	for (i = 0; i < count; i++) {
		assert_true(strlen(keys[i].key) <= KEY_MAX);
		assert_true(keys[i].key[0] != '\0');
		bytes += strlen(keys[i].key);
	}
	assert_true(bytes <= TABLE_ROOM + KEY_MAX);
	for (i = 0; !is_down && i < count; i++)
		for (row = 0; rows[row].key != NULL; row++)
			if (rows[row].table == table && strncmp(keys[i].key,
			    rows[row].key, strlen(rows[row].key)) == 0) {
				found->result = LOOKUP_FOUND;
				found->which = (int64_t)i;
				found->value = (char *)(uintptr_t)
				    rows[row].value;
				return;
			}
}

static void
on_output(void *context, enum check_kind kind, enum mime_class class,
    const char *data, size_t len)
{
	(void)context;
	(void)class;
	if (kind == CHECKED_FIELD)
		str_add_char(&out, '#');
	str_add_mem(&out, data, len);
}

static int
fill(void **state)
{
	(void)state;
	log_to_nothing();
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

static void
begin(void)
{
	set_tables = 0xff;
	questions = 0;
	str_init(&out, pool, 0);
	checks = checks_new(pool, "ID", on_output, NULL);
}

static void
field(enum mime_class class, const char *raw)
{
	struct header_field	f = { .raw = raw, .raw_len = strlen(raw) };

	checks_field(checks, class, &f);
}

/* One that is cut, with the rest of it in two pieces. */
static void
cut_field(const char *raw)
{
	struct header_field	f = {
		.raw = raw, .raw_len = strlen(raw), .is_cut = true
	};

	checks_field(checks, MIME_PRIMARY, &f);
	checks_more(checks, "re", 2);
	checks_more(checks, "st\r\n", 4);
}

static void
line(const char *text)
{
	checks_line(checks, text, strlen(text), true);
}

static void
came_out(const char *expected)
{
	checks_finish(checks);
	assert_null(checks_failure(checks));
	assert_string_equal(out.data, expected);
}

static void
every_action_does_what_it_says(void **state)
{
	(void)state;
	begin();
	field(MIME_PRIMARY, "From: a\r\n");
	field(MIME_PRIMARY, "Subject: replace me\r\n");
	field(MIME_PRIMARY, "Subject: prepend me\r\n");
	field(MIME_PRIMARY, "Subject: ignore me\r\n");
	checks_empty_line(checks);
	line("first");
	line("");
	line("strip this");
	line("replace this");
	line("prepend this");
	line("warn of this");
	line("last");
	came_out("#From: a\r\n#Subject: new\r\n#X-A: b\r\n"
	    "#Subject: prepend me\r\n\r\nfirst\r\n\r\ninstead\r\nfront\r\n"
	    "prepend this\r\nwarn of this\r\nlast\r\n");
}

static void
each_class_of_fields_has_its_table(void **state)
{
	(void)state;
	begin();
	field(MIME_NESTED, "Subject: replace\r\n");
	field(MIME_PART, "Content-Type: x\r\n");
	field(MIME_PART, "Subject: replace\r\n");
	field(MIME_PRIMARY, "Subject: replace\r\n");
	came_out("#Nested: x\r\n#Subject: replace\r\n#Subject: new\r\n");
}

static void
actions_for_input_and_nonsense_change_nothing(void **state)
{
	(void)state;
	begin();
	field(MIME_PRIMARY, "Subject: reject me\r\n");
	field(MIME_PRIMARY, "Subject: wrong text\r\n");
	came_out("#Subject: reject me\r\n#Subject: wrong text\r\n");
}

static void
folded_fields_are_one_key_with_line_ends(void **state)
{
	(void)state;
	begin();
	field(MIME_PRIMARY, "A: b\r\n c\r\n");
	came_out("#A: d\r\n e\r\n f\r\n");
}

static void
the_rest_of_a_field_goes_with_it(void **state)
{
	(void)state;
	begin();
	field(MIME_PRIMARY, "Subject: ignore\r\n");
	field(MIME_PRIMARY, "X: 1\r\n");
	cut_field("X: 2");
	cut_field("Subject: ignore");
	cut_field("Subject: replace");
	cut_field("Subject: prepend");
	cut_field("Subject: reject\r\n");
	field(MIME_PRIMARY, "X: 3\r\n");
	came_out("#X: 1\r\nX: 2rest\r\n#Subject: new\r\n#X-A: b\r\n"
	    "Subject: prependrest\r\nSubject: reject\r\nrest\r\n"
	    "#X: 3\r\n");

	begin();
	is_down = true;
	cut_field("X: 4");
	is_down = false;
	assert_non_null(checks_failure(checks));
	assert_string_equal(out.data, "");
}

static void
pieces_and_nul_bytes_are_looked_up(void **state)
{
	(void)state;
	begin();
	checks_line(checks, "replace", 7, false);
	checks_line(checks, "rest", 4, true);
	checks_line(checks, "n\0u\0l", 5, true);
	came_out("insteadrest\r\nnul\r\n");
}

static void
many_lines_take_few_questions(void **state)
{
	int	i;

	(void)state;
	begin();
	for (i = 0; i < 10 * KEYS_MAX; i++)
		line("line");
	checks_finish(checks);
	assert_int_equal(questions, 10);
	assert_int_equal(out.len, 10 * KEYS_MAX * 6);

	/* and when each one hits, one each */
	begin();
	for (i = 0; i < 2 * KEYS_MAX; i++)
		line("replace");
	checks_finish(checks);
	assert_int_equal(questions, 2 * KEYS_MAX);
	assert_int_equal(out.len, 2 * KEYS_MAX * 9);
}

static void
long_keys_are_cut_and_questions_bounded(void **state)
{
	char	*text = pool_alloc(pool, 20001);
	int	 i;

	(void)state;
	begin();
	memset(text, 'x', 20000);
	for (i = 0; i < 20; i++)
		line(text);
	checks_finish(checks);
	assert_int_equal(out.len, 20 * 20002);
}

static void
tables_that_are_not_set_are_not_asked(void **state)
{
	(void)state;
	begin();
	set_tables = 1u << TABLE_BODY_CHECKS;
	assert_true(checks_are_wanted());
	field(MIME_PRIMARY, "Subject: replace\r\n");
	came_out("#Subject: replace\r\n");
	assert_int_equal(questions, 0);
	set_tables = 1u << TABLE_GENERIC;
	assert_false(checks_are_wanted());
}

static void
a_table_that_does_not_answer_stops_everything(void **state)
{
	(void)state;
	begin();
	is_down = true;
	line("first");
	checks_finish(checks);
	line("second");
	checks_finish(checks);
	assert_string_equal(out.data, "");
	assert_string_equal(checks_failure(checks), "smtp_some_checks: down");
	is_down = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_action_does_what_it_says),
		cmocka_unit_test(each_class_of_fields_has_its_table),
		cmocka_unit_test(
		    actions_for_input_and_nonsense_change_nothing),
		cmocka_unit_test(folded_fields_are_one_key_with_line_ends),
		cmocka_unit_test(the_rest_of_a_field_goes_with_it),
		cmocka_unit_test(pieces_and_nul_bytes_are_looked_up),
		cmocka_unit_test(many_lines_take_few_questions),
		cmocka_unit_test(long_keys_are_cut_and_questions_bounded),
		cmocka_unit_test(tables_that_are_not_set_are_not_asked),
		cmocka_unit_test(
		    a_table_that_does_not_answer_stops_everything),
	};

	return cmocka_run_group_tests_name("checks", tests, fill, drain);
}
