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

/* Nothing to do? */
bool
fold_passes(struct fold *f, const char *data, size_t len)
{
	size_t	column = f->column, n;
	bool	has_lf;

	if (f->limit == 0)
		return true;
	if (f->owes_cr)
		return false;
	for (; len > 0; data += n, len -= n) {
		n = run_length(data, len, &has_lf);
		column += has_lf ? n - 1 : n;
		if (has_lf && n >= 2 && data[n - 2] == '\r')
			column--;
		if (column > f->limit)
			return false;
		if (has_lf)
			column = 0;
	}
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
