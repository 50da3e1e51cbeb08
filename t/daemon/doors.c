/*
 * doors.c - to the place where an intruder would wake up: inside a daemon, or
 * inside the program that runs as a recipient.
 *
 * Nothing of the way is imitated. A daemon's doors are closed by
 * daemon_run(), by the role's row; the recipient's program is started by the
 * real become(), which finds this program under the name "mailbox".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/daemon/handover.h"
#include "common/ipc/packets.h"

#include "local/become.h"
#include "local/spool.h"
#include "t/daemon/rogue.h"

struct facts	facts;
char		booty[16384];
size_t		booty_len;

static void	(*deed_behind)(void);

/* Read the program that is to be started, while it is in sight. */
void
load_booty(void)
{
	int	fd = open(facts.program, O_RDONLY | O_CLOEXEC);
	ssize_t	n;

	if (fd == -1 || (n = read(fd, booty, sizeof(booty))) <= 0)
		die("%s: %s", facts.program, strerror(errno));
	booty_len = (size_t)n;
	close(fd);
}

/* The row; the control has none. */
const struct role *
my_role(void)
{
	return role_find(facts.role);
}

/* Send the result. */
void
tell(int result, int error)
{
	struct result	r = { RESULT_MAGIC, result, error, getpid() };

	(void)!send(HANDOVER_MASTER, &r, sizeof(r), MSG_NOSIGNAL);
}

/* Behind the doors of a daemon. */
static WAITS void
start(void)
{
	deed_behind();
	_exit(0);
}

/* Wait for the recipient's process, and end as it did. */
_Noreturn static void
end_like(pid_t child, int report)
{
	static struct report	why;
	int			status;

	while (read(report, &why, sizeof(why)) == (ssize_t)sizeof(why))
		if (why.text[0] != '\0')
			log_error("become: %s", why.text);
	if (waitpid(child, &status, 0) == -1 || WIFSIGNALED(status))
		_exit(1);
	_exit(WEXITSTATUS(status));
}

/* Behind helper's doors: have the recipient's program started, tell it what
 * to do, pass on what it says. */
static WAITS void
start_mailbox(void)
{
	struct become	who = { BECOME_USER, facts.user, -1, -1, NULL };
	struct result	r;
	int		ends[2], report[2];
	pid_t		child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1 ||
	    pipe2(report, O_CLOEXEC) == -1 || (child = fork()) == -1)
		die("cannot start the mailbox program: %s", strerror(errno));
	if (child == 0)
		become(&who, ends[1], report[1]);
	close(ends[1]);
	close(report[1]);
	(void)!send(ends[0], &facts, sizeof(facts), MSG_NOSIGNAL);
	if (recv(ends[0], &r, sizeof(r), 0) != (ssize_t)sizeof(r))
		end_like(child, report[0]);
	(void)!send(HANDOVER_MASTER, &r, sizeof(r), MSG_NOSIGNAL);
	if (waitpid(child, NULL, 0) == -1)
		_exit(1);
	_exit(0);
}

/* The program's second life, as the recipient. */
void
be_mailbox(char **argv, void (*deed)(void))
{
	const char	*name = strrchr(argv[0], '/');

	if (strcmp(name != NULL ? name + 1 : argv[0], "mailbox") != 0)
		return;
	if (recv(HANDOVER_MASTER, &facts, sizeof(facts), 0) !=
	    (ssize_t)sizeof(facts))
		_exit(1);
	load_booty();
	umask(077);
#ifndef SANITIZED
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	deed();
	_exit(0);
}

/* A daemon of this role, whose work is the deed. */
void
behind_doors(const struct role *role, void (*deed)(void))
{
	static const struct param *const	params[] = {
		spool_params, NULL
	};
	static char	 directory[160];
	bool		 is_mailbox = strcmp(role->program, "mailbox") == 0;
	char		*argv[] = { (char *)(uintptr_t)role->program,
			    (char *)(uintptr_t)"-c", facts.config,
			    (char *)(uintptr_t)"-o", directory, NULL };
	struct daemon	 daemon = { .name = role->program, .start = start };

	deed_behind = deed;
	(void)snprintf(directory, sizeof(directory),
	    "daemon_directory=%s/rogue", facts.config);
	if (role->needs & NEEDS_BECOME) {
		if (is_mailbox)
			daemon.name = "helper";
		daemon.params = params;
		daemon.before = become_prepare;
		daemon.start = is_mailbox ? start_mailbox : start;
	}
	_exit(daemon_run(5, argv, &daemon));
}
