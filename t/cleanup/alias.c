/*
 * alias.c - claims about the envelope.
 *
 * needs: cleanup/alias.c cleanup/canonical.c cleanup/lookup.c cleanup/copies.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/mail/dsn.h"
#include "common/param/site.h"

#include "cleanup/canonical.h"

struct settings			 set;
static struct pool		*pool;
static struct transaction	 t;

/* In place of intake.c: note it. */
void
transaction_refuse(struct transaction *unused, int code, const char *reply)
{
	(void)unused;
	t.code = code;
	t.refusal = reply;
}

static int
setup(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	site.myorigin = "o.test";
	set = (struct settings){ .append_at_myorigin = true,
	    .virtual_alias_maps = "", .always_bcc = "",
	    .keeps_originals = true,
	    .canonical_classes = "", .sender_canonical_classes = "",
	    .recipient_canonical_classes = "", .masquerade_classes = "",
	    .masquerade_domains = "" };
	canonical_start();
	memset(&t, 0, sizeof(t));
	t.pool = pool;
	t.mail.sender = "";
	t.mail.origin = "smtpd";
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* These recipients. */
static void
take(const char *const *addresses, size_t n)
{
	size_t	i;

	t.rows = pool_array(pool, n, sizeof(*t.rows));
	for (i = 0; i < n; i++)
		t.rows[i] = (struct recipient_row){
			pool_strdup(pool, addresses[i]), "", "", 0 };
	t.count = t.room = n;
}

static void
addresses_without_a_domain_get_myorigin(void **state)
{
	static const char *const	list[] = {
		"bob", "eve@x.test", "\"a@b\"", "\"a@b\"@x.test"
	};

	(void)state;
	take(list, 4);
	t.mail.sender = "alice";
	alias_apply(&t);
	assert_int_equal(t.code, 0);
	assert_string_equal(t.mail.sender, "alice@o.test");
	assert_string_equal(t.rows[0].address, "bob@o.test");
	assert_string_equal(t.rows[0].original, "bob");
	assert_string_equal(t.rows[1].address, "eve@x.test");
	assert_string_equal(t.rows[1].original, "");
	assert_string_equal(t.rows[2].address, "\"a@b\"@o.test");
	assert_string_equal(t.rows[3].address, "\"a@b\"@x.test");
}

static void
the_null_sender_stays(void **state)
{
	static const char *const	list[] = { "bob" };

	(void)state;
	take(list, 1);
	alias_apply(&t);
	assert_string_equal(t.mail.sender, "");
}

static void
everybody_gets_it_once(void **state)
{
	static const char *const	list[] = {
		"a@x.test", "b@x.test", "a@X.TEST", "A@x.test", "a",
		"a@o.test", "b@x.test", "a@y.test"
	};

	(void)state;
	take(list, 8);
	alias_apply(&t);
	assert_int_equal(t.count, 5);
	assert_string_equal(t.rows[0].address, "a@x.test");
	assert_string_equal(t.rows[1].address, "b@x.test");
	assert_string_equal(t.rows[2].address, "A@x.test");
	assert_string_equal(t.rows[3].address, "a@o.test");
	assert_string_equal(t.rows[4].address, "a@y.test");
}

/* RFC 3461 5.2.7 */
static void
reports_name_the_address_that_was_given(void **state)
{
	static const char *const	list[] = {
		"a@x.test", "b@x.test", "c", "d@x.test", "e@x.test"
	};

	(void)state;
	take(list, 5);
	t.rows[0].original = "alias@v.test";
	t.rows[1].original = "bare";
	t.rows[3].original = "other@v.test";
	t.rows[3].orcpt = "rfc822;first@w.test";
	t.rows[4].original = "\xc3\xa4@v.test";
	alias_apply(&t);
	assert_string_equal(t.rows[0].orcpt, "rfc822;alias@v.test");
	assert_string_equal(t.rows[1].orcpt, "rfc822;bare@o.test");
	assert_string_equal(t.rows[2].orcpt, "");
	assert_string_equal(t.rows[3].orcpt, "rfc822;first@w.test");
	assert_string_equal(t.rows[4].orcpt, "");
}

static void
what_local_forwards_keeps_its_own(void **state)
{
	static const char *const	list[] = { "a@x.test" };

	(void)state;
	take(list, 1);
	t.rows[0].original = "list@v.test";
	t.mail.flags = MAIL_IS_FORWARD;
	alias_apply(&t);
	assert_string_equal(t.rows[0].orcpt, "");
}

static void
who_is_named_twice_keeps_both_wishes(void **state)
{
	static const char *const	list[] = {
		"a@x.test", "a@x.test", "b@x.test", "b@x.test", "c@x.test",
		"c@x.test"
	};

	(void)state;
	take(list, 6);
	t.rows[0].notify = NOTIFY_NEVER;
	t.rows[1].notify = NOTIFY_SUCCESS;
	t.rows[3].notify = NOTIFY_SUCCESS;
	t.rows[4].notify = NOTIFY_DELAY;
	t.rows[5].notify = NOTIFY_NEVER;
	alias_apply(&t);
	assert_int_equal(t.count, 3);
	assert_int_equal(t.rows[0].notify, NOTIFY_SUCCESS);
	assert_int_equal(t.rows[1].notify,
	    NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY);
	assert_int_equal(t.rows[2].notify, NOTIFY_DELAY);
}

static void
a_hundred_thousand_are_compared(void **state)
{
	size_t	i, n = 100000;

	(void)state;
	t.rows = pool_array(pool, n, sizeof(*t.rows));
	for (i = 0; i < n; i++)
		t.rows[i] = (struct recipient_row){
			pool_printf(pool, "u%zu@x.test", i % (n / 2)), "", "",
			0 };
	assert_int_equal(alias_unique(pool, t.rows, n), n / 2);
}

static void
new_mail_is_copied_to_always_bcc(void **state)
{
	static const char *const	list[] = { "a@x.test" };

	(void)state;
	take(list, 1);
	set.always_bcc = "archive";
	alias_apply(&t);
	assert_int_equal(t.count, 2);
	assert_string_equal(t.rows[1].address, "archive@o.test");
	assert_int_equal(t.rows[1].notify, 1);
}

static void
our_own_reports_are_not_copied(void **state)
{
	static const char *const	list[] = { "a@x.test" };

	(void)state;
	take(list, 1);
	set.always_bcc = "archive";
	t.mail.origin = "bounce";
	alias_apply(&t);
	assert_int_equal(t.count, 1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(addresses_without_a_domain_get_myorigin),
		TEST(the_null_sender_stays),
		TEST(everybody_gets_it_once),
		TEST(reports_name_the_address_that_was_given),
		TEST(what_local_forwards_keeps_its_own),
		TEST(who_is_named_twice_keeps_both_wishes),
		TEST(a_hundred_thousand_are_compared),
		TEST(new_mail_is_copied_to_always_bcc),
		TEST(our_own_reports_are_not_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
