/*
 * known.c - claims about parameters that we know and may not act upon.
 */
#include "files.h"

#include "common/param/known.h"

/* A file with this text, with all defaults. */
static struct maincf *
read_text(const char *text)
{
	char		*why;
	struct maincf	*mc;

	mc = maincf_read(pool, write_file("main.cf", text), &why);
	if (mc == NULL)
		fail_msg("%s", why);
	known_translate(mc);
	known_defaults(mc);
	return mc;
}

/* The program may serve with this text. */
static void
serves(const char *program, const char *text)
{
	const char	*why = known_unsupported(read_text(text), program);

	if (why != NULL)
		fail_msg("%s", why);
}

/* The program may not, and says so. */
static void
refuses(const char *program, const char *text)
{
	if (known_unsupported(read_text(text), program) == NULL)
		fail_msg("%s serves with %s", program, text);
}

static void
table_is_sorted_and_every_row_makes_sense(void **state)
{
	const struct known	*row, *before = NULL;
	size_t			 i;

	(void)state;
	for (i = 0; (row = known_at(i)) != NULL; i++) {
		if (before != NULL &&
		    strcmp(known_name(before), known_name(row)) >= 0)
			fail_msg("%s before %s", known_name(before),
			    known_name(row));
		before = row;
		if (row->standing == STANDING_NOT_YET &&
		    *known_programs(row) == '\0')
			fail_msg("%s affects nobody", known_name(row));
		if (row->standing == STANDING_OBSOLETE &&
		    known_find(pool_strndup(pool, known_note(row),
		    strcspn(known_note(row), " "))) == NULL)
			fail_msg("%s means nothing", known_name(row));
	}
	assert_true(i > 800);
}

static void
default_of_what_is_not_supported_asks_for_nothing(void **state)
{
	const struct known	*row;
	struct maincf		*mc;
	const char		*why;
	size_t			 i;

	(void)state;
	for (i = 0; (row = known_at(i)) != NULL; i++) {
		if (row->standing != STANDING_NOT_YET || *known_name(row) == '*')
			continue;
		mc = read_text("");
		maincf_set(mc, known_name(row), known_standard(row), "test");
		why = known_unsupported(mc, pool_strndup(pool,
		    known_programs(row), strcspn(known_programs(row), " ")));
		if (why != NULL)
			fail_msg("%s", why);
	}
}

static void
setting_of_one_transport_is_known(void **state)
{
	(void)state;
	assert_non_null(known_find("slow_destination_recipient_limit"));
	assert_non_null(known_find("policy-spf_time_limit"));
	assert_null(known_find("_no_such_parameter"));
	assert_null(known_find("_time_limit"));
	serves("qmgr", "slow_transport_rate_delay = 5s\n");
}

static void
protecting_setting_stops_whom_it_is_for(void **state)
{
	const char	*why;

	(void)state;
	why = known_unsupported(read_text("biff = no\n\n"
	    "smtpd_milters = inet:localhost:8891\n"), "smtpd");
	assert_non_null(why);
	assert_non_null(strstr(why, "main.cf:3: smtpd_milters = "
	    "inet:localhost:8891 is not supported yet"));
	serves("qmgr", "smtpd_milters = inet:localhost:8891\n");
	serves("cleanup", "header_checks = regexp:/etc/checks\n");
	serves("cleanup", "content_filter = scan:[127.0.0.1]:10024\n");
	serves("smtp", "smtp_sasl_auth_enable = yes\n");
	serves("local", "mailbox_delivery_lock = flock\n");
	serves("local", "mailbox_command = /usr/bin/procmail\n");
	serves("smtpd", "smtpd_tls_security_level = encrypt\n");
	refuses("smtp", "smtp_tls_security_level = dane\n");
	serves("smtp", "smtp_tls_policy_maps = hash:/etc/policy\n");
	refuses("smtp", "smtp_tls_per_site = hash:/etc/policy\n");
}

static void
harmless_values_stop_nobody(void **state)
{
	(void)state;
	serves("smtpd", "smtpd_milters =\nsmtpd_tls_security_level = may\n");
	serves("smtpd", "smtpd_sasl_auth_enable = NO\n");
	serves("smtp", "smtp_tls_security_level = none\n");
	serves("cleanup", "header_checks =\nmime_header_checks = "
	    "$header_checks\n");
	serves("cleanup", "message_drop_headers = bcc content-length, "
	    "Resent-Bcc return-path\n");
	serves("smtp", "x = may\nsmtp_tls_security_level = $x\n");
	refuses("smtp", "x = dane\nsmtp_tls_security_level = $x\n");
}

static void
lists_of_restrictions_may_have_what_is_there(void **state)
{
	(void)state;
	serves("smtpd", "smtpd_sender_restrictions = permit_mynetworks, "
	    "permit\n");
	serves("smtpd", "smtpd_client_restrictions = permit_mynetworks, "
	    "permit_sasl_authenticated, reject_unauth_destination\n");
	serves("smtpd", "smtpd_helo_restrictions = "
	    "permit_sasl_authenticated, reject\n");
	refuses("smtpd", "smtpd_client_restrictions = permit_mynetworks, "
	    "reject_rbl_client zen.example.org\n");
	refuses("smtpd", "smtpd_sender_restrictions = permit_mynetworks "
	    "check_sender_access hash:/etc/postfix/senders\n");
	refuses("smtpd", "smtpd_data_restrictions = "
	    "reject_unauth_pipelining\n");
}

static void
acting_parameter_may_be_limited_to_some_values(void **state)
{
	(void)state;
	serves("smtpd", "smtpd_relay_restrictions = permit_mynetworks "
	    "reject_unauth_destination\n");
	refuses("smtpd", "smtpd_recipient_restrictions = permit_mynetworks "
	    "check_policy_service inet:127.0.0.1:10023\n");
}

static void
obsolete_setting_counts_as_what_it_means(void **state)
{
	(void)state;
	refuses("postscreen", "postscreen_blacklist_action = drop\n");
	serves("postscreen", "postscreen_blacklist_action = ignore\n");
	serves("postscreen", "postscreen_blacklist_action = drop\n"
	    "postscreen_denylist_action = ignore\n");
	serves("smtpd", "smtpd_enforce_tls = no\nsmtpd_use_tls = yes\n");
	serves("smtp", "fallback_relay = [other.example.com]\n");
}

static void
report_tells_what_is_unknown_obsolete_or_refused(void **state)
{
	struct str	 lines;
	struct maincf	*mc;

	(void)state;
	mc = read_text("smtpd_timout = 5s\n"
	    "mine = a\nbiff = $mine\n"
	    "smtpd_restriction_classes = strict\nstrict = reject\n"
	    "smtpd_use_tls = yes\nlmtp_tls_per_site = x:y\nbiff = no\n");
	str_init(&lines, pool, 0);
	assert_int_equal(known_report(mc, &lines), 1);
	assert_non_null(strstr(lines.data,
	    "main.cf:1: smtpd_timout is not a parameter\n"));
	assert_null(strstr(lines.data, "mine is not"));
	assert_null(strstr(lines.data, "strict is not"));
	assert_non_null(strstr(lines.data, "main.cf:6: smtpd_use_tls is "
	    "obsolete, smtpd_tls_security_level replaces it\n"));
	assert_non_null(strstr(lines.data, "main.cf:7: lmtp_tls_per_site = "
	    "x:y is not supported yet (stops lmtp)\n"));
	assert_non_null(strstr(lines.data, "main.cf:3: biff is set again"));
}

static void
debian_configuration_loads_without_refusal(void **state)
{
	struct str	lines;

	(void)state;
	str_init(&lines, pool, 0);
	assert_int_equal(known_report(read_text(
	    "smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)\n"
	    "biff = no\n"
	    "append_dot_mydomain = no\n"
	    "readme_directory = no\n"
	    "compatibility_level = 3.6\n"
	    "smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem\n"
	    "smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key\n"
	    "smtpd_tls_security_level=may\n"
	    "smtp_tls_CApath=/etc/ssl/certs\n"
	    "smtp_tls_security_level=may\n"
	    "smtp_tls_session_cache_database = "
	    "btree:${data_directory}/smtp_scache\n"
	    "smtpd_relay_restrictions = permit_mynetworks "
	    "permit_sasl_authenticated defer_unauth_destination\n"
	    "myhostname = debian.example.com\n"
	    "alias_maps = hash:/etc/aliases\n"
	    "alias_database = hash:/etc/aliases\n"
	    "mydestination = $myhostname, debian, localhost\n"
	    "relayhost = \n"
	    "mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\n"
	    "mailbox_size_limit = 0\n"
	    "recipient_delimiter = +\n"
	    "inet_interfaces = all\n"
	    "inet_protocols = all\n"), &lines), 0);
	assert_string_equal(lines.data, "");
}

static void
red_hat_configuration_loads_without_refusal(void **state)
{
	struct str	lines;

	(void)state;
	str_init(&lines, pool, 0);
	assert_int_equal(known_report(read_text(
	    "compatibility_level = 2\nqueue_directory = /var/spool/postfix\n"
	    "command_directory = /usr/sbin\n"
	    "daemon_directory = /usr/libexec/postfix\n"
	    "data_directory = /var/lib/postfix\nmail_owner = postfix\n"
	    "inet_interfaces = localhost\ninet_protocols = all\n"
	    "mydestination = $myhostname, localhost.$mydomain, localhost\n"
	    "unknown_local_recipient_reject_code = 550\n"
	    "alias_maps = hash:/etc/aliases\n"
	    "alias_database = hash:/etc/aliases\ndebug_peer_level = 2\n"
	    "debugger_command =\n\t PATH=/bin:/usr/bin ddd "
	    "$daemon_directory/$process_name $process_id & sleep 5\n"
	    "sendmail_path = /usr/sbin/sendmail.postfix\n"
	    "newaliases_path = /usr/bin/newaliases.postfix\n"
	    "mailq_path = /usr/bin/mailq.postfix\nsetgid_group = postdrop\n"
	    "html_directory = no\nmanpage_directory = /usr/share/man\n"
	    "sample_directory = /usr/share/doc/postfix/samples\n"
	    "readme_directory = /usr/share/doc/postfix/README_FILES\n"
	    "smtpd_tls_cert_file = /etc/pki/tls/certs/postfix.pem\n"
	    "smtpd_tls_key_file = /etc/pki/tls/private/postfix.key\n"
	    "smtpd_tls_security_level = may\n"
	    "smtp_tls_CApath = /etc/pki/tls/certs\n"
	    "smtp_tls_CAfile = /etc/pki/tls/certs/ca-bundle.crt\n"
	    "smtp_tls_security_level = may\n"
	    "meta_directory = /etc/postfix\n"
	    "shlib_directory = /usr/lib64/postfix\n"), &lines), 0);
	assert_string_equal(lines.data, "");
}

static void
words_are_found_whole_and_without_case(void **state)
{
	(void)state;
	assert_true(known_has_word("smtpd cleanup", "cleanup"));
	assert_true(known_has_word("a,B, c", "b"));
	assert_false(known_has_word("smtpd", "smtp"));
	assert_false(known_has_word("", "a"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(table_is_sorted_and_every_row_makes_sense),
		CLAIM_OF(default_of_what_is_not_supported_asks_for_nothing),
		CLAIM_OF(setting_of_one_transport_is_known),
		CLAIM_OF(protecting_setting_stops_whom_it_is_for),
		CLAIM_OF(harmless_values_stop_nobody),
		CLAIM_OF(
	    lists_of_restrictions_may_have_what_is_there),
		CLAIM_OF(acting_parameter_may_be_limited_to_some_values),
		CLAIM_OF(obsolete_setting_counts_as_what_it_means),
		CLAIM_OF(report_tells_what_is_unknown_obsolete_or_refused),
		CLAIM_OF(debian_configuration_loads_without_refusal),
		CLAIM_OF(red_hat_configuration_loads_without_refusal),
		CLAIM_OF(words_are_found_whole_and_without_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
