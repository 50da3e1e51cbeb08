/*
 * options.c - words of main.cf about mechanisms: what they must and must not
 * be like, and which are meant.
 */
#include "common/sasl/sasl.h"

#include <string.h>

#include "common/base/text.h"

static const char	separators[] = ", \t\r\n";

static const struct {
	const char	*word;
	unsigned	 forbidden, needed;
} options[] = {
	{ "noplaintext",	SASL_PLAINTEXT,		0 },
	{ "noactive",		SASL_ACTIVE,		0 },
	{ "nodictionary",	SASL_DICTIONARY,	0 },
	{ "noanonymous",	SASL_ANONYMOUS,		0 },
	{ "mutual_auth",	0,			SASL_MUTUAL },
	{ "forward_secrecy",	0,			SASL_FORWARD_SECRECY }
};

/* The next word of a list, and its length; 0: there is none. */
static size_t
next(const char **list)
{
	*list += strspn(*list, separators);
	return strcspn(*list, separators);
}

/* One word of the options. */
static int
add(const char *word, size_t len, unsigned *forbidden, unsigned *needed)
{
	size_t	i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (text_equal_mem(options[i].word, word, len)) {
			*forbidden |= options[i].forbidden;
			*needed |= options[i].needed;
			return 0;
		}
	return -1;
}

/* All of them. */
int
sasl_security_parse(const char *list, unsigned *forbidden, unsigned *needed)
{
	size_t	len;

	*forbidden = *needed = 0;
	for (; (len = next(&list)) > 0; list += len)
		if (add(list, len, forbidden, needed) == -1)
			return -1;
	return 0;
}

/* The first word that fits decides. */
bool
sasl_is_allowed(const char *filter, const char *mechanism)
{
	bool	is_not, is_empty = true;
	size_t	len;

	for (; (len = next(&filter)) > 0; filter += len) {
		is_empty = false;
		for (is_not = false; len > 0 && *filter == '!'; len--) {
			is_not = !is_not;
			filter++;
		}
		if (text_equal_mem(mechanism, filter, len) ||
		    (len > 7 && strncmp(filter, "static:", 7) == 0))
			return !is_not;
	}
	return is_empty;
}

/* Any other "type:table", or "/file". */
bool
sasl_filter_has_tables(const char *filter)
{
	size_t	len;

	for (; (len = next(&filter)) > 0; filter += len) {
		for (; len > 0 && *filter == '!'; len--)
			filter++;
		if (memchr(filter, '/', len) != NULL ||
		    (memchr(filter, ':', len) != NULL &&
		    strncmp(filter, "static:", 7) != 0))
			return true;
	}
	return false;
}
