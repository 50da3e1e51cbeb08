/*
 * queue_pager.c - where a list is written to.
 *
 * P1  A reader who takes his time (a pager on a terminal) keeps qmgr waiting
 *     for nothing: what qmgr tells goes into a file, and a thread shows as
 *     much of it as is there, from the first line on.
 * P2  A list that was cut short because there was no room for that file, or
 *     because it could not be read, is not taken for the whole one.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/mem.h"
#include "qmgr/queue.h"

enum { PAUSE = 20 * 1000, PIECE = 65536 };	/* microseconds, bytes */

/* What the thread shares with who writes. */
static pthread_mutex_t	lock = PTHREAD_MUTEX_INITIALIZER;
static bool		is_whole, is_unread;
static FILE		*file;
static pthread_t	thread;

/* Has everything been written? */
static bool
is_over(void)
{
	bool	is;

	pthread_mutex_lock(&lock);
	is = is_whole;
	pthread_mutex_unlock(&lock);
	return is;
}

/* Show what there is behind this place; how much that was. */
static off_t
show(char *piece, off_t from)
{
	ssize_t	n;
	off_t	at = from;

	while ((n = pread(fileno(file), piece, PIECE, at)) > 0) {
		fwrite(piece, 1, (size_t)n, stdout);
		at += n;
	}
	if (n == -1)
		is_unread = true;
	fflush(stdout);
	return at - from;
}

/* The thread: show it until it is over. */
static void *
run(void *arg)
{
	char	*piece = mem_alloc(PIECE);
	off_t	at = 0;
	bool	is_last;

	do {
		is_last = is_over();	/* before the look: see all of it */
		at += show(piece, at);
		if (!is_last)
			usleep(PAUSE);
	} while (!is_last);
	free(piece);
	return arg;
}

/* Who reads the queue himself keeps nobody waiting. */
FILE *
pager_start(void)
{
	if (owner_is_here() || (file = tmpfile()) == NULL)
		return stdout;
	is_whole = is_unread = false;
	if ((errno = pthread_create(&thread, NULL, run, NULL)) != 0)
		die("cannot start a thread: %s", strerror(errno));
	return file;
}

/* All is written: wait until it has been read. What is wrong with standard
 * output is seen when the program ends. */
int
pager_end(FILE *out)
{
	bool	is_cut;

	if (out == stdout)
		return 0;
	is_cut = fflush(out) != 0 || ferror(out);
	pthread_mutex_lock(&lock);
	is_whole = true;
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	fclose(out);
	if (!is_cut && !is_unread)
		return 0;
	complain("a temporary file cannot be written or read: the list is not "
	    "whole");
	return EX_IOERR;
}
