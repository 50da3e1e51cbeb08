#ifndef MASTER_KEYS_FORM_H
#define MASTER_KEYS_FORM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Is this what a TLS handshake has signed? Everything else that somebody may
 * want signed with a key (mail, certificates, other protocols) is none of it.
 */
enum keys_form {
	KEYS_NO_FORM,
	KEYS_TLS_1_3,		/* RFC 8446 4.4.3, with the side's own words */
	KEYS_TLS_1_2		/* RFC 5246 7.4.3, RFC 8422 5.4; 7.4.8 */
};

/* What a server signs: its CertificateVerify; its ServerKeyExchange. */
enum keys_form	 keys_server_form(const unsigned char *, size_t);
/* What a client signs: its CertificateVerify of either version. */
enum keys_form	 keys_client_form(const unsigned char *, size_t);

#endif
