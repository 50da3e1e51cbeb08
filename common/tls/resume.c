/*
 * resume.c - a client's sessions that may be resumed, in memory.
 *
 * Q1  A session is found again only by the same `resume` text and the same
 *     wishes: nothing that decided about it then is decided otherwise now.
 * Q2  A ticket of TLS 1.3 is used once (RFC 8446 C.4).
 * Q3  There are at most SESSIONS_MAX, two of the same key; the oldest goes.
 *     None is longer than SESSION_BYTES, chain and ticket together.
 * Q4  A session ends when the certificate that it began with does, and a
 *     resumed one when the one before it would have: else a host that has
 *     been good once need never show again that it is.
 * Q5  One that did not verify is not kept: the host may have another
 *     certificate the next time.
 */
#include "common/tls/inside.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "common/base/bug.h"

enum { SESSIONS_MAX = 512, SAME_MAX = 2, SESSION_BYTES = 16 * 1024 };

/* Add a text with its length, so that no two lists of texts look alike. */
static void
add(EVP_MD_CTX *md, const char *text)
{
	size_t	len = text == NULL ? SIZE_MAX : strlen(text);

	if (EVP_DigestUpdate(md, &len, sizeof len) != 1 ||
	    (text != NULL && EVP_DigestUpdate(md, text, len) != 1))
		die("OpenSSL cannot compute SHA-256");
}

/* All wishes in one key. */
void
resume_key(unsigned char key[KEY_SIZE], const struct tls_wishes *w)
{
	EVP_MD		*sha256 = EVP_MD_fetch(tls_library(), "SHA256", NULL);
	EVP_MD_CTX	*md = EVP_MD_CTX_new();
	char		 flags[3] = { (char)('0' + w->is_mandatory),
			    (char)('0' + w->level), '\0' };
	size_t		 i;

	if (md == NULL || EVP_DigestInit_ex2(md, sha256, NULL) != 1)
		die("OpenSSL cannot compute SHA-256");
	add(md, w->resume);
	add(md, w->protocols);
	add(md, w->ciphers);
	add(md, w->exclude);
	add(md, flags);
	add(md, w->sni);
	add(md, w->has_anchors ? w->anchor_file : NULL);
	for (i = 0; i < w->match_count; i++)
		add(md, w->matches[i]);
	if (EVP_DigestFinal_ex(md, key, NULL) != 1)
		die("OpenSSL cannot compute SHA-256");
	EVP_MD_CTX_free(md);
	EVP_MD_free(sha256);
}

/* Take it out of the list. */
static void
drop(struct tls_context *c, struct kept *k)
{
	TAILQ_REMOVE(&c->kept, k, next);
	c->kept_count--;
	SSL_SESSION_free(k->session);
	free(k);
}

/* Can it still be used? */
static bool
is_good(const struct kept *k)
{
	return SSL_SESSION_is_resumable(k->session) &&
	    time(NULL) < SSL_SESSION_get_time(k->session) +
	    SSL_SESSION_get_timeout(k->session);
}

/* The freshest session of this key, for the caller to free; NULL. */
SSL_SESSION *
resume_take(struct tls_context *c, const unsigned char *key)
{
	struct kept	*k, *next;
	SSL_SESSION	*session;

	TAILQ_FOREACH_SAFE(k, &c->kept, next, next) {
		if (memcmp(k->key, key, KEY_SIZE) != 0)
			continue;
		if (!is_good(k)) {
			drop(c, k);
			continue;
		}
		session = k->session;
		SSL_SESSION_up_ref(session);
		if (SSL_SESSION_get_protocol_version(session) ==
		    TLS1_3_VERSION)
			drop(c, k);
		return session;
	}
	return NULL;
}

/* Make room for one of this key. */
static void
make_room(struct tls_context *c, const unsigned char *key)
{
	struct kept	*k, *next;
	int		 same = 0;

	TAILQ_FOREACH_SAFE(k, &c->kept, next, next)
		if (memcmp(k->key, key, KEY_SIZE) == 0 && ++same >= SAME_MAX)
			drop(c, k);
	if (c->kept_count >= SESSIONS_MAX)
		drop(c, TAILQ_LAST(&c->kept, kept_list));
}

/* Q3: what a stranger makes us keep has a bound. */
static bool
is_small(SSL *ssl, SSL_SESSION *session)
{
	STACK_OF(X509)		*chain = SSL_get_peer_cert_chain(ssl);
	const unsigned char	*ticket;
	size_t			 size = 0;
	int			 i, len;

	SSL_SESSION_get0_ticket(session, &ticket, &size);
	for (i = 0; i < sk_X509_num(chain); i++) {
		len = i2d_X509(sk_X509_value(chain, i), NULL);
		size += len < 0 ? SESSION_BYTES : (size_t)len;
	}
	return size <= SESSION_BYTES;
}

/* Until when it may be kept at most (Q4), whatever the server promises. */
static int64_t
end_of(const struct tls_stream *s)
{
	X509	*x = SSL_get0_peer_certificate(s->ssl);
	int64_t	 now = time(NULL), end = now + s->context->setup.ticket_time;
	int64_t	 over;
	int	 days, seconds;

	if (SSL_session_reused(s->ssl) && s->kept_until < end)
		end = s->kept_until;
	if (x == NULL)
		return end;
	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) != 1)
		return now;
	over = now + (int64_t)days * 86400 + seconds;
	return over < end ? over : end;
}

/* A session was made: keep it if it is wished so. 1: it is ours now. */
int
resume_keep(SSL *ssl, SSL_SESSION *session)
{
	struct tls_stream	*s = stream_of(ssl);
	struct tls_context	*c = s->context;
	struct kept		*k;
	int64_t			 rest;

	if (!s->wants_resume || c->setup.ticket_time <= 0 ||
	    !is_small(ssl, session))
		return 0;
	rest = end_of(s) - (int64_t)SSL_SESSION_get_time(session);
	if (rest <= 0)
		return 0;
	if (SSL_SESSION_get_timeout(session) > rest)
		SSL_SESSION_set_timeout(session, (long)rest);
	make_room(c, s->key);
	k = mem_alloc(sizeof *k);
	memcpy(k->key, s->key, KEY_SIZE);
	k->session = session;
	TAILQ_INSERT_HEAD(&c->kept, k, next);
	c->kept_count++;
	return 1;
}

/* Not this one, nor others of its key, nor what tickets come yet (Q5). */
void
resume_refuse(struct tls_stream *s)
{
	struct kept	*k, *next;

	if (!s->wants_resume)
		return;
	s->wants_resume = false;
	TAILQ_FOREACH_SAFE(k, &s->context->kept, next, next)
		if (memcmp(k->key, s->key, KEY_SIZE) == 0)
			drop(s->context, k);
}

/* Forget them all. */
void
resume_forget(struct tls_context *c)
{
	while (!TAILQ_EMPTY(&c->kept))
		drop(c, TAILQ_FIRST(&c->kept));
}
