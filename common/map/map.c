/*
 * map.c - "type:name" to a thing one can ask.
 *
 * What all types have in common is here: the list of types, the file stamps
 * by which changes are noticed, folding of keys, the limits. Each type has a
 * file of its own. A wrong answer is worse than none: whatever goes wrong in
 * a lookup is MAP_ERROR, which callers turn into a temporary failure.
 */
#include "common/map/map.h"

#include <errno.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/map/inside.h"

enum { SETTLES = 1000000 };	/* microseconds after it was written */

static const struct map_type *const types[] = {
	&map_hash, &map_btree, &map_texthash, &map_static, &map_inline,
	&map_fail, &map_regexp, &map_cidr, &map_unix, &map_unionmap,
	&map_pipemap, &map_randmap,
#ifdef HAVE_PCRE2
	&map_pcre,
#endif
#ifdef HAVE_LMDB
	&map_lmdb,
#endif
#ifdef HAVE_CDB
	&map_cdb,
#endif
	NULL
};

/* The names of the types, for postrider-map -m and the like. */
const char *const *
map_types(void)
{
	static const char	*names[sizeof(types) / sizeof(types[0])];
	size_t			 i;

	for (i = 0; types[i] != NULL; i++)
		names[i] = types[i]->name;
	return names;
}

/* The type that a word begins with; proxy: means nothing here. */
const struct map_type *
map_type_find(const char *word, const char **rest)
{
	const char	*colon;
	size_t		 i;

	while (text_starts(word, "proxy:"))
		word += strlen("proxy:");
	if ((colon = strchr(word, ':')) == NULL)
		return NULL;
	*rest = colon + 1;
	for (i = 0; types[i] != NULL; i++)
		if (text_equal_mem(types[i]->name, word,
		    (size_t)(colon - word)))
			return types[i];
	return NULL;
}

/* Why a word names no table. */
static char *
no_such_type(struct pool *pool, const char *word)
{
	if (strchr(word, ':') == NULL)
		return pool_printf(pool, "%s: expected type:name", word);
	return pool_printf(pool, "%s: this build has no tables of type %.*s",
	    word, (int)strcspn(word, ":"), word);
}

/* The pool is freed: close what was left open. */
static void
close_later(void *map)
{
	map_close(map);
}

/* Open a table. */
struct map *
map_open(struct pool *pool, const char *word, char **why)
{
	const struct map_type	*type;
	const char		*rest, *problem;
	struct map		*m;

	if ((type = map_type_find(word, &rest)) == NULL) {
		*why = no_such_type(pool, word);
		return NULL;
	}
	m = pool_alloc(pool, sizeof(*m));
	m->type = type;
	m->rest = pool_strdup(pool, rest);
	m->name = pool_printf(pool, "%s:%s", type->name, rest);
	m->pool = pool;
	if ((problem = type->open(m)) != NULL) {
		if (type->close != NULL)
			type->close(m);
		*why = pool_printf(pool, "%s: %s", m->name, problem);
		return NULL;
	}
	m->is_open = true;
	pool_on_free(pool, close_later, m);
	return m;
}

/* --- what stands for a table that cannot be opened ----------------------- */

/* The answer is always the reason why. */
static enum map_result
missing_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	(void)key;
	(void)value;
	*why = pool_strdup(pool, m->state);
	return MAP_ERROR;
}

static const struct map_type map_missing = {
	.name = "missing", .find = missing_find
};

/* Every question fails for the reason why it could not be opened. */
struct map *
map_stand_in(struct pool *pool, const char *word, const char *why)
{
	struct map	*m = pool_alloc(pool, sizeof(*m));

	m->type = &map_missing;
	m->name = m->rest = pool_strdup(pool, word);
	m->pool = pool;
	m->is_open = true;
	m->state = pool_strdup(pool, why);
	return m;
}

/* Let go of descriptors and compiled patterns; a second time does nothing. */
void
map_close(struct map *m)
{
	if (m == NULL || !m->is_open)
		return;
	m->is_open = false;
	if (m->type->close != NULL)
		m->type->close(m);
}

/* Its name with the type. */
const char *
map_name(const struct map *m)
{
	return m->name;
}

/* Do not fold keys any more. */
void
map_keep_case(struct map *m)
{
	m->keeps_case = true;
}

/* Are its keys patterns? */
bool
map_is_pattern(const struct map *m)
{
	return (m->type->traits & MAP_IS_PATTERN) != 0;
}

/* Does it look different now? What it looks like is in *st then. */
static bool
looks_different(const struct map_file *file, struct stat *st)
{
	struct map_stamp	now;

	if (stat(file->path, st) == -1)
		return false;
	memset(&now, 0, sizeof(now));
	map_stamp_take(&now, st);
	return !map_stamp_equal(&now, &file->stamp);
}

/* Does any file look different now? One that is gone did not change: it may
 * be about to be replaced, and the answers we have are still the best. */
bool
map_has_changed(struct map *m)
{
	struct map_file		*file;
	struct stat		 st;

	if (m->type == &map_missing)
		return true;
	for (file = m->files; file != NULL; file = file->next)
		if (looks_different(file, &st))
			return true;
	return false;
}

/* Is it being written where it is? If it is the file that was opened, it was
 * not put there by rename(2), which leaves a later time of change than of
 * modification. A new file with that mark was written whole elsewhere. */
static bool
is_written_here(const struct map_file *file, const struct stat *st)
{
	return (st->st_dev == file->stamp.device &&
	    st->st_ino == file->stamp.inode) ||
	    (st->st_ctim.tv_sec == st->st_mtim.tv_sec &&
	    st->st_ctim.tv_nsec == st->st_mtim.tv_nsec);
}

/* Has a file changed that was written where it is? */
bool
map_has_changed_here(struct map *m)
{
	struct map_file	*file;
	struct stat	 st;

	for (file = m->files; file != NULL; file = file->next)
		if (looks_different(file, &st) && is_written_here(file, &st))
			return true;
	return false;
}

/* Was a file written lately, and where it is? */
bool
map_is_unsettled(struct map *m)
{
	struct map_file	*file;
	struct stat	 st;
	int64_t		 age;

	for (file = m->files; file != NULL; file = file->next) {
		if (stat(file->path, &st) == -1 || !is_written_here(file, &st))
			continue;
		age = clock_wall_us() - ((int64_t)st.st_mtim.tv_sec * 1000000 +
		    st.st_mtim.tv_nsec / 1000);
		if (age >= 0 && age < SETTLES)
			return true;
	}
	return false;
}

/* Ask, with the key as the type wants it. */
enum map_result
map_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	enum map_result	 result;
	char		*folded;

	*value = NULL;
	*why = NULL;
	errno = 0;
	CLAIM(m->is_open);
	if (*key == '\0' || strlen(key) > MAP_KEY_MAX)
		return MAP_NOT_FOUND;
	if ((m->type->traits & MAP_FOLDS) && !m->keeps_case) {
		folded = pool_strdup(pool, key);
		text_lower(folded);
		key = folded;
	}
	result = m->type->find(m, pool, key, value, why);
	if (result == MAP_FOUND && strlen(*value) > MAP_VALUE_MAX)
		return map_failed(pool, why, "%s: the value of %s is longer "
		    "than %d bytes", m->name, key, MAP_VALUE_MAX);
	return result;
}
