/*
 * wire.h - one end of an SMTP connection, for loads: a blocking socket, in TLS
 * or not, read by lines.
 */
#ifndef T_BENCH_WIRE_H
#define T_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

enum { WIRE_IN = 16 * 1024, WIRE_OUT = 4096 };

struct wire {
	int	 fd;
	SSL	*ssl;				/* NULL: in clear */
	size_t	 at, have;			/* what of in[] is unread */
	size_t	 waiting;			/* what of out[] is unsent */
	char	 in[WIRE_IN];
	char	 out[WIRE_OUT];
};

/* Give up: a load that fails measures nothing. */
void	 wire_fail(const char *what) __attribute__((noreturn));

/* As many descriptors as there may be. */
void	 wire_raise_limit(void);

/* The settings of one side of TLS; the server's come from a file with key and
 * certificates. */
SSL_CTX	*wire_tls(const char *certificates);

/* A fresh connection over this socket. */
void	 wire_open(struct wire *, int fd);

/* TLS from here on. False: the other side did not agree. */
bool	 wire_encrypt(struct wire *, SSL_CTX *, bool is_server);

/* Close it. */
void	 wire_close(struct wire *);

/* Everything now; false when the other side has gone. */
bool	 wire_put(struct wire *, const char *, size_t);

/* Send with the next wire_flush(). */
bool	 wire_say(struct wire *, const char *);
bool	 wire_flush(struct wire *);

/* The next line without its end, which is good until the next one; NULL when
 * the other side has gone, or its line does not end. */
char	*wire_line(struct wire *, size_t *length);

#endif
