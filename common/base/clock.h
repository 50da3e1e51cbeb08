#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds of the monotonic clock: every deadline is one of these. */
int64_t	 clock_now(void);

/* A deadline that never comes. */
#define NEVER		INT64_MAX

/* Microseconds since 1970, for ages, ids and logs. */
int64_t	 clock_wall_us(void);

/* "Sat, 21 Nov 2026 23:11:00 +0000" in local time (RFC 5322 3.3). */
#define CLOCK_DATE_SIZE	40
char	*clock_mail_date(char *to, size_t size, time_t when);

/* "Nov 21 23:11:00", as syslog writes it, local time. */
char	*clock_log_date(char *to, size_t size, time_t when);

/* Read the time zone now, before a chroot hides it. */
void	 clock_prepare(void);

#endif
