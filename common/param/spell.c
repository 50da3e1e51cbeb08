/*
 * spell.c - the site as everybody loads it who goes by its names.
 */
#include "common/param/site.h"

#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/mail/chars.h"
#include "common/mail/idn.h"

/*
 * RFC 6531 3.7.1: names that we go by are ASCII. What is written otherwise
 * becomes A-labels before $myhostname and $mydomain mean it; so does myorigin,
 * since what it completes shall not need SMTPUTF8 for that.
 */
static int
spell_names(struct maincf *mc, struct str *problems)
{
	static const char *const	 names[] = {
		"myhostname", "mydomain", "myorigin"
	};
	struct pool			*pool = maincf_pool(mc);
	const char			*value, *why, *where;
	char				*wrong, *ascii;
	size_t				 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		value = maincf_value(mc, pool, names[i], &wrong);
		if (value == NULL || !has_8bit(value, strlen(value)))
			continue;
		where = maincf_where(pool, maincf_find(mc, names[i]));
		why = idn_to_ascii(pool, value, &ascii);
		if (why != NULL) {
			str_addf(problems, "%s: %s = %s: %s\n", where,
			    names[i], value, why);
			return -1;
		}
		maincf_set(mc, names[i], ascii, where);
	}
	return 0;
}

/* Set `site` from the file as it is now; it stays as it was if that fails. */
int
site_apply(struct maincf *mc, struct str *problems)
{
	if (site_set(mc, spell_names, problems) == -1)
		return -1;
	idn_is_transitional = site.is_idna2003;
	return 0;
}

/* Load one directory's main.cf; nothing dies here. */
struct maincf *
site_try(struct pool *pool, const char *option, struct str *problems)
{
	struct maincf	*mc = site_read(pool, option, problems);

	return mc == NULL || site_apply(mc, problems) == -1 ? NULL : mc;
}

/* Load it or tell every problem and end. */
struct maincf *
site_load(const char *directory)
{
	struct pool	*pool = pool_new("configuration", 0);
	struct str	 problems;
	struct maincf	*mc;
	char		*rest, *line;

	str_init(&problems, pool, 0);
	if ((mc = site_try(pool, directory, &problems)) != NULL)
		return mc;
	rest = problems.data;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0' && rest != NULL && *rest != '\0')
			log_error("%s", line);
		else if (*line != '\0')
			die("%s", line);
	die("the configuration cannot be read");
}
