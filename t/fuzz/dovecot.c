/*
 * dovecot.c - fuzz: all that a hostile authentication server says to two
 * exchanges at once.
 *
 * The input is cut at bytes 255. The first piece is the clients': the name of
 * their host and their responses. Then comes what the server says: a greeting,
 * and something for each line behind VERSION and CPID.
 */
#include "t/fuzz/fuzz.h"

#include <ctype.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/base/text.h"
#include "common/fiber/io.h"
#include "common/fiber/loop.h"
#include "common/ipc/packets.h"
#include "common/mail/encode.h"
#include "common/sasl/dovecot.h"
#include "common/sasl/sasl.h"
#include "common/sasl/server_inside.h"

enum { PIECES = 8, STEPS = 3 };

static struct {
	struct pool	*pool;
	char		*client, *pieces[PIECES];
	size_t		 count, next;
	unsigned	 connections, auths;
	struct str	 said;			/* by the hostile one */
	struct io	*io;
	struct fiber	*fiber;			/* of the hostile one */
	int		 client_fd;
	struct sasl_server *server;
} f;

int	__wrap_link_ask(struct link *, unsigned, const void *, unsigned, void *,
	    struct pool *, int64_t, bool);

/* resolve, which gives us the other end of a pair. */
int
__wrap_link_ask(struct link *link, unsigned type, const void *object,
    unsigned reply_type, void *reply, struct pool *pool, int64_t deadline,
    bool is_repeatable)
{
	struct dialed	*dialed = reply;
	int		 fds[2];

	(void)link, (void)object, (void)deadline, (void)is_repeatable;
	MUST(reply_type == PACKET_DIALED && type == PACKET_ASK_SASL);
	if (f.connections++ > 0) {		/* one is enough */
		errno = ECONNREFUSED;
		return -1;
	}
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, fds) == 0);
	f.io = io_new(fds[0]);
	dialed->socket = f.client_fd = fds[1];
	dialed->text = pool_strdup(pool, "");
	return 0;
}

/* Promises of escapes. */
static void
try_escapes(const char *text)
{
	struct str	 escaped;
	char		*copy = pool_strdup(f.pool, text);

	(void)dovecot_unescape(copy);
	str_init(&escaped, f.pool, 0);
	dovecot_escape(&escaped, text);
	MUST(strpbrk(escaped.data, "\t\r\n") == NULL);
	copy = pool_strdup(f.pool, escaped.data);
	MUST(dovecot_unescape(copy) && strcmp(copy, text) == 0);
}

/* D2: whatever a client says, we say nothing but this. */
static void
try_line(char *line)
{
	static const char *const	words[] = { "service=smtp", "nologin",
	    "secured", "lip=192.0.2.2", "rip=192.0.2.1", "lport=25",
	    "rport=1025" };
	char				*word, *command = strsep(&line, "\t");
	size_t				i, n = 0;

	if (strcmp(command, "VERSION") == 0 || strcmp(command, "CPID") == 0)
		return;
	word = strsep(&line, "\t");
	MUST(word != NULL && (strcmp(word, "1") == 0 ||
	    strcmp(word, "2") == 0));
	if (strcmp(command, "AUTH") != 0) {
		MUST(strcmp(command, "CONT") == 0 ||
		    strcmp(command, "CANCEL") == 0);
		MUST((line != NULL) == (strcmp(command, "CONT") == 0));
		MUST(line == NULL || strchr(line, '\t') == NULL);
		return;
	}
	f.auths++;
	word = strsep(&line, "\t");
	MUST(word != NULL && strcmp(word, "PLAIN") == 0);
	for (; (word = strsep(&line, "\t")) != NULL; n++) {
		for (i = 0; i < 7 && strcmp(word, words[i]) != 0; i++)
			;
		MUST(i < 7 || strncmp(word, "local_name=", 11) == 0 ||
		    (strncmp(word, "resp=", 5) == 0 && line == NULL));
	}
	MUST(n <= 9 && f.auths <= 2);
}

/* Say the next piece. */
static void
say_piece(void)
{
	const char	*piece = f.pieces[f.next++];

	str_add(&f.said, piece);
	(void)io_write(f.io, piece, strlen(piece));
	(void)io_flush(f.io);
}

/* Nobody has anything to do, and nothing is under way: the hostile one hangs
 * up, before everybody waits for half a minute. */
static void
end_silence(void)
{
	int	here = 0, there = 0;

	if (f.fiber == NULL || f.io == NULL ||
	    ioctl(io_fd(f.io), FIONREAD, &there) == -1 ||
	    ioctl(f.client_fd, FIONREAD, &here) == -1)
		return;
	if (here == 0 && there == 0)
		fiber_cancel(f.fiber);
}

/* The hostile one. */
static void
be_dovecot(void *arg)
{
	char	*line;
	size_t	 len;

	(void)arg;
	if (f.io == NULL) {
		f.fiber = NULL;
		return;
	}
	say_piece();
	while (f.next < f.count &&
	    io_line(f.io, &line, &len, 65536, NULL) == 1) {
		MUST(strlen(line) == len);
		len = strncmp(line, "VERSION", 7) == 0 ||
		    strncmp(line, "CPID", 4) == 0;
		try_line(line);
		if (len == 0)
			say_piece();
	}
	io_close(f.io);
	f.io = NULL;
	f.fiber = NULL;
}

/* Does this line say that the exchange of this number is of this user? */
static bool
is_ok_for(char *line, unsigned id, const char *user)
{
	char	*word = strsep(&line, "\t"), *number = strsep(&line, "\t");
	char	*found = NULL;

	if (strcmp(word, "OK") != 0 || number == NULL ||
	    !isdigit((unsigned char)*number) ||
	    strtoull(number, NULL, 10) != id)
		return false;
	while ((word = strsep(&line, "\t")) != NULL)
		if (strncmp(word, "user=", 5) == 0)
			found = word + 5;
	return found != NULL && dovecot_unescape(found) &&
	    strcmp(found, user) == 0;
}

/* D1: somebody was let in; was it said so? */
static void
try_ok(unsigned id, const char *user)
{
	char	*rest = pool_strdup(f.pool, f.said.data), *line;
	bool	is_said = false;

	MUST(*user != '\0');
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (*line != '\0' && line[strlen(line) - 1] == '\r')
			line[strlen(line) - 1] = '\0';
		is_said = is_said || is_ok_for(line, id, user);
	}
	MUST(is_said);
}

/* One client. */
static void
be_client(void *arg)
{
	const struct sasl_peer	 peer = { .service = "smtp",
		.client_address = "192.0.2.1", .server_address = "192.0.2.2",
		.local_name = f.client, .client_port = 1025,
		.server_port = 25, .is_encrypted = true };
	struct sasl_exchange	*e;
	struct sasl_step	 step;
	struct str		 response;
	unsigned		 i;

	str_init(&response, f.pool, 0);
	base64_encode(&response, f.client, strlen(f.client));
	e = sasl_begin(f.server, f.pool, &peer, "PLAIN", response.data, &step);
	for (i = 0; step.result == SASL_CONTINUE && i < STEPS; i++)
		sasl_continue(e, f.pool, response.data, &step);
	MUST(step.text != NULL && step.user != NULL);
	if (step.result == SASL_OK) {
		/* Numbers go in the order of asking, and so do fibers. */
		try_ok((unsigned)(uintptr_t)arg, step.user);
	}
	sasl_end(e);
}

/* Asks before the clients, so that the connection is there. */
static void
ask_mechanisms(void *arg)
{
	const struct sasl_peer	 peer = { .service = "smtp" };
	const char		*list;

	(void)arg;
	f.fiber = fiber_start(be_dovecot, NULL);
	list = sasl_mechanisms(f.server, f.pool, &peer, SASL_ANONYMOUS, 0, "");
	MUST(is_one_line(list) && strstr(list, "-PLUS ") == NULL &&
	    !text_ends(list, "-PLUS"));
	fiber_start(be_client, (void *)1);
	fiber_start(be_client, (void *)2);
}

/* The input in pieces. */
static void
cut(const uint8_t *data, size_t len)
{
	const uint8_t	*end;
	size_t		 n;
	char		*piece;

	f.client = NULL;
	f.count = 0;
	while (f.count < PIECES) {
		end = len > 0 ? memchr(data, 255, len) : NULL;
		n = end != NULL ? (size_t)(end - data) : len;
		piece = pool_strdup(f.pool, pool_strndup(f.pool, data, n));
		if (f.client == NULL)
			f.client = piece;
		else
			f.pieces[f.count++] = piece;
		if (end == NULL)
			break;
		data += n + 1;
		len -= n + 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static bool	 is_open;
	const char	*why;

	if (!is_open) {
		loop_open();
		loop_on_idle(end_silence);
	}
	is_open = true;
	memset(&f, 0, sizeof(f));
	f.pool = pool_new("fuzz", 0);
	cut(data, len);
	if (f.count > 0) {
		try_escapes(f.client);
		str_init(&f.said, f.pool, 0);
		f.server = sasl_server_new("dovecot", "smtp", NULL, NULL, &why);
		fiber_start(ask_mechanisms, NULL);
		loop_run();
		MUST(f.io == NULL);
		free(f.server->state);
		free((void *)(uintptr_t)f.server->service);
		free(f.server);
	}
	pool_free(f.pool);
	return 0;
}
