/*
 * sink.c - the next hops of a bench: as many sites as there are addresses of
 * loopback, in clear or in TLS, quick or slow.
 *
 *	sink [-w MILLISECONDS] [-t CERTIFICATES]
 *
 * Listens at one port of all addresses, tells its number on standard output,
 * takes everything, and lives until standard input ends. With -w every answer
 * is so late; with -t STARTTLS is offered. A line on standard input asks for
 *
 *	MOST NOW MESSAGES RECIPIENTS TLS
 *
 * the most deliveries at once since the last line, those that are there now,
 * what was taken since the last line, and how many of the messages in TLS.
 */
#include "t/bench/wire.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { BACKLOG = 4096, STACK = 128 * 1024 };

static SSL_CTX		*tls;
static useconds_t	 pause_us;

static pthread_mutex_t	 counting = PTHREAD_MUTEX_INITIALIZER;
static struct counts {
	unsigned long	most, now, messages, recipients, encrypted;
} counts;

/* A delivery begins or ends. */
static void
count_session(bool has_come)
{
	pthread_mutex_lock(&counting);
	counts.now += has_come ? 1 : -1UL;
	if (counts.now > counts.most)
		counts.most = counts.now;
	pthread_mutex_unlock(&counting);
}

/* A message was taken. */
static void
count_message(unsigned long recipients, bool is_encrypted)
{
	pthread_mutex_lock(&counting);
	counts.messages++;
	counts.encrypted += is_encrypted;
	counts.recipients += recipients;
	pthread_mutex_unlock(&counting);
}

/* Tell what was counted, and begin again. */
static void
tell(void)
{
	struct counts	c;

	pthread_mutex_lock(&counting);
	c = counts;
	counts = (struct counts){ .most = c.now, .now = c.now };
	pthread_mutex_unlock(&counting);
	printf("%lu %lu %lu %lu %lu\n", c.most, c.now, c.messages,
	    c.recipients, c.encrypted);
	fflush(stdout);
}

/* Send what was said, late if we are slow. */
static bool
answer(struct wire *w)
{
	if (w->waiting > 0 && pause_us > 0)
		usleep(pause_us);
	return wire_flush(w);
}

/* The next line; before we wait for it, our answers go out together. */
static char *
line(struct wire *w, size_t *length)
{
	if (memchr(w->in + w->at, '\n', w->have - w->at) == NULL && !answer(w))
		return NULL;
	return wire_line(w, length);
}

/* The content up to the dot; false if the client has left. */
static bool
take(struct wire *w)
{
	size_t	 length;
	char	*l;

	do
		if ((l = line(w, &length)) == NULL)
			return false;
	while (length != 1 || *l != '.');
	return true;
}

/* STARTTLS was said. */
static bool
encrypt(struct wire *w)
{
	return wire_say(w, "220 2.0.0 go ahead\r\n") && answer(w) &&
	    wire_encrypt(w, tls, true);
}

/* One command; false to leave. */
static bool
obey(struct wire *w, const char *l, unsigned long *recipients)
{
	if (strncasecmp(l, "EHLO", 4) == 0)
		return wire_say(w, tls != NULL && w->ssl == NULL ?
		    "250-sink.test\r\n250-PIPELINING\r\n250-STARTTLS\r\n"
		    "250 8BITMIME\r\n" :
		    "250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
	if (strncasecmp(l, "STARTTLS", 8) == 0 && tls != NULL)
		return encrypt(w);
	if (strncasecmp(l, "MAIL", 4) == 0 || strncasecmp(l, "RSET", 4) == 0)
		*recipients = 0;
	if (strncasecmp(l, "RCPT", 4) == 0)
		++*recipients;
	if (strncasecmp(l, "DATA", 4) == 0) {
		if (!wire_say(w, "354 go ahead\r\n") || !take(w))
			return false;
		count_message(*recipients, w->ssl != NULL);
		*recipients = 0;
	}
	if (strncasecmp(l, "QUIT", 4) == 0) {
		(void)(wire_say(w, "221 2.0.0 Bye\r\n") && answer(w));
		return false;
	}
	return wire_say(w, "250 2.0.0 Ok\r\n");
}

/* Thread: one client. */
static void *
serve(void *arg)
{
	struct wire	*w = arg;
	unsigned long	 recipients = 0;
	size_t		 length;
	char		*l;

	count_session(true);
	if (wire_say(w, "220 sink.test ESMTP\r\n"))
		while ((l = line(w, &length)) != NULL &&
		    obey(w, l, &recipients))
			continue;
	wire_close(w);
	free(w);
	count_session(false);
	return NULL;
}

/* Thread: take whoever comes. */
static void *
listen_on(void *arg)
{
	int		 listener = *(int *)arg, fd;
	pthread_attr_t	 small;
	pthread_t	 thread;
	struct wire	*w;

	pthread_attr_init(&small);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&small, STACK);
	for (;;) {
		if ((fd = accept(listener, NULL, NULL)) == -1)
			wire_fail("sink: accept");
		if ((w = malloc(sizeof(*w))) == NULL)
			wire_fail("sink: memory");
		wire_open(w, fd);
		if (pthread_create(&thread, &small, serve, w) != 0)
			wire_fail("sink: thread");
	}
	return NULL;
}

/* A port of all addresses; its number is told. */
static int
open_port(void)
{
	struct sockaddr_in	at = { .sin_family = AF_INET };
	socklen_t		len = sizeof(at);
	int			fd;

	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&at, len) == -1 ||
	    listen(fd, BACKLOG) == -1 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) == -1)
		wire_fail("sink: port");
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

int
main(int argc, char **argv)
{
	char		ask[16];
	pthread_t	thread;
	int		option, listener;

	while ((option = getopt(argc, argv, "w:t:")) != -1)
		switch (option) {
		case 'w': pause_us = (useconds_t)atoi(optarg) * 1000; break;
		case 't': tls = wire_tls(optarg); break;
		default: return 64;
		}
	signal(SIGPIPE, SIG_IGN);
	wire_raise_limit();
	listener = open_port();
	if (pthread_create(&thread, NULL, listen_on, &listener) != 0)
		wire_fail("sink: thread");
	while (fgets(ask, sizeof(ask), stdin) != NULL)
		tell();
	return 0;
}
