/*
 * source.c - clients that send mail and measure how long the reply to the final
 * dot takes, at a fixed rate if asked for; in clear or in TLS.
 *
 *	source -p PORT -t RECIPIENT [-s SESSIONS] [-m MESSAGES] [-l BYTES]
 *	    [-n RECIPIENTS] [-k MODULUS] [-r PER_SECOND] [-S]
 *
 * Each session keeps its connection. A % in RECIPIENT becomes a number: of the
 * message times RECIPIENTS, plus that of the recipient, modulo MODULUS. With -S
 * the session becomes TLS first. It prints
 *
 *	RATE P50 P99 MOST LATE
 *
 * messages in a second, milliseconds from the final dot to its reply: the
 * middle one, 99 of 100, the longest; and, with -r, how many milliseconds after
 * its time 99 of 100 messages had begun at the latest: a server whose replies
 * are slow must not look quick because it was asked less often.
 */
#include "t/bench/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SESSIONS_MAX = 1000, RECIPIENTS_MAX = 1000, ADDRESS = 256 };

static int		 port;
static const char	*recipient;
static unsigned long	 messages = 1000, modulus = 1UL << 30;
static unsigned		 recipients = 1;
static double		 per_second, started;
static SSL_CTX		*tls;
static char		*content;
static size_t		 content_length;

static atomic_ulong	 taken;			/* by a session, to send */
static double		*waited, *late;		/* seconds, by message */

static double
now(void)
{
	struct timespec	t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Read a whole reply, which must have this code. */
static void
expect(struct wire *w, const char *code)
{
	size_t	 length;
	char	*l;

	do {
		if ((l = wire_line(w, &length)) == NULL || length < 3)
			wire_fail("source: no reply");
		if (strncmp(l, code, 3) != 0) {
			fprintf(stderr, "source: not %s: %s\n", code, l);
			exit(1);
		}
	} while (l[3] == '-');
}

/* Say this and hear that. */
static void
ask(struct wire *w, const char *text, const char *code)
{
	if (!wire_put(w, text, strlen(text)))
		wire_fail("source: send");
	expect(w, code);
}

/* Connect, up to the reply to EHLO. */
static void
begin(struct wire *w)
{
	struct sockaddr_in	to = { .sin_family = AF_INET };
	int			fd;

	to.sin_port = htons((uint16_t)port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1)
		wire_fail("source: connect");
	wire_open(w, fd);
	expect(w, "220");
	ask(w, "EHLO bench.test\r\n", "250");
	if (tls == NULL)
		return;
	ask(w, "STARTTLS\r\n", "220");
	if (!wire_encrypt(w, tls, false))
		wire_fail("source: handshake");
	ask(w, "EHLO bench.test\r\n", "250");
}

/* One recipient of a message as a command. */
static void
address(struct wire *w, unsigned long number)
{
	const char	*mark = strchr(recipient, '%');
	char		 text[ADDRESS + 32];

	if (mark == NULL)
		snprintf(text, sizeof(text), "RCPT TO:<%s>\r\n", recipient);
	else
		snprintf(text, sizeof(text), "RCPT TO:<%.*s%lu%s>\r\n",
		    (int)(mark - recipient), recipient, number % modulus,
		    mark + 1);
	if (!wire_say(w, text))
		wire_fail("source: send");
}

/* One message: envelope in one go, content, dot; measure. */
static void
send_one(struct wire *w, unsigned long number)
{
	unsigned	i;
	double		dot;

	if (!wire_say(w, "MAIL FROM:<s@bench.test>\r\n"))
		wire_fail("source: send");
	for (i = 0; i < recipients; i++)
		address(w, number * recipients + i);
	if (!wire_say(w, "DATA\r\n") || !wire_flush(w))
		wire_fail("source: send");
	for (i = 0; i < recipients + 1; i++)
		expect(w, "250");
	expect(w, "354");
	if (!wire_put(w, content, content_length))
		wire_fail("source: send");
	dot = now();
	expect(w, "250");
	waited[number] = now() - dot;
}

/* Wait until this message is due; it is noted how late we are. */
static void
wait_turn(unsigned long number)
{
	double	due = started + (double)number / per_second, left;

	while ((left = due - now()) > 0)
		usleep((useconds_t)(left * 1e6) + 1);
	late[number] = -left;
}

/* Thread: a session takes one message after the other. */
static void *
run(void *arg)
{
	struct wire	*w = arg;
	unsigned long	 number;

	while ((number = atomic_fetch_add(&taken, 1)) < messages) {
		if (per_second > 0)
			wait_turn(number);
		send_one(w, number);
	}
	ask(w, "QUIT\r\n", "221");
	wire_close(w);
	return NULL;
}

/* A message of so many bytes with its dot. */
static void
compose(size_t size)
{
	static const char	head[] = "From: <s@bench.test>\r\n"
				    "Subject: bench\r\n\r\n";
	size_t			i, n = sizeof(head) - 1;

	if (size < n + 2)
		size = n + 2;
	if ((content = malloc(size + 8)) == NULL)
		wire_fail("source: memory");
	memcpy(content, head, n);
	for (i = 0; n + i < size - 2; i++)
		content[n + i] = "X\r\n"[i % 72 < 70 ? 0 : i % 72 - 69];
	if (content[size - 3] == '\r')		/* it must not stand alone */
		content[size - 3] = 'X';
	memcpy(content + size - 2, "\r\n.\r\n", 5);
	content_length = size + 3;
}

static int
compare(const void *a, const void *b)
{
	double	x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* At least so many of a hundred are not above this, in milliseconds. */
static double
percentile(double *values, unsigned per_cent)
{
	qsort(values, messages, sizeof(*values), compare);
	return 1000 * values[(messages * per_cent + 99) / 100 - 1];
}

/* All sessions are there; then all send. The rate. */
static double
race(unsigned sessions)
{
	static struct wire	*wires[SESSIONS_MAX];
	static pthread_t	 threads[SESSIONS_MAX];
	unsigned		 i;

	for (i = 0; i < sessions; i++) {
		if ((wires[i] = malloc(sizeof(**wires))) == NULL)
			wire_fail("source: memory");
		begin(wires[i]);
	}
	started = now();
	for (i = 0; i < sessions; i++)
		if (pthread_create(&threads[i], NULL, run, wires[i]) != 0)
			wire_fail("source: thread");
	for (i = 0; i < sessions; i++)
		pthread_join(threads[i], NULL);
	return (double)messages / (now() - started);
}

int
main(int argc, char **argv)
{
	unsigned	sessions = 1;
	size_t		size = 4096;
	double		rate;
	int		option;

	while ((option = getopt(argc, argv, "p:t:s:m:l:n:k:r:S")) != -1)
		switch (option) {
		case 'p': port = atoi(optarg); break;
		case 't': recipient = optarg; break;
		case 's': sessions = (unsigned)atoi(optarg); break;
		case 'm': messages = strtoul(optarg, NULL, 10); break;
		case 'l': size = strtoul(optarg, NULL, 10); break;
		case 'n': recipients = (unsigned)atoi(optarg); break;
		case 'k': modulus = strtoul(optarg, NULL, 10); break;
		case 'r': per_second = atof(optarg); break;
		case 'S': tls = wire_tls(NULL); break;
		default: return 64;
		}
	if (port == 0 || recipient == NULL || strlen(recipient) > ADDRESS ||
	    sessions < 1 || sessions > SESSIONS_MAX || messages < 1 ||
	    recipients < 1 || recipients > RECIPIENTS_MAX || modulus < 1)
		return 64;
	waited = calloc(messages, sizeof(*waited));
	late = calloc(messages, sizeof(*late));
	if (waited == NULL || late == NULL)
		wire_fail("source: memory");
	signal(SIGPIPE, SIG_IGN);
	compose(size);
	rate = race(sessions);
	printf("%.2f %.3f %.3f %.3f %.3f\n", rate, percentile(waited, 50),
	    percentile(waited, 99), percentile(waited, 100),
	    percentile(late, 99));
	return 0;
}
