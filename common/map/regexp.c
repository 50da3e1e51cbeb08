/*
 * regexp.c - tables of POSIX regular expressions.
 *
 * Extended and ignoring case unless the flags x and i turn that off; m lets
 * ^ and $ match at line breaks.
 */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "common/map/pattern.h"

enum { MATCHES = 64 };

/* Which flags are meant. */
static const char *
read_flags(struct pool *pool, const char *flags, int *options)
{
	*options = REG_EXTENDED | REG_ICASE;
	for (; *flags != '\0'; flags++)
		switch (*flags) {
		case 'i':
			*options ^= REG_ICASE;
			break;
		case 'm':
			*options ^= REG_NEWLINE;
			break;
		case 'x':
			*options ^= REG_EXTENDED;
			break;
		default:
			return pool_printf(pool, "expected flags of i, m and "
			    "x, found %c", *flags);
		}
	return NULL;
}

/* Compile a pattern. */
static const char *
compile(struct pool *pool, const char *pattern, const char *flags,
    void **compiled, size_t *groups)
{
	regex_t		*regex;
	const char	*why;
	char		 text[200];
	int		 options, error;

	if ((why = read_flags(pool, flags, &options)) != NULL)
		return why;
	regex = mem_alloc(sizeof(*regex));
	if ((error = regcomp(regex, pattern, options)) != 0) {
		(void)regerror(error, regex, text, sizeof text);
		free(regex);
		return pool_strdup(pool, text);
	}
	*compiled = regex;
	*groups = regex->re_nsub;
	if (*groups < MATCHES)
		return NULL;
	return pool_printf(pool, "expected at most %d groups", MATCHES - 1);
}

/* Match a subject and tell the spans. */
static int
match(void *compiled, const char *subject, struct span *spans, size_t groups,
    const char **why)
{
	regmatch_t	matches[MATCHES];
	size_t		i;

	switch (regexec(compiled, subject, groups + 1, matches, 0)) {
	case 0:
		break;
	case REG_NOMATCH:
		return 0;
	default:
		*why = "the pattern takes too much to match";
		return -1;
	}
	for (i = 0; i <= groups; i++) {
		spans[i].start = (size_t)matches[i].rm_so;
		spans[i].end = (size_t)matches[i].rm_eo;
	}
	return 1;
}

/* Free a compiled pattern. */
static void
release(void *compiled)
{
	regfree(compiled);
	free(compiled);
}

static const struct pattern_engine engine = { compile, match, release };

/* Read the table with this engine. */
static const char *
regexp_open(struct map *m)
{
	return pattern_open(m, &engine);
}

const struct map_type map_regexp = {
	.name = "regexp", .traits = MAP_IS_PATTERN, .open = regexp_open,
	.close = pattern_close, .find = pattern_find
};
