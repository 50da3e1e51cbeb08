/*
 * tlsload.c - clients with TLS, as a load.
 *
 *	tlsload new PORT SESSIONS CLIENTS	each a full handshake and QUIT
 *	tlsload resumed PORT SESSIONS CLIENTS	each resumes the one before
 *	tlsload idle PORT SESSIONS		hold them, until input ends
 *
 * A session is the greeting, EHLO, STARTTLS, the handshake, EHLO. It prints
 * how many there were in a second, or "held" when all idle ones are there.
 * Plain threads and OpenSSL, so that nothing of what is measured is in it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

enum { CLIENTS_MAX = 64, LINE = 1024 };

static SSL_CTX	*context;
static int	 port, per_client;
static bool	 resumes;

/* Give up: a load that fails measures nothing. */
static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Read a reply that begins with this code, in clear or not. */
static void
expect(int fd, SSL *ssl, const char *code)
{
	char	line[LINE];
	int	len = 0, n, start = 0;

	for (;;) {
		n = ssl != NULL ?
		    SSL_read(ssl, line + len, (int)sizeof(line) - len) :
		    (int)read(fd, line + len, sizeof(line) - (size_t)len);
		if (n <= 0)
			fail("tlsload: no reply");
		len += n;
		for (n = start; n < len; n++) {
			if (line[n] != '\n')
				continue;
			if (strncmp(line + start, code, 3) != 0) {
				fprintf(stderr, "tlsload: not %s: %.*s\n",
				    code, len, line);
				exit(1);
			}
			if (line[start + 3] == ' ')
				return;
			start = n + 1;
		}
	}
}

/* Say a line. */
static void
tell(int fd, SSL *ssl, const char *line)
{
	int	len = (int)strlen(line);
	int	n = ssl != NULL ? SSL_write(ssl, line, len) :
		    (int)write(fd, line, (size_t)len);

	if (n != len)
		fail("tlsload: write");
}

/* Begin a session; the caller ends it. */
static SSL *
begin(SSL_SESSION *before, int *fd)
{
	struct sockaddr_in	 to = { .sin_family = AF_INET };
	int			 one = 1;
	SSL			*ssl;

	to.sin_port = htons((uint16_t)port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((*fd = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    connect(*fd, (struct sockaddr *)&to, sizeof(to)) == -1)
		fail("tlsload: connect");
	(void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	expect(*fd, NULL, "220");
	tell(*fd, NULL, "EHLO bench.test\r\n");
	expect(*fd, NULL, "250");
	tell(*fd, NULL, "STARTTLS\r\n");
	expect(*fd, NULL, "220");
	ssl = SSL_new(context);
	if (ssl == NULL || SSL_set_fd(ssl, *fd) != 1)
		fail("tlsload: SSL");
	if (before != NULL)
		SSL_set_session(ssl, before);
	if (SSL_connect(ssl) != 1)
		fail("tlsload: handshake");
	tell(*fd, ssl, "EHLO bench.test\r\n");
	expect(*fd, ssl, "250");
	return ssl;
}

/* One client: session after session. */
static void *
run(void *arg)
{
	SSL_SESSION	*before = NULL;
	SSL		*ssl;
	int		 i, fd;

	(void)arg;
	for (i = 0; i < per_client; i++) {
		ssl = begin(before, &fd);
		tell(fd, ssl, "QUIT\r\n");
		expect(fd, ssl, "221");
		if (resumes && i == 1 && !SSL_session_reused(ssl))
			fprintf(stderr, "# port %d does not resume\n", port);
		SSL_SESSION_free(before);
		before = resumes ? SSL_get1_session(ssl) : NULL;
		SSL_shutdown(ssl);
		SSL_free(ssl);
		close(fd);
	}
	SSL_SESSION_free(before);
	return NULL;
}

/* All clients at once; sessions in a second. */
static double
race(int sessions, int clients)
{
	pthread_t	threads[CLIENTS_MAX];
	struct timespec	start, end;
	int		i;

	per_client = sessions / clients;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < clients; i++)
		if (pthread_create(&threads[i], NULL, run, NULL) != 0)
			fail("tlsload: thread");
	for (i = 0; i < clients; i++)
		pthread_join(threads[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return per_client * clients / ((double)(end.tv_sec - start.tv_sec) +
	    (double)(end.tv_nsec - start.tv_nsec) / 1e9);
}

/* Hold sessions until somebody says that it is enough. */
static void
hold(int sessions)
{
	char	byte;
	int	i, fd;

	for (i = 0; i < sessions; i++)
		(void)begin(NULL, &fd);
	printf("held\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
}

int
main(int argc, char **argv)
{
	int	sessions, clients;

	if (argc < 4 || (context = SSL_CTX_new(TLS_client_method())) == NULL) {
		fprintf(stderr, "usage: tlsload new|resumed|idle PORT "
		    "SESSIONS [CLIENTS]\n");
		return 2;
	}
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	port = atoi(argv[2]);
	sessions = atoi(argv[3]);
	clients = argc > 4 ? atoi(argv[4]) : 1;
	if (clients < 1 || clients > CLIENTS_MAX)
		clients = 1;
	resumes = strcmp(argv[1], "resumed") == 0;
	if (strcmp(argv[1], "idle") == 0)
		hold(sessions);
	else
		printf("%.1f\n", race(sessions, clients));
	return 0;
}
