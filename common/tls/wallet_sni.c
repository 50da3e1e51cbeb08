/*
 * wallet_sni.c - tls_server_sni_maps: certificates by the name that clients
 * ask for.
 *
 * Everything is read at once: the process that answers later opens nothing.
 * A key of an indexed table has the base64 of PEM text (postrider map -F),
 * one of a text table a list of files.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/mail/encode.h"
#include "common/map/map.h"
#include "common/tls/wallet_inside.h"

/* A table that is being walked. */
struct walk {
	struct wallet_loading	*l;
	const struct wallet_names *names;
	const char		*table;
	bool			 is_text;
};

/* The PEM text of an indexed table's value. */
static void
add_encoded(struct walk *k, struct wallet_row *row, const char *value)
{
	struct pool	*pool = k->l->wallet->pool;
	size_t		 len = strlen(value);
	char		*text = pool_alloc(pool, len + 1);
	ssize_t		 n = base64_decode(text, value, len);

	if (n <= 0)
		wallet_tell(k->l, true, "%s: %s: expected the text of PEM "
		    "files, found \"%.40s\"; build the table with \"postrider "
		    "map -F %s\"", k->table, row->name, value, k->table);
	else
		wallet_add_text(k->l, row, pool_printf(pool, "%s(%s)",
		    k->table, row->name), text, (size_t)n);
	explicit_bzero(text, len + 1);
}

/* Is this name there already? Then the table before this one counts. */
static bool
has_row(const struct walk *k, const char *name)
{
	const struct wallet_row	*row;

	for (row = k->l->wallet->rows; row < k->l->wallet->rows +
	    k->l->wallet->count; row++)
		if (strcmp(row->name, name) == 0 &&
		    strcmp(row->service, k->names->service) == 0 &&
		    strcmp(row->program, k->names->program) == 0)
			return true;
	return false;
}

/* Is it a name that a client can ask for (hello.c), perhaps behind a dot? */
static bool
is_askable(const char *name)
{
	size_t	i, label = 0, len = strlen(name);

	for (i = *name == '.' ? 1 : 0; i < len; i++) {
		if (name[i] == '.' && label > 0)
			label = 0;
		else if ((!is_alnum(name[i]) && name[i] != '-') ||
		    ++label > 63)
			return false;
	}
	return label > 0 && len <= 255;
}

/* One key and its value. */
static void
add_row(void *arg, const char *key, const char *value)
{
	struct walk		*k = arg;
	struct wallet_row	*row;
	char			*name = pool_strdup(k->l->wallet->pool, key);

	text_lower(name);
	if (!is_askable(name)) {
		wallet_tell(k->l, false, "%s: %s: expected a host's name as "
		    "clients send it (letters, digits, hyphens; xn--... for "
		    "others; no dot at its end), or a domain with a dot "
		    "before it for all names below it; left out", k->table,
		    name);
		return;
	}
	if (has_row(k, name))
		return;
	row = wallet_row_new(k->l, k->names, name);
	if (k->is_text)
		wallet_add_files(k->l, row, value);
	else
		add_encoded(k, row, value);
	if (row->count == 0)		/* told: its names get the default */
		k->l->wallet->count--;
}

/* Can the keys of a table be listed? */
static bool
is_indexed(const char *word)
{
	static const char *const	types[] = {
		"hash:", "btree:", "lmdb:", "cdb:"
	};
	size_t				i;

	while (text_starts(word, "proxy:"))
		word += strlen("proxy:");
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (text_starts(word, types[i]))
			return true;
	return false;
}

/* All tables. */
void
wallet_add_sni(struct wallet_loading *l, const struct wallet_names *n)
{
	struct pool	*pool = l->wallet->pool;
	struct walk	 k = { .l = l, .names = n };
	char		*rest = pool_strdup(pool, n->sni), *word;
	const char	*why, *file;

	while ((word = map_next_word(&rest)) != NULL) {
		k.table = pool_strdup(pool, word);
		k.is_text = map_is_text(word);
		if (!k.is_text && !is_indexed(word)) {
			wallet_tell(l, true, "%s: expected a table of type "
			    "hash, btree, lmdb, cdb, texthash or inline",
			    word);
			continue;
		}
		if ((file = map_file(pool, word)) != NULL)
			wallet_read(l, file);
		why = k.is_text ? map_walk_text(pool, word, add_row, &k) :
		    map_walk(pool, word, add_row, &k);
		if (why != NULL)
			wallet_tell(l, true, "%s", why);
		else if (!k.is_text && file != NULL)
			wallet_check_file(l, file);
	}
}
