/*
 * conf_services.c - master.cf as postrider-conf -M shows it: columns at fixed
 * places, and with -f each option in a line of its own.
 */
#include "master/conf.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/param/mastercf.h"
#include "common/param/site.h"

enum { WIDTH = 79, INDENT = 4 };

static const size_t	places[] = { 11, 17, 25, 33, 41, 49, 57 };

/* Does "name/type", "name.type" or "name" mean this service? */
static bool
is_meant(struct pool *pool, const char *pattern, const struct service *s)
{
	char	*name = pool_strdup(pool, pattern), *type;

	if ((type = strrchr(name, '/')) == NULL)
		type = strrchr(name, '.');
	if (type != NULL && fnmatch(name, s->name, 0) != 0) {
		*type = '\0';
		return fnmatch(name, s->name, 0) == 0 &&
		    fnmatch(type + 1, s->type, 0) == 0;
	}
	return fnmatch(name, s->name, 0) == 0;
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
	return pool_printf(pool, "{ %s }", word);
}

/* Add one word to the line, on a new one if it is full; the new column. */
static size_t
put(size_t column, const char *word, bool fold, bool starts_line)
{
	size_t	len = strlen(word);

	if (fold && (starts_line || column + 1 + len > WIDTH)) {
		printf("\n%*s%s", INDENT, "", word);
		return INDENT + len;
	}
	printf(" %s", word);
	return column + 1 + len;
}

/* The columns, each at its place or behind the one before. */
static size_t
print_columns(const struct service *s)
{
	const char	*words[] = {
		s->name, s->type, s->columns[0], s->columns[1],
		s->columns[2], s->columns[3], s->columns[4], s->command
	};
	size_t		 column = 0, i;
	int		 gap;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (i > 0) {
			gap = column < places[i - 1] ?
			    (int)(places[i - 1] - column) : 1;
			printf("%*s", gap, "");
			column += (size_t)gap;
		}
		fputs(words[i], stdout);
		column += strlen(words[i]);
	}
	return column;
}

/* One service. */
static void
print(struct pool *pool, const struct service *s, bool fold)
{
	size_t	column = print_columns(s), i;
	bool	are_options = true;

	for (i = 0; i < s->argument_count; i++) {
		const char	*word = s->arguments[i];

		if (word[0] != '-')
			are_options = false;
		column = put(column, quoted(pool, word), fold,
		    are_options && i + 1 < s->argument_count);
		if (are_options && strcmp(word, "-o") == 0 &&
		    i + 1 < s->argument_count)
			column = put(column, quoted(pool, s->arguments[++i]),
			    false, false);
	}
	putchar('\n');
}

/* All services that one word means. */
static void
print_matching(struct pool *pool, const struct mastercf *m,
    const struct request *r, const char *pattern)
{
	bool	found = false;
	size_t	i;

	for (i = 0; i < m->count; i++)
		if (is_meant(pool, pattern, &m->services[i])) {
			found = true;
			print(pool, &m->services[i], r->fold);
		}
	if (!found)
		log_warning("unmatched request: \"%s\"", pattern);
}

/* Print services. */
int
conf_services(struct pool *pool, const struct request *r)
{
	struct mastercf	*m;
	char		*why;
	size_t		 i;

	m = mastercf_read(pool, pool_printf(pool, "%s/master.cf",
	    site_directory(r->directory)), &why);
	if (m == NULL) {
		log_error("%s", why);
		return 1;
	}
	for (i = 0; i < r->word_count; i++)
		print_matching(pool, m, r, r->words[i]);
	if (r->word_count == 0)
		print_matching(pool, m, r, "*");
	return 0;
}
