/*
 * maincf.c - a main.cf in memory: settings, defaults, and where each stands.
 *
 * A name has one entry, made when it is first set, given a default or used
 * by another value. The file's order is kept beside the tree of entries. Most
 * of the defaults there are nobody asks for: they stay where they are.
 */
#include "common/param/maincf.h"

#include <stdint.h>
#include <string.h>

#include <sys/tree.h>

#include "common/base/text.h"
#include "common/param/lines.h"

#define NAME_CHARS	"abcdefghijklmnopqrstuvwxyz" \
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

struct entry {
	RB_ENTRY(entry)	 node;
	const char	*name;
	struct setting	*set;		/* in force, or NULL */
	const char	*standard;	/* default, or NULL */
	bool		 is_used;	/* as $name somewhere */
};

struct list {
	struct setting	**items;
	size_t		 count, room;
};

struct maincf {
	struct pool	*pool;
	RB_HEAD(entries, entry) entries;
	const char	*directory;
	struct list	 in_force, hidden;
	const char	*(*find_default)(const char *name);
};

/* Names are told apart byte by byte, as in Postfix. */
static int
compare(struct entry *a, struct entry *b)
{
	return strcmp(a->name, b->name);
}

/* RB_GENERATE_STATIC wants a macro that libbsd does not have. */
RB_GENERATE_INTERNAL(entries, entry, node, compare,
    static __attribute__((unused)))

/* The entry of a name, or NULL. */
static struct entry *
entry_find(const struct maincf *mc, const char *name)
{
	struct entry	key = { .name = name };

	return RB_FIND(entries, (struct entries *)(uintptr_t)&mc->entries,
	    &key);
}

/* The entry of a name, made when there is none. */
static struct entry *
entry_get(struct maincf *mc, const char *name)
{
	struct entry	*e = entry_find(mc, name);

	if (e == NULL) {
		e = pool_alloc(mc->pool, sizeof(*e));
		e->name = pool_strdup(mc->pool, name);
		RB_INSERT(entries, &mc->entries, e);
	}
	return e;
}

/* Append to a list. */
static void
list_add(struct pool *pool, struct list *l, struct setting *s)
{
	l->items = pool_grow(pool, l->items, &l->room, l->count + 1,
	    sizeof(s));
	l->items[l->count++] = s;
}

/* Take one out of a list; the others keep their order. */
static void
list_remove(struct list *l, const struct setting *s)
{
	size_t	i = 0;

	while (i < l->count && l->items[i] != s)
		i++;
	if (i == l->count)
		return;
	l->count--;
	memmove(l->items + i, l->items + i + 1,
	    (l->count - i) * sizeof(l->items[0]));
}

/* Put a setting into force; returns the one it takes over from, or NULL. */
static struct setting *
put(struct maincf *mc, const char *name, const char *value, const char *file,
    unsigned line)
{
	struct entry	*e = entry_get(mc, name);
	struct setting	*old = e->set, *s = pool_alloc(mc->pool, sizeof(*s));

	s->name = e->name;
	s->value = pool_strdup(mc->pool, value);
	s->file = file;
	s->line = line;
	if (old != NULL)
		list_remove(&mc->in_force, old);
	list_add(mc->pool, &mc->in_force, s);
	e->set = s;
	maincf_note_uses(mc, value);
	return old;
}

/* An empty one. */
struct maincf *
maincf_empty(struct pool *pool)
{
	struct maincf	*mc = pool_alloc(pool, sizeof(*mc));

	mc->pool = pool;
	mc->directory = "";
	RB_INIT(&mc->entries);
	return mc;
}

/* Cut "name = value" in two; false when it is not that. */
static bool
split(char *line, char **name, char **value)
{
	char	*sign = strchr(line, '=');

	if (sign == NULL)
		return false;
	*sign = '\0';
	*name = text_trim(line);
	*value = text_trim(sign + 1);
	return **name != '\0' && strpbrk(*name, " \t\r\v\f") == NULL;
}

/* The path without its last part. */
static const char *
directory_of(struct pool *pool, const char *path)
{
	const char	*slash = strrchr(path, '/');

	return slash == NULL ? "." :
	    pool_strndup(pool, path, (size_t)(slash - path));
}

/* Read the file, one logical line after the other. */
struct maincf *
maincf_read(struct pool *pool, const char *path, char **why)
{
	struct maincf	*mc = maincf_empty(pool);
	struct setting	*old;
	struct lines	 lines;
	char		*text, *name, *value;
	unsigned	 line;

	if ((*why = lines_open(&lines, pool, path)) != NULL)
		return NULL;
	mc->directory = directory_of(pool, path);
	while ((text = lines_next(&lines, &line, why)) != NULL) {
		if (!split(text, &name, &value)) {
			*why = pool_printf(pool, "%s:%u: expected name = "
			    "value", path, line);
			return NULL;
		}
		old = put(mc, name, value, lines.path, line);
		if (old != NULL)
			list_add(pool, &mc->hidden, old);
	}
	return *why != NULL ? NULL : mc;
}

/* Where everything about it lives. */
struct pool *
maincf_pool(struct maincf *mc)
{
	return mc->pool;
}

/* Where the file lies. */
const char *
maincf_directory(const struct maincf *mc)
{
	return mc->directory;
}

/* The value with `before` wherever it names itself as $name or ${name}. */
static const char *
put_before(struct pool *pool, const char *name, const char *value,
    const char *before)
{
	const char	*p = value, *at, *end;
	size_t		 len = strlen(name);
	struct str	 to;

	str_init(&to, pool, 0);
	for (; (at = strchr(p, '$')) != NULL; p = end) {
		end = at + 1 + (at[1] == '{' || at[1] == '$');
		if (at[1] != '$' && strncmp(end, name, len) == 0 &&
		    (at[1] == '{' ? end[len] == '}' :
		    strspn(end + len, NAME_CHARS) == 0)) {
			str_add_mem(&to, p, (size_t)(at - p));
			str_add(&to, before);
			end += len + (at[1] == '{');
		} else
			str_add_mem(&to, p, (size_t)(end - p));
	}
	str_add(&to, p);
	return to.data;
}

/* Override one setting. */
void
maincf_set(struct maincf *mc, const char *name, const char *value,
    const char *where)
{
	const char	*before = maincf_text(mc, name);

	if (before != NULL && strchr(value, '$') != NULL)
		value = put_before(mc->pool, name, value, before);
	put(mc, name, value, pool_strdup(mc->pool, where), 0);
}

/* The setting in force. */
const struct setting *
maincf_find(const struct maincf *mc, const char *name)
{
	struct entry	*e = entry_find(mc, name);

	return e == NULL ? NULL : e->set;
}

/* One after the other. */
const struct setting *
maincf_at(const struct maincf *mc, size_t index)
{
	return index < mc->in_force.count ? mc->in_force.items[index] : NULL;
}

/* Those that count for nothing, one after the other. */
const struct setting *
maincf_hidden(const struct maincf *mc, size_t index)
{
	return index < mc->hidden.count ? mc->hidden.items[index] : NULL;
}

/* A place for messages. */
const char *
maincf_where(struct pool *pool, const struct setting *s)
{
	if (s == NULL)
		return "default";
	if (s->line == 0)
		return s->file;
	return pool_printf(pool, "%s:%u", s->file, s->line);
}

/* Give a default, or another one. */
void
maincf_default(struct maincf *mc, const char *name, const char *value)
{
	entry_get(mc, name)->standard = pool_strdup(mc->pool, value);
}

/* Where the other defaults are. */
void
maincf_defaults(struct maincf *mc, const char *(*find)(const char *name))
{
	mc->find_default = find;
}

/* What stands for the name, as it is written. */
const char *
maincf_text(const struct maincf *mc, const char *name)
{
	struct entry	*e = entry_find(mc, name);

	if (e != NULL && e->set != NULL)
		return e->set->value;
	if (e != NULL && e->standard != NULL)
		return e->standard;
	return mc->find_default == NULL ? NULL : mc->find_default(name);
}

/* What is set must be set alike. Who has been in use has more defaults. */
bool
maincf_is_same(const struct maincf *before, const struct maincf *again)
{
	struct entries	*all = (struct entries *)(uintptr_t)&again->entries;
	struct entry	*e, *old;

	if (before->in_force.count != again->in_force.count)
		return false;
	RB_FOREACH(e, entries, all) {
		if (e->set == NULL && e->standard == NULL)
			continue;	/* only used */
		if ((old = entry_find(before, e->name)) == NULL)
			return false;
		if (e->set != NULL && (old->set == NULL ||
		    strcmp(e->set->value, old->set->value) != 0))
			return false;
		if (e->standard != NULL && (old->standard == NULL ||
		    strcmp(e->standard, old->standard) != 0))
			return false;
	}
	return true;
}

/* Every name behind a dollar sign, in whatever depth of braces. */
void
maincf_note_uses(struct maincf *mc, const char *text)
{
	const char	*p = text;
	size_t		 len;

	while ((p = strchr(p, '$')) != NULL) {
		p++;
		if (*p == '$') {
			p++;
			continue;
		}
		p += strspn(p, "{( \t");
		len = strspn(p, NAME_CHARS);
		if (len > 0)
			entry_get(mc, pool_strndup(mc->pool, p, len))->
			    is_used = true;
	}
}

/* Does anything use the name? */
bool
maincf_is_used(const struct maincf *mc, const char *name)
{
	struct entry	*e = entry_find(mc, name);

	return e != NULL && e->is_used;
}
