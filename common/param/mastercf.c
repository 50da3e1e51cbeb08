/*
 * mastercf.c - master.cf: which programs run, how many, as whom.
 *
 * Words are separated by white space; a word that begins with { reaches to
 * the matching } and loses both, with the white space inside them. Options
 * (-o name=value) are read up to the first word that is none, so that what
 * pipe and spawn hand to a command is left alone.
 */
#include "common/param/mastercf.h"

#include <string.h>

#include "common/base/text.h"
#include "common/param/lines.h"

enum { COLUMNS = 7 };			/* before the command */

static const char *const column_names[COLUMNS] = {
	"service", "type", "private", "unpriv", "chroot", "wakeup", "maxproc"
};

struct reader {
	struct pool	*pool;
	const char	*path;
	unsigned	 line;
	char		*why;
};

/* Words of one line, growing. */
struct words {
	char	**items;
	size_t	  count, room;
};

/* Say what is wrong in this line. */
static int
fail(struct reader *r, const char *column, const char *expected,
    const char *got)
{
	r->why = pool_printf(r->pool, "%s:%u: %s: %s, got \"%s\"", r->path,
	    r->line, column, expected, got);
	return -1;
}

/* Append a word. */
static void
words_add(struct pool *pool, struct words *w, char *word)
{
	w->items = pool_grow(pool, w->items, &w->room, w->count + 1,
	    sizeof(*w->items));
	w->items[w->count++] = word;
}

/* The partner of the brace at p, or NULL. */
static char *
closing(char *p)
{
	unsigned	depth = 0;

	for (; *p != '\0'; p++)
		if (*p == '{')
			depth++;
		else if (*p == '}' && --depth == 0)
			return p;
	return NULL;
}

/* The end of a word: white space, but not the one in its braces. */
static char *
word_end(char *p, const char *space)
{
	char	*partner;

	for (; *p != '\0' && strchr(space, *p) == NULL; p++)
		if (*p == '{' && (partner = closing(p)) != NULL)
			p = partner;
	return p;
}

/* Cut the line into words; braces around a whole one are removed. */
static int
cut(struct reader *r, char *line, struct words *w)
{
	static const char	space[] = " \t\r\n\v\f";
	char			*end;

	for (;;) {
		line += strspn(line, space);
		if (*line == '\0')
			return 0;
		if (*line != '{') {
			end = word_end(line, space);
		} else if ((end = closing(line)) == NULL ||
		    (end[1] != '\0' && strchr(space, end[1]) == NULL)) {
			return fail(r, "command", "expected a closing } and "
			    "white space behind it", line);
		} else {
			*end++ = '\0';
			words_add(r->pool, w, text_trim(line + 1));
			line = end;
			continue;
		}
		words_add(r->pool, w, pool_strndup(r->pool, line,
		    (size_t)(end - line)));
		line = end;
	}
}

/* A column of "y", "n" or "-". */
static int
yes_or_no(struct reader *r, int column, const char *text, bool standard,
    bool *value)
{
	if (strcmp(text, "-") == 0)
		*value = standard;
	else if (strcmp(text, "y") == 0)
		*value = true;
	else if (strcmp(text, "n") == 0)
		*value = false;
	else
		return fail(r, column_names[column], "expected y, n or -",
		    text);
	return 0;
}

/* A column with a number or "-"; wakeup may have a "?" behind it. */
static int
number(struct reader *r, int column, const char *text, int standard,
    bool may_ask, int *value)
{
	size_t	len = strlen(text);
	int64_t	n;

	if (strcmp(text, "-") == 0) {
		*value = standard;
		return 0;
	}
	if (may_ask && len > 1 && text[len - 1] == '?')
		len--;
	if (text_integer(pool_strndup(r->pool, text, len), 0, 1000000, &n) !=
	    NULL)
		return fail(r, column_names[column],
		    "expected a number from 0 to 1000000 or -", text);
	*value = (int)n;
	return 0;
}

/* Is it one of the ways a service may be reached? */
static int
check_type(struct reader *r, const char *type)
{
	static const char *const types[] = {
		"inet", "unix", "unix-dgram", "fifo", "pass"
	};
	size_t	i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return 0;
	return fail(r, "type", "expected inet, unix, unix-dgram, fifo or "
	    "pass", type);
}

/* The seven columns in front of the command. */
static int
columns(struct reader *r, struct service *s, char **words)
{
	int	i;

	s->name = words[0];
	s->type = words[1];
	for (i = 0; i < 5; i++)
		s->columns[i] = words[2 + i];
	if (check_type(r, s->type) == -1 ||
	    yes_or_no(r, 2, words[2], true, &s->is_private) == -1 ||
	    yes_or_no(r, 4, words[4], false, &s->wants_chroot) == -1 ||
	    number(r, 5, words[5], 0, true, &s->wakeup) == -1 ||
	    number(r, 6, words[6], -1, false, &s->maxproc) == -1)
		return -1;
	if (strcmp(words[3], "-") != 0 && strcmp(words[3], "y") != 0 &&
	    strcmp(words[3], "n") != 0)
		return fail(r, "unpriv", "expected y, n or -", words[3]);
	if (strcmp(s->type, "inet") == 0 && strcmp(words[2], "y") == 0)
		return fail(r, "private", "expected n, since an inet "
		    "service is open to the network", words[2]);
	if (*s->name == '\0' ||
	    (strchr(s->name, '/') != NULL && strcmp(s->type, "inet") != 0))
		return fail(r, "service", "expected a name without /",
		    s->name);
	return 0;
}

/* "name=value", with white space around either when braces held it. */
static int
option(struct reader *r, struct service *s, const char *text)
{
	char			*copy = pool_strdup(r->pool, text);
	char			*sign = strchr(copy, '=');
	struct service_option	*o = &s->options[s->option_count];

	if (sign == NULL)
		return fail(r, "-o", "expected name=value", text);
	*sign = '\0';
	o->name = text_trim(copy);
	o->value = text_trim(sign + 1);
	if (*o->name == '\0')
		return fail(r, "-o", "expected name=value", text);
	s->option_count++;
	return 0;
}

/* Find the options among the arguments; other arguments stay as they are. */
static int
options(struct reader *r, struct service *s)
{
	size_t	i;
	char	*word;

	s->options = pool_array(r->pool, s->argument_count + 1,
	    sizeof(*s->options));
	for (i = 0; i < s->argument_count; i++) {
		word = s->arguments[i];
		if (word[0] != '-' || word[1] == '\0')
			break;
		if (word[1] != 'o') {
			/* Postfix's daemons know these with a value. */
			if (word[2] == '\0' &&
			    strchr("cMmnst", word[1]) != NULL)
				i++;
			continue;
		}
		if (word[2] == '\0' && ++i == s->argument_count)
			return fail(r, "-o", "expected name=value", "");
		if (option(r, s, word[2] == '\0' ? s->arguments[i] :
		    word + 2) == -1)
			return -1;
	}
	s->option_words = i < s->argument_count ? i : s->argument_count;
	return 0;
}

/* One line to one service. */
static int
parse(struct reader *r, char *line, struct service *s)
{
	struct words	w = { 0 };

	if (cut(r, line, &w) == -1)
		return -1;
	if (w.count <= COLUMNS) {
		r->why = pool_printf(r->pool, "%s:%u: expected eight columns "
		    "(service type private unpriv chroot wakeup maxproc "
		    "command), got %zu", r->path, r->line, w.count);
		return -1;
	}
	if (columns(r, s, w.items) == -1)
		return -1;
	s->command = w.items[COLUMNS];
	if (*s->command == '\0' || *s->command == '.' ||
	    strchr(s->command, '/') != NULL)
		return fail(r, "command", "expected a program's name "
		    "without a directory", s->command);
	s->arguments = w.items + COLUMNS + 1;
	s->argument_count = w.count - COLUMNS - 1;
	s->file = r->path;
	s->line = r->line;
	return options(r, s);
}

/* Two services of one name and type would fight for one socket. */
static int
check_unique(struct reader *r, const struct mastercf *m,
    const struct service *s)
{
	const struct service	*other = mastercf_find(m, s->name, s->type);

	if (other == NULL)
		return 0;
	r->why = pool_printf(r->pool, "%s:%u: service %s of type %s stands "
	    "in line %u already", r->path, r->line, s->name, s->type,
	    other->line);
	return -1;
}

/* Make room for one more. */
static struct service *
next_service(struct pool *pool, struct mastercf *m, size_t *room)
{
	m->services = pool_grow(pool, m->services, room, m->count + 1,
	    sizeof(*m->services));
	memset(&m->services[m->count], 0, sizeof(struct service));
	return &m->services[m->count];
}

/* Take all lines. */
static struct mastercf *
read_lines(struct pool *pool, struct lines *lines, char **why)
{
	struct mastercf	*m = pool_alloc(pool, sizeof(*m));
	struct reader	 r = { .pool = pool, .path = lines->path };
	struct service	*s;
	size_t		 room = 0;
	char		*line;

	while ((line = lines_next(lines, &r.line, why)) != NULL) {
		s = next_service(pool, m, &room);
		if (parse(&r, line, s) == -1 ||
		    check_unique(&r, m, s) == -1) {
			*why = r.why;
			return NULL;
		}
		m->count++;
	}
	return *why != NULL ? NULL : m;
}

/* Read the file. */
struct mastercf *
mastercf_read(struct pool *pool, const char *path, char **why)
{
	struct lines	 lines;

	if ((*why = lines_open(&lines, pool, path)) != NULL)
		return NULL;
	return read_lines(pool, &lines, why);
}

/* Read what is in memory. */
struct mastercf *
mastercf_parse(struct pool *pool, const char *path, const char *text,
    size_t len, char **why)
{
	struct lines	 lines;

	lines_open_text(&lines, pool, path, text, len);
	return read_lines(pool, &lines, why);
}

/* The service of a name, and of a type if one is given. */
const struct service *
mastercf_find(const struct mastercf *m, const char *name, const char *type)
{
	size_t	i;

	for (i = 0; i < m->count; i++)
		if (strcmp(m->services[i].name, name) == 0 && (type == NULL ||
		    strcmp(m->services[i].type, type) == 0))
			return &m->services[i];
	return NULL;
}
