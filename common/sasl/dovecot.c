/*
 * dovecot.c - asking a Dovecot, by its authentication client protocol 1.1 and
 * later.
 *
 * One connection for the process, which resolve opens; many exchanges on it,
 * each with a number. Lines of words with tabs between them:
 *
 *	we	VERSION 1 2, CPID pid
 *	it	VERSION 1 2, MECH name properties..., SPID, CUID, COOKIE, DONE
 *	we	AUTH 7 PLAIN service=smtp ... resp=BASE64 (the last word)
 *	it	CONT 7 BASE64, OK 7 user=ann, FAIL 7 user=ann reason=...
 *	we	CONT 7 BASE64, CANCEL 7
 *
 * A fiber reads. Nobody waits to write: what a healthy server's socket has no
 * room for is a reason to connect anew.
 *
 * D1  Whatever the server says, or does not say in time, ends an exchange as
 *     unavailable at worst; nobody is let in but by an OK with a name in it.
 * D2  What a client says cannot become a word of the protocol.
 */
#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/fiber/io.h"
#include "common/fiber/queue.h"
#include "common/ipc/packets.h"
#include "common/mail/encode.h"
#include "common/sasl/dovecot.h"
#include "common/sasl/server_inside.h"

enum {
	GREETING_TIME = 10 * 1000,	/* milliseconds */
	PAUSE = 1000,			/* from one attempt to the next */
	LINE_MAX_LEN = 32 * 1024,
	OFFERS_MAX = 32
};

enum state { CLOSED, OPENING, READY };

/* The connection of a server. */
struct dovecot {
	struct sasl_server	*server;
	enum state		 state;
	unsigned		 lives;		/* connections so far */
	struct io		*io;
	bool			 has_version;
	struct fiber_queue	 changed;	/* the state did */
	int64_t			 not_before;
	int64_t			 minor;		/* of its version */
	struct pool		*pool;		/* of this connection */
	struct sasl_offer	 offers[OFFERS_MAX];
	size_t			 count;
	uint32_t		 last_id;
	LIST_HEAD(, asked)	 asked;
};

/* An exchange that may get an answer. */
struct asked {
	LIST_ENTRY(asked)	 entry;
	struct dovecot		*dovecot;
	struct pool		*pool;
	unsigned		 life;		/* the connection it is on */
	uint32_t		 id;
	bool			 is_waiting, is_answered;
	struct fiber_queue	 answered;
	struct sasl_answer	 answer;
};

/* --- words --------------------------------------------------------------- */

/* A value as a word of its own: tabs, line ends, NUL and the escape itself
 * are escaped. */
void
dovecot_escape(struct str *to, const char *value)
{
	static const char	plain[] = "\001\t\r\n", escaped[] = "1trn";
	const char		*c, *found;

	for (c = value; *c != '\0'; c++) {
		if ((found = strchr(plain, *c)) != NULL) {
			str_add_char(to, '\001');
			str_add_char(to, escaped[found - plain]);
		} else {
			str_add_char(to, *c);
		}
	}
}

/* The other way, in place; false for what has no text. */
bool
dovecot_unescape(char *value)
{
	char	*from, *to = value;

	for (from = value; *from != '\0'; from++) {
		if (*from != '\001') {
			*to++ = *from;
			continue;
		}
		switch (*++from) {
		case '1': *to++ = '\001'; break;
		case 't': *to++ = '\t'; break;
		case 'r': *to++ = '\r'; break;
		case 'n': *to++ = '\n'; break;
		default: return false;		/* NUL among them */
		}
	}
	*to = '\0';
	return true;
}

/* The properties of a mechanism; false: it is not for the likes of us. */
static bool
parse_properties(char *words, unsigned *properties)
{
	static const struct { const char *word; unsigned bit; } all[] = {
		{ "plaintext", SASL_PLAINTEXT },
		{ "anonymous", SASL_ANONYMOUS },
		{ "dictionary", SASL_DICTIONARY },
		{ "active", SASL_ACTIVE },
		{ "mutual-auth", SASL_MUTUAL },
		{ "forward-secrecy", SASL_FORWARD_SECRECY }
	};
	char	*word;
	size_t	 i;

	*properties = 0;
	while ((word = strsep(&words, "\t")) != NULL) {
		if (strcmp(word, "private") == 0)
			return false;
		for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			if (strcmp(word, all[i].word) == 0)
				*properties |= all[i].bit;
	}
	return true;
}

/* --- the greeting -------------------------------------------------------- */

/* MECH: a name and what it does. */
static void
take_mechanism(struct dovecot *d, char *rest)
{
	char		*name = strsep(&rest, "\t");
	unsigned	 properties;

	if (d->count == OFFERS_MAX || *name == '\0' || strlen(name) > 40 ||
	    name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] !=
	    '\0' || !parse_properties(rest, &properties))
		return;
	d->offers[d->count].name = pool_strdup(d->pool, name);
	d->offers[d->count++].properties = properties;
}

/* VERSION: the first number has to be ours. */
static const char *
take_version(struct dovecot *d, char *rest)
{
	char	*major = strsep(&rest, "\t");

	if (major == NULL || strcmp(major, "1") != 0 || rest == NULL ||
	    text_integer(rest, 0, 1000, &d->minor) != NULL)
		return "it speaks another protocol";
	d->has_version = true;
	return NULL;
}

/* A line before DONE: NULL, or why not. */
static const char *
hear_greeting(struct dovecot *d, char *line)
{
	char	*rest = line, *command = strsep(&rest, "\t");

	if (strcmp(command, "VERSION") == 0)
		return take_version(d, rest);
	if (!d->has_version)
		return "it does not begin with VERSION";
	if (strcmp(command, "MECH") == 0 && rest != NULL)
		take_mechanism(d, rest);
	if (strcmp(command, "DONE") == 0) {
		d->state = READY;
		fiber_queue_wake_all(&d->changed);
	}
	return NULL;
}

/* --- answers ------------------------------------------------------------- */

/* base64 of an answer. */
static bool
take_data(struct asked *a, const char *text)
{
	size_t	 len = strlen(text);
	char	*data;
	ssize_t	 n;

	data = pool_alloc(a->pool, len + 1);
	if ((n = base64_decode(data, text, len)) == -1)
		return false;
	a->answer.data = data;
	a->answer.length = (size_t)n;
	return true;
}

/* One word behind OK or FAIL: false when it is nonsense. */
static bool
take_word(struct asked *a, char *word)
{
	if (!dovecot_unescape(word))
		return false;
	if (strncmp(word, "user=", 5) == 0)
		a->answer.user = pool_strdup(a->pool, word + 5);
	else if (strncmp(word, "resp=", 5) == 0)
		return take_data(a, word + 5);
	else if (strncmp(word, "reason=", 7) == 0)
		a->answer.text = pool_strdup(a->pool, word + 7);
	else if (strcmp(word, "temp") == 0 ||
	    strcmp(word, "code=temp_fail") == 0)
		a->answer.result = SASL_UNAVAILABLE;
	return true;
}

/* The words behind OK or FAIL. */
static bool
take_words(struct asked *a, char *rest)
{
	char	*word;

	while ((word = strsep(&rest, "\t")) != NULL)
		if (!take_word(a, word))
			return false;
	if (a->answer.result != SASL_OK)
		a->answer.data = NULL;
	else if (a->answer.user == NULL || *a->answer.user == '\0' ||
	    strlen(a->answer.user) > ADDRESS_MAX)
		return false;
	return true;
}

/* What an exchange is told; anything unclear is no answer. */
static void
answer(struct asked *a, const char *command, char *rest)
{
	bool	is_good = false;

	a->answer = (struct sasl_answer){ .result = SASL_UNAVAILABLE };
	if (strcmp(command, "CONT") == 0) {
		a->answer.result = SASL_CONTINUE;
		is_good = rest != NULL && strchr(rest, '\t') == NULL &&
		    take_data(a, rest);
	} else if (strcmp(command, "OK") == 0) {
		a->answer.result = SASL_OK;
		is_good = rest != NULL && take_words(a, rest);
	} else if (strcmp(command, "FAIL") == 0) {
		a->answer.result = SASL_REFUSED;
		is_good = take_words(a, rest);
	}
	if (!is_good)
		sasl_unavailable(&a->answer, "its answer makes no sense");
	a->is_waiting = false;
	a->is_answered = true;
	fiber_queue_wake_all(&a->answered);
}

/* A line after DONE: NULL, or why not. */
static const char *
hear_answer(struct dovecot *d, char *line)
{
	char		*rest = line, *command = strsep(&rest, "\t"), *id;
	int64_t		 number;
	struct asked	*a;

	if (strcmp(command, "OK") != 0 && strcmp(command, "FAIL") != 0 &&
	    strcmp(command, "CONT") != 0)
		return NULL;		/* news of later protocols */
	id = strsep(&rest, "\t");
	if (id == NULL || text_integer(id, 0, UINT32_MAX, &number) != NULL)
		return "an answer has no number";
	LIST_FOREACH(a, &d->asked, entry)
		if (a->id == number && a->life == d->lives && a->is_waiting) {
			answer(a, command, rest);
			break;
		}
	return NULL;
}

/* --- the connection ------------------------------------------------------ */

/* It is over: everybody hears of it. */
static void
close_connection(struct dovecot *d, const char *why)
{
	struct asked	*a;

	log_warning("smtpd_sasl_path: %s", why);
	io_close(d->io);
	d->io = NULL;
	d->count = 0;
	pool_free(d->pool);
	d->pool = NULL;
	d->state = CLOSED;
	LIST_FOREACH(a, &d->asked, entry) {
		if (!a->is_waiting)
			continue;
		sasl_unavailable(&a->answer, "the connection broke");
		a->is_waiting = false;
		a->is_answered = true;
		fiber_queue_wake_all(&a->answered);
	}
	fiber_queue_wake_all(&d->changed);
}

/* Read lines until the end: why it ended. */
static WAITS const char *
read_lines(struct dovecot *d)
{
	const char	*why = NULL;
	char		*line;
	size_t		 len;
	int		 n;

	while (why == NULL) {
		n = io_line(d->io, &line, &len, LINE_MAX_LEN, NULL);
		if (n == 0)
			return "it closed the connection";
		if (n == -1)
			return errno == EMSGSIZE ? "it sent a line that is too "
			    "long" : strerror(errno);
		if (strlen(line) != len)
			return "it sent a NUL";
		why = d->state == READY ? hear_answer(d, line) :
		    hear_greeting(d, line);
		if (d->state == READY)
			io_deadline(d->io, NEVER);
	}
	return why;
}

/* The life of the reading fiber. */
static void
read_all(void *arg)
{
	struct dovecot	*d = arg;

	fiber_name("dovecot");
	close_connection(d, read_lines(d));
}

/* All of it now, or the connection is of no use any more. */
static int
say(struct dovecot *d, const struct str *text)
{
	ssize_t	n;

	if (text->is_cut) {
		errno = EMSGSIZE;
		return -1;
	}
	n = send(io_fd(d->io), text->data, text->len,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == (ssize_t)text->len)
		return 0;
	if (n >= 0)
		errno = EAGAIN;
	(void)shutdown(io_fd(d->io), SHUT_RDWR);
	return -1;
}

/* A socket, by resolve; -1 with *why. */
static WAITS int
open_socket(struct dovecot *d, struct pool *pool, const char **why)
{
	struct ask_sasl	ask = { .service =
			    (char *)(uintptr_t)d->server->service };
	struct dialed	dialed = { .socket = -1 };

	if (link_ask(d->server->link, PACKET_ASK_SASL, &ask, PACKET_DIALED,
	    &dialed, pool, clock_now() + GREETING_TIME, true) == -1) {
		*why = strerror(errno);
		return -1;
	}
	*why = dialed.text;
	return dialed.socket;
}

/* Connect and say who we are. Its greeting is heard by a fiber. */
static WAITS void
open_connection(struct dovecot *d)
{
	struct pool	*pool = pool_new("dovecot", 0);
	struct str	 hello;
	const char	*why;
	int		 fd;

	d->state = OPENING;
	d->not_before = clock_now() + PAUSE;
	if ((fd = open_socket(d, pool, &why)) == -1) {
		log_warning("smtpd_sasl_path: %s", why);
		pool_free(pool);
		d->state = CLOSED;
		fiber_queue_wake_all(&d->changed);
		return;
	}
	d->pool = pool;
	d->io = io_new(fd);
	io_deadline(d->io, clock_now() + GREETING_TIME);
	d->lives++;
	d->count = 0;
	d->has_version = false;
	str_init(&hello, pool, 0);
	str_addf(&hello, "VERSION\t1\t2\nCPID\t%d\n", (int)getpid());
	(void)say(d, &hello);	/* the reader sees what comes of it */
	fiber_start(read_all, d);
}

/* Have a connection whose greeting was heard; -1: there is none. */
static WAITS int
connect_now(struct dovecot *d)
{
	if (d->state == CLOSED) {
		if (clock_now() < d->not_before)
			return -1;
		open_connection(d);
	}
	while (d->state == OPENING)
		if (fiber_queue_wait(&d->changed, clock_now() +
		    2 * GREETING_TIME) == -1)
			return -1;
	return d->state == READY ? 0 : -1;
}

/* --- what server.c asks -------------------------------------------------- */

static WAITS const struct sasl_offer *
offers(struct sasl_server *s, size_t *count)
{
	struct dovecot	*d = s->state;

	*count = connect_now(d) == 0 ? d->count : 0;
	return d->offers;
}

/* Say something, and wait for what comes back. */
static WAITS void
converse(struct asked *a, const struct str *text, struct sasl_answer *to)
{
	struct dovecot	*d = a->dovecot;
	int64_t		 deadline = clock_now() + SASL_ASK_TIME;

	if (d->state != READY || a->life != d->lives || say(d, text) == -1)
		return sasl_unavailable(to, "the connection broke");
	a->is_answered = false;
	a->is_waiting = true;
	while (!a->is_answered)
		if (fiber_queue_wait(&a->answered, deadline) == -1 &&
		    !a->is_answered) {
			a->is_waiting = false;
			return sasl_unavailable(to, "no answer in time");
		}
	*to = a->answer;
}

/* One word "name=value". */
static void
add_word(struct str *to, const char *name, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	str_addf(to, "\t%s=", name);
	dovecot_escape(to, value);
}

/* Its base64, which is the last word or none. */
static void
add_data(struct str *to, const char *before, const struct bytes *said)
{
	str_add(to, before);
	base64_encode(to, said->data, said->len);
}

/* AUTH. */
static void
write_auth(struct str *to, const struct asked *a, const struct sasl_peer *peer,
    const char *mechanism, const struct bytes *said)
{
	str_addf(to, "AUTH\t%u\t", (unsigned)a->id);
	dovecot_escape(to, mechanism);
	add_word(to, "service", peer->service);
	str_add(to, "\tnologin");
	add_word(to, "lip", peer->server_address);
	add_word(to, "rip", peer->client_address);
	if (peer->server_port != 0)
		str_addf(to, "\tlport=%u", (unsigned)peer->server_port);
	if (peer->client_port != 0)
		str_addf(to, "\trport=%u", (unsigned)peer->client_port);
	add_word(to, "local_name", peer->local_name);
	if (peer->is_encrypted)
		str_add(to, "\tsecured");
	if (said != NULL)
		add_data(to, "\tresp=", said);
	str_add_char(to, '\n');
}

/* Is it one that the server named? */
static bool
has_mechanism(const struct dovecot *d, const char *name)
{
	size_t	i;

	for (i = 0; i < d->count; i++)
		if (text_equal(d->offers[i].name, name))
			return true;
	return false;
}

static WAITS void
begin(struct sasl_exchange *e, const struct sasl_peer *peer,
    const char *mechanism, const struct bytes *said, struct sasl_answer *to)
{
	struct dovecot	*d = e->server->state;
	struct asked	*a;
	struct str	 line;

	if (connect_now(d) == -1)
		return sasl_unavailable(to, "there is no connection");
	if (!has_mechanism(d, mechanism)) {
		*to = (struct sasl_answer){ .result = SASL_UNKNOWN };
		return;
	}
	a = pool_alloc(e->pool, sizeof(*a));
	a->dovecot = d;
	a->pool = e->pool;
	a->life = d->lives;
	a->id = ++d->last_id;
	fiber_queue_init(&a->answered);
	LIST_INSERT_HEAD(&d->asked, a, entry);
	e->state = a;
	str_init(&line, e->pool, LINE_MAX_LEN);
	write_auth(&line, a, peer, mechanism, said);
	converse(a, &line, to);
	e->is_over = to->result != SASL_CONTINUE;
}

static WAITS void
next(struct sasl_exchange *e, const struct bytes *said, struct sasl_answer *to)
{
	struct asked	*a = e->state;
	struct str	 line;

	str_init(&line, e->pool, LINE_MAX_LEN);
	str_addf(&line, "CONT\t%u\t", (unsigned)a->id);
	add_data(&line, "", said);
	str_add_char(&line, '\n');
	converse(a, &line, to);
	e->is_over = to->result != SASL_CONTINUE;
}

/* Tell it when the client gave up; before 1.2 nobody listened to that. */
static void
end(struct sasl_exchange *e)
{
	struct asked	*a = e->state;
	struct str	 line;

	if (a == NULL)
		return;
	LIST_REMOVE(a, entry);
	if (e->is_over || a->dovecot->state != READY ||
	    a->life != a->dovecot->lives || a->dovecot->minor < 2)
		return;
	str_init(&line, e->pool, 0);
	str_addf(&line, "CANCEL\t%u\n", (unsigned)a->id);
	(void)say(a->dovecot, &line);
}

/* The state of a process. */
void
sasl_dovecot_open(struct sasl_server *s)
{
	struct dovecot	*d = mem_alloc(sizeof(*d));

	*d = (struct dovecot){ .server = s };
	fiber_queue_init(&d->changed);
	LIST_INIT(&d->asked);
	s->state = d;
}

const struct sasl_backend sasl_dovecot = {
	.offers = offers, .begin = begin, .next = next, .end = end
};
