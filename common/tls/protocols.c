/*
 * protocols.c - the words of a ..._protocols parameter.
 *
 * ">=TLSv1.2", "<=TLSv1.3", "!TLSv1.1", "TLSv1.2, TLSv1.3", versions as four
 * hexadecimal digits ("0303"), separated by white space, commas or colons. A
 * name that stands plainly excludes all that do not.
 *
 * R1  What is older than TLS 1.2 is spoken only where ">=" or a plain name
 *     says so: "!SSLv2, !SSLv3", as it stands in many a main.cf, means to
 *     forbid and not to allow.
 */
#include "common/tls/inside.h"

#include <string.h>

#include "common/base/text.h"

static const struct version {
	const char	*name;
	int		 number;
	uint64_t	 option;	/* that leaves it out; 0: we have none
					 * of it */
} versions[] = {
	{ "SSLv2", 0x0002, 0 },
	{ "SSLv3", SSL3_VERSION, 0 },
	{ "TLSv1", TLS1_VERSION, SSL_OP_NO_TLSv1 },
	{ "TLSv1.1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1 },
	{ "TLSv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2 },
	{ "TLSv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3 }
};
enum { VERSIONS = sizeof versions / sizeof *versions };

/* What the words say about each version, by its place above. */
struct spoken {
	unsigned	 plain, excluded;	/* bits */
	size_t		 least, greatest;	/* VERSIONS: not told */
};

/* The place of a version, VERSIONS: none. */
static size_t
find(const char *word)
{
	size_t	i;
	char	digits[8];

	for (i = 0; i < VERSIONS; i++) {
		snprintf(digits, sizeof digits, "%04x",
		    (unsigned)versions[i].number);
		if (text_equal(word, versions[i].name) ||
		    text_equal(word, digits))
			return i;
	}
	return VERSIONS;
}

/* Take one word; false: it is none of ours. */
static bool
take(const char *word, struct spoken *s)
{
	bool	is_least = strncmp(word, ">=", 2) == 0;
	bool	is_greatest = strncmp(word, "<=", 2) == 0;
	bool	is_excluded = *word == '!';
	size_t	i;

	i = find(word + (is_least || is_greatest ? 2 : is_excluded ? 1 : 0));
	if (i == VERSIONS)
		return false;
	if (is_least)
		s->least = i;
	else if (is_greatest)
		s->greatest = i;
	else if (is_excluded)
		s->excluded |= 1u << i;
	else
		s->plain |= 1u << i;
	return true;
}

/* Is this version left by the words? */
static bool
is_left(const struct spoken *s, size_t i)
{
	if (versions[i].option == 0 || (s->excluded & 1u << i))
		return false;
	if (s->greatest != VERSIONS && i > s->greatest)
		return false;
	if (s->least != VERSIONS && i < s->least)
		return false;
	if (s->plain != 0)
		return s->plain & 1u << i;
	return s->least != VERSIONS || versions[i].number >= TLS1_2_VERSION;
}

/* The range of versions, and which in between are left out. */
static bool
settle(const struct spoken *s, struct protocols *p)
{
	uint64_t	holes = 0;
	size_t		i;

	*p = (struct protocols){ 0 };
	for (i = 0; i < VERSIONS; i++) {
		if (!is_left(s, i)) {
			holes |= versions[i].option;
			continue;
		}
		if (p->min == 0)
			p->min = versions[i].number;
		p->max = versions[i].number;
	}
	p->holes = holes;
	return p->min != 0;
}

/* Words to versions. */
const char *
protocols_parse(struct pool *pool, const char *words, struct protocols *p)
{
	struct spoken	 s = { .least = VERSIONS, .greatest = VERSIONS };
	char		*list = pool_strdup(pool, words), *word;

	while ((word = strsep(&list, " \t\r\n,:")) != NULL)
		if (*word != '\0' && !take(word, &s))
			return pool_printf(pool, "expected protocols such as "
			    "\">=TLSv1.2\" or \"!TLSv1.1\", not \"%.40s\"",
			    word);
	if (!settle(&s, p))
		return pool_printf(pool, "\"%.100s\" leaves no protocol",
		    words);
	return NULL;
}

/* Are they words of protocols? */
const char *
tls_check_protocols(struct pool *pool, const char *protocols)
{
	struct protocols	p;

	return protocols_parse(pool, protocols, &p);
}
