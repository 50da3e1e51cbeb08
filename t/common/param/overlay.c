/*
 * overlay.c - claims about main.cf as one line of master.cf sees it.
 */
#include "files.h"

#include "common/param/known.h"
#include "common/param/overlay.h"

static struct mastercf	*file;
static struct maincf	*mc;

static void
read_all(const char *main_cf, const char *master_cf)
{
	char	*why;

	mc = maincf_read(pool, write_file("main.cf", main_cf), &why);
	file = mastercf_read(pool, write_file("master.cf", master_cf), &why);
	assert_non_null(mc);
	assert_non_null(file);
	known_defaults(mc);
}

static const char *
value(size_t line, const char *name)
{
	struct maincf	*own = overlay_settings(pool, mc, file,
			    &file->services[line]);
	char		*why;

	return maincf_value(own, pool, name, &why);
}

static void
options_win_over_main_cf(void **state)
{
	struct maincf	*own;

	(void)state;
	read_all("mynetworks = 10.0.0.0/8\nours = $mynetworks\n",
	    "a inet n - n - - smtpd\nb inet n - n - - smtpd\n"
	    "  -o mynetworks=192.0.2.0/24\n");
	assert_string_equal(value(0, "ours"), "10.0.0.0/8");
	assert_string_equal(value(1, "ours"), "192.0.2.0/24");
	assert_string_equal(value(1, "smtpd_tls_key_file"), "");
	own = overlay_settings(pool, mc, file, &file->services[1]);
	assert_non_null(strstr(maincf_where(pool, maincf_find(own,
	    "mynetworks")), "master.cf:2"));
	assert_non_null(strstr(maincf_where(pool, maincf_find(own, "ours")),
	    "main.cf:2"));
}

static void
obsolete_options_mean_what_they_mean_now(void **state)
{
	(void)state;
	read_all("", "a inet n - n - - smtpd -o smtpd_enforce_tls=yes\n");
	assert_string_equal(value(0, "smtpd_tls_security_level"), "encrypt");
}

static void
postscreen_has_what_smtpd_behind_it_has(void **state)
{
	(void)state;
	read_all("", "smtp inet n - n - 1 postscreen\n"
	    "smtpd pass - - n - - smtpd -o smtpd_tls_security_level=may\n");
	assert_string_equal(value(0, "smtpd_tls_security_level"), "may");
}

static void
lines_have_names_with_types(void **state)
{
	(void)state;
	read_all("", "smtp inet n - n - - smtpd\npickup fifo n - n 60 1 "
	    "pickup\n");
	assert_string_equal(overlay_name(pool, &file->services[0]),
	    "smtp/inet");
	assert_string_equal(overlay_name(pool, &file->services[1]),
	    "pickup/unix");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(options_win_over_main_cf),
		CLAIM_OF(obsolete_options_mean_what_they_mean_now),
		CLAIM_OF(postscreen_has_what_smtpd_behind_it_has),
		CLAIM_OF(lines_have_names_with_types)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
