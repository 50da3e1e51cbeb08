/*
 * pair.h - for the tests of TLS: certificates made on the fly, a source of
 * identities, and two fibers that meet over a socket pair.
 */
#ifndef T_PAIR_H
#define T_PAIR_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>

#include "common/base/log.h"
#include "common/fiber/loop.h"
#include "common/tls/inside.h"

#define UNUSED	__attribute__((unused))

UNUSED static struct pool	*pool;

/* --- certificates ------------------------------------------------------- */

struct issued {
	X509		*certificate;
	EVP_PKEY	*key;
};

UNUSED static EVP_PKEY *
new_key(const char *kind)
{
	EVP_PKEY	*key;

	if (strncmp(kind, "RSA", 3) == 0)
		key = EVP_PKEY_Q_keygen(tls_library(), NULL, "RSA",
		    (size_t)(kind[3] == '\0' ? 2048 : atoi(kind + 3)));
	else if (strcmp(kind, "EC") == 0)
		key = EVP_PKEY_Q_keygen(tls_library(), NULL, "EC", "P-256");
	else
		key = EVP_PKEY_Q_keygen(tls_library(), NULL, kind);
	assert_non_null(key);
	return key;
}

UNUSED static void
add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION	*extension;
	X509V3_CTX	 v3;

	X509V3_set_ctx(&v3, issuer, x, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(x, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* A certificate for a common name (NULL: none) and alternative names
 * ("DNS:a.example,DNS:b"; NULL: none), valid for `days` from now (negative:
 * over), signed by `by` or, if NULL, by itself. */
UNUSED static struct issued
issue(const char *kind, const char *common, const char *names, int days,
    const struct issued *by, bool is_ca)
{
	static long	 serial = 1000;
	struct issued	 made = { X509_new_ex(tls_library(), NULL),
			    new_key(kind) };
	X509_NAME	*subject = X509_get_subject_name(made.certificate);
	EVP_PKEY	*signer = by == NULL ? made.key : by->key;
	int		 type = EVP_PKEY_get_base_id(signer);

	X509_set_version(made.certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(made.certificate),
	    days < 0 ? -86400 * 30 : -3600);
	X509_gmtime_adj(X509_getm_notAfter(made.certificate), 86400L * days);
	if (common != NULL)
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
		    (const unsigned char *)common, -1, -1, 0);
	X509_set_issuer_name(made.certificate, by == NULL ? subject :
	    X509_get_subject_name(by->certificate));
	X509_set_pubkey(made.certificate, made.key);
	add_extension(made.certificate, made.certificate,
	    NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (names != NULL)
		add_extension(made.certificate, made.certificate,
		    NID_subject_alt_name, names);
	assert_true(X509_sign(made.certificate, signer,
	    type == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) > 0);
	return made;
}

UNUSED static void
forget_issued(struct issued *issued)
{
	X509_free(issued->certificate);
	EVP_PKEY_free(issued->key);
}

/* An identity of these; it holds its own references. */
UNUSED static struct tls_identity *
identity_of(const struct issued *const *all, size_t count)
{
	struct tls_identity	*id = calloc(1, sizeof *id);
	size_t			 i;

	assert_non_null(id);
	id->users = 1;
	id->count = count;
	for (i = 0; i < count; i++) {
		id->chains[i].certificate = all[i]->certificate;
		id->chains[i].key = all[i]->key;
		X509_up_ref(all[i]->certificate);
		EVP_PKEY_up_ref(all[i]->key);
	}
	return id;
}

/* Write certificates into a new file; its name is in the pool. */
UNUSED static const char *
pem_file(X509 *const *all, size_t count)
{
	char	*path = pool_strdup(pool, "/tmp/prt-tls-XXXXXX");
	int	 fd = mkstemp(path);
	FILE	*file;
	size_t	 i;

	assert_int_not_equal(fd, -1);
	file = fdopen(fd, "w");
	assert_non_null(file);
	for (i = 0; i < count; i++)
		assert_int_equal(PEM_write_X509(file, all[i]), 1);
	assert_int_equal(fclose(file), 0);
	return path;
}

/* --- where identities come from ----------------------------------------- */

struct shelf {
	struct { const char *name; struct tls_identity *identity; } rows[4];
	char			 asked[512];	/* "<name><.parent><>" */
	bool			 is_slow;	/* finding waits */
	struct tls_ticket	 tickets[2];
	size_t			 ticket_count;
};

UNUSED WAITS static struct tls_identity *
shelf_find(void *state, const char *name)
{
	struct shelf	*shelf = state;
	size_t		 i;

	strlcat(shelf->asked, "<", sizeof shelf->asked);
	strlcat(shelf->asked, name, sizeof shelf->asked);
	strlcat(shelf->asked, ">", sizeof shelf->asked);
	if (shelf->is_slow)
		fiber_sleep(5);
	for (i = 0; i < 4 && shelf->rows[i].name != NULL; i++)
		if (strcmp(shelf->rows[i].name, name) == 0)
			return tls_identity_hold(shelf->rows[i].identity);
	return NULL;
}

UNUSED static const struct tls_ticket *
shelf_tickets(void *state, size_t *count)
{
	struct shelf	*shelf = state;

	*count = shelf->ticket_count;
	return shelf->tickets;
}

UNUSED static struct tls_source
shelf_source(struct shelf *shelf)
{
	return (struct tls_source){ shelf_find, shelf_tickets, shelf };
}

/* A key for tickets that is good for an hour, known by its letter. */
UNUSED static struct tls_ticket
ticket_key(char letter)
{
	struct tls_ticket	t;
	int64_t			now = clock_wall_us() / 1000;

	memset(&t, letter, sizeof t);
	t.fresh_until = t.valid_until = now + 3600 * 1000;
	return t;
}

UNUSED static void
shelf_empty(struct shelf *shelf)
{
	size_t	i;

	for (i = 0; i < 4; i++)
		tls_identity_release(shelf->rows[i].identity);
	memset(shelf, 0, sizeof *shelf);
}

/* --- contexts and sessions ---------------------------------------------- */

UNUSED static struct tls_setup
plain_setup(enum tls_role role)
{
	return (struct tls_setup){
		.role = role, .service = "smtp/inet", .ca_file = "",
		.ca_path = "", .depth = 9, .digest = "sha256",
		.ticket_time = 3600
	};
}

UNUSED static struct tls_context *
new_context(const struct tls_setup *setup)
{
	const char		*why = NULL;
	struct tls_context	*c = tls_context_new(pool, setup, &why);

	if (c == NULL)
		fail_msg("%s", why);
	return c;
}

UNUSED static struct tls_wishes
plain_wishes(void)
{
	return (struct tls_wishes){ .protocols = "", .ciphers = "",
	    .exclude = "", .level = TLS_LEVEL_MAY };
}

struct party {
	struct io		*io;
	struct tls_context	*context;
	struct tls_wishes	 wishes;
	struct tls_stream	*stream;
	struct tls_summary	 sum;
	const char		*why;
	int			 result, error;
	int64_t			 patience;
	void			(*then)(struct party *);
	struct party		*other;
	void			*arg;
	bool			 is_slow;
};
struct meeting { struct party server, client; };

UNUSED static void
attend(void *arg)
{
	struct party	*p = arg;

	io_patience(p->io, p->patience);
	p->result = tls_start(p->io, p->context, &p->wishes, pool,
	    &p->stream, &p->sum, &p->why);
	p->error = errno;
	if (p->then != NULL && p->result == 0)
		p->then(p);
	io_close(p->io);
	p->io = NULL;
}

/* Two parties that have not met yet. */
UNUSED static void
arrange(struct meeting *m, struct tls_context *server,
    struct tls_context *client)
{
	int	fd[2];

	memset(m, 0, sizeof *m);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fd), 0);
	m->server = (struct party){ .io = io_new(fd[0]), .context = server,
	    .wishes = plain_wishes(), .patience = 20000, .why = "",
	    .other = &m->client };
	m->client = (struct party){ .io = io_new(fd[1]), .context = client,
	    .wishes = plain_wishes(), .patience = 20000, .why = "",
	    .other = &m->server };
}

/* Let them meet. */
UNUSED static void
meet(struct meeting *m)
{
	fiber_start(attend, &m->server);
	fiber_start(attend, &m->client);
	loop_run();
}

/* One line each way: tickets have come then. */
UNUSED static void
say_hello(struct party *p)
{
	char	*line;
	size_t	 len;

	assert_int_equal(io_printf(p->io, "hello\r\n"), 0);
	assert_int_equal(io_flush(p->io), 0);
	assert_int_equal(io_line(p->io, &line, &len, 100, NULL), 1);
	assert_string_equal(line, "hello");
}

UNUSED static int
open_all(void **state)
{
	(void)state;
	log_to_nothing();
	loop_open();
	pool = pool_new("test", 0);
	return 0;
}

UNUSED static int
close_all(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

#endif
