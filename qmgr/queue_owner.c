/*
 * queue_owner.c - who may work on the queue's files.
 *
 * P1  Root becomes the owner of the queue before it opens anything there:
 *     what is created then belongs to him, and a path that he could have
 *     prepared leads nowhere else. Before that it reads names in maildrop,
 *     which lies in a directory of root's.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/param/site.h"
#include "qmgr/queue.h"

static unsigned	posted;

/* Count the messages in maildrop, as far as we may look. */
static void
count_posted(void)
{
	struct dirent	*entry;
	struct stat	 st;
	DIR		*stream;
	int		 fd;

	fd = open("maildrop", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return;
	if ((stream = fdopendir(fd)) == NULL) {
		close(fd);
		return;
	}
	while ((entry = readdir(stream)) != NULL)
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && queue_is_complete(st.st_mode))
			posted++;
	closedir(stream);
}

/* Become the owner; false if that is somebody else and we are not root. */
static bool
become_owner(void)
{
	struct stat	st;

	if (stat("incoming", &st) == -1) {
		if (errno == EACCES)
			return false;
		die("%s/incoming: %s", site.queue_directory, strerror(errno));
	}
	if (geteuid() == st.st_uid)
		return true;
	if (geteuid() != 0)
		return false;
	if (setgroups(0, NULL) == -1 || setgid(st.st_gid) == -1 ||
	    setuid(st.st_uid) == -1 || setuid(0) == 0)
		die("cannot become the owner of the queue");
	return true;
}

/* Open the directories. */
static void
open_queue(void)
{
	int	fd;

	if ((fd = fs_open_directory(AT_FDCWD, ".")) == -1 ||
	    queue_open(fd, LISTING_QUEUES | 1u << QUEUE_CORRUPT) == -1)
		die("the queue below %s: %s", site.queue_directory,
		    strerror(errno));
	close(fd);
}

/* Once. */
bool
owner_is_here(void)
{
	static enum { UNKNOWN, NO, YES } answer;

	if (answer == UNKNOWN) {
		count_posted();
		answer = become_owner() ? YES : NO;
		if (answer == YES)
			open_queue();
	}
	return answer == YES;
}

/* When we came. */
unsigned
owner_saw_posted(void)
{
	return posted;
}
