/*
 * list.c - lists of addresses: what people write behind To:, in aliases and
 * in .forward files (RFC 5322 3.4, with the old forms of 4.4).
 *
 * The text is read token by token, from left to right, once. Each token that
 * could belong to an address is fed to a small machine (struct draft); words
 * of a display name break the draft, which does not matter when an address
 * in brackets follows and starts a new one. Nothing here recurses: comments
 * are counted, groups are flat.
 */
#include "common/mail/address.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"

/* Besides these, a token is the character itself: < > , ; : @ . */
enum { TOKEN_END = 0, TOKEN_ATOM = 256, TOKEN_QUOTED, TOKEN_LITERAL };

/* What may come next in an address. */
enum expects {
	EXPECT_LOCAL,		/* a word of the local part */
	BEHIND_LOCAL,		/* its dot, the @ or the end */
	EXPECT_DOMAIN,		/* a label or a literal */
	BEHIND_DOMAIN,		/* its dot or the end */
	BEHIND_LITERAL,
	BROKEN			/* this is no address */
};

struct draft {
	enum expects	 expects;
	bool		 is_empty;	/* nothing was fed */
	struct str	 local;		/* without quotes */
	struct str	 domain;
};

struct list {
	struct pool		*pool;
	const char		*at;
	const char		*token;		/* where the last one began */
	struct str		 word;		/* its meaning */
	struct draft		 draft;
	struct list_item	*items;
	size_t			 count, room;
};

/* Say what is wrong and where. */
static const char *
complain(struct list *l, const char *what)
{
	return *l->token == '\0' ? what :
	    pool_printf(l->pool, "%s near \"%.40s\"", what, l->token);
}

/* Add an item. */
static void
add_item(struct list *l, enum list_kind kind, char *value)
{
	l->items = pool_grow(l->pool, l->items, &l->room, l->count + 1,
	    sizeof(*l->items));
	l->items[l->count].kind = kind;
	l->items[l->count++].value = value;
}

/* Skip a comment; comments nest. */
static const char *
skip_comment(struct list *l)
{
	size_t	depth = 0;

	l->token = l->at;
	do {
		if (*l->at == '\\' && l->at[1] != '\0')
			l->at++;
		else if (*l->at == '(')
			depth++;
		else if (*l->at == ')')
			depth--;
		else if (*l->at == '\0')
			return complain(l, "a \")\" is missing");
		l->at++;
	} while (depth > 0);
	return NULL;
}

/* Skip white space, folded lines and comments. */
static const char *
skip_space(struct list *l)
{
	const char	*why;

	for (;;) {
		l->at += strspn(l->at, " \t\r\n");
		if (*l->at != '(')
			return NULL;
		if ((why = skip_comment(l)) != NULL)
			return why;
	}
}

/* Read up to the closing quotation mark; line ends inside are folding. */
static const char *
read_quoted(struct list *l)
{
	for (l->at++; *l->at != '"'; l->at++) {
		if (*l->at == '\r' || *l->at == '\n')
			continue;
		if (*l->at == '\\')
			l->at++;
		if (*l->at == '\0')
			return complain(l, "a quotation mark is missing");
		if (is_control((unsigned char)*l->at) && *l->at != '\t')
			return complain(l, "a control character");
		str_add_char(&l->word, *l->at);
	}
	l->at++;
	return NULL;
}

/* Read "[192.0.2.1]". */
static const char *
read_literal(struct list *l)
{
	size_t	len = strcspn(l->at, "]\r\n");

	if (l->at[len] != ']')
		return complain(l, "a \"]\" is missing");
	str_add_mem(&l->word, l->at, len + 1);
	l->at += len + 1;
	return NULL;
}

/* A character of a word? Whatever is neither special nor control. */
static bool
is_word_character(char c)
{
	return c != '\0' && !is_control((unsigned char)c) &&
	    strchr(" ()<>[]:;@,.\"", c) == NULL;
}

/* Read the next token. */
static const char *
next_token(struct list *l, int *token)
{
	const char	*why;

	if ((why = skip_space(l)) != NULL)
		return why;
	str_clear(&l->word);
	l->token = l->at;
	*token = (unsigned char)*l->at;
	if (*l->at == '"') {
		*token = TOKEN_QUOTED;
		return read_quoted(l);
	}
	if (*l->at == '[') {
		*token = TOKEN_LITERAL;
		return read_literal(l);
	}
	if (is_word_character(*l->at)) {
		*token = TOKEN_ATOM;
		while (is_word_character(*l->at))
			l->at++;
		str_add_mem(&l->word, l->token, (size_t)(l->at - l->token));
	} else if (*l->at != '\0') {
		if (strchr("<>,;:@.", *l->at) == NULL)
			return complain(l, "an unexpected character");
		l->at++;
	}
	return NULL;
}

/* Nothing is drafted. */
static void
draft_clear(struct draft *d)
{
	d->expects = EXPECT_LOCAL;
	d->is_empty = true;
	str_clear(&d->local);
	str_clear(&d->domain);
}

/* Feed one token; what does not fit breaks the draft. */
static void
draft_feed(struct draft *d, int token, const struct str *word)
{
	enum expects	next = BROKEN;
	bool		is_word = token == TOKEN_ATOM || token == TOKEN_QUOTED;

	if (d->expects == EXPECT_LOCAL && is_word) {
		str_add_mem(&d->local, word->data, word->len);
		next = BEHIND_LOCAL;
	} else if (d->expects == BEHIND_LOCAL && token == '.') {
		str_add_char(&d->local, '.');
		next = EXPECT_LOCAL;
	} else if (d->expects == BEHIND_LOCAL && token == '@') {
		next = EXPECT_DOMAIN;
	} else if (d->expects == EXPECT_DOMAIN && token == TOKEN_ATOM) {
		str_add_mem(&d->domain, word->data, word->len);
		next = BEHIND_DOMAIN;
	} else if (d->expects == BEHIND_DOMAIN && token == '.') {
		str_add_char(&d->domain, '.');
		next = EXPECT_DOMAIN;
	} else if (d->expects == EXPECT_DOMAIN && token == TOKEN_LITERAL &&
	    d->domain.len == 0) {
		str_add_mem(&d->domain, word->data, word->len);
		next = BEHIND_LITERAL;
	}
	d->expects = next;
	d->is_empty = false;
}

/* The drafted address becomes an item, \user with its backslash. */
static const char *
draft_finish(struct list *l)
{
	struct draft	*d = &l->draft;
	const char	*local = d->local.data;
	char		*value;
	bool		 has_domain = d->expects > EXPECT_DOMAIN;

	if (d->expects != BEHIND_LOCAL && d->expects != BEHIND_DOMAIN &&
	    d->expects != BEHIND_LITERAL)
		return complain(l, "not an address");
	if (d->local.len == 0 || d->local.len > LOCAL_PART_ROOM ||
	    strchr(local, '\t') != NULL ||
	    !utf8_is_valid(local, d->local.len))
		return complain(l, "a local part that is not valid");
	if (has_domain && (d->domain.is_cut ||
	    !domain_is_valid(d->domain.data, true)))
		return complain(l, "a domain that is not valid");

	value = address_quote_local(l->pool, local);
	if (strlen(value) > LOCAL_PART_ROOM)
		return complain(l, "a local part that is not valid");
	if (has_domain)
		value = pool_printf(l->pool, "%s@%s", value, d->domain.data);
	add_item(l, LIST_ADDRESS, value);
	draft_clear(d);
	return NULL;
}

/* Forget the route in "<@a,@b:c@d>"; its first @ was read. */
static const char *
skip_route(struct list *l)
{
	const char	*why;
	int		 token;

	do {
		if ((why = next_token(l, &token)) != NULL)
			return why;
		if (token == TOKEN_END || token == '<' || token == '>' ||
		    token == ';' || token == TOKEN_QUOTED)
			return complain(l, "a route that is not valid");
	} while (token != ':');
	return NULL;
}

/* Read what follows "<", up to ">", and what may not follow that. */
static const char *
read_brackets(struct list *l)
{
	const char	*why;
	int		 token;

	draft_clear(&l->draft);
	if ((why = next_token(l, &token)) != NULL)
		return why;
	if (token == '@') {
		if ((why = skip_route(l)) != NULL ||
		    (why = next_token(l, &token)) != NULL)
			return why;
	}
	while (token != '>') {
		if (token == TOKEN_END)
			return complain(l, "a \">\" is missing");
		draft_feed(&l->draft, token, &l->word);
		if ((why = next_token(l, &token)) != NULL)
			return why;
	}
	if ((why = draft_finish(l)) != NULL || (why = skip_space(l)) != NULL)
		return why;
	if (*l->at != '\0' && *l->at != ',' && *l->at != ';') {
		l->token = l->at;
		return complain(l, "a comma is missing");
	}
	return NULL;
}

/* Read one mailbox, or the name of a group, whose members follow as if they
 * were not in a group. *token is what ended it. */
static const char *
read_element(struct list *l, int *token)
{
	const char	*why;

	draft_clear(&l->draft);
	for (;;) {
		if ((why = next_token(l, token)) != NULL)
			return why;
		switch (*token) {
		case TOKEN_END:
		case ',':
		case ';':
			return l->draft.is_empty ? NULL : draft_finish(l);
		case ':':
			if (l->draft.is_empty)
				return complain(l, "a group without a name");
			draft_clear(&l->draft);
			break;
		case '<':
			if ((why = read_brackets(l)) != NULL)
				return why;
			break;
		default:
			draft_feed(&l->draft, *token, &l->word);
		}
	}
}

/* Make a delivery of an alias's word, if it is one. */
static bool
add_special(struct list *l, const char *word, size_t len)
{
	static const char	include[] = ":include:";
	size_t			skip = sizeof(include) - 1;

	if (len > 0 && word[0] == '|') {
		add_item(l, LIST_COMMAND,
		    pool_strndup(l->pool, word + 1, len - 1));
		return true;
	}
	/* An X.400 name in an address also begins with a slash. */
	if (len > 0 && word[0] == '/' && memchr(word, '@', len) == NULL) {
		add_item(l, LIST_FILE, pool_strndup(l->pool, word, len));
		return true;
	}
	if (len > skip && text_equal_mem(include, word, skip)) {
		skip += strspn(word + skip, " \t");
		add_item(l, LIST_INCLUDE,
		    pool_strndup(l->pool, word + skip, len - skip));
		return true;
	}
	return false;
}

/*
 * An alias's |command, /file and :include:file, bare or in quotes. *was_one
 * is false, and nothing was read, when an address begins here.
 */
static const char *
read_special(struct list *l, bool *was_one)
{
	const char	*start, *why;
	size_t		 len;

	*was_one = false;
	if ((why = skip_space(l)) != NULL)
		return why;
	start = l->token = l->at;
	if (*start == '"') {
		str_clear(&l->word);
		if ((why = read_quoted(l)) != NULL)
			return why;
		if (*l->at != '@' && *l->at != '.')
			*was_one = add_special(l, l->word.data, l->word.len);
	} else {
		len = strcspn(start, ", \t\r\n");
		*was_one = add_special(l, start, len);
		l->at += len;
	}
	if (!*was_one) {
		l->at = start;
		return NULL;
	}
	if (l->items[l->count - 1].value[0] == '\0')
		return complain(l, "no command or file");
	if ((why = skip_space(l)) != NULL)
		return why;
	if (*l->at != '\0' && *l->at != ',')
		return complain(l, "a comma, or quotation marks around all,"
		    " are missing");
	return NULL;
}

/* \user: an address that no alias may change. */
static const char *
read_escaped_user(struct list *l, int *token)
{
	struct list_item	*item;
	const char		*why;
	size_t			 before = l->count;

	l->token = l->at++;
	if ((why = read_element(l, token)) != NULL)
		return why;
	if (l->count != before + 1)
		return complain(l, "a name must follow \"\\\"");
	item = &l->items[before];
	item->value = pool_printf(l->pool, "\\%s", item->value);
	return NULL;
}

/* Read one element of an alias; *token is what ended it. */
static const char *
read_alias_element(struct list *l, int *token)
{
	const char	*why;
	bool		 was_special;

	if ((why = read_special(l, &was_special)) != NULL)
		return why;
	if (was_special)
		return next_token(l, token);
	if (*l->at == '\\')
		return read_escaped_user(l, token);
	return read_element(l, token);
}

/* Read the whole list. */
const char *
address_list_parse(struct pool *pool, const char *text, int how,
    struct list_item **items, size_t *count)
{
	struct list	 l = { .pool = pool, .at = text, .room = 8 };
	const char	*why;
	int		 token;

	l.items = pool_array(pool, l.room, sizeof(*l.items));
	str_init(&l.word, pool, 0);
	str_init(&l.draft.local, pool, 2 * LOCAL_PART_ROOM);
	str_init(&l.draft.domain, pool, 2 * DOMAIN_MAX);
	do {
		why = how == LIST_IS_ALIAS ? read_alias_element(&l, &token) :
		    read_element(&l, &token);
		if (why != NULL)
			return why;
	} while (token != TOKEN_END);
	*items = l.items;
	*count = l.count;
	return NULL;
}
