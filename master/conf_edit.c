/*
 * conf_edit.c - change main.cf, if every value is one that its program takes.
 */
#include "master/conf.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/param/known.h"
#include "common/param/site.h"

/* Does the value do for the parameter? Says why not. */
static bool
is_good(struct pool *pool, struct maincf *mc, const struct catalog *c,
    const char *name)
{
	const struct param	*row = catalog_find(c, name);
	const char		*value, *why;
	char			*loop;

	if (row == NULL) {
		if (known_find(name) == NULL && !maincf_is_used(mc, name))
			log_warning("%s is not a parameter", name);
		return true;
	}
	if (row->kind == PARAM_KIND_RAW)
		return true;
	value = maincf_value(mc, pool, name, &loop);
	why = value == NULL ? loop : param_check(row, value);
	if (why != NULL)
		log_error("%s = %s: %s", name, maincf_text(mc, name), why);
	return why == NULL;
}

/* Cut the words in names and values; values stay NULL when removing. */
static bool
cut_words(struct pool *pool, const struct request *r, const char **names,
    const char **values)
{
	char	*copy, *value;
	size_t	 i;

	for (i = 0; i < r->word_count; i++) {
		value = copy = pool_strdup(pool, r->words[i]);
		(void)strsep(&value, "=");
		names[i] = text_trim(copy);
		if ((r->verb == EDIT) != (value != NULL)) {
			log_error("%s: expected %s", r->words[i],
			    r->verb == EDIT ? "name=value" : "a name");
			return false;
		}
		values[i] = value == NULL ? NULL : text_trim(value);
	}
	return true;
}

/* Would every value be accepted, all of them together? */
static bool
check_values(struct pool *pool, const struct request *r,
    const char *const *names, const char *const *values)
{
	struct catalog	 c = { 0 };
	struct maincf	*mc = conf_load(pool, r, &c);
	size_t		 i;
	bool		 are_good = true;

	if (mc == NULL)
		return false;
	for (i = 0; i < r->word_count; i++)
		maincf_set(mc, names[i], values[i], "-e");
	for (i = 0; i < r->word_count; i++)
		if (!is_good(pool, mc, &c, names[i]))
			are_good = false;
	return are_good;
}

/* Change main.cf. */
int
conf_edit(struct pool *pool, const struct request *r)
{
	const char	**names, **values, *why;

	names = pool_array(pool, r->word_count, sizeof(*names));
	values = pool_array(pool, r->word_count, sizeof(*values));
	if (!cut_words(pool, r, names, values))
		return 1;
	if (r->verb == EDIT && !check_values(pool, r, names, values))
		return 1;
	why = maincf_edit(pool, pool_printf(pool, "%s/main.cf",
	    site_directory(r->directory)), names, values, r->word_count,
	    r->verb == COMMENT_OUT);
	if (why == NULL)
		return 0;
	log_error("%s", why);
	return 1;
}
