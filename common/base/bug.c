/*
 * bug.c - the ways in which a process ends itself.
 */
#include "common/base/bug.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/log.h"

/* Our own mistake: say it and stop where the debugger can see it. */
void
bug(const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_PANIC, format, ap);
	va_end(ap);
	abort();
}

/* Wrong surroundings: say it and leave. */
void
die(const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_FATAL, format, ap);
	va_end(ap);
	exit(1);
}

/* Hard times: say it and leave. */
void
die_for_now(const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_FATAL, format, ap);
	va_end(ap);
	exit(EX_TEMPFAIL);
}
