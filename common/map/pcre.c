/*
 * pcre.c - tables of Perl-compatible regular expressions.
 *
 * Flags turn over what is the rule: i (ignore case, on), s (the dot matches a
 * line break, on), m, x, A, E, U. X means nothing any more. Matching has a
 * limit, so that no subject can make a careless pattern run for minutes.
 */
#ifdef HAVE_PCRE2

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdlib.h>
#include <string.h>

#include "common/map/pattern.h"

enum { MATCH_LIMIT = 200000, HEAP_LIMIT_KIB = 4096 };

struct compiled {
	pcre2_code		*code;
	pcre2_match_data	*data;
	pcre2_match_context	*limits;
};

static const struct { char letter; uint32_t option; } letters[] = {
	{ 'i', PCRE2_CASELESS }, { 'm', PCRE2_MULTILINE },
	{ 's', PCRE2_DOTALL }, { 'x', PCRE2_EXTENDED },
	{ 'A', PCRE2_ANCHORED }, { 'E', PCRE2_DOLLAR_ENDONLY },
	{ 'U', PCRE2_UNGREEDY }, { 'X', 0 }, { '\0', 0 }
};

/* Which flags are meant. */
static const char *
read_flags(struct pool *pool, const char *flags, uint32_t *options)
{
	size_t	i;

	*options = PCRE2_CASELESS | PCRE2_DOTALL;
	for (; *flags != '\0'; flags++) {
		for (i = 0; letters[i].letter != '\0'; i++)
			if (letters[i].letter == *flags)
				break;
		if (letters[i].letter == '\0')
			return pool_printf(pool, "expected flags of "
			    "imsxAEUX, found %c", *flags);
		*options ^= letters[i].option;
	}
	return NULL;
}

/* Free a compiled pattern, or half of one. */
static void
release(void *arg)
{
	struct compiled	*c = arg;

	pcre2_match_context_free(c->limits);
	pcre2_match_data_free(c->data);
	pcre2_code_free(c->code);
	free(c);
}

/* Compile a pattern, with its limits. */
static const char *
compile(struct pool *pool, const char *pattern, const char *flags,
    void **compiled, size_t *groups)
{
	struct compiled	*c;
	PCRE2_UCHAR	 text[200];
	PCRE2_SIZE	 offset;
	const char	*why;
	uint32_t	 options, count = 0;
	int		 error;

	if ((why = read_flags(pool, flags, &options)) != NULL)
		return why;
	c = mem_alloc(sizeof(*c));
	memset(c, 0, sizeof(*c));
	c->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
	    options, &error, &offset, NULL);
	if (c->code == NULL) {
		(void)pcre2_get_error_message(error, text, sizeof text);
		release(c);
		return pool_printf(pool, "%s, at byte %zu of the pattern",
		    (char *)text, (size_t)offset);
	}
	*compiled = c;
	c->data = pcre2_match_data_create_from_pattern(c->code, NULL);
	c->limits = pcre2_match_context_create(NULL);
	if (c->data == NULL || c->limits == NULL)
		return "out of memory";
	(void)pcre2_set_match_limit(c->limits, MATCH_LIMIT);
	(void)pcre2_set_heap_limit(c->limits, HEAP_LIMIT_KIB);
	(void)pcre2_pattern_info(c->code, PCRE2_INFO_CAPTURECOUNT, &count);
	*groups = count;
	return NULL;
}

/* Match a subject and tell the spans. */
static int
match(void *arg, const char *subject, struct span *spans, size_t groups,
    const char **why)
{
	struct compiled	*c = arg;
	PCRE2_SIZE	*ovector;
	size_t		 i;
	int		 result;

	result = pcre2_match(c->code, (PCRE2_SPTR)subject, strlen(subject), 0,
	    0, c->data, c->limits);
	if (result == PCRE2_ERROR_NOMATCH)
		return 0;
	if (result < 0) {
		*why = "the pattern takes too much to match";
		return -1;
	}
	ovector = pcre2_get_ovector_pointer(c->data);
	for (i = 0; i <= groups; i++) {
		spans[i].start = ovector[2 * i];
		spans[i].end = ovector[2 * i + 1];
		/* \K in a look-ahead can turn the ends around. */
		if (spans[i].start > spans[i].end)
			spans[i].start = PATTERN_NO_SPAN;
	}
	return 1;
}

static const struct pattern_engine engine = { compile, match, release };

/* Read the table with this engine. */
static const char *
pcre_open(struct map *m)
{
	return pattern_open(m, &engine);
}

const struct map_type map_pcre = {
	.name = "pcre", .traits = MAP_IS_PATTERN, .open = pcre_open,
	.close = pattern_close, .find = pattern_find
};

#else
typedef int without_pcre2;	/* ISO C wants something in a file */
#endif
