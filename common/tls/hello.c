/*
 * hello.c - what a client says first: which name it calls, which protocol.
 *
 * The handshake stops after the ClientHello; the fiber, which may wait, looks
 * for an identity of that name and goes on.
 *
 * H1  A name is looked for only if it is a host name: letters, digits,
 *     hyphens, dots, at most 255; in lower case.
 * H2  One handshake causes at most nine questions, however many labels the
 *     name has.
 * H3  Who offers protocols by name (ALPN) and ours is not among them is
 *     refused: what he is about to say is not meant for us.
 */
#include "common/tls/inside.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"

enum { NAME_MAX_LEN = 255, PARENTS_MAX = 7 };

/* The stream that this SSL is of. */
struct tls_stream *
stream_of(SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

/* Letters, digits and hyphens between dots? */
static bool
is_hostname(const unsigned char *name, size_t len)
{
	size_t	i, label = 0;

	if (len == 0 || len > NAME_MAX_LEN)
		return false;
	for (i = 0; i < len; i++) {
		if (name[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (is_alnum((char)name[i]) || name[i] == '-') {
			if (++label > 63)
				return false;
		} else
			return false;
	}
	return label > 0;
}

/* The name in the extension server_name (RFC 6066 3), in lower case; "". */
static const char *
called_name(SSL *ssl, struct pool *pool)
{
	const unsigned char	*at;
	size_t			 len, name;
	char			*text;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &at,
	    &len) != 1 || len < 5)
		return "";
	if ((size_t)(at[0] << 8 | at[1]) != len - 2 || at[2] != 0)
		return "";
	name = (size_t)(at[3] << 8 | at[4]);
	if (name != len - 5 || !is_hostname(at + 5, name))
		return "";
	text = pool_strndup(pool, at + 5, name);
	text_lower(text);
	return text;
}

/* The ClientHello is there: stop once, so that the fiber can look around. */
int
hello_heard(SSL *ssl, int *alert, void *arg)
{
	struct tls_stream	*s = stream_of(ssl);

	(void)arg;
	if (s->has_no_identity) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	if (s->has_identity)
		return SSL_CLIENT_HELLO_SUCCESS;
	s->sni = called_name(ssl, s->pool);
	s->has_hello = true;
	return SSL_CLIENT_HELLO_RETRY;
}

/* Tell the client whether its name was heard. */
int
hello_named(SSL *ssl, int *alert, void *arg)
{
	(void)alert, (void)arg;
	return *stream_of(ssl)->sni == '\0' ? SSL_TLSEXT_ERR_NOACK :
	    SSL_TLSEXT_ERR_OK;
}

/* Which of the offered protocols: smtp, or none. */
int
hello_alpn(SSL *ssl, const unsigned char **to, unsigned char *to_len,
    const unsigned char *offered, unsigned len, void *arg)
{
	unsigned	at;

	(void)ssl, (void)arg;
	for (at = 0; at < len && offered[at] < len - at;
	    at += 1u + offered[at])
		if (offered[at] == 4 && memcmp(offered + at + 1, "smtp",
		    4) == 0) {
			*to = offered + at + 1;
			*to_len = 4;
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The identity of a name: its own, its parents', or the default one. */
static struct tls_identity *
find(const struct tls_source *source, const char *name)
{
	struct tls_identity	*identity = NULL;
	int			 i;

	if (*name != '\0')
		identity = source->find(source->state, name);
	for (i = 0; identity == NULL && *name != '\0' && i < PARENTS_MAX; i++)
		if ((name = strchr(name + 1, '.')) == NULL)
			break;
		else
			identity = source->find(source->state, name);
	if (identity == NULL)
		identity = source->find(source->state, "");
	return identity;
}

/* Be who the client called. A handshake without identity goes on, so that
 * the client hears an alert. */
int
hello_answer(struct tls_stream *s, const char **why)
{
	struct tls_identity	*identity;
	int			 outcome = -1;

	*why = "there is no certificate";
	identity = find(&s->context->setup.source, s->sni);
	if (identity != NULL)
		outcome = identity_install(s, identity, why);
	tls_identity_release(identity);
	s->has_identity = outcome == 0;
	s->has_no_identity = outcome == -1;
	return outcome;
}
