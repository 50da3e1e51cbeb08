/*
 * tickets.c - sessions resumed, and those that are not; with resume.c, whose
 * client keeps them.
 */
#include "t/common/tls/pair.h"

static struct shelf		 shelf;
static struct issued		 rsa, ec;
static struct tls_setup		 setup;
static struct tls_context	*server, *client;

static int
set_up(void **state)
{
	const struct issued	*all[] = { &rsa, &ec };

	open_all(state);
	rsa = issue("RSA", "mx.example", "DNS:mx.example", 30, NULL, false);
	ec = issue("EC", "mx.example", "DNS:mx.example", 30, NULL, false);
	shelf.rows[0].name = "";
	shelf.rows[0].identity = identity_of(all, 2);
	return 0;
}

static int
tear_down(void **state)
{
	shelf_empty(&shelf);
	forget_issued(&rsa);
	forget_issued(&ec);
	return close_all(state);
}

/* New contexts with one key for tickets. */
static int
refresh(void **state)
{
	struct tls_setup	of_client = plain_setup(TLS_CLIENT);

	(void)state;
	shelf.tickets[0] = ticket_key('a');
	shelf.ticket_count = 1;
	setup = plain_setup(TLS_SERVER);
	setup.source = shelf_source(&shelf);
	server = new_context(&setup);
	client = new_context(&of_client);
	return 0;
}

static struct meeting	last;

/* Meet; is the session a resumed one? Both sides say the same. */
static bool
resumes(struct tls_context *with, const char *protocols, const char *resume,
    const char *sni)
{
	arrange(&last, with, client);
	last.client.wishes.protocols = protocols;
	last.client.wishes.resume = resume;
	last.client.wishes.sni = sni;
	last.server.then = last.client.then = say_hello;
	meet(&last);
	assert_int_equal(last.server.result, 0);
	assert_int_equal(last.client.result, 0);
	assert_int_equal(last.server.sum.is_resumed,
	    last.client.sum.is_resumed);
	return last.client.sum.is_resumed;
}

static void
both_versions_resume(void **state)
{
	static const char *const	words[] = { "TLSv1.2", "TLSv1.3" };
	size_t				i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_false(resumes(server, words[i], "mx", NULL));
		assert_true(resumes(server, words[i], "mx", NULL));
		assert_true(resumes(server, words[i], "mx", NULL));
		assert_string_equal(last.client.sum.peer_name, "mx.example");
		assert_string_not_equal(last.client.sum.fingerprint, "");
		assert_string_equal(last.client.sum.server_signature, "");
	}
	assert_string_equal(last.client.sum.key_exchange, "X25519");
}

static void
x2_not_in_another_service_or_under_another_policy(void **state)
{
	struct tls_setup	other = setup;

	(void)state;
	assert_false(resumes(server, "TLSv1.3", "mx", NULL));
	other.service = "submission/inet";
	assert_false(resumes(new_context(&other), "TLSv1.3", "mx", NULL));
	other = setup;
	other.asks_certificate = true;
	assert_false(resumes(new_context(&other), "TLSv1.3", "mx", NULL));
	assert_false(resumes(server, "TLSv1.2", "mx", NULL));
	other = setup;
	other.service = "submission/inet";
	assert_false(resumes(new_context(&other), "TLSv1.2", "mx", NULL));
	assert_true(resumes(new_context(&setup), "TLSv1.2", "mx", NULL) ||
	    resumes(new_context(&setup), "TLSv1.2", "mx", NULL));
}

/* An authority that was taken out of the file is trusted no more, though the
 * file's name is the same. */
static void
x2_nor_by_those_who_trust_others_now(void **state)
{
	static const char *const	words[] = { "TLSv1.2", "TLSv1.3" };
	struct issued			ca = issue("EC", "CA", NULL, 30, NULL,
					    true);
	struct tls_context		*all, *fewer;
	X509				*two[] = { ca.certificate,
					    rsa.certificate };
	const char			*path;
	size_t				i;

	(void)state;
	path = pem_file(two, 2);
	setup.ca_file = path;
	all = new_context(&setup);
	assert_int_equal(rename(pem_file(two, 1), path), 0);
	fewer = new_context(&setup);
	for (i = 0; i < 2; i++) {
		assert_false(resumes(all, words[i], "mx", NULL));
		assert_true(resumes(all, words[i], "mx", NULL));
		assert_false(resumes(fewer, words[i], "mx", NULL));
	}
	unlink(path);
	forget_issued(&ca);
}

/* Is it done? If not, what there is to wait for comes soon. */
static bool
is_done(SSL *ssl, int result)
{
	int	what = SSL_get_error(ssl, result);

	if (what != SSL_ERROR_NONE && what != SSL_ERROR_WANT_READ &&
	    what != SSL_ERROR_WANT_WRITE)
		fail_msg("%d: %s", what,
		    ERR_error_string(ERR_get_error(), NULL));
	ERR_clear_error();
	if (result != 1)
		fiber_sleep(1);
	return result == 1;
}

/* A client that does not wait until he is heard. */
static void
speak_early(void *arg)
{
	struct party	*p = arg;
	SSL_CTX		*c = SSL_CTX_new_ex(tls_library(), NULL,
			    TLS_client_method());
	SSL		*ssl = SSL_new(c);
	SSL_SESSION	*session = p->arg;
	size_t		 n;
	char		 heard[64] = "";
	int		 fd = io_fd(p->io), what = 0;

	SSL_set_fd(ssl, fd);
	SSL_set_session_id_context(ssl, client->policy, KEY_SIZE);
	assert_int_equal(SSL_SESSION_set_max_early_data(session, 16000), 1);
	assert_int_equal(SSL_set_session(ssl, session), 1);
	while (!is_done(ssl, SSL_write_early_data(ssl, "early\r\n", 7, &n)))
		continue;
	while (!is_done(ssl, SSL_connect(ssl)))
		continue;
	what = SSL_get_early_data_status(ssl);
	while (!is_done(ssl, SSL_write_ex(ssl, "late\r\n", 6, &n)))
		continue;
	while (!is_done(ssl, SSL_read_ex(ssl, heard, sizeof heard - 1, &n)))
		continue;
	assert_int_equal(what, SSL_EARLY_DATA_REJECTED);
	assert_string_equal(heard, "<late>");
	SSL_free(ssl);
	SSL_CTX_free(c);
	io_close(p->io);
	p->io = NULL;
}

/* Tell what was heard. */
static void
echo(struct party *p)
{
	char	*line;
	size_t	 len;

	assert_int_equal(io_line(p->io, &line, &len, 100, NULL), 1);
	assert_int_equal(io_printf(p->io, "<%s>", line), 0);
	assert_int_equal(io_flush(p->io), 0);
	while (p->other->io != NULL)
		fiber_sleep(1);
}

/* X1, on the wire: RFC 8446 8 (replays). */
static void
x1_what_is_said_early_is_not_heard(void **state)
{
	struct meeting	m;

	(void)state;
	assert_false(resumes(server, "TLSv1.3", "mx", NULL));
	assert_int_equal(client->kept_count, 1);	/* one ticket, no more */
	arrange(&m, server, client);
	m.client.arg = TAILQ_FIRST(&client->kept)->session;
	m.server.then = echo;
	fiber_start(attend, &m.server);
	fiber_start(speak_early, &m.client);
	loop_run();
	assert_int_equal(m.server.result, 0);
	assert_true(m.server.sum.is_resumed);
}

static void
q1_only_by_the_same_text_and_wishes(void **state)
{
	(void)state;
	assert_false(resumes(server, "TLSv1.3", "mx1", NULL));
	assert_false(resumes(server, "TLSv1.3", "mx2", NULL));
	assert_false(resumes(server, "TLSv1.3", NULL, NULL));
	assert_false(resumes(server, "TLSv1.3", "mx1", "mx.example"));
	assert_false(resumes(server, ">=TLSv1.3", "mx1", NULL));
	assert_true(resumes(server, "TLSv1.3", "mx1", NULL));
}

/* When the freshest session that is kept is over. */
static int64_t
end_of_kept(void)
{
	struct kept	*k = TAILQ_FIRST(&client->kept);

	assert_non_null(k);
	return (int64_t)SSL_SESSION_get_time(k->session) +
	    SSL_SESSION_get_timeout(k->session);
}

/* However often a session is resumed: after its time who the server is has to
 * be shown again (RFC 8446 4.6.1). */
static void
q4_resuming_does_not_lengthen_a_life(void **state)
{
	static const char *const	words[] = { "TLSv1.2", "TLSv1.3" };
	SSL_SESSION			*kept;
	int64_t				 end;
	size_t				 i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_false(resumes(server, words[i], words[i], NULL));
		kept = TAILQ_FIRST(&client->kept)->session;
		SSL_SESSION_set_time(kept, SSL_SESSION_get_time(kept) - 1800);
		end = end_of_kept();
		assert_true(resumes(server, words[i], words[i], NULL));
		assert_true(end_of_kept() <= end);
		assert_true(resumes(server, words[i], words[i], NULL));
		assert_true(end_of_kept() <= end);
	}
}

static void
q4_a_session_ends_with_its_certificate(void **state)
{
	const struct issued	*all[] = { &rsa };
	struct tls_setup	 other = setup;
	struct shelf		 brief = shelf;

	(void)state;
	X509_gmtime_adj(X509_getm_notAfter(rsa.certificate), 600);
	X509_sign(rsa.certificate, rsa.key, EVP_sha256());
	brief.rows[0].identity = identity_of(all, 1);
	other.source = shelf_source(&brief);
	assert_false(resumes(new_context(&other), "", "mx", NULL));
	assert_true(end_of_kept() <= (int64_t)time(NULL) + 600);
	X509_gmtime_adj(X509_getm_notAfter(rsa.certificate), 86400 * 30);
	X509_sign(rsa.certificate, rsa.key, EVP_sha256());
	tls_identity_release(brief.rows[0].identity);
}

/* Many hosts with much to say would fill our memory with it. */
static void
q3_a_session_with_a_huge_certificate_is_not_kept(void **state)
{
	static const char *const	words[] = { "TLSv1.2", "TLSv1.3" };
	struct tls_setup		other = setup;
	struct shelf			crowd = shelf;
	struct issued			huge;
	const struct issued		*all[] = { &huge };
	struct str			names;
	size_t				i;

	(void)state;
	str_init(&names, pool, 0);
	for (i = 0; i < 1500; i++)
		str_addf(&names, "%sDNS:name-%zu.of.example",
		    i == 0 ? "" : ",", i);
	huge = issue("EC", "huge", names.data, 30, NULL, false);
	crowd.rows[0].identity = identity_of(all, 1);
	other.source = shelf_source(&crowd);
	for (i = 0; i < 2; i++) {
		assert_false(resumes(new_context(&other), words[i], "mx",
		    NULL));
		assert_int_equal(client->kept_count, 0);
	}
	tls_identity_release(crowd.rows[0].identity);
	forget_issued(&huge);
}

/* A host whose certificate does not do is asked to show it again: it may have
 * another one by then. */
static void
q5_what_was_not_verified_is_not_resumed(void **state)
{
	static const char *const	words[] = { "TLSv1.2", "TLSv1.3" };
	const char			*match = "other.example";
	size_t				 i;
	int				 n;

	(void)state;
	for (i = 0; i < 4; i++)
		for (n = 0; n < 2; n++) {
			arrange(&last, server, client);
			last.client.wishes.protocols = words[i % 2];
			last.client.wishes.resume = "mx";
			last.client.wishes.level = i < 2 ? TLS_LEVEL_SECURE :
			    TLS_LEVEL_FINGERPRINT;
			last.client.wishes.matches = &match;
			last.client.wishes.match_count = 1;
			last.server.then = last.client.then = say_hello;
			meet(&last);
			assert_int_equal(last.client.sum.trust,
			    TLS_UNTRUSTED);
			assert_false(last.client.sum.is_resumed);
		}
	assert_int_equal(client->kept_count, 0);
}

/* Show the server the same session under another name. */
static void
q1b_a_server_does_not_resume_under_another_name(void **state)
{
	struct tls_wishes	 wishes = plain_wishes(), other;
	unsigned char		 key[KEY_SIZE];
	struct kept		*k;

	(void)state;
	assert_false(resumes(server, "TLSv1.3", "mx", "a.example"));
	wishes.protocols = "TLSv1.3";
	wishes.resume = "mx";
	wishes.sni = "a.example";
	other = wishes;
	other.sni = "b.example";
	resume_key(key, &other);
	k = TAILQ_FIRST(&client->kept);
	assert_non_null(k);
	memcpy(k->key, key, KEY_SIZE);		/* a client that cheats */
	SSL_SESSION_set1_hostname(k->session, "b.example");
	assert_false(resumes(server, "TLSv1.3", "mx", "b.example"));
	assert_int_equal(last.server.result, 0);
}

static void
q2_a_ticket_of_tls_1_3_is_used_once(void **state)
{
	struct tls_wishes	 wishes = plain_wishes();
	unsigned char		 key[KEY_SIZE];
	SSL_SESSION		*session;

	(void)state;
	assert_false(resumes(server, "", "mx", NULL));
	wishes.resume = "mx";
	resume_key(key, &wishes);
	session = resume_take(client, key);
	assert_non_null(session);
	SSL_SESSION_free(session);
	assert_null(resume_take(client, key));
}

static void
q3_there_are_not_many_of_them(void **state)
{
	size_t	i;

	(void)state;
	for (i = 0; i < 4; i++)
		(void)resumes(server, "TLSv1.2", NULL, NULL);
	assert_int_equal(client->kept_count, 0);
	for (i = 0; i < 530; i++)
		(void)resumes(server, "TLSv1.3", pool_printf(pool, "%zu", i),
		    NULL);
	assert_int_equal(client->kept_count, 512);
	assert_false(resumes(server, "TLSv1.3", "0", NULL));
	assert_true(resumes(server, "TLSv1.3", "529", NULL));
}

static void
a_key_that_was_replaced_is_believed_until_it_ends(void **state)
{
	(void)state;
	assert_false(resumes(server, "TLSv1.3", "mx", NULL));
	shelf.tickets[1] = shelf.tickets[0];
	shelf.tickets[1].fresh_until = 0;
	shelf.tickets[0] = ticket_key('b');
	shelf.ticket_count = 2;
	assert_true(resumes(server, "TLSv1.3", "mx", NULL));
	shelf.ticket_count = 1;
	assert_true(resumes(server, "TLSv1.3", "mx", NULL));
	shelf.tickets[0] = ticket_key('c');
	assert_false(resumes(server, "TLSv1.3", "mx", NULL));
	shelf.tickets[0].valid_until = 1;
	assert_false(resumes(server, "TLSv1.3", "mx", NULL));
}

static void
without_keys_there_are_no_tickets(void **state)
{
	(void)state;
	shelf.ticket_count = 0;
	assert_false(resumes(server, "TLSv1.3", "mx", NULL));
	assert_int_equal(client->kept_count, 0);
	assert_false(resumes(server, "TLSv1.3", "mx", NULL));
	assert_false(resumes(server, "TLSv1.2", "mx", NULL));
	assert_false(resumes(server, "TLSv1.2", "mx", NULL));
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup(both_versions_resume, refresh),
		cmocka_unit_test_setup(
		    x2_not_in_another_service_or_under_another_policy, refresh),
		cmocka_unit_test_setup(x2_nor_by_those_who_trust_others_now,
		    refresh),
		cmocka_unit_test_setup(x1_what_is_said_early_is_not_heard,
		    refresh),
		cmocka_unit_test_setup(q1_only_by_the_same_text_and_wishes,
		    refresh),
		cmocka_unit_test_setup(
		    q1b_a_server_does_not_resume_under_another_name, refresh),
		cmocka_unit_test_setup(q2_a_ticket_of_tls_1_3_is_used_once,
		    refresh),
		cmocka_unit_test_setup(q3_there_are_not_many_of_them, refresh),
		cmocka_unit_test_setup(
		    q3_a_session_with_a_huge_certificate_is_not_kept, refresh),
		cmocka_unit_test_setup(q4_resuming_does_not_lengthen_a_life,
		    refresh),
		cmocka_unit_test_setup(q4_a_session_ends_with_its_certificate,
		    refresh),
		cmocka_unit_test_setup(
		    q5_what_was_not_verified_is_not_resumed, refresh),
		cmocka_unit_test_setup(
		    a_key_that_was_replaced_is_believed_until_it_ends, refresh),
		cmocka_unit_test_setup(without_keys_there_are_no_tickets,
		    refresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
