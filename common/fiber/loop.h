#ifndef FIBER_LOOP_H
#define FIBER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/fiber/fiber.h"

/*
 * One epoll loop per process. A descriptor is registered once, edge
 * triggered, and its readiness is remembered, so that reading tries first
 * and only waits after EAGAIN.
 */
struct loop_fd {
	int		 fd;
	unsigned	 ready;		/* EPOLLIN, EPOLLOUT, as last seen */
	unsigned	 asked;		/* what epoll is to tell */
	bool		 is_calm;	/* it tells once for each wait */
	bool		 is_over;	/* it told of an end or an error */
	bool		 is_urgent;	/* ... of data where a read stops */
	struct fiber	*reader, *writer;
};

/* Initialise, and ignore SIGPIPE; called by daemon_run() and tests once. */
void		 loop_open(void);

/* Run fibers until loop_stop(), or until no fiber is left. */
void		 loop_run(void);
void		 loop_stop(void);

/* Watch a non-blocking descriptor. Remove before closing it: the fibers that
 * wait on it are woken and see ECANCELED. */
int		 loop_add(struct loop_fd *, int fd);
/* The same for who gathers what comes: what happens while nobody waits does
 * not wake the loop. Each wait costs a system call more. Only for reading. */
int		 loop_add_calm(struct loop_fd *, int fd);
void		 loop_remove(struct loop_fd *);

/*
 * Wait until the last EAGAIN no longer holds. 0, or -1 with ETIMEDOUT or
 * ECANCELED. Call only after the system call said EAGAIN, and in a loop: it
 * may return too early. One fiber may read and one may write.
 */
WAITS int	 loop_wait_readable(struct loop_fd *, int64_t deadline);
WAITS int	 loop_wait_writable(struct loop_fd *, int64_t deadline);

/* Call heard(number) on the loop, outside any fiber, when the signal comes. A
 * fiber may ask for SIGCHLD, main() for any before the loop runs. The signal
 * stays blocked, SIGCHLD always: unblock it in a child before exec. */
void		 loop_on_signal(int number, void (*heard)(int));

/* Call when there is nothing to run, before sleeping: to flush and batch. At
 * most four of them. */
void		 loop_on_idle(void (*idle)(void));

/* Call when each of those that were ready has run, on the loop, outside any
 * fiber: to send what they made together. There is one place. */
void		 loop_on_turn(void (*ended)(void));

#endif
