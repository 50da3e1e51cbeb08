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

enum { WIDTH = 80 };

struct names {
	const char	**items;
	size_t		  count;
};

/* Print a value with its runs of white space made one, folded if asked. */
void
conf_print_value(const char *value, size_t column, bool folds)
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
		if (folds && column > 0 && column + 1 + len > WIDTH) {
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
void
conf_print(const struct request *r, const char *name, const char *value)
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
	conf_print_value(value, column, r->fold);
	putchar('\n');
}

/* Order of two names. */
static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What kind of name it is; 0 for one that means nothing to anybody. */
static unsigned
class_of(struct maincf *mc, const struct catalog *c, const char *name)
{
	const struct known	*known = known_find(name);

	if (catalog_find(c, name) != NULL ||
	    (known != NULL && *known_name(known) != '*'))
		return CLASS_BUILTIN;
	if (known != NULL)
		return CLASS_SERVICE;
	return known_is_own(mc, name) ? CLASS_USER : 0;
}

/* Collecting; one for the callback below. */
struct collecting {
	struct pool		*pool;
	struct names		*names;
	struct maincf		*mc;
	const struct catalog	*catalog;
	bool			 only_set;
};

/* A setting that a service of master.cf may have. */
static void
add_of_service(void *arg, const char *service, const struct known *row)
{
	struct collecting	*w = arg;
	const char		*name;

	name = pool_printf(w->pool, "%s%s", service, known_name(row) + 1);
	if (class_of(w->mc, w->catalog, name) == CLASS_SERVICE &&
	    (!w->only_set || maincf_find(w->mc, name) != NULL))
		w->names->items[w->names->count++] = name;
}

/* How many names can there be? */
static size_t
count_names(const struct maincf *mc, const struct catalog *c,
    const struct mastercf *m)
{
	size_t	count = 0, rows = 0;

	while (maincf_at(mc, count) != NULL)
		count++;
	while (known_at(rows) != NULL && *known_name(known_at(rows)) == '*')
		rows++;
	return count + c->count + (m == NULL ? 0 : m->count * rows);
}

/* Names that the file sets and that mean something to somebody. */
static void
add_set(struct collecting *w, const struct request *r)
{
	const struct setting	*s;
	unsigned		 class;
	size_t			 i;

	for (i = 0; (s = maincf_at(w->mc, i)) != NULL; i++) {
		class = class_of(w->mc, w->catalog, s->name);
		if ((class & r->classes) == 0 || class == CLASS_SERVICE ||
		    (r->which == ALL && catalog_find(w->catalog, s->name) !=
		    NULL))
			continue;
		w->names->items[w->names->count++] = s->name;
	}
}

/* The names that are asked for when none is given. */
static void
collect(struct pool *pool, struct names *n, struct maincf *mc,
    const struct catalog *c, const struct request *r)
{
	char			*why;
	struct mastercf		*m = conf_master(pool, r, &why);
	struct collecting	 w = { pool, n, mc, c,
	    r->which == NOT_DEFAULTS };
	size_t			 i;

	n->items = pool_array(pool, count_names(mc, c, m), sizeof(char *));
	if (r->which != NOT_DEFAULTS && (r->classes & CLASS_BUILTIN) != 0)
		for (i = 0; i < c->count; i++)
			n->items[n->count++] = c->rows[i].name;
	if (r->which != DEFAULTS)
		add_set(&w, r);
	if (m != NULL && (r->classes & CLASS_SERVICE) != 0)
		conf_each_of_service(m, add_of_service, &w);
	qsort(n->items, n->count, sizeof(char *), compare);
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
		if (class_of(mc, c, name) == 0 &&
		    maincf_find(mc, name) == NULL) {
			log_warning("%s: unknown parameter", name);
			continue;
		}
		if (r->which == NOT_DEFAULTS && maincf_find(mc, name) == NULL)
			continue;
		value = value_of(mc, pool, r, name);
		conf_print(r, name, value == NULL ? "" : value);
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
		conf_print(r, names.items[i], value == NULL ? "" : value);
	}
	str_init(&lines, pool, 0);
	known_report(mc, &lines);
	fflush(stdout);
	log_lines(LOG_LEVEL_WARNING, lines.data);
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
	if (r->list == 'M') {
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
