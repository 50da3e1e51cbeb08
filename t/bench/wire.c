/*
 * wire.c - one end of an SMTP connection, for loads.
 */
#include "t/bench/wire.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
wire_fail(const char *what)
{
	perror(what);
	exit(1);
}

void
wire_raise_limit(void)
{
	struct rlimit	limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		wire_fail("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		wire_fail("setrlimit");
}

SSL_CTX *
wire_tls(const char *certificates)
{
	SSL_CTX	*context;

	context = SSL_CTX_new(certificates != NULL ? TLS_server_method() :
	    TLS_client_method());
	if (context == NULL)
		wire_fail("TLS");
	SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY |
	    SSL_MODE_RELEASE_BUFFERS);
	if (certificates != NULL &&
	    (SSL_CTX_use_certificate_chain_file(context, certificates) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, certificates,
	    SSL_FILETYPE_PEM) != 1))
		wire_fail(certificates);
	return context;
}

void
wire_open(struct wire *w, int fd)
{
	int	one = 1;

	w->fd = fd;
	w->ssl = NULL;
	w->at = w->have = w->waiting = 0;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

bool
wire_encrypt(struct wire *w, SSL_CTX *context, bool is_server)
{
	if ((w->ssl = SSL_new(context)) == NULL ||
	    SSL_set_fd(w->ssl, w->fd) != 1)
		wire_fail("TLS");
	/* What was said in clear before must not count. */
	w->at = w->have = 0;
	return (is_server ? SSL_accept(w->ssl) : SSL_connect(w->ssl)) == 1;
}

void
wire_close(struct wire *w)
{
	if (w->ssl != NULL) {
		(void)SSL_shutdown(w->ssl);
		SSL_free(w->ssl);
		w->ssl = NULL;
	}
	close(w->fd);
	w->fd = -1;
}

bool
wire_put(struct wire *w, const char *text, size_t length)
{
	ssize_t	n;

	while (length > 0) {
		n = w->ssl != NULL ? SSL_write(w->ssl, text, (int)length) :
		    send(w->fd, text, length, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		text += n;
		length -= (size_t)n;
	}
	return true;
}

bool
wire_flush(struct wire *w)
{
	size_t	length = w->waiting;

	w->waiting = 0;
	return length == 0 || wire_put(w, w->out, length);
}

bool
wire_say(struct wire *w, const char *text)
{
	size_t	length = strlen(text);

	if (w->waiting + length > sizeof(w->out) && !wire_flush(w))
		return false;
	if (length > sizeof(w->out))
		return wire_put(w, text, length);
	memcpy(w->out + w->waiting, text, length);
	w->waiting += length;
	return true;
}

/* Read more; false at the end, or if there is no room. */
static bool
fill(struct wire *w)
{
	ssize_t	n;

	memmove(w->in, w->in + w->at, w->have - w->at);
	w->have -= w->at;
	w->at = 0;
	if (w->have == sizeof(w->in))
		return false;
	n = w->ssl != NULL ? SSL_read(w->ssl, w->in + w->have,
	    (int)(sizeof(w->in) - w->have)) :
	    recv(w->fd, w->in + w->have, sizeof(w->in) - w->have, 0);
	if (n <= 0)
		return false;
	w->have += (size_t)n;
	return true;
}

char *
wire_line(struct wire *w, size_t *length)
{
	char	*start, *end;

	while ((end = memchr(w->in + w->at, '\n', w->have - w->at)) == NULL)
		if (!fill(w))
			return NULL;
	start = w->in + w->at;
	w->at += (size_t)(end - start) + 1;
	if (end > start && end[-1] == '\r')
		end--;
	*end = '\0';
	*length = (size_t)(end - start);
	return start;
}
