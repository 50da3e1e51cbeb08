#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * A message's header block, read as it streams by (RFC 5322 2.2). Feed it
 * bytes cut anywhere; it calls back for each field, with folding kept, and
 * once where the body begins. CRLF line ends; a line that is not a field and
 * not a continuation ends the header block without an empty line.
 *
 * The block may have any length. Of one field no more than `limit` bytes are
 * held: a longer one is told with so much of it and is_cut, and what follows
 * of it comes by more(), up to its last CRLF. A line that has no name within
 * the limit is no field.
 */
struct header_field {
	const char	*name;		/* not NUL-terminated */
	size_t		 name_len;
	const char	*value;		/* after the colon, folding kept,
					 * without the last CRLF */
	size_t		 value_len;
	const char	*raw;		/* the whole field with its CRLFs */
	size_t		 raw_len;
	bool		 is_cut;	/* more() has the rest: value and raw
					 * end anywhere, at the same place */
};

struct header_reader;

struct header_events {
	void	(*field)(void *context, const struct header_field *);
	/* What follows of a field that is cut, in pieces of any length. */
	void	(*more)(void *context, const char *data, size_t len);
	/* The header is over; had_empty_line tells how. */
	void	(*end)(void *context, bool had_empty_line);
	/* Body bytes, passed on as they come. */
	void	(*body)(void *context, const char *data, size_t len);
};

struct header_reader *header_reader_new(struct pool *, size_t limit,
		    const struct header_events *, void *context);
void		 header_reader_feed(struct header_reader *, const char *,
		    size_t);
void		 header_reader_finish(struct header_reader *);
/* Begin another header block (of a part of the message). */
void		 header_reader_again(struct header_reader *);
/* Has the body begun? */
bool		 header_reader_is_over(const struct header_reader *);

/* A whole field, with its CRLF, taken apart; false when it has no name. */
bool		 header_field_parse(struct header_field *, const char *raw,
		    size_t len);
/* The same of one that is cut. */
bool		 header_field_parse_cut(struct header_field *, const char *raw,
		    size_t len);

/* Is this the field's name? ignoring case */
bool		 header_is(const struct header_field *, const char *name);
/* The value unfolded (CRLF before white space removed), trimmed. */
char		*header_unfold(struct pool *, const char *value, size_t len);

#endif
