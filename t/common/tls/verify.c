/*
 * verify.c - how much a client believes a server, and a server a client.
 */
#include "t/common/tls/pair.h"

static struct shelf	 shelf, of_client;
static struct issued	 root, middle, good, old, stranger, common_only, weak;
static const char	*roots, *middles;

static int
set_up(void **state)
{
	(void)state;
	open_all(state);
	root = issue("EC", "Root \"CA\"", NULL, 30, NULL, true);
	middle = issue("EC", "Middle", NULL, 30, &root, true);
	good = issue("EC", "cn.example",
	    "DNS:mx.example,DNS:*.wild.example", 30, &root, false);
	old = issue("EC", "mx.example", "DNS:mx.example", -1, &root, false);
	stranger = issue("EC", "mx.example", "DNS:mx.example", 30, NULL,
	    false);
	common_only = issue("EC", "cn.example", NULL, 30, &middle, false);
	weak = issue("RSA1024", "mx.example", "DNS:mx.example", 30, &root,
	    false);
	roots = pem_file(&root.certificate, 1);
	middles = pem_file(&middle.certificate, 1);
	return 0;
}

static int
tear_down(void **state)
{
	struct issued	*all[] = { &root, &middle, &good, &old, &stranger,
			    &common_only, &weak };
	size_t		 i;

	for (i = 0; i < sizeof all / sizeof *all; i++)
		forget_issued(all[i]);
	unlink(roots);
	unlink(middles);
	shelf_empty(&shelf);
	shelf_empty(&of_client);
	return close_all(state);
}

/* Meet a server with this certificate at this level; what the client
 * thinks. */
static struct tls_summary
judge_with(const struct issued *certificate, const char *ca_file,
    const struct tls_wishes *wishes)
{
	const struct issued	*all[] = { certificate };
	struct tls_setup	 ours = plain_setup(TLS_SERVER);
	struct tls_setup	 theirs = plain_setup(TLS_CLIENT);
	struct tls_context	*client;
	struct meeting		 m;
	const char		*why;

	shelf_empty(&shelf);
	shelf.rows[0].name = "";
	shelf.rows[0].identity = identity_of(all, 1);
	ours.source = shelf_source(&shelf);
	theirs.ca_file = ca_file;
	client = new_context(&theirs);
	if (wishes->has_anchors)
		assert_int_equal(tls_context_anchors(client,
		    wishes->anchor_file, &why), 0);
	arrange(&m, new_context(&ours), client);
	m.client.wishes = *wishes;
	meet(&m);
	assert_string_equal(m.client.why, "");
	assert_int_equal(m.client.result, 0);
	return m.client.sum;
}

static struct tls_summary
judge(const struct issued *certificate, const char *ca_file,
    enum tls_level level, const char *match)
{
	struct tls_wishes	wishes = plain_wishes();

	wishes.level = level;
	wishes.matches = &match;
	wishes.match_count = match == NULL ? 0 : 1;
	return judge_with(certificate, ca_file, &wishes);
}

static void
v1_a_good_chain_is_trusted_and_no_other(void **state)
{
	struct tls_summary	s;

	(void)state;
	s = judge(&good, roots, TLS_LEVEL_MAY, NULL);
	assert_int_equal(s.trust, TLS_TRUSTED);
	assert_string_equal(s.peer_name, "cn.example");
	assert_string_equal(s.issuer, "Root \"CA\"");
	assert_string_equal(s.doubt, "");
	s = judge(&good, "", TLS_LEVEL_MAY, NULL);
	assert_int_equal(s.trust, TLS_UNTRUSTED);
	assert_non_null(strstr(s.doubt, "untrusted issuer Root"));
	s = judge(&old, roots, TLS_LEVEL_SECURE, "mx.example");
	assert_int_equal(s.trust, TLS_UNTRUSTED);
	assert_non_null(strstr(s.doubt, "expired"));
	s = judge(&stranger, roots, TLS_LEVEL_SECURE, "mx.example");
	assert_int_equal(s.trust, TLS_UNTRUSTED);
	assert_string_equal(s.doubt, "self-signed certificate");
}

static void
v2_a_name_that_was_wanted_verifies(void **state)
{
	struct tls_summary	s;

	(void)state;
	s = judge(&good, roots, TLS_LEVEL_VERIFY, "mx.example");
	assert_int_equal(s.trust, TLS_VERIFIED);
	assert_string_equal(s.peer_name, "mx.example");
	s = judge(&good, roots, TLS_LEVEL_SECURE, "a.wild.example");
	assert_int_equal(s.trust, TLS_VERIFIED);
	s = judge(&good, roots, TLS_LEVEL_SECURE, ".wild.example");
	assert_int_equal(s.trust, TLS_VERIFIED);
	s = judge(&good, roots, TLS_LEVEL_SECURE, "cn.example");
	assert_int_equal(s.trust, TLS_TRUSTED);
	assert_non_null(strstr(s.doubt,
	    "server certificate does not match cn.example"));
	s = judge(&good, roots, TLS_LEVEL_SECURE, NULL);
	assert_int_equal(s.trust, TLS_TRUSTED);
}

static void
a_common_name_counts_only_alone(void **state)
{
	struct tls_wishes	wishes = plain_wishes();
	const char		*match = "cn.example";
	struct tls_summary	s;

	(void)state;
	wishes.level = TLS_LEVEL_SECURE;
	wishes.matches = &match;
	wishes.match_count = 1;
	wishes.has_anchors = true;
	wishes.anchor_file = middles;
	s = judge_with(&common_only, "", &wishes);
	assert_int_equal(s.trust, TLS_VERIFIED);
}

static void
anchors_are_trusted_alone(void **state)
{
	struct tls_wishes	wishes = plain_wishes();
	const char		*match = "mx.example";

	(void)state;
	wishes.level = TLS_LEVEL_SECURE;
	wishes.matches = &match;
	wishes.match_count = 1;
	wishes.has_anchors = true;
	wishes.anchor_file = middles;
	assert_int_equal(judge_with(&good, roots, &wishes).trust,
	    TLS_UNTRUSTED);
	wishes.anchor_file = roots;
	assert_int_equal(judge_with(&good, "", &wishes).trust, TLS_VERIFIED);
}

static void
anchors_that_were_not_loaded_end_it(void **state)
{
	struct tls_setup	setup = plain_setup(TLS_CLIENT);
	struct meeting		m;

	(void)state;
	arrange(&m, NULL, new_context(&setup));
	m.client.wishes.has_anchors = true;
	m.client.wishes.anchor_file = roots;
	fiber_start(attend, &m.client);
	loop_run();
	assert_int_equal(m.client.result, -1);
	assert_non_null(strstr(m.client.why, "are not loaded"));
	io_close(m.server.io);
}

static void
fingerprints_of_certificate_and_key_verify(void **state)
{
	struct tls_summary	s, again;
	char			*lower;

	(void)state;
	s = judge(&stranger, "", TLS_LEVEL_FINGERPRINT, "AA:BB");
	assert_int_equal(s.trust, TLS_UNTRUSTED);
	assert_non_null(strstr(s.doubt, "does not match"));
	assert_int_equal(strlen(s.fingerprint), 32 * 3 - 1);
	assert_string_not_equal(s.fingerprint, s.key_fingerprint);
	again = judge(&stranger, "", TLS_LEVEL_FINGERPRINT, s.fingerprint);
	assert_int_equal(again.trust, TLS_VERIFIED);
	assert_string_equal(again.doubt, "");
	lower = pool_strdup(pool, s.key_fingerprint);
	for (char *c = lower; *c != '\0'; c++)
		*c = *c >= 'A' ? (char)(*c + 32) : *c;
	again = judge(&stranger, "", TLS_LEVEL_FINGERPRINT, lower);
	assert_int_equal(again.trust, TLS_VERIFIED);
	again = judge(&stranger, "", TLS_LEVEL_FINGERPRINT, "");
	assert_int_equal(again.trust, TLS_UNTRUSTED);
}

/* Tables have fingerprints without colons, too (smtp/policy.c). */
static void
a_fingerprint_may_be_without_colons(void **state)
{
	struct tls_summary	 s, again;
	char			*bare, *to;
	const char		*from;

	(void)state;
	s = judge(&stranger, "", TLS_LEVEL_FINGERPRINT, "AA:BB");
	bare = to = pool_strdup(pool, s.fingerprint);
	for (from = s.fingerprint; *from != '\0'; from++)
		if (*from != ':')
			*to++ = *from;
	*to = '\0';
	again = judge(&stranger, "", TLS_LEVEL_FINGERPRINT, bare);
	assert_int_equal(again.trust, TLS_VERIFIED);
	to[-1] = to[-1] == '0' ? '1' : '0';
	again = judge(&stranger, "", TLS_LEVEL_FINGERPRINT, bare);
	assert_int_equal(again.trust, TLS_UNTRUSTED);
	to[-2] = '\0';
	again = judge(&stranger, "", TLS_LEVEL_FINGERPRINT, bare);
	assert_int_equal(again.trust, TLS_UNTRUSTED);
	again = judge(&stranger, "", TLS_LEVEL_FINGERPRINT, ":::");
	assert_int_equal(again.trust, TLS_UNTRUSTED);
}

/* Signed again, after a change. */
static void
sign(struct issued *made, const struct issued *by)
{
	assert_true(X509_sign(made->certificate, by->key, EVP_sha256()) > 0);
}

/* A good certificate with one more extension. */
static struct issued
with_extension(const struct issued *by, int nid, const char *value)
{
	struct issued	made = issue("EC", "mx.example", "DNS:mx.example", 30,
			    by, false);

	add_extension(made.certificate, by->certificate, nid, value);
	sign(&made, by);
	return made;
}

/* Not believed, by this file of authorities. */
static void
is_untrusted(struct issued made, const char *by, const char *doubt)
{
	struct tls_summary	s = judge(&made, by, TLS_LEVEL_SECURE,
				    "mx.example");

	assert_int_equal(s.trust, TLS_UNTRUSTED);
	if (strstr(s.doubt, doubt) == NULL)
		fail_msg("\"%s\" has no \"%s\"", s.doubt, doubt);
	forget_issued(&made);
}

/* What X509_verify_cert() looks at is looked at. */
static void
v1_for_this_purpose_at_this_time_within_bounds(void **state)
{
	struct issued	bound = issue("EC", "Bound", NULL, 30, NULL, true);
	struct issued	made = issue("EC", "mx.example", "DNS:mx.example", 30,
			    &good, false);
	const char	*bounds;

	(void)state;
	is_untrusted(made, roots, "untrusted issuer");	/* of no authority */
	is_untrusted(with_extension(&root, NID_ext_key_usage, "clientAuth"),
	    roots, "purpose");
	is_untrusted(with_extension(&root, NID_key_usage, "keyCertSign"),
	    roots, "purpose");
	made = issue("EC", "mx.example", "DNS:mx.example", 30, &root, false);
	X509_gmtime_adj(X509_getm_notBefore(made.certificate), 86400);
	sign(&made, &root);
	is_untrusted(made, roots, "not yet valid");

	add_extension(bound.certificate, bound.certificate,
	    NID_name_constraints, "critical,permitted;DNS:other.example");
	sign(&bound, &bound);
	bounds = pem_file(&bound.certificate, 1);
	is_untrusted(issue("EC", "x", "DNS:mx.example", 30, &bound, false),
	    bounds, "permitted subtree");
	/* The common name has the same bounds where it counts. */
	is_untrusted(issue("EC", "mx.example", NULL, 30, &bound, false),
	    bounds, "permitted subtree");
	unlink(bounds);
	forget_issued(&bound);
}

/* "mx.example\0.evil.example" is no name, wherever it stands. */
static void
a_name_with_a_nul_is_none(void **state)
{
	static const char	 evil[] = "mx.example\0.evil.example";
	struct issued		 made;
	GENERAL_NAMES		*list = GENERAL_NAMES_new();
	GENERAL_NAME		*one = GENERAL_NAME_new();
	ASN1_IA5STRING		*text = ASN1_IA5STRING_new();
	size_t			 count;

	(void)state;
	made = issue("EC", NULL, NULL, 30, &root, false);
	assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(
	    made.certificate), "CN", MBSTRING_UTF8,
	    (const unsigned char *)evil, sizeof evil - 1, -1, 0), 1);
	(void)name_list(pool, made.certificate, &count);
	assert_int_equal(count, 0);
	assert_int_equal(ASN1_STRING_set(text, evil, sizeof evil - 1), 1);
	GENERAL_NAME_set0_value(one, GEN_DNS, text);
	assert_int_not_equal(sk_GENERAL_NAME_push(list, one), 0);
	assert_int_equal(X509_add1_ext_i2d(made.certificate,
	    NID_subject_alt_name, list, 0, 0), 1);
	(void)name_list(pool, made.certificate, &count);
	assert_int_equal(count, 0);
	GENERAL_NAMES_free(list);
	forget_issued(&made);
}

/* Names that cannot be read are not names that are not there. */
static void
a_common_name_does_not_replace_damaged_names(void **state)
{
	unsigned char		 junk[] = { 0x30, 0x7f, 0x82, 0x01 };
	ASN1_OCTET_STRING	*value = ASN1_OCTET_STRING_new();
	X509_EXTENSION		*extension;
	struct issued		 odd;
	const char		**names;
	size_t			 count;

	(void)state;
	odd = issue("EC", "mx.example", NULL, 30, &root, false);
	names = name_list(pool, odd.certificate, &count);
	assert_int_equal(count, 1);
	assert_string_equal(names[0], "mx.example");
	assert_int_equal(ASN1_OCTET_STRING_set(value, junk, sizeof junk), 1);
	extension = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name,
	    0, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(odd.certificate, extension, -1), 1);
	(void)name_list(pool, odd.certificate, &count);
	assert_int_equal(count, 0);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	forget_issued(&odd);
}

static void
mandatory_sessions_refuse_weak_keys(void **state)
{
	struct tls_wishes	wishes = plain_wishes();

	(void)state;
	wishes.level = TLS_LEVEL_MAY;
	assert_int_equal(judge_with(&weak, roots, &wishes).trust,
	    TLS_TRUSTED);
	/* The level of security is the client's, which looks at the key. */
	wishes.is_mandatory = true;
	wishes.level = TLS_LEVEL_SECURE;
	assert_int_equal(judge_with(&weak, roots, &wishes).trust,
	    TLS_UNTRUSTED);
}

/* --- certificates of clients -------------------------------------------- */

/* What a server that asks thinks of a client with this certificate. */
static void
show(const struct issued *certificate, const char *ca_file, bool needs,
    struct meeting *m)
{
	const struct issued	*ours[] = { &good }, *theirs[] = { certificate };
	struct tls_setup	 server = plain_setup(TLS_SERVER);
	struct tls_setup	 client = plain_setup(TLS_CLIENT);

	shelf_empty(&shelf);
	shelf_empty(&of_client);
	shelf.rows[0].name = of_client.rows[0].name = "";
	shelf.rows[0].identity = identity_of(ours, 1);
	if (certificate != NULL) {
		of_client.rows[0].identity = identity_of(theirs, 1);
		client.source = shelf_source(&of_client);
	}
	server.source = shelf_source(&shelf);
	server.ca_file = ca_file;
	server.asks_certificate = true;
	server.needs_certificate = needs;
	arrange(m, new_context(&server), new_context(&client));
	meet(m);
}

static void
a_server_tells_who_the_client_is(void **state)
{
	struct meeting	m;

	(void)state;
	show(&good, roots, false, &m);
	assert_int_equal(m.server.result, 0);
	assert_int_equal(m.server.sum.trust, TLS_TRUSTED);
	assert_string_equal(m.server.sum.peer_name, "cn.example");
	assert_string_equal(m.server.sum.client_signature, "ECDSA (P-256)");
	assert_string_equal(m.client.sum.client_signature, "ECDSA (P-256)");
	assert_string_equal(m.server.sum.client_digest, "SHA256");
	show(&stranger, roots, true, &m);
	assert_int_equal(m.server.result, 0);
	assert_int_equal(m.server.sum.trust, TLS_UNTRUSTED);
	assert_int_equal(strlen(m.server.sum.fingerprint), 95);
	show(NULL, roots, true, &m);
	assert_int_equal(m.server.result, 0);
	assert_int_equal(m.server.sum.trust, TLS_ANONYMOUS);
	assert_string_equal(m.server.sum.client_signature, "");
	assert_string_equal(m.client.sum.client_signature, "");
}

static void
a_huge_certificate_ends_the_handshake(void **state)
{
	struct str	names;
	struct issued	huge;
	struct meeting	m;
	int		i, of[] = { 1500, 6000 };
	size_t		n;

	(void)state;
	for (n = 0; n < 2; n++) {
		str_init(&names, pool, 0);
		for (i = 0; i < of[n]; i++)
			str_addf(&names, "%sDNS:name-%d.of.example",
			    i == 0 ? "" : ",", i);
		huge = issue("EC", "huge", names.data, 30, &root, false);
		show(&huge, roots, false, &m);
		assert_int_equal(m.server.result, n == 0 ? 0 : -1);
		forget_issued(&huge);
	}
	assert_non_null(strstr(m.server.why, "excessive message size"));
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(v1_a_good_chain_is_trusted_and_no_other),
		cmocka_unit_test(v2_a_name_that_was_wanted_verifies),
		cmocka_unit_test(a_common_name_counts_only_alone),
		cmocka_unit_test(anchors_are_trusted_alone),
		cmocka_unit_test(anchors_that_were_not_loaded_end_it),
		cmocka_unit_test(fingerprints_of_certificate_and_key_verify),
		cmocka_unit_test(a_fingerprint_may_be_without_colons),
		cmocka_unit_test(a_common_name_does_not_replace_damaged_names),
		cmocka_unit_test(
		    v1_for_this_purpose_at_this_time_within_bounds),
		cmocka_unit_test(a_name_with_a_nul_is_none),
		cmocka_unit_test(mandatory_sessions_refuse_weak_keys),
		cmocka_unit_test(a_server_tells_who_the_client_is),
		cmocka_unit_test(a_huge_certificate_ends_the_handshake),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
