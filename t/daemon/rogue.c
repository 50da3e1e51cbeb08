/*
 * rogue.c - plays the intruder in every daemon: all attempts, in each role.
 *
 *	rogue CONFIG USER MAILBOX TABLE BOOTY [ROLE...]
 *
 * Every attempt has a process of its own, which closes its doors first, so
 * that being killed is a result like others. One line for each:
 *
 *	ROLE ATTEMPT RESULT DETAIL	separated by tabs
 *
 * with the result allowed, denied, killed, none (nothing to try it with), or
 * broken (the process did not come so far). The role "control" closes no door
 * and is root: what fails there cannot be done on this machine at all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/handover.h"
#include "common/param/site.h"
#include "t/daemon/rogue.h"

enum { PATIENCE = 20 * 1000, VICTIMS = 20 };

static const char *const	roles[] = {
	"smtpd", "anvil", "log", "dns", "smtp", "local", "error", "resolve",
	"cleanup", "qmgr", "bounce", "pickup", "helper", "mailbox", "keys",
	"auth", "token"
};
enum { ROLES = sizeof(roles) / sizeof(roles[0]) };

static const char *const	directories[] = {
	"incoming", "deferred", "hold", "corrupt", "maildrop", "pid",
	"private", "public"
};

static const struct attempt *const	attempts[] = {
	file_attempts, net_attempts, kernel_attempts
};

/* Both ends of a child's descriptor 3 and 4, and its number. */
struct child {
	pid_t	pid;
	int	master, log;
};
static struct child	victims[VICTIMS];
static pid_t		victim_pids[VICTIMS];

/* --- the world outside ---------------------------------------------------- */

/* A socket of this kind on a free or given port of this host, -1 if taken. */
static int
open_port(int type, int *port)
{
	struct sockaddr_in	at = { .sin_family = AF_INET };
	socklen_t		len = sizeof(at);
	int			fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	at.sin_port = htons((uint16_t)*port);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    (type == SOCK_STREAM && listen(fd, 256) == -1) ||
	    getsockname(fd, (struct sockaddr *)&at, &len) == -1) {
		close(fd);
		return -1;
	}
	*port = ntohs(at.sin_port);
	return fd;
}

/* A listening UNIX socket by an abstract name. */
static int
open_abstract(const char *name)
{
	struct sockaddr_un	at = { .sun_family = AF_UNIX };
	int			fd = socket(AF_UNIX, SOCK_SEQPACKET |
				    SOCK_CLOEXEC, 0);

	memcpy(at.sun_path + 1, name, strlen(name));
	if (bind(fd, (struct sockaddr *)&at, (socklen_t)(strlen(name) + 1 +
	    offsetof(struct sockaddr_un, sun_path))) == -1 ||
	    listen(fd, 64) == -1)
		die("abstract socket %s: %s", name, strerror(errno));
	return fd;
}

/* Everything that an intruder might call. */
static void
open_world(void)
{
	int	fd, port;

	if (open_port(SOCK_STREAM, &facts.tcp) == -1 ||
	    open_port(SOCK_DGRAM, &facts.udp) == -1)
		die("cannot open ports: %s", strerror(errno));
	for (port = 1000; port > 0; port--)
		if ((fd = open_port(SOCK_STREAM, &port)) != -1) {
			facts.low = port;
			close(fd);
			break;
		}
	if ((fd = open_port(SOCK_STREAM, &facts.high)) != -1)
		close(fd);
	(void)snprintf(facts.abstract, sizeof(facts.abstract),
	    "postrider-rogue-%d", (int)getpid());
	(void)open_abstract(facts.abstract);
}

/* --- what is there to be taken -------------------------------------------- */

/* A file in each directory, of the directory's owner. */
static void
plant(void)
{
	char		path[256];
	struct stat	st;
	size_t		i;
	int		fd;

	for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", facts.queue,
		    directories[i]);
		if (stat(path, &st) == -1)
			die("%s: %s", path, strerror(errno));
		(void)strlcat(path, "/rogue-loot", sizeof(path));
		if ((fd = open(path, O_WRONLY | O_CREAT, 0600)) == -1 ||
		    fchown(fd, st.st_uid, st.st_gid) == -1 ||
		    fchmod(fd, st.st_mode & 0044 ? 0644 : 0600) == -1 ||
		    write(fd, "x", 1) != 1)
			die("%s: %s", path, strerror(errno));
		close(fd);
	}
}

/* Remove what an attempt may have made. */
static void
clean_directory(const char *directory)
{
	static const char *const	names[] = {
		"rogue-new", "rogue-link", "rogue-fifo", "rogue-device",
		"rogue-program", "rogue-socket", "rogue-loot"
	};
	char				path[256];
	size_t				i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", directory,
		    names[i]);
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof(path), "%s/rogue-directory", directory);
	(void)rmdir(path);
}

/* Everywhere. */
static void
clean(void)
{
	char	path[256];
	size_t	i;

	for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", facts.queue,
		    directories[i]);
		clean_directory(path);
	}
	clean_directory(facts.queue);
	clean_directory(facts.home);
	clean_directory("/tmp");
}

/* --- one process ---------------------------------------------------------- */

/* What a daemon finds as descriptor 5: smtpd its port, with a client at the
 * door; log its file; the others a socket. */
static int
open_handover(const char *role)
{
	char	path[256];
	int	port = 0, fd, client;

	if (strcmp(role, "smtpd") == 0 || strcmp(role, "control") == 0) {
		struct sockaddr_in	to = { .sin_family = AF_INET };

		fd = open_port(SOCK_STREAM, &port);
		client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		to.sin_port = htons((uint16_t)port);
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (connect(client, (struct sockaddr *)&to, sizeof(to)) == -1)
			die("connect: %s", strerror(errno));
		return fd;
	}
	if (strcmp(role, "log") == 0) {
		(void)snprintf(path, sizeof(path), "%s/rogue-log",
		    facts.config);
		return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
		    0600);
	}
	(void)snprintf(path, sizeof(path), "%s-%d", facts.abstract,
	    (int)getpid());
	return open_abstract(path);
}

/* In the child: descriptors as master leaves them, nothing else. */
static void
arrange(int master, int log)
{
	int	fds[3] = { master, log, open_handover(facts.role) }, i;

	for (i = 0; i < 3; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 200);
	for (i = 0; i < 3; i++)
		if (dup2(fds[i], HANDOVER_MASTER + i) == -1)
			_exit(1);
	if (close_range(HANDOVER_MASTER + 3, ~0U, 0) == -1)
		_exit(1);
}

/* Start a process of facts.role that does the deed. */
static struct child
run(void (*deed)(void))
{
	struct child	c;
	int		master[2], log[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    master) == -1 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, log) == -1)
		die("socketpair: %s", strerror(errno));
	fflush(NULL);
	if ((c.pid = fork()) == 0) {
		setsid();		/* as master does */
		arrange(master[1], log[1]);
		if (my_role() != NULL)
			behind_doors(my_role(), deed);
		if (chdir(facts.queue) == 0)
			deed();
		_exit(0);
	}
	if (c.pid == -1)
		die("fork: %s", strerror(errno));
	close(master[1]);
	close(log[1]);
	c.master = master[0];
	c.log = log[0];
	return c;
}

/* Wait for what the process says in the end; false when it says nothing. */
static bool
hear(const struct child *c, struct result *r)
{
	static char	packet[65536];
	struct pollfd	wait = { .fd = c->master, .events = POLLIN };
	ssize_t		n;

	for (;;) {
		if (poll(&wait, 1, PATIENCE) != 1) {
			(void)kill(c->pid, SIGKILL);
			return false;
		}
		if ((n = recv(c->master, packet, sizeof(packet), 0)) <= 0)
			return false;
		if (n != (ssize_t)sizeof(*r))
			continue;
		memcpy(r, packet, sizeof(*r));
		if (memcmp(r->magic, RESULT_MAGIC, sizeof(RESULT_MAGIC)) == 0)
			return true;
	}
}

/* The last thing that it logged, without the head. */
static const char *
last_words(const struct child *c)
{
	static char	text[2048];
	char		packet[1024];
	size_t		i;
	ssize_t		n;

	text[0] = '\0';
	while ((n = recv(c->log, packet, sizeof(packet) - 1,
	    MSG_DONTWAIT)) > (ssize_t)sizeof(struct log_head)) {
		for (i = sizeof(struct log_head); i < (size_t)n; i++)
			if (packet[i] < ' ')
				packet[i] = ' ';
		packet[n] = '\0';
		(void)strlcpy(text, packet + sizeof(struct log_head),
		    sizeof(text));
	}
	return text;
}

/* --- deeds ---------------------------------------------------------------- */

/* Be there until the end of everything. */
static void
wait_to_be_hurt(void)
{
	struct pollfd	wait = { .fd = HANDOVER_MASTER, .events = 0 };

	tell(0, 0);
	while (poll(&wait, 1, -1) != 1 || !(wait.revents & POLLHUP))
		;
}

/* The one that facts name; without one, be a victim. */
static void
attempt(void)
{
	const struct attempt	*a;
	size_t			 i;
	int			 result;

	if (facts.attempt[0] == '\0')
		wait_to_be_hurt();
	for (i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		for (a = attempts[i]; a->name != NULL; a++)
			if (strcmp(a->name, facts.attempt) == 0) {
				errno = 0;
				result = a->try(a->with);
				tell(result, errno);
				_exit(0);
			}
	_exit(1);
}

/* --- victims -------------------------------------------------------------- */

/* The user of a role as a name. */
static const char *
user_of(const char *role)
{
	const struct role	*row = role_find(role);

	if (strcmp(role, "mailbox") == 0)
		return facts.user;
	return row == NULL || row->user == NULL ? "root" : row->user;
}

/* A process in each role, for the others to attack. */
static void
start_victims(void)
{
	struct result	r;
	size_t		i;

	for (i = 0; i < ROLES; i++) {
		(void)strlcpy(facts.role, roles[i], sizeof(facts.role));
		victims[i] = run(attempt);
		if (!hear(&victims[i], &r))
			die("%s does not start: %s", roles[i],
			    last_words(&victims[i]));
		victim_pids[i] = r.pid;
		(void)strlcpy(facts.victims[i].user, user_of(roles[i]),
		    sizeof(facts.victims[i].user));
		facts.victims[i].pid = r.pid;
	}
}

/* End them. */
static void
end_victims(void)
{
	size_t	i;

	for (i = 0; i < ROLES; i++) {
		close(victims[i].master);
		(void)kill(victims[i].pid, SIGKILL);
		(void)waitpid(victims[i].pid, NULL, 0);
	}
}

/* A process of the same user, of another program if there is one. */
static pid_t
find_own(const char *role)
{
	const char	*user = user_of(role);
	pid_t		 found = -1;
	size_t		 i;

	for (i = 0; i < ROLES; i++)
		if (strcmp(user_of(roles[i]), user) == 0 &&
		    (found == -1 || strcmp(roles[i], role) != 0))
			found = victim_pids[i];
	return found;
}

/* --- attempts ------------------------------------------------------------- */

/* Print what became of it. */
static void
print(const struct child *c, const struct result *r, bool was_heard,
    int status)
{
	const char	*word = "broken", *detail = "";

	if (was_heard) {
		word = r->result == 0 ? "allowed" :
		    r->result == NOTHING_TO_TRY ? "none" : "denied";
		if (r->result == -1)
			detail = strerrorname_np(r->error);
	} else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
		word = "killed";
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == BOOTY_STATUS) {
		word = "allowed";
	} else {
		detail = last_words(c);
	}
	printf("%s\t%s\t%s\t%s\n", facts.role, facts.attempt, word,
	    detail != NULL ? detail : "?");
}

/* One attempt in a fresh process. */
static void
run_attempt(const struct attempt *a)
{
	struct child	c;
	struct result	r;
	bool		was_heard;
	int		status = 0;

	(void)strlcpy(facts.attempt, a->name, sizeof(facts.attempt));
	plant();
	c = run(attempt);
	was_heard = hear(&c, &r);
	(void)waitpid(c.pid, &status, 0);
	print(&c, &r, was_heard, status);
	close(c.master);
	close(c.log);
	clean();
}

/* All of them in one role. */
static void
run_role(const char *role)
{
	const struct attempt	*a;
	size_t			 i;

	(void)strlcpy(facts.role, role, sizeof(facts.role));
	facts.own = find_own(role);
	for (i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		for (a = attempts[i]; a->name != NULL; a++)
			run_attempt(a);
}

/* Take the arguments. */
static void
read_arguments(int argc, char **argv)
{
	const struct passwd	*pw;

	if (argc < 6)
		die("usage: rogue CONFIG USER MAILBOX TABLE BOOTY [ROLE...]");
	(void)strlcpy(facts.config, argv[1], sizeof(facts.config));
	(void)strlcpy(facts.user, argv[2], sizeof(facts.user));
	(void)strlcpy(facts.mailbox, argv[3], sizeof(facts.mailbox));
	(void)strlcpy(facts.table, argv[4], sizeof(facts.table));
	(void)strlcpy(facts.program, argv[5], sizeof(facts.program));
	(void)site_load(facts.config);
	(void)strlcpy(facts.queue, site.queue_directory, sizeof(facts.queue));
	if ((pw = getpwnam(facts.user)) == NULL)
		die("there is no user %s", facts.user);
	(void)strlcpy(facts.home, pw->pw_dir, sizeof(facts.home));
	load_booty();
}

int
main(int argc, char **argv)
{
	size_t	i;
	int	n;

	be_mailbox(argv, attempt);
	read_arguments(argc, argv);
#ifdef SANITIZED
	printf("build\tsandbox\tdenied\t\n");
#endif
#ifndef HAVE_SECCOMP
	printf("build\tseccomp\tdenied\t\n");
#endif
	open_world();
	start_victims();
	run_role("control");
	for (i = 0; i < ROLES; i++)
		for (n = argc > 6 ? 6 : 5; n < argc; n++)
			if (argc == 6 || strcmp(argv[n], roles[i]) == 0)
				run_role(roles[i]);
	end_victims();
	return 0;
}
