/*
 * conf.c - postrider-conf: show and change the configuration.
 *
 *	postrider conf [-n | -d] [-fhHx] [-c DIR] [-o name=value] [name ...]
 *	postrider conf -e name=value ...	set (-e may be left out)
 *	postrider conf -# name ...		comment out
 *	postrider conf -X name ...		remove
 *	postrider conf -M [-f] [service[/type] ...]
 *	postrider conf --manual			the manual's list, in mdoc
 *
 * The same as postconf in Postfix, with one difference: -e refuses a value
 * that the parameter's program would refuse.
 */
#include "master/conf.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/param/known.h"
#include "common/param/site.h"

/* The only help there is besides the manual. */
static int
usage(void)
{
	fputs("usage: postrider-conf [-dnfhHpvx] [-c directory] "
	    "[-o name=value] [name ...]\n"
	    "       postrider-conf [-c directory] -e name=value ...\n"
	    "       postrider-conf [-c directory] -# | -X name ...\n"
	    "       postrider-conf [-c directory] -M [-f] [service[/type] ...]"
	    "\n       postrider-conf --manual\n", stderr);
	return 1;
}

/* One option; false if there is none like it. */
static bool
take(struct request *r, int option, char *value)
{
	switch (option) {
	case '#': r->verb = COMMENT_OUT; break;
	case 'c': r->directory = value; break;
	case 'd': r->which = DEFAULTS; break;
	case 'e': r->verb = EDIT; break;
	case 'f': r->fold = true; break;
	case 'h': r->without_name = true; break;
	case 'H': r->without_value = true; break;
	case 'M': r->verb = SERVICES; break;
	case 'n': r->which = NOT_DEFAULTS; break;
	case 'o': r->overrides[r->override_count++] = value; break;
	case 'p': break;
	case 'v': log_verbose(1); break;
	case 'x': r->expand = true; break;
	case 'X': r->verb = REMOVE; break;
	default: return false;
	}
	return true;
}

/* The command line; false if it makes no sense. */
static bool
parse(struct pool *pool, int argc, char **argv, struct request *r)
{
	int	option;
	size_t	i;

	if (argc == 2 && strcmp(argv[1], "--manual") == 0) {
		r->verb = MANUAL;
		r->which = DEFAULTS;
		return true;
	}
	r->overrides = pool_array(pool, (size_t)argc, sizeof(char *));
	while ((option = getopt(argc, argv, "#c:defhHMno:pvxX")) != -1)
		if (!take(r, option, optarg))
			return false;
	r->words = argv + optind;
	r->word_count = (size_t)(argc - optind);
	for (i = 0; i < r->word_count && r->verb == SHOW; i++)
		if (strchr(r->words[i], '=') != NULL)
			r->verb = EDIT;
	return r->verb == SHOW || r->verb == SERVICES || r->word_count > 0;
}

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

int
main(int argc, char **argv)
{
	struct pool	*pool = pool_new("postrider-conf", 0);
	struct request	 r = { .verb = SHOW, .which = ALL };
	int		 status;

	fs_open_standard();
	log_name("postrider", "postrider-conf");
	if (!parse(pool, argc, argv, &r))
		return usage();
	if (r.verb == SHOW || r.verb == MANUAL)
		status = conf_show(pool, &r);
	else if (r.verb == SERVICES)
		status = conf_services(pool, &r);
	else
		status = conf_edit(pool, &r);
	if (fflush(stdout) == EOF || ferror(stdout))
		status = 1;
	pool_free(pool);
	return status;
}
