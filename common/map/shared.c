/*
 * shared.c - what types of tables share: words of their names, the looks of
 * their files, the sentence of a failure. It knows no type, so that who needs
 * a table of text alone does not link the libraries of all.
 */
#include <stdarg.h>
#include <string.h>

#include "common/base/text.h"
#include "common/map/inside.h"
#include "common/map/map.h"

/* --- names --------------------------------------------------------------- */

/* What stands between two words. */
static bool
is_separator(char c)
{
	return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Cut the next word off a list of tables. */
char *
map_next_word(char **list)
{
	char	*word = *list, *at;
	int	 depth = 0;

	while (is_separator(*word))
		word++;
	if (*word == '\0')
		return NULL;
	for (at = word; *at != '\0' && (depth > 0 || !is_separator(*at)); at++)
		if (*at == '{')
			depth++;
		else if (*at == '}' && depth > 0)
			depth--;
	*list = *at == '\0' ? at : at + 1;
	*at = '\0';
	return word;
}

/* Take the braces off. */
char *
map_unbrace(char *text)
{
	size_t	len;

	text = text_trim(text);
	len = strlen(text);
	if (len < 2 || text[0] != '{' || text[len - 1] != '}')
		return text;
	text[len - 1] = '\0';
	return text_trim(text + 1);
}

/* --- files --------------------------------------------------------------- */

/* What tells one state of a file from the next. */
void
map_stamp_take(struct map_stamp *stamp, const struct stat *st)
{
	stamp->device = st->st_dev;
	stamp->inode = st->st_ino;
	stamp->size = st->st_size;
	stamp->modified = st->st_mtim;
	stamp->changed = st->st_ctim;
}

/* Are they the same instant? */
static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Does a file look as it did? */
bool
map_stamp_equal(const struct map_stamp *a, const struct map_stamp *b)
{
	return a->device == b->device && a->inode == b->inode &&
	    a->size == b->size && same_time(&a->modified, &b->modified) &&
	    same_time(&a->changed, &b->changed);
}

/* Has it been written to? The change time is no sign: it moves when another
 * file takes the name, too. */
bool
map_is_rewritten(int fd, const struct map_stamp *stamp)
{
	struct stat	now;

	return fstat(fd, &now) == -1 || now.st_size != stamp->size ||
	    !same_time(&now.st_mtim, &stamp->modified);
}

/* Remember how a file looks. */
void
map_watch(struct map *m, const char *path, const struct map_stamp *stamp)
{
	struct map_file	*file = pool_alloc(m->pool, sizeof(*file));
	struct stat	 st;

	file->path = pool_strdup(m->pool, path);
	if (stamp != NULL)
		file->stamp = *stamp;
	else if (stat(path, &st) == 0)
		map_stamp_take(&file->stamp, &st);
	file->next = m->files;
	m->files = file;
}

/* --- failures ------------------------------------------------------------ */

/* A temporary failure with its reason. */
enum map_result
map_failed(struct pool *pool, char **why, const char *format, ...)
{
	struct str	text;
	va_list		ap;

	str_init(&text, pool, 1000);
	va_start(ap, format);
	str_addv(&text, format, ap);
	va_end(ap);
	*why = text.data;
	return MAP_ERROR;
}
