/*
 * bind.c - both ends of a session, and no other, know the same bytes.
 */
#include "t/common/tls/pair.h"

static struct shelf		 shelf;
static struct issued		 ec, ed;
static struct tls_context	*server, *client;

static int
set_up(void **state)
{
	const struct issued	*all[] = { &ec };
	struct tls_setup	 setup = plain_setup(TLS_SERVER);

	open_all(state);
	ec = issue("EC", "mx.example", NULL, 30, NULL, false);
	ed = issue("ED25519", "mx.example", NULL, 30, NULL, false);
	shelf.rows[0].name = "";
	shelf.rows[0].identity = identity_of(all, 1);
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
	forget_issued(&ec);
	forget_issued(&ed);
	return close_all(state);
}

struct bound { unsigned char exporter[64], end_point[64]; size_t len[2]; };

static void
bind_both(struct party *p)
{
	struct bound	*b = p->arg;

	b->len[0] = tls_bind(p->stream, TLS_EXPORTER, b->exporter);
	b->len[1] = tls_bind(p->stream, TLS_SERVER_END_POINT, b->end_point);
}

static void
bind_all(const char *protocols, struct bound of[2])
{
	struct meeting	m;

	memset(of, 0, 2 * sizeof *of);
	arrange(&m, server, client);
	m.client.wishes.protocols = protocols;
	m.server.then = m.client.then = bind_both;
	m.server.arg = &of[0];
	m.client.arg = &of[1];
	meet(&m);
	assert_int_equal(m.client.result, 0);
}

static void
both_sides_know_the_same_bytes_of_one_session(void **state)
{
	static const char *const	words[] = { "TLSv1.2", "TLSv1.3" };
	struct bound			first[2], second[2];
	size_t				i;

	(void)state;
	for (i = 0; i < 2; i++) {
		bind_all(words[i], first);
		bind_all(words[i], second);
		assert_int_equal(first[0].len[0], 32);
		assert_int_equal(first[1].len[0], 32);
		assert_memory_equal(first[0].exporter, first[1].exporter, 32);
		assert_memory_not_equal(first[0].exporter,
		    second[0].exporter, 32);
		assert_int_equal(first[0].len[1], 32);
		assert_memory_equal(first[0].end_point, first[1].end_point,
		    32);
	}
}

static void
the_end_point_is_the_hash_of_the_certificate(void **state)
{
	struct bound	of[2];
	unsigned char	digest[32];
	unsigned	len;

	(void)state;
	bind_all("", of);
	assert_int_equal(X509_digest(ec.certificate, EVP_sha256(), digest,
	    &len), 1);
	assert_memory_equal(of[1].end_point, digest, 32);
}

static void
a_signature_without_a_hash_has_no_end_point(void **state)
{
	const struct issued	*all[] = { &ed };
	struct tls_identity	*before = shelf.rows[0].identity;
	struct bound		 of[2];

	(void)state;
	shelf.rows[0].identity = identity_of(all, 1);
	bind_all("", of);
	assert_int_equal(of[0].len[1], 0);
	assert_int_equal(of[1].len[1], 0);
	assert_int_equal(of[0].len[0], 32);
	tls_identity_release(shelf.rows[0].identity);
	shelf.rows[0].identity = before;
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(
		    both_sides_know_the_same_bytes_of_one_session),
		cmocka_unit_test(the_end_point_is_the_hash_of_the_certificate),
		cmocka_unit_test(a_signature_without_a_hash_has_no_end_point),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
