/*
 * stream.c - handshakes of both versions, and every way a session ends.
 */
#include <fcntl.h>

#include "t/common/tls/pair.h"

static struct shelf		 shelf;
static struct issued		 rsa, ec, ed;
static struct tls_context	*server, *client;

/* A server with three kinds of keys, a client that trusts nobody. */
static int
set_up(void **state)
{
	const struct issued	*all[] = { &rsa, &ec, &ed };
	struct tls_setup	 setup = plain_setup(TLS_SERVER);

	open_all(state);
	rsa = issue("RSA", "mx.example", "DNS:mx.example", 30, NULL, false);
	ec = issue("EC", "mx.example", "DNS:mx.example", 30, NULL, false);
	ed = issue("ED25519", "mx.example", "DNS:mx.example", 30, NULL, false);
	shelf.rows[0].name = "";
	shelf.rows[0].identity = identity_of(all, 3);
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
	forget_issued(&rsa);
	forget_issued(&ec);
	forget_issued(&ed);
	return close_all(state);
}

static void
both_versions_shake_hands_and_carry_lines(void **state)
{
	static const char *const	words[] = { "TLSv1.2", "TLSv1.3" };
	struct meeting			m;
	size_t				i;

	(void)state;
	for (i = 0; i < 2; i++) {
		arrange(&m, server, client);
		m.client.wishes.protocols = words[i];
		m.server.then = m.client.then = say_hello;
		meet(&m);
		assert_string_equal(m.server.why, "");
		assert_int_equal(m.server.result, 0);
		assert_int_equal(m.client.result, 0);
		assert_string_equal(m.client.sum.protocol, words[i]);
		assert_string_equal(m.server.sum.protocol, words[i]);
		assert_string_equal(m.server.sum.cipher, m.client.sum.cipher);
	}
}

/* No session keeps a process of keys alive. */
static void
has_no_key(struct party *p)
{
	say_hello(p);
	*(bool *)p->arg = SSL_get_privatekey(p->stream->ssl) == NULL &&
	    SSL_get_certificate(p->stream->ssl) == NULL;
}

static void
keys_are_let_go_after_the_handshake(void **state)
{
	static const char *const	words[] = { "TLSv1.2", "TLSv1.3" };
	struct meeting			m;
	bool				is_gone;
	size_t				i;

	(void)state;
	for (i = 0; i < 2; i++) {
		is_gone = false;
		arrange(&m, server, client);
		m.client.wishes.protocols = words[i];
		m.server.then = has_no_key;
		m.client.then = say_hello;
		m.server.arg = &is_gone;
		meet(&m);
		assert_true(is_gone);
	}
}

static void
the_client_chooses_among_kinds_of_keys(void **state)
{
	static const char *const	lists[] = {
		"ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256", "ed25519"
	};
	static const char *const	signatures[] = {
		"ECDSA (P-256)", "RSA-PSS (2048 bits)", "ED25519"
	};
	struct tls_wishes		 wishes = plain_wishes();
	struct meeting			 m;
	const char			*why;
	SSL_CTX				*profile;
	size_t				 i;

	(void)state;
	wishes.protocols = "TLSv1.3 TLSv1.2";	/* a profile of its own */
	profile = context_profile(client, &wishes, pool, &why);
	for (i = 0; i < 3; i++) {
		assert_int_equal(SSL_CTX_set1_sigalgs_list(profile, lists[i]),
		    1);
		arrange(&m, server, client);
		m.client.wishes = wishes;
		meet(&m);
		assert_int_equal(m.client.result, 0);
		assert_string_equal(m.client.sum.server_signature,
		    signatures[i]);
		assert_string_equal(m.server.sum.server_signature,
		    signatures[i]);
	}
}

static void
old_versions_are_spoken_only_when_named(void **state)
{
	struct meeting	m;

	(void)state;
	arrange(&m, server, client);
	m.client.wishes.protocols = "TLSv1.1";
	meet(&m);
	assert_int_equal(m.server.result, -1);
	assert_int_equal(m.client.result, -1);
	arrange(&m, server, client);
	m.client.wishes.protocols = "TLSv1.1";
	m.server.wishes.protocols = ">=TLSv1";
	meet(&m);
	assert_int_equal(m.server.result, 0);
	assert_string_equal(m.client.sum.protocol, "TLSv1.1");
}

/* --- peers who do not speak TLS ----------------------------------------- */

/* After a failed handshake nothing goes in clear (S1). */
static void
attend_and_talk_on(void *arg)
{
	struct party	*p = arg;
	char		*line;
	size_t		 len;

	io_patience(p->io, p->patience);
	p->result = tls_start(p->io, p->context, &p->wishes, pool,
	    &p->stream, &p->sum, &p->why);
	p->error = errno;
	if (p->result == -1) {
		assert_int_equal(io_line(p->io, &line, &len, 100, NULL), -1);
		(void)io_printf(p->io, "454 in clear\r\n");
		assert_int_equal(io_flush(p->io), -1);
	}
	io_close(p->io);
	p->io = NULL;
}

/* What a server makes of these bytes; what it says is in `heard`. */
static void
serve(struct meeting *m, const char *bytes, size_t len, bool hangs_up,
    char heard[256], ssize_t *heard_len)
{
	int	fd[2];

	arrange(m, server, client);
	io_close(m->server.io);
	io_close(m->client.io);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	m->server.io = io_new(fd[0]);
	m->server.patience = 50;
	assert_int_equal(write(fd[1], bytes, len), (ssize_t)len);
	if (hangs_up)
		shutdown(fd[1], SHUT_WR);
	fiber_start(attend_and_talk_on, &m->server);
	loop_run();
	*heard_len = recv(fd[1], heard, 256, MSG_DONTWAIT);
	close(fd[1]);
}

static void
garbage_is_refused_and_nothing_goes_in_clear(void **state)
{
	struct meeting	m;
	char		heard[256];
	ssize_t		len;

	(void)state;
	serve(&m, "EHLO client.example\r\n", 21, false, heard, &len);
	assert_int_equal(m.server.result, -1);
	assert_int_not_equal(m.server.error, 0);
	assert_string_not_equal(m.server.why, "");
	assert_null(memmem(heard, len < 0 ? 0 : (size_t)len, "454", 3));
	serve(&m, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, false, heard, &len);
	assert_int_equal(m.server.result, -1);
	assert_null(memmem(heard, len < 0 ? 0 : (size_t)len, "454", 3));
}

static void
silence_times_out_and_a_hangup_is_a_lost_connection(void **state)
{
	struct meeting	m;
	char		heard[256];
	ssize_t		len;

	(void)state;
	serve(&m, "", 0, false, heard, &len);
	assert_int_equal(m.server.error, ETIMEDOUT);
	assert_string_equal(m.server.why, "TLS handshake timed out");
	assert_int_equal(len, 0);
	serve(&m, "\x16\x03\x01\x01", 4, true, heard, &len);
	assert_int_equal(m.server.error, ECONNRESET);
	assert_string_equal(m.server.why, "lost connection");
}

/* A byte every ten milliseconds, for as long as somebody listens. */
static void
dribble(void *arg)
{
	static const char	start[] = "\x16\x03\x01\x04\x00\x01";
	struct party		*p = arg;
	int			 i;

	for (i = 0; i < 500 && p->other->io != NULL; i++) {
		if (send(io_fd(p->io), i < 6 ? start + i : "\0", 1,
		    MSG_NOSIGNAL) != 1)
			break;
		fiber_sleep(10);
	}
	io_close(p->io);
}

static void
the_deadline_ends_a_slow_handshake(void **state)
{
	struct meeting	m;
	int64_t		start = clock_now();

	(void)state;
	arrange(&m, server, client);
	io_deadline(m.server.io, start + 80);
	fiber_start(attend, &m.server);
	fiber_start(dribble, &m.client);
	loop_run();
	assert_int_equal(m.server.error, ETIMEDOUT);
	assert_in_range(clock_now() - start, 80, 3000);
}

static struct fiber	*victim;

static void
cancel_soon(void *arg)
{
	(void)arg;
	fiber_sleep(20);
	fiber_cancel(victim);
}

static void
a_cancelled_handshake_ends(void **state)
{
	struct meeting	m;

	(void)state;
	arrange(&m, server, client);
	victim = fiber_start(attend, &m.server);
	fiber_start(cancel_soon, NULL);
	loop_run();
	assert_int_equal(m.server.result, -1);
	assert_int_equal(m.server.error, ECANCELED);
	io_close(m.client.io);
}

static void
input_of_before_is_never_taken_over(void **state)
{
	struct meeting	m;
	const char	*data;

	(void)state;
	arrange(&m, server, client);
	assert_int_equal(send(io_fd(m.client.io), "RSET\r\n", 6, 0), 6);
	assert_true(io_has_input(m.server.io));
	assert_int_equal(io_peek(m.server.io, &data), 6);
	fiber_start(attend, &m.server);
	loop_run();
	assert_int_equal(m.server.result, -1);
	assert_non_null(strstr(m.server.why, "before the TLS handshake"));
	io_close(m.client.io);
}

/* --- the end of a session ----------------------------------------------- */

/* Bytes go from one io to the other; towards the server `quota` of them once
 * the client has shaken hands, then the connection is cut. */
struct cable {
	struct io	*to_client, *to_server;
	bool		 counts;
	size_t		 quota, carried;
	bool		 is_cut;
	int		 done;		/* directions that have ended */
};

static void
carry_down(void *arg)
{
	struct cable	*c = arg;
	const char	*data;
	size_t		 len;

	while (io_fill(c->to_server, 4096) == 1) {
		len = io_peek(c->to_server, &data);
		if (io_write(c->to_client, data, len) == -1 ||
		    io_flush(c->to_client) == -1)
			break;
		io_consume(c->to_server, len);
	}
	shutdown(io_fd(c->to_client), SHUT_WR);
	c->done++;
}

static void
carry_up(void *arg)
{
	struct cable	*c = arg;
	const char	*data;
	size_t		 len;

	while (!c->is_cut && io_fill(c->to_client, 4096) == 1) {
		len = io_peek(c->to_client, &data);
		if (c->counts && c->carried + len > c->quota) {
			len = c->quota - c->carried;
			c->is_cut = true;
		}
		if (c->counts)
			c->carried += len;
		if (io_write(c->to_server, data, len) == -1 ||
		    io_flush(c->to_server) == -1)
			break;
		io_consume(c->to_client, len);
	}
	shutdown(io_fd(c->to_server), SHUT_WR);
	c->done++;
}

static void
send_message(struct party *p)
{
	struct cable	*cable = p->arg;
	char		*line;
	size_t		 len;

	(void)io_line(p->io, &line, &len, 100, NULL);	/* "go" */
	cable->counts = true;
	(void)io_printf(p->io, "one\r\n");
	(void)io_flush(p->io);
	(void)io_printf(p->io, ".\r\n");
	(void)io_flush(p->io);
}

struct heard {
	char	text[64];
	int	result, error;
};

static void
hear_message(struct party *p)
{
	struct heard	*heard = p->arg;
	char		*line;
	size_t		 len;

	(void)io_printf(p->io, "go\r\n");
	(void)io_flush(p->io);
	while ((heard->result = io_line(p->io, &line, &len, 100, NULL)) == 1)
		strlcat(heard->text, line, sizeof heard->text);
	heard->error = errno;
}

/* Cut after `quota` bytes; returns how many there were to carry. */
static size_t
cut_after(size_t quota, const char *protocols, struct heard *heard)
{
	struct meeting	m;
	struct cable	cable = { .quota = quota };
	int		up[2], down[2];

	arrange(&m, server, client);
	io_close(m.server.io);
	io_close(m.client.io);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, up), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, down), 0);
	m.client.io = io_new(up[0]);
	cable.to_client = io_new(up[1]);
	cable.to_server = io_new(down[1]);
	m.server.io = io_new(down[0]);
	m.client.wishes.protocols = protocols;
	m.client.then = send_message;
	m.client.arg = &cable;
	m.server.then = hear_message;
	memset(heard, 0, sizeof *heard);
	m.server.arg = heard;
	fiber_start(carry_up, &cable);
	fiber_start(carry_down, &cable);
	meet(&m);
	assert_int_equal(m.server.result, 0);
	assert_int_equal(cable.done, 2);
	io_close(cable.to_client);
	io_close(cable.to_server);
	return cable.carried;
}

static void
s2_a_message_cut_at_any_byte_is_not_whole(void **state)
{
	static const char *const	words[] = { "TLSv1.2", "TLSv1.3" };
	struct heard			heard;
	size_t				i, cut, total;

	(void)state;
	for (i = 0; i < 2; i++) {
		total = cut_after(SIZE_MAX, words[i], &heard);
		assert_string_equal(heard.text, "one.");
		assert_int_equal(heard.result, 0);
		assert_in_range(total, 60, 300);
		for (cut = 0; cut < total; cut++) {
			(void)cut_after(cut, words[i], &heard);
			assert_int_equal(heard.result, -1);
			assert_int_equal(heard.error, ECONNRESET);
			if (cut < total / 2)
				assert_null(strchr(heard.text, '.'));
		}
	}
}

/* Ask for another handshake, as a client of TLS 1.2 could. */
static void
renegotiate(struct party *p)
{
	SSL	*ssl = p->stream->ssl;
	int	*reason_code = p->arg, i;

	SSL_clear_options(ssl, SSL_OP_NO_RENEGOTIATION);
	ERR_clear_error();
	assert_int_equal(SSL_renegotiate(ssl), 1);
	for (i = 0; i < 50; i++) {
		p->stream->budget = 100000;
		if (SSL_do_handshake(ssl) != 1 && ERR_peek_error() != 0)
			break;
		fiber_sleep(1);
	}
	*reason_code = ERR_GET_REASON(ERR_peek_error());
	ERR_clear_error();
	p->stream->is_mute = true;
}

static void
wait_for_the_end(struct party *p)
{
	char	*line;
	size_t	 len;

	p->result = io_line(p->io, &line, &len, 100, NULL);
	*(long *)p->arg = SSL_num_renegotiations(p->stream->ssl);
}

static void
renegotiation_is_refused(void **state)
{
	struct meeting	m;
	int		why = 0;
	long		count = -1;

	(void)state;
	arrange(&m, server, client);
	m.client.wishes.protocols = "TLSv1.2";
	m.client.then = renegotiate;
	m.client.arg = &why;
	m.server.then = wait_for_the_end;
	m.server.arg = &count;
	meet(&m);
	assert_int_equal(why, SSL_R_NO_RENEGOTIATION);
	assert_int_equal(count, 0);
}

/* Send it at once or, where the other side is listening already, as slowly as
 * it hears. */
static void
send_in_slices(struct party *p, const char *data, long len)
{
	long	slice = p->is_slow ? 4000 : len, at;
	ssize_t	n;

	if (p->is_slow)
		*(long *)p->arg = 1;
	for (at = 0; at < len; at += slice) {
		if (slice > len - at)
			slice = len - at;
		n = send(io_fd(p->io), data + at, (size_t)slice,
		    MSG_NOSIGNAL);
		if (n == -1 && p->is_slow)
			break;
		assert_int_equal(n, slice);
		if (p->is_slow)
			fiber_sleep(2);
	}
}

/* New keys and nothing else, more than one read of the server takes. They
 * are collected and sent at once. */
static void
send_key_updates(struct party *p)
{
	SSL	*ssl = p->stream->ssl;
	BIO	*all = BIO_new(BIO_s_mem());
	char	*data;
	long	 len;
	int	 i;

	SSL_set0_wbio(ssl, all);
	for (i = 0; i < 4000; i++)
		if (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
		    SSL_do_handshake(ssl) != 1)
			break;
	len = BIO_get_mem_data(all, &data);
	send_in_slices(p, data, len);
	*(long *)p->arg = len;
	while (p->other->io != NULL)
		fiber_sleep(1);
}

static void
wait_then_hear(struct party *p)
{
	char	*line;
	size_t	 len;

	while (*(long *)p->arg == 0)
		fiber_sleep(1);
	p->result = io_line(p->io, &line, &len, 100, NULL);
	p->error = errno;
}

static void
w2_who_sends_nothing_but_new_keys_is_cut_off(void **state)
{
	struct meeting	m;
	long		sent = 0;

	(void)state;
	arrange(&m, server, client);
	m.client.then = send_key_updates;
	m.server.then = wait_then_hear;
	m.client.arg = m.server.arg = &sent;
	meet(&m);
	assert_in_range(sent, 80 * 1024, 200 * 1024);
	assert_int_equal(m.server.result, -1);
	assert_int_equal(m.server.error, ECONNRESET);
}

static void
s4_nor_does_it_help_to_send_them_slowly(void **state)
{
	struct meeting	m;
	long		sent = 0;

	(void)state;
	arrange(&m, server, client);
	m.client.then = send_key_updates;
	m.server.then = wait_then_hear;
	m.client.arg = m.server.arg = &sent;
	m.client.is_slow = true;
	meet(&m);
	assert_int_equal(m.server.result, -1);
	assert_int_equal(m.server.error, ECONNRESET);
}

static void
push_much(struct party *p)
{
	static char	block[70000];
	int		i;

	memset(block, 'x', sizeof block);
	for (i = 0; i < 20; i++)
		assert_int_equal(io_write(p->io, block, sizeof block), 0);
	assert_int_equal(io_flush(p->io), 0);
}

static void
pull_much(struct party *p)
{
	static char	block[70000];
	int		i;

	fiber_sleep(20);		/* until the socket is full */
	for (i = 0; i < 20; i++) {
		assert_int_equal(io_read(p->io, block, sizeof block), 0);
		assert_int_equal(block[sizeof block - 1], 'x');
	}
	*(bool *)p->arg = true;
}

static void
much_more_than_a_socket_holds_goes_through(void **state)
{
	struct meeting	m;
	bool		is_whole = false;

	(void)state;
	arrange(&m, server, client);
	m.client.then = push_much;
	m.server.then = pull_much;
	m.server.arg = &is_whole;
	meet(&m);
	assert_true(is_whole);
}

/* --- secrets ------------------------------------------------------------ */

enum { SECRET = 24, VEIL = 0x55 };

/* How often does the secret, kept under a veil, stand in our memory? The
 * stack of the main program, where nobody of the session runs, is left out.
 * Pages are read through a small window. */
static int
count_in_memory(const char veiled[SECRET])
{
	static char	 line[256], window[4096 + SECRET];
	char		*end;
	FILE		*maps = fopen("/proc/self/maps", "r");
	int		 memory = open("/proc/self/mem", O_RDONLY), count = 0;
	uintptr_t	 at, last;
	ssize_t		 n, i;
	size_t		 k;

	assert_non_null(maps);
	assert_int_not_equal(memory, -1);
	while (fgets(line, sizeof line, maps) != NULL) {
		at = (uintptr_t)strtoull(line, &end, 16);
		last = (uintptr_t)strtoull(end + 1, &end, 16);
		if (strncmp(end, " rw", 3) != 0 || strstr(line, "stack"))
			continue;
		for (; at < last; at += 4096) {
			n = pread(memory, window, sizeof window, (off_t)at);
			for (i = 0; i + SECRET <= n && i < 4096; i++) {
				for (k = 0; k < SECRET; k++)
					if ((window[i + (ssize_t)k] ^ VEIL) !=
					    veiled[k])
						break;
				count += k == SECRET &&
				    at + (uintptr_t)i - (uintptr_t)window >=
				    sizeof window;
			}
		}
	}
	explicit_bzero(window, sizeof window);
	fclose(maps);
	close(memory);
	return count;
}

struct secret { char veiled[SECRET]; int seen, stage, before, after; };

static void
send_secret(struct party *p)
{
	struct secret	*secret = p->arg;
	char		 clear[SECRET];
	size_t		 i;

	for (i = 0; i < SECRET; i++)
		clear[i] = (char)(secret->veiled[i] ^ VEIL);
	/* Not at the start, where free(3) writes over it. */
	assert_int_equal(io_printf(p->io, "%64s", ""), 0);
	assert_int_equal(io_write(p->io, clear, SECRET), 0);
	explicit_bzero(clear, sizeof clear);
	assert_int_equal(io_write(p->io, "\r\n", 2), 0);
	secret->before = count_in_memory(secret->veiled);
	assert_int_equal(io_flush(p->io), 0);
	while (secret->stage < 1)
		fiber_sleep(1);
	fiber_sleep(5);			/* until the server waits again */
	secret->after = count_in_memory(secret->veiled);
	assert_int_equal(io_printf(p->io, "end\r\n"), 0);
	assert_int_equal(io_flush(p->io), 0);
	while (p->other->io != NULL)
		fiber_sleep(1);
}

static void
hear_secret(struct party *p)
{
	struct secret	*secret = p->arg;
	char		*line;
	size_t		 len;

	assert_int_equal(io_line(p->io, &line, &len, 100, NULL), 1);
	secret->seen = (int)len;
	secret->stage = 1;
	assert_int_equal(io_line(p->io, &line, &len, 100, NULL), 1);
}

static void
no_secret_stays_in_memory(void **state)
{
	static const char *const	words[] = { "TLSv1.2", "TLSv1.3" };
	struct meeting			m;
	struct secret			secret;
	size_t				i, k;

	(void)state;
#ifdef SANITIZED
	skip();		/* its shadow of the memory has no end */
#endif
	for (i = 0; i < 2; i++) {
		memset(&secret, 0, sizeof secret);
		for (k = 0; k < SECRET; k++)
			secret.veiled[k] = (char)(('a' + (k * 7 + i) % 26) ^
			    VEIL);
		arrange(&m, server, client);
		m.client.wishes.protocols = words[i];
		m.client.then = send_secret;
		m.server.then = hear_secret;
		m.server.arg = m.client.arg = &secret;
		meet(&m);
		assert_int_equal(secret.seen, 64 + SECRET);
		assert_true(secret.before > 0);	/* the search finds it */
		assert_int_equal(secret.after, 0);
	}
}

#ifndef __SANITIZE_ADDRESS__
/* A signature by somebody else is waited for inside of OpenSSL: what is on the
 * stack then must leave half of it, for every session has one. The deepest of
 * all that was done here. */
static void
a_handshake_takes_less_than_half_a_stack(void **state)
{
	(void)state;
	print_message("# deepest stack: %zu\n", fiber_deepest());
	assert_in_range(fiber_deepest(), 2 * 1024, 32 * 1024);
}
#endif

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(both_versions_shake_hands_and_carry_lines),
		cmocka_unit_test(keys_are_let_go_after_the_handshake),
		cmocka_unit_test(the_client_chooses_among_kinds_of_keys),
		cmocka_unit_test(old_versions_are_spoken_only_when_named),
		cmocka_unit_test(garbage_is_refused_and_nothing_goes_in_clear),
		cmocka_unit_test(
		    silence_times_out_and_a_hangup_is_a_lost_connection),
		cmocka_unit_test(the_deadline_ends_a_slow_handshake),
		cmocka_unit_test(a_cancelled_handshake_ends),
		cmocka_unit_test(input_of_before_is_never_taken_over),
		cmocka_unit_test(s2_a_message_cut_at_any_byte_is_not_whole),
		cmocka_unit_test(renegotiation_is_refused),
		cmocka_unit_test(w2_who_sends_nothing_but_new_keys_is_cut_off),
		cmocka_unit_test(s4_nor_does_it_help_to_send_them_slowly),
		cmocka_unit_test(much_more_than_a_socket_holds_goes_through),
		cmocka_unit_test(no_secret_stays_in_memory),
#ifndef __SANITIZE_ADDRESS__
		cmocka_unit_test(a_handshake_takes_less_than_half_a_stack),
#endif
	};

	setenv("POSTRIDER_PAINT_STACKS", "1", 1);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
