#ifndef PARAM_LINES_H
#define PARAM_LINES_H

#include "common/base/mem.h"

/*
 * The logical lines that main.cf and master.cf are made of: a line that
 * begins with white space continues the one before; empty lines and lines
 * whose first visible character is # are skipped wherever they stand.
 */
struct lines {
	struct pool	*pool;
	const char	*path;
	const char	*next, *end;
	unsigned	 line;		/* number of the line before `next` */
};

/* Read the file; NULL, or a sentence in the pool. */
char	*lines_open(struct lines *, struct pool *, const char *path);

/* The same for text in memory, which must outlive it. */
void	 lines_open_text(struct lines *, struct pool *, const char *path,
	    const char *text, size_t len);

/*
 * The next logical line in the pool, its first line's number in *line. NULL
 * at the end, or with *why for an error.
 */
char	*lines_next(struct lines *, unsigned *line, char **why);

/*
 * What a line that starts at `at` and ends before `end` is to the reader
 * above.
 */
enum line_kind { LINE_NOTHING, LINE_STARTS, LINE_CONTINUES };
enum line_kind lines_kind(const char *at, const char *end);

#endif
