/*
 * check_strays.c - what lies about in the queue and beside the tables and is
 * nobody's: files that are no messages, messages that no program would find,
 * what a program left behind that was killed, core files.
 *
 * Run by `postrider check` after all else. It reads names, owners and modes,
 * opens nothing but directories and files that nobody seems to be writing any
 * more, and follows no link. Each line says what to do; nothing is removed.
 */
#include "master/check.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/daemon/roles.h"
#include "common/param/site.h"
#include "common/queue/queue.h"
#include "common/queue/wal.h"
#include "master/directories.h"

enum {
	TOLD = 20,			/* lines about each directory */
	LONG_AGO = 60 * 60,		/* nobody writes a file for so long */
	OPEN_TO_OTHERS = 0067		/* group's execute is a mark: queue.h */
};

/* One directory, while it is looked through. */
struct place {
	struct pool	*pool;
	struct str	*out;
	const char	*path;		/* as it is told */
	int		 fd;
	enum queue_dir	 dir;		/* if it is the queue's */
	const char	*hash;		/* "3f", or "" */
	uid_t		 owner;
	unsigned	 count;
};

/* One line about a name in it. */
static void __attribute__((format(printf, 3, 4)))
tell(struct place *p, const char *name, const char *format, ...)
{
	va_list	ap;

	if (++p->count > TOLD)
		return;
	str_addf(p->out, "%s/%s ", p->path, name);
	va_start(ap, format);
	str_addv(p->out, format, ap);
	va_end(ap);
	str_add(p->out, "\n");
}

/* Is it "core", or "core.123"? */
static bool
is_core(const char *name)
{
	return strncmp(name, "core", 4) == 0 && (name[4] == '\0' ||
	    (name[4] == '.' && name[5] != '\0' &&
	    strspn(name + 5, "0123456789") == strlen(name + 5)));
}

/* Is it a core file? Then it is told. */
static bool
tell_core(struct place *p, const char *name, const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || !is_core(name))
		return false;
	tell(p, name, "is what a program left that crashed: see who with "
	    "file(1), report it, and remove the file");
	return true;
}

/* Has every directory this name, or the first one of a file system? */
static bool
is_ordinary(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    strcmp(name, "lost+found") == 0;
}

/* Does every name of a directory go to `look`? A directory that cannot be
 * opened has none. */
static void
look_through(struct place *p, int at, const char *name,
    void (*look)(struct place *, const char *, const struct stat *))
{
	struct dirent	*entry;
	struct stat	 st;
	DIR		*stream;

	p->fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (p->fd == -1)
		return;
	if ((stream = fdopendir(p->fd)) == NULL) {
		close(p->fd);
		return;
	}
	while ((entry = readdir(stream)) != NULL)
		if (!is_ordinary(entry->d_name) && fstatat(p->fd,
		    entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			look(p, entry->d_name, &st);
	closedir(stream);
	if (p->count > TOLD)
		str_addf(p->out, "%s has %u more of this kind\n", p->path,
		    p->count - TOLD);
}

/* --- the queue ----------------------------------------------------------- */

/* Has nobody the lock that a writer holds? */
static bool
is_abandoned(const struct place *p, const char *name)
{
	int	fd = openat(p->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
		    O_CLOEXEC);
	bool	is_free;

	if (fd == -1)
		return false;
	is_free = flock(fd, LOCK_SH | LOCK_NB) == 0;
	close(fd);
	return is_free;
}

/* Something that is no message. */
static void
look_at_stray(struct place *p, const char *name, const struct stat *st)
{
	if (tell_core(p, name, st))
		return;
	if (S_ISDIR(st->st_mode))
		tell(p, name, "is a directory where no program looks: see what "
		    "is in it, and move it away");
	else if (p->dir == QUEUE_MAILDROP && S_ISREG(st->st_mode))
		tell(p, name, "is no message that could be posted: look what "
		    "it is, and remove it");
	else
		tell(p, name, "is no message, and nothing will happen to it: "
		    "look what it is, and remove it");
}

/* A file with the name of a message. */
static void
look_at_message(struct place *p, const char *name, const struct stat *st)
{
	char	hash[3];

	if (st->st_nlink != 1)
		tell(p, name, "has %lu names: find the others, and why",
		    (unsigned long)st->st_nlink);
	else if (strcmp(p->dir == QUEUE_DEFERRED ? queue_id_hash(hash, name) :
	    "", p->hash) != 0)
		tell(p, name, "is in the wrong directory, where it is not "
		    "found by its id: postrider queue check moves it");
	else if (p->dir != QUEUE_MAILDROP && st->st_uid != p->owner)
		tell(p, name, "belongs to user %u, expected %u: postrider "
		    "check -r mends it", st->st_uid, p->owner);
	else if (p->dir != QUEUE_MAILDROP && st->st_mode & OPEN_TO_OTHERS)
		tell(p, name, "has mode %04o and is open to others: postrider "
		    "check -r mends it", st->st_mode & 07777);
	else if (!queue_is_complete(st->st_mode) &&
	    time(NULL) - st->st_mtime > LONG_AGO && is_abandoned(p, name))
		tell(p, name, "was never finished, and nobody writes to it "
		    "any more: postrider queue check --purge removes it");
}

static void	 look_at_entry(struct place *, const char *,
		    const struct stat *);

/* A directory in deferred/. */
static void
look_below(struct place *p, const char *name)
{
	struct place	below = *p;

	below.path = pool_printf(p->pool, "%s/%s", p->path, name);
	below.hash = name;
	below.count = 0;
	look_through(&below, p->fd, name, look_at_entry);
}

/* Is it a write-ahead log, "wal.7"? There may be messages in it that are
 * nowhere else. */
static bool
is_log(const struct place *p, const char *name, const struct stat *st)
{
	return p->dir == QUEUE_INCOMING && *p->hash == '\0' &&
	    S_ISREG(st->st_mode) && wal_is_name(name);
}

/* One that its users may not be able to open. */
static void
look_at_log(struct place *p, const char *name, const struct stat *st)
{
	if (st->st_uid != p->owner)
		tell(p, name, "belongs to user %u, expected %u: postrider "
		    "check -r mends it", st->st_uid, p->owner);
	else if (st->st_mode & OPEN_TO_OTHERS)
		tell(p, name, "has mode %04o and is open to others: postrider "
		    "check -r mends it", st->st_mode & 07777);
}

/* A name in a directory of the queue. */
static void
look_at_entry(struct place *p, const char *name, const struct stat *st)
{
	if (S_ISDIR(st->st_mode) && *p->hash == '\0' && strlen(name) == 2 &&
	    strspn(name, "0123456789abcdef") == 2 && p->dir != QUEUE_MAILDROP)
		look_below(p, name);
	else if (is_log(p, name, st))
		look_at_log(p, name, st);
	else if (S_ISREG(st->st_mode) && queue_id_is_valid(name) &&
	    !is_core(name))
		look_at_message(p, name, st);
	else
		look_at_stray(p, name, st);
}

/* Is it data_directory, which may be in the queue directory? */
static bool
is_data(const char *name)
{
	const char	*data = site.data_directory;
	size_t		 len = strlen(site.queue_directory);

	return strncmp(data, site.queue_directory, len) == 0 &&
	    data[len] == '/' && strcmp(data + len + 1, name) == 0;
}

/* A name in the queue directory itself. */
static void
look_at_top(struct place *p, const char *name, const struct stat *st)
{
	if (tell_core(p, name, st) || directories_has(name) || is_data(name))
		return;
	tell(p, name, "is nothing of the mail system's: look what it is, and "
	    "move it away");
}

/* The queue. */
static void
check_queue(struct place *p, int queue)
{
	static const enum queue_dir	dirs[] = {
		QUEUE_MAILDROP, QUEUE_INCOMING, QUEUE_DEFERRED, QUEUE_HOLD,
		QUEUE_CORRUPT
	};
	size_t				i;

	p->path = site.queue_directory;
	look_through(p, queue, ".", look_at_top);
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		p->dir = dirs[i];
		p->count = 0;
		p->path = pool_printf(p->pool, "%s/%s", site.queue_directory,
		    queue_dir_name(dirs[i]));
		look_through(p, queue, queue_dir_name(dirs[i]),
		    look_at_entry);
	}
}

/* --- beside the tables --------------------------------------------------- */

/* "NAME.PID.new": is that process gone? */
static bool
is_left_over(const char *name)
{
	size_t		 len = strlen(name);
	const char	*p;
	long		 pid;

	if (len < 6 || strcmp(name + len - 4, ".new") != 0)
		return false;
	for (p = name + len - 5; p > name && *p >= '0' && *p <= '9'; p--)
		continue;
	pid = strtol(p + 1, NULL, 10);
	return *p == '.' && pid > 0 && kill((pid_t)pid, 0) == -1 &&
	    errno == ESRCH;
}

/* A name in a directory of tables. */
static void
look_at_beside(struct place *p, const char *name, const struct stat *st)
{
	if (!tell_core(p, name, st) && S_ISREG(st->st_mode) &&
	    is_left_over(name))
		tell(p, name, "was left by a postmap, or another program, that "
		    "was killed: remove it");
}

/* One directory, once. */
static void
check_beside(struct place *p, const char *path, char **seen, size_t *count,
    size_t room)
{
	size_t	i;

	for (i = 0; i < *count; i++)
		if (strcmp(seen[i], path) == 0)
			return;
	if (*count == room)
		return;
	seen[(*count)++] = pool_strdup(p->pool, path);
	p->path = seen[*count - 1];
	p->count = 0;
	look_through(p, AT_FDCWD, path, look_at_beside);
}

/* The directories of the tables that main.cf names, and our own. */
static void
check_tables(struct place *p, struct maincf *mc)
{
	enum { ROOM = 32 };
	char			*seen[ROOM], *slash, **words, *path;
	const struct setting	*s;
	const char		*value;
	char			*why;
	size_t			 count = 0, i, k, n;

	check_beside(p, site.config_directory, seen, &count, ROOM);
	check_beside(p, site.data_directory, seen, &count, ROOM);
	for (i = 0; (s = maincf_at(mc, i)) != NULL; i++) {
		value = maincf_value(mc, p->pool, s->name, &why);
		words = value == NULL ? NULL : text_words(p->pool, value, &n);
		for (k = 0; words != NULL && k < n; k++) {
			if ((path = strstr(words[k], ":/")) == NULL)
				continue;
			slash = strrchr(++path, '/');
			slash[slash == path] = '\0';
			check_beside(p, path, seen, &count, ROOM);
		}
	}
}

/* All of it. */
void
check_strays(struct pool *pool, struct maincf *mc, struct str *warnings)
{
	struct place		 p = { .pool = pool, .out = warnings,
				    .hash = "", .owner = geteuid() };
	const struct passwd	*pw = getpwnam(role_find("qmgr")->user);
	int			 queue;

	if (site.is_root && pw != NULL)
		p.owner = pw->pw_uid;
	queue = open(site.queue_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (queue != -1) {
		check_queue(&p, queue);
		close(queue);
	}
	check_tables(&p, mc);
}
