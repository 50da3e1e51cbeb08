/*
 * clock.c - what time it is, and how mail and logs write it.
 *
 * Names of days and months are English whatever the locale says.
 */
#include "common/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char days[][4] = {
	"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"
};

static const char months[][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

/* For whatever numbers the compiler thinks of. */
enum { ANY_DATE = 128 };

/* What clock_mail_date() said last. */
static _Thread_local struct {
	time_t	 when;
	char	 date[ANY_DATE];
} last;

/* Milliseconds since some moment before this process. */
int64_t
clock_now(void)
{
	struct timespec	now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Microseconds since 1970, as far as this machine knows. */
int64_t
clock_wall_us(void)
{
	struct timespec	now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Local time in parts; a year nobody can write becomes 1970. */
static void
local_parts(time_t when, struct tm *parts)
{
	time_t	zero = 0;

	if (localtime_r(&when, parts) == NULL ||
	    parts->tm_year > 9999 - 1900 || parts->tm_year < -1900)
		gmtime_r(&zero, parts);
}

/* A second as mail writes it; a busy server asks for the same one often. */
static void
print_mail_date(char to[ANY_DATE], time_t when)
{
	struct tm	t;
	long		zone;

	local_parts(when, &t);
	zone = labs(t.tm_gmtoff) / 60;
	snprintf(to, ANY_DATE, "%s, %d %s %04d %02d:%02d:%02d %c%02ld%02ld",
	    days[t.tm_wday], t.tm_mday, months[t.tm_mon], t.tm_year + 1900,
	    t.tm_hour, t.tm_min, t.tm_sec, t.tm_gmtoff < 0 ? '-' : '+',
	    zone / 60, zone % 60);
}

/* RFC 5322 3.3 date-time. */
char *
clock_mail_date(char *to, size_t size, time_t when)
{
	if (when != last.when || last.date[0] == '\0')
		print_mail_date(last.date, when);
	last.when = when;
	strlcpy(to, last.date, size);
	return to;
}

/* The date of RFC 3164, whose day is padded with a space. */
char *
clock_log_date(char *to, size_t size, time_t when)
{
	struct tm	t;

	local_parts(when, &t);
	snprintf(to, size, "%s %2d %02d:%02d:%02d", months[t.tm_mon],
	    t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
	return to;
}

/* localtime_r() reads the zone only once; let it be now. */
void
clock_prepare(void)
{
	tzset();
	last.date[0] = '\0';
}
