/*
 * submit.c - how the sendmail command posts a message.
 *
 * First to pickup, which answers with the queue id; when nobody answers, or
 * the answer is "not now", to postdrop, which leaves it for later.
 *
 * drop-7  EX_OK means that pickup or postdrop said so; a message that neither
 *         has taken is reported with EX_TEMPFAIL or what they said.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/ipc/packet.h"
#include "common/param/site.h"

#include "cleanup/post.h"

enum {
	PIECE = 64 * 1024,
	ANSWER_SIZE = 8 * 1024,		/* any that pickup may give */
	ATTEMPTS = 3,
	PATIENCE = 120 * 1000,		/* milliseconds for pickup's answer */
	TOKEN_BYTES = 16
};

extern char	**environ;

/* Note the result. */
static void
say(struct answer *a, int status, const char *text)
{
	a->exit_status = status;
	strlcpy(a->text, text, sizeof(a->text));
}

/* --- pickup ------------------------------------------------------------ */

/* Connect to pickup's socket; its path may be too long for an address. */
static int
connect_pickup(void)
{
	struct sockaddr_un	to = { .sun_family = AF_UNIX,
				    .sun_path = "public/pickup" };
	struct timeval		limit = { .tv_sec = 10 };
	int			fd;

	if (chdir(site.queue_directory) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
	    sizeof(limit)) == 0 &&
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Send one packet, waiting for room. */
static int
send_packet(int fd, struct pool *pool, unsigned type, const void *object)
{
	struct pollfd	 room = { .fd = fd, .events = POLLOUT };
	struct str	 data;
	int		 fds[PACKET_FDS];
	size_t		 nfds;

	str_init(&data, pool, PACKET_MAX + 1);
	if (packet_encode(type, 0, 1, object, &data, fds, &nfds) != NULL) {
		errno = EMSGSIZE;
		return -1;
	}
	while (packet_send(fd, data.data, data.len, fds, nfds) == -1)
		if (errno != EAGAIN || poll(&room, 1, PATIENCE) <= 0)
			return -1;
	return 0;
}

/* Read packets until the answer: 0, or -1. */
static int
receive_answer(int fd, struct pool *pool, struct submitted *s)
{
	struct pollfd	 input = { .fd = fd, .events = POLLIN };
	int64_t		 deadline = clock_now() + PATIENCE;
	char		*buffer = pool_alloc(pool, ANSWER_SIZE);
	struct packet	 packet;
	int		 fds[PACKET_FDS];
	size_t		 nfds;
	ssize_t		 n;

	for (;;) {
		if (clock_now() >= deadline ||
		    poll(&input, 1, (int)(deadline - clock_now())) <= 0)
			return -1;
		n = packet_receive(fd, buffer, ANSWER_SIZE, fds, &nfds);
		while (n > 0 && nfds > 0)
			close(fds[--nfds]);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0 || packet_parse(&packet, buffer, (size_t)n) != NULL)
			return -1;
		if (packet.type == PACKET_SUBMITTED)
			return packet_decode(&packet, s, pool) == NULL ? 0 : -1;
		if (packet.type == PACKET_REFUSED)
			return -1;
	}
}

/* One conversation with pickup. 1 answered, 0 nobody is there, -1 broken. */
static int
ask_once(struct pool *pool, const struct submit *request, struct answer *a)
{
	static char		 name[] = "sendmail";
	struct hello		 hello = { name, IPC_VERSION };
	struct submitted	 s;
	int			 fd, result = -1;

	if ((fd = connect_pickup()) == -1)
		return 0;
	if (send_packet(fd, pool, PACKET_HELLO, &hello) == 0 &&
	    send_packet(fd, pool, PACKET_SUBMIT, request) == 0 &&
	    receive_answer(fd, pool, &s) == 0) {
		say(a, (int)s.exit_status, s.text);
		strlcpy(a->queue_id, s.queue_id, sizeof(a->queue_id));
		result = 1;
	} else if (errno == EMSGSIZE)
		result = 0;
	close(fd);
	return result;
}

/* Something that no other submission has. */
static char *
make_token(struct pool *pool)
{
	static const char	digits[] = "0123456789abcdef";
	unsigned char		random[TOKEN_BYTES];
	struct str		text;
	size_t			i;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return pool_printf(pool, "%jd-%jd", (intmax_t)getpid(),
		    (intmax_t)clock_wall_us());
	str_init(&text, pool, 0);
	for (i = 0; i < sizeof(random); i++) {
		str_add_char(&text, digits[random[i] >> 4]);
		str_add_char(&text, digits[random[i] & 15]);
	}
	return text.data;
}

/* Ask pickup, again when the connection breaks: the token makes that safe.
 * True when it has answered. */
static bool
ask_pickup(struct pool *pool, const struct drop *d, int message,
    struct answer *a)
{
	struct submit	request = {
		.sender = d->sender, .full_name = d->full_name,
		.envelope_id = d->envelope_id, .return_what = d->return_what,
		.verp = d->verp,
		.token = make_token(pool), .flags = d->flags,
		.recipients = d->recipients, .count = d->count,
		.message = message
	};
	const struct timespec	pause = { .tv_nsec = 200 * 1000 * 1000 };
	int			attempt, result;

	if (d->count > ROWS_MAX)
		return false;
	for (attempt = 0; attempt < ATTEMPTS; attempt++) {
		if ((result = ask_once(pool, &request, a)) != -1)
			return result == 1;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* --- postdrop ---------------------------------------------------------- */

/* Start postdrop between two pipes; 0 or an errno. */
static int
start_postdrop(struct pool *pool, char *directory, int in, int out,
    pid_t *pid)
{
	char	*program = pool_printf(pool, "%s/postdrop",
		    site.command_directory);
	char	 name[] = "postdrop", c[] = "-c";
	char	*argv[] = { name, directory != NULL ? c : NULL, directory,
		    NULL };
	posix_spawn_file_actions_t	actions;
	posix_spawnattr_t		attributes;
	sigset_t			defaults;
	int				error;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	error = posix_spawn(pid, program, &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Write envelope and content into the pipe; postdrop tells what failed there,
 * which is EPIPE here. */
static int
write_drop(struct pool *pool, const struct str *head, int message,
    int64_t length, int to)
{
	char	*piece = pool_alloc(pool, PIECE);
	int64_t	 at;
	ssize_t	 n;

	if (fs_write(to, head->data, head->len) == -1)
		return -1;
	for (at = 0; at < length; at += n) {
		n = fs_pread(message, piece, PIECE, at);
		if (n == 0)
			errno = EIO;		/* somebody has cut the file */
		if (n <= 0 || fs_write(to, piece, (size_t)n) == -1)
			return -1;
	}
	return 0;
}

/* The queue id that postdrop prints. */
static void
read_id(int from, struct answer *a)
{
	ssize_t	n = read(from, a->queue_id, sizeof(a->queue_id) - 1);

	if (n < 0)
		n = 0;
	a->queue_id[n] = '\0';
	a->queue_id[strcspn(a->queue_id, "\n")] = '\0';
}

/* The exit status of the child. */
static int
wait_for(pid_t pid)
{
	int	status;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return EX_TEMPFAIL;
	if (!WIFEXITED(status))
		return EX_TEMPFAIL;
	status = WEXITSTATUS(status);
	return status == EX_OK || (status >= EX__BASE && status <= EX__MAX) ?
	    status : EX_TEMPFAIL;
}

/* Have postdrop take it. */
static void
run_postdrop(struct pool *pool, const struct drop *d, int message,
    char *directory, struct answer *a)
{
	struct str	 head;
	const char	*wrong;
	int		 in[2], out[2], error, status, why = 0;
	pid_t		 pid;

	str_init(&head, pool, DROP_HEAD_MAX + DROP_PREFIX);
	if ((wrong = drop_encode(d, &head)) != NULL) {
		say(a, EX_DATAERR, wrong);
		return;
	}
	if (pipe2(in, O_CLOEXEC) == -1 || pipe2(out, O_CLOEXEC) == -1) {
		say(a, EX_TEMPFAIL, strerror(errno));
		return;
	}
	error = start_postdrop(pool, directory, in[0], out[1], &pid);
	close(in[0]);
	close(out[1]);
	if (error != 0) {
		say(a, EX_TEMPFAIL, pool_printf(pool, "the mail system is not "
		    "running, and %s/postdrop cannot be started: %s",
		    site.command_directory, strerror(error)));
		return;
	}
	if (write_drop(pool, &head, message, d->content_length, in[1]) == -1 &&
	    errno != EPIPE)
		why = errno;
	close(in[1]);
	read_id(out[0], a);
	close(out[0]);
	status = wait_for(pid);
	if (why != 0) {			/* to postdrop it ended early */
		say(a, EX_TEMPFAIL, strerror(why));
		return;
	}
	say(a, status, status == EX_OK ? "queued for later" :
	    "postdrop did not take the message");
}

/* Post a message. */
void
submit(struct pool *pool, struct drop *d, int message, const char *directory,
    struct answer *a)
{
	const char	*why;

	memset(a, 0, sizeof(*a));
	if ((why = drop_check(pool, d)) != NULL) {
		say(a, EX_DATAERR, why);
		return;
	}
	signal(SIGPIPE, SIG_IGN);
	if (ask_pickup(pool, d, message, a) && a->exit_status != EX_TEMPFAIL)
		return;
	run_postdrop(pool, d, message, pool_strdup(pool, directory), a);
}
