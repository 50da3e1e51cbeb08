/*
 * known.c - every parameter there is, and whether ignoring it is safe.
 *
 * The table is known.tsv, sorted by name in the C locale; the Makefile makes
 * known.inc of it. Columns: name, standing, harmless, programs, default,
 * note; known.h says what they mean. A row says where its texts begin: with
 * pointers in it, every program that starts, and sendmail does for each
 * message, would first have to write 4,600 addresses into the table.
 *
 * K1  A setting that restricts, filters, rewrites, encrypts, authenticates or
 *     routes mail and that nothing here acts upon is never passed over: the
 *     programs it is meant for are told not to serve.
 */
#include "common/param/known.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

#define TEXTS(name, standard, programs, harmless, note) \
	name "\0" standard "\0" programs "\0" harmless "\0" note

#define ROW(n, standing, ...)	char row##n[sizeof(TEXTS(__VA_ARGS__))];
static const struct texts {
#include "common/param/known.inc"
} texts = {
#undef ROW
#define ROW(n, standing, ...)	TEXTS(__VA_ARGS__),
#include "common/param/known.inc"
};

#undef ROW
#define ROW(n, standing, ...)	{ standing, offsetof(struct texts, row##n) },
static const struct known	table[] = {
#include "common/param/known.inc"
};

enum { COUNT = sizeof(table) / sizeof(table[0]) };

/* The text behind so many others of its row. */
static const char *
text_behind(const struct known *row, unsigned others)
{
	const char	*text = (const char *)&texts + row->place;

	while (others-- > 0)
		text += strlen(text) + 1;
	return text;
}

const char *
known_name(const struct known *row)
{
	return text_behind(row, 0);
}

const char *
known_standard(const struct known *row)
{
	return text_behind(row, 1);
}

const char *
known_programs(const struct known *row)
{
	return text_behind(row, 2);
}

const char *
known_harmless(const struct known *row)
{
	return text_behind(row, 3);
}

const char *
known_note(const struct known *row)
{
	return text_behind(row, 4);
}

/* Order of two names in the table. */
static int
compare(const void *name, const void *row)
{
	return strcmp(name, known_name(row));
}

/* Does the name end as a row for all transports says? */
static bool
is_of_transport(const struct known *row, const char *name)
{
	const char	*end = known_name(row) + 1;
	size_t		 len = strlen(name), tail = strlen(end);

	return len > tail && strcmp(name + len - tail, end) == 0;
}

/* The row of the name itself. */
static const struct known *
find_exactly(const char *name)
{
	return bsearch(name, table, COUNT, sizeof(table[0]), compare);
}

/* The row of a name. */
const struct known *
known_find(const char *name)
{
	const struct known	*row = find_exactly(name);

	if (row != NULL)
		return row;
	for (row = table; row < table + COUNT && *known_name(row) == '*'; row++)
		if (is_of_transport(row, name))
			return row;
	return NULL;
}

/* One row after the other. */
const struct known *
known_at(size_t index)
{
	return index < COUNT ? &table[index] : NULL;
}

/* The default of one name. */
static const char *
find_default(const char *name)
{
	const struct known	*row = find_exactly(name);

	return row == NULL || *name == '*' ||
	    row->standing == STANDING_OBSOLETE ? NULL : known_standard(row);
}

/* Tell a file where all defaults are. */
void
known_defaults(struct maincf *mc)
{
	maincf_defaults(mc, find_default);
}

/* Does it separate words in a list? */
static bool
is_gap(char c)
{
	return c == ',' || isspace((unsigned char)c);
}

/* The next word, its length in *len; NULL at the end. */
static const char *
next_word(const char **list, size_t *len)
{
	const char	*word;

	while (is_gap(**list))
		(*list)++;
	word = *list;
	while (**list != '\0' && !is_gap(**list))
		(*list)++;
	*len = (size_t)(*list - word);
	return *len > 0 ? word : NULL;
}

/* Is these bytes' word among the words? */
static bool
has_word(const char *words, size_t words_len, const char *word, size_t len)
{
	const char	*p = words, *end = words + words_len, *start;

	while (p < end) {
		while (p < end && is_gap(*p))
			p++;
		for (start = p; p < end && !is_gap(*p); p++)
			;
		if (p > start && (size_t)(p - start) == len &&
		    strncasecmp(start, word, len) == 0)
			return true;
	}
	return false;
}

/* The same for whole strings. */
bool
known_has_word(const char *words, const char *word)
{
	return has_word(words, strlen(words), word, strlen(word));
}

/* Are these two texts the same list of words in the same order? */
static bool
is_same(const char *value, const char *pattern, size_t pattern_len)
{
	char		*copy;
	const char	*v = value, *p, *word, *other;
	size_t		 len, other_len;
	bool		 same = true;

	copy = strndup(pattern, pattern_len);
	if (copy == NULL)
		return false;
	p = copy;
	while (same) {
		word = next_word(&v, &len);
		other = next_word(&p, &other_len);
		if (word == NULL || other == NULL)
			break;
		same = len == other_len && strncasecmp(word, other, len) == 0;
	}
	same = same && word == NULL && other == NULL;
	free(copy);
	return same;
}

/* Is the value made of these words only? */
static bool
is_of_words(const char *value, const char *words, size_t words_len)
{
	const char	*word;
	size_t		 len;

	while ((word = next_word(&value, &len)) != NULL)
		if (!has_word(words, words_len, word, len))
			return false;
	return true;
}

/* Does the value ask for nothing, by one pattern of the table? */
static bool
fits(const char *value, const char *pattern, size_t len)
{
	if (len > 6 && strncmp(pattern, "words:", 6) == 0)
		return is_of_words(value, pattern + 6, len - 6);
	return is_same(value, pattern, len);
}

/* Does the value ask for nothing? */
static bool
is_harmless(const struct known *row, const char *value)
{
	const char	*pattern = known_harmless(row);
	size_t		 len;

	for (;; pattern += len + 1) {
		len = strcspn(pattern, "|");
		if (fits(value, pattern, len))
			return true;
		if (pattern[len] == '\0')
			return false;
	}
}

/* Is this setting one that nothing acts upon and that may not be ignored? */
static bool
is_unsupported(struct maincf *mc, const struct known *row,
    const struct setting *s)
{
	const char	*value;
	char		*why;

	if (row == NULL || (row->standing != STANDING_NOT_YET &&
	    *known_harmless(row) == '\0') || is_harmless(row, s->value))
		return false;
	value = maincf_expand(mc, maincf_pool(mc), s->value, &why);
	return value == NULL || !is_harmless(row, value);
}

/* "main.cf:12: NAME = VALUE is not supported yet" */
static const char *
sentence(struct maincf *mc, const struct setting *s)
{
	enum { READABLE = 60 };

	return pool_printf(maincf_pool(mc), "%s: %s = %.*s%s is not supported "
	    "yet", maincf_where(maincf_pool(mc), s), s->name, READABLE,
	    s->value, strlen(s->value) > READABLE ? "..." : "");
}

/* What keeps this program from serving. */
const char *
known_unsupported(struct maincf *mc, const char *program)
{
	const struct setting	*s;
	const struct known	*row;
	size_t			 i;

	for (i = 0; (s = maincf_at(mc, i)) != NULL; i++) {
		row = known_find(s->name);
		if (row != NULL && known_has_word(known_programs(row),
		    program) && is_unsupported(mc, row, s))
			return sentence(mc, s);
	}
	return NULL;
}

/* What an obsolete setting's value means for the name in the note, or NULL. */
static const char *
new_value(struct pool *pool, const struct known *row, const char *value)
{
	const char	*list = strchr(known_note(row), ' '), *word;
	size_t		 len, value_len = strlen(value);

	if (list == NULL)
		return value;
	while ((word = next_word(&list, &len)) != NULL)
		if (len > value_len && word[value_len] == '=' &&
		    strncasecmp(word, value, value_len) == 0)
			return pool_strndup(pool, word + value_len + 1,
			    len - value_len - 1);
	return NULL;
}

/* The name that an obsolete one means. */
static const char *
new_name(struct pool *pool, const struct known *row)
{
	const char	*note = known_note(row);

	return pool_strndup(pool, note, strcspn(note, " "));
}

/* Old spellings first become what they mean. */
void
known_translate(struct maincf *mc)
{
	struct pool		*pool = maincf_pool(mc);
	const struct setting	*s;
	const struct known	*row;
	const char		*name, *value;
	size_t			 i;

	for (i = 0; (s = maincf_at(mc, i)) != NULL; i++) {
		row = known_find(s->name);
		if (row == NULL || row->standing != STANDING_OBSOLETE)
			continue;
		name = new_name(pool, row);
		value = new_value(pool, row, s->value);
		if (value != NULL && maincf_find(mc, name) == NULL)
			maincf_set(mc, name, value, pool_printf(pool,
			    "%s (%s)", maincf_where(pool, s), s->name));
	}
}

/* May the file set it for its own use? */
bool
known_is_own(struct maincf *mc, const char *name)
{
	const char	*classes = maincf_text(mc, "smtpd_restriction_classes");

	return maincf_is_used(mc, name) ||
	    (classes != NULL && known_has_word(classes, name));
}

/* One line about one setting, if there is something to say. */
static bool
report(struct maincf *mc, const struct setting *s, struct str *lines)
{
	struct pool		*pool = maincf_pool(mc);
	const struct known	*row = known_find(s->name);

	if (row == NULL) {
		if (!known_is_own(mc, s->name))
			str_addf(lines, "%s: %s is not a parameter\n",
			    maincf_where(pool, s), s->name);
		return false;
	}
	if (row->standing == STANDING_OBSOLETE)
		str_addf(lines, "%s: %s is obsolete, %s replaces it\n",
		    maincf_where(pool, s), s->name, new_name(pool, row));
	if (!is_unsupported(mc, row, s))
		return false;
	str_addf(lines, "%s (stops %s)\n", sentence(mc, s),
	    known_programs(row));
	return true;
}

/* Everything that somebody should know about the file. */
unsigned
known_report(struct maincf *mc, struct str *lines)
{
	struct pool		*pool = maincf_pool(mc);
	const struct setting	*s;
	unsigned		 refusing = 0;
	size_t			 i;

	for (i = 0; (s = maincf_hidden(mc, i)) != NULL; i++)
		str_addf(lines, "%s: %s is set again at %s, which counts\n",
		    maincf_where(pool, s), s->name,
		    maincf_where(pool, maincf_find(mc, s->name)));
	for (i = 0; (s = maincf_at(mc, i)) != NULL; i++)
		if (report(mc, s, lines))
			refusing++;
	return refusing;
}
