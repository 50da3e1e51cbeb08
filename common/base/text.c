/*
 * text.c - text to values, with strict bounds.
 */
#include "common/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What a parser answers; good until the next complaint in this thread. */
static _Thread_local char complaint[160];

/* Complain. */
__attribute__((format(printf, 1, 2)))
static const char *
expected(const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	vsnprintf(complaint, sizeof(complaint), format, ap);
	va_end(ap);
	return complaint;
}

/* ASCII only, whatever the locale. */
static int
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : (unsigned char)c;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits into *value; returns where they end, NULL if none or too many. */
static const char *
take_digits(const char *at, int64_t *value)
{
	int64_t	n = 0;

	if (!is_digit(*at))
		return NULL;
	for (; is_digit(*at); at++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, *at - '0', &n))
			return NULL;
	*value = n;
	return at;
}

/* A number, perhaps negative; the least of all is not one we need. */
const char *
text_integer(const char *text, int64_t min, int64_t max, int64_t *value)
{
	bool		 is_negative = text[0] == '-';
	const char	*end;
	int64_t		 n;

	end = take_digits(text + is_negative, &n);
	if (end != NULL && *end == '\0') {
		n = is_negative ? -n : n;
		if (n >= min && n <= max) {
			*value = n;
			return NULL;
		}
	}
	return expected("expected a number from %jd to %jd", (intmax_t)min,
	    (intmax_t)max);
}

/* Yes or no. */
const char *
text_boolean(const char *text, bool *value)
{
	bool	is_yes = text_equal(text, "yes");

	if (!is_yes && !text_equal(text, "no"))
		return expected("expected \"yes\" or \"no\"");
	*value = is_yes;
	return NULL;
}

/* Milliseconds of a unit of time, 0 if it is none. */
static int64_t
unit_of_time(char unit)
{
	switch (lower(unit)) {
	case 's':	return 1000;
	case 'm':	return 60 * 1000;
	case 'h':	return 3600 * 1000;
	case 'd':	return 86400 * 1000;
	case 'w':	return 7 * 86400 * 1000;
	}
	return 0;
}

/* The unit at the end of a duration, `unit` if there is none; 0: no unit. */
static int64_t
last_unit(const char *at, char unit)
{
	if (*at == '\0')
		return unit_of_time(unit);
	if (text_equal(at, "ms"))
		return 1;
	return at[1] == '\0' ? unit_of_time(*at) : 0;
}

/* Parse "DIGITS[.DIGITS][UNIT]" into milliseconds. */
static bool
parse_duration(const char *at, char unit, int64_t *milliseconds)
{
	int64_t		 whole, fraction = 0, scale = 1, factor;
	const char	*start;

	if ((at = take_digits(at, &whole)) == NULL)
		return false;
	if (*at == '.') {
		start = at + 1;
		if ((at = take_digits(start, &fraction)) == NULL ||
		    at - start > 6)
			return false;
		for (; start < at; start++)
			scale *= 10;
	}
	if ((factor = last_unit(at, unit)) == 0)
		return false;
	return !__builtin_mul_overflow(whole, factor, milliseconds) &&
	    !__builtin_add_overflow(*milliseconds, fraction * factor / scale,
	    milliseconds);
}

/* A duration between bounds. */
const char *
text_duration(const char *text, char unit, int64_t min, int64_t max,
    int64_t *milliseconds)
{
	int64_t	n, low, high;

	if (__builtin_mul_overflow(min, 1000, &low))
		low = min < 0 ? INT64_MIN : INT64_MAX;
	if (__builtin_mul_overflow(max, 1000, &high))
		high = max < 0 ? INT64_MIN : INT64_MAX;
	if (!parse_duration(text, unit, &n) || n < low || n > high)
		return expected("expected a time from %jd to %jd seconds "
		    "(a number and ms, s, m, h, d or w)", (intmax_t)min,
		    (intmax_t)max);
	*milliseconds = n;
	return NULL;
}

/* Parse "DIGITS[k|m|g]" into bytes. */
static bool
parse_size(const char *at, int64_t *bytes)
{
	int64_t	n, factor = 1;

	if ((at = take_digits(at, &n)) == NULL)
		return false;
	switch (lower(*at)) {
	case 'k':	factor = 1024; break;
	case 'm':	factor = 1024 * 1024; break;
	case 'g':	factor = 1024 * 1024 * 1024; break;
	}
	if (factor > 1)
		at++;
	return *at == '\0' && !__builtin_mul_overflow(n, factor, bytes);
}

/* A size between bounds. */
const char *
text_size(const char *text, int64_t min, int64_t max, int64_t *bytes)
{
	int64_t	n;

	if (!parse_size(text, &n) || n < min || n > max)
		return expected("expected a size from %jd to %jd bytes "
		    "(a number, perhaps with k, m or g)", (intmax_t)min,
		    (intmax_t)max);
	*bytes = n;
	return NULL;
}

/* The same, but for case? */
bool
text_equal(const char *a, const char *b)
{
	for (; lower(*a) == lower(*b); a++, b++)
		if (*a == '\0')
			return true;
	return false;
}

/* The same, but for case, as bytes that need no NUL? */
bool
text_equal_mem(const char *a, const void *b, size_t b_len)
{
	const char	*with = b;
	size_t		 i;

	for (i = 0; i < b_len; i++)
		if (a[i] == '\0' || lower(a[i]) != lower(with[i]))
			return false;
	return a[b_len] == '\0';
}

/* Does it start so? */
bool
text_starts(const char *text, const char *prefix)
{
	for (; *prefix != '\0'; text++, prefix++)
		if (lower(*text) != lower(*prefix))
			return false;
	return true;
}

/* Does it end so? */
bool
text_ends(const char *text, const char *suffix)
{
	size_t	len = strlen(text), suffix_len = strlen(suffix);

	return suffix_len <= len &&
	    text_equal(text + len - suffix_len, suffix);
}

/* Lower case in place. */
void
text_lower(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)lower(*text);
}

/* Is there a byte below ' ' or above '~' among these eight? A borrow or a
 * carry comes only out of one that is. */
static bool
has_unprintable(const char *eight)
{
	const uint64_t	each = 0x0101010101010101u;
	uint64_t	w;

	memcpy(&w, eight, sizeof(w));
	return (((w - each * ' ') | (w + each) | w) & each * 0x80) != 0;
}

/* How many of the first bytes are printable? */
size_t
text_printable(const char *text, size_t len)
{
	size_t	n = 0;

	while (len - n >= 8 && !has_unprintable(text + n))
		n += 8;
	while (n < len && text[n] >= ' ' && text[n] <= '~')
		n++;
	return n;
}

/* Without the white space around it. */
char *
text_trim(char *text)
{
	size_t	len;

	while (text_is_space(*text))
		text++;
	len = strlen(text);
	while (len > 0 && text_is_space(text[len - 1]))
		len--;
	text[len] = '\0';
	return text;
}

static bool
is_separator(char c)
{
	return c == ',' || text_is_space(c);
}

/* The end of the word at `at`; with `braces`, what they hold is of it. */
static char *
word_end(char *at, bool braces)
{
	int	depth = 0;

	for (; *at != '\0' && (depth > 0 || !is_separator(*at)); at++) {
		if (braces && *at == '{')
			depth++;
		else if (depth > 0 && *at == '}')
			depth--;
	}
	return depth == 0 ? at : NULL;
}

/* Is the whole word one pair of braces? "{a}{b}" is not. */
static bool
is_braced(const char *word)
{
	int	depth = 0;

	if (*word != '{')
		return false;
	for (; *word != '\0'; word++) {
		if (*word == '{')
			depth++;
		else if (*word == '}' && --depth == 0)
			return word[1] == '\0';
	}
	return false;
}

/*
 * Cut the next word off a list. A brace that nobody closes protects nothing
 * and stays in its word, where whoever knows the words will complain of it.
 */
char *
text_next_word(char **list)
{
	char	*word = *list, *end;

	while (*word != '\0' && is_separator(*word))
		word++;
	*list = word;
	if (*word == '\0')
		return NULL;
	if ((end = word_end(word, true)) == NULL)
		end = word_end(word, false);
	*list = *end == '\0' ? end : end + 1;
	*end = '\0';
	if (!is_braced(word))
		return word;
	end[-1] = '\0';
	return text_trim(word + 1);
}

/* All words of a list, a NULL behind the last. */
char **
text_words(struct pool *pool, const char *list, size_t *count)
{
	char	*copy = pool_strdup(pool, list), *word, **words;
	size_t	 n = 0, room = 8;

	words = pool_array(pool, room, sizeof(*words));
	while ((word = text_next_word(&copy)) != NULL) {
		words = pool_grow(pool, words, &room, n + 2, sizeof(*words));
		words[n++] = word;
	}
	words[n] = NULL;
	*count = n;
	return words;
}
