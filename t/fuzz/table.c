/*
 * table.c - fuzz: a table as its text stands in a file, the questions it is
 * asked, and what its answers are taken for: an address, a list of an alias,
 * an action of checks.
 *
 * First byte: the type of the table; then a line, the key; the rest is the
 * file.
 */
#include "t/fuzz/fuzz.h"

#include "common/mail/address.h"
#include "common/mail/check.h"
#include "common/mail/mapping.h"
#include "common/map/map.h"

/* An answer as an address and as a list. */
static void
try_addresses(struct pool *pool, const char *key, const char *value)
{
	const struct naming	 naming = { "origin.test", "domain.test" };
	struct list_item	*items;
	size_t			 count, i;
	char			*address;

	address = mapping_result(pool, key, value, "ext", &naming);
	if (address != NULL)
		MUST(is_one_line(address));
	if (address_list_parse(pool, value, LIST_IS_ALIAS, &items, &count) ==
	    NULL)
		for (i = 0; i < count; i++)
			MUST(items[i].value != NULL);
	(void)mapping_lists(value, key);
	(void)masquerade_domain(value, key);
}

/* An answer as an action. */
static void
try_action(struct pool *pool, const char *value)
{
	struct check	check;

	if (check_parse(pool, value, true, &check) == NULL) {
		MUST(check.text != NULL);
		MUST(strlen(check.dsn) < sizeof(check.dsn));
	}
	(void)check_parse(pool, value, false, &check);
}

/* regcomp(3) takes memory without measure for quantifiers of quantifiers; a
 * pattern is the administrator's, and that is not what we look for here. */
static bool
is_measured(const struct input *in)
{
	size_t	i, count = 0;

	for (i = 0; i < in->left; i++)
		count += in->at[i] != '\0' && strchr("*+?{", in->at[i]) != NULL;
	return count <= 6;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const types[] = { "texthash", "regexp", "pcre",
	    "cidr", "inline", "unionmap", "pipemap" };
	struct input	 in = { data, len };
	unsigned	 which = input_byte(&in) % 7;
	struct pool	*pool = pool_new("fuzz", 0);
	char		*key = input_line(pool, &in), *value, *why, *name;
	struct maps	*maps;
	int		 fd = -1;

	if (key == NULL)
		key = pool_strdup(pool, "");
	if (which == 1 && !is_measured(&in)) {
		pool_free(pool);
		return 0;
	}
	if (which < 4) {
		fd = input_file(in.at, in.left);
		name = pool_printf(pool, "%s:/proc/self/fd/%d", types[which],
		    fd);
	} else
		name = pool_printf(pool, "%s:{%s}", types[which],
		    input_text(pool, &in));
	if ((maps = maps_open(pool, name, &why)) != NULL) {
		if (maps_find(maps, pool, key, &value, &why) == MAP_FOUND) {
			try_addresses(pool, key, value);
			try_action(pool, value);
		}
		(void)maps_taking_parts(maps, true);
		maps_close(maps);
	}
	if (fd != -1)
		close(fd);
	pool_free(pool);
	return 0;
}
