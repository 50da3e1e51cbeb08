#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

/*
 * Text to values, with strict bounds. A parser returns NULL when the text is
 * good, else a sentence that says what was expected ("expected a number from
 * 1 to 100"); the caller adds file, line, name and value. The sentence stays
 * good until the next call in the same thread: use or copy it before a wait.
 * All comparisons ignore ASCII case only; the locale has no say.
 */

/* A decimal number between min and max, nothing before or after it. */
const char	*text_integer(const char *, int64_t min, int64_t max,
		    int64_t *value);

/* "yes" or "no". */
const char	*text_boolean(const char *, bool *value);

/*
 * A duration: digits, an optional fraction, an optional unit ms s m h d w;
 * `unit` is used when none is written. The value is in milliseconds, the
 * bounds are in seconds.
 */
const char	*text_duration(const char *, char unit, int64_t min,
		    int64_t max, int64_t *milliseconds);

/* A size in bytes: digits and an optional unit k m g (powers of 1024). */
const char	*text_size(const char *, int64_t min, int64_t max,
		    int64_t *bytes);

bool	 text_equal(const char *, const char *);	/* ignoring case */
bool	 text_equal_mem(const char *a, const void *b, size_t b_len);
bool	 text_starts(const char *, const char *prefix);	/* ignoring case */
bool	 text_ends(const char *, const char *suffix);	/* ignoring case */
void	 text_lower(char *);				/* in place */

/* White space, whatever the locale. */
static inline bool
text_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* How many of the first `len` bytes are printable ASCII, the blank included. */
size_t	 text_printable(const char *, size_t len);

/* First byte after leading white space; trailing white space overwritten. */
char	*text_trim(char *);

/*
 * The next word of a list separated by white space and commas, NULL at the
 * end; the list is cut up in place. Braces keep "{ a, b }" together; the
 * braces themselves and the space inside them are removed.
 */
char	*text_next_word(char **list);

/* The same list as an array in the pool, *count words, never NULL. */
char   **text_words(struct pool *, const char *list, size_t *count);

#endif
