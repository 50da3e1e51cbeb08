/*
 * hop.c - the next hop of a load: takes mail by SMTP or LMTP, quickly, and
 * writes down what has come.
 *
 *	hop -l LEDGER -p PORTFILE
 *
 * LEDGER gets a line for each recipient before the answer to the dot: its key,
 * "whole" or "damaged", the time. Who begins with "refused" does not exist;
 * who begins with "later" is told so one time in four; "slow" waits
 * a second for the answer to the dot; "reset" gets none, but a reset of the
 * connection, one time in four. PORTFILE gets the number of the port, which is
 * one of loopback.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "t/crash/message.h"

enum { IN = 64 * 1024, RCPT_MAX = 1100, LINE = 2048 };

struct session {
	int	 fd;
	char	 in[IN];
	size_t	 at, have;
	char	 out[8192];
	size_t	 out_length;
	char	 keys[RCPT_MAX][KEY_MAX];
	size_t	 count;
	bool	 is_lmtp, is_slow, is_rude;
	unsigned chance;
};

static int	 ledger;

/* We cannot work. */
static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Send what was said. */
static bool
flush(struct session *s)
{
	size_t	 done = 0;
	ssize_t	 n;

	while (done < s->out_length) {
		n = send(s->fd, s->out + done, s->out_length - done,
		    MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	s->out_length = 0;
	return true;
}

/* Say something; it goes out when there is nothing to read. */
static bool
say(struct session *s, const char *text)
{
	size_t	 n = strlen(text);

	if (s->out_length + n > sizeof(s->out) && !flush(s))
		return false;
	memcpy(s->out + s->out_length, text, n);
	s->out_length += n;
	return true;
}

/* More input; false at the end. */
static bool
fill(struct session *s)
{
	ssize_t	 n;

	if (!flush(s))
		return false;
	memmove(s->in, s->in + s->at, s->have - s->at);
	s->have -= s->at;
	s->at = 0;
	if (s->have == sizeof(s->in))
		return false;
	n = recv(s->fd, s->in + s->have, sizeof(s->in) - s->have, 0);
	if (n <= 0)
		return false;
	s->have += (size_t)n;
	return true;
}

/* A line without its end, which is good until the next one. */
static char *
line(struct session *s, size_t *length)
{
	char	*start, *end;

	while ((end = memchr(s->in + s->at, '\n', s->have - s->at)) == NULL)
		if (!fill(s))
			return NULL;
	start = s->in + s->at;
	s->at += (size_t)(end - start) + 1;
	if (end > start && end[-1] == '\r')
		end--;
	*length = (size_t)(end - start);
	return start;
}

/* Write down what has come. */
static void
note(const struct session *s, bool is_whole)
{
	struct timespec	 now;
	char		*text = malloc(s->count * (KEY_MAX + 40) + 1);
	size_t		 i, n = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	for (i = 0; i < s->count; i++)
		n += (size_t)sprintf(text + n, "%s %s %lld.%03ld\n",
		    s->keys[i], is_whole ? "whole" : "damaged",
		    (long long)now.tv_sec, now.tv_nsec / 1000000);
	if (write(ledger, text, n) != (ssize_t)n)
		fail("hop: ledger");
	free(text);
}

/* The content up to the dot; false if the client has left. */
static bool
take(struct session *s)
{
	struct linger	 now = { .l_onoff = 1 };
	size_t	 size = 8192, n = 0, length;
	char	*text = malloc(size), *l;
	size_t	 i;

	for (;;) {
		if ((l = line(s, &length)) == NULL) {
			free(text);
			return false;
		}
		if (length == 1 && *l == '.')
			break;
		if (length > 0 && *l == '.') {
			l++;
			length--;
		}
		if (n + length + 1 > size)
			text = realloc(text, size = (n + length + 1) * 2);
		memcpy(text + n, l, length);
		n += length;
		text[n++] = '\n';
	}
	if (s->is_rude && (s->chance >> 16) % 4 == 1) {
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		free(text);
		return false;
	}
	if (s->is_slow)
		sleep(1);
	note(s, message_is_whole(text, n));
	free(text);
	for (i = 0; i < (s->is_lmtp ? s->count : 1); i++)
		if (!say(s, "250 2.0.0 taken\r\n"))
			return false;
	s->count = 0;
	return flush(s);
}

/* A recipient. */
static bool
recipient(struct session *s, const char *l, size_t length)
{
	const char	*open = memchr(l, '<', length);

	if (open == NULL || s->count == RCPT_MAX ||
	    !message_key(open, l + length, s->keys[s->count]))
		return say(s, "501 5.1.3 what?\r\n");
	if (strncmp(open, "<refused", 8) == 0)
		return say(s, "550 5.1.1 nobody here\r\n");
	s->chance = s->chance * 1103515245 + 12345;
	if (strncmp(open, "<later", 6) == 0 && (s->chance >> 16) % 4 == 0)
		return say(s, "450 4.2.1 later\r\n");
	if (strncmp(open, "<slow", 5) == 0)
		s->is_slow = true;
	if (strncmp(open, "<reset", 6) == 0)
		s->is_rude = true;
	s->count++;
	return say(s, "250 2.1.5 Ok\r\n");
}

/* One command; false to leave. */
static bool
obey(struct session *s, const char *l, size_t length)
{
	if (length < 4)
		return say(s, "500 5.5.2 what?\r\n");
	if (strncasecmp(l, "EHLO", 4) == 0 || strncasecmp(l, "LHLO", 4) == 0) {
		s->is_lmtp = *l == 'L' || *l == 'l';
		return say(s, "250-hop.test\r\n250-PIPELINING\r\n"
		    "250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n");
	}
	if (strncasecmp(l, "MAIL", 4) == 0 || strncasecmp(l, "RSET", 4) == 0) {
		s->count = 0;
		s->is_slow = s->is_rude = false;
		return say(s, "250 2.0.0 Ok\r\n");
	}
	if (strncasecmp(l, "RCPT", 4) == 0)
		return recipient(s, l, length);
	if (strncasecmp(l, "DATA", 4) == 0) {
		if (s->count == 0)
			return say(s, "554 5.5.1 no recipients\r\n");
		return say(s, "354 go ahead\r\n") && flush(s) && take(s);
	}
	if (strncasecmp(l, "QUIT", 4) == 0) {
		(void)(say(s, "221 2.0.0 Bye\r\n") && flush(s));
		return false;
	}
	return say(s, "250 2.0.0 Ok\r\n");
}

/* Thread: one client. */
static void *
serve(void *arg)
{
	struct session	*s = arg;
	size_t		 length;
	char		*l;

	if (say(s, "220 hop.test ESMTP\r\n"))
		while ((l = line(s, &length)) != NULL && obey(s, l, length))
			continue;
	close(s->fd);
	free(s);
	return NULL;
}

/* Listen, and tell where. */
static int
listen_somewhere(const char *port_file)
{
	struct sockaddr_in	 a = { .sin_family = AF_INET };
	socklen_t		 length = sizeof(a);
	char			 temporary[1024];
	FILE			*f;
	int			 fd;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, 1024) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &length) == -1)
		fail("hop: socket");
	snprintf(temporary, sizeof(temporary), "%s.new", port_file);
	if ((f = fopen(temporary, "w")) == NULL)
		fail(temporary);
	fprintf(f, "%d\n", ntohs(a.sin_port));
	fclose(f);
	if (rename(temporary, port_file) == -1)
		fail(port_file);
	return fd;
}

int
main(int argc, char **argv)
{
	const char	*file = NULL, *port_file = NULL;
	pthread_attr_t	 small;
	pthread_t	 thread;
	struct session	*s;
	int		 option, listener, one = 1, fd;

	while ((option = getopt(argc, argv, "l:p:")) != -1) {
		if (option == 'l')
			file = optarg;
		else if (option == 'p')
			port_file = optarg;
		else
			return 64;
	}
	if (file == NULL || port_file == NULL)
		return 64;
	ledger = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (ledger == -1)
		fail(file);
	signal(SIGPIPE, SIG_IGN);
	pthread_attr_init(&small);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&small, 128 * 1024);
	listener = listen_somewhere(port_file);
	for (;;) {
		if ((fd = accept(listener, NULL, NULL)) == -1)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			fail("hop: memory");
		s->fd = fd;
		s->chance = (unsigned)fd * 2654435761u + (unsigned)time(NULL);
		if (pthread_create(&thread, &small, serve, s) != 0) {
			close(fd);
			free(s);
		}
	}
}
