#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

/*
 * The one growing string: always ended by NUL, never longer than its limit.
 * What would pass the limit is cut and `is_cut` stays set until str_clear().
 */
struct str {
	char		*data;		/* never NULL after str_init() */
	size_t		 len;		/* without the NUL */
	size_t		 size;		/* bytes allocated */
	size_t		 limit;		/* greatest len */
	bool		 is_cut;
	struct pool	*pool;
};

/* An empty string in the pool, at most `limit` bytes long; 0 means 16 MiB. */
void	 str_init(struct str *, struct pool *, size_t limit);

void	 str_clear(struct str *);
void	 str_add(struct str *, const char *text);
void	 str_add_mem(struct str *, const void *data, size_t len);
void	 str_add_char(struct str *, char c);
void	 str_add_number(struct str *, uint64_t);
void	 str_addf(struct str *, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));
void	 str_addv(struct str *, const char *format, va_list)
	    __attribute__((format(printf, 2, 0)));

/* Cut to `len` bytes; longer than now is a bug(). */
void	 str_cut(struct str *, size_t len);

/* Printable ASCII as it is, the rest as \ooo, backslash doubled: for logs. */
void	 str_add_escaped(struct str *, const char *text, size_t len);

#endif
