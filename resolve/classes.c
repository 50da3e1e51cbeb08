/*
 * classes.c - which domains are ours, and in what way.
 *
 * An address belongs to the first class that names its domain: local
 * (mydestination, and literals of our own addresses), virtual alias, virtual
 * mailbox, relay, or else the default class, which is everybody else's.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/idn.h"
#include "resolve/resolve.h"

enum { FILE_MAX = 1 << 20, FILES_DEEP = 5 };

struct pattern {
	struct pattern	*next;
	const char	*name;		/* NULL for a table */
	struct table	*table;
	const char	*broken;	/* why it can say nothing */
	bool		 is_negated;
};

struct domains {
	struct pool		*pool;
	const char		*parameter;
	enum domain_style	 style;
	struct pattern		*first, **end;
};

/* --- reading a list ------------------------------------------------------ */

static void	add_words(struct domains *, const char *list, bool negates,
		    int depth);

/* One more pattern at the end. */
static struct pattern *
add_pattern(struct domains *d, bool is_negated)
{
	struct pattern	*p = pool_alloc(d->pool, sizeof(*p));

	p->is_negated = is_negated;
	*d->end = p;
	d->end = &p->next;
	return p;
}

/* The words of a file, its comments taken out, in place of its name. */
static void
add_file(struct domains *d, const char *path, bool negates, int depth)
{
	char	*text = NULL, *at, *line;
	size_t	 len;

	errno = ELOOP;
	if (depth < FILES_DEEP)
		text = fs_read_file(d->pool, path, FILE_MAX, &len);
	if (text == NULL) {
		log_error("%s: %s: %s", d->parameter, path, strerror(errno));
		add_pattern(d, negates)->broken = pool_printf(d->pool,
		    "%s: %s", path, strerror(errno));
		return;
	}
	at = text;
	while ((line = strsep(&at, "\n")) != NULL) {
		line[strcspn(line, "#")] = '\0';
		add_words(d, line, negates, depth + 1);
	}
}

/* Is it type:table, and not an address like ::1? */
static bool
is_table(const char *word)
{
	size_t	len = 0;

	while (isalnum((unsigned char)word[len]) || word[len] == '_')
		len++;
	return len > 0 && isalpha((unsigned char)*word) && word[len] == ':';
}

/* A name in the spelling that names are compared in, ".name" too. */
static const char *
spell(struct pool *pool, const char *name)
{
	size_t	 dots = *name == '.';
	char	*ascii;

	if (idn_to_ascii(pool, name + dots, &ascii) != NULL)
		return name;
	return pool_printf(pool, "%.*s%s", (int)dots, name, ascii);
}

/* A word of the list: a file, a table, or a name. */
static void
add_word(struct domains *d, char *word, bool negates, int depth)
{
	struct pattern	*p;

	for (; *word == '!'; word++)
		negates = !negates;
	if (*word == '/') {
		add_file(d, word, negates, depth);
		return;
	}
	p = add_pattern(d, negates);
	if (is_table(word)) {
		p->table = table_new(d->pool, d->parameter, word);
		return;
	}
	text_lower(word);
	p->name = spell(d->pool, word);
}

/* Braces of "inline:{ ... }" keep a word together. */
static void
add_words(struct domains *d, const char *list, bool negates, int depth)
{
	char	*copy = pool_strdup(d->pool, list), *at = copy, *word;
	int	 braces;

	while (*at != '\0') {
		at += strspn(at, " \t\r\n,");
		if (*(word = at) == '\0')
			break;
		for (braces = 0; *at != '\0' && (braces > 0 ||
		    strchr(" \t\r\n,", *at) == NULL); at++)
			braces += *at == '{' ? 1 : *at == '}' ? -1 : 0;
		if (*at != '\0')
			*at++ = '\0';
		add_word(d, word, negates, depth);
	}
}

/* Read a list. */
struct domains *
domains_new(struct pool *pool, const char *parameter, const char *list,
    enum domain_style style)
{
	struct domains	*d = pool_alloc(pool, sizeof(*d));

	d->pool = pool;
	d->parameter = parameter;
	d->style = style;
	d->end = &d->first;
	add_words(d, list, false, 0);
	return d;
}

/* --- asking it ----------------------------------------------------------- */

/* Does the pattern stand for this lower case name? */
static bool
name_matches(const struct domains *d, const char *pattern, const char *name)
{
	size_t	len = strlen(name), pattern_len = strlen(pattern);

	if (strcmp(pattern, name) == 0)
		return true;
	if (d->style == DOMAINS_PLAIN || pattern_len == 0 ||
	    pattern_len >= len ||
	    strcmp(name + len - pattern_len, pattern) != 0)
		return false;
	if (*pattern == '.')
		return true;
	return d->style == DOMAINS_PARENTS &&
	    name[len - pattern_len - 1] == '.';
}

/* The name, then its parents, as keys of a table. */
static WAITS enum map_result
spelling_matches(const struct domains *d, struct table *table,
    struct pool *pool, const char *name, char **why)
{
	enum map_result	 result;
	char		*value;
	const char	*dot;

	result = table_find(table, pool, name, &value, why);
	if (d->style == DOMAINS_PLAIN || *name == '[')
		return result;
	for (dot = strchr(name, '.'); dot != NULL && result == MAP_NOT_FOUND;
	    dot = strchr(dot + 1, '.'))
		result = table_find_part(table, pool,
		    d->style == DOMAINS_PARENTS ? dot + 1 : dot, &value, why);
	return result;
}

/* The same in all spellings of the name. */
static WAITS enum map_result
table_matches(const struct domains *d, struct table *table, struct pool *pool,
    const char *name, char *const *others, char **why)
{
	enum map_result	result;

	result = spelling_matches(d, table, pool, name, why);
	for (; *others != NULL && result == MAP_NOT_FOUND; others++)
		result = spelling_matches(d, table, pool, *others, why);
	return result;
}

/* The first pattern that fits decides. */
WAITS enum map_result
domains_match(struct domains *d, struct pool *pool, const char *name,
    char **why)
{
	const char	*spelled = spell(pool, name);
	struct pattern	*p;
	enum map_result	 result;
	char		*others[IDN_OTHERS + 1];

	idn_others(pool, name, others);
	for (p = d->first; p != NULL; p = p->next) {
		if (p->broken != NULL) {
			*why = pool_strdup(pool, p->broken);
			return MAP_ERROR;
		}
		if (p->table != NULL)
			result = table_matches(d, p->table, pool, name, others,
			    why);
		else
			result = name_matches(d, p->name, spelled) ?
			    MAP_FOUND : MAP_NOT_FOUND;
		if (result == MAP_ERROR)
			return MAP_ERROR;
		if (result == MAP_FOUND)
			return p->is_negated ? MAP_NOT_FOUND : MAP_FOUND;
	}
	return MAP_NOT_FOUND;
}

/* Can what it says be remembered until a table changes? */
bool
domains_are_stable(const struct domains *d)
{
	const struct pattern	*p;

	for (p = d->first; p != NULL; p = p->next)
		if (p->broken != NULL ||
		    (p->table != NULL && !table_is_stable(p->table)))
			return false;
	return true;
}

/* --- classes ------------------------------------------------------------- */

/* Is "[192.0.2.1]" or "[IPv6:...]" one of our addresses? */
static bool
is_own_literal(const struct rules *r, struct pool *pool, const char *domain)
{
	struct inetaddr	 address;
	char		*text;
	size_t		 i, len = strlen(domain);

	if (len < 3 || domain[0] != '[' || domain[len - 1] != ']')
		return false;
	text = pool_strndup(pool, domain + 1, len - 2);
	if (text_starts(text, "ipv6:"))
		text += strlen("ipv6:");
	if (!inetaddr_parse(&address, text))
		return false;
	for (i = 0; i < r->own_count; i++)
		if (inetaddr_equal(&address, &r->own_addresses[i]))
			return true;
	return false;
}

/* The word for a class in packets. */
const char *
class_name(enum address_class class)
{
	static const char *const	names[] = {
		[CLASS_LOCAL] = "local",
		[CLASS_VIRTUAL_ALIAS] = "virtual-alias",
		[CLASS_VIRTUAL_MAILBOX] = "virtual-mailbox",
		[CLASS_RELAY] = "relay",
		[CLASS_DEFAULT] = "default"
	};

	return names[class];
}

/* Ask the lists in turn, until one names the domain. */
static WAITS int
find_class(struct rules *r, struct pool *pool, const char *name,
    enum address_class *class, char **why)
{
	struct domains *const	lists[] = {
		[CLASS_LOCAL] = r->mydestination,
		[CLASS_VIRTUAL_ALIAS] = r->virtual_alias_domains,
		[CLASS_VIRTUAL_MAILBOX] = r->virtual_mailbox_domains,
		[CLASS_RELAY] = r->relay_domains
	};

	*class = CLASS_LOCAL;
	if (is_own_literal(r, pool, name))
		return 0;
	for (; *class < CLASS_DEFAULT; (*class)++)
		switch (domains_match(lists[*class], pool, name, why)) {
		case MAP_FOUND:
			return 0;
		case MAP_ERROR:
			return -1;
		default:
			break;
		}
	return 0;
}

/* The class whose list names the domain. */
WAITS int
class_of(struct rules *r, struct pool *pool, const char *domain,
    enum address_class *class, char **why)
{
	const char		*name = lower(pool, domain);
	const struct fact	*fact;
	int64_t			 generation = rules_generation();

	if (rules_remember(r, FACT_CLASS) &&
	    (fact = memory_recall(name, FACT_CLASS)) != NULL) {
		*class = (enum address_class)fact->number;
		return 0;
	}
	if (find_class(r, pool, name, class, why) == -1)
		return -1;
	if (rules_remember(r, FACT_CLASS))
		memory_keep(name, FACT_CLASS, generation, (int)*class, NULL);
	return 0;
}

/* mydestination, our literals, and myorigin. */
WAITS int
domain_is_ours(struct rules *r, struct pool *pool, const char *domain,
    bool *is_ours, char **why)
{
	const char		*name = lower(pool, domain);
	const struct fact	*fact;
	enum map_result		 result;
	int64_t			 generation = rules_generation();

	*is_ours = true;
	if (domain_equal(name, r->myorigin) || is_own_literal(r, pool, name))
		return 0;
	if (rules_remember(r, FACT_IS_OURS) &&
	    (fact = memory_recall(name, FACT_IS_OURS)) != NULL) {
		*is_ours = fact->number;
		return 0;
	}
	result = domains_match(r->mydestination, pool, name, why);
	if (result == MAP_ERROR)
		return -1;
	*is_ours = result == MAP_FOUND;
	if (rules_remember(r, FACT_IS_OURS))
		memory_keep(name, FACT_IS_OURS, generation, *is_ours, NULL);
	return 0;
}
