/*
 * storing.c - what mbox.c and maildir.c have in common: results, what is in the
 * way of a message, the group of the spool, syncs of directories.
 *
 * Called on the threads of the program mailbox.
 */
#include "local/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"

/* Set the result. */
void
storing_is(struct storing *s, enum outcome outcome, const char *dsn,
    const char *format, ...)
{
	va_list	ap;

	s->is_settled = true;
	s->outcome = outcome;
	s->dsn = dsn;
	va_start(ap, format);
	vsnprintf(s->text, sizeof(s->text), format, ap);
	va_end(ap);
}

/* Nothing that the world refuses is for ever: space comes back, and what is
 * wrong with a directory somebody will repair. */
void
storing_failed(struct storing *s, const char *done, const char *path,
    int error)
{
	const char	*dsn = "4.2.0";

	if (error == EDQUOT)
		dsn = "4.2.2";
	else if (error == ENOSPC)
		dsn = "4.3.1";
	else if (error == EIO || error == EROFS || error == ENOMEM ||
	    error == EMFILE || error == ENFILE)
		dsn = "4.3.0";
	storing_is(s, OUTCOME_DEFERRED, dsn, "cannot %s %s: %s", done, path,
	    strerrordesc_np(error));
}

/* Have both of them the same files? */
static bool
is_like(const struct store *a, const struct store *b)
{
	size_t	i;

	for (i = 0; i < a->files && i < b->files; i++)
		if (strcmp(a->unless[i].word, b->unless[i].word) != 0)
			return false;
	return a->files == b->files;
}

/* Whether it may be believed is for others to say: it is there. Messages of a
 * batch are for the same user, and one look does for all of them. */
bool
storing_is_forwarded(struct storing *s, const struct storing **clear)
{
	const struct store	*what = s->what;
	struct stat		 st;
	size_t			 i;

	if (*clear != NULL && is_like(what, (*clear)->what))
		return false;
	for (i = 0; i < what->files; i++)
		if (lstat(what->unless[i].word, &st) == 0 ||
		    (errno != ENOENT && errno != ENOTDIR)) {
			storing_is(s, OUTCOME_REROUTED, "2.0.0", "%s",
			    what->unless[i].word);
			return true;
		}
	*clear = s;
	return false;
}

/* setfsgid(2) is the thread's alone, so the others go on as the recipient. */
void
storing_raise(const struct storing *s)
{
	if (s->spool_group != STORE_NO_GROUP)
		(void)setfsgid(s->spool_group);
}

/* The recipient's own group again; errno stays. */
void
storing_lower(const struct storing *s)
{
	int	saved = errno;

	if (s->spool_group != STORE_NO_GROUP)
		(void)setfsgid(getegid());
	errno = saved;
}

/* Sync the directory that a path is in. */
int
storing_sync_parent(const char *path)
{
	char		 parent[1000], *slash;
	int		 fd, result, saved;

	if (strlcpy(parent, path, sizeof(parent)) >= sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((slash = strrchr(parent, '/')) == NULL)
		strlcpy(parent, ".", sizeof(parent));
	else
		slash[slash == parent] = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)		/* we may write to it, but not list it */
		return errno == EACCES ? 0 : -1;
	result = fs_sync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}
