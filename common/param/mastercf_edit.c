/*
 * mastercf_edit.c - change services in a master.cf and leave the rest alone.
 *
 * A changed service is written at its first line; comments among its lines
 * follow it, everything else stays byte for byte.
 */
#include "common/param/mastercf.h"

#include <string.h>

#include "common/base/str.h"
#include "common/param/lines.h"
#include "common/param/replace.h"

struct edit {
	struct pool		*pool;
	const char		*path;
	struct mastercf_change	*changes;
	size_t			 count;
	struct str		*out;
};

/* The lines of one service, and the comments behind or among them. */
struct block {
	const char	*start, *end;
};

/* One name or type, or any. */
static bool
is_meant(const char *pattern, const char *text)
{
	return strcmp(pattern, "*") == 0 || strcmp(pattern, text) == 0;
}

/* One line of text as a service, NULL with *why. */
static struct service *
parse_one(struct edit *e, const char *text, size_t len, char **why)
{
	struct mastercf	*m = mastercf_parse(e->pool, "the new text", text,
	    len, why);

	if (m == NULL)
		return NULL;
	if (m->count == 1)
		return m->services;
	*why = pool_printf(e->pool, "expected one service, got \"%.*s\"",
	    (int)len, text);
	return NULL;
}

/* Copy a block's lines of its own with a mark before them, or its others. */
static void
add_lines(struct edit *e, const struct block *b, bool own, const char *mark)
{
	const char	*at, *end;

	for (at = b->start; at < b->end; at = end) {
		end = memchr(at, '\n', (size_t)(b->end - at));
		end = end == NULL ? b->end : end + 1;
		if (lines_kind(at, end) == LINE_NOTHING)
			str_add_mem(e->out, at, (size_t)(end - at));
		else if (own) {
			str_add(e->out, mark);
			str_add_mem(e->out, at, (size_t)(end - at));
		}
	}
}

/* Append a word to the arguments, at a place. */
static void
insert_argument(struct pool *pool, struct service *s, size_t at,
    const char *word)
{
	char	**words = pool_array(pool, s->argument_count + 1,
	    sizeof(*words));

	memcpy(words, s->arguments, at * sizeof(*words));
	words[at] = pool_strdup(pool, word);
	memcpy(words + at + 1, s->arguments + at,
	    (s->argument_count - at) * sizeof(*words));
	s->arguments = words;
	s->argument_count++;
}

/* Take out the n-th -o; its words go, too. */
static void
remove_option(struct service *s, size_t which)
{
	size_t	i, n = 1, seen = 0;

	for (i = 0; i < s->option_words; i += n) {
		n = strcmp(s->arguments[i], "-o") == 0 ? 2 : 1;
		if (strncmp(s->arguments[i], "-o", 2) == 0 && seen++ == which)
			break;
	}
	memmove(s->arguments + i, s->arguments + i + n,
	    (s->argument_count - i - n) * sizeof(*s->arguments));
	s->argument_count -= n;
	s->option_words -= n;
	s->option_count--;
	memmove(s->options + which, s->options + which + 1,
	    (s->option_count - which) * sizeof(*s->options));
}

/* Set, add or remove one -o. */
static void
change_option(struct pool *pool, struct service *s,
    const struct mastercf_change *c)
{
	struct service_option	*options;
	size_t			 i;
	bool			 is_there = false;

	for (i = 0; i < s->option_count; i++) {
		if (strcmp(s->options[i].name, c->item) != 0)
			continue;
		is_there = true;
		if (c->value == NULL)
			remove_option(s, i--);
		else
			s->options[i].value = c->value;
	}
	if (is_there || c->value == NULL)
		return;
	options = pool_array(pool, s->option_count + 1, sizeof(*options));
	memcpy(options, s->options, s->option_count * sizeof(*options));
	options[s->option_count].name = c->item;
	options[s->option_count++].value = c->value;
	s->options = options;
	insert_argument(pool, s, s->option_words++, "-o");
	insert_argument(pool, s, s->option_words++, c->item);
}

/* Set one column, or the command with its arguments. */
static const char *
change_field(struct edit *e, struct service *s,
    const struct mastercf_change *c)
{
	const struct service	*other;
	struct str		 line;
	size_t			 i;
	char			*why;

	str_init(&line, e->pool, 0);
	for (i = 0; mastercf_fields[i] != NULL; i++) {
		if (strcmp(mastercf_fields[i], c->item) == 0)
			str_addf(&line, "%s ", c->value);
		else if (i == MASTERCF_COMMAND)
			str_add(&line, mastercf_command(e->pool, s, 0,
			    false));
		else
			str_addf(&line, "%s ", mastercf_field(s, i));
	}
	if ((other = parse_one(e, line.data, line.len, &why)) == NULL)
		return why;
	*s = *other;
	return NULL;
}

/* One service, changed and perhaps gone. */
static const char *
apply(struct edit *e, const struct block *b, struct service *s,
    bool *is_gone)
{
	struct mastercf_change	*c;
	struct service		*other;
	const char		*why = NULL;
	char			*reason;

	*is_gone = false;
	for (c = e->changes; c < e->changes + e->count && why == NULL; c++) {
		if (!is_meant(c->name, s->name) || !is_meant(c->type, s->type))
			continue;
		c->was_found = true;
		if (c->what == CHANGE_OPTION)
			change_option(e->pool, s, c);
		else if (c->what == CHANGE_FIELD)
			why = change_field(e, s, c);
		else if (c->value == NULL) {
			add_lines(e, b, c->comments_out, "#");
			*is_gone = true;
			return NULL;
		} else if ((other = parse_one(e, c->value, strlen(c->value),
		    &reason)) == NULL)
			return reason;
		else
			*s = *other;
	}
	return why;
}

/* Everything between the start of one service and that of the next. */
static const char *
change_block(struct edit *e, const struct block *b)
{
	struct service	*s;
	const char	*why, *before, *after;
	char		*reason;
	bool		 is_gone;

	s = parse_one(e, b->start, (size_t)(b->end - b->start), &reason);
	if (s == NULL) {		/* not ours to mend */
		str_add_mem(e->out, b->start, (size_t)(b->end - b->start));
		return NULL;
	}
	before = mastercf_text(e->pool, s, true);
	if ((why = apply(e, b, s, &is_gone)) != NULL || is_gone)
		return why;
	after = mastercf_text(e->pool, s, true);
	if (strcmp(before, after) != 0)
		str_addf(e->out, "%s\n", after);
	add_lines(e, b, strcmp(before, after) == 0, "");
	return NULL;
}

/* Services that are set and were not there. */
static const char *
add_missing(struct edit *e)
{
	struct mastercf_change	*c;
	struct service		*s;
	char			*why;

	for (c = e->changes; c < e->changes + e->count; c++) {
		if (c->what != CHANGE_SERVICE || c->value == NULL ||
		    c->was_found)
			continue;
		s = parse_one(e, c->value, strlen(c->value), &why);
		if (s == NULL)
			return why;
		c->was_found = true;
		if (e->out->len > 0 && e->out->data[e->out->len - 1] != '\n')
			str_add_char(e->out, '\n');
		str_addf(e->out, "%s\n", mastercf_text(e->pool, s, true));
	}
	return NULL;
}

/* Block by block. */
static const char *
rewrite(struct edit *e, const char *data, const char *stop)
{
	struct block	 b = { data, data };
	const char	*at, *end, *why;
	bool		 is_service = false;

	for (at = data; at <= stop; at = end) {
		end = at == stop ? NULL :
		    memchr(at, '\n', (size_t)(stop - at));
		end = end == NULL ? stop : end + 1;
		if (at < stop && lines_kind(at, end) != LINE_STARTS)
			continue;
		b.end = at;
		if (!is_service)
			str_add_mem(e->out, b.start, (size_t)(at - b.start));
		else if ((why = change_block(e, &b)) != NULL)
			return why;
		is_service = true;
		b.start = at;
		if (at == stop)
			break;
	}
	return add_missing(e);
}

/* The text of the file with the changes. */
static const char *
change(void *arg, const char *data, size_t len, struct str *out)
{
	struct edit	*e = arg;
	const char	*why;
	char		*problem, *old;

	e->out = out;
	if ((why = rewrite(e, data, data + len)) != NULL)
		return why;
	if (mastercf_parse(e->pool, e->path, out->data, out->len,
	    &problem) == NULL &&
	    mastercf_parse(e->pool, e->path, data, len, &old) != NULL)
		return pool_printf(e->pool, "nothing is changed, because "
		    "then: %s", problem);
	return NULL;
}

/* Change services in the file. */
const char *
mastercf_edit(struct pool *pool, const char *path,
    struct mastercf_change *changes, size_t count)
{
	struct edit	e = { pool, path, changes, count, NULL };

	return replace_file(pool, path, change, &e);
}
