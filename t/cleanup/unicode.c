/*
 * unicode.c - which mail needs SMTPUTF8 though nobody said so.
 *
 * needs: cleanup/unicode.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/param/maincf.h"
#include "common/param/site.h"

#include "cleanup/unicode.h"

static struct pool		*pool;
static struct transaction	 t;
static struct recipient_row	 rows[2];

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	site.smtputf8_enable = true;
	rows[0] = rows[1] = (struct recipient_row){ "b@x.test", "", "", 0 };
	t = (struct transaction){ .pool = pool, .rows = rows, .count = 2 };
	t.mail.sender = "a@x.test";
	t.mail.origin = "pickup";
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* Look at mail of these classes. */
static void
look_at(const char *classes)
{
	static const struct param *const	tables[] = {
		unicode_params, NULL
	};
	struct maincf				*mc = maincf_empty(pool);
	struct str				 problems;

	str_init(&problems, pool, 0);
	if (classes != NULL)
		maincf_set(mc, "smtputf8_autodetect_classes", classes, "x");
	assert_int_equal(param_load(mc, tables, &problems), 0);
	unicode_start();
}

/* Is it needed? */
static bool
is_needed(void)
{
	t.mail.flags &= ~MAIL_IS_UTF8;
	unicode_decide(&t);
	return (t.mail.flags & MAIL_IS_UTF8) != 0;
}

static void
addresses_and_fields_tell(void **state)
{
	(void)state;
	look_at(NULL);
	assert_false(is_needed());
	rows[1].address = "\xc3\xa9@x.test";
	assert_true(is_needed());
	rows[1].address = "b@\xc3\xa9.test";
	assert_true(is_needed());
	rows[1].address = "b@x.test";
	t.mail.sender = "\xc3\xa9@x.test";
	assert_true(is_needed());
	t.mail.sender = "a@x.test";
	unicode_note(&t, "X: y\r\n", 6);
	unicode_note(&t, "X: \xe9\r\n", 6);
	assert_false(is_needed());
	unicode_note(&t, "X: \xc3\xa9\r\n", 7);
	unicode_note(&t, "X: y\r\n", 6);
	assert_true(is_needed());
	t.is_again = true;
	assert_false(is_needed());
	t.is_again = false;
	site.smtputf8_enable = false;
	assert_false(is_needed());
}

static void
mail_of_other_classes_is_not_looked_at(void **state)
{
	static const struct {
		const char	*classes, *origin;
		int64_t		 flags;
		bool		 is_needed;
	} cases[] = {
		{ NULL, "smtpd", 0, false }, { NULL, "local", 0, false },
		{ NULL, "bounce", 0, false },
		{ NULL, "pickup", MAIL_IS_PROBE, true },
		{ "sendmail", "pickup", MAIL_IS_PROBE, false },
		{ "verify", "pickup", 0, false },
		{ "smtpd", "smtpd", 0, true }, { "smtpd", "pickup", 0, false },
		{ "forward", "local", 0, true }, { "bounce", "bounce", 0, true },
		{ "notify", "bounce", 0, true }, { "all", "local", 0, true },
		{ "all", "pickup", MAIL_IS_PROBE, true },
		{ "", "pickup", 0, false }
	};
	size_t	i;

	(void)state;
	t.has_utf8_head = true;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		look_at(cases[i].classes);
		t.mail.origin = (char *)(uintptr_t)cases[i].origin;
		t.mail.flags = cases[i].flags;
		if (is_needed() != cases[i].is_needed)
			fail_msg("%zu", i);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(addresses_and_fields_tell),
		TEST(mail_of_other_classes_is_not_looked_at)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
