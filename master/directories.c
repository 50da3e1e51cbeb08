/*
 * directories.c - the queue's directories, and the lock that makes an
 * instance run once.
 *
 * private/ holds only sockets, and is the jail of the daemons that talk to
 * strangers: everybody may pass through it, the sockets have owners of their
 * own. maildrop/ is where posting users' messages wait while the system is
 * down: the set-gid command may create files there and not list them.
 */
#include "master/directories.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/daemon/roles.h"
#include "common/param/site.h"

enum owner { OWNER_ROOT, OWNER_MAIL, OWNER_DROP };

/* Owner and mode as root, and without root. */
static const struct directory {
	const char	*path;
	enum owner	 owner;
	mode_t		 mode;
} directories[] = {
	{ "maildrop",	OWNER_DROP,	01730 },
	{ "incoming",	OWNER_MAIL,	0700 },
	{ "deferred",	OWNER_MAIL,	0700 },
	{ "hold",	OWNER_MAIL,	0700 },
	{ "corrupt",	OWNER_MAIL,	0700 },
	{ "public",	OWNER_ROOT,	0755 },
	{ "private",	OWNER_ROOT,	0711 },
	{ "pid",	OWNER_ROOT,	0755 }
};

enum { DIRECTORIES = sizeof(directories) / sizeof(directories[0]) };

/* A directory's owner as numbers; -1 for ours. NULL, or who is missing. */
static const char *
find_owner(struct pool *pool, enum owner owner, uid_t *uid, gid_t *gid)
{
	const char		*name = role_find("qmgr")->user;
	const struct passwd	*pw;
	const struct group	*gr;

	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (!site.is_root)
		return NULL;
	*uid = 0;
	*gid = 0;
	if (owner == OWNER_ROOT)
		return NULL;
	if (owner == OWNER_DROP)
		name = role_find("pickup")->user;
	if ((pw = getpwnam(name)) == NULL)
		return pool_printf(pool, "there is no user %s", name);
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	if (owner != OWNER_DROP)
		return NULL;
	if ((gr = getgrnam(site.setgid_group)) == NULL)
		return pool_printf(pool, "there is no group %s",
		    site.setgid_group);
	*gid = gr->gr_gid;
	return NULL;
}

/* The mode: without root there is one user, and nobody else has any right. */
static mode_t
mode_of(const struct directory *d)
{
	return site.is_root ? d->mode : 0700;
}

/* Create one. */
static const char *
make(struct pool *pool, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	if (fs_make_directory(path, mode, uid, gid) == 0)
		return NULL;
	return pool_printf(pool, "cannot create %s: %s", path,
	    strerror(errno));
}

/* Create what is missing. */
const char *
directories_make(struct pool *pool)
{
	const char	*why;
	uid_t		 uid;
	gid_t		 gid;
	size_t		 i;

	why = make(pool, site.queue_directory, site.is_root ? 0755 : 0700,
	    (uid_t)-1, (gid_t)-1);
	for (i = 0; i < DIRECTORIES && why == NULL; i++) {
		why = find_owner(pool, directories[i].owner, &uid, &gid);
		if (why == NULL)
			why = make(pool, pool_printf(pool, "%s/%s",
			    site.queue_directory, directories[i].path),
			    mode_of(&directories[i]), uid, gid);
	}
	if (why == NULL)
		why = find_owner(pool, OWNER_MAIL, &uid, &gid);
	if (why == NULL)
		why = make(pool, site.data_directory, 0700, uid, gid);
	return why;
}

/* Give a directory its owner and mode, or make it; never through a link. */
static void
fix(const char *path, mode_t mode, uid_t uid, gid_t gid, struct str *done,
    struct str *errors)
{
	struct stat	st;
	bool		has_owner;
	int		fd;

	if (lstat(path, &st) == -1 && errno == ENOENT) {
		if (fs_make_directory(path, mode, uid, gid) == 0)
			str_addf(done, "%s: created\n", path);
		else
			str_addf(errors, "cannot create %s: %s\n", path,
			    strerror(errno));
		return;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1) {
		str_addf(errors, "%s: %s\n", path, strerror(errno));
		if (fd != -1)
			close(fd);
		return;
	}
	has_owner = uid == (uid_t)-1 || (st.st_uid == uid && st.st_gid == gid);
	if ((!has_owner && fchown(fd, uid, gid) == -1) ||
	    ((st.st_mode & 07777) != mode && fchmod(fd, mode) == -1)) {
		str_addf(errors, "%s: %s\n", path, strerror(errno));
		close(fd);
		return;
	}
	close(fd);
	if (!has_owner)
		str_addf(done, "%s: owner %u:%u, was %u:%u\n", path, uid, gid,
		    st.st_uid, st.st_gid);
	if ((st.st_mode & 07777) != mode)
		str_addf(done, "%s: mode %04o, was %04o\n", path, mode,
		    st.st_mode & 07777);
}

/* The queue directory itself is root's, and others may be allowed to look in;
 * nobody may write to it. */
static void
fix_top(struct str *done, struct str *errors)
{
	mode_t		mode = site.is_root ? 0755 : 0700;
	struct stat	st;

	if (lstat(site.queue_directory, &st) == 0 && S_ISDIR(st.st_mode) &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		mode = st.st_mode & 07777;
	fix(site.queue_directory, mode, site.is_root ? 0 : (uid_t)-1,
	    site.is_root ? 0 : (gid_t)-1, done, errors);
}

/* Make the queue what it should be. */
void
directories_fix(struct pool *pool, struct str *done, struct str *errors)
{
	const char	*why;
	uid_t		 uid;
	gid_t		 gid;
	size_t		 i;

	fix_top(done, errors);
	for (i = 0; i < DIRECTORIES; i++)
		if ((why = find_owner(pool, directories[i].owner, &uid,
		    &gid)) != NULL)
			str_addf(errors, "%s\n", why);
		else
			fix(pool_printf(pool, "%s/%s", site.queue_directory,
			    directories[i].path), mode_of(&directories[i]),
			    uid, gid, done, errors);
	if (find_owner(pool, OWNER_MAIL, &uid, &gid) == NULL)
		fix(site.data_directory, 0700, uid, gid, done, errors);
}

/* Is it a directory of the queue? */
bool
directories_has(const char *name)
{
	size_t	i;

	for (i = 0; i < DIRECTORIES; i++)
		if (strcmp(directories[i].path, name) == 0)
			return true;
	return false;
}

/* Is the queue ours to judge? */
bool
directories_are_ours(void)
{
	struct stat	st;

	return site.is_root || stat(site.queue_directory, &st) == -1 ||
	    st.st_uid == geteuid();
}

/* Compare one directory with what it should be. */
static unsigned
check(struct pool *pool, const struct directory *d, struct str *errors)
{
	const char	*path, *why;
	struct stat	 st;
	uid_t		 uid;
	gid_t		 gid;

	path = pool_printf(pool, "%s/%s", site.queue_directory, d->path);
	if (stat(path, &st) == -1) {
		if (errno == ENOENT)
			return 0;
		str_addf(errors, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	if ((why = find_owner(pool, d->owner, &uid, &gid)) != NULL)
		return 0;		/* told elsewhere, once */
	if (!S_ISDIR(st.st_mode))
		str_addf(errors, "%s is not a directory\n", path);
	else if (site.is_root && (st.st_uid != uid || st.st_gid != gid))
		str_addf(errors, "%s belongs to %u:%u, expected %u:%u\n",
		    path, st.st_uid, st.st_gid, uid, gid);
	else if ((st.st_mode & 07777) != mode_of(d))
		str_addf(errors, "%s has mode %04o, expected %04o\n", path,
		    st.st_mode & 07777, mode_of(d));
	else
		return 0;
	return 1;
}

/* Compare them all. */
unsigned
directories_check(struct pool *pool, struct str *errors)
{
	struct stat	st;
	unsigned	count = 0;
	size_t		i;

	if (stat(site.queue_directory, &st) == 0 &&
	    (st.st_mode & S_IWOTH) != 0) {
		str_addf(errors, "%s may be written by everybody\n",
		    site.queue_directory);
		count++;
	}
	for (i = 0; i < DIRECTORIES; i++)
		count += check(pool, &directories[i], errors);
	return count;
}

/* Who holds the lock on this open file? 0 is nobody. */
static int
holder_of(int fd)
{
	struct flock	lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &lock) == -1 || lock.l_type == F_UNLCK)
		return 0;
	return (int)lock.l_pid;
}

/* Lock the pid file and write our number into it. */
int
pid_file_lock(int *holder)
{
	struct flock	lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char		text[32];
	int		fd, saved;

	*holder = 0;
	fd = open("pid/master.pid", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0644);
	if (fd == -1)
		return -1;
	if (fcntl(fd, F_SETLK, &lock) == -1) {
		saved = errno;
		if (saved == EACCES || saved == EAGAIN)
			*holder = holder_of(fd);
		close(fd);
		errno = saved;
		return -1;
	}
	(void)snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) == -1 || fs_write(fd, text, strlen(text)) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* Who runs the instance with this queue? */
int
pid_file_holder(struct pool *pool, const char *queue)
{
	int	fd, holder;

	fd = open(pool_printf(pool, "%s/pid/master.pid", queue),
	    O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return 0;
	holder = holder_of(fd);
	close(fd);
	return holder;
}
