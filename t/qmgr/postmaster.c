/*
 * postmaster.c - which classes there are, and how many letters a postmaster
 * gets.
 *
 * needs: qmgr/postmaster.c qmgr/post.c
 */
#include "qmgr/postmaster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
classes_are_words(void **state)
{
	struct pool	*pool = pool_new("test", 0);
	unsigned	 bits;

	(void)state;
	assert_null(classes_parse(pool, "", &bits));
	assert_int_equal(bits, 0);
	assert_null(classes_parse(pool, "resource, software", &bits));
	assert_int_equal(bits, NOTIFY_RESOURCE | NOTIFY_SOFTWARE);
	assert_null(classes_parse(pool, "bounce 2bounce delay data policy "
	    "protocol", &bits));
	assert_int_equal(bits, NOTIFY_BOUNCE | NOTIFY_2BOUNCE |
	    NOTIFY_DELAYED | NOTIFY_DATA | NOTIFY_POLICY | NOTIFY_PROTOCOL);
	assert_string_equal(classes_parse(pool, "bounce bounces", &bits),
	    "bounces");
	pool_free(pool);
}

/* P1 */
static void
letters_come_a_few_at_once_and_then_slowly(void **state)
{
	struct letter_rate	rate = { 0 };
	int64_t			now = 1000000000;
	unsigned		left_out = 7, sent = 0;
	int			i;

	(void)state;
	for (i = 0; i < 100; i++)
		sent += letter_is_due(&rate, now, &left_out);
	assert_int_equal(sent, 10);
	assert_int_equal(left_out, 0);
	assert_false(letter_is_due(&rate, now + 59999, &left_out));
	assert_true(letter_is_due(&rate, now + 60000, &left_out));
	assert_int_equal(left_out, 91);
	assert_false(letter_is_due(&rate, now + 60001, &left_out));
	for (sent = 0, i = 0; i < 100; i++)
		sent += letter_is_due(&rate, now + 86400000, &left_out);
	assert_int_equal(sent, 10);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(classes_are_words),
		cmocka_unit_test(letters_come_a_few_at_once_and_then_slowly),
	};

	return cmocka_run_group_tests_name("postmaster", tests, NULL, NULL);
}
