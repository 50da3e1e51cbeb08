/*
 * options.c - claims about words on mechanisms.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/sasl/sasl.h"

static unsigned	forbidden, needed;

static void
words_forbid_and_need(void **state)
{
	(void)state;
	assert_int_equal(sasl_security_parse("noplaintext, noanonymous",
	    &forbidden, &needed), 0);
	assert_int_equal(forbidden, SASL_PLAINTEXT | SASL_ANONYMOUS);
	assert_int_equal(needed, 0);
	assert_int_equal(sasl_security_parse("NoActive nodictionary,"
	    "mutual_auth\tforward_secrecy", &forbidden, &needed), 0);
	assert_int_equal(forbidden, SASL_ACTIVE | SASL_DICTIONARY);
	assert_int_equal(needed, SASL_MUTUAL | SASL_FORWARD_SECRECY);
}

static void
nothing_forbids_nothing(void **state)
{
	(void)state;
	forbidden = needed = 1;
	assert_int_equal(sasl_security_parse("", &forbidden, &needed), 0);
	assert_int_equal(forbidden, 0);
	assert_int_equal(needed, 0);
	assert_int_equal(sasl_security_parse(" , ", &forbidden, &needed), 0);
}

static void
unknown_words_are_told(void **state)
{
	static const char *const	wrong[] = { "noplain", "noplaintextx",
	    "plaintext", "noanonymous, none", "no" };
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(sasl_security_parse(wrong[i], &forbidden,
		    &needed), -1);
}

static void
the_first_word_that_fits_decides(void **state)
{
	(void)state;
	assert_true(sasl_is_allowed("", "PLAIN"));
	assert_true(sasl_is_allowed(" ", "PLAIN"));
	assert_true(sasl_is_allowed("plain, login", "LOGIN"));
	assert_false(sasl_is_allowed("plain, login", "CRAM-MD5"));
	assert_false(sasl_is_allowed("plain", "PLAINER"));
	assert_false(sasl_is_allowed("plainer", "PLAIN"));
	assert_true(sasl_is_allowed("!external, static:rest", "PLAIN"));
	assert_false(sasl_is_allowed("!external, static:rest", "EXTERNAL"));
	assert_false(sasl_is_allowed("!login", "PLAIN"));
	assert_false(sasl_is_allowed("!plain plain", "PLAIN"));
	assert_true(sasl_is_allowed("plain !plain", "PLAIN"));
	assert_true(sasl_is_allowed("!!plain", "PLAIN"));
	assert_false(sasl_is_allowed("!static:all", "PLAIN"));
}

static void
tables_are_seen(void **state)
{
	(void)state;
	assert_false(sasl_filter_has_tables(""));
	assert_false(sasl_filter_has_tables("!external, static:rest, plain"));
	assert_true(sasl_filter_has_tables("plain, hash:/etc/mechanisms"));
	assert_true(sasl_filter_has_tables("!/etc/mechanisms"));
	assert_true(sasl_filter_has_tables("inline:{plain=yes}"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(words_forbid_and_need),
		cmocka_unit_test(nothing_forbids_nothing),
		cmocka_unit_test(unknown_words_are_told),
		cmocka_unit_test(the_first_word_that_fits_decides),
		cmocka_unit_test(tables_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
