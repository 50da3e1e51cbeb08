/*
 * io_line.c - lines out of an io, however long a stranger makes them.
 */
#include "common/fiber/io.h"

#include <errno.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/fiber/io_inside.h"

enum { SKIP_MAX = 1024 * 1024 };	/* of a line that is too long */

/* Skip the rest of a line that is too long, within bounds. */
static int
skip_line(struct io *io, size_t limit)
{
	size_t		 len, skipped = 0;
	const char	*data, *lf;
	int		 got;

	for (;;) {
		len = io_peek(io, &data);
		if ((lf = memchr(data, '\n', len)) != NULL)
			len = (size_t)(lf - data) + 1;
		io_consume(io, len);
		skipped += len;
		if (skipped > limit + SKIP_MAX)
			return io_fail_reading(io, ECONNABORTED);
		if (lf != NULL) {
			errno = EMSGSIZE;
			return -1;
		}
		if ((got = io_fill(io, INPUT_MIN)) == 0)
			return io_fail_reading(io, ECONNRESET);
		if (got == -1)
			return -1;
	}
}

/* Cut the line out of the buffer, where its LF is `end` bytes away. */
static int
take_line(struct io *io, size_t end, char **line, size_t *len, size_t limit,
    bool *bare_lf)
{
	char	*data = io->in + io->in_start;
	bool	 has_cr = end > 0 && data[end - 1] == '\r';
	size_t	 text = has_cr ? end - 1 : end;

	if (text > limit)
		return skip_line(io, limit);
	data[text] = '\0';
	io_consume(io, end + 1);
	*line = data;
	*len = text;
	if (bare_lf != NULL)
		*bare_lf = !has_cr;
	return 1;
}

/* Read one line. */
int
io_line(struct io *io, char **line, size_t *len, size_t limit, bool *bare_lf)
{
	size_t		 have, seen = 0;
	const char	*data, *lf;
	int		 got;

	CLAIM(limit <= INPUT_MAX - 2);
	if (!io_may_read(io))
		return -1;
	fiber_breathe();
	for (;;) {
		have = io_peek(io, &data);
		lf = memchr(data + seen, '\n', have - seen);
		if (lf != NULL)
			return take_line(io, (size_t)(lf - data), line, len,
			    limit, bare_lf);
		if (have > limit + 1)		/* one for a CR */
			return skip_line(io, limit);
		seen = have;
		got = io_fill(io, limit + 2 < INPUT_MIN ? INPUT_MIN :
		    limit + 2);
		if (got == -1)
			return -1;
		if (got == 0)
			return have == 0 ? 0 : io_fail_reading(io, ECONNRESET);
	}
}
