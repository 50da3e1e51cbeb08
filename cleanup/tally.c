/*
 * tally.c - nobody fills maildrop/ alone.
 *
 * postdrop may not list the directory, and must count while nothing else runs.
 * So each user has a file in it, ".posted.UID": the number of his files and of
 * their bytes, two int64_t as the machine has them. The file belongs to the
 * user, whom the directory does not let in, and to the group of postdrop and
 * pickup. Every time that pickup has looked through the directory it writes
 * down what was there; so what a postdrop that was killed has left counted is
 * forgotten again.
 */
#include "cleanup/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/fs.h"

enum { NAME_SIZE = 40 };

static const char	prefix[] = ".posted.";
static int64_t		file_limit, space_limit;

const struct param	tally_params[] = {
	PARAM_INT("maildrop_user_file_limit", file_limit, "10000", 0,
	    100000000, "How many messages of one user may wait in maildrop/; "
	    "sendmail says EX_TEMPFAIL to more. Root and mail_owner are free "
	    "of limits; 0 means any number."),
	PARAM_SIZE("maildrop_user_space_limit", space_limit, "204800000", 0,
	    INT64_MAX / 2, "How many bytes of one user's messages may wait in "
	    "maildrop/, but for one message that is larger; 0 means any "
	    "number."),
	PARAM_END
};

struct tally { int64_t files, bytes; };

/* Its name. */
static const char *
name_of(char to[NAME_SIZE], uid_t uid)
{
	snprintf(to, NAME_SIZE, "%s%u", prefix, (unsigned)uid);
	return to;
}

/* A name of that kind? */
bool
tally_is_name(const char *name, uid_t *uid)
{
	char		*end;
	unsigned long	 number;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return false;
	name += sizeof(prefix) - 1;
	if (*name < '0' || *name > '9')
		return false;
	number = strtoul(name, &end, 10);
	*uid = (uid_t)number;
	return *end == '\0' && *uid == number;
}

/* What the file says; a new or damaged one says nothing. */
static void
read_tally(int fd, struct tally *t)
{
	if (fs_pread(fd, t, sizeof(*t), 0) != sizeof(*t) || t->files < 0 ||
	    t->bytes < 0)
		memset(t, 0, sizeof(*t));
}

/* Would that be too much? One message is never too large alone. */
static bool
is_over(const struct tally *t, int64_t files)
{
	if (files <= 0)
		return false;
	return (file_limit > 0 && t->files > file_limit) ||
	    (space_limit > 0 && t->files > 1 && t->bytes > space_limit);
}

/* Under the lock. */
static int
add(int fd, int64_t files, int64_t bytes)
{
	struct tally	t;

	read_tally(fd, &t);
	t.files += files;
	t.bytes += bytes;
	if (is_over(&t, files)) {
		errno = EDQUOT;
		return -1;
	}
	return fs_pwrite(fd, &t, sizeof(t), 0);
}

/* Count. Who holds the lock is a process of the same user's, or quick. */
int
tally_add(int dir, uid_t uid, int64_t files, int64_t bytes)
{
	char	name[NAME_SIZE];
	int	fd, result = -1, saved;

	fd = openat(dir, name_of(name, uid), O_RDWR | O_CREAT | O_NOFOLLOW |
	    O_CLOEXEC, 0660);
	if (fd == -1)
		return -1;
	if (flock(fd, LOCK_EX) == 0)
		result = add(fd, files, bytes);
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

/* Count again; who is counting now will be seen the next time. */
void
tally_set(int dir, uid_t uid, int64_t files, int64_t bytes)
{
	struct tally	t = { files, bytes };
	char		name[NAME_SIZE];
	int		fd;

	fd = openat(dir, name_of(name, uid), O_RDWR | O_NOFOLLOW | O_CLOEXEC |
	    O_NONBLOCK);
	if (fd == -1)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		if (files == 0)
			(void)unlinkat(dir, name, 0);
		else
			(void)fs_pwrite(fd, &t, sizeof(t), 0);
	}
	close(fd);
}
