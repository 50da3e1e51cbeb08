/*
 * conf_services.c - master.cf as postrider-conf shows it: whole services (-M),
 * their fields (-F), the parameters that they set (-P).
 */
#include "master/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/param/site.h"

/* "service/type/item", parts that are missing are "*". */
struct pattern {
	const char	*name, *type, *item;
};

/* The configuration's master.cf. */
struct mastercf *
conf_master(struct pool *pool, const struct request *r, char **why)
{
	return mastercf_read(pool, pool_printf(pool, "%s/master.cf",
	    site_directory(r->directory)), why);
}

/* Cut a word in its parts. */
static struct pattern
cut(struct pool *pool, const char *word)
{
	struct pattern	 p = { "*", "*", "*" };
	char		*rest = pool_strdup(pool, word);

	p.name = strsep(&rest, "/");
	if (rest != NULL)
		p.type = strsep(&rest, "/");
	if (rest != NULL)
		p.item = rest;
	return p;
}

/* One part, or any. */
static bool
is_meant(const char *pattern, const char *text)
{
	return strcmp(pattern, "*") == 0 || strcmp(pattern, text) == 0;
}

/* Replace the $names in the values of one service. */
static void
expand_options(struct pool *pool, struct maincf *mc, struct service *s)
{
	const char	*value;
	char		*why;
	size_t		 i;

	for (i = 0; i < s->option_count; i++) {
		value = maincf_expand(mc, pool, s->options[i].value, &why);
		if (value != NULL)
			s->options[i].value = value;
		else
			log_warning("%s:%u: %s: %s", s->file, s->line,
			    s->options[i].name, why);
	}
}

/* The same for all; a $name means first what the same service sets, then what
 * main.cf does. */
static void
expand(struct pool *pool, struct maincf *mc, struct mastercf *m)
{
	struct service	 *s;
	const char	**before, *text;
	size_t		  i;

	for (s = m->services; s < m->services + m->count; s++) {
		before = pool_array(pool, s->option_count + 1,
		    sizeof(*before));
		maincf_default(mc, "service_name", s->name);
		for (i = 0; i < s->option_count; i++) {
			text = maincf_text(mc, s->options[i].name);
			before[i] = text != NULL ? text : "";
			maincf_set(mc, s->options[i].name,
			    s->options[i].value, "-o");
		}
		expand_options(pool, mc, s);
		while (i-- > 0)
			maincf_set(mc, s->options[i].name, before[i], "-o");
	}
}

/* Fields of one service; were there any? */
static bool
print_fields(struct pool *pool, const struct request *r,
    const struct service *s, const struct pattern *p)
{
	const char	*name;
	size_t		 i, column;
	bool		 found = false;

	for (i = 0; mastercf_fields[i] != NULL; i++) {
		if (!is_meant(p->item, mastercf_fields[i]))
			continue;
		found = true;
		name = pool_printf(pool, "%s/%s/%s", s->name, s->type,
		    mastercf_fields[i]);
		column = r->without_name ? 0 : strlen(name) + 3;
		if (r->without_value)
			puts(name);
		else
			printf("%s%s%s\n", r->without_name ? "" : name,
			    r->without_name ? "" : " = ",
			    i < MASTERCF_COMMAND ? mastercf_field(s, i) :
			    mastercf_command(pool, s, column, r->fold));
	}
	return found;
}

/* Order of two options; the later of two with the same name comes first. */
static int
compare(const void *a, const void *b)
{
	const struct service_option	*const *x = a, *const *y = b;
	int				 order;

	order = strcmp((*x)->name, (*y)->name);
	return order != 0 ? order : *x < *y ? 1 : -1;
}

/* Parameters that one service sets, each once; were there any? */
static bool
print_options(struct pool *pool, const struct request *r,
    const struct service *s, const struct pattern *p)
{
	const struct service_option	**sorted;
	size_t				  i;
	bool				  found = false;

	sorted = pool_array(pool, s->option_count + 1, sizeof(*sorted));
	for (i = 0; i < s->option_count; i++)
		sorted[i] = &s->options[i];
	qsort(sorted, s->option_count, sizeof(*sorted), compare);
	for (i = 0; i < s->option_count; i++) {
		if (!is_meant(p->item, sorted[i]->name) || (i > 0 &&
		    strcmp(sorted[i]->name, sorted[i - 1]->name) == 0))
			continue;
		found = true;
		conf_print(r, pool_printf(pool, "%s/%s/%s", s->name, s->type,
		    sorted[i]->name), sorted[i]->value);
	}
	return found;
}

/* What is asked for of one service; was there any? */
static bool
print(struct pool *pool, const struct request *r, const struct service *s,
    const struct pattern *p)
{
	if (r->subject == FIELDS)
		return print_fields(pool, r, s, p);
	if (r->subject == OPTIONS)
		return print_options(pool, r, s, p);
	puts(mastercf_text(pool, s, r->fold));
	return true;
}

/* A field that does not exist is a mistake. */
static bool
is_possible(const struct request *r, const struct pattern *p)
{
	size_t	i;

	if (r->subject != FIELDS || strcmp(p->item, "*") == 0)
		return true;
	for (i = 0; mastercf_fields[i] != NULL; i++)
		if (strcmp(p->item, mastercf_fields[i]) == 0)
			return true;
	log_error("there is no field \"%s\"", p->item);
	return false;
}

/* What the words ask for, service by service. */
static void
print_all(struct pool *pool, const struct mastercf *m,
    const struct request *r, const struct pattern *patterns, size_t count)
{
	bool			*found = pool_array(pool, count,
				    sizeof(*found));
	const struct service	*s;
	size_t			 i;

	for (s = m->services; s < m->services + m->count; s++)
		for (i = 0; i < count; i++)
			if (is_meant(patterns[i].name, s->name) &&
			    is_meant(patterns[i].type, s->type) &&
			    print(pool, r, s, &patterns[i]))
				found[i] = true;
	fflush(stdout);
	for (i = 0; i < r->word_count; i++)
		if (!found[i])
			log_warning("unmatched request: \"%s\"",
			    r->words[i]);
}

/* The words, each in its parts; one for everything when there is none. NULL
 * when one makes no sense. */
static struct pattern *
patterns_of(struct pool *pool, const struct request *r)
{
	struct pattern	*all = pool_array(pool, r->word_count + 1,
			    sizeof(*all));
	size_t		 i;

	all[0] = cut(pool, "*");
	for (i = 0; i < r->word_count; i++) {
		all[i] = cut(pool, r->words[i]);
		if (!is_possible(r, &all[i]))
			return NULL;
	}
	return all;
}

/* Print services. */
int
conf_services(struct pool *pool, const struct request *r)
{
	struct catalog	 c = { 0 };
	struct pattern	*patterns;
	struct mastercf	*m;
	struct maincf	*mc;
	char		*why;

	if ((patterns = patterns_of(pool, r)) == NULL)
		return 1;
	if ((m = conf_master(pool, r, &why)) == NULL) {
		log_error("%s", why);
		return 1;
	}
	if (r->expand) {
		if ((mc = conf_load(pool, r, &c)) == NULL)
			return 1;
		expand(pool, mc, m);
	}
	print_all(pool, m, r, patterns, r->word_count > 0 ? r->word_count : 1);
	return 0;
}
