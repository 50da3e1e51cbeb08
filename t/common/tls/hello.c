/*
 * hello.c - which name is called (SNI), which protocol is offered (ALPN).
 */
#include "t/common/tls/pair.h"

static struct shelf		 shelf;
static struct issued		 standard, own, below;
static struct tls_context	*server, *client;

static int
set_up(void **state)
{
	const struct issued	*one[1];
	struct tls_setup	 setup = plain_setup(TLS_SERVER);

	open_all(state);
	standard = issue("EC", "default", NULL, 30, NULL, false);
	own = issue("EC", "own", NULL, 30, NULL, false);
	below = issue("EC", "below", NULL, 30, NULL, false);
	one[0] = &standard;
	shelf.rows[0].name = "";
	shelf.rows[0].identity = identity_of(one, 1);
	one[0] = &own;
	shelf.rows[1].name = "mx.a.example";
	shelf.rows[1].identity = identity_of(one, 1);
	one[0] = &below;
	shelf.rows[2].name = ".a.example";
	shelf.rows[2].identity = identity_of(one, 1);
	setup.source = shelf_source(&shelf);
	server = new_context(&setup);
	setup = plain_setup(TLS_CLIENT);
	client = new_context(&setup);
	return 0;
}

static int
tear_down(void **state)
{
	shelf_empty(&shelf);
	forget_issued(&standard);
	forget_issued(&own);
	forget_issued(&below);
	return close_all(state);
}

/* Whom a client meets that calls this name. */
static const char *
meet_as(const char *sni, struct meeting *m)
{
	arrange(m, server, client);
	m->client.wishes.sni = sni;
	shelf.asked[0] = '\0';
	meet(m);
	assert_int_equal(m->client.result, 0);
	return m->client.sum.peer_name;
}

static void
each_name_has_its_certificate(void **state)
{
	struct meeting	m;

	(void)state;
	assert_string_equal(meet_as(NULL, &m), "default");
	assert_string_equal(m.server.sum.sni, "");
	assert_string_equal(shelf.asked, "<>");
	assert_string_equal(meet_as("MX.A.example", &m), "own");
	assert_string_equal(m.server.sum.sni, "mx.a.example");
	assert_string_equal(shelf.asked, "<mx.a.example>");
	assert_string_equal(meet_as("x.y.a.example", &m), "below");
	assert_string_equal(shelf.asked,
	    "<x.y.a.example><.y.a.example><.a.example>");
	assert_string_equal(meet_as("a.example", &m), "default");
	assert_string_equal(shelf.asked, "<a.example><.example><>");
}

static void
h1_only_host_names_are_looked_for(void **state)
{
	static const char *const	names[] = { "a\\", "../../etc/x",
	    "%s%n", "a b", "x_y.example", ".a.example", "a..example", "mx.",
	    "m\xc3\xbcx.example" };
	struct meeting			m;
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof names / sizeof *names; i++) {
		assert_string_equal(meet_as(names[i], &m), "default");
		assert_string_equal(shelf.asked, "<>");
		assert_string_equal(m.server.sum.sni, "");
	}
}

static void
h2_a_name_of_many_labels_costs_nine_questions(void **state)
{
	struct meeting	m;
	char		name[256];
	size_t		i, count = 0;

	(void)state;
	for (i = 0; i < 251; i += 2)
		memcpy(name + i, "a.", 2);
	strlcpy(name + i, "b", sizeof name - i);
	assert_string_equal(meet_as(name, &m), "default");
	for (i = 0; shelf.asked[i] != '\0'; i++)
		count += shelf.asked[i] == '<';
	assert_in_range(count, 1, 9);
}

static void
finding_may_wait(void **state)
{
	struct meeting	m;

	(void)state;
	shelf.is_slow = true;
	assert_string_equal(meet_as("mx.a.example", &m), "own");
	m.client.wishes.protocols = "TLSv1.2";
	assert_string_equal(meet_as("x.a.example", &m), "below");
	shelf.is_slow = false;
}

static void
without_any_certificate_the_client_hears_an_alert(void **state)
{
	struct tls_setup	setup = plain_setup(TLS_SERVER);
	struct shelf		empty = { 0 };
	struct meeting		m;

	(void)state;
	setup.source = shelf_source(&empty);
	arrange(&m, new_context(&setup), client);
	meet(&m);
	assert_int_equal(m.server.result, -1);
	assert_string_equal(m.server.why, "there is no certificate");
	assert_int_equal(m.client.result, -1);
	assert_non_null(strstr(m.client.why, "alert internal error"));
}

/* A client that offers these protocols (length, name, ...). */
static void
offer(struct meeting *m, const char *offered, size_t len)
{
	struct tls_wishes	 wishes = plain_wishes();
	const char		*why;
	SSL_CTX			*profile;

	wishes.protocols = "TLSv1.2, TLSv1.3";
	profile = context_profile(client, &wishes, pool, &why);
	assert_int_equal(SSL_CTX_set_alpn_protos(profile,
	    (const unsigned char *)offered, (unsigned)len), 0);
	arrange(m, server, client);
	m->client.wishes.protocols = wishes.protocols;
}

static void
note_protocol(struct party *p)
{
	const unsigned char	*name;
	unsigned		 len;

	SSL_get0_alpn_selected(p->stream->ssl, &name, &len);
	strlcpy(p->arg, len == 0 ? "none" : pool_strndup(pool, name, len), 9);
}

static void
h3_other_protocols_are_refused(void **state)
{
	struct meeting	m;
	char		chosen[10] = "";

	(void)state;
	offer(&m, "\x8" "http/1.1" "\x2" "h2", 12);
	meet(&m);
	assert_int_equal(m.server.result, -1);
	assert_int_equal(m.client.result, -1);
	assert_non_null(strstr(m.client.why, "no application protocol"));

	offer(&m, "\x2" "h2" "\x4" "smtp", 8);
	m.client.then = note_protocol;
	m.client.arg = chosen;
	meet(&m);
	assert_int_equal(m.server.result, 0);
	assert_string_equal(chosen, "smtp");

	arrange(&m, server, client);
	m.client.then = note_protocol;
	m.client.arg = chosen;
	meet(&m);
	assert_string_equal(chosen, "none");
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(each_name_has_its_certificate),
		cmocka_unit_test(h1_only_host_names_are_looked_for),
		cmocka_unit_test(
		    h2_a_name_of_many_labels_costs_nine_questions),
		cmocka_unit_test(finding_may_wait),
		cmocka_unit_test(
		    without_any_certificate_the_client_hears_an_alert),
		cmocka_unit_test(h3_other_protocols_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
