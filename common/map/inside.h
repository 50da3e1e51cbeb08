#ifndef MAP_INSIDE_H
#define MAP_INSIDE_H

#include <sys/stat.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/map/map.h"

/*
 * What a table type tells map.c, and what the types share. Nobody outside
 * this directory includes it.
 */
enum {
	MAP_VALUE_MAX	= 32768,	/* the greatest right-hand side */
	MAP_KEY_MAX	= 8192,		/* longer keys are in no table */
	MAP_SOURCE_MAX	= 1 << 30	/* a text file */
};

enum map_traits {
	MAP_FOLDS = 1,		/* keys are in lower case */
	MAP_IS_PATTERN = 2	/* keys are matched whole, never by parts */
};

/* A table being written; see berkeley.c, lmdb.c and cdb.c. */
struct map_writer {
	/* Start an empty one in this file. NULL or why. */
	const char	*(*create)(struct pool *, const char *file,
			    bool is_btree, void **state);
	/* Open the one there is, to change it or only to walk it. */
	const char	*(*change)(struct pool *, const char *file,
			    bool is_btree, bool only_reads, void **state);
	/* 0 stored, 1 there already (kept unless `replace`), -1 errno. */
	int		 (*put)(void *, const char *key, const char *value,
			    bool replace);
	/* 0 gone, 1 was not there, -1 errno. */
	int		 (*delete)(void *, const char *key);
	const char	*(*walk)(struct pool *, void *,
			    void (*each)(void *, const char *, const char *),
			    void *context);
	/* Everything to disk; NULL or why. The state is gone. */
	const char	*(*finish)(void *);
	const char	*suffix;
};

struct map_type {
	const char	*name;
	unsigned	 traits;
	/* NULL, or why not, in the map's pool (without the table's name). */
	const char	*(*open)(struct map *);
	void		 (*close)(struct map *);	/* may be NULL */
	/* The key is in lower case already where the type folds. */
	enum map_result	 (*find)(struct map *, struct pool *, const char *key,
			    char **value, char **why);
	const struct map_writer *writer;		/* may be NULL */
};

/* How a file looked when it was read. */
struct map_stamp {
	dev_t		 device;
	ino_t		 inode;
	off_t		 size;
	struct timespec	 modified, changed;
};

struct map_file {
	struct map_file	*next;
	const char	*path;
	struct map_stamp stamp;
};

struct map {
	const struct map_type	*type;
	const char		*name;	/* "hash:/etc/aliases" */
	const char		*rest;	/* "/etc/aliases" */
	struct pool		*pool;
	struct map_file		*files;
	bool			 is_open, keeps_case;
	/* Patterns: do results take parts of the key, and begin with one? */
	bool			 takes_parts, begins_with_part;
	void			*state;
};

extern const struct map_type	map_hash, map_btree, map_lmdb, map_texthash,
				map_static, map_inline, map_fail, map_regexp,
				map_pcre, map_cdb, map_cidr, map_unix,
				map_unionmap, map_pipemap, map_randmap;

/* A table that answers every question with MAP_ERROR and this reason, and that
 * always "has changed", so that opening it is tried again. */
struct map		*map_stand_in(struct pool *, const char *word,
			    const char *why);

const struct map_type	*map_type_find(const char *type_and_name,
			    const char **rest);

void	 map_stamp_take(struct map_stamp *, const struct stat *);
bool	 map_stamp_equal(const struct map_stamp *, const struct map_stamp *);
/* Has the content of this file been written since, or can that not be told? */
bool	 map_is_rewritten(int fd, const struct map_stamp *);

/* Remember a file so that its change is noticed; `stamp` may be NULL: look. */
void	 map_watch(struct map *, const char *path, const struct map_stamp *);

/* A sentence in the pool as *why; always MAP_ERROR. */
enum map_result	 map_failed(struct pool *, char **why, const char *format,
		    ...) __attribute__((format(printf, 3, 4)));

/* Inside of "{ text }", trimmed; the text itself when there are no braces. */
char	*map_unbrace(char *text);

/*
 * Logical lines of a text table, read while nobody changed it. Each calls
 * line(), which returns NULL or what is wrong; "FILE:LINE: " is put before.
 */
const char	*map_read_lines(struct map *, const char *path,
		    const char *(*line)(struct map *, char *text,
		    unsigned number));

/* The same for text in memory, which is cut up; `name` is for messages. */
const char	*map_text_lines(struct map *, const char *name, char *text,
		    const char *(*line)(struct map *, char *text,
		    unsigned number));

/*
 * The rules of a table of patterns: the lines of its file, or for a name like
 * "{ { rule } { rule } }" what stands in the inner braces.
 */
const char	*map_read_rules(struct map *,
		    const char *(*line)(struct map *, char *text,
		    unsigned number));

/* Cut "key value"; NULL or what is wrong. The key may hold quoted parts. */
const char	*map_cut_line(char *text, char **key, char **value);
/* Cut "name: value" as alias files have it; the name is unquoted. */
const char	*map_cut_alias(struct pool *, char *text, char **key,
		    char **value);

/* Keys and values in memory, sorted once, for texthash and inline. */
struct dictionary;
struct dictionary *dictionary_new(struct pool *);
void		 dictionary_add(struct dictionary *, const char *key,
		    const char *value);
const char	*dictionary_find(struct dictionary *, const char *key);
void		 dictionary_walk(struct dictionary *, void (*each)(void *,
		    const char *key, const char *value), void *context);

#endif
