/*
 * log.c - writes what the others say, in their order, and nothing else.
 *
 * Lines come as datagrams (common/base/log.h) through one socket whose both
 * ends master keeps, so that what we have not read when we end waits for the
 * next log program. They go to descriptor 5, which master opened: a file, to
 * which a whole batch is written at once, or the system's log, one datagram
 * per line (RFC 3164).
 *
 * After a batch for a file we sleep a moment, and what comes meanwhile does
 * not wake us: the next batch is one read and one write for many lines.
 *
 * L1  A line is taken from the socket only if it can be written: after a
 *     failed write nothing is read until the same bytes went out. Of a
 *     datagram for the system's log all lines are written before it is taken;
 *     if we end between them, or our successor looks at the same one, some are
 *     written twice.
 * L2  What a daemon had to drop is told, with the number of lines.
 * L3  What a datagram holds becomes lines of our shape, whoever wrote it: an
 *     owned daemon can lie, but neither bring lines in another shape nor stop
 *     those of the others.
 * L4  Rotation: master starts another log program with the file opened anew;
 *     we write what is in the socket and leave.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/daemon/daemon.h"
#include "common/daemon/handover.h"
#include "common/fiber/loop.h"
#include "common/param/site.h"

enum {
	SINK = HANDOVER_LISTENERS,
	DATAGRAMS = 8,			/* in one read */
	TEXT_MAX_BYTES = 2047,		/* of a line; the rest is cut */
	NAME_MAX_BYTES = 64,
	BATCH_BYTES = 64 * 1024,
	FLOOD_BYTES = 32 * 1024,	/* in one round */
	GATHER_TIME = 10,		/* milliseconds; no reader can tell */
	RETRY_TIME = 1000		/* after a failed write */
};

/* A line, taken apart. */
struct line {
	struct log_head	 head;
	const char	*name, *program, *text;
};

static struct loop_fd	 watch = { .fd = -1 };
static struct str	 batch;
static size_t		 batch_written;
static bool		 is_syslog, is_over, is_broken, is_flood;
static char		 host[256];

/* What was read: datagrams, each with room for a NUL behind it. */
static struct {
	char		 bytes[DATAGRAMS][LOG_DATAGRAM_MAX + 1];
	struct iovec	 parts[DATAGRAMS];
	struct mmsghdr	 messages[DATAGRAMS];
} input;

/* The next of three strings that end with NUL; NULL if it is missing. */
static const char *
next_string(const char **from, const char *end)
{
	const char	*start = *from;
	const char	*nul;

	if (start >= end ||
	    (nul = memchr(start, '\0', (size_t)(end - start))) == NULL)
		return NULL;
	*from = nul + 1;
	return start;
}

/* Take a line off what is left of a datagram: 0, or -1 if there is none that
 * is ours. */
static int
next_line(struct line *line, const char **data, const char *end)
{
	if ((size_t)(end - *data) < sizeof(line->head))
		return -1;
	memcpy(&line->head, *data, sizeof(line->head));
	*data += sizeof(line->head);
	line->name = next_string(data, end);
	line->program = next_string(data, end);
	line->text = next_string(data, end);
	return line->text == NULL ? -1 : 0;
}

/* Facility and severity, as syslog counts them. */
static int
priority(uint32_t level)
{
	int	facility = log_facility_code();

	switch (level) {
	case LOG_LEVEL_WARNING:
		return facility | LOG_WARNING;
	case LOG_LEVEL_ERROR:
		return facility | LOG_ERR;
	case LOG_LEVEL_FATAL:
	case LOG_LEVEL_PANIC:
		return facility | LOG_CRIT;
	case LOG_LEVEL_DEBUG:
		return facility | LOG_DEBUG;
	default:
		return facility | LOG_INFO;
	}
}

/* Escaped again: what an honest daemon escaped stays as it is (L3). */
static void
add_escaped(const char *text, size_t most)
{
	static char	escaped[TEXT_MAX_BYTES + 1];

	str_add_mem(&batch, escaped, log_escape(escaped, most + 1, text,
	    strlen(text)));
}

/* The date of a line, and in a file the host: mostly those of the line
 * before. */
static const char *
origin_of(const struct line *line)
{
	static char	origin[64 + sizeof(host)];
	static time_t	known;
	time_t		when = (time_t)(line->head.wall_us / 1000000);
	char		date[32];

	if (when != known || origin[0] == '\0')
		snprintf(origin, sizeof(origin), "%s %s%s",
		    clock_log_date(date, sizeof(date), when),
		    is_syslog ? "" : host, is_syslog ? "" : " ");
	known = when;
	return origin;
}

/* What stands before the text. */
static void
add_prefix(const struct line *line, const char *program)
{
	if (is_syslog)
		str_addf(&batch, "<%d>", priority(line->head.level));
	str_add(&batch, origin_of(line));
	add_escaped(line->name, NAME_MAX_BYTES);
	str_add_char(&batch, '/');
	add_escaped(program, NAME_MAX_BYTES);
	str_add_char(&batch, '[');
	str_add_number(&batch, line->head.number);
	str_add(&batch, "]: ");
}

/* Add a line to the batch. */
static void
add_line(const struct line *line)
{
	size_t	start = batch.len, used;

	add_prefix(line, line->program);
	str_add(&batch, log_level_prefix(line->head.level));
	used = batch.len - start;
	add_escaped(line->text, used < TEXT_MAX_BYTES ?
	    TEXT_MAX_BYTES - used : 0);
	if (!is_syslog)
		str_add_char(&batch, '\n');
}

/* Tell of lines that were dropped before this one. */
static void
add_lost(const struct line *line)
{
	struct line	 told = *line;

	told.head.level = LOG_LEVEL_WARNING;
	told.head.number = (uint64_t)getpid();
	add_prefix(&told, "log");
	str_addf(&batch, "%s%u lines of ",
	    log_level_prefix(LOG_LEVEL_WARNING), line->head.lost);
	add_escaped(line->program, NAME_MAX_BYTES);
	str_add(&batch, " were lost: the log was too slow");
	if (!is_syslog)
		str_add_char(&batch, '\n');
}

/* Write the batch or its rest: 0, or -1 with errno; then try again later. */
static int
write_batch(void)
{
	ssize_t	n;

	while (batch_written < batch.len) {
		n = write(SINK, batch.data + batch_written,
		    batch.len - batch_written);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		batch_written += (size_t)n;
	}
	str_clear(&batch);
	batch_written = 0;
	return 0;
}

/* The other side of a socket is gone for good: only master has another. */
static bool
is_lost_sink(int error)
{
	return error == ECONNREFUSED || error == ENOTCONN ||
	    error == ECONNRESET || error == EPIPE || error == EBADF;
}

/* Write until it works (L1). The system's log may have been restarted. */
static WAITS void
flush(void)
{
	while (write_batch() == -1) {
		if (is_lost_sink(errno)) {
			is_broken = true;
			return;
		}
		(void)fiber_sleep(RETRY_TIME);
	}
}

/* Is there anything behind a datagram without a byte, which looks like the
 * end of all? */
static bool
has_more(void)
{
	int	bytes;

	return ioctl(HANDOVER_LOG, SIOCINQ, &bytes) == 0 && bytes > 0;
}

/* Take the datagram without a byte that was looked at. */
static void
take(void)
{
	char	byte;

	(void)recv(HANDOVER_LOG, &byte, 1, MSG_DONTWAIT);
}

/* Read, or only look at, as many datagrams as `most`: how many there were. */
static int
read_datagrams(unsigned most, int flags)
{
	unsigned	i;

	for (i = 0; i < most; i++) {
		input.parts[i] = (struct iovec){ input.bytes[i],
		    LOG_DATAGRAM_MAX };
		input.messages[i] = (struct mmsghdr){
			.msg_hdr.msg_iov = &input.parts[i],
			.msg_hdr.msg_iovlen = 1
		};
	}
	return recvmmsg(HANDOVER_LOG, input.messages, most,
	    MSG_DONTWAIT | flags, NULL);
}

/* The same, but 0 if there was nothing: neither a byte nor anything behind. */
static int
receive(unsigned most, int flags)
{
	int	n = read_datagrams(most, flags), i;

	for (i = 0; i < n; i++)
		if (input.messages[i].msg_len > 0)
			return n;
	if (n > 0 && has_more())
		return n;
	if (n > 0 && (flags & MSG_PEEK))
		take();
	return 0;
}

/* Write the lines of one datagram to the system's log. */
static WAITS void
pass_lines(const char *data, size_t len)
{
	const char	*end = data + len;
	struct line	 line;

	while (!is_broken && next_line(&line, &data, end) == 0) {
		if (line.head.lost > 0) {
			add_lost(&line);
			flush();
		}
		if (!is_broken) {
			add_line(&line);
			flush();
		}
	}
}

/* Bring one datagram to the system's log: 1, or 0 when there is none. It is
 * only looked at first, and taken from the socket when all is written. What we
 * take is another one if our successor was quicker, who reads beside us. */
static WAITS int
pass_on(void)
{
	const char	*seen = input.bytes[0];
	char		*taken = input.bytes[1];
	size_t		 len;
	ssize_t		 n;

	if (receive(1, MSG_PEEK) == 0)
		return 0;
	len = input.messages[0].msg_len;
	pass_lines(seen, len);
	if (is_broken)
		return 0;
	n = recv(HANDOVER_LOG, taken, LOG_DATAGRAM_MAX, MSG_DONTWAIT);
	if (n > 0 && ((size_t)n != len || memcmp(taken, seen, len) != 0))
		pass_lines(taken, (size_t)n);
	fiber_breathe();
	return 1;
}

/* Add the lines of one datagram to the batch; what is not ours goes. */
static void
add_datagram(const char *data, size_t len)
{
	const char	*end = data + len;
	struct line	 line;

	while (next_line(&line, &data, end) == 0) {
		if (line.head.lost > 0)
			add_lost(&line);
		add_line(&line);
	}
}

/* Bring a batch to the file: 1, or 0 when there is none. */
static WAITS int
gather(void)
{
	int	n = DATAGRAMS, i;

	while (batch.len < BATCH_BYTES && n == DATAGRAMS) {
		n = receive(DATAGRAMS, 0);
		for (i = 0; i < n; i++)
			add_datagram(input.bytes[i],
			    input.messages[i].msg_len);
	}
	if (batch.len == 0)
		return 0;
	is_flood = batch.len >= FLOOD_BYTES;
	flush();
	fiber_breathe();
	return 1;
}

/* Wait for the next line. When there is nobody left who could write one we
 * shall be told to leave. */
static WAITS void
wait_for_lines(void)
{
	if (watch.is_over)
		(void)fiber_sleep(GATHER_TIME);
	else
		(void)loop_wait_readable(&watch, NEVER);
}

/* Fiber: read, write, until told to leave and nothing is left. */
static void
serve(void *arg)
{
	int	more;

	(void)arg;
	fiber_name("reader");
	while (!is_broken) {
		more = is_syslog ? pass_on() : gather();
		if (more == 0 && daemon_is_draining())
			break;
		/* Lines come in bursts: one write for those of a moment. In a
		 * flood there is no moment to lose, or lines are dropped. */
		if (more == 0)
			wait_for_lines();
		else if (!is_syslog && !is_flood && !daemon_is_draining())
			(void)fiber_sleep(GATHER_TIME);
	}
	is_over = true;
	daemon_leave();
}

/* What kind of thing did master open? */
static void
look_at_sink(void)
{
	struct stat	st;
	int		type;
	socklen_t	len = sizeof(type);

	if (fstat(SINK, &st) == -1)
		die("no place to log to: %s", strerror(errno));
	is_syslog = S_ISSOCK(st.st_mode) && getsockopt(SINK, SOL_SOCKET,
	    SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM;
}

/* This machine's name as syslog writes it: without the domain. */
static void
read_host(void)
{
	if (gethostname(host, sizeof(host) - 1) == -1 || host[0] == '\0')
		strlcpy(host, "localhost", sizeof(host));
	host[strcspn(host, ".")] = '\0';
}

/* Begin. */
static WAITS void
start(void)
{
	str_init(&batch, pool_new("lines", 0), 0);
	look_at_sink();
	read_host();
	if (fs_set_nonblocking(HANDOVER_LOG, true) == -1 ||
	    loop_add_calm(&watch, HANDOVER_LOG) == -1)
		die("cannot watch the log's socket: %s", strerror(errno));
	fiber_start(serve, NULL);
}

/* Told to leave: the reader wakes, looks once more, and goes. */
static void
drain(void)
{
	loop_remove(&watch);
}

/* Not before everything is written. */
static unsigned
busy(void)
{
	return is_over ? 0 : 1;
}

static const struct param *const	tables[] = { NULL };

static const struct daemon		log_daemon = {
	.name = "log", .params = tables, .start = start, .busy = busy,
	.drain = drain
};

int
main(int argc, char **argv)
{
	return daemon_run(argc, argv, &log_daemon);
}
