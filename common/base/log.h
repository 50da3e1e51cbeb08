#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One event, one line: "NAME/PROGRAM[NUMBER]: TEXT". Text from strangers is
 * escaped here (control bytes, non-ASCII that is not UTF-8), a line is at
 * most 2000 bytes, and logging never blocks: what does not fit is counted and
 * the count is logged when there is room again.
 */
enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR,
    LOG_LEVEL_FATAL, LOG_LEVEL_PANIC, LOG_LEVEL_DEBUG };

/*
 * What a line travels as from a daemon to the log program: this head, then
 * syslog name, program and text (escaped, without the level's prefix), each
 * ended by NUL. A SEQPACKET datagram holds one or several, one after another.
 */
enum { LOG_DATAGRAM_MAX = 8 * 1024 };

struct log_head {
	int64_t		 wall_us;	/* microseconds since 1970 */
	uint64_t	 number;	/* for the brackets */
	uint32_t	 level;
	uint32_t	 lost;		/* lines dropped before this datagram:
					 * in its first line, 0 elsewhere */
};

/* Names for the line's head, for instance "postrider" and "smtpd". */
void	 log_name(const char *syslog_name, const char *program);

/* Where lines go; the default is standard error. fd: a socket to `log`. */
void	 log_to_stderr(void);
void	 log_to_socket(int fd);
void	 log_to_syslog(void);			/* commands: libc's syslog(3) */
void	 log_to_nothing(void);			/* tests */

/*
 * Lines for a socket may wait for each other until log_flush(), which loop.c
 * calls before it sleeps and packet.c before it tells another process
 * anything; those of a process that ends here do not wait. Off: each line
 * goes at once, as it does in a forked child.
 */
void	 log_gather(bool);
void	 log_flush(void);

/* The syslog facility by its name, "mail" before; false for none there is. */
bool	 log_facility(const char *name);
int	 log_facility_code(void);		/* as syslog(3) counts */
void	 log_facility_again(int code);		/* back to that one */

/* Show debug lines; 0 hides them. Lines at or above this are dropped. */
void	 log_verbose(int level);
bool	 log_is_verbose(void);

/*
 * The number in the brackets: the process id until set. fiber.c saves and
 * restores it at each switch, so that each session has its own.
 */
extern uint64_t log_number;

void	 log_info(const char *, ...) __attribute__((format(printf, 1, 2)));
void	 log_warning(const char *, ...) __attribute__((format(printf, 1, 2)));
void	 log_error(const char *, ...) __attribute__((format(printf, 1, 2)));
void	 log_debug(const char *, ...) __attribute__((format(printf, 1, 2)));
void	 log_at(enum log_level, const char *, ...)
	    __attribute__((format(printf, 2, 3)));
void	 log_lines(enum log_level, const char *);	/* but empty ones */
void	 log_line(enum log_level, const char *format, va_list)
	    __attribute__((format(printf, 2, 0)));

/* "warning: " and so on; "" for information. */
const char	*log_level_prefix(enum log_level);

/*
 * Escape into `to` (size `size`, NUL-terminated) what must not reach a log:
 * control bytes and invalid UTF-8 as \ooo. Returns bytes written.
 */
size_t	 log_escape(char *to, size_t size, const char *from, size_t len);

#endif
