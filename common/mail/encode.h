#ifndef MAIL_ENCODE_H
#define MAIL_ENCODE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/base/mem.h"
#include "common/base/str.h"

/* base64 (RFC 4648 4, strict), quoted-printable (RFC 2045 6.7), xtext
 * (RFC 3461 4), encoded words (RFC 2047). */
void		 base64_encode(struct str *, const void *, size_t);
/* Bytes written to `to` (room for 3/4 of len), or -1 when malformed. */
ssize_t		 base64_decode(void *to, const char *, size_t len);
void		 xtext_encode(struct str *, const char *);
/* RFC 6533 3, utf-8-addr-xtext: what is not plain ASCII as "\x{HEX}"; "?" for
 * a byte that is no character. */
void		 points_encode(struct str *, const char *);
/* NULL when malformed or with an encoded NUL or control byte. */
char		*xtext_decode(struct pool *, const char *);
void		 qp_encode(struct str *, const void *, size_t); /* CRLF text */
/* The same in pieces; *column is 0 at first and where a line begins. A piece
 * holds whole lines, or ends inside of one (which costs a blank there its
 * plain form). */
void		 qp_encode_more(struct str *, size_t *column, const void *,
		    size_t);
/* A display name for a header: as it is, quoted, or as encoded word. */
char		*phrase_encode(struct pool *, const char *utf8);

#endif
