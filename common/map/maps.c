/*
 * maps.c - several tables in a row, and the keys that an address stands for.
 *
 * The first table that knows a key answers; one that fails ends the search,
 * because the tables behind it could say something else than it would have.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/map/inside.h"
#include "common/map/map.h"

struct maps {
	struct map	**maps;
	size_t		  count;
	const struct map *last;		/* that answered */
};

/* The list opened; what cannot be is replaced by something that fails. */
struct maps *
maps_open_all(struct pool *pool, const char *list, char **why)
{
	struct maps	*all = pool_alloc(pool, sizeof(*all));
	struct map	*m;
	char		*copy = pool_strdup(pool, list), *word, *problem;

	*why = NULL;
	/* There are at most half as many words as bytes. */
	all->maps = pool_array(pool, strlen(list) / 2 + 1, sizeof(*all->maps));
	while ((word = map_next_word(&copy)) != NULL) {
		if ((m = map_open(pool, word, &problem)) == NULL) {
			m = map_stand_in(pool, word, problem);
			if (*why == NULL)
				*why = problem;
		}
		all->maps[all->count++] = m;
	}
	return all;
}

/* Nothing but the reason. */
struct maps *
maps_open_none(struct pool *pool, const char *list, const char *why)
{
	struct maps	*all = pool_alloc(pool, sizeof(*all));

	all->maps = pool_array(pool, 1, sizeof(*all->maps));
	all->maps[all->count++] = map_stand_in(pool, list, why);
	return all;
}

/* All of them or nothing. */
struct maps *
maps_open(struct pool *pool, const char *list, char **why)
{
	struct maps	*all = maps_open_all(pool, list, why);

	if (*why == NULL)
		return all;
	maps_close(all);
	return NULL;
}

/* Close all of them. */
void
maps_close(struct maps *all)
{
	size_t	i;

	for (i = 0; all != NULL && i < all->count; i++)
		map_close(all->maps[i]);
}

/* The first one whose results have $1 and the like in them. */
const char *
maps_taking_parts(const struct maps *all, bool at_start)
{
	const struct map	*m;
	size_t			 i;

	for (i = 0; i < all->count; i++) {
		m = all->maps[i];
		if (at_start ? m->begins_with_part : m->takes_parts)
			return m->name;
	}
	return NULL;
}

/* Is it so of any of them? */
static bool
any(struct maps *all, bool (*is_so)(struct map *))
{
	size_t	i;

	for (i = 0; i < all->count; i++)
		if (is_so(all->maps[i]))
			return true;
	return false;
}

/* Has any of them changed? */
bool
maps_have_changed(struct maps *all)
{
	return any(all, map_has_changed);
}

/* Has any of them changed where it is? */
bool
maps_have_changed_here(struct maps *all)
{
	return any(all, map_has_changed_here);
}

/* Is any of them being written? */
bool
maps_are_unsettled(struct maps *all)
{
	return any(all, map_is_unsettled);
}

/* Is there no table at all? */
bool
maps_are_empty(const struct maps *all)
{
	return all->count == 0;
}

/* Ask in turn; a partial key is nothing for tables of patterns. */
static enum map_result
find(struct maps *all, struct pool *pool, const char *key, bool is_partial,
    char **value, char **why)
{
	enum map_result	result;
	size_t		i;

	*value = NULL;
	for (i = 0; i < all->count; i++) {
		if (is_partial && map_is_pattern(all->maps[i]))
			continue;
		result = map_find(all->maps[i], pool, key, value, why);
		all->last = all->maps[i];
		if (result != MAP_NOT_FOUND)
			return result;
	}
	return MAP_NOT_FOUND;
}

/* Who could have written the last answer? */
int64_t
maps_owner(const struct maps *all)
{
	const struct map_file	*f;
	struct stat		 st;
	int64_t			 owner = -1;
	bool			 is_open = false;

	for (f = all->last != NULL ? all->last->files : NULL; f != NULL;
	    f = f->next)
		if (stat(f->path, &st) == 0) {
			is_open |= (st.st_mode & S_IWOTH) != 0;
			if (owner <= 0)
				owner = st.st_uid;
		}
	return is_open ? MAPS_ANYBODY : owner;
}

/* Ask each table for the whole key. */
enum map_result
maps_find(struct maps *all, struct pool *pool, const char *key, char **value,
    char **why)
{
	return find(all, pool, key, false, value, why);
}

/* Ask those that take keys in parts. */
enum map_result
maps_find_part(struct maps *all, struct pool *pool, const char *key,
    char **value, char **why)
{
	return find(all, pool, key, true, value, why);
}

enum { KEYS = 7 };		/* of one address, at most */

/* The pieces of an address that are keys. */
struct pieces {
	char	*whole;		/* user+ext@domain */
	char	*bare;		/* user@domain, NULL without extension */
	char	*local;		/* user+ext */
	char	*bare_local;	/* user, NULL without extension */
	char	*at_domain;	/* @domain, NULL without domain */
	char	*quoted, *quoted_local;	/* as written, NULL without quotes */
	char	*extension;	/* +ext */
};

/* Tables are written by people: local parts are quoted in some of them, and
 * unquoted in others. */
static void
cut_address(struct pool *pool, const char *address, const char *delimiters,
    struct pieces *p)
{
	const char	*local, *domain;
	size_t		 len, user_len;

	memset(p, 0, sizeof(*p));
	address_split(address, &local, &len, &domain);
	p->local = address_unquote_local(pool, local, len);
	if (memchr(local, '"', len) != NULL) {
		p->quoted = pool_strdup(pool, address);
		p->quoted_local = pool_strndup(pool, local, len);
	}
	len = strlen(p->local);
	p->whole = p->local;
	if (domain != NULL) {
		p->at_domain = pool_printf(pool, "@%s", domain);
		p->whole = pool_printf(pool, "%s%s", p->local, p->at_domain);
	}
	if (!address_split_extension(p->local, len, delimiters, &user_len))
		return;
	p->extension = pool_strdup(pool, p->local + user_len);
	p->bare_local = pool_strndup(pool, p->local, user_len);
	p->bare = domain == NULL ? p->bare_local :
	    pool_printf(pool, "%s%s", p->bare_local, p->at_domain);
}

/* All keys of an address, the most specific first. */
enum map_result
maps_find_address(struct maps *all, struct pool *pool, const char *address,
    const char *delimiters, bool domain_is_ours, char **value,
    char **extension, char **why)
{
	enum map_result	 result;
	struct pieces	 p;
	const char	*keys[KEYS];
	size_t		 i;

	cut_address(pool, address, delimiters, &p);
	keys[0] = p.quoted;
	keys[1] = p.whole;
	keys[2] = p.bare;
	keys[3] = domain_is_ours ? p.quoted_local : NULL;
	keys[4] = domain_is_ours ? p.local : NULL;
	keys[5] = domain_is_ours ? p.bare_local : NULL;
	keys[6] = p.at_domain;

	*value = *extension = NULL;
	for (i = 0; i < KEYS; i++) {
		if (keys[i] == NULL)
			continue;
		result = find(all, pool, keys[i], i >= 3, value, why);
		if (result == MAP_FOUND && (i == 2 || i == 5))
			*extension = p.extension;
		if (result != MAP_NOT_FOUND)
			return result;
	}
	return MAP_NOT_FOUND;
}
