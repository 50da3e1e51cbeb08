/*
 * fold.c - no line beyond smtp_line_length_limit (RFC 5321 4.5.3.1.6).
 *
 * A CR counts to its line until the LF shows that it ends it; one that would
 * be the byte too many waits for what follows.
 */
#include "smtp/fold.h"

#include <string.h>

/* In front of the first line. */
void
fold_start(struct fold *f, size_t limit)
{
	memset(f, 0, sizeof(*f));
	f->limit = limit;
}

/* The length of a run up to and with its LF, if it has one. */
static size_t
run_length(const char *data, size_t len, bool *has_lf)
{
	const char	*lf = memchr(data, '\n', len);

	*has_lf = lf != NULL;
	return lf != NULL ? (size_t)(lf + 1 - data) : len;
}

/*
 * Nothing to do? Behind the start of a line there must be an LF among as many
 * bytes as a line may have; the last of those is the next start. So a jump
 * takes many lines. What is just too long here because its CR counts may pass
 * byte by byte.
 */
bool
fold_passes(struct fold *f, const char *data, size_t len)
{
	size_t		 column = f->column, n;
	const char	*lf;

	if (f->limit == 0)
		return true;
	if (f->owes_cr || column > f->limit)
		return false;
	while (column + len > f->limit) {
		n = f->limit + 2 - column;
		lf = memrchr(data, '\n', n < len ? n : len);
		if (lf == NULL || (lf == data + n - 1 && lf[-1] != '\r'))
			return false;
		len -= (size_t)(lf + 1 - data);
		data = lf + 1;
		column = 0;
	}
	if ((lf = memrchr(data, '\n', len)) != NULL)
		column = (size_t)(data + len - lf - 1);
	else
		column += len;
	f->column = column;
	return true;
}

/* Break the line. */
static void
break_line(struct fold *f, struct str *to)
{
	str_add(to, "\r\n ");
	f->column = 1;
	f->has_broken = true;
}

/* One byte of a line that may be too long. */
static void
add_byte(struct fold *f, struct str *to, char c)
{
	if (c == '\n') {
		str_add(to, f->owes_cr ? "\r\n" : "\n");
		f->owes_cr = false;
		f->column = 0;
		return;
	}
	if (f->owes_cr) {
		f->owes_cr = false;
		break_line(f, to);
		str_add_char(to, '\r');
		f->column++;
	}
	if (f->column >= f->limit) {
		if (c == '\r') {
			f->owes_cr = true;
			return;
		}
		break_line(f, to);
	}
	str_add_char(to, c);
	f->column++;
}

/* Add bytes. */
void
fold_add(struct fold *f, struct str *to, const char *data, size_t len)
{
	size_t	n, i;
	bool	has_lf;

	for (; len > 0; data += n, len -= n) {
		n = run_length(data, len, &has_lf);
		if (f->limit == 0 || (!f->owes_cr &&
		    f->column + n <= f->limit)) {
			str_add_mem(to, data, n);
			f->column = has_lf ? 0 : f->column + n;
			continue;
		}
		for (i = 0; i < n; i++)
			add_byte(f, to, data[i]);
	}
}

/* The end. */
void
fold_finish(struct fold *f, struct str *to)
{
	if (f->owes_cr)
		str_add_char(to, '\r');
	f->owes_cr = false;
}
