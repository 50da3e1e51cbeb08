#ifndef MAP_MAP_H
#define MAP_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * "type:name" to a thing one can ask. One file per type. Only resolve and
 * postrider map use tables. Lookups may read files; none goes to the network.
 */
struct map;

/* With MAP_ERROR and errno EAGAIN the table is being written at this moment:
 * asking again in some milliseconds may help. */
enum map_result { MAP_FOUND, MAP_NOT_FOUND, MAP_ERROR };

/* Open; NULL with *why ("hash:/etc/aliases: no such file; run ..."). */
struct map	*map_open(struct pool *, const char *type_and_name, char **why);
void		 map_close(struct map *);
const char	*map_name(const struct map *);
/* Did the files change since it was opened? */
bool		 map_has_changed(struct map *);
/* Does the type take addresses whole (regexp, pcre, cidr, static ...)? */
bool		 map_is_pattern(const struct map *);

/* The value, in the pool. MAP_ERROR with *why: a temporary failure. Keys are
 * folded to lower case by types that do so. */
enum map_result	 map_find(struct map *, struct pool *, const char *key,
		    char **value, char **why);

/* Several tables in a row: "hash:/a, regexp:/b" (type:{ inline rules } too). */
struct maps;
struct maps	*maps_open(struct pool *, const char *list, char **why);
/* The same, but a table that cannot be opened fails each question instead and
 * *why tells the first of them; NULL when all are open. */
struct maps	*maps_open_all(struct pool *, const char *list, char **why);
void		 maps_close(struct maps *);
bool		 maps_have_changed(struct maps *);
bool		 maps_are_empty(const struct maps *);
enum map_result	 maps_find(struct maps *, struct pool *, const char *key,
		    char **value, char **why);
/* The same with a key that is part of something (a parent domain, "*"): it is
 * no question for tables of patterns. */
enum map_result	 maps_find_part(struct maps *, struct pool *, const char *key,
		    char **value, char **why);
/*
 * An address in the order user+ext@domain, user@domain, user+ext, user (when
 * the domain is one of ours), @domain. *extension gets what did not match, to
 * be appended to the result.
 */
enum map_result	 maps_find_address(struct maps *, struct pool *,
		    const char *address, const char *delimiters,
		    bool domain_is_ours, char **value, char **extension,
		    char **why);

/* Writing: build a table from its source text file ("hash:/etc/aliases" from
 * /etc/aliases); replaces atomically. is_alias: "name: value" format. */
const char	*map_build(struct pool *, const char *type_and_name,
		    bool is_alias, unsigned *entries, struct str *warnings);
/*
 * Add the lines of `text` (cut up here; `text_name` is for messages) to the
 * table where it is; it is made if it is missing. A key that is there already
 * is kept, with a line in warnings, unless `replaces`. NULL or why.
 */
const char	*map_merge(struct pool *, const char *type_and_name,
		    char *text, const char *text_name, bool is_alias,
		    bool replaces, unsigned *entries, struct str *warnings);
/* Change one key in place; NULL or why. */
const char	*map_put(struct pool *, const char *type_and_name,
		    const char *key, const char *value);
const char	*map_delete(struct pool *, const char *type_and_name,
		    const char *key, bool *was_there);
/* Every key and value in turn. */
const char	*map_walk(struct pool *, const char *type_and_name,
		    void (*each)(void *, const char *key, const char *value),
		    void *context);

/* The types this build knows, ended by NULL. */
const char *const *map_types(void);

#endif
