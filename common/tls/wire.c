/*
 * wire.c - the bytes between OpenSSL and the peer, counted.
 *
 * W1  EAGAIN of the kernel, and nothing else, makes OpenSSL want to wait.
 * W2  OpenSSL reads a bounded number of bytes until it has data, or until the
 *     next step of a handshake. Whatever is no
 *     data (renegotiations, new keys, tickets, warnings) is otherwise eaten
 *     in a loop in there for as long as the peer feeds it, and all other
 *     sessions of the process stand still.
 */
#include "common/tls/inside.h"

#include <errno.h>
#include <unistd.h>

#include <openssl/bio.h>

#include "common/base/bug.h"

/* read(2), within the budget. */
static int
wire_read(BIO *bio, char *to, int size)
{
	struct tls_stream	*s = BIO_get_data(bio);
	ssize_t			 n;

	BIO_clear_retry_flags(bio);
	if (s->budget == 0) {
		s->error = ECONNABORTED;
		return -1;
	}
	n = read(io_fd(s->io), to, (size_t)size);
	if (n > 0) {
		s->budget -= (size_t)n < s->budget ? (size_t)n : s->budget;
		return (int)n;
	}
	s->error = n == 0 ? ECONNRESET : errno;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)n;
}

/* write(2). */
static int
wire_write(BIO *bio, const char *from, int size)
{
	struct tls_stream	*s = BIO_get_data(bio);
	ssize_t			 n;

	BIO_clear_retry_flags(bio);
	if ((n = write(io_fd(s->io), from, (size_t)size)) >= 0)
		return (int)n;
	s->error = errno;
	if (errno == EAGAIN || errno == EINTR)
		BIO_set_retry_write(bio);
	return -1;
}

/* There is nothing to flush. */
static long
wire_control(BIO *bio, int what, long number, void *thing)
{
	(void)bio, (void)number, (void)thing;
	return what == BIO_CTRL_FLUSH;
}

/* The way to the peer of this stream. */
BIO *
wire_new(struct tls_stream *s)
{
	static BIO_METHOD	*method;
	BIO			*bio;

	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() |
		    BIO_TYPE_SOURCE_SINK, "postrider");
		if (method == NULL ||
		    BIO_meth_set_read(method, wire_read) != 1 ||
		    BIO_meth_set_write(method, wire_write) != 1 ||
		    BIO_meth_set_ctrl(method, wire_control) != 1)
			die("OpenSSL has no memory");
	}
	if ((bio = BIO_new(method)) == NULL)
		die("OpenSSL has no memory");
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	return bio;
}
