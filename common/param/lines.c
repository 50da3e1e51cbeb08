/*
 * lines.c - the logical lines of main.cf and master.cf.
 */
#include "common/param/lines.h"

#include <errno.h>
#include <string.h>

#include "common/base/str.h"
#include "common/base/text.h"
#include "common/param/lent.h"

enum { FILE_LIMIT = 16 * 1024 * 1024 };

/* Read the whole file; a configuration is text and has no NUL in it. */
char *
lines_open(struct lines *l, struct pool *pool, const char *path)
{
	char	*data;
	size_t	 len;

	if ((data = lent_read(pool, path, FILE_LIMIT, &len)) == NULL)
		return pool_printf(pool, "%s: %s", path, strerror(errno));
	if (memchr(data, '\0', len) != NULL)
		return pool_printf(pool, "%s: expected text, found a NUL byte",
		    path);
	lines_open_text(l, pool, path, data, len);
	return NULL;
}

/* Lines of what was read already. */
void
lines_open_text(struct lines *l, struct pool *pool, const char *path,
    const char *text, size_t len)
{
	l->pool = pool;
	l->path = pool_strdup(pool, path);
	l->next = text;
	l->end = text + len;
	l->line = 0;
}

/* A comment or blank, a beginning, or more of the line before? */
enum line_kind
lines_kind(const char *at, const char *end)
{
	const char	*p = at;

	while (p < end && text_is_space(*p))
		p++;
	if (p == end || *p == '#')
		return LINE_NOTHING;
	return p == at ? LINE_STARTS : LINE_CONTINUES;
}

/* Join one line with all that continue it. */
char *
lines_next(struct lines *l, unsigned *line, char **why)
{
	struct str	 whole = { 0 };
	const char	*end;
	enum line_kind	 kind;

	*why = NULL;
	for (; l->next < l->end; l->next = end < l->end ? end + 1 : end) {
		end = memchr(l->next, '\n', (size_t)(l->end - l->next));
		if (end == NULL)
			end = l->end;
		kind = lines_kind(l->next, end);
		if (kind == LINE_STARTS && whole.data != NULL)
			break;
		l->line++;
		if (kind == LINE_NOTHING)
			continue;
		if (kind == LINE_CONTINUES && whole.data == NULL) {
			*why = pool_printf(l->pool, "%s:%u: white space "
			    "before it makes this line continue another, "
			    "and there is none", l->path, l->line);
			return NULL;
		}
		if (whole.data == NULL) {
			str_init(&whole, l->pool, 0);
			*line = l->line;
		}
		str_add_mem(&whole, l->next, (size_t)(end - l->next));
	}
	return whole.data;
}
