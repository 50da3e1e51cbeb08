/*
 * settings.c - claims about the names of parameters in smtp and lmtp.
 *
 * needs: smtp/settings.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "smtp/settings.h"

/* Of lmtp.c. */
const struct param lmtp_params[] = {
	PARAM_BOOL("lmtp_assume_final", set.assumes_final, "no", "Text."),
	PARAM_END
};

static const struct param first[] = {
	PARAM_TIME("smtp_helo_timeout", set.helo_timeout, "300s", 1, 3600,
	    "Text."),
	PARAM_TIME("smtp_connect_timeout", set.connect_timeout, "30s", 0, 3600,
	    "Text."),
	PARAM_BOOL("smtp_never_send_ehlo", set.never_ehlo, "no", "Text."),
	PARAM_END
};
static const struct param second[] = {
	PARAM_STRING("smtp_thing", set.helo_name, "$smtp_a ${smtp_b} $mysmtp_c",
	    0, 0, "Text."),
	PARAM_STRING("use_srv_lookup", set.use_srv_lookup, "", 0, 0, "Text."),
	PARAM_END
};
static const struct param *const tables[] = { first, second, NULL };

static void
smtp_has_its_rows_as_they_stand(void **state)
{
	(void)state;
	assert_ptr_equal(settings_rows(tables, false), tables);
	assert_false(set.is_lmtp);
	assert_string_equal(settings_name("smtp_reply_filter"),
	    "smtp_reply_filter");
}

static void
lmtp_has_them_under_its_names_and_with_its_defaults(void **state)
{
	const struct param *const	*rows = settings_rows(tables, true);

	(void)state;
	assert_true(set.is_lmtp);
	assert_string_equal(rows[0][0].name, "lmtp_lhlo_timeout");
	assert_string_equal(rows[0][0].standard, "300s");
	assert_ptr_equal(rows[0][0].place, &set.helo_timeout);
	assert_string_equal(rows[0][1].name, "lmtp_connect_timeout");
	assert_string_equal(rows[0][1].standard, "0s");
	assert_null(rows[0][2].name);
	assert_string_equal(rows[1][0].name, "lmtp_thing");
	assert_string_equal(rows[1][0].standard,
	    "$lmtp_a ${lmtp_b} $mysmtp_c");
	assert_string_equal(rows[1][1].name, "use_srv_lookup");
	assert_ptr_equal(rows[2], lmtp_params);
	assert_null(rows[3]);
}

static void
a_table_is_asked_for_by_the_name_that_it_has_here(void **state)
{
	(void)state;
	(void)settings_rows(tables, true);
	assert_string_equal(settings_name("smtp_reply_filter"),
	    "lmtp_reply_filter");
	assert_string_equal(settings_name(
	    "smtp_discard_ehlo_keyword_address_maps"),
	    "lmtp_discard_lhlo_keyword_address_maps");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(smtp_has_its_rows_as_they_stand),
		cmocka_unit_test(
		    lmtp_has_them_under_its_names_and_with_its_defaults),
		cmocka_unit_test(
		    a_table_is_asked_for_by_the_name_that_it_has_here)
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
