/*
 * context.c - what is loaded at start, and what is refused there.
 */
#include <sys/stat.h>

#include "t/common/tls/pair.h"

/* Why there is no context with this setup; NULL: there is one. */
static const char *
refusal(const struct tls_setup *setup)
{
	const char	*why = NULL;

	return tls_context_new(pool, setup, &why) == NULL ? why : NULL;
}

static void
what_cannot_be_loaded_is_told_by_name(void **state)
{
	struct tls_setup	setup = plain_setup(TLS_CLIENT);

	(void)state;
	assert_null(refusal(&setup));
	setup.ca_file = "/nonexistent/ca.pem";
	assert_non_null(strstr(refusal(&setup),
	    "/nonexistent/ca.pem: No such file"));
	setup.ca_file = "/proc/self/cmdline";
	assert_non_null(strstr(refusal(&setup), "no certificate in it"));
	setup.ca_file = "";
	setup.ca_path = "/nonexistent";
	assert_non_null(strstr(refusal(&setup), "/nonexistent: "));
	setup.ca_path = "";
	setup.digest = "md17";
	assert_non_null(strstr(refusal(&setup), "md17"));
}

/* A service that waits for ever at its start is told by nobody. */
static void
what_has_no_end_is_refused_and_not_waited_for(void **state)
{
	char			 path[] = "/tmp/prt-tls-XXXXXX";
	struct tls_setup	 setup = plain_setup(TLS_CLIENT);
	char			*fifo, *hashed;

	(void)state;
	assert_non_null(mkdtemp(path));
	fifo = pool_printf(pool, "%s/fifo", path);
	hashed = pool_printf(pool, "%s/01234567.0", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(mkfifo(hashed, 0600), 0);
	alarm(20);
	setup.ca_file = fifo;
	assert_non_null(strstr(refusal(&setup), "fifo: expected a regular"));
	setup.ca_file = "/dev/zero";
	assert_non_null(strstr(refusal(&setup), "expected a regular file"));
	setup.ca_file = "";
	setup.ca_path = path;
	assert_null(refusal(&setup));		/* told and left out */
	alarm(0);
	unlink(fifo);
	unlink(hashed);
	assert_int_equal(rmdir(path), 0);
}

static void
a_damaged_file_is_not_half_trusted(void **state)
{
	struct tls_setup	setup = plain_setup(TLS_CLIENT);
	struct issued		ca = issue("EC", "CA", NULL, 30, NULL, true);
	X509			*two[] = { ca.certificate, ca.certificate };
	FILE			*file;

	(void)state;
	setup.ca_file = pem_file(two, 2);
	assert_null(refusal(&setup));
	file = fopen(setup.ca_file, "a");
	assert_non_null(file);
	fputs("-----BEGIN CERTIFICATE-----\nMIIB\n", file);
	fclose(file);
	assert_non_null(strstr(refusal(&setup), "damaged"));
	unlink(setup.ca_file);
	forget_issued(&ca);
}

static void
the_library_reads_no_configuration(void **state)
{
	(void)state;
	assert_ptr_equal(tls_library(), tls_library());
	assert_int_equal(OSSL_PROVIDER_available(tls_library(), "default"),
	    1);
	assert_int_equal(OSSL_PROVIDER_available(tls_library(), "legacy"),
	    0);
}

static void
x1_what_every_session_has(void **state)
{
	struct tls_setup	 setup = plain_setup(TLS_SERVER);
	struct tls_wishes	 wishes = plain_wishes();
	struct tls_context	*c;
	const char		*why;
	SSL_CTX			*ssl;

	(void)state;
	c = new_context(&setup);
	ssl = context_profile(c, &wishes, pool, &why);
	assert_non_null(ssl);
	assert_true(SSL_CTX_get_options(ssl) & SSL_OP_NO_RENEGOTIATION);
	assert_true(SSL_CTX_get_options(ssl) & SSL_OP_NO_COMPRESSION);
	assert_true(SSL_CTX_get_options(ssl) & SSL_OP_CLEANSE_PLAINTEXT);
	assert_false(SSL_CTX_get_options(ssl) & SSL_OP_IGNORE_UNEXPECTED_EOF);
	assert_true(SSL_CTX_get_mode(ssl) & SSL_MODE_RELEASE_BUFFERS);
	assert_int_equal(SSL_CTX_get_max_early_data(ssl), 0);
	assert_int_equal(SSL_CTX_get_max_cert_list(ssl), 100 * 1024);
	assert_int_equal(SSL_CTX_get_min_proto_version(ssl), TLS1_2_VERSION);
	assert_int_equal(SSL_CTX_get_verify_depth(ssl), 9);
}

static void
a_profile_is_made_once_and_the_oldest_goes(void **state)
{
	struct tls_setup	 setup = plain_setup(TLS_CLIENT);
	struct tls_wishes	 wishes = plain_wishes();
	struct tls_context	*c = new_context(&setup);
	const char		*why;
	SSL_CTX			*first, *held;
	int			 i;

	(void)state;
	first = context_profile(c, &wishes, pool, &why);
	assert_ptr_equal(context_profile(c, &wishes, pool, &why), first);
	wishes.is_mandatory = true;
	held = context_profile(c, &wishes, pool, &why);
	assert_ptr_not_equal(held, first);
	SSL_CTX_up_ref(held);
	for (i = 0; i < 40; i++) {
		wishes.exclude = pool_printf(pool, "X%d", i);
		assert_non_null(context_profile(c, &wishes, pool, &why));
	}
	wishes.exclude = "";
	assert_ptr_not_equal(context_profile(c, &wishes, pool, &why), held);
	SSL_CTX_free(held);
}

static void
bad_wishes_fail_and_do_not_weaken(void **state)
{
	struct tls_setup	 setup = plain_setup(TLS_CLIENT);
	struct tls_wishes	 wishes = plain_wishes();
	struct tls_context	*c = new_context(&setup);
	const char		*why = NULL;

	(void)state;
	wishes.protocols = "TLSv1.7";
	assert_null(context_profile(c, &wishes, pool, &why));
	assert_non_null(strstr(why, "TLSv1.7"));
	wishes.protocols = "";
	wishes.ciphers = "best";
	assert_null(context_profile(c, &wishes, pool, &why));
	assert_non_null(strstr(why, "best"));
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(what_cannot_be_loaded_is_told_by_name),
		cmocka_unit_test(what_has_no_end_is_refused_and_not_waited_for),
		cmocka_unit_test(a_damaged_file_is_not_half_trusted),
		cmocka_unit_test(the_library_reads_no_configuration),
		cmocka_unit_test(x1_what_every_session_has),
		cmocka_unit_test(a_profile_is_made_once_and_the_oldest_goes),
		cmocka_unit_test(bad_wishes_fail_and_do_not_weaken),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
