/*
 * checks.c - claims about fields and lines that tables are asked about.
 *
 * The table finds every text with an exclamation mark in it, and says what
 * stands behind that.
 *
 * needs: cleanup/unicode.c cleanup/checks.c cleanup/actions.c
 */
#include "cleanup/checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup/lookup.h"

struct settings			 set;
static struct transaction	 t;
static struct str		 written;
static unsigned			 questions;
static bool			 is_down, has_body_table;

/* In place of intake.c, headers.c and write.c. */
void
transaction_refuse(struct transaction *unused, int code, const char *reply)
{
	(void)unused;
	t.code = code;
	t.refusal = reply;
}

void
headers_field(struct transaction *unused, const struct header_field *f)
{
	(void)unused;
	str_addf(&written, f->is_cut ? "[%.*s~" : "[%.*s]",
	    (int)f->raw_len - (f->is_cut ? 0 : 2), f->raw);
}

void
headers_more(struct transaction *unused, const char *data, size_t len)
{
	(void)unused;
	str_addf(&written, "%.*s~", (int)len, data);
}

void
headers_end(struct transaction *unused)
{
	(void)unused;
	str_add(&written, "/");
}

void
write_content(struct transaction *unused, const void *data, size_t len)
{
	(void)unused;
	str_add_mem(&written, data, len);
}

/* In place of lookup.c. */
bool
table_is_set(enum table table)
{
	return table != TABLE_BODY_CHECKS || has_body_table;
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
	const char	*sign;
	size_t		 i;

	(void)table;
	(void)how;
	questions++;
	memset(found, 0, sizeof(*found));
	found->result = is_down ? LOOKUP_TEMPORARY : LOOKUP_NOT_FOUND;
	found->text = pool_strdup(pool, "down");
	for (i = 0; !is_down && i < count; i++) {
		if ((sign = strchr(keys[i].key, '!')) == NULL)
			continue;
		found->result = LOOKUP_FOUND;
		found->which = (int64_t)i;
		found->value = pool_strdup(pool, sign + 1);
		return;
	}
}

static int
setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.pool = pool_new("test", 0);
	t.mail = (struct mail){ .sender = "", .client_name = "",
	    .client_address = "", .helo = "", .protocol = "" };
	str_init(&written, t.pool, 0);
	set.body_checks_size_limit = 1000;
	questions = 0;
	is_down = false;
	has_body_table = true;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(t.pool);
	return 0;
}

/* A field of the head. */
static void
field(struct checks *c, const char *text)
{
	struct header_field	f;

	assert_true(header_field_parse(&f, text, strlen(text)));
	checks_field(c, MIME_PRIMARY, true, &f);
}

/* A field that is cut, of the head or of a part, with the rest in pieces. */
static void
cut_field(struct checks *c, bool is_head, const char *text)
{
	struct header_field	f;

	assert_true(header_field_parse_cut(&f, text, strlen(text)));
	checks_field(c, MIME_PRIMARY, is_head, &f);
	checks_more(c, "!re", 3);
	checks_more(c, "st\r\n", 4);
}

/* A line. */
static void
line(struct checks *c, const char *text)
{
	checks_line(c, text, strlen(text), true);
}

static void
everything_passes_in_order(void **state)
{
	struct checks	*c = checks_new(&t);

	(void)state;
	checks_received(c, "Received: us\r\n", 14);
	field(c, "A: b\r\n");
	field(c, "C: d\r\n e\r\n");
	checks_end_head(c);
	line(c, "one");
	line(c, "");
	checks_empty_line(c);
	checks_line(c, "open", 4, false);
	checks_finish(c);
	assert_string_equal(written.data, "Received: us\r\n[A: b][C: d\r\n e]/"
	    "one\r\n\r\n\r\nopen");
	assert_int_equal(questions, 2);
}

static void
hits_are_acted_upon_each_once(void **state)
{
	struct checks	*c = checks_new(&t);

	(void)state;
	field(c, "A: !IGNORE\r\n");
	field(c, "B: !REPLACE X: y\r\n");
	field(c, "C: !PREPEND Z: z\r\n");
	field(c, "D: d\r\n");
	checks_end_head(c);
	line(c, "!REPLACE other");
	line(c, "!STRIP");
	checks_finish(c);
	assert_string_equal(written.data,
	    "[X: y]Z: z\r\n[C: !PREPEND Z: z][D: d]/other\r\n");
}

static void
the_rest_of_a_field_goes_with_it(void **state)
{
	struct checks	*c = checks_new(&t);

	(void)state;
	field(c, "A: !IGNORE\r\n");
	field(c, "B: b\r\n");
	cut_field(c, true, "C: c");
	cut_field(c, true, "D: !IGNORE");
	cut_field(c, true, "E: !REPLACE X: y");
	cut_field(c, true, "F: !PREPEND Z: z");
	field(c, "G: !IGNORE\r\n");
	cut_field(c, true, "H: h\r\n");
	field(c, "I: i\r\n");
	checks_end_head(c);
	cut_field(c, false, "J: j");
	cut_field(c, false, "K: !STRIP");
	cut_field(c, false, "L: !REPLACE X: y");
	line(c, "one");
	checks_finish(c);
	assert_string_equal(written.data, "[B: b][C: c~!re~st\r\n~[X: y]"
	    "Z: z\r\n[F: !PREPEND Z: z~!re~st\r\n~[H: h\r\n~!re~st\r\n~"
	    "[I: i]/J: j!rest\r\nX: y\r\none\r\n");

	cut_field(c, true, "M: !REJECT");
	assert_int_equal(t.code, 550);
	cut_field(c, true, "N: n");
	assert_null(strstr(written.data, "N: n"));
}

static void
bodies_are_looked_at_up_to_the_limit(void **state)
{
	struct checks	*c;
	int		 i;

	(void)state;
	set.body_checks_size_limit = 30;
	c = checks_new(&t);
	for (i = 0; i < 4; i++)
		line(c, "!REPLACE x1234");
	checks_begin_body(c);
	line(c, "!REPLACE y");
	checks_finish(c);
	assert_string_equal(written.data, "x1234\r\nx1234\r\n"
	    "!REPLACE x1234\r\n!REPLACE x1234\r\ny\r\n");
}

static void
without_a_table_nothing_is_asked(void **state)
{
	struct checks	*c = checks_new(&t);

	(void)state;
	has_body_table = false;
	line(c, "!IGNORE");
	assert_string_equal(written.data, "!IGNORE\r\n");
	assert_int_equal(questions, 0);
}

static void
behind_a_decision_nothing_is_looked_at(void **state)
{
	struct checks	*c = checks_new(&t);

	(void)state;
	line(c, "!PASS");
	line(c, "!REJECT");
	checks_finish(c);
	assert_int_equal(t.code, 0);
	assert_string_equal(written.data, "!PASS\r\n!REJECT\r\n");
	line(c, "!REJECT");
	assert_int_equal(questions, 1);

	c = checks_new(&t);
	t.is_passed = false;
	line(c, "!REJECT");
	line(c, "!DISCARD");
	checks_finish(c);
	assert_int_equal(t.code, 550);
	assert_false(t.is_discarded);
}

/* P1 */
static void
silence_postpones(void **state)
{
	struct checks	*c = checks_new(&t);

	(void)state;
	is_down = true;
	line(c, "text");
	checks_finish(c);
	assert_int_equal(t.code, 451);
	assert_string_equal(written.data, "");
}

static void
many_are_asked_for_at_once(void **state)
{
	struct checks	*c = checks_new(&t);
	int		 i;

	(void)state;
	set.body_checks_size_limit = 100000;
	checks_begin_body(c);
	for (i = 0; i < 640; i++)
		line(c, "text");
	checks_finish(c);
	assert_int_equal(questions, 10);
	assert_int_equal(written.len, 640 * 6);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup_teardown(everything_passes_in_order,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(hits_are_acted_upon_each_once,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    the_rest_of_a_field_goes_with_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    bodies_are_looked_at_up_to_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    without_a_table_nothing_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    behind_a_decision_nothing_is_looked_at, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_postpones, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(many_are_asked_for_at_once,
		    setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
