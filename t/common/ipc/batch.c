/*
 * batch.c - claims about fields and lines that are asked about many at once.
 *
 * The table finds every text with an exclamation mark in it. What comes out is
 * written down: "text;" passed, "<text>" hit.
 */
#include "common/ipc/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/str.h"
#include "common/ipc/lookup.h"
#include "common/ipc/tables.h"

enum { TEXT_MAX = 1024 * 1024, NO_SUCH = 7 };

static struct {
	struct pool	*pool;
	struct batch	*batch;
	struct str	 out;
	unsigned	 questions, most;	/* keys in one of them */
	bool		 is_down, is_over, is_off, ends_at_hit;
	int		 failed;		/* table, or -1 */
	char		*last_key;
	size_t		 last_len;
} test;

static bool
is_over(void *context)
{
	assert_ptr_equal(context, &test);
	return test.is_over;
}

static bool
is_wanted(void *context, int table)
{
	(void)context;
	assert_int_not_equal(table, BATCH_NO_TABLE);
	return table != NO_SUCH && !test.is_off;
}

/* resolve's part. */
static void
ask(void *context, struct pool *pool, int table, struct key_row *keys,
    size_t count, struct found *found)
{
	size_t	i, bytes = 0;

	(void)context;
	(void)table;
	assert_in_range(count, 1, KEYS_MAX);
	test.questions++;
	if (count > test.most)
		test.most = (unsigned)count;
	memset(found, 0, sizeof(*found));
	found->text = pool_strdup(pool, "down");
	found->result = test.is_down ? LOOKUP_TEMPORARY : LOOKUP_NOT_FOUND;
	for (i = 0; i < count; i++) {
		assert_in_range(strlen(keys[i].key), 1, KEY_MAX);
		bytes += strlen(keys[i].key);
		test.last_key = pool_strdup(test.pool, keys[i].key);
	}
	assert_in_range(bytes, 1, TABLE_ROOM + KEY_MAX);
	for (i = 0; !test.is_down && i < count; i++) {
		if (strchr(keys[i].key, '!') == NULL)
			continue;
		found->result = LOOKUP_FOUND;
		found->which = (int64_t)i;
		found->value = strchr(keys[i].key, '!') + 1;
		return;
	}
}

static void
pass(void *context, const struct batch_item *item)
{
	(void)context;
	test.last_len = item->len;
	str_addf(&test.out, "%.*s;", (int)item->len, item->text);
}

static void
hit(void *context, struct pool *pool, const struct batch_item *item,
    const char *value)
{
	(void)context;
	(void)pool;
	test.last_len = item->len;
	str_addf(&test.out, "<%.*s=%s>", (int)item->len, item->text, value);
	test.is_over = test.ends_at_hit;
}

static void
failed(void *context, int table, const char *why)
{
	(void)context;
	assert_string_equal(why, "down");
	test.failed = table;
	test.is_over = true;
}

static const struct batch_events	events = {
	is_over, is_wanted, ask, pass, hit, failed
};

static int
setup(void **state)
{
	(void)state;
	memset(&test, 0, sizeof(test));
	test.failed = -1;
	test.pool = pool_new("test", 0);
	str_init(&test.out, test.pool, 0);
	test.batch = batch_new(test.pool, TEXT_MAX, &events, &test);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(test.pool);
	return 0;
}

/* A text without a line end. */
static void
add(int table, const char *text)
{
	struct batch_item	item = { .table = table, .text = text,
				    .len = strlen(text) };

	batch_add(test.batch, &item, false);
}

static void
came_out(const char *expected)
{
	batch_settle(test.batch);
	assert_string_equal(test.out.data, expected);
	str_clear(&test.out);
}

/* P1 */
static void
items_come_out_once_each_and_in_order(void **state)
{
	(void)state;
	add(1, "a");
	add(1, "b!x");
	add(2, "c");
	add(BATCH_NO_TABLE, "d!");
	add(1, "e!y");
	add(2, "f!z");
	came_out("a;<b!x=x>c;d!;<e!y=y><f!z=z>");
	came_out("");
}

static void
what_nothing_is_asked_for_passes_at_once(void **state)
{
	(void)state;
	add(BATCH_NO_TABLE, "a");
	assert_string_equal(test.out.data, "a;");
	add(NO_SUCH, "b!");
	add(1, "");
	assert_string_equal(test.out.data, "a;b!;;");
	add(1, "c");
	add(BATCH_NO_TABLE, "d");
	assert_string_equal(test.out.data, "a;b!;;");
	assert_int_equal(test.questions, 0);
	came_out("a;b!;;c;d;");
	assert_int_equal(test.questions, 1);
}

static void
an_owner_may_want_no_more(void **state)
{
	(void)state;
	add(1, "a!");
	add(1, "b!");
	test.is_off = true;
	came_out("a!;b!;");
	assert_int_equal(test.questions, 0);
}

static void
line_ends_and_nul_bytes_are_no_part_of_a_key(void **state)
{
	struct batch_item	item = { .table = 1, .has_end = true,
				    .text = "a\r\n b\0c\rd\r\n", .len = 11 };

	(void)state;
	batch_add(test.batch, &item, false);
	batch_settle(test.batch);
	assert_string_equal(test.last_key, "a\n b c\rd");
	assert_int_equal(test.last_len, 11);

	item.text = "line";
	item.len = 4;
	batch_add(test.batch, &item, true);
	batch_settle(test.batch);
	assert_string_equal(test.last_key, "line");
	assert_int_equal(test.last_len, 6);

	/* a line end alone is nothing to ask for */
	test.questions = 0;
	item.text = "";
	item.len = 0;
	batch_add(test.batch, &item, true);
	assert_int_equal(test.questions, 0);
	assert_int_equal(test.last_len, 2);
}

static void
questions_are_few_while_little_is_found(void **state)
{
	int	i;

	(void)state;
	for (i = 0; i < 10 * KEYS_MAX; i++)
		add(1, "x");
	batch_settle(test.batch);
	assert_int_equal(test.questions, 10);
	assert_int_equal(test.most, KEYS_MAX);
	assert_int_equal(test.out.len, 10 * KEYS_MAX * 2);
}

static void
the_window_halves_at_each_hit_and_doubles_without(void **state)
{
	int	i;

	(void)state;
	for (i = 0; i < KEYS_MAX; i++)
		add(1, "!");
	batch_settle(test.batch);
	assert_int_equal(test.questions, KEYS_MAX);
	test.questions = test.most = 0;
	for (i = 0; i < KEYS_MAX; i++)
		add(1, "x");
	batch_settle(test.batch);
	/* 1 2 4 8 16 32, and the last one */
	assert_int_equal(test.questions, 7);
	assert_int_equal(test.most, 32);
}

static void
keys_are_cut_and_questions_bounded_but_not_what_passes(void **state)
{
	char	*text = pool_alloc(test.pool, 200001);
	int	 i;

	(void)state;
	memset(text, 'x', 200000);
	for (i = 0; i < 5; i++)
		add(1, text);
	batch_settle(test.batch);
	assert_int_equal(strlen(test.last_key), KEY_MAX);
	assert_int_equal(test.out.len, 5 * 200001);
}

/* P2 */
static void
behind_silence_nothing_passes(void **state)
{
	(void)state;
	add(2, "a");
	add(BATCH_NO_TABLE, "b");
	test.is_down = true;
	came_out("");
	assert_int_equal(test.failed, 2);
	add(BATCH_NO_TABLE, "c");
	came_out("");
}

static void
behind_a_decision_nothing_passes(void **state)
{
	(void)state;
	test.ends_at_hit = true;
	add(1, "a");
	add(1, "b!");
	add(1, "c");
	came_out("a;<b!=>");
	assert_int_equal(test.questions, 1);
}

int
main(void)
{
#define CLAIM_OF(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(items_come_out_once_each_and_in_order),
		CLAIM_OF(what_nothing_is_asked_for_passes_at_once),
		CLAIM_OF(an_owner_may_want_no_more),
		CLAIM_OF(line_ends_and_nul_bytes_are_no_part_of_a_key),
		CLAIM_OF(questions_are_few_while_little_is_found),
		CLAIM_OF(the_window_halves_at_each_hit_and_doubles_without),
		CLAIM_OF(keys_are_cut_and_questions_bounded_but_not_what_passes
		    ),
		CLAIM_OF(behind_silence_nothing_passes),
		CLAIM_OF(behind_a_decision_nothing_passes),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
