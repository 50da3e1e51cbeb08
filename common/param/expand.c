/*
 * expand.c - the small language of $name inside values.
 *
 *	$name ${name} $(name)		the value, itself expanded
 *	${name?text} ${name:text}	text if the value is not, is empty
 *	${name?{text}:{text}}		one or the other
 *	${{text} == {text} ? ...}	a comparison instead of a name
 *	$$				a dollar sign
 *
 * White space is free between the parts; inside text it counts. The work is
 * bounded: names may nest DEPTH deep, and one value looks up at most STEPS.
 */
#include "common/param/maincf.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH	= 40,
	STEPS	= 10000,
	LIMIT	= 1024 * 1024
};

struct expansion {
	struct maincf	*mc;
	struct pool	*pool;
	char		*why;
	unsigned	 steps;
};

/* A name, or a pair of braces, that is being expanded now. */
struct frame {
	const char		*name;		/* NULL: braces */
	const struct frame	*up;
	unsigned		 depth;
};

struct span {
	const char	*at, *end;
};

static int	expand(struct expansion *, struct span, struct str *,
		    const struct frame *);

/* Say what is wrong, and give the -1 that everyone passes on. */
static int
fail(struct expansion *x, const char *what, struct span s)
{
	if (s.at == NULL)
		x->why = pool_strdup(x->pool, what);
	else
		x->why = pool_printf(x->pool, "%s at \"%.*s\"", what,
		    s.end - s.at > 60 ? 60 : (int)(s.end - s.at), s.at);
	return -1;
}

/* May it stand in a name? */
static bool
is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Pass over white space. */
static void
skip_space(struct span *s)
{
	while (s->at < s->end && isspace((unsigned char)*s->at))
		s->at++;
}

/* What stands between the bracket at s->at and its partner; goes behind it. */
static int
bracketed(struct expansion *x, struct span *s, struct span *inside)
{
	char		 open = *s->at, close = open == '{' ? '}' : ')';
	const char	*p;
	unsigned	 depth = 0;

	for (p = s->at; p < s->end; p++) {
		if (*p == open)
			depth++;
		else if (*p == close && --depth == 0)
			break;
	}
	if (p == s->end)
		return fail(x, open == '{' ? "expected a closing }" :
		    "expected a closing )", *s);
	inside->at = s->at + 1;
	inside->end = p;
	s->at = p + 1;
	return 0;
}

/* One deeper; -1 when that is too deep. */
static int
descend(struct expansion *x, struct frame *f, const char *name,
    const struct frame *up)
{
	f->name = name;
	f->up = up;
	f->depth = up == NULL ? 1 : up->depth + 1;
	if (f->depth > DEPTH || ++x->steps > STEPS)
		return fail(x, "$names nest too deep or are too many",
		    (struct span){ NULL, NULL });
	return 0;
}

/* Add the value of a name, expanded in its turn. */
static int
add_named(struct expansion *x, struct span name, struct str *out,
    const struct frame *up)
{
	const char		*copy, *value;
	const struct frame	*f;
	struct frame		 here;

	copy = pool_strndup(x->pool, name.at, (size_t)(name.end - name.at));
	for (f = up; f != NULL; f = f->up)
		if (f->name != NULL && strcmp(f->name, copy) == 0) {
			x->why = pool_printf(x->pool, "$%s is used in its "
			    "own value", copy);
			return -1;
		}
	if (descend(x, &here, copy, up) == -1)
		return -1;
	if ((value = maincf_text(x->mc, copy)) == NULL)
		return 0;
	return expand(x, (struct span){ value, value + strlen(value) }, out,
	    &here);
}

/* Are these digits and nothing else? */
static bool
is_number(const struct str *s)
{
	return s->len > 0 && s->len < 19 &&
	    strspn(s->data, "0123456789") == s->len;
}

/* Compare "3.10" with "3.9" part by part. */
static int
compare_levels(const char *a, const char *b)
{
	while (*a != '\0' || *b != '\0') {
		char		*a_end, *b_end;
		unsigned long	 m = strtoul(a, &a_end, 10);
		unsigned long	 n = strtoul(b, &b_end, 10);

		if (m != n)
			return m < n ? -1 : 1;
		if (a_end == a && b_end == b)
			return strcmp(a, b);
		a = *a_end == '.' ? a_end + 1 : a_end;
		b = *b_end == '.' ? b_end + 1 : b_end;
	}
	return 0;
}

/* Less than, equal to, greater than 0: as numbers when both are. */
static int
compare(const struct str *left, const struct str *right, bool are_levels)
{
	if (are_levels)
		return compare_levels(left->data, right->data);
	if (is_number(left) && is_number(right)) {
		int64_t	m = strtoll(left->data, NULL, 10);
		int64_t	n = strtoll(right->data, NULL, 10);

		return m < n ? -1 : m > n;
	}
	return strcmp(left->data, right->data);
}

/* Expand "{text}" into a string of its own. */
static int
operand(struct expansion *x, struct span *s, struct str *text,
    const struct frame *up)
{
	struct span	inside;

	skip_space(s);
	if (s->at == s->end || *s->at != '{')
		return fail(x, "expected { and something to compare", *s);
	if (bracketed(x, s, &inside) == -1)
		return -1;
	str_init(text, x->pool, LIMIT);
	return expand(x, inside, text, up);
}

/* Read an operator; -1, or 0 with what it accepts and its kind. */
static int
operator(struct expansion *x, struct span *s, const char **accepts,
    bool *are_levels)
{
	static const struct { const char *sign, *accepts; } signs[] = {
		{ "==", "=" }, { "!=", "<>" }, { "<=", "<=" },
		{ ">=", ">=" }, { "<", "<" }, { ">", ">" }
	};
	size_t	i, len;

	skip_space(s);
	for (i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		len = strlen(signs[i].sign);
		if ((size_t)(s->end - s->at) < len ||
		    memcmp(s->at, signs[i].sign, len) != 0)
			continue;
		s->at += len;
		*accepts = signs[i].accepts;
		*are_levels = s->end - s->at >= 5 &&
		    memcmp(s->at, "level", 5) == 0;
		if (*are_levels)
			s->at += 5;
		return 0;
	}
	return fail(x, "expected == != < <= > or >=", *s);
}

/* "{a} == {b}": is it so? */
static int
comparison(struct expansion *x, struct span *s, bool *holds,
    const struct frame *up)
{
	struct str	 left, right;
	const char	*accepts;
	bool		 are_levels;
	int		 order;

	if (operand(x, s, &left, up) == -1 ||
	    operator(x, s, &accepts, &are_levels) == -1 ||
	    operand(x, s, &right, up) == -1)
		return -1;
	order = compare(&left, &right, are_levels);
	*holds = strchr(accepts, order < 0 ? '<' : order > 0 ? '>' : '=') !=
	    NULL;
	return 0;
}

/*
 * What follows a condition: "?text", ":text" or "?{text}:{text}". Adds the
 * one that is meant.
 */
static int
branches(struct expansion *x, struct span s, bool holds, struct str *out,
    const struct frame *up)
{
	struct span	chosen, other = { NULL, NULL }, rest = s;
	bool		when = *s.at == '?';

	rest.at++;
	chosen = rest;
	skip_space(&rest);
	if (rest.at < rest.end && *rest.at == '{') {
		if (bracketed(x, &rest, &chosen) == -1)
			return -1;
		skip_space(&rest);
		if (when && rest.at < rest.end && *rest.at == ':') {
			rest.at++;
			other = rest;
			skip_space(&rest);
			if (rest.at < rest.end && *rest.at == '{') {
				if (bracketed(x, &rest, &other) == -1)
					return -1;
				skip_space(&rest);
			} else
				rest.at = rest.end;
		}
		if (rest.at < rest.end)
			return fail(x, "expected a closing }", rest);
	}
	if (holds != when)
		chosen = other;
	return chosen.at == NULL ? 0 : expand(x, chosen, out, up);
}

/* The inside of "${...}" or "$(...)". */
static int
add_bracketed(struct expansion *x, struct span s, struct str *out,
    const struct frame *above)
{
	struct frame	here;
	struct span	name;
	struct str	value;
	bool		holds;

	if (descend(x, &here, NULL, above) == -1)
		return -1;
	skip_space(&s);
	if (s.at < s.end && *s.at == '{') {
		if (comparison(x, &s, &holds, &here) == -1)
			return -1;
		skip_space(&s);
		if (s.at == s.end) {
			str_add(out, holds ? "true" : "");
			return 0;
		}
	} else {
		name = s;
		while (s.at < s.end && is_name(*s.at))
			s.at++;
		name.end = s.at;
		if (name.at == name.end)
			return fail(x, "expected a name", s);
		skip_space(&s);
		if (s.at == s.end)
			return add_named(x, name, out, &here);
		str_init(&value, x->pool, LIMIT);
		if (add_named(x, name, &value, &here) == -1)
			return -1;
		holds = value.len > 0;
	}
	if (*s.at != '?' && *s.at != ':')
		return fail(x, "expected ? or :", s);
	return branches(x, s, holds, out, &here);
}

/* What stands behind one dollar sign; goes behind it. */
static int
add_dollar(struct expansion *x, struct span *s, struct str *out,
    const struct frame *up)
{
	struct span	inside = *s;

	if (s->at < s->end && *s->at == '$') {
		s->at++;
		str_add_char(out, '$');
		return 0;
	}
	if (s->at < s->end && (*s->at == '{' || *s->at == '(')) {
		if (bracketed(x, s, &inside) == -1)
			return -1;
		return add_bracketed(x, inside, out, up);
	}
	while (s->at < s->end && is_name(*s->at))
		s->at++;
	inside.end = s->at;
	if (inside.at == inside.end)
		return fail(x, "expected a name after $ ($$ is a dollar "
		    "sign)", (struct span){ NULL, NULL });
	return add_named(x, inside, out, up);
}

/* Copy text, with what dollar signs stand for. */
static int
expand(struct expansion *x, struct span s, struct str *out,
    const struct frame *up)
{
	const char	*dollar;

	while (s.at < s.end) {
		dollar = memchr(s.at, '$', (size_t)(s.end - s.at));
		if (dollar == NULL)
			dollar = s.end;
		str_add_mem(out, s.at, (size_t)(dollar - s.at));
		s.at = dollar;
		if (s.at == s.end)
			break;
		s.at++;
		if (add_dollar(x, &s, out, up) == -1)
			return -1;
	}
	if (out->is_cut)
		return fail(x, "the value grows too long",
		    (struct span){ NULL, NULL });
	return 0;
}

/* Expand one text. */
const char *
maincf_expand(struct maincf *mc, struct pool *pool, const char *value,
    char **why)
{
	struct expansion	x = { .mc = mc, .pool = pool };
	struct str		out;
	int			status;

	*why = NULL;
	if (strchr(value, '$') == NULL)
		return pool_strdup(pool, value);
	str_init(&out, pool, LIMIT);
	status = expand(&x, (struct span){ value, value + strlen(value) },
	    &out, NULL);
	*why = x.why;
	return status == -1 ? NULL : out.data;
}

/* The value of a name, expanded; a name in its own value is a loop. */
const char *
maincf_value(struct maincf *mc, struct pool *pool, const char *name,
    char **why)
{
	struct expansion	x = { .mc = mc, .pool = pool };
	struct span		s = { name, name + strlen(name) };
	struct str		out;
	const char		*text;
	int			status;

	*why = NULL;
	if ((text = maincf_text(mc, name)) == NULL)
		return NULL;
	if (strchr(text, '$') == NULL && strlen(text) <= LIMIT)
		return pool_strdup(pool, text);
	str_init(&out, pool, LIMIT);
	status = add_named(&x, s, &out, NULL);
	*why = x.why;
	return status == -1 ? NULL : out.data;
}
