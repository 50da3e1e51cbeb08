/*
 * check_repair.c - makes owners and modes what they must be, and says what it
 * did: `postrider check -r`, and `postrider set-permissions`.
 *
 * R1  Nothing is opened through a link, what has more than one name is left
 *     alone, and owner and mode are given to the descriptor that was looked
 *     at: nothing outside the queue can be reached by what somebody put there.
 *     Nor what was outside: a file whose other name has gone meanwhile, as an
 *     old version of /etc/shadow, has one name, and is no message.
 * R2  Only directories and files of the queue, data_directory and the posting
 *     command are repaired. Configuration and programs that others could
 *     write are told of and stay so: that they belong to root again would not
 *     make what they say trustworthy.
 * R3  Each repair is one line; what cannot be repaired is an error.
 */
#include "master/check.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/daemon/roles.h"
#include "common/param/site.h"
#include "common/queue/queue.h"
#include "common/queue/wal.h"
#include "master/directories.h"

enum {
	DEPTH = 1			/* of directories in a directory */
};

/* What is shared on the way. */
struct repair {
	struct pool	*pool;
	struct str	*done, *errors;
	uid_t		 uid;
	gid_t		 gid;
};

/* Owner and mode of an open file or directory, if they are others. (R1) */
static void
mend(struct repair *r, int fd, const char *path, const struct stat *st,
    mode_t mode)
{
	bool	has_owner = !site.is_root || (st->st_uid == r->uid &&
		    st->st_gid == r->gid);

	if (!has_owner && fchown(fd, r->uid, r->gid) == -1)
		str_addf(r->errors, "%s: chown: %s\n", path, strerror(errno));
	else if (!has_owner)
		str_addf(r->done, "%s: owner %u:%u, was %u:%u\n", path,
		    r->uid, r->gid, st->st_uid, st->st_gid);
	if (has_owner && (st->st_mode & 07777) == mode)
		return;
	/* chown(2) may have taken bits away. */
	if (fchmod(fd, mode) == -1)
		str_addf(r->errors, "%s: chmod: %s\n", path, strerror(errno));
	else if ((st->st_mode & 07777) != mode)
		str_addf(r->done, "%s: mode %04o, was %04o\n", path, mode,
		    st->st_mode & 07777);
}

/* What the mode of a message shall be. The mark that it is to be returned is
 * one only in a mode as we give it; 0755, as after a restored backup, has none.
 */
static mode_t
mode_for(mode_t mode)
{
	if ((mode & 07777) == 0710)
		return 0710;
	return mode & S_IXUSR ? 0700 : 0600;
}

/* Does it begin as a message does? */
static bool
is_message(int fd)
{
	unsigned char		head[QUEUE_PREAMBLE];
	struct queue_layout	layout;
	uint32_t		crc;
	ssize_t			n = fs_pread(fd, head, sizeof(head), 0);

	return n > 0 &&
	    queue_preamble_decode(head, (size_t)n, &layout, &crc) == NULL;
}

/* Is it a write-ahead log? */
static bool
is_log(int fd)
{
	struct wal	w = { .fd = fd };

	return wal_refresh(&w) == 0;
}

/* A file with one name. Somebody else's is taken only as what it should be.
 * (R1) */
static void
repair_file(struct repair *r, int fd, const char *path, const struct stat *st)
{
	if (site.is_root && st->st_uid != r->uid && !is_message(fd) &&
	    !is_log(fd))
		str_addf(r->errors, "%s belongs to user %u and is no message: "
		    "look what it is, and remove it\n", path, st->st_uid);
	else
		mend(r, fd, path, st, mode_for(st->st_mode));
}

static void	 repair_below(struct repair *, int at, const char *name,
		    const char *path, unsigned depth);

/* One name in a directory of the queue. What is neither a file nor a directory
 * with a hash' name is told by check_strays.c. */
static void
repair_entry(struct repair *r, int at, const char *name, const char *above,
    unsigned depth)
{
	const char	*path;
	struct stat	 st;
	int		 fd;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return;
	path = pool_printf(r->pool, "%s/%s", above, name);
	if (S_ISDIR(st.st_mode) && depth > 0 && strlen(name) == 2)
		repair_below(r, at, name, path, depth - 1);
	if (!S_ISREG(st.st_mode) ||
	    (!queue_id_is_valid(name) && !wal_is_name(name)))
		return;
	fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return;			/* gone: the system may be running */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
		repair_file(r, fd, path, &st);
	close(fd);
}

/* A directory of messages and what is in it. */
static void
repair_below(struct repair *r, int at, const char *name, const char *path,
    unsigned depth)
{
	struct dirent	*entry;
	struct stat	 st;
	struct pool	*pool, *before = r->pool;
	DIR		*stream;
	int		 fd;

	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || (stream = fdopendir(fd)) == NULL) {
		str_addf(r->errors, "%s: %s\n", path, strerror(errno));
		if (fd != -1)
			close(fd);
		return;
	}
	if (fstat(fd, &st) == 0)
		mend(r, fd, path, &st, 0700);
	while ((entry = readdir(stream)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		r->pool = pool = pool_new("entry", 0);
		repair_entry(r, fd, entry->d_name, path, depth);
		r->pool = before;
		pool_free(pool);
	}
	closedir(stream);
}

/* The messages. Those in maildrop/ belong to who posted them. */
static void
repair_messages(struct repair *r)
{
	static const char *const	names[] = {
		"incoming", "deferred", "hold", "corrupt"
	};
	const char			*path;
	size_t				 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path = pool_printf(r->pool, "%s/%s", site.queue_directory,
		    names[i]);
		repair_below(r, AT_FDCWD, path, path, DEPTH);
	}
}

/* The set-gid posting command, when there is one. */
static void
repair_postdrop(struct repair *r)
{
	const struct group	*gr = getgrnam(site.setgid_group);
	struct repair		 own = *r;
	struct stat		 st;
	const char		*path;
	int			 fd;

	path = pool_printf(r->pool, "%s/postdrop", site.command_directory);
	if ((fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) == -1)
		return;
	own.uid = 0;
	own.gid = gr != NULL ? gr->gr_gid : 0;
	if (gr == NULL)
		str_addf(r->errors, "%s: there is no group %s\n", path,
		    site.setgid_group);
	else if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_nlink != 1 || st.st_uid != 0 ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		str_addf(r->errors, "%s is not root's alone: install it anew\n",
		    path);
	else
		mend(&own, fd, path, &st, 02755);
	close(fd);
}

/* All of it. */
void
check_repair(struct pool *pool, struct str *done, struct str *errors)
{
	const struct passwd	*pw = getpwnam(role_find("qmgr")->user);
	struct repair		 r = { pool, done, errors, geteuid(),
				    getegid() };

	if (!directories_are_ours()) {
		str_addf(errors, "%s belongs to somebody else: only he, or "
		    "root, can repair it\n", site.queue_directory);
		return;
	}
	if (site.is_root && pw == NULL) {
		str_addf(errors, "there is no user %s\n",
		    role_find("qmgr")->user);
		return;
	}
	if (site.is_root) {
		r.uid = pw->pw_uid;
		r.gid = pw->pw_gid;
	}
	directories_fix(pool, done, errors);
	repair_messages(&r);
	if (site.is_root)
		repair_postdrop(&r);
}
