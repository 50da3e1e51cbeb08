#ifndef LOCAL_COPY_H
#define LOCAL_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The message on its way from the queue file (CRLF line ends) into a mailbox
 * (LF line ends). Usable on any thread; allocates nothing.
 */
enum { COPY_INPUT = 16 * 1024, COPY_OUTPUT = 32 * 1024 };

struct copy {
	int	 from;
	int64_t	 at, left;		/* where in `from`, and how much */
	int	 to;			/* written at its own position */
	bool	 quotes_from;		/* "From " becomes ">From " (mbox) */
	bool	 quotes_dot;		/* "." in front becomes ".." */
	const char *eol;		/* line ends; LF */
	/* Takes what would be written to `to`, if it is set: 0, or -1. */
	int	 (*sink)(void *context, const char *, size_t);
	void	*context;

	int64_t	 written;		/* bytes, by copy_flush */

	/* private */
	bool	 is_line_start;
	size_t	 held, filled;
	char	 in[COPY_INPUT];
	char	 out[COPY_OUTPUT];
};

void	 copy_open(struct copy *, int from, int64_t at, int64_t length, int to);

/* Text that is written as it is, and one whose LFs become line ends. 0, or -1
 * with errno. */
int	 copy_text(struct copy *, const char *);
int	 copy_lines(struct copy *, const char *);

/* The whole message; it ends with a line end then. 0, or -1 with errno: EIO
 * when the queue file is shorter than was said. */
int	 copy_message(struct copy *);

/* Everything to the descriptor. */
int	 copy_flush(struct copy *);

#endif
