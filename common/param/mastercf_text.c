/*
 * mastercf_text.c - a service as a line of master.cf.
 *
 * Columns stand at fixed places. A folded line has each -o in a line of its
 * own, and what follows one begins another; the rest is wrapped where it
 * grows too long. A word with white space in it stands in braces.
 */
#include "common/param/mastercf.h"

#include <ctype.h>
#include <string.h>

#include "common/base/str.h"

enum { WIDTH = 79, INDENT = 4 };

static const size_t	places[] = { 11, 17, 25, 33, 41, 49, 57 };

const char *const	mastercf_fields[] = {
	"service", "type", "private", "unprivileged", "chroot", "wakeup",
	"process_limit", "command", NULL
};

/* The text of a column before the command. */
const char *
mastercf_field(const struct service *s, size_t field)
{
	return field == 0 ? s->name : field == 1 ? s->type :
	    s->columns[field - 2];
}

/* An argument as master.cf wants it: in braces when it has white space. */
static const char *
quoted(struct pool *pool, const char *word)
{
	const char	*p = word;

	while (*p != '\0' && !isspace((unsigned char)*p))
		p++;
	if (*p == '\0' && *word != '\0' && *word != '{')
		return word;
	return pool_printf(pool, "{%s}", word);
}

/* Add one word; the new column. Whether there is room for it is judged, as
 * Postfix does, without the braces that it may have. */
static size_t
put(struct str *to, size_t column, const char *word, size_t bare, bool folds,
    bool starts_line)
{
	size_t	len = strlen(word);

	if (folds && (starts_line || column + 1 + bare > WIDTH)) {
		str_addf(to, "\n%*s%s", INDENT, "", word);
		return INDENT + len;
	}
	str_addf(to, " %s", word);
	return column + 1 + len;
}

/* The command and what follows it. */
static void
add_command(struct pool *pool, struct str *to, const struct service *s,
    size_t column, bool folds)
{
	size_t		 i, options = 0;
	bool		 was_option = false;
	const char	*word;

	str_add(to, s->command);
	column += strlen(s->command);
	for (i = 0; i < s->argument_count; i++) {
		word = s->arguments[i];
		if (i < s->option_words && strncmp(word, "-o", 2) == 0) {
			if (word[2] == '\0')
				i++;
			word = pool_printf(pool, "%s=%s",
			    s->options[options].name,
			    s->options[options].value);
			options++;
			column = put(to, column, pool_printf(pool, "-o %s",
			    quoted(pool, word)), 0, folds, true);
			was_option = true;
			continue;
		}
		column = put(to, column, quoted(pool, word), strlen(word),
		    folds, was_option);
		was_option = false;
	}
}

/* Command and arguments. */
char *
mastercf_command(struct pool *pool, const struct service *s, size_t column,
    bool folds)
{
	struct str	text;

	str_init(&text, pool, 0);
	add_command(pool, &text, s, column, folds);
	return text.data;
}

/* The columns, each at its place or behind the one before. */
char *
mastercf_text(struct pool *pool, const struct service *s, bool folds)
{
	struct str	text;
	size_t		i;

	str_init(&text, pool, 0);
	for (i = 0; i < MASTERCF_COMMAND; i++) {
		str_add(&text, mastercf_field(s, i));
		do
			str_add_char(&text, ' ');
		while (text.len < places[i]);
	}
	add_command(pool, &text, s, text.len, folds);
	return text.data;
}
