/*
 * hello.c - fuzz: a server's whole handshake, over a pair of sockets.
 *
 * First byte: 0, the client's bytes are the input. 1, they are a ClientHello
 * whose name (SNI) is the first line and whose protocols (ALPN) are the rest.
 * 2, a real client shakes hands and says a line, and the input changes some of
 * its bytes on the way: pairs of a distance and a mask.
 */
#include "t/fuzz/fuzz.h"

#include <errno.h>
#include <sys/socket.h>

#include <openssl/x509v3.h>

#include "common/fiber/loop.h"
#include "common/tls/inside.h"

#define WORDS		"MAIL FROM:<>\r\n"

enum { FLIGHTS = 8, ALERT = 21, HANDSHAKE = 22 };

static struct {
	struct pool	*pool;
	int		 fd;			/* the client's */
	bool		 is_done;		/* the server's handshake */
	bool		 has_end;		/* and a good end of input */
	char		 heard[200];
	size_t		 heard_len;
	unsigned	 questions;
	unsigned char	 first;			/* byte that it said */
	char		 name[300];		/* asked for first */
	const char	*why;
} f;
static struct tls_context	*server;
static SSL_CTX			*client;
static struct tls_identity	 identity;

/* --- who we are ---------------------------------------------------------- */

/* H1, H2: what is looked for. */
static struct tls_identity *
find(void *state, const char *name)
{
	(void)state;
	MUST(++f.questions <= 9 && strlen(name) <= 255);
	MUST(name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.")] ==
	    '\0');
	MUST(strstr(name, "..") == NULL);
	if (f.questions == 1)
		snprintf(f.name, sizeof(f.name), "%s", name);
	return *name == '\0' ? tls_identity_hold(&identity) : NULL;
}

/* A key and what it says of itself. */
static void
make_identity(void)
{
	EVP_PKEY	*key = EVP_PKEY_Q_keygen(tls_library(), NULL, "EC",
			    "P-256");
	X509		*x = X509_new_ex(tls_library(), NULL);
	X509_NAME	*name = X509_get_subject_name(x);

	X509_set_version(x, 2);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"mx.test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	MUST(X509_set_pubkey(x, key) == 1 &&
	    X509_sign(x, key, EVP_sha256()) > 0);
	identity = (struct tls_identity){ .users = 1, .generation = 1,
	    .count = 1, .chains[0] = { .certificate = x, .key = key } };
}

/* Once. */
static void
open_all(void)
{
	const struct tls_setup	 setup = { .role = TLS_SERVER, .service =
		"smtp/inet", .ca_file = "", .ca_path = "", .depth = 9,
		.digest = "sha256", .ticket_time = 0, .source = { find, NULL,
		NULL } };
	const char		*why;

	if (server != NULL)
		return;
	loop_open();
	make_identity();
	server = tls_context_new(pool_new("fuzz", 0), &setup, &why);
	client = SSL_CTX_new_ex(tls_library(), NULL, TLS_client_method());
	MUST(server != NULL && client != NULL);
}

/* --- the server ---------------------------------------------------------- */

/* Its fiber: shake hands, then read to the end. */
static void
be_server(void *arg)
{
	struct io		*io = io_new((int)(intptr_t)arg);
	const struct tls_wishes	 wishes = { .protocols = "", .ciphers = "",
				    .exclude = "", .level = TLS_LEVEL_MAY };
	struct tls_stream	*stream;
	struct tls_summary	 sum;
	const char		*data;
	int			 n;

	f.is_done = tls_start(io, server, &wishes, f.pool, &stream, &sum,
	    &f.why) == 0;
	MUST(f.why != NULL && (f.is_done || *f.why != '\0'));
	if (f.is_done)
		MUST(is_one_line(tls_describe(f.pool, &sum)));
	while ((n = io_fill(io, sizeof(f.heard))) == 1) {
		f.heard_len = io_peek(io, &data);
		memcpy(f.heard, data, f.heard_len < sizeof(f.heard) ?
		    f.heard_len : sizeof(f.heard));
	}
	f.has_end = n == 0;
	MUST(f.is_done || (f.heard_len == 0 && !f.has_end));	/* S1 */
	io_close(io);
}

/* A server at the other end of f.fd, and a client that runs. */
static void
meet(void (*be_client)(void *), void *arg)
{
	struct pool	*pool = f.pool;
	int		 fds[2];

	memset(&f, 0, sizeof(f));
	f.pool = pool;
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, fds) == 0);
	f.fd = fds[1];
	fiber_start(be_server, (void *)(intptr_t)fds[0]);
	fiber_start(be_client, arg);
	loop_run();
	(void)!read(f.fd, &f.first, 1);
	close(f.fd);
}

/* --- bytes --------------------------------------------------------------- */

/* Say them all, and no more. */
static void
say_bytes(void *arg)
{
	const struct input	*in = arg;

	(void)!write(f.fd, in->at, in->left);
	shutdown(f.fd, SHUT_WR);
}

/* A message that nobody has signed ends no handshake. */
static void
try_bytes(struct input *in)
{
	meet(say_bytes, in);
	MUST(!f.is_done);
}

/* --- a ClientHello ------------------------------------------------------- */

static void
add_number(struct str *to, size_t value, int bytes)
{
	while (bytes-- > 0)
		str_add_char(to, (char)(value >> 8 * bytes));
}

/* An extension. */
static void
add_extension(struct str *to, size_t type, const void *data, size_t len)
{
	add_number(to, type, 2);
	add_number(to, len, 2);
	str_add_mem(to, data, len);
}

/* TLS 1.2, ECDHE with ECDSA over P-256. */
static void
make_hello(struct pool *pool, struct str *to, const char *name,
    const struct input *protocols)
{
	struct str	all, one;

	str_init(&all, pool, 0);
	if (*name != '\0') {
		str_init(&one, pool, 0);
		add_number(&one, strlen(name) + 3, 2);
		add_number(&one, 0, 1);
		add_number(&one, strlen(name), 2);
		str_add(&one, name);
		add_extension(&all, 0, one.data, one.len);
	}
	add_extension(&all, 10, "\0\2\0\27", 4);
	add_extension(&all, 11, "\1\0", 2);
	add_extension(&all, 13, "\0\2\4\3", 4);
	if (protocols->left > 0) {
		str_init(&one, pool, 0);
		add_number(&one, protocols->left, 2);
		str_add_mem(&one, protocols->at, protocols->left);
		add_extension(&all, 16, one.data, one.len);
	}
	str_init(&one, pool, 0);
	str_add_mem(&one, "\3\3", 2);
	str_add(&one, "32 random bytes, or so they say.");
	str_add_mem(&one, "\0\0\4\xc0\x2b\0\xff\1\0", 9);
	add_number(&one, all.len, 2);
	str_add_mem(&one, all.data, all.len);
	str_add_mem(to, "\26\3\1", 3);
	add_number(to, one.len + 4, 2);
	add_number(to, 1, 1);
	add_number(to, one.len, 3);
	str_add_mem(to, one.data, one.len);
}

/* Is it a list as RFC 7301 3.1 has it, and ours in it? */
static bool
has_smtp(const struct input *list)
{
	size_t	at, n;
	bool	is_there = false;

	for (at = 0; at < list->left; at += 1 + n) {
		n = list->at[at];
		if (n == 0 || n > list->left - at - 1)
			return false;
		if (n == 4 && memcmp(list->at + at + 1, "smtp", 4) == 0)
			is_there = true;
	}
	return is_there;
}

/* What was looked for is what was said; who does not mean us is refused
 * (H3). */
static void
try_hello(struct pool *pool, struct input *in)
{
	char		*name = input_line(pool, in);
	struct str	 hello;
	struct input	 bytes;

	if (name == NULL || strlen(name) > 1000 || in->left > 4000)
		return;
	str_init(&hello, pool, 0);
	make_hello(pool, &hello, name, in);
	bytes = (struct input){ (const uint8_t *)hello.data, hello.len };
	meet(say_bytes, &bytes);
	MUST(!f.is_done);
	MUST(f.name[0] == '\0' || strcasecmp(f.name, name) == 0);
	/* The first record is a message of the handshake, or an alert. */
	MUST(f.first == HANDSHAKE || f.first == ALERT);
	if (strlen(name) <= 255)
		MUST((f.first == HANDSHAKE) ==
		    (in->left == 0 || has_smtp(in)));
}

/* --- changes on the way -------------------------------------------------- */

/* What came of a real client. */
static struct {
	SSL		*ssl;
	struct input	*changes;
	size_t		 said, next;		/* the next byte to change */
	unsigned	 mask;
	bool		 is_changed, is_hello_changed, is_done, is_over;
	size_t		 hello;			/* its first record */
} r;

/* When the next change is due. */
static void
plan(void)
{
	size_t	distance = input_byte(r.changes) * 2;

	distance += input_byte(r.changes);
	r.mask = input_byte(r.changes);
	r.next += 1 + distance;
}

/* To the server, with the changes. */
static void
carry(BIO *from)
{
	unsigned char	one[512];
	int		n, i;

	while ((n = BIO_read(from, one, sizeof(one))) > 0) {
		if (r.said == 0)
			r.hello = 5 + (size_t)one[3] * 256 + one[4];
		for (i = 0; i < n; i++, r.said++) {
			if (r.said != r.next)
				continue;
			one[i] ^= (unsigned char)r.mask;
			r.is_changed = r.is_changed || r.mask != 0;
			if (r.mask != 0 && r.said >= 5 && r.said < r.hello)
				r.is_hello_changed = true;
			plan();
		}
		(void)!write(f.fd, one, (size_t)n);
	}
}

/* From the server; false at the end. */
static bool
fetch(BIO *to)
{
	unsigned char	all[4096];
	ssize_t		n;

	while ((n = read(f.fd, all, sizeof(all))) > 0)
		BIO_write(to, all, (int)n);
	return n == -1 && errno == EAGAIN;
}

/* Its fiber. It gives up when nothing has moved for some turns. */
static void
be_client(void *arg)
{
	BIO	*in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int	 turn;

	(void)arg;
	SSL_set_bio(r.ssl, in, out);
	SSL_set_connect_state(r.ssl);
	for (turn = 0; turn < FLIGHTS && !r.is_done; turn++) {
		r.is_done = SSL_do_handshake(r.ssl) == 1;
		carry(out);
		fiber_yield();
		if (!fetch(in))
			break;
	}
	if (r.is_done) {
		SSL_write(r.ssl, WORDS, sizeof(WORDS) - 1);
		SSL_shutdown(r.ssl);
		carry(out);
	}
	shutdown(f.fd, SHUT_WR);
	ERR_clear_error();
}

/* Nothing is heard but what was said, and all that was said is heard, or the
 * end is no good one (S2). */
static void
try_changes(struct input *in)
{
	memset(&r, 0, sizeof(r));
	r.changes = in;
	r.next = (size_t)-1;
	r.next += input_byte(in) * 4;
	plan();
	MUST((r.ssl = SSL_new(client)) != NULL);
	meet(be_client, NULL);
	SSL_free(r.ssl);
	MUST(f.heard_len < sizeof(WORDS) &&
	    memcmp(f.heard, WORDS, f.heard_len) == 0);
	MUST(!f.has_end || f.heard_len == sizeof(WORDS) - 1);
	if (r.is_hello_changed)
		MUST(!f.is_done);
	if (!r.is_changed)
		MUST(f.is_done && f.has_end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	unsigned	 which = input_byte(&in) % 3;

	open_all();
	f.pool = pool_new("fuzz", 0);
	if (which == 0)
		try_bytes(&in);
	else if (which == 1)
		try_hello(f.pool, &in);
	else
		try_changes(&in);
	pool_free(f.pool);
	ERR_clear_error();
	return 0;
}
