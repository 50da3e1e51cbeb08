/*
 * stray.c - line ends that are none.
 */
#include "cleanup/stray.h"

#include <string.h>

#include "common/mail/plain.h"

/* Make every CR without LF, and LF without CR, a space. Most of the piece has
 * none; the last byte of that may be a CR. */
static void
replace(char *data, size_t len, bool had_cr)
{
	char	*at, *end = data + len, *from = data;

	if (len > 0 && (*data != '\n' || had_cr))
		from += plain_lines(data + 1, len - 1);
	for (at = from; (at = memchr(at, '\n', (size_t)(end - at))) != NULL;
	    at++)
		if (at == data ? !had_cr : at[-1] != '\r')
			*at = ' ';
	for (at = from; (at = memchr(at, '\r', (size_t)(end - at))) != NULL;
	    at++)
		if (at + 1 < end && at[1] != '\n')
			*at = ' ';
}

/* One piece. */
size_t
stray_replace(struct stray *s, char *data, size_t len, bool is_last,
    char *before)
{
	bool	had_cr = s->holds_cr;

	*before = 0;
	if (len == 0 && !is_last)
		return 0;
	if (had_cr)
		*before = len > 0 && data[0] == '\n' ? '\r' : ' ';
	replace(data, len, had_cr);
	s->holds_cr = len > 0 && data[len - 1] == '\r';
	if (s->holds_cr && is_last)
		data[len - 1] = ' ';
	else if (s->holds_cr)
		len--;
	return len;
}
