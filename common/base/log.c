/*
 * log.c - one event, one line.
 *
 * Three steps: format, escape, send. All of them use buffers of this file, so
 * that logging works when memory is short; any thread may log, and one that
 * forks may, but no signal handler. errno survives, and may be shown by %m.
 *
 * A daemon sends to the log program and never waits for it: a line that finds
 * the socket full is counted, and the count travels with the next one that
 * goes through. The last words of a process (fatal, panic) go to standard
 * error as well when the socket did not take them.
 *
 * Where a loop runs, the lines of one of its turns travel together, each with
 * the time when it was made.
 *
 * G1  Lines arrive in the order in which they were made, of one process and,
 *     since another hears of nothing before the lines about it have left
 *     (packet.c), of cause and effect in two.
 * G2  A process that is killed loses at most the lines of its last turn, of
 *     which it had told no other process of ours; a client may have had his
 *     answer. bug(), die() and exit() lose none.
 */
#include "common/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/text.h"

enum {
	LINE_SIZE	= 2000,		/* the whole line */
	NAME_SIZE	= 64,
	HEAD_SIZE	= 40		/* "/[NUMBER]: ", "warning: ", "..." */
};

enum place { TO_STDERR, TO_SOCKET, TO_SYSLOG, TO_NOTHING };

uint64_t		 log_number;

static struct {
	enum place	 place;
	int		 fd;
	int		 verbose;
	int		 facility;
	uint32_t	 lost;
	char		 syslog_name[NAME_SIZE];
	char		 program[NAME_SIZE];
	char		 ident[2 * NAME_SIZE];	/* openlog() keeps it */
} to = { .fd = -1, .facility = LOG_MAIL, .syslog_name = "postrider" };

/* What the next datagram will be. */
static struct {
	char		 bytes[LOG_DATAGRAM_MAX];
	size_t		 len;
	uint32_t	 lines;
	bool		 is_on;			/* they may wait */
	pid_t		 pid;			/* known while they may */
} gathered;

static pthread_mutex_t	 lock = PTHREAD_MUTEX_INITIALIZER;

/* The words before the text. */
const char *
log_level_prefix(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_INFO:	return "";
	case LOG_LEVEL_WARNING:	return "warning: ";
	case LOG_LEVEL_ERROR:	return "error: ";
	case LOG_LEVEL_FATAL:	return "fatal: ";
	case LOG_LEVEL_PANIC:	return "panic: ";
	case LOG_LEVEL_DEBUG:	return "debug: ";
	}
	return "";
}

/* The same level in the words of syslog(3). */
static int
syslog_priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_INFO:	return LOG_INFO;
	case LOG_LEVEL_WARNING:	return LOG_WARNING;
	case LOG_LEVEL_ERROR:	return LOG_ERR;
	case LOG_LEVEL_FATAL:
	case LOG_LEVEL_PANIC:	return LOG_CRIT;
	case LOG_LEVEL_DEBUG:	return LOG_DEBUG;
	}
	return LOG_INFO;
}

/* Keep the names, which may be what a user called us or wants to be called,
 * and tell libc if it is the one who writes. */
void
log_name(const char *syslog_name, const char *program)
{
	(void)log_escape(to.syslog_name, sizeof(to.syslog_name), syslog_name,
	    strlen(syslog_name));
	(void)log_escape(to.program, sizeof(to.program), program,
	    strlen(program));
	if (to.place == TO_SYSLOG)
		log_to_syslog();
}

/* What we are called; until log_name() it is what the shell called us. */
static const char *
program_name(void)
{
	if (to.program[0] == '\0')
		(void)log_escape(to.program, sizeof(to.program),
		    program_invocation_short_name,
		    strlen(program_invocation_short_name));
	return to.program;
}

/* Lines to standard error. */
void
log_to_stderr(void)
{
	log_flush();
	to.place = TO_STDERR;
}

/* Lines as packets; the descriptor stays the caller's. */
void
log_to_socket(int fd)
{
	log_flush();
	to.place = TO_SOCKET;
	to.fd = fd;
}

/* Lines to the system's log, under "NAME/PROGRAM[PID]". */
void
log_to_syslog(void)
{
	snprintf(to.ident, sizeof(to.ident), "%s/%s", to.syslog_name,
	    program_name());
	openlog(to.ident, LOG_PID | LOG_NDELAY, to.facility);
	to.place = TO_SYSLOG;
}

/* Silence. */
void
log_to_nothing(void)
{
	to.place = TO_NOTHING;
}

/* Whose lines they are for syslog. */
bool
log_facility(const char *name)
{
	static const struct {
		const char	*name;
		int		 code;
	} all[] = {
		{ "mail", LOG_MAIL }, { "auth", LOG_AUTH },
		{ "authpriv", LOG_AUTHPRIV }, { "cron", LOG_CRON },
		{ "daemon", LOG_DAEMON }, { "ftp", LOG_FTP },
		{ "kern", LOG_KERN }, { "lpr", LOG_LPR },
		{ "news", LOG_NEWS }, { "security", LOG_AUTH },
		{ "syslog", LOG_SYSLOG }, { "user", LOG_USER },
		{ "uucp", LOG_UUCP }, { "local0", LOG_LOCAL0 },
		{ "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },
		{ "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 },
		{ "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 },
		{ "local7", LOG_LOCAL7 }
	};
	size_t	i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcasecmp(name, all[i].name) == 0) {
			to.facility = all[i].code;
			return true;
		}
	return false;
}

/* The facility's number. */
int
log_facility_code(void)
{
	return to.facility;
}

/* What it was before. */
void
log_facility_again(int code)
{
	to.facility = code;
}

/* How much to say. */
void
log_verbose(int level)
{
	to.verbose = level;
}

/* Are debug lines wanted? */
bool
log_is_verbose(void)
{
	return to.verbose > 0;
}

/* "PROGRAM: warning: TEXT", in one write so that lines do not mix. */
static void
write_stderr(enum log_level level, const char *text)
{
	static char	line[LINE_SIZE + 2 * NAME_SIZE];
	size_t		len;

	snprintf(line, sizeof(line) - 1, "%s: %s%s", program_name(),
	    log_level_prefix(level), text);
	len = strlen(line);
	line[len++] = '\n';
	while (write(STDERR_FILENO, line, len) == -1 && errno == EINTR)
		continue;
}

/* Send what is gathered, if the log program has room for it: 0 or -1. What
 * was lost before is told in the first head. */
static int
send_gathered(void)
{
	ssize_t	n;

	if (gathered.len == 0)
		return 0;
	memcpy(gathered.bytes + offsetof(struct log_head, lost), &to.lost,
	    sizeof(to.lost));
	n = send(to.fd, gathered.bytes, gathered.len,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n != -1)
		to.lost = 0;
	else if (to.lost < UINT32_MAX - gathered.lines)
		to.lost += gathered.lines;
	gathered.len = 0;
	gathered.lines = 0;
	return n == -1 ? -1 : 0;
}

/* Add to what is gathered. */
static void
add_bytes(const void *from, size_t len)
{
	memcpy(gathered.bytes + gathered.len, from, len);
	gathered.len += len;
}

/* The number for the brackets. */
static uint64_t
number(void)
{
	if (log_number != 0)
		return log_number;
	return (uint64_t)(gathered.is_on ? gathered.pid : getpid());
}

/* Put a line behind the others, which leave first if it has no room, and send
 * it unless it may wait: -1 if it is lost. */
static int
add_line(enum log_level level, const char *text)
{
	const char	*program = program_name();
	size_t		 name_size = strlen(to.syslog_name) + 1;
	size_t		 program_size = strlen(program) + 1;
	size_t		 text_size = strlen(text) + 1;
	struct log_head	 head = { .wall_us = clock_wall_us(),
	    .number = number(), .level = (uint32_t)level };

	if (gathered.len + sizeof(head) + name_size + program_size +
	    text_size > sizeof(gathered.bytes))
		(void)send_gathered();
	add_bytes(&head, sizeof(head));
	add_bytes(to.syslog_name, name_size);
	add_bytes(program, program_size);
	add_bytes(text, text_size);
	gathered.lines++;
	if (gathered.is_on && level != LOG_LEVEL_FATAL &&
	    level != LOG_LEVEL_PANIC)
		return 0;
	return send_gathered();
}

/* Send what waits. errno stays. */
void
log_flush(void)
{
	int	saved = errno;

	if (gathered.len == 0)		/* a thread's line may come later */
		return;
	pthread_mutex_lock(&lock);
	(void)send_gathered();
	pthread_mutex_unlock(&lock);
	errno = saved;
}

/* Before a fork: a child's lines come behind those that it follows. */
static void
before_fork(void)
{
	pthread_mutex_lock(&lock);
	(void)send_gathered();
}

/* In the parent all goes on. */
static void
after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

/* A child has no loop yet, and its losses are its own. */
static void
begin_child(void)
{
	gathered.is_on = false;
	to.lost = 0;
	pthread_mutex_unlock(&lock);
}

/* From exit(3) on no turn of a loop ends. */
static void
stop_gathering(void)
{
	log_gather(false);
}

/* Let lines wait, or no longer. */
void
log_gather(bool is_on)
{
	static bool	is_prepared;

	if (!is_prepared)
		is_prepared = atexit(stop_gathering) == 0 &&
		    pthread_atfork(before_fork, after_fork, begin_child) == 0;
	log_flush();
	gathered.pid = getpid();
	gathered.is_on = is_on && is_prepared;
}

/* Bring an escaped text to where it belongs. */
static void
deliver(enum log_level level, const char *text)
{
	switch (to.place) {
	case TO_STDERR:
		write_stderr(level, text);
		break;
	case TO_SOCKET:
		if (add_line(level, text) == -1 &&
		    (level == LOG_LEVEL_FATAL || level == LOG_LEVEL_PANIC))
			write_stderr(level, text);
		break;
	case TO_SYSLOG:
		syslog(to.facility | syslog_priority(level), "%s%s",
		    log_level_prefix(level), text);
		break;
	case TO_NOTHING:
		break;
	}
}

/*
 * Bytes of the UTF-8 character at `from` if a log may show it, else 0. Beside
 * the malformed (RFC 3629 section 4) we refuse what commands a terminal or
 * turns text around: C1 controls, line separators, marks of direction.
 */
static size_t
showable(const unsigned char *from, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t	code;
	size_t		n, i;

	if (from[0] < 0x80)
		return from[0] >= ' ' && from[0] != 0x7f;
	n = from[0] >= 0xf0 ? 4 : from[0] >= 0xe0 ? 3 : 2;
	if (from[0] < 0xc2 || from[0] > 0xf4 || n > len)
		return 0;
	code = from[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((from[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (from[i] & 0x3f);
	}
	if (code < least[n] || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff) ||
	    (code >= 0x80 && code <= 0x9f) || code == 0x61c ||
	    code == 0x200e || code == 0x200f ||
	    (code >= 0x2028 && code <= 0x202e) ||
	    (code >= 0x2066 && code <= 0x2069))
		return 0;
	return n;
}

/* Escape as much as fits, characters and escapes whole; *used of `from`. */
static size_t
escape(char *dest, size_t size, const char *from, size_t len, size_t *used)
{
	const unsigned char	*u = (const unsigned char *)from;
	size_t			 room = size > 0 ? size - 1 : 0;
	size_t			 n, run, at = 0, i = 0;

	while (i < len) {
		if ((run = text_printable(from + i, len - i)) > 0) {
			n = run < room - at ? run : room - at;
			memcpy(dest + at, from + i, n);
			at += n;
			i += n;
			if (n < run)
				break;
			continue;
		}
		n = showable(u + i, len - i);
		if ((n > 0 ? n : 4) > room - at)
			break;
		if (n > 0) {
			memcpy(dest + at, from + i, n);
			at += n;
			i += n;
		} else {
			dest[at++] = '\\';
			dest[at++] = (char)('0' + (u[i] >> 6));
			dest[at++] = (char)('0' + (u[i] >> 3 & 7));
			dest[at++] = (char)('0' + (u[i] & 7));
			i++;
		}
	}
	if (size > 0)
		dest[at] = '\0';
	*used = i;
	return at;
}

/* Make a stranger's text harmless. */
size_t
log_escape(char *dest, size_t size, const char *from, size_t len)
{
	size_t	used;

	return escape(dest, size, from, len, &used);
}

/* Format, escape, cut to size and send. */
void
log_line(enum log_level level, const char *format, va_list ap)
{
	static char	raw[LINE_SIZE], text[LINE_SIZE];
	int		saved = errno, n;
	size_t		len, size, used, at;

	if (level == LOG_LEVEL_DEBUG && to.verbose <= 0)
		return;
	pthread_mutex_lock(&lock);
	if ((n = vsnprintf(raw, sizeof(raw), format, ap)) < 0)
		n = (int)strlcpy(raw, format, sizeof(raw));
	len = strlen(raw);
	size = sizeof(text) - HEAD_SIZE - strlen(to.syslog_name) -
	    strlen(program_name());
	at = escape(text, size, raw, len, &used);
	if ((size_t)n > len || used < len)
		memcpy(text + at, "...", 4);	/* HEAD_SIZE counts it */
	deliver(level, text);
	pthread_mutex_unlock(&lock);
	errno = saved;
}

/* What happened. */
void
log_info(const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_INFO, format, ap);
	va_end(ap);
}

/* What somebody should look at. */
void
log_warning(const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_WARNING, format, ap);
	va_end(ap);
}

/* What did not work. */
void
log_error(const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_ERROR, format, ap);
	va_end(ap);
}

/* What only a seeker wants. */
void
log_debug(const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_DEBUG, format, ap);
	va_end(ap);
}

/* A line of any level. */
void
log_at(enum log_level level, const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	log_line(level, format, ap);
	va_end(ap);
}

/* Each line of a text. */
void
log_lines(enum log_level level, const char *text)
{
	size_t	len;

	for (; *text != '\0'; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (len > 0)
			log_at(level, "%.*s", (int)len, text);
	}
}
