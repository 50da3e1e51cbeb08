/*
 * match.c - lists of networks and names, as Postfix writes them.
 *
 * A list is read once, with the files it names, into an array of entries;
 * asking it walks the array and the first entry that fits answers.
 */
#include "common/net/match.h"

#include <sys/queue.h>

#include <errno.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/text.h"
#include "common/mail/chars.h"

enum {
	FILE_LIMIT	= 16 * 1024 * 1024,
	NESTING_MAX	= 5		/* files that name files */
};

enum entry_kind { ENTRY_NETWORK, ENTRY_NAME, ENTRY_TABLE };

struct entry {
	STAILQ_ENTRY(entry) next;
	enum entry_kind	 kind;
	bool		 is_negated;
	struct inetaddr	 network;
	unsigned	 prefix;
	char		*word;		/* a name or a table */
};

struct match {
	struct pool	*pool;
	bool		 has_networks, has_names; /* what its words may be */
	STAILQ_HEAD(, entry) entries;
	char		*why;
};

static bool	 add_list(struct match *, char *, bool, int);

/* "type:name"? The type is a word; an IPv6 address was tried before. */
static bool
is_table(const char *word)
{
	size_t	len = 0;

	while (is_alnum(word[len]) || word[len] == '_')
		len++;
	return len > 1 && word[len] == ':' && word[len + 1] != '\0';
}

/* Can it be a name, and no network that is written wrongly? */
static bool
is_name(const char *word)
{
	bool	has_letter = false;

	for (; *word != '\0'; word++) {
		if (!is_alnum(*word) && strchr("-_.", *word) == NULL)
			return false;
		has_letter |= is_alpha(*word);
	}
	return has_letter;
}

/* Add a word that is an entry; false with a complaint when it is none. */
static bool
add_entry(struct match *m, char *word, bool is_negated)
{
	struct entry	*e = pool_alloc(m->pool, sizeof(*e));
	const char	*why;

	e->is_negated = is_negated;
	e->word = word;
	e->kind = ENTRY_NAME;
	why = m->has_networks ?
	    inetaddr_parse_network(word, &e->network, &e->prefix) : NULL;
	if (m->has_networks && why == NULL)
		e->kind = ENTRY_NETWORK;
	else if (is_table(word))
		e->kind = ENTRY_TABLE;
	else if (why != NULL && (!m->has_names || !is_name(word))) {
		m->why = pool_printf(m->pool, "%s: %s", word, why);
		return false;
	}
	STAILQ_INSERT_TAIL(&m->entries, e, next);
	return true;
}

/* Blank out comments: from "#" at the start of a line to its end. */
static void
remove_comments(char *text)
{
	char	*end;

	for (; *text != '\0'; text = end + (*end != '\0')) {
		end = text + strcspn(text, "\n");
		if (text[strspn(text, " \t")] == '#')
			memset(text, ' ', (size_t)(end - text));
	}
}

/* Add the words of a file. */
static bool
add_file(struct match *m, const char *path, bool is_negated, int depth)
{
	char	*text;
	size_t	 len;

	if (depth == NESTING_MAX) {
		m->why = pool_printf(m->pool,
		    "%s: files name one another too deeply", path);
		return false;
	}
	if ((text = fs_read_file(m->pool, path, FILE_LIMIT, &len)) == NULL) {
		m->why = pool_printf(m->pool, "%s: %s", path, strerror(errno));
		return false;
	}
	if (memchr(text, '\0', len) != NULL) {
		m->why = pool_printf(m->pool, "%s: not a text file", path);
		return false;
	}
	remove_comments(text);
	return add_list(m, text, is_negated, depth + 1);
}

/* Add the words of a list. The list is cut up. */
static bool
add_list(struct match *m, char *list, bool is_negated, int depth)
{
	char	*word;
	bool	 is_file, negates;

	while ((word = text_next_word(&list)) != NULL) {
		negates = is_negated;
		for (; *word == '!'; word++)
			negates = !negates;
		if (*word == '\0') {
			m->why = pool_strdup(m->pool,
			    "expected a pattern behind \"!\"");
			return false;
		}
		is_file = *word == '/';
		if (is_file ? !add_file(m, word, negates, depth) :
		    !add_entry(m, word, negates))
			return false;
	}
	return true;
}

/* Read a list of one of the sorts. */
static struct match *
match_new(struct pool *pool, const char *list, bool has_networks,
    bool has_names, char **why)
{
	struct match	*m = pool_alloc(pool, sizeof(*m));

	m->pool = pool;
	m->has_networks = has_networks;
	m->has_names = has_names;
	STAILQ_INIT(&m->entries);
	if (add_list(m, pool_strdup(pool, list), false, 0))
		return m;
	*why = m->why;
	return NULL;
}

/* Read a list of networks and addresses. */
struct match *
match_networks(struct pool *pool, const char *list, char **why)
{
	return match_new(pool, list, true, false, why);
}

/* Read a list of domains. */
struct match *
match_names(struct pool *pool, const char *list, char **why)
{
	return match_new(pool, list, false, true, why);
}

/* Read a list of both. */
struct match *
match_clients(struct pool *pool, const char *list, char **why)
{
	return match_new(pool, list, true, true, why);
}

/* The first table that somebody else has to be asked about. */
const char *
match_tables(const struct match *m)
{
	const struct entry	*e;

	STAILQ_FOREACH(e, &m->entries, next)
		if (e->kind == ENTRY_TABLE)
			return e->word;
	return NULL;
}

/* Is the address in one of the networks, and not excluded before? */
bool
match_address(const struct match *m, const struct inetaddr *address)
{
	const struct entry	*e;

	STAILQ_FOREACH(e, &m->entries, next)
		if (e->kind == ENTRY_NETWORK &&
		    inetaddr_in(address, &e->network, e->prefix))
			return !e->is_negated;
	return false;
}

/* Does the pattern fit the name? */
static bool
fits(const char *pattern, const char *name, bool parents)
{
	size_t	len = strlen(name), pattern_len = strlen(pattern);

	if (pattern[0] != '.' && text_equal(pattern, name))
		return true;
	if (len <= pattern_len || !text_ends(name, pattern))
		return false;
	return pattern[0] == '.' ||
	    (parents && name[len - pattern_len - 1] == '.');
}

/* Is it one of the names, and not excluded before? */
bool
match_name(const struct match *m, const char *name, bool parents)
{
	const struct entry	*e;

	STAILQ_FOREACH(e, &m->entries, next)
		if (e->kind == ENTRY_NAME && fits(e->word, name, parents))
			return !e->is_negated;
	return false;
}

/* Does a word fit the address or the name? */
bool
match_client(const struct match *m, const struct inetaddr *address,
    const char *name)
{
	const struct entry	*e;

	STAILQ_FOREACH(e, &m->entries, next) {
		if (e->kind == ENTRY_NETWORK ?
		    inetaddr_in(address, &e->network, e->prefix) :
		    e->kind == ENTRY_NAME && fits(e->word, name, false))
			return !e->is_negated;
	}
	return false;
}
