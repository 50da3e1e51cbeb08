/*
 * roles.c - the rows agree with each other.
 */
#include "common/daemon/roles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Is the word in the list? */
static bool
lists(const char *const *list, size_t size, const char *word)
{
	size_t	i;

	for (i = 0; i < size && list[i] != NULL; i++)
		if (strcmp(list[i], word) == 0)
			return true;
	return false;
}

static void
every_call_has_its_caller(void **state)
{
	const struct role	*r, *called;
	size_t			 i;

	(void)state;
	for (r = role_all(); r->program != NULL; r++)
		for (i = 0; i < 8 && r->calls[i] != NULL; i++) {
			called = role_find(r->calls[i]);
			assert_non_null(called);
			assert_true(lists(called->callers, 8, r->program));
			assert_true(called->needs & NEEDS_ACCEPT);
		}
}

static void
every_caller_calls(void **state)
{
	const struct role	*r, *caller;
	size_t			 i;

	(void)state;
	for (r = role_all(); r->program != NULL; r++)
		for (i = 0; i < 8 && r->callers[i] != NULL; i++)
			if ((caller = role_find(r->callers[i])) != NULL) {
				assert_true(lists(caller->calls, 8,
				    r->program));
				assert_true(caller->needs & NEEDS_UNIX);
			}
}

static void
a_socket_belongs_to_one_user_or_to_one_group(void **state)
{
	const struct role	*r;

	(void)state;
	for (r = role_all(); r->program != NULL; r++)
		assert_true((role_socket_group(r->program) == NULL) !=
		    (role_socket_user(r->program) == NULL));
	assert_null(role_socket_user("no such service"));
	assert_null(role_socket_group("no such service"));
}

static void
the_sockets_are_owned_as_the_design_says(void **state)
{
	(void)state;
	assert_string_equal(role_socket_group("cleanup"),
	    "postrider-to-cleanup");
	assert_string_equal(role_socket_group("resolve"),
	    "postrider-to-resolve");
	assert_string_equal(role_socket_group("dns"), "postrider-to-dns");
	assert_string_equal(role_socket_user("anvil"), "postrider-smtpd");
	assert_string_equal(role_socket_group("qmgr"), "postrider-to-qmgr");
	assert_string_equal(role_socket_group("bounce"),
	    "postrider-to-bounce");
	assert_string_equal(role_socket_user("smtp"), "postrider");
	assert_string_equal(role_socket_user("helper"), "postrider-local");
	assert_string_equal(role_socket_user("pickup"), "postrider");
	assert_string_equal(role_socket_user("mailbox"), "root");
	assert_string_equal(role_socket_user("spawn"), "postrider-map");
	assert_string_equal(role_socket_user("token"), "postrider-map");
	assert_string_equal(role_socket_user("auth"), "postrider-smtpd");
	assert_string_equal(role_socket_group("keys"), "postrider-to-keys");
	/* a second question must not spoil the first answer */
	assert_string_not_equal(role_socket_group("cleanup"),
	    role_socket_group("dns"));
}

static void
only_five_programs_are_root(void **state)
{
	static const char *const	 root[] = { "master", "helper",
					    "mailbox", "spawn", "token",
					    NULL };
	const struct role		*r;

	(void)state;
	for (r = role_all(); r->program != NULL; r++)
		assert_true((r->user == NULL) ==
		    lists(root, 6, r->program));
}

/* Promise 2 of the design: who talks to the Internet can do nothing else. */
static void
who_meets_strangers_has_no_files(void **state)
{
	static const char *const	 exposed[] = { "smtpd", "smtp", "dns",
					    "anvil", "local", "keys", "auth",
					    NULL };
	const struct role		*r;

	(void)state;
	for (r = role_all(); r->program != NULL; r++) {
		if (!lists(exposed, 8, r->program))
			continue;
		assert_int_equal(r->jail, JAIL_PRIVATE);
		assert_int_equal(r->needs & (NEEDS_FILES_READ |
		    NEEDS_FILES_WRITE | NEEDS_BECOME), 0);
		assert_null(r->writes[0]);
		assert_null(r->reads[0]);
	}
	assert_int_equal(role_find("smtpd")->needs & (NEEDS_INET |
	    NEEDS_DNS), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(every_call_has_its_caller),
		cmocka_unit_test(every_caller_calls),
		cmocka_unit_test(a_socket_belongs_to_one_user_or_to_one_group),
		cmocka_unit_test(the_sockets_are_owned_as_the_design_says),
		cmocka_unit_test(only_five_programs_are_root),
		cmocka_unit_test(who_meets_strangers_has_no_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
