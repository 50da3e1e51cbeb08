/*
 * bind.c - bytes that both ends of one session know and nobody else's have.
 */
#include "common/tls/inside.h"

#include <string.h>

#include <openssl/evp.h>

/*
 * RFC 9266: exported under a label of its own. Under TLS 1.2 two sessions can
 * have the same secret, unless it covers the handshake (RFC 7627).
 */
static size_t
exported(SSL *ssl, unsigned char to[64])
{
	static const char	label[] = "EXPORTER-Channel-Binding";

	if (SSL_version(ssl) < TLS1_3_VERSION &&
	    SSL_get_extms_support(ssl) != 1)
		return 0;
	if (SSL_export_keying_material(ssl, to, 32, label, sizeof label - 1,
	    (const unsigned char *)"", 0, 1) != 1)
		return 0;
	return 32;
}

/* RFC 5929 4.1: hashed as the certificate was for its signature, but not by
 * what is weak. Others have no such binding. */
static size_t
hashed(X509 *certificate, unsigned char to[64])
{
	const char	*name;
	EVP_MD		*md;
	unsigned	 len = 0;
	int		 nid;

	if (X509_get_signature_info(certificate, &nid, NULL, NULL,
	    NULL) != 1 || nid == NID_undef)
		return 0;
	name = nid == NID_md5 || nid == NID_sha1 ? "SHA256" : OBJ_nid2sn(nid);
	if ((md = EVP_MD_fetch(tls_library(), name, NULL)) == NULL)
		return 0;
	if (EVP_MD_get_size(md) > 64 ||
	    X509_digest(certificate, md, to, &len) != 1)
		len = 0;
	EVP_MD_free(md);
	return len;
}

/* The certificate that the server showed. Of a session that was resumed, a
 * server with several does not know which one that was. */
static X509 *
server_certificate(const struct tls_stream *s)
{
	if (s->context->setup.role == TLS_CLIENT)
		return SSL_get0_peer_certificate(s->ssl);
	if (SSL_session_reused(s->ssl) && s->chain_count > 1)
		return NULL;
	return s->shown;
}

/* Fill in the binding. */
size_t
tls_bind(struct tls_stream *s, enum tls_binding kind, unsigned char to[64])
{
	X509	*certificate;
	size_t	 len = 0;

	if (!s->is_done)
		return 0;
	ERR_clear_error();
	if (kind == TLS_EXPORTER)
		len = exported(s->ssl, to);
	else if ((certificate = server_certificate(s)) != NULL)
		len = hashed(certificate, to);
	ERR_clear_error();
	return len;
}
