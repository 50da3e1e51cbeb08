/*
 * map.c - postrider map: builds, asks and changes lookup tables.
 *
 *	postrider map [options] [type:]file ...	build from the text files
 *	postrider map -q key [type:]file ...	ask; "-": keys from the input
 *	postrider map -s [type:]file ...	show everything
 *	postrider map -d key [type:]file ...	remove; "-" as with -q
 *	postrider map -i [-r] [type:]file	add the lines of the input
 *	postrider map -a ..., map alias ...	the same for alias files
 *	postrider map -q - -hbm type:file	keys from a message
 *
 * Under the names postmap, postalias and newaliases it is those. Exit status
 * 0, or 1 when a key was not found or anything else went wrong. A build or a
 * change by root is done as the owner of the directory or of the text file,
 * unless -o is given: a directory of his is no place for root to create or to
 * open files in.
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
#include "common/mail/encode.h"
#include "common/map/map.h"
#include "common/param/site.h"
#include "resolve/map_message.h"

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
	unsigned	 how;			/* MAP_... */
	bool		 stays_root, has_configuration;
	struct map_message message;		/* -h -b -m */
} options;

enum { STDIN_MAX = 1 << 28 };

/* How it is called. */
_Noreturn static void
usage(void)
{
	fprintf(stderr,
	    "usage: postrider map [-abfFhimopruvw] [-c dir] [-q key | -d key "
	    "| -s | -i] [type:]file ...\n"
	    "       postrider map alias [build] [[type:]file ...]\n");
	exit(1);
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

/* The file that a table is made of. */
static const char *
source_of(const char *name)
{
	while (text_starts(name, "proxy:"))
		name += strlen("proxy:");
	return strchr(name, ':') + 1;
}

/* --- building ------------------------------------------------------------ */

/*
 * As the owner of the directory, who could lay links there for us to write
 * through, or else as the owner of the source.
 */
static void
become_owner(const char *source)
{
	char		*directory = mem_strdup(source), *slash;
	struct stat	 st;
	bool		 is_known;

	if ((slash = strrchr(directory, '/')) != NULL)
		slash[slash == directory] = '\0';
	is_known = stat(slash != NULL ? directory : ".", &st) == 0 &&
	    st.st_uid != 0;
	free(directory);
	if (!is_known && stat(source, &st) == -1)
		return;
	if (geteuid() != 0 || options.stays_root || st.st_uid == 0)
		return;
	if (setgroups(1, &st.st_gid) == -1 || setegid(st.st_gid) == -1 ||
	    seteuid(st.st_uid) == -1)
		die("cannot become user %u: %s", (unsigned)st.st_uid,
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

/* Build one table. */
static int
build(struct pool *pool, const char *name)
{
	const char	*source = source_of(name), *why;
	struct str	 warnings;
	struct stat	 st;
	unsigned	 entries;

	if (stat(source, &st) == -1) {
		log_error("%s: %s", source, strerror(errno));
		return 1;
	}
	str_init(&warnings, pool, 0);
	become_owner(source);
	why = map_build(pool, name, options.how, &entries, &warnings);
	become_root();
	log_lines(LOG_LEVEL_WARNING, warnings.data);
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

/* A table to ask. */
static struct map *
open_table(struct pool *pool, const char *name)
{
	struct map	*m;
	char		*why;

	if ((m = map_open(pool, full_name(pool, name), &why)) == NULL)
		die("%s", why);
	if (options.how & MAP_KEEPS_CASE)
		map_keep_case(m);
	return m;
}

/* A value as it is shown: the files that -F stored are text again. */
static void
print_value(struct pool *pool, const char *key, const char *value)
{
	size_t	 len = strlen(value);
	char	*text;
	ssize_t	 n;

	if (options.how & MAP_FILES) {
		text = pool_alloc(pool, len + 1);
		if ((n = base64_decode(text, value, len)) == -1)
			die("the value of %s is not base64: %s", key, value);
		fwrite(text, 1, (size_t)n, stdout);
	} else
		fputs(value, stdout);
	putchar('\n');
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
		printf("%s%s\t", key, options.how & MAP_ALIAS ? ":" : "");
	if (result == MAP_FOUND)
		print_value(pool, key, value);
	pool_free(pool);
	return result == MAP_FOUND ? 0 : 1;
}

/* One key, in the first table that has it. */
static int
ask_tables(struct pool *pool, char **names)
{
	struct map	*m;

	for (; *names != NULL; names++) {
		m = open_table(pool, *names);
		if (ask(m, options.key, false) == 0)
			return 0;
		map_close(m);
	}
	return 1;
}

/* Tables that are asked for many keys. */
struct asking {
	struct map	**maps;
	size_t		  count;
	int		  status;
};

/* One of many keys. */
static void
ask_each(void *arg, const char *key)
{
	struct asking	*a = arg;
	size_t		 i;

	for (i = 0; i < a->count; i++)
		if (ask(a->maps[i], key, true) == 0) {
			a->status = 0;
			return;
		}
}

/* Every line of the input is a key, or what a message has. */
static int
ask_input(struct pool *pool, char **names)
{
	struct asking	 a = { .status = 1 };
	char		*text = read_input(pool), *line;
	size_t		 i;

	while (names[a.count] != NULL)
		a.count++;
	a.maps = pool_array(pool, a.count, sizeof(struct map *));
	for (i = 0; i < a.count; i++)
		a.maps[i] = open_table(pool, names[i]);
	if (options.message.headers || options.message.body) {
		options.message.each = ask_each;
		options.message.context = &a;
		map_message_keys(pool, &options.message, text, strlen(text));
		return a.status;
	}
	while ((line = strsep(&text, "\n")) != NULL)
		if (*line != '\0')
			ask_each(&a, line);
	return a.status;
}

/* Remove one key from each table. */
static int
delete_key(struct pool *pool, char **names, const char *key)
{
	const char	*why, *name;
	bool		 was_there;
	int		 result = 1;

	for (; *names != NULL; names++) {
		name = full_name(pool, *names);
		become_owner(source_of(name));
		why = (options.how & MAP_KEEPS_CASE ? map_delete_exactly :
		    map_delete)(pool, name, key, &was_there);
		become_root();
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
	struct pool	*pool = pool_new("row", 0);

	(void)unused;
	printf("%s%s\t", key, options.how & MAP_ALIAS ? ":" : "");
	print_value(pool, key, value);
	pool_free(pool);
}

/* Add the lines of the input. */
static void
add(struct pool *pool, const char *name)
{
	struct str	 warnings;
	const char	*why;
	unsigned	 entries;

	str_init(&warnings, pool, 0);
	become_owner(source_of(name));
	why = map_merge(pool, name, read_input(pool), "standard input",
	    options.how, &entries, &warnings);
	become_root();
	log_lines(LOG_LEVEL_WARNING, warnings.data);
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

/* What to do, once. */
static void
set_verb(enum verb verb)
{
	if (options.verb != VERB_BUILD)
		die("expected one of -d, -i, -q and -s");
	options.verb = verb;
}

/* An option that changes how tables are made. */
static bool
take_how(int option)
{
	static const struct { int option; unsigned how; } all[] = {
		{ 'a', MAP_ALIAS }, { 'f', MAP_KEEPS_CASE },
		{ 'F', MAP_FILES }, { 'p', MAP_DEFAULT_MODE },
		{ 'r', MAP_REPLACES }, { 'w', MAP_QUIETLY }
	};
	size_t	i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (option == all[i].option) {
			options.how |= all[i].how;
			return true;
		}
	/* Postfix has these; here they change nothing: keys are found with
	 * and without a NUL at their end, and bytes are bytes. */
	return strchr("nNuU", option) != NULL;
}

/* One option. */
static void
take_option(int option, char *value)
{
	switch (option) {
	case 'b': options.message.body = true; break;
	case 'c': options.directory = value; break;
	case 'd': set_verb(VERB_DELETE); options.key = value; break;
	case 'h': options.message.headers = true; break;
	case 'i': set_verb(VERB_ADD); break;
	case 'm': options.message.mime = true; break;
	case 'o': options.stays_root = true; break;
	case 'q': set_verb(VERB_ASK); options.key = value; break;
	case 's': set_verb(VERB_SHOW); break;
	case 'v': log_verbose(1); break;
	default:
		if (!take_how(option))
			usage();
	}
}

/* Do the options go together? */
static void
check_options(void)
{
	const struct map_message	*m = &options.message;

	if ((m->headers || m->body) && (options.verb != VERB_ASK ||
	    strcmp(options.key, "-") != 0))
		die("-h and -b are for -q -");
	if (m->mime && !m->headers && !m->body)
		die("-m is for -h and -b");
}

/* The name under which we were called, and words before the tables. */
static char **
take_words(const char *program, char **names)
{
	size_t	count;

	if (strcmp(program, "postalias") == 0 ||
	    strcmp(program, "newaliases") == 0)
		options.how |= MAP_ALIAS;
	if (*names != NULL && strcmp(*names, "alias") == 0) {
		options.how |= MAP_ALIAS;
		names++;
	}
	if (*names != NULL && strcmp(*names, "build") == 0)
		names++;
	if (*names != NULL)
		return names;
	if (!(options.how & MAP_ALIAS) || options.verb != VERB_BUILD)
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
	while ((option = getopt(argc, argv, "+abc:d:fFhimNnopq:rsuUvw")) != -1)
		take_option(option, optarg);
	check_options();
	if (options.directory != NULL)
		configure();
	pool = pool_new("postrider map", 0);
	result = run(pool, take_words(program, argv + optind));
	if (fflush(stdout) == EOF)
		die("standard output: %s", strerror(errno));
	pool_free(pool);
	return result;
}
