/*
 * forward.c - what a user wrote into his .forward.
 *
 * Called by recipient.c with the user's own process, which reads the file and
 * ignores it when somebody else could have written it. Which files are asked
 * for, in which order, forward_path says; usually .forward+EXTENSION first.
 */
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"

#include "local/expand.h"

static struct { char *path, *filter; } set;

const struct param	forward_params[] = {
	PARAM_RAW("forward_path", set.path,
	    "$home/.forward${recipient_delimiter}${extension}, $home/.forward",
	    0, 4000, "Where a user's .forward may be, in the order to look: "
	    "$home, $user, $shell, $local, $domain, $extension, $recipient, "
	    "$recipient_delimiter."),
	PARAM_RAW("forward_expansion_filter", set.filter,
	    "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0, 1000,
	    "Characters that names in forward_path may stand for; others "
	    "become underscores."),
	PARAM_END
};

enum { FORWARD_PATH = 2000, EXTENSION_MAX = 64 };

/* Is there a place where it could be? */
static bool
has_home(const struct home *h)
{
	return strlen(h->path) <= FORWARD_PATH && h->path[0] == '/';
}

/* Is the extension one that a file's name may have? */
static bool
is_plain(const char *extension)
{
	return *extension != '\0' && *extension != '.' &&
	    strchr(extension, '/') == NULL &&
	    strlen(extension) <= EXTENSION_MAX;
}

/* One path of the list: 1 with it, 0 when it is not for this recipient, -1:
 * settled. */
WAITS static int
make_path(struct addressee *a, struct home *h, const char *pattern,
    char **path)
{
	struct macro	*table = shell_macros(a, h), *m;
	const char	*why;
	bool		 is_unset;

	for (m = table; m->name != NULL; m++)
		if (strcmp(m->name, "extension") == 0 && m->value != NULL &&
		    !is_plain(m->value))
			m->value = NULL;
	*path = macro_expand(a->delivery->pool, pattern, table, set.filter,
	    &is_unset, &why);
	if (*path == NULL) {
		log_warning("forward_path: %s: %s", pattern, why);
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "forward_path is malformed");
	}
	return !is_unset && (*path)[0] == '/' &&
	    strlen(*path) <= FORWARD_PATH;
}

/* The list of the file that counts; *path is its name; is it one for all
 * extensions? 1, 0 when there is none, -1: settled. */
WAITS static int
find_list(struct addressee *a, struct home *h, char **path, char **list,
    bool *is_general)
{
	struct pool	*pool = a->delivery->pool;
	size_t		 count, i;
	char		**patterns = text_words(pool, set.path, &count);
	int64_t		 owner;
	int		 found = 0;

	for (i = 0; i < count && found == 0; i++) {
		*is_general = strstr(patterns[i], "extension") == NULL;
		if ((found = make_path(a, h, patterns[i], path)) == 1)
			found = include_read(a, h, READ_IS_FORWARD, *path,
			    list, &owner);
	}
	return found;
}

/* Where it could be. */
int
forward_files(struct addressee *a, struct home *h, struct word_row **files,
    size_t *count)
{
	struct pool	*pool = a->delivery->pool;
	size_t		 n, i;
	char		**patterns = text_words(pool, set.path, &n), *path;
	int		 found;

	*count = 0;
	*files = pool_array(pool, n + 1, sizeof(**files));
	if (!has_home(h))
		return 0;
	for (i = 0; i < n; i++) {
		if ((found = make_path(a, h, patterns[i], &path)) == -1)
			return -1;
		if (found == 1)
			(*files)[(*count)++].word = path;
	}
	return 0;
}

/* As the user's .forward says: 1, or 0 without one, or -1: settled. */
int
forward_deliver(struct addressee *a, struct home *h)
{
	struct expansion	 e = { .to = a, .context = "forward",
				    .as = h->who, .sender = a->sender,
				    .is_forward = true };
	char			*path, *list;
	bool			 is_general;
	int			 found;

	if (!has_home(h))
		return 0;
	if ((found = find_list(a, h, &path, &list, &is_general)) != 1)
		return found;
	e.source = path;
	e.chain[e.chain_count++] = a->user;
	if (is_general && a->extension != NULL && expand_propagates("forward"))
		e.extension = a->extension - 1;
	if (expand_text(&e, list) == -1)
		return -1;
	expand_deliver(&e, h->user, false);
	return a->outcome->outcome == OUTCOME_SENT ||
	    a->outcome->outcome == OUTCOME_REROUTED ? 1 : -1;
}
