/*
 * io_printf.c - formatted text through an io.
 */
#include "common/fiber/io.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/bug.h"
#include "common/base/mem.h"

/* Format into the buffer; what does not fit a short line is formatted into
 * memory of its own. */
int
io_printf(struct io *io, const char *format, ...)
{
	char	 line[512], *long_line;
	va_list	 args, again;
	int	 len, outcome;

	va_start(args, format);
	va_copy(again, args);
	if ((len = vsnprintf(line, sizeof line, format, args)) < 0)
		bug("cannot format \"%s\"", format);
	if ((size_t)len < sizeof line)
		outcome = io_write(io, line, (size_t)len);
	else {
		long_line = mem_alloc((size_t)len + 1);
		vsnprintf(long_line, (size_t)len + 1, format, again);
		outcome = io_write(io, long_line, (size_t)len);
		free(long_line);
	}
	va_end(again);
	va_end(args);
	return outcome;
}
