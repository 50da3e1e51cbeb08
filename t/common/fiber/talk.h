#ifndef T_TALK_H
#define T_TALK_H

/*
 * For the tests of io.c: a socket pair of which one end is an io, a script
 * that the other end sends, and what the io heard.
 */
struct talk {
	struct io	*io;		/* our side */
	int		 peer;
	const char	*script[8];	/* sent one by one, with yields between */
	bool		 is_held;	/* peer stays open after the script */
	size_t		 limit;
	char		 heard[512];
	int		 result;
	int		 error;
	size_t		 count;
	struct fiber	*listener;
};

static inline void
open_talk(struct talk *talk, size_t limit)
{
	int	fd[2];

	memset(talk, 0, sizeof *talk);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fd), 0);
	talk->io = io_new(fd[0]);
	talk->peer = fd[1];
	talk->limit = limit;
}

static inline void
close_talk(struct talk *talk)
{
	io_close(talk->io);
	if (talk->peer != -1)
		close(talk->peer);
}

/* Send the script, piece by piece, then close unless held. */
static inline void
send_script(void *arg)
{
	struct talk	*talk = arg;
	size_t		 i;

	for (i = 0; talk->script[i] != NULL; i++) {
		if (write(talk->peer, talk->script[i],
		    strlen(talk->script[i])) == -1)
			talk->error = errno;
		fiber_sleep(1);
	}
	if (!talk->is_held) {
		close(talk->peer);
		talk->peer = -1;
	}
}

/* Hear lines until the end: "<text>" with CRLF, "<text!>" with a bare LF,
 * "<long>" for one that passed the limit. */
static inline void
hear_lines(void *arg)
{
	struct talk	*talk = arg;
	char		*line;
	size_t		 len;
	bool		 bare;

	for (;;) {
		talk->result = io_line(talk->io, &line, &len, talk->limit,
		    &bare);
		if (talk->result == -1 && errno == EMSGSIZE)
			strlcat(talk->heard, "<long>", sizeof talk->heard);
		else if (talk->result == 1 && strlen(line) == len) {
			strlcat(talk->heard, "<", sizeof talk->heard);
			strlcat(talk->heard, line, sizeof talk->heard);
			strlcat(talk->heard, bare ? "!>" : ">",
			    sizeof talk->heard);
		} else
			break;
	}
	talk->error = errno;
}

/* Hear the script with these limits and say what came of it. */
static inline void
converse(struct talk *talk)
{
	talk->listener = fiber_start(hear_lines, talk);
	fiber_start(send_script, talk);
	loop_run();
}

#endif
