/*
 * closer.c - descriptors whose close(2) may take long.
 *
 * They are collected while a thread is at it, and go to it together: one job
 * at a time, however many there are.
 */
#include "common/fiber/closer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/fiber/offload.h"

enum { AT_ONCE = 256 };

/* What goes to the thread. */
struct load {
	int	count;
	int	fds[AT_ONCE];
};

static struct load	*next;		/* collected; NULL: none */
static bool		 is_under_way;

/* On a thread. */
static int
close_all(void *arg)
{
	struct load	*l = arg;

	while (l->count > 0)
		close(l->fds[--l->count]);
	return 0;
}

static void	send_next(void);

/* They are closed: the next ones. */
static void
close_done(void *arg)
{
	free(arg);
	is_under_way = false;
	if (next != NULL)
		send_next();
}

/* Off to a thread. */
static void
send_next(void)
{
	struct load	*l = next;

	next = NULL;
	is_under_way = true;
	(void)offload_until(close_all, l, close_done, 0);
}

/* Collect it; with too many, do without a thread. */
void
close_later(int fd)
{
	if (next != NULL && next->count == AT_ONCE) {
		close(fd);
		return;
	}
	if (next == NULL) {
		next = mem_alloc(sizeof(*next));
		next->count = 0;
	}
	next->fds[next->count++] = fd;
	if (!is_under_way)
		send_next();
}
