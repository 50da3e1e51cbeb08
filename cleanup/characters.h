#ifndef CLEANUP_CHARACTERS_H
#define CLEANUP_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>

/* A set of bytes. */
struct characters {
	bool	 has[256];
	bool	 is_any;
};

/* Those of a text with \a \b \f \n \r \t \v \\ and \ddd (octal): NULL, or what
 * is wrong with it. */
const char	*characters_parse(struct characters *, const char *text);
bool		 characters_are_none(const struct characters *);
bool		 characters_have(const struct characters *, char);

/* Take them out of the bytes; how many are left. */
size_t		 characters_strip(const struct characters *, char *, size_t);
/* Is there one? */
bool		 characters_find(const struct characters *, const char *,
		    size_t);

#endif
