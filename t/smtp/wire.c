/*
 * wire.c - addresses as MAIL and RCPT have them.
 *
 * needs: smtp/wire.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mail/idn.h"

#include "smtp/settings.h"
#include "smtp/transaction.h"

struct settings	 set = { .quotes_envelope = true };

static struct deliver		 mail;
static struct delivery		 d = { .mail = &mail };
static struct connection	 c = { .name = "mx.test[192.0.2.1]" };
static struct transaction	 t = { .d = &d, .c = &c };

/* Everything in one pool. */
static int
setup(void **state)
{
	(void)state;
	d.pool = t.pool = pool_new("test", 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(d.pool);
	return 0;
}

/* As it would be written; NULL with this status. */
static const char *
path(const char *address, const char *status)
{
	const char	*dsn = "5.1.3", *why = NULL, *written;

	written = wire_path(&t, address, &dsn, &why);
	if (written == NULL) {
		assert_string_equal(dsn, status);
		assert_non_null(why);
	}
	return written;
}

/* W1. */
static void
what_would_be_two_commands_is_none(void **state)
{
	static const char *const	bad[] = {
		"a@b.test\r\nRCPT TO:<c@d.test", "a@b.test\n", "a\r@b.test",
		"a@b.test> SIZE=1", "a b@c.test", "<a@b.test", "a\tb@c.test",
		"\"a@b.test", "\"a\"b\" c@d.test", "\"a\\\"@b.test",
		"\"a\r\nb\"@c.test", "a\x7f@b.test", NULL
	};
	size_t				i;

	(void)state;
	for (i = 0; bad[i] != NULL; i++)
		assert_null(path(bad[i], "5.1.3"));
}

static void
what_is_one_path_is_written_as_it_is(void **state)
{
	static const char *const	good[] = {
		"", "a@b.test", "postmaster", "\"a b\"@c.test",
		"\"a>b\"@c.test", "\"a\\\"b\"@c.test", "\"a\\\\\"@b.test",
		"a@[IPv6:2001:db8::1]", NULL
	};
	size_t				i;

	(void)state;
	for (i = 0; good[i] != NULL; i++)
		assert_string_equal(path(good[i], ""), good[i]);
}

static void
eight_bits_need_smtputf8(void **state)
{
	(void)state;
	c.has_utf8 = false;
	assert_null(path("caf\xc3\xa9@b.test", "5.6.7"));
	c.has_utf8 = true;
	assert_string_equal(path("caf\xc3\xa9@b.test", ""),
	    "caf\xc3\xa9@b.test");
	c.has_utf8 = false;
}

/* W2. */
static void
a_domain_goes_in_a_labels(void **state)
{
	const char	*sender = "a@b.test", *recipient = "c@d.test";

	(void)state;
	if (!idn_is_built_in())
		skip();
	assert_string_equal(path("a@caf\xc3\xa9.test", ""),
	    "a@xn--caf-dma.test");
	assert_null(path("caf\xc3\xa9@caf\xc3\xa9.test", "5.6.7"));
	assert_null(path("a@\xd7\x90x.test", "5.1.3"));
	t.sender = sender;
	t.addresses = &recipient;
	t.count = 1;
	mail.flags = 0;
	c.has_utf8 = true;
	assert_string_equal(path("a@caf\xc3\xa9.test", ""),
	    "a@caf\xc3\xa9.test");
	assert_false(wire_wants_utf8(&t));
	recipient = "a@caf\xc3\xa9.test";
	assert_true(wire_wants_utf8(&t));
	recipient = "c@d.test";
	t.sender = "\xc3\xa9@b.test";
	assert_true(wire_wants_utf8(&t));
	c.has_utf8 = false;
	assert_false(wire_wants_utf8(&t));
	t.count = 0;
}

static void
quotes_go_only_where_that_is_safe(void **state)
{
	(void)state;
	set.quotes_envelope = false;
	assert_string_equal(path("\"a..b\"@c.test", ""), "a..b@c.test");
	assert_string_equal(path("\"a b\"@c.test", ""), "\"a b\"@c.test");
	assert_string_equal(path("\"a>b\"@c.test", ""), "\"a>b\"@c.test");
	assert_string_equal(path("\"a\\\"b\"@c.test", ""),
	    "\"a\\\"b\"@c.test");
	set.quotes_envelope = true;
}

/* Is a message with this text, declared so, refused? */
static bool
is_refused(const char *text, int64_t flags)
{
	const char	*dsn = "";
	FILE		*f = tmpfile();
	bool		 answer;

	assert_non_null(f);
	assert_int_not_equal(fputs("xx", f), EOF);
	assert_int_not_equal(fputs(text, f), EOF);
	assert_int_equal(fflush(f), 0);
	mail = (struct deliver){ .flags = flags, .message = fileno(f),
	    .content_offset = 2, .content_length = (int64_t)strlen(text) };
	answer = wire_refusal(&t, &dsn) != NULL;
	assert_string_equal(dsn, answer ? "5.6.7" : "");
	fclose(f);
	return answer;
}

static void
a_header_in_utf8_needs_smtputf8(void **state)
{
	char	*filler = pool_alloc(d.pool, 20000);

	(void)state;
	memset(filler, 'x', 19999);
	assert_true(is_refused("Subject: caf\xc3\xa9\r\n\r\nText\r\n",
	    MAIL_IS_UTF8));
	assert_true(is_refused(pool_printf(d.pool, "A: %s\r\nB: \xc3\xa9\r\n",
	    filler), MAIL_IS_UTF8));
	assert_false(is_refused("Subject: cafe\r\n\r\nT\xc3\xa9xt\r\n",
	    MAIL_IS_UTF8));
	assert_false(is_refused("\r\nT\xc3\xa9xt\r\n", MAIL_IS_UTF8));
	assert_false(is_refused("", MAIL_IS_UTF8));
	/* Nobody promised that it would be needed. */
	assert_false(is_refused("Subject: caf\xe9\r\n\r\nText\r\n", 0));
	c.has_utf8 = true;
	assert_false(is_refused("Subject: caf\xc3\xa9\r\n\r\n", MAIL_IS_UTF8));
	c.has_utf8 = false;
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(what_would_be_two_commands_is_none),
		cmocka_unit_test(what_is_one_path_is_written_as_it_is),
		cmocka_unit_test(eight_bits_need_smtputf8),
		cmocka_unit_test(a_domain_goes_in_a_labels),
		cmocka_unit_test(quotes_go_only_where_that_is_safe),
		cmocka_unit_test(a_header_in_utf8_needs_smtputf8),
	};

	return cmocka_run_group_tests_name("wire", tests, setup, teardown);
}
