/*
 * macro.c - $name in commands, paths and addresses, filled in for one
 * delivery.
 *
 * What is filled in comes from strangers: an address's extension may be
 * "; rm -rf". So each user of this has a filter, and values are never looked
 * through for names of their own.
 */
#include "local/macro.h"

#include <string.h>

#include "common/base/str.h"

enum { DEPTH = 20, LIMIT = 64 * 1024 };

struct expander {
	struct pool		*pool;
	const struct macro	*table;
	const char		*filter;
	struct str		 out;
	bool			 is_unset;
	const char		*why;
	int			 depth;
};

static void	expand(struct expander *, const char *text, size_t len);

/* Replace what the filter does not let through. */
void
macro_filter(char *value, const char *filter)
{
	while (*(value += strspn(value, filter)) != '\0')
		*value++ = '_';
}

/* The row of a name, NULL with a sentence. */
static const struct macro *
find(struct expander *x, const char *name, size_t len)
{
	const struct macro	*m;

	for (m = x->table; m->name != NULL; m++)
		if (strlen(m->name) == len && memcmp(m->name, name, len) == 0)
			return m;
	x->why = pool_printf(x->pool, "the name \"%.*s\" is not known here",
	    (int)(len < 40 ? len : 40), name);
	return NULL;
}

/* Add a value. */
static void
add_value(struct expander *x, const struct macro *m)
{
	char	*value;

	if (m->value == NULL || m->value[0] == '\0') {
		x->is_unset = true;
		return;
	}
	value = pool_strdup(x->pool, m->value);
	if (x->filter != NULL)
		macro_filter(value, x->filter);
	str_add(&x->out, value);
}

/* Letters of a name. */
static size_t
name_length(const char *text, size_t len)
{
	size_t	n = 0;

	while (n < len && (text[n] == '_' ||
	    (text[n] >= '0' && text[n] <= '9') ||
	    ((text[n] | 32) >= 'a' && (text[n] | 32) <= 'z')))
		n++;
	return n;
}

/* Length of what is in brackets from text[0] on, without them; or -1. */
static ssize_t
inside(const char *text, size_t len)
{
	char	close = text[0] == '(' ? ')' : '}';
	size_t	i;
	int	depth = 0;

	for (i = 0; i < len; i++)
		if (text[i] == text[0])
			depth++;
		else if (text[i] == close && --depth == 0)
			return (ssize_t)i - 1;
	return -1;
}

/* The two texts of "a" or "{a}:{b}" behind "?" or ":". */
static void
choose(struct expander *x, bool wants_first, const char *text, size_t len)
{
	const char	*other = "";
	size_t		 other_len = 0;
	ssize_t		 n;

	if (len > 0 && text[0] == '{' && (n = inside(text, len)) >= 0) {
		other = text + n + 2;
		other_len = len - (size_t)n - 2;
		text++;
		len = (size_t)n;
		if (other_len > 0 && other[0] == ':') {
			other++;
			other_len--;
		}
		if (other_len > 0 && other[0] == '{' &&
		    (n = inside(other, other_len)) >= 0) {
			other++;
			other_len = (size_t)n;
		}
	}
	if (wants_first)
		expand(x, text, len);
	else
		expand(x, other, other_len);
}

/* What is between "${" and "}". */
static void
expand_braces(struct expander *x, const char *text, size_t len)
{
	size_t			 n = name_length(text, len);
	const struct macro	*m = find(x, text, n);
	bool			 has;

	if (m == NULL)
		return;
	has = m->value != NULL && m->value[0] != '\0';
	if (n == len)
		add_value(x, m);
	else if (text[n] == '?')
		choose(x, has, text + n + 1, len - n - 1);
	else if (text[n] == ':')
		choose(x, !has, text + n + 1, len - n - 1);
	else
		x->why = "a name is followed by neither \"?\" nor \":\"";
}

/* What is behind a "$": how many bytes it was. */
static size_t
expand_name(struct expander *x, const char *text, size_t len)
{
	const struct macro	*m;
	ssize_t			 n;
	size_t			 name;

	if (len > 0 && text[0] == '$') {
		str_add_char(&x->out, '$');
		return 1;
	}
	if (len > 0 && (text[0] == '{' || text[0] == '(')) {
		if ((n = inside(text, len)) == -1) {
			x->why = "a bracket is not closed";
			return len;
		}
		expand_braces(x, text + 1, (size_t)n);
		return (size_t)n + 2;
	}
	if ((name = name_length(text, len)) == 0) {
		x->why = "\"$\" without a name";
		return 0;
	}
	if ((m = find(x, text, name)) != NULL)
		add_value(x, m);
	return name;
}

/* Add the text. */
static void
expand(struct expander *x, const char *text, size_t len)
{
	size_t	i;

	if (++x->depth > DEPTH)
		x->why = "it is nested too deeply";
	for (i = 0; i < len && x->why == NULL; i++)
		if (text[i] == '$')
			i += expand_name(x, text + i + 1, len - i - 1);
		else
			str_add_char(&x->out, text[i]);
	x->depth--;
}

/* Fill in. */
char *
macro_expand(struct pool *pool, const char *text, const struct macro *table,
    const char *filter, bool *is_unset, const char **why)
{
	struct expander	x = { .pool = pool, .table = table,
			    .filter = filter };

	str_init(&x.out, pool, LIMIT);
	expand(&x, text, strlen(text));
	if (x.why == NULL && x.out.is_cut)
		x.why = "it is too long";
	if (is_unset != NULL)
		*is_unset = x.is_unset;
	*why = x.why;
	return x.why == NULL ? x.out.data : NULL;
}
