/*
 * dns_search.c - short names (smtp_dns_resolver_options), completed by the
 * domains of /etc/resolv.conf, which is read once, before it is out of sight.
 *
 * res_defnames completes a name without a dot by the first domain; with
 * res_dnsrch all of them are tried, and for names with dots that do not exist
 * as they are, too.
 */
#include <errno.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "resolve/dns.h"

enum { FILE_MAX = 65536, DOMAINS_MAX = 32 };

static const char	*domains[DOMAINS_MAX];
static size_t		 count;
static bool		 completes, searches;
static struct pool	*pool;

/* "search a b" or "domain a"; the last such line counts. */
static void
read_line(char *line)
{
	char	*word;

	line[strcspn(line, "#;")] = '\0';
	word = text_next_word(&line);
	if (word == NULL || (strcmp(word, "search") != 0 &&
	    strcmp(word, "domain") != 0))
		return;
	count = 0;
	while ((word = text_next_word(&line)) != NULL && count < DOMAINS_MAX)
		if (answer_is_host_name(word))
			domains[count++] = word;
}

/* Understand the options; read the file if they want it. */
void
search_read(const char *options, const char *path)
{
	char	**words, *text, *line;
	size_t	  i, n, len;

	pool_free(pool);
	pool = pool_new("search", 0);
	count = 0;
	completes = searches = false;
	words = text_words(pool, options, &n);
	for (i = 0; i < n; i++) {
		completes |= strcmp(words[i], "res_defnames") == 0;
		searches |= strcmp(words[i], "res_dnsrch") == 0;
		if (strcmp(words[i], "res_defnames") != 0 &&
		    strcmp(words[i], "res_dnsrch") != 0)
			die("smtp_dns_resolver_options: %s: expected "
			    "res_defnames or res_dnsrch", words[i]);
	}
	if (!completes && !searches)
		return;
	if ((text = fs_read_file(pool, path, FILE_MAX, &len)) == NULL) {
		log_warning("smtp_dns_resolver_options: %s: %s", path,
		    strerror(errno));
		return;
	}
	while ((line = strsep(&text, "\n")) != NULL)
		read_line(line);
}

/* The names to try in place of one, in order, ended by NULL. */
const char **
search_names(struct pool *to, const char *name)
{
	bool		 has_dot = strchr(name, '.') != NULL;
	const char	**names;
	size_t		 i, n = 0;

	names = pool_array(to, DOMAINS_MAX + 2, sizeof(*names));
	if (has_dot)
		names[n++] = name;
	if (has_dot ? searches : completes)
		for (i = 0; i < count && (i == 0 || searches); i++)
			names[n++] = pool_printf(to, "%s.%s", name,
			    domains[i]);
	if (!has_dot)
		names[n++] = name;
	names[n] = NULL;
	return names;
}
