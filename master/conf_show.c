/*
 * conf_show.c - parameters as postrider-conf shows them.
 *
 * What is shown: every parameter that acts here, and what main.cf sets
 * besides if it is known or if another value uses it. White space inside a
 * value is shown as one space, as in Postfix.
 */
#include "master/conf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/param/known.h"
#include "common/param/manual.h"
#include "common/param/site.h"

enum { WIDTH = 79 };

struct names {
	const char	**items;
	size_t		  count;
};

/* Print a value with its runs of white space made one, folded if asked. */
static void
print_value(const char *value, size_t column, bool fold)
{
	const char	*word;
	size_t		 len;
	bool		 is_first = true;

	for (;;) {
		while (isspace((unsigned char)*value))
			value++;
		for (word = value; *value != '\0' &&
		    !isspace((unsigned char)*value); value++)
			;
		if ((len = (size_t)(value - word)) == 0)
			return;
		if (fold && !is_first && column + 1 + len > WIDTH) {
			fputs("\n   ", stdout);
			column = 3;
		}
		if (!is_first || column > 0) {
			putchar(' ');
			column++;
		}
		fwrite(word, 1, len, stdout);
		column += len;
		is_first = false;
	}
}

/* The value to show for a name, NULL when there is none. */
static const char *
value_of(struct maincf *mc, struct pool *pool, const struct request *r,
    const char *name)
{
	const char	*text = maincf_text(mc, name), *value;
	char		*why;

	if (text == NULL || !r->expand)
		return text;
	if ((value = maincf_value(mc, pool, name, &why)) != NULL)
		return value;
	log_warning("%s: %s: %s", maincf_where(pool, maincf_find(mc, name)),
	    name, why);
	return text;
}

/* One line, or more when folded. */
static void
print(const struct request *r, const char *name, const char *value)
{
	size_t	column = 0;

	if (r->without_value) {
		puts(name);
		return;
	}
	if (!r->without_name) {
		fputs(name, stdout);
		fputs(" =", stdout);
		column = strlen(name) + 2;
	}
	print_value(value, column, r->fold);
	putchar('\n');
}

/* Every line of a text goes to the log. */
static void
warn_lines(char *lines)
{
	char	*line;

	while ((line = strsep(&lines, "\n")) != NULL)
		if (*line != '\0')
			log_warning("%s", line);
}

/* Order of two names. */
static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names that the file sets and that mean something to somebody. */
static void
add_set(struct names *n, struct maincf *mc, const struct catalog *c,
    bool with_catalog)
{
	const struct setting	*s;
	size_t			 i;

	for (i = 0; (s = maincf_at(mc, i)) != NULL; i++) {
		if (catalog_find(c, s->name) != NULL ?
		    with_catalog : known_find(s->name) != NULL ||
		    maincf_is_used(mc, s->name))
			n->items[n->count++] = s->name;
	}
}

/* The names that are asked for when none is given. */
static void
collect(struct pool *pool, struct names *n, struct maincf *mc,
    const struct catalog *c, const struct request *r)
{
	size_t	i, settings = 0;

	while (maincf_at(mc, settings) != NULL)
		settings++;
	n->items = pool_array(pool, c->count + settings, sizeof(char *));
	if (r->which != NOT_DEFAULTS)
		for (i = 0; i < c->count; i++)
			n->items[n->count++] = c->rows[i].name;
	if (r->which != DEFAULTS)
		add_set(n, mc, c, r->which == NOT_DEFAULTS);
	qsort(n->items, n->count, sizeof(char *), compare);
}

/* Is it a name that may be asked for? */
static bool
is_parameter(struct maincf *mc, const struct catalog *c, const char *name)
{
	return catalog_find(c, name) != NULL || known_find(name) != NULL ||
	    maincf_find(mc, name) != NULL;
}

/* Those that were named; with -n, those of them that the file sets. */
static void
show_named(struct pool *pool, const struct request *r, struct maincf *mc,
    const struct catalog *c)
{
	const char	*name, *value;
	size_t		 i;

	for (i = 0; i < r->word_count; i++) {
		name = r->words[i];
		if (!is_parameter(mc, c, name)) {
			log_warning("%s: unknown parameter", name);
			continue;
		}
		if (r->which == NOT_DEFAULTS && maincf_find(mc, name) == NULL)
			continue;
		value = value_of(mc, pool, r, name);
		print(r, name, value == NULL ? "" : value);
	}
}

/* All that are meant, and what is wrong with them. */
static void
show_all(struct pool *pool, const struct request *r, struct maincf *mc,
    const struct catalog *c)
{
	struct names	 names = { 0 };
	struct str	 lines;
	const char	*value;
	size_t		 i;

	collect(pool, &names, mc, c, r);
	for (i = 0; i < names.count; i++) {
		value = value_of(mc, pool, r, names.items[i]);
		print(r, names.items[i], value == NULL ? "" : value);
	}
	str_init(&lines, pool, 0);
	known_report(mc, &lines);
	fflush(stdout);
	warn_lines(lines.data);
}

/* Where the programs are: tests may say, nobody else can. */
static const char *
daemon_directory(struct maincf *mc, struct pool *pool)
{
	const char	*directory = secure_getenv("POSTRIDER_DAEMON_DIRECTORY");
	char		*why;

	if (directory == NULL)
		directory = maincf_value(mc, pool, "daemon_directory", &why);
	return directory == NULL ? DEFAULT_DAEMON_DIRECTORY : directory;
}

/* -o name=value */
static void
override(struct pool *pool, struct maincf *mc, const char *setting)
{
	char	*copy = pool_strdup(pool, setting), *value = copy;

	(void)strsep(&value, "=");
	if (value == NULL)
		log_warning("-o %s: expected name=value", setting);
	else
		maincf_set(mc, text_trim(copy), text_trim(value), "-o");
}

/* The file with all defaults, and the catalog. */
struct maincf *
conf_load(struct pool *pool, const struct request *r, struct catalog *c)
{
	const char	*directory = site_directory(r->directory);
	struct maincf	*mc, *empty = maincf_empty(pool);
	struct str	 problems;
	char		*why;
	size_t		 i;

	mc = maincf_read(pool, pool_printf(pool, "%s/main.cf", directory),
	    &why);
	if (mc == NULL && r->which != DEFAULTS) {
		log_error("%s", why);
		return NULL;
	}
	if (mc == NULL)
		mc = maincf_empty(pool);
	for (i = 0; i < r->override_count; i++)
		override(pool, mc, r->overrides[i]);
	str_init(&problems, pool, 0);
	site_apply(mc, &problems);
	warn_lines(problems.data);
	catalog_learn(pool, c, daemon_directory(mc, pool));
	if (r->which == DEFAULTS) {
		site_apply(empty, &problems);
		mc = empty;
	}
	for (i = 0; i < c->count; i++)
		if (c->rows[i].standard != NULL)
			maincf_default(mc, c->rows[i].name,
			    c->rows[i].standard);
	maincf_default(mc, "config_directory", directory);
	return mc;
}

/* Print what the request names. */
int
conf_show(struct pool *pool, const struct request *r)
{
	struct catalog		  c = { 0 };
	struct maincf		 *mc = conf_load(pool, r, &c);
	const struct param	**rows;
	size_t			  i;

	if (mc == NULL)
		return 1;
	if (r->verb == MANUAL) {
		rows = pool_array(pool, c.count + 1, sizeof(*rows));
		for (i = 0; i < c.count; i++)
			rows[i] = &c.rows[i];
		param_write_manual(rows, stdout);
	} else if (r->word_count > 0)
		show_named(pool, r, mc, &c);
	else
		show_all(pool, r, mc, &c);
	return 0;
}
