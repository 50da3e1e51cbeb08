/*
 * check_files.c - is everything that is installed, or that a running system
 * has made, owned and open as it must be?
 *
 * F1  What root runs or obeys is written by root alone; a group that may
 *     write it is warned of, since that can be what somebody wants.
 * F2  Nothing is set-uid; set-gid is the posting command alone, to its group.
 * F3  A socket is open to its callers and nobody else; private/ has sockets
 *     and nothing else. Sockets that a killed master left behind are nobody's:
 *     the next one makes its own.
 */
#include "master/check.h"

#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon/roles.h"
#include "common/param/site.h"
#include "master/directories.h"
#include "master/sockets.h"

/* Everything the checks share. */
struct files {
	struct pool	*pool;
	struct str	*errors, *warnings;
};

/* May root obey it? (F1) */
static void
check_trust(struct files *f, const char *path, const struct stat *st)
{
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		str_addf(st->st_mode & S_IWOTH ? f->errors : f->warnings,
		    "%s may be written by others than its owner "
		    "(mode %04o)\n", path, st->st_mode & 07777);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		str_addf(f->errors, "%s belongs to user %u, not to root\n",
		    path, st->st_uid);
}

/* A program. (F1, F2) */
static void
check_program(struct files *f, const char *directory, const char *name)
{
	const struct group	*gr = getgrnam(site.setgid_group);
	bool			 may_lend = strcmp(name, "postdrop") == 0;
	const char		*path;
	struct stat		 st;

	path = pool_printf(f->pool, "%s/%s", directory, name);
	if (stat(path, &st) == -1)
		return;			/* told elsewhere if it is missed */
	check_trust(f, path, &st);
	if (st.st_mode & S_ISUID)
		str_addf(f->errors, "%s is set-uid\n", path);
	if (st.st_mode & S_ISGID && (!may_lend || gr == NULL ||
	    gr->gr_gid != st.st_gid))
		str_addf(f->errors, "%s is set-gid to group %u\n", path,
		    st.st_gid);
	if (st.st_mode & (S_ISUID | S_ISGID) && st.st_nlink > 1)
		str_addf(f->errors, "%s has %lu names: one of them may stay "
		    "behind when it is replaced\n", path,
		    (unsigned long)st.st_nlink);
}

/* All programs. */
static void
check_programs(struct files *f)
{
	static const char *const	commands[] = {
		"sendmail", "postdrop", "postrider", "postrider-conf",
		"postrider-queue", "postrider-map", "postrider-user"
	};
	const struct role		*r;
	size_t				 i;

	for (r = role_all(); r->program != NULL; r++)
		check_program(f, site.daemon_directory, r->program);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		check_program(f, site.command_directory, commands[i]);
}

/* A directory that root obeys, or whose programs it runs. */
static void
check_place(struct files *f, const char *path)
{
	struct stat	st;

	if (stat(path, &st) == 0)
		check_trust(f, path, &st);
}

/* data_directory is its owner's alone. */
static void
check_data(struct files *f)
{
	const char		*user = role_find("qmgr")->user;
	const struct passwd	*pw = getpwnam(user);
	struct stat		 st;

	if (lstat(site.data_directory, &st) == -1)
		return;			/* made at the start */
	if (!S_ISDIR(st.st_mode))
		str_addf(f->errors, "%s is not a directory\n",
		    site.data_directory);
	else if (site.is_root && pw != NULL && st.st_uid != pw->pw_uid)
		str_addf(f->errors, "%s belongs to user %u, expected %u\n",
		    site.data_directory, st.st_uid, pw->pw_uid);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		str_addf(f->errors, "%s may be written by others than its "
		    "owner (mode %04o)\n", site.data_directory,
		    st.st_mode & 07777);
}

/* One socket, if it is there. (F3) */
static void
check_socket(struct files *f, const char *path, uid_t uid, gid_t gid,
    mode_t mode)
{
	struct stat	st;

	if (lstat(path, &st) == -1)
		return;
	if (!S_ISSOCK(st.st_mode))
		str_addf(f->errors, "%s is not a socket\n", path);
	else if (st.st_uid != uid || (gid != (gid_t)-1 && st.st_gid != gid))
		str_addf(f->errors, "%s belongs to %u:%u, expected %u:%d\n",
		    path, st.st_uid, st.st_gid, uid, (int)gid);
	else if ((st.st_mode & 07777) != mode)
		str_addf(f->errors, "%s has mode %04o, expected %04o\n", path,
		    st.st_mode & 07777, mode);
}

/* The sockets of a unit. */
static void
check_unit(struct files *f, const struct unit *unit)
{
	bool		is_spawn = unit->flags & UNIT_IS_STREAM;
	const char	*queue = site.queue_directory;
	uid_t		uid;
	gid_t		gid;
	mode_t		mode;
	unsigned	i;

	if (unit->flags & UNIT_IS_INET || socket_owner(f->pool, unit->program,
	    &uid, &gid, &mode) != NULL)
		return;
	for (i = 1; i <= unit->worker_count && !is_spawn; i++)
		check_socket(f, pool_printf(f->pool, "%s/private/%s.%u", queue,
		    unit->name, i), uid, gid, mode);
	if (is_spawn && !(unit->flags & UNIT_PUBLIC))
		check_socket(f, pool_printf(f->pool, "%s/private/%s", queue,
		    unit->name), uid, gid, mode);
	if (unit->flags & UNIT_PUBLIC)
		check_socket(f, pool_printf(f->pool, "%s/public/%s", queue,
		    unit->name), geteuid(), (gid_t)-1,
		    site.is_root ? 0666 : 0600);
}

/* Is nothing but sockets in the jail? Anything else is a hiding place. */
static void
check_jail(struct files *f)
{
	const char	*path = pool_printf(f->pool, "%s/private",
			    site.queue_directory);
	struct dirent	*entry;
	struct stat	 st;
	DIR		*directory = opendir(path);

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.' && fstatat(dirfd(directory),
		    entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !S_ISSOCK(st.st_mode) && !S_ISDIR(st.st_mode))
			str_addf(f->errors, "%s/%s is not a socket\n", path,
			    entry->d_name);
	if (directory != NULL)
		closedir(directory);
}

/* The pid file is root's. In a queue that was copied it may be another's. */
static void
check_pid_file(struct files *f, bool is_running)
{
	const char	*path = pool_printf(f->pool, "%s/pid/master.pid",
			    site.queue_directory);
	const char	*advice = is_running ? "" :
			    ": remove it, a start makes it anew";
	struct stat	 st;

	if (lstat(path, &st) == -1)
		return;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		str_addf(f->errors, "%s is not a plain file%s\n", path,
		    advice);
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		str_addf(f->errors, "%s belongs to user %u, not to root%s\n",
		    path, st.st_uid, advice);
	else
		check_trust(f, path, &st);
}

/* All of it. */
void
check_files(struct pool *pool, const struct services *services,
    struct str *errors, struct str *warnings)
{
	struct files	f = { pool, errors, warnings };
	bool		is_running;
	size_t		i;

	is_running = pid_file_holder(pool, site.queue_directory) != 0;
	check_place(&f, site.config_directory);
	check_place(&f, site.daemon_directory);
	check_place(&f, site.command_directory);
	check_programs(&f);
	check_data(&f);
	check_jail(&f);
	check_pid_file(&f, is_running);
	for (i = 0; is_running && i < services->count; i++)
		check_unit(&f, &services->units[i]);
}
