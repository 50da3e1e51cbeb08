#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/mail/header.h"

/*
 * A message read as a tree of parts while it streams by (RFC 2045, 2046).
 * Feed it bytes cut anywhere; what it tells does not depend on the cuts, and
 * all it tells, put together again, is the message. It decides nothing:
 * malformed parts are read as far as they make sense and are body text then.
 */

/* Which header_checks a field is for: MIME fields are a class of their own,
 * wherever they stand. */
enum mime_class { MIME_PRIMARY, MIME_PART, MIME_NESTED };

enum mime_encoding { MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_QP, MIME_BASE64,
    MIME_UNKNOWN };

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

enum { MIME_WORD = 64, MIME_BOUNDARY_MAX = 2048, MIME_PIECE = 4096 };

/* What a header says about the body behind it. */
struct mime_entity {
	enum mime_class		 where;		/* whose header it was */
	enum mime_kind		 kind;		/* as it is read */
	enum mime_encoding	 encoding;
	/* In lower case; the default of RFC 2045 5.2 or 2046 5.1.5 without a
	 * Content-Type: that can be understood. */
	char			 type[MIME_WORD], subtype[MIME_WORD];
	bool			 has_type, has_encoding, has_version;
	bool			 is_signed;	/* inside multipart/signed */
	bool			 is_too_deep;	/* not read any deeper */
	unsigned		 depth;
};

/* A line of a body, or MIME_PIECE bytes of a longer one. */
struct mime_line {
	const char	*data;
	size_t		 len;		/* without CRLF */
	bool		 is_start;	/* a line begins here */
	bool		 is_end;	/* and ends here, with CRLF */
	bool		 is_outside;	/* before the first, after the last
					 * boundary: belongs to no part */
	bool		 is_signed;
};

struct mime_events {
	void	(*field)(void *context, enum mime_class,
		    const struct header_field *);
	/* What follows of a field that is cut. */
	void	(*more)(void *context, const char *data, size_t len);
	/* The header is over; the empty line is the listener's to pass on. */
	void	(*head_end)(void *context, const struct mime_entity *,
		    bool had_empty_line);
	void	(*line)(void *context, const struct mime_line *);
	/* "--boundary" or "--boundary--" with what stands behind it, without
	 * CRLF (has_end tells whether there was one). */
	void	(*boundary)(void *context, const char *line, size_t len,
		    bool has_end);
};

struct mime_limits {
	size_t		 header;	/* bytes of a field, then it is cut */
	unsigned	 depth;		/* multiparts and messages nested */
	size_t		 boundary;	/* bytes that are compared */
};
extern const struct mime_limits mime_limits;	/* 100 KiB, 100, 2048 */

struct mime_reader;

struct mime_reader *mime_reader_new(struct pool *, const struct mime_limits *,
		    const struct mime_events *, void *context);
void		 mime_reader_feed(struct mime_reader *, const char *, size_t);
void		 mime_reader_finish(struct mime_reader *);

/* Content-Type, Content-Transfer-Encoding and other fields that describe a
 * part (the class MIME_PART). */
bool		 mime_is_about_part(const struct header_field *);

/* mime_field.c: the values. False, and nothing changed, for what cannot be
 * understood. */
bool		 mime_parse_type(const char *value, size_t len,
		    struct mime_entity *);
enum mime_encoding mime_parse_encoding(const char *value, size_t len);
/* The parameter, put together as RFC 2231 3 and 4 say, up to `size` - 1 bytes;
 * *is_cut, if asked for, tells that it was longer. */
bool		 mime_parameter(const char *value, size_t len,
		    const char *name, char *to, size_t size, bool *is_cut);

#endif
