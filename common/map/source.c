/*
 * source.c - tables as people write them: logical lines, keys and values.
 *
 * A line that begins with white space continues the one before; empty lines
 * and lines whose first visible character is # are skipped wherever they
 * stand. A file is read whole, and read again when it changed meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/map/inside.h"

enum { READS = 5 };		/* of a file that changes all the time */

/* Read the file if it looks the same before and after. 1, 0 (it changed), or
 * -1 with errno. */
static int
read_once(struct map *m, const char *path, char **text, size_t *len)
{
	struct map_stamp	 before = { 0 }, after = { 0 };
	struct stat		 st;
	int			 fd, error;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return -1;
	*text = NULL;
	if (fstat(fd, &st) == 0) {
		map_stamp_take(&before, &st);
		*text = fs_read_fd(m->pool, fd, MAP_SOURCE_MAX, len);
	}
	if (*text != NULL && fstat(fd, &st) == 0)
		map_stamp_take(&after, &st);
	error = errno;
	close(fd);
	errno = error;
	if (*text == NULL)
		return -1;
	if (!map_stamp_equal(&before, &after))
		return 0;
	map_watch(m, path, &after);
	return 1;
}

/* The whole text; NULL or why not. */
static const char *
read_text(struct map *m, const char *path, char **text)
{
	size_t	len;
	int	i, result = 0;

	for (i = 0; i < READS && result == 0; i++)
		result = read_once(m, path, text, &len);
	if (result == -1)
		return pool_printf(m->pool, "%s: %s", path, strerror(errno));
	if (result == 0)
		return pool_printf(m->pool, "%s: it changes while it is read",
		    path);
	if (memchr(*text, '\0', len) != NULL)
		return pool_printf(m->pool, "%s: expected text, found a NUL "
		    "byte", path);
	return NULL;
}

/* Where one file is being read. */
struct reader {
	char		*next;
	unsigned	 line;		/* number of the line before `next` */
};

enum line_kind { LINE_END, LINE_NOTHING, LINE_STARTS, LINE_CONTINUES };

/* Look at the physical line at r->next; its length without the LF. */
static enum line_kind
look(struct reader *r, size_t *len)
{
	char	*p = r->next;

	*len = strcspn(p, "\n");
	if (*p == '\0')
		return LINE_END;
	while (text_is_space(*p) && *p != '\n')
		p++;
	if (*p == '\0' || *p == '\n' || *p == '#')
		return LINE_NOTHING;
	return p == r->next ? LINE_STARTS : LINE_CONTINUES;
}

/* The next logical line, joined in place; NULL at the end. */
static char *
next_line(struct reader *r, unsigned *number, bool *has_start)
{
	char		*start = NULL, *to = NULL;
	enum line_kind	 kind;
	size_t		 len;

	while ((kind = look(r, &len)) != LINE_END) {
		if (start != NULL && kind == LINE_STARTS)
			break;
		r->line++;
		if (kind != LINE_NOTHING) {
			if (start == NULL) {
				start = to = r->next;
				*number = r->line;
				*has_start = kind == LINE_STARTS;
			}
			memmove(to, r->next, len);
			to += len;
		}
		r->next += len;
		if (*r->next == '\n')
			r->next++;
	}
	/* The text behind was read already: at worst this hits its LF. */
	if (to != NULL)
		*to = '\0';
	return start;
}

/* Give each logical line to its reader. */
const char *
map_text_lines(struct map *m, const char *name, char *text,
    const char *(*line)(struct map *, char *, unsigned))
{
	struct reader	 r = { .next = text };
	const char	*why;
	unsigned	 number;
	char		*next;
	bool		 has_start;

	while ((next = next_line(&r, &number, &has_start)) != NULL) {
		why = has_start ? line(m, text_trim(next), number) :
		    "a line that begins with white space continues another, "
		    "and there is none";
		if (why != NULL)
			return pool_printf(m->pool, "%s:%u: %s", name, number,
			    why);
	}
	return NULL;
}

/* The lines of a file. */
const char *
map_read_lines(struct map *m, const char *path,
    const char *(*line)(struct map *, char *, unsigned))
{
	const char	*why;
	char		*text;

	if ((why = read_text(m, path, &text)) != NULL)
		return why;
	return map_text_lines(m, path, text, line);
}

/* The rules of a file, or those written instead of its name. */
const char *
map_read_rules(struct map *m,
    const char *(*line)(struct map *, char *, unsigned))
{
	char		*list, *word;
	const char	*why;
	unsigned	 number = 0;

	if (m->rest[0] != '{')
		return map_read_lines(m, m->rest, line);
	list = map_unbrace(pool_strdup(m->pool, m->rest));
	while ((word = map_next_word(&list)) != NULL) {
		why = *word == '{' ? line(m, map_unbrace(word), ++number) :
		    "expected rules in braces";
		if (why != NULL)
			return pool_printf(m->pool, "rule %u: %s", number,
			    why);
	}
	return NULL;
}

/* The end of a key: white space, or `stop`, outside quotes. */
static char *
key_end(char *at, char stop)
{
	bool	is_quoted = false;

	for (; *at != '\0'; at++) {
		if (*at == '\\' && is_quoted && at[1] != '\0')
			at++;
		else if (*at == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && (stop == ' ' ? text_is_space(*at) :
		    *at == stop))
			break;
	}
	return at;
}

/* "key value", or "\"key with spaces\" value": quotes are part of the key,
 * as they are of an address that is asked for. */
const char *
map_cut_line(char *text, char **key, char **value)
{
	char	*end = key_end(text, ' ');

	*value = *end == '\0' ? end : text_trim(end + 1);
	if (**value == '\0')
		return "expected a key, white space, and a value";
	*end = '\0';
	*key = text;
	return NULL;
}

/* "name: value"; the name is a local part, perhaps quoted. */
const char *
map_cut_alias(struct pool *pool, char *text, char **key, char **value)
{
	char	*end = key_end(text, ':');

	if (*end != ':')
		return "expected a name, a colon, and a value";
	*end = '\0';
	*value = text_trim(end + 1);
	*key = text_trim(text);
	if (**key == '\0')
		return "expected a name before the colon";
	if (**value == '\0')
		return "expected a value after the colon";
	*key = address_unquote_local(pool, *key, strlen(*key));
	if (*key == NULL)
		return "expected a name";
	return NULL;
}
