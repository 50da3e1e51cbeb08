/*
 * edit.c - change settings in a main.cf and leave everything else alone.
 *
 * The first line of a setting takes the new value, its later lines and later
 * settings of the name go; comments stay wherever they are. New names go to
 * the end.
 */
#include "common/param/maincf.h"

#include <string.h>

#include "common/param/lines.h"
#include "common/param/replace.h"

struct edit {
	struct pool		 *pool;
	const char *const	 *names;
	const char *const	 *values;
	size_t			  count;
	bool			  comment_out;
	bool			 *is_done;	/* one for each name */
	struct str		 *out;
};

/* The end of the line, behind its line feed. */
static const char *
line_end(const char *at, const char *stop)
{
	const char	*end = memchr(at, '\n', (size_t)(stop - at));

	return end == NULL ? stop : end + 1;
}

/* The first character behind white space; 0 at the end of the line. */
static char
first_in(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at == end || *at == '\n' || *at == '\r' ? 0 : *at;
}

/* Does the name on the line before go on with "=" here? */
static bool
goes_on(const char *at, const char *stop)
{
	const char	*end;

	for (; at < stop; at = end) {
		end = line_end(at, stop);
		if (lines_kind(at, end) != LINE_NOTHING)
			return lines_kind(at, end) == LINE_CONTINUES &&
			    first_in(at, end) == '=';
	}
	return false;
}

/* Which of the names does the line set? count: none. */
static size_t
name_in(const struct edit *e, const char *line, const char *end,
    const char *stop)
{
	size_t	i, n;
	char	c;

	for (i = 0; i < e->count; i++) {
		n = strlen(e->names[i]);
		if ((size_t)(end - line) <= n ||
		    memcmp(line, e->names[i], n) != 0)
			continue;
		if ((c = first_in(line + n, end)) == '=' || (c == 0 &&
		    goes_on(end, stop)))
			return i;
	}
	return e->count;
}

/* Write the new value, once. */
static void
add_setting(struct edit *e, size_t which)
{
	if (e->is_done[which] || e->values[which] == NULL)
		return;
	e->is_done[which] = true;
	str_addf(e->out, "%s = %s\n", e->names[which], e->values[which]);
}

/* Copy line by line; `which` is the name whose lines are passed now. */
static void
rewrite(struct edit *e, const char *data, size_t len)
{
	const char	*at = data, *end, *stop = data + len;
	size_t		 which = e->count;

	for (; at < stop; at = end) {
		end = line_end(at, stop);
		switch (lines_kind(at, end)) {
		case LINE_NOTHING:
			str_add_mem(e->out, at, (size_t)(end - at));
			continue;
		case LINE_STARTS:
			which = name_in(e, at, end, stop);
			if (which < e->count)
				add_setting(e, which);
			break;
		case LINE_CONTINUES:
			break;
		}
		if (which < e->count && e->values[which] == NULL &&
		    e->comment_out)
			str_add_char(e->out, '#');
		else if (which < e->count)
			continue;
		str_add_mem(e->out, at, (size_t)(end - at));
	}
	if (e->out->len > 0 && e->out->data[e->out->len - 1] != '\n')
		str_add_char(e->out, '\n');
}

/* A name and a value that a reader would take for the same. */
static const char *
check(const struct edit *e)
{
	const char	*value;
	size_t		 i;

	for (i = 0; i < e->count; i++) {
		value = e->values[i];
		if (e->names[i][0] == '\0' || e->names[i][0] == '#' ||
		    strpbrk(e->names[i], "= \t\r\n\v\f") != NULL)
			return pool_printf(e->pool, "expected a parameter's "
			    "name, got \"%s\"", e->names[i]);
		if (value != NULL && strpbrk(value, "\n\r") != NULL)
			return pool_printf(e->pool, "%s: expected a value in "
			    "one line", e->names[i]);
	}
	return NULL;
}

/* The text of the file with the changes. */
static const char *
change(void *arg, const char *data, size_t len, struct str *out)
{
	struct edit	*e = arg;
	size_t		 i;

	e->out = out;
	rewrite(e, data, len);
	for (i = 0; i < e->count; i++)
		add_setting(e, i);
	return NULL;
}

/* Change settings in the file behind the path, links followed. */
const char *
maincf_edit(struct pool *pool, const char *path, const char *const *names,
    const char *const *values, size_t count, bool comment_out)
{
	struct edit	 e = { pool, names, values, count, comment_out,
	    pool_array(pool, count, sizeof(bool)), NULL };
	const char	*why;

	if ((why = check(&e)) != NULL)
		return why;
	return replace_file(pool, path, change, &e);
}
