/*
 * many.c - tables made of tables: pipemap hands each answer to the next,
 * unionmap joins all answers, randmap picks one of its words.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/str.h"
#include "common/base/text.h"
#include "common/map/inside.h"

struct parts {
	struct map	**maps;
	char		**words;
	size_t		  count;
};

/* The words between the braces. */
static const char *
cut_words(struct map *m)
{
	struct parts	*p = m->state = pool_alloc(m->pool, sizeof(*p));
	char		*list = text_trim(pool_strdup(m->pool, m->rest));
	size_t		 room = strlen(list) / 2 + 1;

	if (*list != '{')
		return "expected { word, ... }";
	list = map_unbrace(list);
	p->words = pool_array(m->pool, room, sizeof(*p->words));
	p->maps = pool_array(m->pool, room, sizeof(*p->maps));
	while ((p->words[p->count] = map_next_word(&list)) != NULL)
		p->count++;
	return p->count == 0 ? "expected at least one word" : NULL;
}

/* The tables between the braces; their files are ours too. */
static const char *
open_parts(struct map *m)
{
	struct parts	*p;
	struct map_file	*file;
	const char	*why;
	char		*problem;
	size_t		 i;

	if ((why = cut_words(m)) != NULL)
		return why;
	p = m->state;
	for (i = 0; i < p->count; i++) {
		p->maps[i] = map_open(m->pool, p->words[i], &problem);
		if (p->maps[i] == NULL)
			return problem;
		m->takes_parts |= p->maps[i]->takes_parts;
		m->begins_with_part |= p->maps[i]->begins_with_part;
		for (file = p->maps[i]->files; file != NULL; file = file->next)
			map_watch(m, file->path, &file->stamp);
	}
	return NULL;
}

/* Close all tables. */
static void
close_parts(struct map *m)
{
	struct parts	*p = m->state;
	size_t		 i;

	for (i = 0; p != NULL && i < p->count; i++)
		map_close(p->maps[i]);
}

/* Each table is asked what the one before said. */
static enum map_result
pipemap_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct parts	*p = m->state;
	enum map_result	 result = MAP_NOT_FOUND;
	size_t		 i;

	for (i = 0; i < p->count; i++) {
		result = map_find(p->maps[i], pool, key, value, why);
		if (result != MAP_FOUND)
			return result;
		key = *value;
	}
	return result;
}

/* All answers, joined by commas. */
static enum map_result
unionmap_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct parts	*p = m->state;
	enum map_result	 result;
	struct str	 all;
	size_t		 i;

	str_init(&all, pool, MAP_VALUE_MAX + 1);
	for (i = 0; i < p->count; i++) {
		result = map_find(p->maps[i], pool, key, value, why);
		if (result == MAP_ERROR)
			return result;
		if (result == MAP_FOUND)
			str_addf(&all, "%s%s", all.len > 0 ? "," : "", *value);
	}
	*value = all.data;
	return all.len > 0 ? MAP_FOUND : MAP_NOT_FOUND;
}

/* Any of the words. */
static enum map_result
randmap_find(struct map *m, struct pool *pool, const char *key, char **value,
    char **why)
{
	struct parts	*p = m->state;

	(void)key;
	(void)why;
	*value = pool_strdup(pool,
	    p->words[arc4random_uniform((uint32_t)p->count)]);
	return MAP_FOUND;
}

const struct map_type map_pipemap = {
	.name = "pipemap", .open = open_parts, .close = close_parts,
	.find = pipemap_find
};

const struct map_type map_unionmap = {
	.name = "unionmap", .open = open_parts, .close = close_parts,
	.find = unionmap_find
};

const struct map_type map_randmap = {
	.name = "randmap", .open = cut_words, .find = randmap_find
};
