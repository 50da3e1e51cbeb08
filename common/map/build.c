/*
 * build.c - tables written: built anew from their text, or changed in place.
 *
 * A build goes to a file beside the table, is synced, and then takes the
 * table's name in one step, so that nobody ever sees half of it. The owner
 * and mode of the table stay; a new one gets those of its source.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/text.h"
#include "common/mail/encode.h"
#include "common/map/inside.h"
#include "common/map/map.h"

/* A build under way. */
struct building {
	const struct map_writer	*writer;
	void			*state;
	const char		*name;		/* of the text */
	unsigned		 how;		/* MAP_... */
	unsigned		 entries;
	struct str		*warnings;
	struct pool		*scratch;
};

/* A line that one should look at. */
static void
warn(struct building *b, unsigned number, const char *what)
{
	str_addf(b->warnings, "%s:%u: %s\n", b->name, number, what);
}

/* The text of all files that the value names, in base64. NULL with *why. */
static char *
read_files(struct building *b, const char *value, const char **why)
{
	struct str	 all, encoded;
	char		*list = pool_strdup(b->scratch, value), *word, *text;
	size_t		 len;

	str_init(&all, b->scratch, 0);
	str_init(&encoded, b->scratch, 0);
	while ((word = text_next_word(&list)) != NULL) {
		text = fs_read_file(b->scratch, word, MAP_VALUE_MAX, &len);
		if (text == NULL) {
			*why = pool_printf(b->scratch, "%s: %s", word,
			    strerror(errno));
			return NULL;
		}
		if (all.len > 0)
			str_add_char(&all, '\n');
		str_add_mem(&all, text, len);
	}
	base64_encode(&encoded, all.data, all.len);
	return encoded.data;
}

/* One line of the source into the table. */
static const char *
build_line(struct map *m, char *text, unsigned number)
{
	struct building	*b = m->state;
	const char	*why;
	char		*key, *value;

	why = b->how & MAP_ALIAS ?
	    map_cut_alias(b->scratch, text, &key, &value) :
	    map_cut_line(text, &key, &value);
	if (why != NULL) {
		warn(b, number, pool_printf(b->scratch, "%s; the line is "
		    "passed over", why));
		return NULL;
	}
	if (!(b->how & MAP_ALIAS) && key[strlen(key) - 1] == ':')
		warn(b, number, "the key ends with a colon; is this an alias "
		    "file?");
	if (!(b->how & MAP_KEEPS_CASE))
		text_lower(key);
	if (b->how & MAP_FILES &&
	    (value = read_files(b, value, &why)) == NULL)
		return why;
	switch (b->writer->put(b->state, key, value, b->how & MAP_REPLACES)) {
	case 0:
		b->entries++;
		return NULL;
	case 1:
		if (!(b->how & MAP_QUIETLY))
			warn(b, number, pool_printf(b->scratch, "%s is there "
			    "already; the first one counts", key));
		return NULL;
	default:
		return strerror(errno);
	}
}

/* Where the table is, behind symbolic links. */
static char *
target_of(struct pool *pool, const char *rest, const char *suffix)
{
	char	*path = pool_printf(pool, "%s%s", rest, suffix), *real, *copy;

	if ((real = realpath(path, NULL)) == NULL)
		return path;
	copy = pool_strdup(pool, real);
	free(real);
	return copy;
}

/* Owner and mode of the table there was, or of the source. Only root can
 * give files away; others keep them. */
static int
dress(int fd, const char *target, const char *source, unsigned how)
{
	struct stat	st;
	bool		is_new = stat(target, &st) == -1;

	if (is_new && how & MAP_DEFAULT_MODE)
		return fchmod(fd, 0644);

	if (is_new && stat(source, &st) == -1)
		return -1;
	if (fchown(fd, st.st_uid, st.st_gid) == -1 && errno != EPERM)
		return -1;
	return fchmod(fd, st.st_mode & 0666);
}

/* Sync the name's directory. */
static int
sync_directory_of(struct pool *pool, const char *path)
{
	int	fd, result;

	fd = fs_open_directory(AT_FDCWD, dirname(pool_strdup(pool, path)));
	if (fd == -1)
		return -1;
	result = fs_sync(fd);
	close(fd);
	return result;
}

/* Make the finished file the table. */
static int
install(struct pool *pool, const char *temporary, const char *target,
    const char *source, unsigned how)
{
	int	fd, result = -1;

	fd = open(temporary, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return -1;
	if (dress(fd, target, source, how) == 0 && fs_sync(fd) == 0)
		result = rename(temporary, target);
	close(fd);
	if (result == -1)
		return -1;
	return sync_directory_of(pool, target);
}

/* Fill the temporary file. */
static const char *
fill(struct pool *pool, const struct map_type *type, const char *source,
    const char *temporary, struct building *b)
{
	struct map	 m = { .type = type, .rest = source, .pool = pool,
			     .state = b };
	const char	*why, *also;

	why = b->writer->create(pool, temporary, type == &map_btree,
	    &b->state);
	if (why != NULL)
		return why;
	why = map_read_lines(&m, source, build_line);
	also = b->writer->finish(b->state);
	return why != NULL ? why : also;
}

/* The type if it can be written. */
static const char *
writable(struct pool *pool, const char *word, const struct map_type **type,
    const char **rest)
{
	if ((*type = map_type_find(word, rest)) == NULL)
		return pool_printf(pool, "%s: expected type:name of a type "
		    "that this build knows", word);
	if ((*type)->writer == NULL)
		return pool_printf(pool, "%s: tables of type %s are text and "
		    "not built", word, (*type)->name);
	return NULL;
}

/* Build a table beside the old one, then take its name. */
const char *
map_build(struct pool *pool, const char *word, unsigned how,
    unsigned *entries, struct str *warnings)
{
	const struct map_type	*type;
	struct building		 b = { .how = how,
				     .warnings = warnings, .scratch = pool };
	const char		*source, *why;
	char			*target, *temporary;

	if ((why = writable(pool, word, &type, &source)) != NULL)
		return why;
	b.writer = type->writer;
	b.name = source;
	target = target_of(pool, source, b.writer->suffix);
	temporary = pool_printf(pool, "%s.%ld.new", target, (long)getpid());
	(void)unlink(temporary);
	why = fill(pool, type, source, temporary, &b);
	if (why == NULL &&
	    install(pool, temporary, target, source, how) == -1)
		why = pool_printf(pool, "%s: %s", target, strerror(errno));
	if (why != NULL)
		(void)unlink(temporary);
	*entries = b.entries;
	return why;
}

/* Open the table there is, for a change or a walk. */
static const char *
change(struct pool *pool, const char *word, bool only_reads,
    const struct map_writer **writer, void **state)
{
	const struct map_type	*type;
	const char		*rest, *why;

	if ((why = writable(pool, word, &type, &rest)) != NULL)
		return why;
	*writer = type->writer;
	return type->writer->change(pool, target_of(pool, rest,
	    type->writer->suffix), type == &map_btree, only_reads, state);
}

/* A copy of the key in lower case, as tables have it. */
static char *
folded(struct pool *pool, const char *key)
{
	char	*copy = pool_strdup(pool, key);

	text_lower(copy);
	return copy;
}

/* Add lines to the table where it is. */
const char *
map_merge(struct pool *pool, const char *word, char *text,
    const char *text_name, unsigned how, unsigned *entries,
    struct str *warnings)
{
	struct building		 b = { .name = text_name, .how = how,
				     .warnings = warnings, .scratch = pool };
	struct map		 m = { .pool = pool, .state = &b };
	const char		*why, *also;

	if ((why = change(pool, word, false, &b.writer, &b.state)) != NULL)
		return why;
	why = map_text_lines(&m, text_name, text, build_line);
	also = b.writer->finish(b.state);
	*entries = b.entries;
	return why != NULL ? why : also;
}

/* Set one key. */
const char *
map_put(struct pool *pool, const char *word, const char *key,
    const char *value)
{
	const struct map_writer	*writer;
	const char		*why, *also;
	void			*state;

	if ((why = change(pool, word, false, &writer, &state)) != NULL)
		return why;
	if (writer->put(state, folded(pool, key), value, true) == -1)
		why = strerror(errno);
	also = writer->finish(state);
	return why != NULL ? why : also;
}

/* Remove one key, folded already if that is wanted. */
const char *
map_delete_exactly(struct pool *pool, const char *word, const char *key,
    bool *was_there)
{
	const struct map_writer	*writer;
	const char		*why, *also;
	void			*state;
	int			 result;

	*was_there = false;
	if ((why = change(pool, word, false, &writer, &state)) != NULL)
		return why;
	result = writer->delete(state, key);
	if (result == -1)
		why = strerror(errno);
	*was_there = result == 0;
	also = writer->finish(state);
	return why != NULL ? why : also;
}

/* Remove one key in lower case. */
const char *
map_delete(struct pool *pool, const char *word, const char *key,
    bool *was_there)
{
	return map_delete_exactly(pool, word, folded(pool, key), was_there);
}

/* Show every row. */
const char *
map_walk(struct pool *pool, const char *word,
    void (*each)(void *, const char *, const char *), void *context)
{
	const struct map_writer	*writer;
	const char		*why, *also;
	void			*state;

	if ((why = change(pool, word, true, &writer, &state)) != NULL)
		return why;
	why = writer->walk(pool, state, each, context);
	also = writer->finish(state);
	return why != NULL ? why : also;
}
