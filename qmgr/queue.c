/*
 * queue.c - postrider queue: see the queue and change it.
 *
 *	postrider queue [list] [-j]
 *	postrider queue flush [ID | SITE | -s SITE]
 *	postrider queue hold|release|requeue|delete|expire ID...|ALL [queue]
 *	postrider queue cat ID...
 *
 * "-" as an id reads ids from standard input. Under the names mailq, postqueue,
 * postsuper and postcat it takes the options of those programs. qmgr does the
 * work; while it is down the command works on the directories itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/param/site.h"
#include "common/queue/queue.h"
#include "qmgr/queue.h"

/* What is to be done. */
static struct {
	struct pool	*pool;
	struct task	*tasks;
	size_t		 count, room;
	bool		 as_json;
	const char	*directory;
	const char	*name;		/* for messages: "postsuper" */
} command;

/* What each verb says of its work, as postsuper does. */
static const char *const	said[][2] = {
	{ "hold",	"Placed on hold" },
	{ "release",	"Released from hold" },
	{ "requeue",	"Requeued" },
	{ "delete",	"Deleted" },
	{ "expire",	"Expired" }
};

/* Tell how to use it. */
static _Noreturn void
usage(void)
{
	fprintf(stderr,
	    "usage: postrider queue [list] [-j]\n"
	    "       postrider queue flush [ID | SITE | -s SITE]\n"
	    "       postrider queue hold|release|requeue|delete|expire "
	    "ID...|ALL|- [QUEUE]\n"
	    "       postrider queue cat ID...\n");
	exit(EX_USAGE);
}

/* One more task. */
static void
add(const char *verb, const char *id, const char *argument)
{
	size_t	room = command.room;

	if (command.count == room) {
		command.room = room == 0 ? 16 : 2 * room;
		command.tasks = mem_resize(command.tasks,
		    command.room * sizeof(*command.tasks));
	}
	command.tasks[command.count++] = (struct task){ .verb = verb,
	    .id = id, .argument = argument };
}

/* An id as mailq shows it, with or without its mark. */
static const char *
clean_id(const char *word)
{
	char	*id = pool_strdup(command.pool, word);

	id[strcspn(id, "*!#")] = '\0';
	if (queue_id_is_valid(id))
		return id;
	fprintf(stderr, "%s: %s: not a queue id\n", command.name, word);
	exit(EX_USAGE);
}

/* A task for each id on standard input. */
static void
add_input(const char *verb)
{
	char	*line = NULL, *word;
	size_t	 size = 0;

	while (getline(&line, &size, stdin) != -1) {
		word = text_trim(line);
		if (*word != '\0')
			add(verb, clean_id(word), NULL);
	}
	free(line);
}

/* The ids that follow a verb. */
static void
add_ids(const char *verb, char **words)
{
	if (*words == NULL)
		usage();
	if (strcmp(*words, "ALL") == 0) {
		add(verb, "ALL", words[1]);
		return;
	}
	for (; *words != NULL; words++)
		if (strcmp(*words, "-") == 0)
			add_input(verb);
		else
			add(verb, clean_id(*words), NULL);
}

/* Flush: everything, a site, or one message. */
static void
add_flush(const char *what)
{
	if (what == NULL)
		add("flush", NULL, NULL);
	else if (strpbrk(what, ".[@") != NULL)
		add("flush", NULL, *what == '@' ? what + 1 : what);
	else
		add("flush", clean_id(what), NULL);
}

/* Does the verb change messages? */
static bool
is_change(const char *verb)
{
	size_t	i;

	for (i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (strcmp(said[i][0], verb) == 0)
			return true;
	return false;
}

/* --- the three manners of speaking --------------------------------------- */

/* postrider queue VERB ... */
static void
take_verb(char **words)
{
	const char	*verb = *words != NULL ? *words++ : "list";

	if (strcmp(verb, "list") == 0 || strcmp(verb, "-j") == 0) {
		command.as_json = strcmp(verb, "-j") == 0 ||
		    (*words != NULL && strcmp(*words, "-j") == 0);
		add("list", NULL, NULL);
	} else if (strcmp(verb, "flush") == 0) {
		if (*words != NULL && strcmp(*words, "-s") == 0)
			add("flush", NULL, words[1]);
		else
			add_flush(*words);
	} else if (is_change(verb) || strcmp(verb, "cat") == 0 ||
	    strcmp(verb, "show") == 0) {
		add_ids(strcmp(verb, "show") == 0 ? "cat" : verb, words);
	} else {
		usage();
	}
}

/* postqueue -p -j -f -i ID -s SITE */
static void
take_postqueue(int argc, char **argv)
{
	int	option;

	while ((option = getopt(argc, argv, "c:fi:jps:v")) != -1)
		switch (option) {
		case 'c':
			command.directory = optarg;
			break;
		case 'f':
			add("flush", NULL, NULL);
			break;
		case 'i':
			add("flush", clean_id(optarg), NULL);
			break;
		case 's':
			add("flush", NULL, optarg);
			break;
		case 'j':
			command.as_json = true;
			/* FALLTHROUGH */
		case 'p':
			add("list", NULL, NULL);
			break;
		case 'v':
			break;
		default:
			usage();
		}
	if (command.count == 0)
		usage();
}

/* One option of postsuper: its word is an id, ALL or "-". */
static void
take_super(const char *verb, const char *word, const char *queue)
{
	if (strcmp(word, "ALL") == 0)
		add(verb, "ALL", queue);
	else if (strcmp(word, "-") == 0)
		add_input(verb);
	else
		add(verb, clean_id(word), NULL);
}

/* postsuper -d -h -H -r -e ID [queue] */
static void
take_postsuper(int argc, char **argv)
{
	static const char	 options[] = "c:d:e:f:h:H:pr:sSv";
	int			 option;
	const char		*queue = NULL;

	while (getopt(argc, argv, options) != -1)
		;
	if (optind < argc)
		queue = argv[optind];
	optind = 1;
	while ((option = getopt(argc, argv, options)) != -1) {
		if (option == 'd')
			take_super("delete", optarg, queue);
		else if (option == 'h')
			take_super("hold", optarg, queue);
		else if (option == 'H')
			take_super("release", optarg, queue);
		else if (option == 'r')
			take_super("requeue", optarg, queue);
		else if (option == 'e' || option == 'f')
			take_super("expire", optarg, queue);
		else if (option == 'c')
			command.directory = optarg;
		else if (option == '?')
			usage();
	}
}

/* postcat -q ID */
static void
take_postcat(int argc, char **argv)
{
	int	option;

	while ((option = getopt(argc, argv, "bc:dehnoqv")) != -1)
		if (option == 'c')
			command.directory = optarg;
		else if (option == '?')
			usage();
	add_ids("cat", argv + optind);
}

/* Our own options, which stand before the verb. */
static char **
take_own(char **words)
{
	while (*words != NULL && **words == '-' && strcmp(*words, "-j") != 0) {
		if (strcmp(*words, "-c") == 0 && words[1] != NULL)
			command.directory = *++words;
		else if (strcmp(*words, "-v") != 0)
			usage();
		words++;
	}
	return words;
}

/* The command line, by the name that we were called. */
static void
take(int argc, char **argv)
{
	const char	*name = strrchr(argv[0], '/');

	name = name != NULL ? name + 1 : argv[0];
	command.name = name;
	if (strcmp(name, "mailq") == 0)
		add("list", NULL, NULL);
	else if (strcmp(name, "postqueue") == 0)
		take_postqueue(argc, argv);
	else if (strcmp(name, "postsuper") == 0)
		take_postsuper(argc, argv);
	else if (strcmp(name, "postcat") == 0)
		take_postcat(argc, argv);
	else {
		command.name = "postrider queue";
		take_verb(take_own(argv + 1));
	}
}

/* --- doing it ------------------------------------------------------------ */

/* Say what was done, in sum for each verb; the exit status. */
static int
tell(void)
{
	const struct task	*t, *end = command.tasks + command.count;
	int64_t			 count;
	size_t			 i;
	int			 status = 0;
	bool			 was_asked;

	for (i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		count = 0;
		was_asked = false;
		for (t = command.tasks; t < end; t++)
			if (strcmp(t->verb, said[i][0]) == 0) {
				was_asked = true;
				count += t->count;
			}
		if (was_asked && count > 0)
			fprintf(stderr, "%s: %s: %jd message%s\n",
			    command.name, said[i][1], (intmax_t)count,
			    count == 1 ? "" : "s");
	}
	for (t = command.tasks; t < end; t++)
		if (t->status != 0) {
			fprintf(stderr, "%s: %s\n", command.name, t->text);
			status = t->status;
		}
	return status;
}

/* cat reads for itself; the others are qmgr's, or ours while it is down. */
static int
run(void)
{
	size_t	i;
	int	status = 0;
	bool	is_list;

	if (command.count == 0)
		return 0;
	if (strcmp(command.tasks[0].verb, "cat") == 0) {
		for (i = 0; i < command.count; i++)
			if (alone_cat(command.tasks[i].id) != 0)
				status = 1;
		return status;
	}
	is_list = strcmp(command.tasks[0].verb, "list") == 0;
	if (is_list)
		print_start(command.as_json);
	if (!remote_run(command.tasks, command.count))
		alone_run(command.tasks, command.count);
	status = tell();
	if (is_list && status == 0)
		print_end();
	return fflush(stdout) == 0 ? status : EX_IOERR;
}

int
main(int argc, char **argv)
{
	fs_open_standard();
	log_name("postrider", "queue");
	command.pool = pool_new("command", 0);
	take(argc, argv);
	(void)site_load(command.directory);
	log_name(site.syslog_name, "queue");
	if (chdir(site.queue_directory) == -1)
		die("%s: %s", site.queue_directory, strerror(errno));
	return run();
}
