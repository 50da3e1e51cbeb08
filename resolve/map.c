/*
 * map.c - postrider map: builds, asks and changes lookup tables.
 *
 *	postrider map [options] [type:]file ...	build from the text files
 *	postrider map -q key [type:]file ...	ask; "-": keys from the input
 *	postrider map -s [type:]file ...	show everything
 *	postrider map -d key [type:]file ...	remove; "-" as with -q
 *	postrider map -i [-r] [type:]file	add the lines of the input
 *	postrider map -a ..., map alias ...	the same for alias files
 *
 * Under the names postmap, postalias and newaliases it is those. Exit status
 * 0, or 1 when a key was not found or anything else went wrong. A build by
 * root is done as the owner of the text file, unless -o is given: a directory
 * of his is no place for root to create files in.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/map/map.h"
#include "common/param/site.h"

static struct {
	char	*default_database_type, *alias_database;
} set;

static const struct param params[] = {
	PARAM_STRING("default_database_type", set.default_database_type,
	    "hash", 1, 32, "Type of tables that are named without one."),
	PARAM_STRING("alias_database", set.alias_database,
	    "hash:/etc/aliases", 0, 0, "The alias tables that newaliases "
	    "builds."),
	PARAM_END
};

enum verb { VERB_BUILD, VERB_ASK, VERB_SHOW, VERB_DELETE, VERB_ADD };

static struct {
	enum verb	 verb;
	const char	*key, *directory;
	bool		 is_alias, replaces, stays_root;
	bool		 has_configuration;
} options;

enum { STDIN_MAX = 1 << 28 };

/* How it is called. */
_Noreturn static void
usage(void)
{
	fprintf(stderr,
	    "usage: postrider map [-afoprv] [-c dir] [-q key | -d key | -s | "
	    "-i] [type:]file ...\n"
	    "       postrider map alias [build] [[type:]file ...]\n");
	exit(64);
}

/* --- configuration ------------------------------------------------------- */

/* main.cf, when it is needed or was asked for. A host that only has tables
 * and no main.cf gets the defaults. */
static void
configure(void)
{
	const struct param *const	 tables[] = { params, NULL };
	struct pool			*pool;
	struct str			 problems;
	struct maincf			*mc;

	if (options.has_configuration)
		return;
	options.has_configuration = true;
	pool = pool_new("configuration", 0);
	str_init(&problems, pool, 0);
	if (options.directory == NULL && getenv("MAIL_CONFIG") == NULL &&
	    access(DEFAULT_CONFIG_DIRECTORY "/main.cf", F_OK) == -1)
		mc = maincf_empty(pool);
	else
		mc = site_load(options.directory);
	if (param_load(mc, tables, &problems) == -1)
		die("%s", problems.data);
}

/* The table's name with its type. */
static const char *
full_name(struct pool *pool, const char *word)
{
	if (strchr(word, ':') != NULL)
		return word;
	configure();
	return pool_printf(pool, "%s:%s", set.default_database_type, word);
}

/* --- building ------------------------------------------------------------ */

/* As the owner of the source; false when that is not possible. */
static void
become_owner(const struct stat *st)
{
	if (geteuid() != 0 || options.stays_root || st->st_uid == 0)
		return;
	if (setgroups(1, &st->st_gid) == -1 || setegid(st->st_gid) == -1 ||
	    seteuid(st->st_uid) == -1)
		die("cannot become user %u: %s", (unsigned)st->st_uid,
		    strerror(errno));
}

/* Back from being an owner. */
static void
become_root(void)
{
	gid_t	group = 0;

	if (getuid() != 0 || geteuid() == 0)
		return;
	if (seteuid(0) == -1 || setegid(0) == -1 ||
	    setgroups(1, &group) == -1)
		die("cannot be root again: %s", strerror(errno));
}

/* Tell each line of warnings. */
static void
say_warnings(char *warnings)
{
	char	*line;

	while ((line = strsep(&warnings, "\n")) != NULL)
		if (*line != '\0')
			log_warning("%s", line);
}

/* Build one table. */
static int
build(struct pool *pool, const char *name)
{
	const char	*source = strchr(name, ':') + 1, *why;
	struct str	 warnings;
	struct stat	 st;
	unsigned	 entries;

	if (stat(source, &st) == -1) {
		log_error("%s: %s", source, strerror(errno));
		return 1;
	}
	str_init(&warnings, pool, 0);
	become_owner(&st);
	why = map_build(pool, name, options.is_alias, &entries, &warnings);
	become_root();
	say_warnings(warnings.data);
	if (why != NULL) {
		log_error("%s", why);
		return 1;
	}
	log_debug("%s: %u entries", name, entries);
	return 0;
}

/* --- asking and changing ------------------------------------------------- */

/* All of standard input. */
static char *
read_input(struct pool *pool)
{
	struct str	text;
	char		buffer[1024];
	size_t		n;

	str_init(&text, pool, STDIN_MAX);
	while ((n = fread(buffer, 1, sizeof buffer, stdin)) > 0)
		str_add_mem(&text, buffer, n);
	if (ferror(stdin) || text.is_cut)
		die("standard input: %s", text.is_cut ? "too long" :
		    strerror(errno));
	if (strlen(text.data) != text.len)
		die("standard input: expected text, found a NUL byte");
	return text.data;
}

/* Ask for one key; 0 found, 1 not, dies on an error. */
static int
ask(struct map *m, const char *key, bool shows_key)
{
	struct pool	*pool = pool_new("key", 0);
	char		*value, *why;
	enum map_result	 result = map_find(m, pool, key, &value, &why);

	if (result == MAP_ERROR)
		die("%s", why);
	if (result == MAP_FOUND && shows_key)
		printf("%s\t%s\n", key, value);
	else if (result == MAP_FOUND)
		printf("%s\n", value);
	pool_free(pool);
	return result == MAP_FOUND ? 0 : 1;
}

/* One key, in the first table that has it. */
static int
ask_tables(struct pool *pool, char **names)
{
	struct map	*m;
	char		*why;

	for (; *names != NULL; names++) {
		m = map_open(pool, full_name(pool, *names), &why);
		if (m == NULL)
			die("%s", why);
		if (ask(m, options.key, false) == 0)
			return 0;
		map_close(m);
	}
	return 1;
}

/* Every line of the input is a key. */
static int
ask_input(struct pool *pool, char **names)
{
	char	*text = read_input(pool), *line, *why;
	struct map *maps[16];
	size_t	 i, count = 0;
	int	 result = 1;

	for (; names[count] != NULL; count++) {
		if (count == 16)
			die("expected at most 16 tables");
		maps[count] = map_open(pool, full_name(pool, names[count]),
		    &why);
		if (maps[count] == NULL)
			die("%s", why);
	}
	while ((line = strsep(&text, "\n")) != NULL)
		for (i = 0; *line != '\0' && i < count; i++)
			if (ask(maps[i], line, true) == 0) {
				result = 0;
				break;
			}
	return result;
}

/* Remove one key from each table. */
static int
delete_key(struct pool *pool, char **names, const char *key)
{
	const char	*why;
	bool		 was_there;
	int		 result = 1;

	for (; *names != NULL; names++) {
		why = map_delete(pool, full_name(pool, *names), key,
		    &was_there);
		if (why != NULL)
			die("%s", why);
		if (was_there)
			result = 0;
	}
	return result;
}

/* One key, or every line of the input. */
static int
delete_keys(struct pool *pool, char **names)
{
	char	*text, *line;
	int	 result = 1;

	if (strcmp(options.key, "-") != 0)
		return delete_key(pool, names, options.key);
	text = read_input(pool);
	while ((line = strsep(&text, "\n")) != NULL)
		if (*line != '\0' && delete_key(pool, names, line) == 0)
			result = 0;
	return result;
}

/* One row, as its source would have it. */
static void
print_row(void *unused, const char *key, const char *value)
{
	(void)unused;
	printf("%s%s\t%s\n", key, options.is_alias ? ":" : "", value);
}

/* Add the lines of the input. */
static void
add(struct pool *pool, const char *name)
{
	struct str	 warnings;
	const char	*why;
	unsigned	 entries;

	str_init(&warnings, pool, 0);
	why = map_merge(pool, name, read_input(pool), "standard input",
	    options.is_alias, options.replaces, &entries, &warnings);
	say_warnings(warnings.data);
	if (why != NULL)
		die("%s", why);
}

/* --- main ---------------------------------------------------------------- */

/* One table for the verbs that take each by itself. */
static int
each(struct pool *pool, const char *name)
{
	const char	*why = NULL;

	switch (options.verb) {
	case VERB_BUILD:
		return build(pool, name);
	case VERB_SHOW:
		why = map_walk(pool, name, print_row, NULL);
		break;
	default:
		add(pool, name);
		break;
	}
	if (why != NULL)
		die("%s: %s", name, why);
	return 0;
}

/* Do what was asked with all tables; the exit status. */
static int
run(struct pool *pool, char **names)
{
	int	result = 0;

	switch (options.verb) {
	case VERB_ASK:
		return strcmp(options.key, "-") == 0 ?
		    ask_input(pool, names) : ask_tables(pool, names);
	case VERB_DELETE:
		return delete_keys(pool, names);
	default:
		for (; *names != NULL; names++)
			result |= each(pool, full_name(pool, *names));
		return result;
	}
}

/* One option. */
static void
take_option(int option, char *value)
{
	switch (option) {
	case 'a':
		options.is_alias = true;
		break;
	case 'c':
		options.directory = value;
		break;
	case 'd':
	case 'q':
		options.verb = option == 'd' ? VERB_DELETE : VERB_ASK;
		options.key = value;
		break;
	case 'i':
		options.verb = VERB_ADD;
		break;
	case 's':
		options.verb = VERB_SHOW;
		break;
	case 'r':
		options.replaces = true;
		break;
	case 'o':
		options.stays_root = true;
		break;
	case 'v':
		log_verbose(1);
		break;
	/* Postfix has these; here they are the rule, or change nothing. */
	case 'f':
	case 'n':
	case 'N':
	case 'p':
	case 'u':
	case 'U':
	case 'w':
		break;
	default:
		usage();
	}
}

/* The name under which we were called, and words before the tables. */
static char **
take_words(const char *program, char **names)
{
	size_t	count;

	if (strcmp(program, "postalias") == 0 ||
	    strcmp(program, "newaliases") == 0)
		options.is_alias = true;
	if (*names != NULL && strcmp(*names, "alias") == 0) {
		options.is_alias = true;
		names++;
	}
	if (*names != NULL && strcmp(*names, "build") == 0)
		names++;
	if (*names != NULL)
		return names;
	if (!options.is_alias)
		usage();
	configure();
	return text_words(pool_new("tables", 0), set.alias_database, &count);
}

/* The postrider map command. */
int
main(int argc, char **argv)
{
	const char	*program = strrchr(argv[0], '/');
	struct pool	*pool;
	int		 option, result;

	fs_open_standard();
	program = program != NULL ? program + 1 : argv[0];
	log_name("postrider", program);
	while ((option = getopt(argc, argv, "+ac:d:fiNnopq:rsuUvw")) != -1)
		take_option(option, optarg);
	if (options.directory != NULL)
		configure();
	pool = pool_new("postrider map", 0);
	result = run(pool, take_words(program, argv + optind));
	if (fflush(stdout) == EOF)
		die("standard output: %s", strerror(errno));
	pool_free(pool);
	return result;
}
