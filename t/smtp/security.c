/*
 * security.c - policies as tables write them, and what main.cf adds.
 *
 * needs: smtp/security.c smtp/policy.c smtp/settings.c
 */
#include "smtp/security.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "smtp/settings.h"

/* Of lmtp.c and main.c. */
const struct param lmtp_params[] = { PARAM_END };
struct link	*to_resolve;

#define FINGERPRINT	"0123456789abcdef:0123456789ABCDEF:" \
			"0123456789abcdef0123456789abcdef"

static struct pool		*pool;
static const struct nexthop	 domain = { .kind = NEXTHOP_DOMAIN,
				    .text = "example.com",
				    .name = "example.com" };
static const struct nexthop	 path = { .kind = NEXTHOP_UNIX,
				    .text = "unix:private/lmtp",
				    .name = "private/lmtp" };

/* Defaults of main.cf. */
static int
set_up(void **state)
{
	static const struct param *const	tables[] = { security_params,
						    NULL };
	struct str	 problems;
	char		 path_of_file[] = "/tmp/prt-security-XXXXXX";
	struct maincf	*mc;
	char		*why;
	int		 fd;

	(void)state;
	pool = pool_new("test", 0);
	fd = mkstemp(path_of_file);
	assert_int_not_equal(fd, -1);
	mc = maincf_read(pool, path_of_file, &why);
	(void)unlink(path_of_file);
	(void)close(fd);
	if (mc == NULL)
		fail_msg("%s", why);
	str_init(&problems, pool, 0);
	assert_int_equal(param_load(mc, tables, &problems), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* A value that is good. */
static struct security
parsed(const char *value)
{
	struct security	s;

	assert_null(security_parse(pool, value, &s));
	return s;
}

/* A value that has a mistake: the complaint has these words. */
static void
refuses(const char *value, const char *words)
{
	struct security	s;
	const char	*why = security_parse(pool, value, &s);

	assert_non_null(why);
	if (strstr(why, words) == NULL)
		fail_msg("%s: \"%s\" has no \"%s\"", value, why, words);
}

/* What a next hop gets for a value of the table. */
static struct security
completed(const char *value, const struct nexthop *hop)
{
	struct security	s = parsed(value);

	assert_null(security_complete(pool, hop, &s));
	return s;
}

static void
policy_has_a_level_and_attributes(void **state)
{
	struct security	s = parsed("secure match=a.example:.b.example "
			    "protocols=>=TLSv1.3 ciphers=high, "
			    "exclude=aDSS:kRSA servername=nexthop "
			    "tafile=/etc/anchor.pem connection_reuse=yes");

	(void)state;
	assert_int_equal(s.level, TLS_LEVEL_SECURE);
	assert_int_equal(s.match_count, 2);
	assert_string_equal(s.matches[0], "a.example");
	assert_string_equal(s.matches[1], ".b.example");
	assert_string_equal(s.protocols, ">=TLSv1.3");
	assert_string_equal(s.ciphers, "high");
	assert_string_equal(s.exclude, "aDSS kRSA");
	assert_string_equal(s.servername, "nexthop");
	assert_string_equal(s.anchors, "/etc/anchor.pem");

	assert_int_equal(parsed("none").level, TLS_LEVEL_NONE);
	assert_int_equal(parsed("may").level, TLS_LEVEL_MAY);
	assert_null(parsed("may").protocols);
	assert_int_equal(parsed(" encrypt ").level, TLS_LEVEL_ENCRYPT);
	assert_int_equal(parsed("dane-only").level, TLS_LEVEL_DANE_ONLY);
}

static void
match_may_come_several_times(void **state)
{
	struct security	s = parsed("verify match=a.example "
			    "match=hostname:b.example");

	(void)state;
	assert_int_equal(s.match_count, 3);
	assert_string_equal(s.matches[0], "a.example");
	assert_string_equal(s.matches[2], "b.example");
	s = parsed("fingerprint match=" FINGERPRINT "|" FINGERPRINT);
	assert_int_equal(s.match_count, 2);
	assert_string_equal(s.matches[1], FINGERPRINT);
}

static void
mistake_in_a_policy_is_told(void **state)
{
	(void)state;
	refuses("", "no security level");
	refuses("encript", "\"encript\" is no security level");
	refuses("may=yes", "no security level");
	refuses("match=a.example", "no security level");
	refuses("secure match", "name=value");
	refuses("secure mach=a.example", "\"mach\" is no attribute");
	refuses("secure match=", "nothing to match");
	refuses("secure match=a_b/c", "name to match");
	refuses("secure match=..", "name to match");
	refuses("fingerprint match=ab:cd", "fingerprint");
	refuses("fingerprint match=a.example", "fingerprint");
	refuses("encrypt match=a.example", "no meaning at the level encrypt");
	refuses("may match=a.example", "no meaning at the level may");
	refuses("fingerprint tafile=/a", "no meaning");
	refuses("secure tafile=a.pem", "absolute");
	refuses("secure tafile=/a tafile=/b", "twice");
	refuses("none protocols=TLSv1.2", "no meaning at the level none");
	refuses("encrypt protocols=TLSv9", "TLSv9");
	refuses("encrypt protocols=!SSLv3 protocols=TLSv1.2", "twice");
	refuses("encrypt ciphers=good", "good");
	refuses("encrypt ciphers=high ciphers=high", "twice");
	refuses("encrypt servername=", "server's name");
	refuses("encrypt servername=a/b", "server's name");
	refuses("encrypt connection_reuse=perhaps", "yes");
}

static void
main_cf_completes_what_a_policy_leaves_out(void **state)
{
	struct security	s;

	(void)state;
	security_prepare();
	s = completed("may", &domain);
	assert_string_equal(s.protocols, ">=TLSv1.2");
	assert_string_equal(s.ciphers, "medium");
	assert_int_equal(s.match_count, 0);
	s = completed("encrypt exclude=kRSA", &domain);
	assert_string_equal(s.exclude, "kRSA aNULL eNULL");
	s = completed("verify", &domain);
	assert_int_equal(s.match_count, 1);
	assert_string_equal(s.matches[0], "hostname");
	assert_non_null(strstr(s.exclude, "aNULL"));
	s = completed("secure servername=nexthop", &domain);
	assert_int_equal(s.match_count, 2);
	assert_string_equal(s.matches[0], "example.com");
	assert_string_equal(s.matches[1], ".example.com");
	assert_string_equal(s.servername, "example.com");
}

static void
equal_policies_are_the_same_word_and_others_are_not(void **state)
{
	static const char *const values[] = { "none", "may", "encrypt",
	    "verify", "secure", "secure match=example.com",
	    "encrypt ciphers=high", "encrypt protocols=TLSv1.3",
	    "encrypt servername=a.example", "encrypt exclude=kRSA",
	    "secure tafile=/a", "secure tafile=/b" };
	enum { COUNT = sizeof(values) / sizeof(values[0]) };
	const char	*texts[COUNT];
	size_t		 i, k;

	(void)state;
	set.tls.policy_anchors = (char *)(uintptr_t)"/a, /b";
	security_prepare();
	for (i = 0; i < COUNT; i++) {
		texts[i] = completed(values[i], &domain).text;
		assert_null(strpbrk(texts[i], " \t"));
		assert_string_equal(completed(values[i], &domain).text,
		    texts[i]);
		for (k = 0; k < i; k++)
			assert_string_not_equal(texts[i], texts[k]);
	}
}

/* What a level cannot be completed for. */
static void
fails(const char *value, const struct nexthop *hop, const char *words)
{
	struct security	s = parsed(value);
	const char	*why;

	security_prepare();
	why = security_complete(pool, hop, &s);
	assert_non_null(why);
	if (strstr(why, words) == NULL)
		fail_msg("%s: \"%s\" has no \"%s\"", value, why, words);
}

static void
what_cannot_be_done_is_refused(void **state)
{
	(void)state;
	fails("dane", &domain, "TLSA");
	fails("dane-only", &domain, "TLSA");
	fails("secure tafile=/a", &domain, "smtp_tls_policy_anchor_files");
	fails("fingerprint", &domain, "smtp_tls_fingerprint_cert_match");
	set.tls.fingerprint_match = (char *)(uintptr_t)"12:34";
	fails("fingerprint", &domain, "smtp_tls_fingerprint_cert_match");
	set.tls.mandatory_protocols = (char *)(uintptr_t)"TLSv9";
	fails("encrypt", &domain, "smtp_tls_mandatory_protocols = TLSv9");
	(void)completed("may", &domain);
	set.tls.ciphers = (char *)(uintptr_t)"best";
	fails("may", &domain, "smtp_tls_ciphers = best");
	set.tls.secure_match = (char *)(uintptr_t)"";
	set.tls.mandatory_protocols = (char *)(uintptr_t)">=TLSv1.2";
	fails("secure", &domain, "smtp_tls_secure_cert_match");
}

static void
wrappermode_is_for_encrypt_and_stronger(void **state)
{
	(void)state;
	set.tls.is_wrapped = true;
	fails("none", &domain, "smtp_tls_wrappermode");
	fails("may", &domain, "smtp_tls_wrappermode");
	(void)completed("encrypt", &domain);
	fails("may", &path, "smtp_tls_wrappermode");
}

static void
unix_socket_needs_no_opportunistic_tls(void **state)
{
	(void)state;
	security_prepare();
	assert_int_equal(completed("may", &path).level, TLS_LEVEL_NONE);
	assert_string_equal(completed("may", &path).text, "none");
	assert_int_equal(completed("encrypt", &path).level,
	    TLS_LEVEL_ENCRYPT);
}

static void
tls_is_wanted_by_any_of_its_switches(void **state)
{
	(void)state;
	security_prepare();
	assert_false(security_is_wanted());
	set.tls.is_used = true;
	security_prepare();
	assert_true(security_is_wanted());
	set.tls.is_used = false;
	set.tls.policy_maps = (char *)(uintptr_t)"hash:/x";
	security_prepare();
	assert_true(security_is_wanted());
	set.tls.policy_maps = (char *)(uintptr_t)"";
	set.tls.level = (char *)(uintptr_t)"may";
	security_prepare();
	assert_true(security_is_wanted());
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define CLAIM_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		CLAIM_OF(policy_has_a_level_and_attributes),
		CLAIM_OF(match_may_come_several_times),
		CLAIM_OF(mistake_in_a_policy_is_told),
		CLAIM_OF(main_cf_completes_what_a_policy_leaves_out),
		CLAIM_OF(equal_policies_are_the_same_word_and_others_are_not),
		CLAIM_OF(what_cannot_be_done_is_refused),
		CLAIM_OF(wrappermode_is_for_encrypt_and_stronger),
		CLAIM_OF(unix_socket_needs_no_opportunistic_tls),
		CLAIM_OF(tls_is_wanted_by_any_of_its_switches)
	};

	return cmocka_run_group_tests_name("security", tests, NULL, NULL);
}
