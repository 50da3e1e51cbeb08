/*
 * queue_names.c - the command lines of mailq, postqueue, postsuper and
 * postcat, for scripts that know them from Postfix.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/text.h"
#include "qmgr/queue.h"

/* How to use it. */
static _Noreturn void
usage(int status, const char *text)
{
	give_up(status, "usage: %s", text);
}

/* A list. */
static void
add_list(bool as_json)
{
	struct order	*o = order_add("list");

	o->is_all = true;
	o->as_json = as_json;
}

/* mailq */
static void
take_mailq(int argc, char **argv)
{
	int	option;

	while ((option = getopt(argc, argv, "C:c:jv")) != -1)
		if (option == 'C' || option == 'c')
			command.directory = optarg;
		else if (option == '?')
			usage(EX_USAGE, "mailq [-C config_dir]");
	add_list(false);
}

/* What a site may be called: a domain, or an address in brackets. */
static const char *
check_site(const char *site)
{
	if (*site == '\0' || site[strspn(site, "[]:._-0123456789"
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0')
		give_up(EX_UNAVAILABLE, "cannot flush: not a destination: "
		    "\"%s\"", site);
	return site;
}

/* postqueue -p -j -f -i ID -s SITE */
static void
take_postqueue(int argc, char **argv)
{
	static const char	text[] = "postqueue -f | postqueue -i queueid "
				    "| postqueue -j | postqueue -p | "
				    "postqueue -s site";
	int			option, wanted = 0;
	const char		*word = NULL;

	while ((option = getopt(argc, argv, "c:fi:jps:v")) != -1) {
		if (option == 'c')
			command.directory = optarg;
		else if (option == '?' || (option != 'v' && wanted != 0))
			usage(EX_UNAVAILABLE, text);
		else if (option != 'v') {
			wanted = option;
			word = optarg;
		}
	}
	if (wanted == 0 || optind < argc)
		usage(EX_UNAVAILABLE, text);
	if (wanted == 'p' || wanted == 'j')
		add_list(wanted == 'j');
	else if (wanted == 'f')
		order_add("flush")->is_all = true;
	else if (wanted == 'i')
		order_word(order_add("flush"), word);
	else
		order_add("flush")->site = check_site(word);
}

/* The verb of an option of postsuper; NULL for those without. */
static const char *
super_verb(int option)
{
	static const struct {
		int		 option;
		const char	*verb;
	} verbs[] = {
		{ 'd', "delete" }, { 'e', "expire" },
		{ 'f', "expire-release" }, { 'h', "hold" },
		{ 'H', "release" }, { 'r', "requeue" },
	};
	size_t	i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (verbs[i].option == option)
			return verbs[i].verb;
	return NULL;
}

/* An id, ALL or "-" for that verb; ids of one verb stay together. */
static void
add_super(const char *verb, const char *word)
{
	struct order	*o = NULL;
	size_t		 i;

	for (i = 0; i < command.count; i++)
		if (strcmp(command.orders[i].verb, verb) == 0 &&
		    !command.orders[i].is_all && strcmp(word, "ALL") != 0)
			o = &command.orders[i];
	order_word(o != NULL ? o : order_add(verb), word);
}

/* A directory that Postfix has and in which there are no messages here? */
static bool
is_without_messages(const char *name)
{
	static const char *const	names[] = { "maildrop", "bounce",
					    "defer", "trace", "flush" };
	size_t				i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* The queues that are named behind the options. */
static void
name_queues(char **names)
{
	size_t	i;

	for (; *names != NULL; names++) {
		if (is_without_messages(*names)) {
			for (i = 0; i < command.count; i++)
				command.orders[i].select.queues |=
				    SELECT_NO_QUEUE;
			continue;
		}
		if (select_queue(*names) == -1 ||
		    strcmp(*names, "corrupt") == 0)
			give_up(1, "invalid directory name: %s", *names);
		for (i = 0; i < command.count; i++)
			(void)select_option(&command.orders[i].select,
			    "queue", *names);
	}
}

/* postsuper -p -s -d -e -f -h -H -r ID [queue ...] */
static void
take_postsuper(int argc, char **argv)
{
	static const char	 text[] = "postsuper [-psSv] [-c config_dir] "
				    "[-d queue_id (delete)] [-e queue_id "
				    "(expire)] [-f queue_id (expire, out of "
				    "hold)] [-h queue_id (hold)] [-H queue_id "
				    "(out of hold)] [-r queue_id (requeue)] "
				    "[directory ...]";
	int			 option;
	bool			 checks = false, purges = false;
	const char		*verb;

	while ((option = getopt(argc, argv, "c:d:e:f:h:H:pr:sSv")) != -1) {
		if ((verb = super_verb(option)) != NULL)
			add_super(verb, optarg);
		else if (option == 'c')
			command.directory = optarg;
		else if (option == 'p')
			purges = true;
		else if (option == 's' || option == 'S')
			checks = true;
		else if (option == '?')
			usage(1, text);
	}
	name_queues(argv + optind);
	if (command.count == 0 && !checks && !purges)
		checks = purges = true;
	if (purges)
		(void)order_add("purge");
	if (checks)
		(void)order_add("check");
}

/* What an option of postcat shows, or 0. */
static unsigned
shown_by(int option)
{
	static const struct {
		int		 option;
		unsigned	 show;
	} options[] = {
		{ 'b', SHOW_BODY }, { 'd', SHOW_TYPES }, { 'e', SHOW_ENVELOPE },
		{ 'h', SHOW_HEADER }, { 'o', SHOW_OFFSETS },
		{ 'v', SHOW_LABELS },
	};
	size_t	i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].option == option)
			return options[i].show;
	return 0;
}

/* postcat -bdehoqrv [-s offset] FILE ... (There are no pointers in our files
 * that -r could leave out.) */
static void
take_postcat(int argc, char **argv)
{
	struct order	*o = order_add("show");
	bool		 is_queue = false;
	int		 option;

	while ((option = getopt(argc, argv, "bc:dehoqrs:v")) != -1) {
		o->show |= shown_by(option);
		if (option == 'c')
			command.directory = optarg;
		else if (option == 'q')
			is_queue = true;
		else if (option == 's' &&
		    text_integer(optarg, 0, INT64_MAX, &o->skip) != NULL)
			give_up(1, "bad offset: %s", optarg);
		else if (option == '?')
			usage(1, "postcat [-b (body text)] [-c config_dir] "
			    "[-d (types of records)] [-e (envelope)] "
			    "[-h (header)] [-o (offsets)] [-q (access queue)] "
			    "[-r] [-s offset] [-v] [file ...]");
	}
	if ((o->show & (SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY)) == 0)
		o->show |= SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY;
	if (!is_queue)
		o->show |= SHOW_FILES;
	for (; optind < argc && is_queue; optind++)
		order_word(o, argv[optind]);
	o->ids = is_queue ? o->ids : argv + optind;
	o->count = is_queue ? o->count : (size_t)(argc - optind);
}

/* Are we one of these? */
bool
names_take(const char *name, int argc, char **argv)
{
	static const struct {
		const char	*name;
		void		(*take)(int, char **);
	} names[] = {
		{ "mailq",	take_mailq },
		{ "postqueue",	take_postqueue },
		{ "postsuper",	take_postsuper },
		{ "postcat",	take_postcat },
	};
	size_t	i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, name) == 0) {
			command.is_postfix = true;
			names[i].take(argc, argv);
			return true;
		}
	return false;
}
