#ifndef MAIL_SMTP_H
#define MAIL_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * The grammar of SMTP commands, parameters and replies, without any I/O
 * (RFC 5321 4.1, 4.2).
 */

/* "MAIL FROM:<..> .." -> verb "MAIL", args after it and its white space. The
 * line is cut in place. */
void		 smtp_split_command(char *line, char **verb, char **args);

/*
 * Parameters behind a path: " SIZE=1 BODY=8BITMIME". Each keyword and value
 * (NULL when without "=") in order. NULL, or what is wrong with the syntax.
 */
struct smtp_parameter { char *keyword, *value; };
const char	*smtp_parse_parameters(struct pool *, const char *text,
		    struct smtp_parameter **, size_t *count);

/*
 * A reply as it comes in line by line: feed each line (without CRLF) until
 * it says complete. Text lines are joined by '\n'.
 */
struct smtp_reply {
	int		 code;		/* 0: nothing yet */
	struct str	 text;		/* without codes: "2.1.5 Ok\nmore" */
	char		 dsn[12];	/* "2.1.5", or "" when there was none */
	int		 lines;
	bool		 is_complete;
};
void		 smtp_reply_start(struct smtp_reply *, struct pool *,
		    size_t limit);
/* NULL, or why the line is not a reply line of this reply. */
const char	*smtp_reply_add(struct smtp_reply *, const char *line);

/* EHLO's answer: is the keyword offered; its parameters, or "". */
bool		 smtp_ehlo_find(const char *text, const char *keyword,
		    char *parameters, size_t size);

/*
 * End of data (RFC 5321 4.1.1.4, 4.5.2): takes bytes as they come from the
 * wire, gives message bytes with dots unstuffed, and stops after CRLF.CRLF
 * and nothing else. A bare CR or LF is passed on and counted.
 */
struct smtp_data {
	int		 state;
	int64_t		 bare_lf, bare_cr;	/* seen so far */
	bool		 is_over;
};
void		 smtp_data_start(struct smtp_data *);
/*
 * Consume up to `len` bytes of input; returns how many were consumed (all,
 * unless the end was found), appends to `out` (room for len + 2 bytes),
 * *out_len set.
 */
size_t		 smtp_data_decode(struct smtp_data *, const char *in,
		    size_t len, char *out, size_t *out_len);
/*
 * How many of the next bytes are the message as they are: they count as
 * decoded, and need not be copied. When it says 0 some more have to be decoded
 * before it is asked again; a hundred bytes are too few to ask for.
 */
size_t		 smtp_data_plain(struct smtp_data *, const char *in,
		    size_t len);

/*
 * The way out: message bytes (CRLF line ends) to wire bytes with dots
 * stuffed; call smtp_stuff_finish() last for the missing CRLF and the final
 * dot. A bare CR or LF in the input becomes a space or CRLF: none is emitted.
 * `out` has room for 2 * len + 8 bytes; returns bytes written. With is_chunk,
 * set after smtp_stuff_start(), it is for BDAT (RFC 3030): dots are nothing
 * special, and none is sent at the end.
 */
struct smtp_stuff { bool had_cr, at_line_start, is_chunk; };
void		 smtp_stuff_start(struct smtp_stuff *);
size_t		 smtp_stuff_encode(struct smtp_stuff *, const char *in,
		    size_t len, char *out);
/* How many of the next bytes go out as they are, as above: they count as
 * encoded. */
size_t		 smtp_stuff_plain(struct smtp_stuff *, const char *in,
		    size_t len);
size_t		 smtp_stuff_finish(struct smtp_stuff *, char *out);

/* LF or CRLF lines to CRLF lines, cut anywhere; out has room for 2 * len. */
struct crlf { bool had_cr; };
size_t		 crlf_encode(struct crlf *, const char *in, size_t len,
		    char *out);
/* How many of the next bytes stay as they are, as above. */
size_t		 crlf_plain(struct crlf *, const char *in, size_t len);

#endif
