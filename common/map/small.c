/*
 * small.c - tables that live in main.cf or in plain text: static, inline,
 * texthash, and fail, which always fails.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/map/inside.h"

/* --- static:value, static:{ value with spaces } -------------------------- */

/* Keep the value. */
static const char *
static_open(struct map *m)
{
	m->state = map_unbrace(pool_strdup(m->pool, m->rest));
	return *(char *)m->state == '\0' ? "expected a value" : NULL;
}

/* Every key has it. */
static enum map_result
static_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	(void)key;
	(void)why;
	*value = pool_strdup(pool, m->state);
	return MAP_FOUND;
}

const struct map_type map_static = {
	.name = "static", .open = static_open, .find = static_find
};

/* --- fail:reason --------------------------------------------------------- */

/* Nothing can go wrong here. */
static const char *
fail_open(struct map *m)
{
	(void)m;
	return NULL;
}

/* No key has an answer. */
static enum map_result
fail_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	(void)key;
	(void)value;
	return map_failed(pool, why, "%s: this table always fails", m->name);
}

const struct map_type map_fail = {
	.name = "fail", .open = fail_open, .find = fail_find
};

/* --- what inline and texthash share -------------------------------------- */

/* Look a key up in memory. */
static enum map_result
dictionary_answer(struct map *m, struct pool *pool, const char *key,
    char **value, char **why)
{
	const char	*found = dictionary_find(m->state, key);

	(void)why;
	if (found == NULL)
		return MAP_NOT_FOUND;
	*value = pool_strdup(pool, found);
	return MAP_FOUND;
}

/* --- inline:{ key=value, { key = value with spaces } } ------------------- */

/* Read the rows out of the name. */
static const char *
inline_open(struct map *m)
{
	char	*list = pool_strdup(m->pool, m->rest), *word, *equals;

	list = text_trim(list);
	if (*list != '{')
		return "expected { key=value, ... }";
	list = map_unbrace(list);
	m->state = dictionary_new(m->pool);
	while ((word = map_next_word(&list)) != NULL) {
		word = map_unbrace(word);
		if ((equals = strchr(word, '=')) == NULL || equals == word)
			return pool_printf(m->pool,
			    "%s: expected key=value", word);
		*equals = '\0';
		dictionary_add(m->state, text_trim(word),
		    text_trim(equals + 1));
	}
	return NULL;
}

const struct map_type map_inline = {
	.name = "inline", .traits = MAP_FOLDS, .open = inline_open,
	.find = dictionary_answer
};

/* --- texthash:/path ------------------------------------------------------ */

/* One row. */
static const char *
texthash_line(struct map *m, char *text, unsigned number)
{
	char		*key, *value;
	const char	*why;

	(void)number;
	if ((why = map_cut_line(text, &key, &value)) == NULL)
		dictionary_add(m->state, key, value);
	return why;
}

/* Read the file. */
static const char *
texthash_open(struct map *m)
{
	m->state = dictionary_new(m->pool);
	return map_read_lines(m, m->rest, texthash_line);
}

const struct map_type map_texthash = {
	.name = "texthash", .traits = MAP_FOLDS, .open = texthash_open,
	.find = dictionary_answer
};
