/*
 * mbox_lock.c - keep others off an mbox while we write to it.
 *
 * Called by mbox.c on a thread. Three ways are in use, and programs know one
 * or two of them: locks by fcntl(2), for which we take one that belongs to
 * this opening of the file and excludes them; flock(2); and FILE.lock, a file
 * that is there. If one of them is held by somebody else, mbox.c gives all of
 * them back before the next attempt, so that two programs with another order
 * do not wait for each other for ever.
 *
 * O1  A lock file is removed as stale only when it was old, or one of ours
 *     whose maker cannot be alive (mbox_mark.c), in the moment in which it
 *     was taken away; one that was made in between is put back.
 * O2  Where FILE.lock may not be made, another lock has to be held; a file
 *     that an alias names may do without.
 */
#include "local/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_EVERY = 100,		/* milliseconds */
	PATIENCE = 4 * 60 * 1000,	/* less than local waits for us */
	LOCK_PATH = 600,
	METHOD = (1 << LOCK_BITS) - 1	/* one of a store's locks */
};

/* FILE.lock; -1 when the name is too long to have one. */
static int
lock_path(char to[LOCK_PATH], const char *path)
{
	return snprintf(to, LOCK_PATH, "%s.lock", path) < LOCK_PATH ? 0 : -1;
}

/* Is it there, and its owner not alive any more, because we know or because
 * it is so old? */
static bool
is_stale(const char *lock, int64_t age)
{
	struct stat	st;

	return lstat(lock, &st) == 0 &&
	    ((time(NULL) - st.st_mtime) * 1000 > age ||
	    mbox_mark_is_dead(lock));
}

/* Take away a stale lock file (O1). */
static bool
remove_stale(const struct storing *s, const char *lock)
{
	const int64_t	age = s->what->stale_time;
	char		aside[LOCK_PATH + 40];
	bool		is_gone;

	if (!is_stale(lock, age))
		return false;
	snprintf(aside, sizeof(aside), "%s.%d.%u", lock, (int)getpid(),
	    s->number);
	if (rename(lock, aside) == -1)
		return false;
	if (!(is_gone = is_stale(aside, age)))
		(void)!link(aside, lock);
	(void)unlink(aside);
	return is_gone;
}

/* Is this the only lock that is wanted? */
static bool
is_alone(const struct store *what)
{
	int64_t	left;

	for (left = what->locks; left != 0; left >>= LOCK_BITS)
		if ((left & METHOD) != LOCK_DOTLOCK)
			return false;
	return !(what->flags & STORE_TO_FILE);
}

/* Why FILE.lock was not made; one that may not be is done without (O2). */
static enum attempt
no_dotlock(struct storing *s, struct mbox *m, int error)
{
	switch (error) {
	case EEXIST:
		m->obstacle = "it is locked by another program (lock file)";
		return ATTEMPT_BUSY;
	case EACCES:
	case EPERM:
	case EROFS:
	case ENAMETOOLONG:
		if (!is_alone(s->what))
			return ATTEMPT_DONE;
		break;
	default:
		break;
	}
	storing_failed(s, "create the lock file of", m->path, error);
	return ATTEMPT_FAILED;
}

/* Create FILE.lock. */
static enum attempt
dotlock(struct storing *s, struct mbox *m)
{
	char	lock[LOCK_PATH];
	int	result;

	if (lock_path(lock, m->path) == -1)
		return no_dotlock(s, m, ENAMETOOLONG);
	storing_raise(s);
	result = mbox_mark_make(lock);
	if (result == -1 && errno == EEXIST) {
		if (remove_stale(s, lock))
			result = mbox_mark_make(lock);
		else
			errno = EEXIST;
	}
	storing_lower(s);
	if (result == -1)
		return no_dotlock(s, m, errno);
	m->is_dotlocked = true;
	return ATTEMPT_DONE;
}

/* Give FILE.lock back. */
void
mbox_unlock(struct storing *s, struct mbox *m)
{
	char	lock[LOCK_PATH];

	if (!m->is_dotlocked || lock_path(lock, m->path) == -1)
		return;
	storing_raise(s);
	(void)unlink(lock);
	storing_lower(s);
	m->is_dotlocked = false;
}

/* One of the kernel's locks on the open file. */
static enum attempt
kernel_lock(struct storing *s, struct mbox *m, enum lock_method method)
{
	struct flock	lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if ((method == LOCK_FLOCK ? flock(m->fd, LOCK_EX | LOCK_NB) :
	    fcntl(m->fd, F_OFD_SETLK, &lock)) == 0)
		return ATTEMPT_DONE;
	if (errno == EAGAIN || errno == EACCES) {
		m->obstacle = "it is locked by another program";
		return ATTEMPT_BUSY;
	}
	storing_failed(s, "lock", m->path, errno);
	return ATTEMPT_FAILED;
}

/* All of them. */
enum attempt
mbox_lock(struct storing *s, struct mbox *m)
{
	enum attempt	result = ATTEMPT_DONE;
	int64_t		left = s->what->locks;

	for (; left != 0 && result == ATTEMPT_DONE; left >>= LOCK_BITS)
		if ((left & METHOD) == LOCK_DOTLOCK)
			result = m->is_dotlocked ? ATTEMPT_DONE : dotlock(s, m);
		else
			result = kernel_lock(s, m,
			    (enum lock_method)(left & METHOD));
	return result;
}

/* How often to try: a long delay is cut into short ones, since most locks are
 * held for a moment. */
int
mbox_lock_tries(const struct store *what, int *pause)
{
	int64_t	tries = what->lock_attempts, delay = what->lock_delay;

	if (delay > LOOK_EVERY) {
		tries = tries > PATIENCE ? PATIENCE : tries;
		tries = (tries * delay + LOOK_EVERY - 1) / LOOK_EVERY;
		delay = LOOK_EVERY;
	}
	if (delay > 0 && tries > PATIENCE / delay)
		tries = PATIENCE / delay;
	*pause = (int)delay;
	return tries < 1 ? 1 : (int)tries;
}
