#ifndef MASTER_WATCH_H
#define MASTER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/fiber/fiber.h"
#include "master/services.h"

/* Keeping processes in every place of the table. */

/* The longest pause between two attempts to start a daemon, milliseconds. */
extern int64_t	 watch_throttle_time;

/* Begin: the table's services are started, now or when somebody calls. */
void		 watch_start(struct services *);
/* Wait until everything that starts at once is ready: NULL, or what failed. */
WAITS const char *watch_wait_ready(int64_t deadline);

/* Another table: fresh processes take over, those before them are told to
 * finish what they have when the fresh ones are ready. */
void		 watch_replace(struct services *);
/* Wait until they have: the fresh ones serve, the old ones listen no more.
 * False: not all are ready at that time. */
WAITS bool	 watch_settle(int64_t deadline);

/* Let a fresh process take the place of each one of this program (W3), and
 * nothing else. False: one is just starting; try again later. */
bool		 watch_renew(const char *program);

/* End all but log in the order in which mail flows; those that do not end
 * until the deadline are killed. */
WAITS void	 watch_stop(int64_t deadline);
WAITS void	 watch_stop_log(int64_t deadline);

/* SIGCHLD came. */
void		 watch_reap(void);

/* One process, for the status. */
struct watch_row {
	const char	*service, *program;
	unsigned	 number;
	pid_t		 pid;
	int64_t		 started;	/* clock_now() */
	bool		 is_ready, is_leaving, is_answering;
	int64_t		 sessions;	/* as it says itself */
	char		 note[128];
};
/* Ask every process, one after the other, and tell. */
WAITS void	 watch_status(void (*tell)(const struct watch_row *, void *),
		    void *context);
/* Services that nobody has called yet. */
void		 watch_idle(void (*tell)(const char *name, void *),
		    void *context);

#endif
