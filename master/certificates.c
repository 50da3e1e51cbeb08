/*
 * certificates.c - notices that certificates were renewed.
 *
 * A fiber looks at the files that main.cf and master.cf name: whether they
 * are others than before, not what is in them. When they are, and have been
 * quiet for a second (a key and its certificate are two files), a child reads
 * them as the keys process would (keys --check). Sessions never notice.
 *
 * X1  Only a state that the child found good takes the place of the one that
 *     the keys process has.
 * X2  The problems of one state are told once. What will be one soon, a
 *     certificate that expires, is told every day.
 * X3  Nothing here waits for a file or a child without a deadline, and other
 *     fibers of master go on meanwhile.
 */
#include "master/certificates.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/fiber/loop.h"
#include "common/tls/wallet.h"
#include "master/spawn.h"
#include "master/watch.h"

enum {
	QUIET_TIME	= 1000,		/* of all files before they are read */
	RESTLESS_TIME	= 60 * 1000,	/* then they are read all the same */
	CHILD_TIME	= 30 * 1000,
	DAY		= 24 * 60 * 60 * 1000,
	OUTPUT_MAX	= 64 * 1024,
	NAMED_MAX	= 10		/* files in one line of the log */
};

static const char	program[] = "keys";

static int64_t		interval = 10 * 1000;

const struct param	certificates_params[] = {
	PARAM_TIME("tls_certificate_check_interval", interval, "10s", 1,
	    86400, "How often master looks whether files with certificates "
	    "or private keys have changed. New ones that are good are taken "
	    "into use without a reload, and no session ends."),
	PARAM_END
};

/* One file as it was seen. */
struct seen {
	const char	*name;
	bool		 is_there;
	dev_t		 device;
	ino_t		 inode;
	off_t		 size;
	struct timespec	 modified;
};

/* All of them at one time. */
struct state {
	struct pool	*pool;
	struct seen	*files;
	size_t		 count;
};

static const struct services	*services;
static unsigned			 reloads;
static struct state		*known;		/* what was acted upon last */
static struct fiber		*watcher;
static bool			 is_due;	/* keys shall be replaced */
static int64_t			 daily_at;
static struct {
	pid_t		 pid;			/* 0: none */
	int		 status;
	bool		 has_ended;
} child;

/* --- the files ----------------------------------------------------------- */

/* Look at one, through symbolic links: they are how some tools renew. */
static void
look(struct seen *f, const char *name)
{
	struct stat	st;

	*f = (struct seen){ .name = name };
	if (stat(name, &st) == -1)
		return;
	f->is_there = true;
	f->device = st.st_dev;
	f->inode = st.st_ino;
	f->size = st.st_size;
	f->modified = st.st_mtim;
}

/* Does it look the same? */
static bool
is_same(const struct seen *a, const struct seen *b)
{
	return a->is_there == b->is_there && a->device == b->device &&
	    a->inode == b->inode && a->size == b->size &&
	    a->modified.tv_sec == b->modified.tv_sec &&
	    a->modified.tv_nsec == b->modified.tv_nsec;
}

/* Everything as it is now; tables may name other files than before. */
static struct state *
look_at_all(void)
{
	struct pool	*pool = pool_new("certificates", 0);
	struct state	*now = pool_alloc(pool, sizeof(*now));
	const char	**names;
	size_t		 i;

	now->pool = pool;
	names = wallet_files(pool, services->maincf, services->mastercf,
	    &now->count);
	now->files = pool_array(pool, now->count, sizeof(*now->files));
	for (i = 0; i < now->count; i++)
		look(&now->files[i], names[i]);
	return now;
}

/* Forget one. */
static void
forget(struct state *s)
{
	if (s != NULL)
		pool_free(s->pool);
}

/* The same name in another state. */
static const struct seen *
find(const struct state *s, const char *name)
{
	size_t	i;

	for (i = 0; i < s->count; i++)
		if (strcmp(s->files[i].name, name) == 0)
			return &s->files[i];
	return NULL;
}

/* Is any file another one now? Without making the list anew. */
static bool
has_changed(const struct state *s)
{
	struct seen	now;
	size_t		i;

	for (i = 0; i < s->count; i++) {
		look(&now, s->files[i].name);
		if (!is_same(&s->files[i], &now))
			return true;
	}
	return false;
}

/* "/etc/a.pem, /etc/b.key": what is new, or not as it was. */
static const char *
changes(const struct state *before, const struct state *now)
{
	const struct seen	*f, *old;
	struct str		 text;
	size_t			 count = 0;

	str_init(&text, now->pool, 0);
	for (f = now->files; f < now->files + now->count; f++) {
		old = find(before, f->name);
		if (old != NULL && is_same(old, f))
			continue;
		if (count++ < NAMED_MAX)
			str_addf(&text, "%s%s", count > 1 ? ", " : "",
			    f->name);
	}
	if (count > NAMED_MAX)
		str_addf(&text, " and %zu more", count - NAMED_MAX);
	return text.data;
}

/* Wait until nothing changes any more. The state then; NULL: cancelled. */
static WAITS struct state *
wait_quiet(void)
{
	int64_t		 deadline = clock_now() + RESTLESS_TIME;
	struct state	*now = look_at_all();

	do {
		if (fiber_sleep(QUIET_TIME) == -1) {
			forget(now);
			return NULL;
		}
		if (!has_changed(now))
			break;
		forget(now);
		now = look_at_all();
	} while (clock_now() < deadline);
	return now;
}

/* --- the child that reads them ------------------------------------------- */

/* It was collected. */
void
certificates_ended(pid_t pid, int status)
{
	if (child.pid == 0 || pid != child.pid)
		return;
	child.status = status;
	child.has_ended = true;
	if (watcher != NULL)
		fiber_wake(watcher);
}

/* What it says, until it closes or the deadline comes. 0 or -1. */
static WAITS int
hear(int fd, struct str *to, int64_t deadline)
{
	struct loop_fd	w = { .fd = -1 };
	char		buffer[512];
	ssize_t		n;
	int		result = 0;

	if (loop_add(&w, fd) == -1)
		return -1;
	while (result == 0 && (n = read(fd, buffer, sizeof(buffer))) != 0)
		if (n > 0)
			str_add_mem(to, buffer, (size_t)n);
		else if (errno == EAGAIN)
			result = loop_wait_readable(&w, deadline);
		else if (errno != EINTR)
			result = -1;
	loop_remove(&w);
	return result;
}

/* Let a child read all; its output, its exit status or -1. */
static WAITS int
run_check(const struct unit *unit, struct str *output)
{
	int64_t		 deadline = clock_now() + CHILD_TIME;
	const char	*why = "it takes too long";
	int		 fd;

	child.has_ended = false;
	if ((child.pid = spawn_check(unit, &fd, &why)) == -1) {
		child.pid = 0;
		str_addf(output, "error: cannot run %s: %s\n", program, why);
		return -1;
	}
	if (hear(fd, output, deadline) == -1)
		(void)kill(child.pid, SIGKILL);
	close(fd);
	while (!child.has_ended && fiber_park(deadline) == 0)
		continue;
	if (!child.has_ended) {
		/* Collected some time later by whoever collects. */
		(void)kill(child.pid, SIGKILL);
	}
	child.pid = 0;
	if (child.has_ended && WIFEXITED(child.status))
		return WEXITSTATUS(child.status);
	str_addf(output, "error: cannot check the certificates: %s\n", why);
	return -1;
}

/* One line of what it said, at its level. */
static void
say(const char *line)
{
	const char	*found;

	if ((found = strstr(line, "warning: ")) != NULL)
		log_warning("%s", found + strlen("warning: "));
	else if ((found = strstr(line, "error: ")) != NULL ||
	    (found = strstr(line, "fatal: ")) != NULL)
		log_error("%s", found + strlen("error: "));
	else
		log_warning("%s", line);
}

/* Read everything and tell what is wrong. Is all well? */
static WAITS bool
check(void)
{
	const struct unit	*unit = services_find(services, program);
	struct pool		*pool;
	struct str		 output;
	char			*rest, *line;
	int			 status;

	if (unit == NULL)
		return false;
	pool = pool_new("check", 0);
	str_init(&output, pool, OUTPUT_MAX);
	status = run_check(unit, &output);
	rest = output.data;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			say(line);
	pool_free(pool);
	return status == 0;
}

/* --- the watch ----------------------------------------------------------- */

/* Something is not as it was: see what it is worth. (X1, X2) */
static WAITS void
examine(void)
{
	unsigned	 before = reloads;
	struct state	*now = wait_quiet();
	bool		 is_good;

	if (now == NULL)
		return;
	is_good = check();
	if (reloads != before) {	/* which has done it */
		forget(now);
		return;
	}
	if (is_good)
		log_info("certificates have changed: keys started again (%s)",
		    changes(known, now));
	else
		log_error("certificates have changed and cannot be used; "
		    "keys goes on with those it has (%s)",
		    changes(known, now));
	is_due = is_due || is_good;
	forget(known);
	known = now;
	daily_at = clock_now() + DAY;
}

/* Fiber: look every now and then. */
static void
watch_files(void *arg)
{
	(void)arg;
	fiber_name("certificates");
	while (fiber_sleep(interval) == 0) {
		if (has_changed(known))
			examine();
		else if (known->count > 0 && clock_now() >= daily_at) {
			daily_at = clock_now() + DAY;
			(void)check();
		}
		if (is_due && watch_renew(program))
			is_due = false;
	}
	watcher = NULL;
}

/* From here on these count. */
void
certificates_use(const struct services *s)
{
	services = s;
	reloads++;
	forget(known);
	known = look_at_all();
	is_due = false;
	daily_at = clock_now() + DAY;
	if (watcher == NULL)
		watcher = fiber_start(watch_files, NULL);
}
