/*
 * postrider.c - the administrator's one command: postrider [-c DIR] VERB.
 *
 * What speaks to master is here; every other verb is a program
 * postrider-VERB, found beside this one or in command_directory. Under the
 * names postfix, postlog, postkick and postlock it does what Postfix's
 * programs of these names do.
 */
#include "master/postrider.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/param/site.h"

const char	*postrider_directory;

/* The only help there is besides the manual. */
static void
help(FILE *out)
{
	fprintf(out, "usage: postrider [-c directory] verb [argument ...]\n"
	    "  start | start-fg      check, then start the mail system\n"
	    "  stop [--now]          end it, when deliveries are done\n"
	    "  reload                read the configuration again\n"
	    "  status                what runs\n"
	    "  check [-r]            what is wrong; repair owners and modes\n"
	    "  flush                 try all deferred mail again\n"
	    "  log [-f] [-n lines] [-s since] [word ...]\n"
	    "                        what was logged about it\n"
	    "  log -w text           write a line to the mail log\n"
	    "  logrotate             begin another maillog_file\n"
	    "  set-permissions       make the queue's owners and modes right\n"
	    "  conf | queue | map | user\n"
	    "                        postrider-conf and so on; see there\n"
	    "See man 7 postrider.\n");
}

/* The command line is wrong. */
_Noreturn void
postrider_usage(void)
{
	help(stderr);
	exit(2);
}

/* The path of a program beside this one; NULL if there is none. */
char *
postrider_beside(struct pool *pool, const char *name)
{
	char	*path = pool_alloc(pool, PATH_MAX), *slash;
	ssize_t	 n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (n <= 0 || (slash = strrchr(path, '/')) == NULL)
		return NULL;
	*slash = '\0';
	path = pool_printf(pool, "%s/%s", path, name);
	return access(path, X_OK) == 0 ? path : NULL;
}

/* Become postrider-VERB. */
_Noreturn void
postrider_become(struct pool *pool, const char *verb, char **argv)
{
	char		*name = pool_printf(pool, "postrider-%s", verb);
	char		*path = postrider_beside(pool, name);
	struct str	 problems;

	if (postrider_directory != NULL &&
	    setenv("MAIL_CONFIG", postrider_directory, 1) == -1)
		die("setenv: %s", strerror(errno));
	str_init(&problems, pool, 0);
	if (path == NULL && site_try(pool, postrider_directory,
	    &problems) != NULL)
		path = pool_printf(pool, "%s/%s", site.command_directory,
		    name);
	if (path == NULL)
		path = pool_printf(pool, "%s/%s", DEFAULT_COMMAND_DIRECTORY,
		    name);
	if (strchr(verb, '/') == NULL) {
		argv[0] = name;
		execv(path, argv);
	}
	if (errno == ENOENT) {
		fprintf(stderr, "postrider: there is no verb \"%s\"\n", verb);
		postrider_usage();
	}
	die("%s: %s", path, strerror(errno));
}

/* flush: everything that is deferred is tried now. */
static int
flush(struct pool *pool, char **argv)
{
	char	*words[] = { NULL, (char *)(uintptr_t)"flush", NULL };

	(void)argv;
	postrider_become(pool, "queue", words);
}

/* help: which verbs there are. */
static int
tell_verbs(struct pool *pool, char **argv)
{
	(void)pool;
	(void)argv;
	help(stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}

/* What Postfix does for its own installations, and nobody needs here. */
static int
do_nothing(struct pool *pool, char **argv)
{
	(void)pool;
	(void)argv;
	return 0;
}

static const struct {
	const char	*name;
	int		(*run)(struct pool *, char **argv);
} verbs[] = {
	{ "start",	postrider_start },
	{ "quick-start", postrider_start },
	{ "start-fg",	postrider_start_foreground },
	{ "stop",	postrider_stop },
	{ "quick-stop",	postrider_stop },
	{ "abort",	postrider_abort },
	{ "drain",	postrider_stop },
	{ "reload",	postrider_reload },
	{ "status",	postrider_status },
	{ "check",	postrider_check },
	{ "flush",	flush },
	{ "log",	postrider_log },
	{ "logrotate",	postrider_logrotate },
	{ "set-permissions", postrider_set_permissions },
	{ "help",	tell_verbs },
	{ "post-install", do_nothing },
	{ "upgrade-configuration", do_nothing }
};

static const struct {
	const char	*name;
	int		(*run)(struct pool *, int argc, char **argv);
} names[] = {
	{ "postlog",	postrider_postlog },
	{ "postkick",	postrider_postkick },
	{ "postlock",	postrider_postlock }
};

/* postrider [-c DIR] VERB; Postfix's -D and -v change nothing. */
static int
run(struct pool *pool, int argc, char **argv)
{
	size_t	i;
	int	option;

	while ((option = getopt(argc, argv, "+c:Dv")) != -1) {
		if (option == '?')
			postrider_usage();
		if (option == 'c' &&
		    (postrider_directory = realpath(optarg, NULL)) == NULL)
			die("%s: %s", optarg, strerror(errno));
	}
	if (optind == argc)
		postrider_usage();
	argv += optind;
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[0], verbs[i].name) == 0)
			return verbs[i].run(pool, argv);
	postrider_become(pool, argv[0], argv);
}

int
main(int argc, char **argv)
{
	struct pool	*pool = pool_new("postrider", 0);
	const char	*slash = strrchr(argv[0], '/');
	const char	*name = slash != NULL ? slash + 1 : argv[0];
	size_t		 i;

	fs_open_standard();
	log_name("postrider", name);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i].name) == 0)
			return names[i].run(pool, argc, argv);
	return run(pool, argc, argv);
}
