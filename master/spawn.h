#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#include "master/services.h"

/*
 * Starting a daemon: fork, hand the descriptors over as
 * common/daemon/handover.h says, run the program.
 */

/* Make the socket that all log lines travel through, and log to it. Kept for
 * master's life, so that a restart of log loses nothing. */
void		 spawn_open_log(void);

/* In the foreground, standard error stays with the daemons. */
void		 spawn_keep_stderr(bool);

/* The daemon_directory is none of main.cf's: tell each daemon. */
void		 spawn_tell_directory(bool);

/* How a program's file looked when it was started, to notice an upgrade. */
struct program_file { uint64_t device, inode; int64_t changed_us; };
void		 spawn_look(const struct unit *, struct program_file *);

/* Start a process. Its pid, and our end of the socket to it; -1: *why. */
pid_t		 spawn(const struct worker *, int *channel, const char **why);

/* Start a unit's program only to check what it would read (--check); what it
 * says on standard error can be read from *output, without blocking. Its pid,
 * or -1: *why. */
pid_t		 spawn_check(const struct unit *, int *output,
		    const char **why);

/* Who may start: end of the start-up privileges. Keeps what the daemons need
 * at their own start; see the list in spawn.c. */
void		 spawn_drop_capabilities(void);

#endif
