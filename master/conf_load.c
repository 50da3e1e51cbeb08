/*
 * conf_load.c - the configuration as the commands that show it see it: with
 * every default, those of the transports in master.cf too.
 */
#include "master/conf.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/param/site.h"

/* Does the service have this setting of transports? */
static bool
has_setting(const struct service *s, const struct known *row)
{
	static const char *const	transports[] = {
		"smtp", "lmtp", "local", "virtual", "error", "pipe"
	};
	bool	is_time_limit = strcmp(known_name(row),
			    "*_time_limit") == 0;
	size_t	i;

	if (is_time_limit)
		return strcmp(s->command, "pipe") == 0 ||
		    strcmp(s->command, "spawn") == 0;
	for (i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (strcmp(s->command, transports[i]) == 0)
			return true;
	return false;
}

/* Is it the first service with this name that has such settings? */
static bool
is_first(const struct mastercf *m, const struct service *service,
    const struct known *row)
{
	const struct service	*s;

	for (s = m->services; s < service; s++)
		if (strcmp(s->name, service->name) == 0 && has_setting(s, row))
			return false;
	return true;
}

/* Every setting of every transport. */
void
conf_each_of_service(const struct mastercf *m,
    void (*each)(void *, const char *, const struct known *), void *context)
{
	const struct service	*s;
	const struct known	*row;
	size_t			 i;

	for (s = m->services; s < m->services + m->count; s++)
		for (i = 0; (row = known_at(i)) != NULL &&
		    *known_name(row) == '*'; i++)
			if (has_setting(s, row) && is_first(m, s, row))
				each(context, s->name, row);
}

/* Give one of them its default. */
static void
set_default(void *arg, const char *service, const struct known *row)
{
	struct maincf	*mc = arg;
	const char	*name;

	name = pool_printf(maincf_pool(mc), "%s%s", service,
	    known_name(row) + 1);
	if (known_find(name) == row)
		maincf_default(mc, name, known_standard(row));
}

/* What master.cf adds: names that it uses, defaults of its transports. */
static void
take_master(struct pool *pool, const struct request *r, struct maincf *mc)
{
	struct mastercf	*m;
	char		*why;
	size_t		 i, k;

	if ((m = conf_master(pool, r, &why)) == NULL)
		return;
	conf_each_of_service(m, set_default, mc);
	for (i = 0; i < m->count; i++)
		for (k = 0; k < m->services[i].option_count; k++)
			maincf_note_uses(mc, m->services[i].options[k].value);
}

/* Where the programs are: tests may say, nobody else can. */
static const char *
daemon_directory(struct maincf *mc, struct pool *pool)
{
	const char	*directory = secure_getenv("POSTRIDER_DAEMON_DIRECTORY");
	char		*why;

	if (directory == NULL)
		directory = maincf_value(mc, pool, "daemon_directory", &why);
	return directory == NULL ? DEFAULT_DAEMON_DIRECTORY : directory;
}

/* -o name=value */
static void
override(struct pool *pool, struct maincf *mc, const char *setting)
{
	char	*copy = pool_strdup(pool, setting), *value = copy;

	(void)strsep(&value, "=");
	if (value != NULL)
		maincf_set(mc, text_trim(copy), text_trim(value), "-o");
}

/* The file with its overrides, or an empty one; NULL if there must be one. */
static struct maincf *
read_file(struct pool *pool, const struct request *r)
{
	struct maincf	*mc;
	char		*why;
	size_t		 i;

	mc = maincf_read(pool, pool_printf(pool, "%s/main.cf",
	    site_directory(r->directory)), &why);
	if (mc == NULL && r->which != DEFAULTS) {
		log_error("%s", why);
		return NULL;
	}
	if (mc == NULL)
		mc = maincf_empty(pool);
	if (r->directory != NULL || secure_getenv("MAIL_CONFIG") != NULL)
		maincf_set(mc, "config_directory",
		    site_directory(r->directory), "-c");
	for (i = 0; i < r->override_count; i++)
		override(pool, mc, r->overrides[i]);
	return mc;
}

/* The file with all defaults, and the catalog. */
struct maincf *
conf_load(struct pool *pool, const struct request *r, struct catalog *c)
{
	struct maincf	*mc, *empty = maincf_empty(pool);
	struct str	 problems;
	size_t		 i;

	if ((mc = read_file(pool, r)) == NULL)
		return NULL;
	str_init(&problems, pool, 0);
	site_apply(mc, &problems);
	log_lines(LOG_LEVEL_WARNING, problems.data);
	catalog_learn(pool, c, daemon_directory(mc, pool));
	if (r->which == DEFAULTS) {
		site_apply(empty, &problems);
		mc = empty;
	}
	for (i = 0; i < c->count; i++)
		if (c->rows[i].standard != NULL)
			maincf_default(mc, c->rows[i].name,
			    c->rows[i].standard);
	maincf_default(mc, "config_directory", site_directory(r->directory));
	take_master(pool, r, mc);
	return mc;
}
