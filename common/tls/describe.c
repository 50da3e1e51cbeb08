/*
 * describe.c - a session in one line of the log, and in a Received: field.
 *
 * The shapes are those that programs read who read Postfix's.
 */
#include "common/tls/inside.h"

#include <string.h>

/* Add " WORD VALUE[ DIGEST-WORD DIGEST]", after this separator. */
static void
add_signature(struct str *to, const char *before, const char *who,
    const char *signature, const char *digest)
{
	if (*signature == '\0')
		return;
	str_addf(to, "%s%s-signature %s", before, who, signature);
	if (*digest != '\0')
		str_addf(to, " %s-digest %s", who, digest);
}

/* Protocol and cipher. */
static void
add_cipher(struct str *to, const struct tls_summary *s)
{
	str_addf(to, "%s with cipher %s (%d/%d bits)", s->protocol,
	    s->cipher, s->bits, s->all_bits);
}

/* The end of the log line. */
const char *
tls_describe(struct pool *pool, const struct tls_summary *s)
{
	struct str	to;

	str_init(&to, pool, 0);
	add_cipher(&to, s);
	if (*s->key_exchange != '\0')
		str_addf(&to, " key-exchange %s", s->key_exchange);
	add_signature(&to, " ", "server", s->server_signature,
	    s->server_digest);
	add_signature(&to, " ", "client", s->client_signature,
	    s->client_digest);
	return to.data;
}

/* A name that cannot end the comment or the quotes that it stands in. */
static const char *
quoted(struct pool *pool, const char *name)
{
	char	*text = pool_strdup(pool, name), *c;

	for (c = text; *c != '\0'; c++)
		if (strchr("()\\\"", *c) != NULL || *c < ' ' || *c > '~')
			*c = '?';
	return text;
}

/* What is known of the client. */
static void
add_client(struct str *to, struct pool *pool, const struct tls_summary *s,
    bool asked_certificate)
{
	if (s->trust != TLS_ANONYMOUS)
		str_addf(to, "(Client CN \"%s\", Issuer \"%s\" (%s))",
		    quoted(pool, s->peer_name), quoted(pool, s->issuer),
		    s->trust >= TLS_TRUSTED ? "verified OK" : "not verified");
	else
		str_add(to, asked_certificate ?
		    "(Client did not present a certificate)" :
		    "(No client certificate requested)");
}

/* The comments of a Received: field. */
const char *
tls_trace(struct pool *pool, const struct tls_summary *s,
    bool asked_certificate)
{
	struct str	to;

	str_init(&to, pool, 0);
	str_add(&to, "(using ");
	add_cipher(&to, s);
	if (*s->key_exchange != '\0')
		str_addf(&to, "\n key-exchange %s", s->key_exchange);
	add_signature(&to, *s->key_exchange != '\0' ? " " : "\n ", "server",
	    s->server_signature, s->server_digest);
	add_signature(&to, "\n ", "client", s->client_signature,
	    s->client_digest);
	str_add(&to, ")\n");
	add_client(&to, pool, s, asked_certificate);
	return to.data;
}
