/*
 * files.c - what the rogue tries with files and directories.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "t/daemon/rogue.h"

/* --- paths ---------------------------------------------------------------- */

/* Remember the errno that says more. */
static void
note(int *best)
{
	if (*best == 0 || *best == ENOENT || *best == ENOTDIR)
		*best = errno;
}

/* Try one path. */
static bool
works(int (*op)(int at, const char *path), int at, const char *head,
    const char *place, int *best)
{
	static char	path[512];

	(void)snprintf(path, sizeof(path), "%s%s", head, place);
	if (op(at, path) == 0)
		return true;
	if (errno != EBADF)
		note(best);
	return false;
}

/* A place of the queue: by its full path; by relative paths and from the
 * root, which may be the queue or private/; by the descriptors that this
 * process was given. What begins with "/" is a place of the system. */
int
at_every_path(int (*op)(int at, const char *path), const char *place)
{
	static char	 queue[160];
	const char	*heads[] = { "", "/", "../", "../../" }, *bare = place;
	bool		 is_jailed = my_role() != NULL &&
			    my_role()->jail != JAIL_NONE;
	int		 best = 0, fd;
	size_t		 i;

	(void)snprintf(queue, sizeof(queue), "%s/", facts.queue);
	if (strncmp(place, "private/", 8) == 0 && is_jailed &&
	    my_role()->jail == JAIL_PRIVATE)
		bare = place + 8;
	if (works(op, AT_FDCWD, *place == '/' ? "" : queue, place, &best))
		return 0;
	for (i = 0; i < sizeof(heads) / sizeof(heads[0]) && is_jailed; i++)
		if (works(op, AT_FDCWD, heads[i], place, &best) ||
		    works(op, AT_FDCWD, heads[i], bare, &best))
			return 0;
	for (fd = 0; fd < 32; fd++)
		if (works(op, fd, *place == '/' ? ".." : "", place, &best))
			return 0;
	errno = best;
	return -1;
}

/* The directory that is this program's own, or where it stands. */
static const char *
own(const char *name)
{
	static char		 path[128];
	const struct role	*role = my_role();
	const char		*directory = ".";

	if (role != NULL && role->writes[0] != NULL)
		directory = role->writes[0];
	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

/* --- operations ----------------------------------------------------------- */

/* See a name in a directory. */
static int
op_list(int at, const char *path)
{
	static char	names[4096];
	int		fd = openat(at, path, O_RDONLY | O_DIRECTORY);
	long		n;

	if (fd == -1)
		return -1;
	n = syscall(SYS_getdents64, fd, names, sizeof(names));
	close(fd);
	return n > 0 ? 0 : -1;
}

/* Read a byte of a file. */
static int
op_read(int at, const char *path)
{
	char	byte;
	int	fd = openat(at, path, O_RDONLY | O_NONBLOCK);
	ssize_t	n;

	if (fd == -1)
		return -1;
	n = read(fd, &byte, 1);
	close(fd);
	return n >= 0 ? 0 : -1;
}

/* Open a file for writing, which changes nothing yet. */
static int
op_write(int at, const char *path)
{
	int	fd = openat(at, path, O_WRONLY | O_NONBLOCK);

	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

/* Make a file. */
static int
op_create(int at, const char *path)
{
	int	fd = openat(at, path, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

/* Remove a file. */
static int
op_remove(int at, const char *path)
{
	return unlinkat(at, path, 0);
}

/* Change the mode, which says that a message is complete. */
static int
op_mode(int at, const char *path)
{
	return fchmodat(at, path, 0700, 0);
}

/* Change the time, which says when a message is tried next. */
static int
op_time(int at, const char *path)
{
	return utimensat(at, path, NULL, 0);
}

/* Make a directory. */
static int
op_mkdir(int at, const char *path)
{
	return mkdirat(at, path, 0700);
}

/* Make what is more than a file. */
static int
op_symlink(int at, const char *path)
{
	return symlinkat("/etc/passwd", at, path);
}

static int
op_fifo(int at, const char *path)
{
	return mknodat(at, path, S_IFIFO | 0600, 0);
}

static int
op_device(int at, const char *path)
{
	return mknodat(at, path, S_IFCHR | 0600, makedev(1, 1));
}

/* Write the booty and start it. */
static int
op_execute(int at, const char *path)
{
	char	*argv[] = { (char *)(uintptr_t)"booty", NULL };
	char	*none[] = { NULL };
	int	 fd = openat(at, path, O_WRONLY | O_CREAT | O_TRUNC, 0700);

	if (fd == -1)
		return -1;
	if (write(fd, booty, booty_len) != (ssize_t)booty_len ||
	    fchmod(fd, 0700) == -1) {
		close(fd);
		return -1;
	}
	close(fd);
	(void)syscall(SYS_execveat, at, path, argv, none, 0);
	return -1;
}

/* --- attempts ------------------------------------------------------------- */

#define IN_QUEUE(verb) \
static int try_##verb(const char *with) \
{ return at_every_path(op_##verb, with); }
IN_QUEUE(list)
IN_QUEUE(read)
IN_QUEUE(write)
IN_QUEUE(create)
IN_QUEUE(remove)
IN_QUEUE(mode)
IN_QUEUE(time)
IN_QUEUE(mkdir)

#define IN_OWN(verb, name) \
static int try_own_##verb(const char *with) \
{ (void)with; return op_##verb(AT_FDCWD, own(name)); }
IN_OWN(mkdir, "rogue-directory")
IN_OWN(symlink, "rogue-link")
IN_OWN(fifo, "rogue-fifo")
IN_OWN(device, "rogue-device")
IN_OWN(execute, "rogue-program")

/* A file outside of the queue. */
static int
try_path(const char *with)
{
	return at_every_path(op_read, with);
}

/* Files whose names are known at run time. */
static int
try_main_cf(const char *with)
{
	static char	path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", facts.config, with);
	return at_every_path(op_read, path);
}

static int
try_table(const char *with)
{
	(void)with;
	return at_every_path(op_read, facts.table);
}

static int
try_mailbox(const char *with)
{
	(void)with;
	return at_every_path(op_read, facts.mailbox);
}

/* With the group that a mailbox process may take up. */
static int
try_mailbox_by_group(const char *with)
{
	gid_t	real, effective, saved;

	(void)with;
	if (getresgid(&real, &effective, &saved) == -1 ||
	    setresgid((gid_t)-1, real, (gid_t)-1) == -1)
		return -1;
	return at_every_path(op_read, facts.mailbox);
}

/* Overwrite or make files that belong to the system. */
static int
try_write_path(const char *with)
{
	return at_every_path(op_write, with);
}

static int
try_create_path(const char *with)
{
	return at_every_path(op_create, with);
}

/* Out of the jail: by the old trick, by every descriptor, by dots. The
 * control goes into one first, and must come out of it. */
static int
try_escape(const char *with)
{
	const struct role	*role = my_role();
	int			 fd, i;

	(void)with;
	if (role == NULL && (chroot("private") == -1 || chdir("/") == -1))
		return -1;
	if (role != NULL && role->jail == JAIL_NONE)
		return NOTHING_TO_TRY;
	for (fd = 0; fd < 64; fd++) {
		if (fchdir(fd) == -1)
			continue;
		for (i = 0; i < 20; i++)
			if (chdir("..") == -1)
				break;
		if (op_read(AT_FDCWD, "etc/passwd") == 0)
			return 0;
	}
	(void)mkdir("rogue-directory", 0700);
	if (op_read(AT_FDCWD, "../../../../../../../etc/passwd") == 0)
		return 0;
	if (chroot("rogue-directory") == -1)
		return -1;
	for (i = 0; i < 20; i++)
		(void)!chdir("..");
	(void)!chroot(".");
	return op_read(AT_FDCWD, "etc/passwd");
}

#define DIRECTORY(name) \
	{ "list " name,		try_list,	name }, \
	{ "read " name,		try_read,	name "/rogue-loot" }, \
	{ "write " name,	try_write,	name "/rogue-loot" }, \
	{ "create " name,	try_create,	name "/rogue-new" }, \
	{ "remove " name,	try_remove,	name "/rogue-loot" }, \
	{ "mode " name,		try_mode,	name "/rogue-loot" }, \
	{ "time " name,		try_time,	name "/rogue-loot" }

const struct attempt	file_attempts[] = {
	DIRECTORY("incoming"),
	DIRECTORY("deferred"),
	DIRECTORY("hold"),
	DIRECTORY("corrupt"),
	DIRECTORY("maildrop"),
	DIRECTORY("pid"),
	DIRECTORY("private"),
	DIRECTORY("public"),
	{ "mkdir queue",	try_mkdir,	"rogue-directory" },
	{ "mkdir own",		try_own_mkdir,	NULL },
	{ "symlink own",	try_own_symlink, NULL },
	{ "fifo own",		try_own_fifo,	NULL },
	{ "device own",		try_own_device,	NULL },
	{ "execute own",	try_own_execute, NULL },
	{ "read passwd",	try_path,	"/etc/passwd" },
	{ "read shadow",	try_path,	"/etc/shadow" },
	{ "read main.cf",	try_main_cf,	"main.cf" },
	{ "read root's table",	try_table,	NULL },
	{ "read a mailbox",	try_mailbox,	NULL },
	{ "mailbox by group",	try_mailbox_by_group, NULL },
	{ "read init's environ", try_path,	"/proc/1/environ" },
	{ "read /dev/mem",	try_path,	"/dev/mem" },
	{ "write passwd",	try_write_path,	"/etc/passwd" },
	{ "write /tmp",		try_create_path, "/tmp/rogue-new" },
	{ "escape jail",	try_escape,	NULL },
	{ NULL, NULL, NULL }
};
