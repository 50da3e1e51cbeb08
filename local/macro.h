#ifndef LOCAL_MACRO_H
#define LOCAL_MACRO_H

#include <stdbool.h>

#include "common/base/mem.h"

/*
 * Text with $name in it, filled in for one delivery: $name ${name} $(name),
 * ${name?text} if the name has a value, ${name:text} if it has none, with
 * braces around the text if it has some inside; ${name?{a}:{b}}; $$ is "$".
 */
struct macro {
	const char	*name;		/* NULL ends the table */
	const char	*value;		/* NULL: it has none */
};

/*
 * The text, in the pool. Characters of values that are not in `filter` (NULL:
 * all are good) become underscores. *is_unset tells, if asked for, that a name
 * without a value was used. NULL with *why: the text is malformed, or has a
 * name that the table has not.
 */
char	*macro_expand(struct pool *, const char *text, const struct macro *,
	    const char *filter, bool *is_unset, const char **why);

/* The filter on a value of its own, in place. */
void	 macro_filter(char *value, const char *filter);

#endif
