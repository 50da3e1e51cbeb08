/*
 * clock.c - clocks that a test moves: preloaded into a system's programs.
 *
 * $POSTRIDER_TEST_CLOCK names a file that is mapped before main() begins, and
 * so before users change and sandboxes close. It holds how far the wall clock
 * and the monotonic clock are ahead, in nanoseconds, twice: a reader who finds
 * the two copies different has met the writer, and looks again. Sleepers look
 * at the clock every few milliseconds, so that a jump wakes whom it concerns.
 * A third number is the time at which the wall clock stands still, or 0.
 *
 * Postrider knows nothing of this: import_environment brings it in.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { NAP = 10 };		/* milliseconds */

struct page {
	volatile int64_t	 first[3], second[3];	/* wall, monotonic, stop */
};

static const struct page	*page;

/* Map the file. */
__attribute__((constructor)) static void
map(void)
{
	const char	*path = getenv("POSTRIDER_TEST_CLOCK");
	void		*at;
	int		 fd;

	if (path == NULL || (fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return;
	at = mmap(NULL, sizeof(struct page), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		page = at;
}

/* How far ahead a clock is: 0 the wall, 1 the monotonic one; 2 the time at
 * which the wall clock stands. */
static int64_t
ahead(int which)
{
	int64_t	value;

	if (page == NULL)
		return 0;
	do {			/* the writer goes from first to second */
		value = page->second[which];
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	} while (page->first[which] != value);
	return value;
}

/* The kernel's clock, and what the test adds. */
int
clock_gettime(clockid_t clock, struct timespec *to)
{
	int64_t	more;

	if (syscall(SYS_clock_gettime, clock, to) == -1)
		return -1;
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		more = ahead(0);
		if (ahead(2) != 0) {
			to->tv_sec = to->tv_nsec = 0;
			more = ahead(2);
		}
		break;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_BOOTTIME:
		more = ahead(1);
		break;
	default:
		return 0;
	}
	more += to->tv_nsec;
	to->tv_sec += more / 1000000000;
	to->tv_nsec = more % 1000000000;
	if (to->tv_nsec < 0) {		/* before 1970 */
		to->tv_sec--;
		to->tv_nsec += 1000000000;
	}
	return 0;
}

int
gettimeofday(struct timeval *restrict to, void *restrict zone)
{
	struct timespec	now;

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	to->tv_sec = now.tv_sec;
	to->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *to)
{
	struct timespec	now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (to != NULL)
		*to = now.tv_sec;
	return now.tv_sec;
}

/* Sleep a little; the caller thinks that its time is over, and looks. */
int
epoll_wait(int fd, struct epoll_event *events, int room, int timeout)
{
	if (page != NULL && (timeout < 0 || timeout > NAP))
		timeout = NAP;
	return (int)syscall(SYS_epoll_pwait, fd, events, room, timeout, NULL,
	    8);
}
