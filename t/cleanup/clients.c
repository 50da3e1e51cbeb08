/*
 * clients.c - claims about whose headers are rewritten.
 *
 * needs: cleanup/clients.c
 */
#include "cleanup/clients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/param/site.h"

#include "cleanup/lookup.h"

static struct transaction	 t;
static int64_t			 answer;

/* In place of intake.c and lookup.c. */
void
transaction_refuse(struct transaction *unused, int code, const char *reply)
{
	(void)unused;
	t.code = code;
	t.refusal = reply;
}

const char *
table_value(enum table table)
{
	(void)table;
	return "permit_inet_interfaces, check_address_map hash:/nowhere";
}

const char *
table_name(enum table table)
{
	(void)table;
	return "local_header_rewrite_clients";
}

void
table_ask(struct pool *pool, enum table table, int64_t how,
    struct key_row *keys, size_t count, struct found *found)
{
	(void)pool;
	assert_int_equal(table, LIST_REWRITE_CLIENTS);
	assert_int_equal(how, LOOKUP_DOMAIN);
	assert_int_equal(count, 1);
	assert_string_equal(keys[0].key, t.mail.client_address);
	found->result = answer;
	found->text = "down";
}

/* Is mail from there ours? */
static bool
is_ours(char *origin, char *address, int64_t flags)
{
	t.mail = (struct mail){ .origin = origin, .login = "",
	    .client_address = address, .flags = flags };
	t.code = 0;
	return clients_is_ours(&t);
}

static void
mail_from_here_is_ours(void **state)
{
	(void)state;
	answer = LOOKUP_NOT_FOUND;
	assert_true(is_ours("pickup", "", MAIL_IS_LOCAL));
	assert_true(is_ours("bounce", "", MAIL_IS_BOUNCE));
	assert_false(is_ours("local", "", MAIL_IS_FORWARD));
	assert_true(is_ours("smtpd", "192.0.2.1", 0));
	assert_true(is_ours("smtpd", "2001:db8::1", 0));
	assert_false(is_ours("smtpd", "192.0.2.2", 0));
	assert_false(is_ours("smtpd", "", 0));
	assert_true(clients_ask());
}

static void
tables_are_asked_about_the_others(void **state)
{
	(void)state;
	answer = LOOKUP_FOUND;
	assert_true(is_ours("smtpd", "192.0.2.2", 0));
	answer = LOOKUP_TEMPORARY;
	assert_false(is_ours("smtpd", "192.0.2.2", 0));
	assert_int_equal(t.code, 451);
}

static int
setup(void **state)
{
	(void)state;
	t.pool = pool_new("test", 0);
	site.inet_interfaces = "192.0.2.1, [2001:db8::1]";
	site.mynetworks = "";
	clients_before();
	clients_start();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(t.pool);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(mail_from_here_is_ours),
		cmocka_unit_test(tables_are_asked_about_the_others),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
