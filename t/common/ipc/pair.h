/*
 * pair.h - two ends of a connection in one process, for the tests beside.
 *
 * Checks cannot jump out of a fiber, so fibers write down what they saw and
 * the test looks at it when the loop has come to its end, which it does only
 * when every channel is closed.
 */
#ifndef T_IPC_PAIR_H
#define T_IPC_PAIR_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "common/fiber/loop.h"
#include "common/ipc/channel.h"
#include "common/ipc/packets.h"

/* A connected pair of descriptors. */
static inline void
pair_open(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, fds) == -1)
		abort();
}

/* Run a fiber and all that it starts, to the end. */
static inline void
run(void (*story)(void *))
{
	loop_open();
	log_to_nothing();
	fiber_start(story, NULL);
	loop_run();
	assert_int_equal(fiber_count(), 0);
}

/* How many descriptors this process has open. */
static inline int
open_descriptors(void)
{
	int	fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			n++;
	return n;
}

#endif
