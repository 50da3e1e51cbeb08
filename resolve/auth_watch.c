/*
 * auth_watch.c - the files of the table of users change.
 *
 * They are out of sight in the jail, but what inotify(7) was told before goes
 * on being told: names that come and go in the table's directory, and writes
 * to the file itself, which may be elsewhere if its name is a symbolic link.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/fiber/loop.h"
#include "resolve/auth.h"

enum {
	SETTLE = 200,		/* milliseconds from one change to the next */
	NAMES_MAX = 16,
	IN_A_DIRECTORY = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO |
	    IN_MOVED_FROM | IN_DELETE,
	IN_A_FILE = IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF
};

static struct loop_fd	 watch;
static int		 fd = -1;
static const char	*names[NAMES_MAX];	/* without directory */
static size_t		 name_count;

/* One file, which need not be there. */
static void
watch_file(struct pool *pool, char *path)
{
	char	*slash = strrchr(path, '/');

	if (inotify_add_watch(fd, path, IN_A_FILE) == -1 && errno != ENOENT)
		log_warning("changes of %s will not be noticed: %s", path,
		    strerror(errno));
	if (slash == NULL || slash == path || name_count == NAMES_MAX)
		return;
	names[name_count++] = pool_strdup(pool, slash + 1);
	*slash = '\0';
	if (inotify_add_watch(fd, path, IN_A_DIRECTORY) == -1)
		log_warning("changes in %s will not be noticed: %s", path,
		    strerror(errno));
}

/* All files of the tables, in the spellings that their types have. */
void
watch_open(const char *tables)
{
	static const char *const	suffixes[] = { "", ".db", ".lmdb",
					    ".cdb" };
	struct pool			*pool = pool_new("watched", 0);
	char				**words, *path;
	size_t				 i, j, count;

	words = text_words(pool, tables, &count);
	if ((fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) == -1) {
		log_warning("changes of smtpd_sasl_users will not be "
		    "noticed: %s", strerror(errno));
		return;
	}
	for (i = 0; i < count; i++) {
		if ((path = strstr(words[i], ":/")) == NULL)
			continue;
		for (j = 0; j < sizeof(suffixes) / sizeof(suffixes[0]); j++)
			watch_file(pool, pool_printf(pool, "%s%s", path + 1,
			    suffixes[j]));
	}
}

/* Is it about one of ours? */
static bool
concerns_us(const struct inotify_event *event)
{
	size_t	i;

	if (event->mask & IN_IGNORED)
		return false;
	if (event->len == 0 || (event->mask & IN_Q_OVERFLOW))
		return true;
	for (i = 0; i < name_count; i++)
		if (strcmp(event->name, names[i]) == 0)
			return true;
	return false;
}

/* What happened since the last look. */
static bool
has_changed(void)
{
	_Alignas(struct inotify_event) char	events[1000];
	const struct inotify_event		*event;
	bool					 is_ours = false;
	ssize_t					 n, at;

	while ((n = read(fd, events, sizeof(events))) > 0)
		for (at = 0; at < n; at += (ssize_t)(sizeof(*event) +
		    event->len)) {
			event = (const void *)(events + at);
			is_ours |= concerns_us(event);
		}
	return is_ours;
}

/* Wait for a change, and until it is over; then make room. */
static void
keep_watch(void *arg)
{
	(void)arg;
	fiber_name("watch");
	while (!has_changed())
		if (loop_wait_readable(&watch, NEVER) == -1)
			return;
	do
		if (fiber_sleep(SETTLE) == -1)
			return;
	while (has_changed());
	if (daemon_is_draining())
		return;
	log_info("smtpd_sasl_users changed: leaving, so that a fresh process "
	    "reads it");
	daemon_leave();
}

/* Begin. */
void
watch_start(void)
{
	if (fd == -1)
		return;
	if (loop_add(&watch, fd) == -1) {
		log_warning("changes of smtpd_sasl_users will not be "
		    "noticed: %s", strerror(errno));
		return;
	}
	fiber_start(keep_watch, NULL);
}
