/*
 * plain.c - what can be told of a table without the library behind its type:
 * in which file it is, and what stands in one that is text itself.
 *
 * For programs that link no such library, master among them.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/map/inside.h"
#include "common/map/map.h"

/* Where each type has its table. */
static const struct {
	const char	*type, *suffix;
} suffixes[] = {
	{ "hash:",	".db" },
	{ "btree:",	".db" },
	{ "lmdb:",	".lmdb" },
	{ "cdb:",	".cdb" },
	{ "texthash:",	"" },
	{ "regexp:",	"" },
	{ "pcre:",	"" },
	{ "cidr:",	"" }
};

/* proxy: means nothing here. */
static const char *
without_proxy(const char *word)
{
	while (text_starts(word, "proxy:"))
		word += strlen("proxy:");
	return word;
}

/* Is it a table whose text is at hand? */
bool
map_is_text(const char *word)
{
	word = without_proxy(word);
	return text_starts(word, "inline:") || text_starts(word, "texthash:");
}

/* The file, NULL for a table that has none. */
const char *
map_file(struct pool *pool, const char *word)
{
	size_t	i;

	word = without_proxy(word);
	for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (text_starts(word, suffixes[i].type) &&
		    strchr(word, '{') == NULL)
			return pool_printf(pool, "%s%s",
			    word + strlen(suffixes[i].type),
			    suffixes[i].suffix);
	return NULL;
}

/* Every key and value. */
const char *
map_walk_text(struct pool *pool, const char *word,
    void (*each)(void *, const char *, const char *), void *context)
{
	struct map	 m = { .pool = pool };
	const char	*why;

	word = without_proxy(word);
	m.type = text_starts(word, "inline:") ? &map_inline : &map_texthash;
	m.name = word;
	m.rest = strchr(word, ':') + 1;
	if ((why = m.type->open(&m)) != NULL)
		return pool_printf(pool, "%s: %s", word, why);
	dictionary_walk(m.state, each, context);
	return NULL;
}
