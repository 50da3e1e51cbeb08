/*
 * spawn.c - commands for connections: each connection to the service's socket
 * becomes the standard input and output of a command.
 *
 * "policy unix - n n - 0 spawn user=nobody argv=/usr/bin/program ..." in
 * master.cf. The line is read at the start, while nobody is connected; what
 * comes in by a connection is never read here.
 *
 * W1  The command runs as the user named, with his group or the one named and
 *     no other; never as root, as a user of the mail system's own, or with a
 *     group by which one may speak to its daemons (account.c).
 * W2  Its descriptors 0 to 2 are the connection; it inherits nothing else
 *     (child.c). Its environment is PATH and what export_environment names.
 * W3  At the end of its time it is killed, with all it has started.
 * W4  There are never more commands at once than maxproc in master.cf allows;
 *     connections beyond that wait.
 * W5  A line with a mistake runs nothing.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/fiber/queue.h"

#include "local/account.h"
#include "local/child.h"

enum { FORK_PAUSE = 1000 };		/* after a failure of ours */

static struct {
	int64_t	 time_limit;
	char	*export_environment;
} set;

/* These two are the same for pipe and for commands of local. */
static const struct param	spawn_params[] = {
	PARAM_TIME("command_time_limit", set.time_limit, "1000s", 1,
	    INT32_MAX / 1000, "How long a command may run until it is "
	    "killed."),
	PARAM_STRING("export_environment", set.export_environment,
	    "TZ MAIL_CONFIG LANG", 0, 4000,
	    "Variables that commands inherit; NAME=VALUE sets one."),
	PARAM_END
};
static const struct param *const	params[] = { spawn_params, NULL };

/* What the line says. */
static struct {
	struct account	 user;
	char		**argv, **envp;
	int64_t		 time_limit;	/* milliseconds */
} line;

static unsigned			 command_count;
static struct fiber_queue	 slots;

/* --- the line ------------------------------------------------------------ */

/* user=NAME or user=NAME:GROUP (W1) */
static void
read_user(struct pool *pool, const char *value)
{
	const char	*why = account_find(&line.user, pool, value);

	if (why != NULL)
		die("service %s: user=%s: %s", daemon_service(), value, why);
}

/* The words behind the command spawn (W5). */
static void
read_line(struct pool *pool)
{
	char	**words;
	size_t	  count, i;

	words = daemon_arguments(&count);
	for (i = 0; i < count; i++) {
		if (text_starts(words[i], "argv="))
			break;
		if (!text_starts(words[i], "user="))
			die("service %s: %s is not supported",
			    daemon_service(), words[i]);
		read_user(pool, words[i] + strlen("user="));
	}
	if (line.user.name == NULL)
		die("service %s: user= is missing", daemon_service());
	if (i == count || words[i][strlen("argv=")] == '\0')
		die("service %s: argv= is missing", daemon_service());
	words[i] += strlen("argv=");
	line.argv = pool_array(pool, count - i + 1, sizeof(*line.argv));
	memcpy(line.argv, words + i, (count - i) * sizeof(*line.argv));
}

/* The time limit: the service's own, or everybody's. */
static void
read_time_limit(struct pool *pool)
{
	struct str	problems;

	str_init(&problems, pool, 0);
	line.time_limit = set.time_limit;
	if (param_number_of_transport(daemon_maincf(), daemon_service(),
	    "time_limit", &spawn_params[0], &line.time_limit, &problems) == -1)
		die("%s", problems.data);
}

/* As root, before any connection. */
static void
prepare(void)
{
	struct pool	*pool = pool_new("line", 0);

	if (daemon_is_checking())
		return;			/* nobody's line is known then */
	read_line(pool);
	read_time_limit(pool);
	line.envp = account_environment(pool, set.export_environment);
}

/* --- commands ------------------------------------------------------------ */

/* One more may run? (W4) */
static bool
has_room(void)
{
	unsigned	limit = daemon_limit();

	return limit == 0 || command_count < limit;
}

/* Wait for a place among the commands. */
WAITS static void
take_slot(void)
{
	while (!has_room())
		if (fiber_queue_wait(&slots, NEVER) == -1)
			break;
	command_count++;
	if (!has_room())
		daemon_pause_listening();
}

/* Give it back. */
static void
give_slot(void)
{
	command_count--;
	fiber_queue_wake_all(&slots);
	daemon_resume_listening();
}

/* Run a command with this connection. */
WAITS static void
serve(int fd)
{
	const struct command	command = { .account = &line.user,
				    .argv = line.argv, .envp = line.envp,
				    .input = fd, .output = fd, .errors = fd };
	struct child		c;
	int			started, error;

	take_slot();
	if (daemon_is_stopping()) {
		close(fd);
		give_slot();
		return;
	}
	started = child_start(&c, &command, clock_now() + line.time_limit);
	error = errno;
	close(fd);
	if (started == 0) {
		child_wait(&c);
		(void)child_ended_well(&c);
	} else {
		log_warning("cannot start a process: %s", strerror(error));
		(void)fiber_sleep(FORK_PAUSE);
	}
	give_slot();
}

/* The system stops. */
static void
drain(void)
{
	if (daemon_is_stopping())
		children_stop();
}

/* Hear of commands' ends. */
WAITS static void
start(void)
{
	fiber_queue_init(&slots);
	children_start();
}

/* Be spawn. */
int
main(int argc, char **argv)
{
	static const struct daemon	spawn = {
		.name = "spawn",
		.params = params,
		.before = prepare,
		.start = start,
		.session = serve,
		.drain = drain
	};

	return daemon_run(argc, argv, &spawn);
}
