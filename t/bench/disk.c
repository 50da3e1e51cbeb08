/*
 * disk.c - what the disk can do, without any mail system.
 *
 *	disk sync DIRECTORY COUNT	4 KB written and synced, over and over
 *	disk files DIRECTORY COUNT	a file each: created, written, synced,
 *					removed; ten at once
 *	disk log DIRECTORY COUNT	4 KB each appended to one file; a sync is
 *					for all who wait; ten at once
 *
 * It prints how many there were in a second. "files" is what a mail server with
 * a file per message needs at least, "log" what one with a single log would.
 */
#include <sys/stat.h>

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { AT_ONCE = 10, SIZE = 4096 };

static char		 block[SIZE];
static int		 directory, shared;
static unsigned long	 count;
static atomic_ulong	 taken;

static pthread_mutex_t	 log_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t	 log_synced = PTHREAD_COND_INITIALIZER;
static unsigned long	 written, synced;	/* blocks of the log */
static bool		 is_syncing;

/* Create a file of this name, empty. */
static int
create(const char *name)
{
	int	fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC |
		    O_CLOEXEC, 0600);

	if (fd == -1)
		err(1, "%s", name);
	return fd;
}

/* Write 4 KB. */
static void
put(int fd)
{
	if (write(fd, block, SIZE) != SIZE)
		err(1, "write");
}

/* Thread: files that come and go. */
static void *
pass_files(void *arg)
{
	char		name[32];
	unsigned long	n;
	int		fd;

	(void)arg;
	while ((n = atomic_fetch_add(&taken, 1)) < count) {
		snprintf(name, sizeof(name), "disk.%lu", n);
		fd = create(name);
		put(fd);
		if (fsync(fd) == -1)
			err(1, "fsync");
		close(fd);
		if (unlinkat(directory, name, 0) == -1)
			err(1, "%s", name);
	}
	return NULL;
}

/* Wait until this block is on disk, or bring all there that are written; the
 * lock is held. */
static void
commit(unsigned long mine)
{
	unsigned long	upto;

	while (synced < mine) {
		if (is_syncing) {
			pthread_cond_wait(&log_synced, &log_lock);
			continue;
		}
		is_syncing = true;
		upto = written;
		pthread_mutex_unlock(&log_lock);
		if (fdatasync(shared) == -1)
			err(1, "fdatasync");
		pthread_mutex_lock(&log_lock);
		is_syncing = false;
		synced = upto;
		pthread_cond_broadcast(&log_synced);
	}
}

/* Thread: blocks of a log. */
static void *
append(void *arg)
{
	unsigned long	mine;

	(void)arg;
	while (atomic_fetch_add(&taken, 1) < count) {
		pthread_mutex_lock(&log_lock);
		put(shared);
		mine = ++written;
		commit(mine);
		pthread_mutex_unlock(&log_lock);
	}
	return NULL;
}

/* Thread: write and sync, over and over. */
static void *
sync_often(void *arg)
{
	(void)arg;
	while (atomic_fetch_add(&taken, 1) < count) {
		put(shared);
		if (fsync(shared) == -1)
			err(1, "fsync");
	}
	return NULL;
}

/* So many threads do this; how many passes there were in a second. */
static double
race(void *(*work)(void *), int threads)
{
	pthread_t	thread[AT_ONCE];
	struct timespec	start, end;
	int		i;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, work, NULL) != 0)
			err(1, "thread");
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (double)count / ((double)(end.tv_sec - start.tv_sec) +
	    (double)(end.tv_nsec - start.tv_nsec) / 1e9);
}

int
main(int argc, char **argv)
{
	if (argc != 4 || (count = strtoul(argv[3], NULL, 10)) == 0) {
		fprintf(stderr, "usage: disk sync|files|log DIRECTORY COUNT\n");
		return 64;
	}
	memset(block, 'x', sizeof(block));
	directory = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory == -1)
		err(1, "%s", argv[2]);
	if (strcmp(argv[1], "files") == 0) {
		printf("%.1f\n", race(pass_files, AT_ONCE));
		return 0;
	}
	shared = create("disk.log");
	printf("%.1f\n", strcmp(argv[1], "log") == 0 ?
	    race(append, AT_ONCE) : race(sync_often, 1));
	if (unlinkat(directory, "disk.log", 0) == -1)
		err(1, "disk.log");
	return 0;
}
