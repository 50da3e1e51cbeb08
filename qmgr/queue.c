/*
 * queue.c - postrider queue: see the queue and change it.
 *
 * `postrider queue help` tells the verbs. Under the names mailq, postqueue,
 * postsuper and postcat the program takes the options of Postfix's programs
 * (queue_names.c).
 *
 * Root, and the owner of the queue, read the queue's files themselves and name
 * to qmgr what is to be changed; others ask qmgr. While qmgr is down the
 * command takes its lock and does the work itself (queue_act.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/param/site.h"
#include "qmgr/queue.h"

/* What is in no list yet: an empty one would be taken for all there is. */
static void
tell_posted(void)
{
	unsigned	n = owner_saw_posted();

	if (n > 0)
		complain("%u more in maildrop, until pickup takes %s", n,
		    n == 1 ? "it" : "them");
}

/* list */
static int
list(const struct order *o)
{
	FILE	*out = pager_start();
	int	 status, shown;

	if (o->is_summary)
		summary_start(o->by_sender);
	else
		print_start(out, o->as_json);
	status = find_each(o, o->is_summary ? summary_entry : print_entry,
	    NULL);
	if (status == 0 && o->is_summary)
		summary_print(out);
	else if (status == 0)
		print_end();
	shown = pager_end(out);
	tell_posted();
	return status != 0 ? status : shown;
}

/* Only show what would be done. */
static int
show_dry(const struct order *o)
{
	struct order	 meant = *o;
	FILE		*out = pager_start();
	int		 status, shown;

	if (o->site != NULL)
		meant.select.domain = o->site;
	print_start(out, false);
	status = find_each(&meant, print_entry, NULL);
	if (status == 0)
		print_end();
	shown = pager_end(out);
	if (status == 0)
		complain("nothing was done");
	return status != 0 ? status : shown;
}

/* One order; an exit status. */
static int
run(struct order *o)
{
	if (strcmp(o->verb, "purge") == 0)
		return check_purge();
	if (strcmp(o->verb, "check") == 0)
		return o->is_all ? check_purge() :
		    check_structure(o->reads_files);
	if (strcmp(o->verb, "list") == 0)
		return list(o);
	if (strcmp(o->verb, "show") == 0)
		return cat(o);
	if (strcmp(o->verb, "import") == 0)
		return import(o);
	return o->is_dry ? show_dry(o) : act(o);
}

/* Is it to be done before the others, as postsuper does? */
static bool
is_first(const struct order *o)
{
	return strcmp(o->verb, "purge") == 0 || strcmp(o->verb, "check") == 0;
}

/* All orders; the last status that is not 0. */
static int
run_all(void)
{
	struct order	*o, *end = command.orders + command.count;
	int		 round, result, status = 0;

	for (round = 0; round < 2; round++)
		for (o = command.orders; o < end; o++)
			if (is_first(o) == (round == 0) &&
			    (result = run(o)) != 0)
				status = result;
	if (command.is_postfix)
		act_tell_all();
	if (fflush(stdout) != 0 || ferror(stdout))
		return EX_IOERR;
	return status;
}

/* Find the instance, unless only files that are named are read. */
static void
enter(void)
{
	if (command.count == 1 && (command.orders->show & SHOW_FILES) != 0)
		return;
	(void)site_load(command.directory);
	log_name(site.syslog_name, command.is_postfix ? command.name :
	    "queue");
	if (chdir(site.queue_directory) == -1)
		die("%s: %s", site.queue_directory, strerror(errno));
}

int
main(int argc, char **argv)
{
	const char	*slash = strrchr(argv[0], '/');

	fs_open_standard();
	log_name("postrider", "queue");
	command.pool = pool_new("command", 0);
	command.name = slash != NULL ? slash + 1 : argv[0];
	if (!names_take(command.name, argc, argv)) {
		command.name = "postrider queue";
		options_take(argv + 1);
	}
	enter();
	return run_all();
}
