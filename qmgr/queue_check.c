/*
 * queue_check.c - is everything in the queue where it belongs?
 *
 * A message in the wrong hash directory, as after a restored backup, is found
 * by no program that looks for it by its id; it is moved. What is no message
 * is told and left alone. All of it may be done while the system runs: what
 * is moved here cannot be open, and unfinished files are removed only under
 * the lock of their writers.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/queue/wal.h"
#include "qmgr/entry.h"
#include "qmgr/queue.h"

static const enum queue_dir	dirs[] = { QUEUE_INCOMING, QUEUE_DEFERRED,
				    QUEUE_HOLD, QUEUE_CORRUPT };
enum { DIRS = sizeof(dirs) / sizeof(dirs[0]) };

/* The work so far. */
static struct {
	uint64_t	moved, purged, strays, damaged;
	int		status;
} work;

/* Something that is none of ours. */
static void
tell_stray(enum queue_dir dir, const char *below, const char *name)
{
	complain("%s/%s%s%s: not a message; it is left alone",
	    queue_dir_name(dir), below, *below != '\0' ? "/" : "", name);
	work.strays++;
}

/* --- places -------------------------------------------------------------- */

/* The directory in which a message of that id belongs: "" or "3f". */
static const char *
place_of(enum queue_dir dir, const char *id, char hash[3])
{
	return dir == QUEUE_DEFERRED ? queue_id_hash(hash, id) : "";
}

/* To where it belongs; never over another one. */
static void
move(enum queue_dir dir, int at, const char *below, const char *id,
    const char *place)
{
	char	to[QUEUE_ID_MAX + 4];

	if (*place != '\0' && mkdirat(queue_dir_fd(dir), place, 0700) == -1 &&
	    errno != EEXIST) {
		complain("%s/%s: %s", queue_dir_name(dir), place,
		    strerror(errno));
		work.status = EX_TEMPFAIL;
		return;
	}
	snprintf(to, sizeof(to), "%.2s%s%.*s", place,
	    *place != '\0' ? "/" : "", QUEUE_ID_MAX, id);
	if (fs_rename_new(at, id, queue_dir_fd(dir), to) == 0)
		work.moved++;
	else {
		complain("%s/%s/%s: %s", queue_dir_name(dir), below, id,
		    strerror(errno));
		work.status = EX_TEMPFAIL;
	}
}

static void	look_through(enum queue_dir, const char *below);

/* One name in a directory. */
static void
look_at(enum queue_dir dir, int at, const char *below, const char *name)
{
	char		 hash[3];
	const char	*place;
	struct stat	 st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return;			/* gone meanwhile */
	if (*below == '\0' && S_ISDIR(st.st_mode) && queue_is_hash(name)) {
		look_through(dir, name);
		return;
	}
	if (dir == QUEUE_INCOMING && *below == '\0' && S_ISREG(st.st_mode) &&
	    wal_is_name(name))
		return;			/* of many messages: wal.c */
	if (!S_ISREG(st.st_mode) || !queue_id_is_valid(name)) {
		tell_stray(dir, below, name);
		return;
	}
	place = place_of(dir, name, hash);
	if (strcmp(place, below) != 0)
		move(dir, at, below, name, place);
}

/* One directory. */
static void
look_through(enum queue_dir dir, const char *below)
{
	struct dirent	*entry;
	DIR		*stream;
	int		 fd;

	fd = openat(queue_dir_fd(dir), *below != '\0' ? below : ".",
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1 || (stream = fdopendir(fd)) == NULL) {
		complain("%s/%s: %s", queue_dir_name(dir), below,
		    strerror(errno));
		work.status = EX_TEMPFAIL;
		return;
	}
	while ((entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.')
			look_at(dir, dirfd(stream), below, entry->d_name);
	closedir(stream);
}

/* --- contents ------------------------------------------------------------ */

/* Can this message be understood? */
static void
read_one(const struct listed *row)
{
	struct pool	*pool = pool_new("entry", 0);
	const char	*why;

	(void)entry_load(pool, (enum queue_dir)row->dir, row->id, &why);
	if (why != NULL) {
		complain("%s: %s", row->id, why);
		work.damaged++;
	}
	pool_free(pool);
}

/* Can every one? */
static void
read_all(void)
{
	struct listing	l = { .which = LISTING_QUEUES };
	size_t		i;
	int		result;

	while ((result = listing_read(&l)) == 1)
		for (i = 0; i < l.count; i++)
			read_one(&l.rows[i]);
	if (result == -1)
		work.status = EX_TEMPFAIL;
	listing_free(&l);
}

/* --- both ---------------------------------------------------------------- */

/* So many. */
static void
tell(const char *what, uint64_t n)
{
	if (n > 0)
		complain("%s: %ju file%s", what, (uintmax_t)n,
		    n == 1 ? "" : "s");
}

/* May this process? */
static bool
may(void)
{
	if (owner_is_here())
		return true;
	complain("only root and the mail system's owner may do that");
	return false;
}

/* Everything where it belongs. */
int
check_structure(bool reads_files)
{
	size_t	i;

	if (!may())
		return EX_NOPERM;
	for (i = 0; i < DIRS; i++)
		look_through(dirs[i], "");
	if (reads_files)
		read_all();
	tell("Moved to their places", work.moved);
	tell("Not messages", work.strays);
	tell("Damaged", work.damaged);
	return work.status != 0 ? work.status :
	    work.damaged > 0 ? EX_DATAERR : 0;
}

/* Remove what writers have left unfinished in incoming/. */
int
check_purge(void)
{
	struct queue_walk	*w;
	char			 id[QUEUE_ID_MAX + 1];
	mode_t			 mode;
	int64_t			 mtime_us, size;

	if (!may())
		return EX_NOPERM;
	if ((w = queue_walk_start(QUEUE_INCOMING)) == NULL) {
		complain("incoming: %s", strerror(errno));
		return EX_TEMPFAIL;
	}
	while (queue_walk_next(w, id, &mode, &mtime_us, &size) == 1)
		if (!queue_is_complete(mode) && queue_reap(id) == 1)
			work.purged++;
	queue_walk_end(w);
	tell("Unfinished and removed", work.purged);
	return 0;
}
