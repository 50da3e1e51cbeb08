#ifndef MAP_PATTERN_H
#define MAP_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/map/inside.h"

/*
 * What regexp.c and pcre.c tell pattern.c, which knows everything about such
 * tables but how a pattern is compiled and matched.
 */
struct span {
	size_t	start, end;	/* both PATTERN_NO_SPAN when not matched */
};
#define PATTERN_NO_SPAN	((size_t)-1)

struct pattern_engine {
	/* NULL or why; flags as written behind the pattern. */
	const char	*(*compile)(struct pool *, const char *pattern,
			    const char *flags, void **compiled,
			    size_t *groups);
	/* 1 matches, 0 does not, -1 with *why (a literal). Groups and the
	 * whole go to spans[0..groups]. */
	int		 (*match)(void *compiled, const char *subject,
			    struct span *spans, size_t groups,
			    const char **why);
	void		 (*release)(void *compiled);
};

const char	*pattern_open(struct map *, const struct pattern_engine *);
void		 pattern_close(struct map *);
enum map_result	 pattern_find(struct map *, struct pool *, const char *key,
		    char **value, char **why);

#endif
