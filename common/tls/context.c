/*
 * context.c - OpenSSL as all of us use it.
 *
 * A library context of our own: no configuration file, so that what main.cf
 * says is all there is. A struct tls_context is what a process loads at
 * start; of each set of protocols and ciphers that a session wishes for one
 * SSL_CTX is made when it is first wished for, and the last sixteen are kept.
 *
 * X1  No renegotiation, no compression, no early data; a stream that ends
 *     without a close_notify has not ended.
 * X2  A session is resumed in the service that it began in, under the policy
 *     of certificates that it began with, by those who trust the same
 *     authorities: all are in its id context.
 */
#include "common/tls/inside.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/provider.h>

#include "common/base/bug.h"
#include "common/base/text.h"
#include "common/tls/provider.h"

enum {
	CERTIFICATES_MAX = 100 * 1024,	/* bytes of a peer's chain */
	TICKETS = 1			/* per handshake */
};

/* The library context. */
OSSL_LIB_CTX *
tls_library(void)
{
	static OSSL_LIB_CTX	*library;

	if (library != NULL)
		return library;
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 ||
	    (library = OSSL_LIB_CTX_new()) == NULL ||
	    OSSL_PROVIDER_load(library, "default") == NULL)
		die("OpenSSL cannot be used: %s",
		    ERR_error_string(ERR_peek_error(), NULL));
	if (provider_add(library) == -1)
		die("OpenSSL does not take our provider: %s",
		    ERR_error_string(ERR_peek_error(), NULL));
	return library;
}

/* Why OpenSSL refused; the queue is empty then. */
const char *
reason(struct pool *pool)
{
	unsigned long	 error = ERR_peek_error();
	const char	*text = ERR_reason_error_string(error);

	text = text != NULL ? text : error == 0 ? "unknown TLS error" :
	    pool_printf(pool, "TLS error %lx", error);
	ERR_clear_error();
	return text;
}

/* A number for all who are trusted, whatever their order: files keep their
 * names when authorities are taken out of them. */
static void
sum_trust(X509_STORE *trust, unsigned char sum[KEY_SIZE])
{
	STACK_OF(X509_OBJECT)	*all = X509_STORE_get0_objects(trust);
	unsigned char		 digest[EVP_MAX_MD_SIZE];
	X509			*x;
	int			 i, k;

	for (i = 0; i < sk_X509_OBJECT_num(all); i++) {
		x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		if (x == NULL)
			continue;
		if (X509_digest(x, EVP_sha256(), digest, NULL) != 1)
			die("OpenSSL cannot compute SHA-256");
		for (k = 0; k < KEY_SIZE; k++)
			sum[k] ^= digest[k];
	}
}

/* What no resumed session may change: who serves, whom it trusts, whether it
 * asks for a certificate. */
static void
set_policy(struct tls_context *c)
{
	const struct tls_setup	*s = &c->setup;
	struct pool		*pool = pool_new("policy", 0);
	unsigned char		 trusted[KEY_SIZE] = { 0 };
	size_t			 i, size = KEY_SIZE;
	struct str		 text;

	sum_trust(c->trust, trusted);
	str_init(&text, pool, 0);
	str_addf(&text, "%s\n%d\n%d\n%d\n%lld\n%s\n%s\n%d\n%s",
	    s->service, s->role, s->asks_certificate, s->needs_certificate,
	    (long long)s->depth, s->ca_file, s->ca_path,
	    s->wants_system_ca || tls_set.appends_default_ca, s->digest);
	for (i = 0; i < KEY_SIZE; i++)
		str_addf(&text, "%02x", trusted[i]);
	if (EVP_Q_digest(tls_library(), "SHA256", NULL, text.data, text.len,
	    c->policy, &size) != 1)
		die("OpenSSL cannot compute SHA-256");
	pool_free(pool);
}

/* Give everything back. */
static void
forget(void *arg)
{
	struct tls_context	*c = arg;
	struct anchors		*a;
	size_t			 i;

	resume_forget(c);
	for (i = 0; i < PROFILES; i++) {
		SSL_CTX_free(c->profiles[i].ssl);
		free(c->profiles[i].text);
	}
	SLIST_FOREACH(a, &c->anchors, next)
		sk_X509_pop_free(a->certificates, X509_free);
	sk_X509_NAME_pop_free(c->names, X509_NAME_free);
	X509_STORE_free(c->trust);
	EVP_CIPHER_free(c->cipher);
}

/* The setup with strings that last. */
static void
copy_setup(struct tls_context *c, const struct tls_setup *setup)
{
	c->setup = *setup;
	c->setup.service = pool_strdup(c->pool, setup->service);
	c->setup.ca_file = pool_strdup(c->pool, setup->ca_file);
	c->setup.ca_path = pool_strdup(c->pool, setup->ca_path);
	c->setup.digest = pool_strdup(c->pool, setup->digest);
}

/* A context. */
struct tls_context *
tls_context_new(struct pool *pool, const struct tls_setup *setup,
    const char **why)
{
	struct tls_context	*c = pool_alloc(pool, sizeof *c);
	uint64_t		 options;

	c->pool = pool;
	TAILQ_INIT(&c->kept);
	copy_setup(c, setup);
	(void)tls_library();
	if ((*why = tls_check_digest(pool, setup->digest)) != NULL ||
	    (*why = ssl_options_parse(pool, &options)) != NULL)
		return NULL;
	c->names = sk_X509_NAME_new_null();
	c->cipher = EVP_CIPHER_fetch(tls_library(), "AES-256-CBC", NULL);
	if (c->names == NULL || c->cipher == NULL)
		die("OpenSSL has no memory");
	c->trust = trust_new(pool, setup, c->names, why);
	pool_on_free(pool, forget, c);
	if (c->trust == NULL)
		return NULL;
	set_policy(c);
	return c;
}

/* Load a file of trust anchors while files can be read. */
int
tls_context_anchors(struct tls_context *c, const char *file, const char **why)
{
	struct anchors	*a = pool_alloc(c->pool, sizeof *a);

	a->file = pool_strdup(c->pool, file);
	if ((a->certificates = trust_anchors(c->pool, file, why)) == NULL)
		return -1;
	SLIST_INSERT_HEAD(&c->anchors, a, next);
	return 0;
}

/* The groups that this OpenSSL has, of two lists. */
static const char *
groups(struct pool *pool, SSL_CTX *ssl)
{
	struct str	 list;
	char		**words;
	size_t		 i, count;

	str_init(&list, pool, 0);
	words = text_words(pool, pool_printf(pool, "%s %s",
	    tls_set.curves == NULL ? "" : tls_set.curves,
	    tls_set.groups == NULL ? "" : tls_set.groups), &count);
	for (i = 0; i < count; i++)
		if (SSL_CTX_set1_groups_list(ssl, words[i]) == 1)
			str_addf(&list, "%s%s", list.len == 0 ? "" : ":",
			    words[i]);
	ERR_clear_error();
	if (list.len > 0 && SSL_CTX_set1_groups_list(ssl, list.data) != 1)
		return "tls_eecdh_auto_curves: OpenSSL does not take the list";
	if (list.len == 0 && count > 0)
		return "tls_eecdh_auto_curves: OpenSSL has none of them";
	return NULL;
}

/*
 * OpenSSL's level: what it refuses by size and age. Mandatory sessions have
 * 112 bits; others are better than none, whatever they have. Before TLS 1.2
 * nothing but level 0 works.
 */
static int
strictness(enum tls_role role, const struct tls_wishes *wishes,
    const struct protocols *p)
{
	if (p->min < TLS1_2_VERSION || ciphers_is_null(wishes->ciphers))
		return 0;
	if (wishes->is_mandatory)
		return 2;
	return role == TLS_SERVER ? 1 : 0;
}

/* Versions, ciphers, groups and options; NULL, or why not. */
static const char *
set_wishes(SSL_CTX *ssl, enum tls_role role, const struct tls_wishes *wishes,
    struct pool *pool)
{
	struct protocols	 p;
	const char		*list, *why;
	uint64_t		 options;

	if ((why = protocols_parse(pool, wishes->protocols, &p)) != NULL ||
	    (why = ciphers_list(pool, role, wishes, &list)) != NULL ||
	    (why = ssl_options_parse(pool, &options)) != NULL)
		return why;
	SSL_CTX_set_security_level(ssl, strictness(role, wishes, &p));
	SSL_CTX_clear_options(ssl, SSL_CTX_get_options(ssl));
	SSL_CTX_set_options(ssl, options | p.holes);
	if (SSL_CTX_set_min_proto_version(ssl, p.min) != 1 ||
	    SSL_CTX_set_max_proto_version(ssl, p.max) != 1 ||
	    SSL_CTX_set_cipher_list(ssl, list) != 1)
		return reason(pool);
	return groups(pool, ssl);
}

/* What only servers have. */
static void
set_server(SSL_CTX *ssl, struct tls_context *c)
{
	STACK_OF(X509_NAME)	*names;

	SSL_CTX_set_client_hello_cb(ssl, hello_heard, NULL);
	SSL_CTX_set_tlsext_servername_callback(ssl, hello_named);
	SSL_CTX_set_alpn_select_cb(ssl, hello_alpn, NULL);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, tickets_key);
	SSL_CTX_set_session_ticket_cb(ssl, NULL, tickets_judge, NULL);
	SSL_CTX_set_num_tickets(ssl, TICKETS);
	SSL_CTX_set_dh_auto(ssl, 1);
	if (!c->setup.asks_certificate && !c->setup.needs_certificate)
		return;
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if ((names = SSL_dup_CA_list(c->names)) != NULL)
		SSL_CTX_set_client_CA_list(ssl, names);
}

/* What only clients have. */
static void
set_client(SSL_CTX *ssl)
{
	SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, resume_keep);
}

/* Make the SSL_CTX for these wishes. Whom we trust and what we do about it is
 * verify.c's: to OpenSSL every chain is good. */
static SSL_CTX *
make(struct tls_context *c, const struct tls_wishes *wishes,
    struct pool *pool, const char **why)
{
	SSL_CTX	*ssl;

	ERR_clear_error();
	ssl = SSL_CTX_new_ex(tls_library(), "?provider=default",
	    c->setup.role == TLS_SERVER ? TLS_server_method() :
	    TLS_client_method());
	if (ssl == NULL) {
		*why = reason(pool);
		return NULL;
	}
	if ((*why = set_wishes(ssl, c->setup.role, wishes, pool)) != NULL) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	SSL_CTX_set1_cert_store(ssl, c->trust);
	SSL_CTX_set_cert_verify_callback(ssl, verify_chain, NULL);
	SSL_CTX_set_verify_depth(ssl, (int)c->setup.depth);
	SSL_CTX_set_max_cert_list(ssl, CERTIFICATES_MAX);
	SSL_CTX_set_max_early_data(ssl, 0);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_session_id_context(ssl, c->policy, KEY_SIZE);
	if (c->setup.ticket_time > 0)
		SSL_CTX_set_timeout(ssl, (long)c->setup.ticket_time);
	if (c->setup.role == TLS_SERVER)
		set_server(ssl, c);
	else
		set_client(ssl);
	return ssl;
}

/* The profile for these wishes, or the place for it. */
static struct profile *
find(struct tls_context *c, const char *text)
{
	struct profile	*oldest = &c->profiles[0];
	size_t		 i;

	for (i = 0; i < PROFILES; i++) {
		if (c->profiles[i].text != NULL &&
		    strcmp(c->profiles[i].text, text) == 0)
			return &c->profiles[i];
		if (c->profiles[i].used < oldest->used)
			oldest = &c->profiles[i];
	}
	return oldest;
}

/* A profile that was made before, or a new one. */
SSL_CTX *
context_profile(struct tls_context *c, const struct tls_wishes *wishes,
    struct pool *pool, const char **why)
{
	struct profile	*p;
	SSL_CTX		*ssl;
	char		*text;

	text = pool_printf(pool, "%d\n%s\n%s\n%s", wishes->is_mandatory,
	    wishes->protocols, wishes->ciphers, wishes->exclude);
	p = find(c, text);
	if (p->text == NULL || strcmp(p->text, text) != 0) {
		if ((ssl = make(c, wishes, pool, why)) == NULL)
			return NULL;
		SSL_CTX_free(p->ssl);	/* sessions that use it keep it */
		free(p->text);
		p->ssl = ssl;
		p->text = mem_strdup(text);
	}
	p->used = ++c->calls;
	return p->ssl;
}
