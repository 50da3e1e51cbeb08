#ifndef MAP_MAP_H
#define MAP_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
/* Did one of them change where it is, or was it written anew under its name? */
bool		 map_has_changed_here(struct map *);
/* Was a file written, where it is, less than a second ago? Text that somebody
 * is writing looks like a shorter table. One that rename(2) has put there is
 * whole, but for the one that was opened. */
bool		 map_is_unsettled(struct map *);
/* Ask it for keys as they are, not folded. */
void		 map_keep_case(struct map *);
/* Does the type take addresses whole (regexp, pcre, cidr, static ...)? */
bool		 map_is_pattern(const struct map *);

/* The value, in the pool. MAP_ERROR with *why: a temporary failure. Keys are
 * folded to lower case by types that do so. */
enum map_result	 map_find(struct map *, struct pool *, const char *key,
		    char **value, char **why);

/* Several tables in a row: "hash:/a, regexp:/b" (type:{ inline rules } too). */
struct maps;
/* The next table of such a list; braces keep their content together and stay.
 * Cuts the list up; NULL at the end. */
char		*map_next_word(char **list);
struct maps	*maps_open(struct pool *, const char *list, char **why);
/* The same, but a table that cannot be opened fails each question instead and
 * *why tells the first of them; NULL when all are open. */
struct maps	*maps_open_all(struct pool *, const char *list, char **why);
/* One that fails each question for this reason. */
struct maps	*maps_open_none(struct pool *, const char *list,
		    const char *why);
void		 maps_close(struct maps *);
bool		 maps_have_changed(struct maps *);
bool		 maps_have_changed_here(struct maps *);
bool		 maps_are_unsettled(struct maps *);
bool		 maps_are_empty(const struct maps *);
/*
 * The first table of patterns whose results take parts of the key ($1), which
 * a stranger may have chosen, or with `at_start` begin with one; or NULL.
 */
const char	*maps_taking_parts(const struct maps *, bool at_start);
enum map_result	 maps_find(struct maps *, struct pool *, const char *key,
		    char **value, char **why);
/* The owner of the files of the table that answered last: somebody else than
 * root, if there is one; 0; -1 when it has no files; MAPS_ANYBODY when
 * everybody can write to one of them. */
enum { MAPS_ANYBODY = -2 };
int64_t		 maps_owner(const struct maps *);
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
 * /etc/aliases); replaces atomically. A line that is none is passed over with
 * a line in warnings, and so is a key that is there already. `how`: */
enum {
	MAP_ALIAS = 1,		/* "name: value" format */
	MAP_REPLACES = 2,	/* the last of equal keys counts, unwarned */
	MAP_QUIETLY = 4,	/* the first of equal keys counts, unwarned */
	MAP_KEEPS_CASE = 8,	/* keys are not folded to lower case */
	MAP_DEFAULT_MODE = 16,	/* a new table has mode 0644 */
	MAP_FILES = 32		/* values name files, whose text is stored */
};
const char	*map_build(struct pool *, const char *type_and_name,
		    unsigned how, unsigned *entries, struct str *warnings);
/*
 * Add the lines of `text` (cut up here; `text_name` is for messages) to the
 * table where it is; it is made if it is missing. NULL or why.
 */
const char	*map_merge(struct pool *, const char *type_and_name,
		    char *text, const char *text_name, unsigned how,
		    unsigned *entries, struct str *warnings);
/* Change one key in place; NULL or why. */
const char	*map_put(struct pool *, const char *type_and_name,
		    const char *key, const char *value);
const char	*map_delete(struct pool *, const char *type_and_name,
		    const char *key, bool *was_there);
const char	*map_delete_exactly(struct pool *, const char *type_and_name,
		    const char *key, bool *was_there);
/* Every key and value in turn. */
const char	*map_walk(struct pool *, const char *type_and_name,
		    void (*each)(void *, const char *key, const char *value),
		    void *context);

/*
 * The same for a table that is text itself, inline or texthash, in the order
 * of its keys. These two link no other type: is it one of them, and in which
 * file, if any, is a table of any type?
 */
const char	*map_walk_text(struct pool *, const char *type_and_name,
		    void (*each)(void *, const char *key, const char *value),
		    void *context);
bool		 map_is_text(const char *type_and_name);
const char	*map_file(struct pool *, const char *type_and_name);

/* The types this build knows, ended by NULL. */
const char *const *map_types(void);

#endif
