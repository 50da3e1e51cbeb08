/*
 * orphans.c - never two queue managers, even after master was killed.
 *
 * A daemon that loses its master finishes what it has and leaves, which may
 * take seconds. A pid file names the process and the moment of its start, so
 * that a number which the kernel has given to somebody else harms nobody.
 */
#include "master/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"

enum { PATIENCE = 6000, LOOK_EVERY = 20, START_TIME_FIELD = 22 };

/* A small file's text, "" if there is none. */
static void
read_text(const char *path, char *to, size_t size)
{
	ssize_t	n = 0;
	int	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd != -1) {
		n = fs_pread(fd, to, size - 1, 0);
		close(fd);
	}
	to[n > 0 ? n : 0] = '\0';
}

/* When the process was started, in the kernel's ticks; 0: it is gone. The
 * program's name, in parentheses, may contain anything. */
static uint64_t
start_time(pid_t pid)
{
	char		 path[64], text[1024], *p;
	uint64_t	 ticks = 0;
	int		 field;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	read_text(path, text, sizeof(text));
	if ((p = strrchr(text, ')')) == NULL || p[1] == '\0' || p[2] == 'Z')
		return 0;
	p += 2;					/* the third field */
	for (field = 3; field < START_TIME_FIELD && p != NULL; field++)
		if ((p = strchr(p, ' ')) != NULL)
			p++;
	if (p == NULL || sscanf(p, "%" SCNu64, &ticks) != 1)
		return 0;
	return ticks;
}

/* The file of a service. */
static void
file_of(char *to, size_t size, const char *service)
{
	(void)snprintf(to, size, "pid/%s.pid", service);
}

/* Write down who it is. */
void
orphans_note(const char *service, pid_t pid)
{
	char	path[128], text[64];
	int	fd;

	file_of(path, sizeof(path), service);
	(void)snprintf(text, sizeof(text), "%d %" PRIu64 "\n", (int)pid,
	    start_time(pid));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	    0644);
	if (fd == -1 || fs_write(fd, text, strlen(text)) == -1)
		log_warning("cannot write %s: %s", path, strerror(errno));
	if (fd != -1)
		close(fd);
}

/* Wait until the process is gone: is it? */
static bool
is_gone(pid_t pid, uint64_t started, int64_t deadline)
{
	const struct timespec	pause = { .tv_nsec = LOOK_EVERY * 1000000 };

	while (start_time(pid) == started) {
		if (clock_now() >= deadline)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

/* Ask it to end, make it end. */
void
orphans_end(const char *service)
{
	char		path[128], text[64];
	uint64_t	started;
	int		pid;

	file_of(path, sizeof(path), service);
	read_text(path, text, sizeof(text));
	if (sscanf(text, "%d %" SCNu64, &pid, &started) != 2 || pid <= 1 ||
	    started == 0 || start_time(pid) != started)
		return;
	log_info("waiting for the end of %s (process %d), whose master died",
	    service, pid);
	(void)kill(pid, SIGTERM);
	if (is_gone(pid, started, clock_now() + PATIENCE))
		return;
	log_warning("%s (process %d) does not end; killing it", service, pid);
	(void)kill(pid, SIGKILL);
	(void)is_gone(pid, started, clock_now() + PATIENCE);
}
