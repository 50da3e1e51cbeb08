/*
 * load.c - clients that send mail by SMTP until they are told to stop, and note
 * what they were told.
 *
 *	load -p PORT -l LEDGER -n NAME [-w WRITERS] [-r PER_SECOND]
 *	    [-f SENDER] [-a USER:PASSWORD] [-m BIGGEST] [-t] FORM=WEIGHT...
 *	load -x ID		prints the message of an id
 *
 * Each writer has session after session with 1 to 20 messages, a tenth of them
 * in TLS (with -t) and a tenth logged in (with -a). A FORM is an
 * address with a %, for which the recipient's key is put: "%@relay.test=5"; its
 * number is in the id behind an "f".
 * Most messages have one recipient, some up to 50. Nine tenths have up to 4 KB,
 * the rest up to 64 KB and, one in a hundred, up to BIGGEST.
 *
 * LEDGER gets a line for each message whose content was sent: the reply's code,
 * the id, the numbers of its recipients, joined by commas, and the times of the
 * dot and of the reply. 000 is for no reply, when nobody knows. A reply that
 * refuses for good is a line "bad REPLY". SIGTERM lets each writer finish its
 * message.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "t/crash/message.h"

enum { WRITERS_MAX = 64, FORMS_MAX = 16, MANY = 50,
    LINE = 1500 };

/* Where mail goes. */
static struct form {
	char		 before[128], after[128];	/* of the key */
	unsigned	 weight;
} forms[FORMS_MAX];
static size_t		 form_count;
static unsigned		 weights;

static const char	*name, *sender = "", *login;
static int		 port, ledger;
static double		 per_second;
static size_t		 biggest = 1000000;
static SSL_CTX		*tls;
static atomic_bool	 is_over;
static atomic_ulong	 sent;
static double		 started;

/* One of those who send. */
struct writer {
	unsigned	 number;
	unsigned long	 messages;
	uint64_t	 chance;
	int		 fd;
	SSL		*ssl;
	char		 in[LINE];
	size_t		 have;
	char		 reply[LINE];		/* its last line */
	bool		 is_excused;		/* it has refused for now */
	char		 envelope[MANY * 320 + 400];
	pthread_t	 thread;
};

/* We cannot work. */
static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static double
now(void)
{
	struct timespec	 t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A number below this one. */
static unsigned
below(struct writer *w, unsigned limit)
{
	w->chance ^= w->chance << 13;
	w->chance ^= w->chance >> 7;
	w->chance ^= w->chance << 17;
	return (unsigned)((w->chance >> 11) % limit);
}

/* --- a connection --------------------------------------------------------- */

/* All bytes, or false. */
static bool
put(struct writer *w, const char *text, size_t length)
{
	ssize_t	 n;

	while (length > 0) {
		n = w->ssl != NULL ?
		    SSL_write(w->ssl, text, (int)length) :
		    send(w->fd, text, length, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		text += n;
		length -= (size_t)n;
	}
	return true;
}

/* The next line into reply. */
static bool
line(struct writer *w)
{
	char	*end;
	ssize_t	 n;

	while ((end = memchr(w->in, '\n', w->have)) == NULL) {
		if (w->have == sizeof(w->in))
			return false;
		n = w->ssl != NULL ? SSL_read(w->ssl, w->in + w->have,
		    (int)(sizeof(w->in) - w->have)) :
		    recv(w->fd, w->in + w->have, sizeof(w->in) - w->have, 0);
		if (n <= 0)
			return false;
		w->have += (size_t)n;
	}
	n = end - w->in;
	memcpy(w->reply, w->in, (size_t)n);
	w->reply[n] = '\0';
	w->have -= (size_t)n + 1;
	memmove(w->in, end + 1, w->have);
	return true;
}

/* Write a line down. */
static void
note(const char *text)
{
	size_t	 n = strlen(text);

	if (write(ledger, text, n) != (ssize_t)n)
		fail("load: ledger");
}

/* A whole reply; its code, or 0 when the connection has ended. */
static int
hear(struct writer *w)
{
	char	 text[LINE + 16];
	int	 code;

	do
		if (!line(w))
			return 0;
	while (strlen(w->reply) > 3 && w->reply[3] == '-');
	code = atoi(w->reply);
	if (code >= 500 && !w->is_excused) {
		w->reply[strcspn(w->reply, "\r\n")] = '\0';
		snprintf(text, sizeof(text), "bad %s\n", w->reply);
		note(text);
	}
	return code;
}

static int
ask(struct writer *w, const char *text)
{
	return put(w, text, strlen(text)) ? hear(w) : 0;
}

/* TLS from here on. */
static bool
encrypt(struct writer *w)
{
	if (ask(w, "STARTTLS\r\n") != 220 || (w->ssl = SSL_new(tls)) == NULL ||
	    SSL_set_fd(w->ssl, w->fd) != 1 || SSL_connect(w->ssl) != 1)
		return false;
	return ask(w, "EHLO c.test\r\n") == 250;
}

/* AUTH PLAIN. */
static bool
log_in(struct writer *w)
{
	unsigned char	 plain[256] = "", coded[400];
	char		 text[512];
	int		 n;

	n = snprintf((char *)plain + 1, sizeof(plain) - 1, "%s", login);
	*strchr((char *)plain + 1, ':') = '\0';
	EVP_EncodeBlock(coded, plain, n + 1);
	snprintf(text, sizeof(text), "AUTH PLAIN %s\r\n", coded);
	return ask(w, text) == 235;
}

static void
hang_up(struct writer *w)
{
	if (w->ssl != NULL)
		SSL_free(w->ssl);
	w->ssl = NULL;
	close(w->fd);
}

/* Begin a session; false if that failed, with nothing left. */
static bool
greet(struct writer *w)
{
	struct sockaddr_in	 to = { .sin_family = AF_INET };
	struct timeval		 patience = { .tv_sec = 60 };
	int			 one = 1;

	to.sin_port = htons((uint16_t)port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		fail("load: socket");
	w->have = 0;
	setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(w->fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    hear(w) == 220 && ask(w, "EHLO c.test\r\n") == 250 &&
	    (tls == NULL || below(w, 10) != 0 || encrypt(w)) &&
	    (login == NULL || below(w, 10) != 0 || log_in(w)))
		return true;
	hang_up(w);
	return false;
}

/* --- a message ------------------------------------------------------------ */

static size_t
size_of_next(struct writer *w)
{
	unsigned	 n = below(w, 100);

	return n == 0 ? below(w, (unsigned)biggest) :
	    n < 10 ? below(w, 64 * 1024) : 200 + below(w, 4000);
}

/* Where the next message goes, as a number. */
static size_t
form_of_next(struct writer *w)
{
	unsigned	 at = below(w, weights);
	size_t		 i;

	for (i = 0; at >= forms[i].weight; i++)
		at -= forms[i].weight;
	return i;
}

/* The envelope in one go, answers in turn; the numbers of those who were
 * taken. How many, or -1 when the connection has ended. */
static int
address(struct writer *w, const struct form *f, const char *id, char *taken)
{
	char			*text = w->envelope;
	unsigned		 i;
	unsigned		 count = below(w, 25) == 0 ?
				    2 + below(w, MANY - 1) : 1;
	size_t			 n;
	int			 code, good = 0;

	n = (size_t)sprintf(text, "MAIL FROM:<%s>\r\n", sender);
	for (i = 0; i < count; i++)
		n += (size_t)sprintf(text + n, "RCPT TO:<%s%s-%u%s>\r\n",
		    f->before, id, i, f->after);
	n += (size_t)sprintf(text + n, "DATA\r\n");
	w->is_excused = false;
	if (!put(w, text, n) || (code = hear(w)) == 0)
		return -1;
	/* What else was said already finds no transaction. */
	w->is_excused = code >= 400;
	*taken = '\0';
	for (i = 0; i < count; i++) {
		if ((code = hear(w)) == 0)
			return -1;
		if (code == 250) {
			taken += sprintf(taken, "%s%u", good++ > 0 ? "," : "",
			    i);
		}
	}
	w->is_excused = good == 0;
	if ((code = hear(w)) == 0)
		return -1;
	w->is_excused = false;
	return code == 354 ? good : 0;
}

/* A text with the dots of SMTP, and the last one. */
static char *
stuff(char *text, size_t *length)
{
	char	*stuffed = malloc(*length + *length / 16 + 64), *to = stuffed;
	size_t	 i;

	for (i = 0; i < *length; i++) {
		if (text[i] == '.' && i > 0 && text[i - 1] == '\n')
			*to++ = '.';
		*to++ = text[i];
	}
	memcpy(to, ".\r\n", 3);
	*length = (size_t)(to - stuffed) + 3;
	free(text);
	return stuffed;
}

/* One message; false when the connection has ended. */
static bool
send_one(struct writer *w)
{
	char	 id[ID_MAX], taken[MANY * 4 + 1], text[MANY * 4 + 256], *whole;
	size_t	 length;
	double	 dot;
	size_t	 form = form_of_next(w);
	int	 code, good;

	snprintf(id, sizeof(id), "%sw%un%luf%zu", name, w->number,
	    w->messages++, form);
	if ((good = address(w, &forms[form], id, taken)) <= 0)
		return good == 0 && ask(w, "RSET\r\n") == 250;
	whole = message_make(id, size_of_next(w), &length);
	whole = stuff(whole, &length);
	dot = now();
	code = put(w, whole, length) ? hear(w) : 0;
	free(whole);
	snprintf(text, sizeof(text), "%03d %s %s %.3f %.3f\n", code, id, taken,
	    dot, now());
	note(text);
	return code != 0;
}

/* Wait for the next place in time. */
static void
wait_turn(void)
{
	double	 left;

	if (per_second <= 0)
		return;
	left = started + (double)atomic_fetch_add(&sent, 1) / per_second -
	    now();
	/* Who could not send for a while does not catch up. */
	if (left < -1)
		atomic_store(&sent, (unsigned long)((now() - started) *
		    per_second));
	while (left > 0 && !is_over) {
		usleep((useconds_t)((left > 0.2 ? 0.2 : left) * 1e6));
		left -= 0.2;
	}
}

/* Thread: session after session. */
static void *
write_mail(void *arg)
{
	struct writer	*w = arg;
	unsigned	 i, count;

	while (!is_over) {
		if (!greet(w)) {
			usleep(20000);
			continue;
		}
		count = 1 + below(w, 20);
		for (i = 0; i < count && !is_over; i++) {
			wait_turn();
			if (is_over || !send_one(w))
				break;
		}
		if (i == count)
			(void)ask(w, "QUIT\r\n");
		hang_up(w);
	}
	return NULL;
}

/* --- the start ------------------------------------------------------------ */

static void
add_form(const char *text)
{
	struct form	 f = { .weight = 0 };

	if (sscanf(text, "%127[^%]%%%127[^=]=%u", f.before, f.after,
	    &f.weight) != 3 || form_count == FORMS_MAX) {
		f.before[0] = '\0';
		if (sscanf(text, "%%%127[^=]=%u", f.after, &f.weight) != 2 ||
		    form_count == FORMS_MAX) {
			fprintf(stderr, "load: %s?\n", text);
			exit(64);
		}
	}
	forms[form_count++] = f;
	weights += f.weight;
}

static void
on_term(int signal)
{
	(void)signal;
	is_over = true;
}

static int
print_message(const char *id)
{
	size_t	 length;
	char	*text = message_make(id, 2000, &length);

	fwrite(text, 1, length, stdout);
	free(text);
	return 0;
}

static void
prepare_tls(void)
{
	if ((tls = SSL_CTX_new(TLS_client_method())) == NULL)
		fail("load: TLS");
	SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
}

int
main(int argc, char **argv)
{
	static struct writer	 writers[WRITERS_MAX];
	const char		*file = NULL;
	unsigned		 i, count = 8;
	int			 option;

	while ((option = getopt(argc, argv, "p:l:n:w:r:f:a:m:tx:")) != -1) {
		switch (option) {
		case 'p': port = atoi(optarg); break;
		case 'l': file = optarg; break;
		case 'n': name = optarg; break;
		case 'w': count = (unsigned)atoi(optarg); break;
		case 'r': per_second = atof(optarg); break;
		case 'f': sender = optarg; break;
		case 'a': login = optarg; break;
		case 'm': biggest = (size_t)atol(optarg); break;
		case 't': prepare_tls(); break;
		case 'x': return print_message(optarg);
		default: return 64;
		}
	}
	if (file == NULL || name == NULL || port == 0 || optind == argc ||
	    count > WRITERS_MAX)
		return 64;
	for (; optind < argc; optind++)
		add_form(argv[optind]);
	ledger = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (ledger == -1)
		fail(file);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	started = now();
	for (i = 0; i < count; i++) {
		writers[i].number = i;
		writers[i].chance = ((uint64_t)time(NULL) << 20 ^
		    (uint64_t)getpid() << 8 ^ i) * 2654435761u + 1;
		if (pthread_create(&writers[i].thread, NULL, write_mail,
		    &writers[i]) != 0)
			fail("load: thread");
	}
	for (i = 0; i < count; i++)
		pthread_join(writers[i].thread, NULL);
	return 0;
}
