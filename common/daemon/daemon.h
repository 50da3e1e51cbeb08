#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/fiber/fiber.h"
#include "common/ipc/channel.h"
#include "common/ipc/link.h"
#include "common/param/param.h"

/*
 * The skeleton of every daemon but master. daemon_run() does, in order:
 * arguments (-n service, -w worker, -o name=value, -v; descriptors by
 * environment), main.cf, every table of parameters checked, before() as root,
 * chroot, groups, user, sandbox (the role's row in roles.c), event loop,
 * start() on a fiber, READY to master. Then it serves until master says DRAIN
 * or goes away.
 */
struct daemon {
	const char			*name;	/* its row in roles.c */
	const struct param *const	*params; /* tables, ended by NULL */
	const struct peer		*peers;	/* accepted packets */
	void				(*before)(void); /* may be NULL */
	WAITS void			(*start)(void);
	/*
	 * A connection on an inet listener, or on a unix one of a service whose
	 * clients do not speak packets; on a fiber of its own; owns the fd.
	 * NULL: connections become channels with `peers`.
	 */
	WAITS void			(*session)(int fd);
	/* A channel that was accepted is gone; may be NULL. Its name is known
	 * (channel_name()) if it said HELLO. */
	void				(*closed)(struct channel *, void *);
	/* Sessions now, for master's limits and for draining; may be NULL. */
	unsigned			(*busy)(void);
	/* DRAIN came: stop taking work; called again if the drain turns into
	 * a stop (daemon_is_stopping()). Must not wait. May be NULL. */
	void				(*drain)(void);
	/* How long it may take to stop, in milliseconds; 0: the usual time. */
	int64_t				stopping_time;
	/* RELOAD came (daemons that reload in place); NULL: never sent. */
	WAITS void			(*reload)(void);
};

int		 daemon_run(int argc, char **argv, const struct daemon *);

/* The service's name in master.cf ("submission") and our number (from 1). */
const char	*daemon_service(void);
unsigned	 daemon_worker(void);
/* The command of its line in master.cf, where that is another name for this
 * program ("discard" for error); else the program's own name. */
const char	*daemon_command(void);
/* The words of that line behind the command and its options ("user=list"). */
char		**daemon_arguments(size_t *count);
/* Greatest number of sessions or deliveries at once for the whole service
 * (master.cf maxproc) divided among its workers; 0: none. */
unsigned	 daemon_limit(void);

/* A number for a session's log lines, unlike any other of this program that
 * lives now. Set log_number to it at the head of the fiber. */
uint64_t	 daemon_session_number(void);
/* getpid(2) without the call; not for who forks. */
pid_t		 daemon_pid(void);

/* Stop accepting until resumed (all session slots in use). */
void		 daemon_pause_listening(void);
void		 daemon_resume_listening(void);
bool		 daemon_is_draining(void);
/* SIGTERM: the system stops; sessions end at the next chance (SMTP: 421). A
 * drain without it (reload) lets sessions go on until they end. */
bool		 daemon_is_stopping(void);
void		 daemon_leave(void);	/* exit when the last session is over */

/* The queue directory as this process sees it after its chroot: a directory
 * descriptor opened before (cleanup, qmgr, pickup), -1 for the others. */
int		 daemon_queue_fd(void);

/*
 * Never fail open: a setting in force that restricts, filters, rewrites,
 * encrypts or routes mail and that this program does not implement, as a
 * sentence "main.cf:12: smtpd_milters is not supported yet"; NULL if there is
 * none. Whoever serves then answers 451 4.3.5, or defers, and logs it.
 */
const char	*daemon_unsupported(void);

/* main.cf with this service's overrides, for param_of_transport(). */
struct maincf	*daemon_maincf(void);
/* For reload() of daemons whose jail leaves /etc in sight (resolve): read
 * main.cf again and set every row; -1, all told, if it is not good. */
int		 daemon_read_again(void);
/* Is this one of the users that the daemons run as? */
bool		 daemon_is_own_user(uid_t);
/* before() runs for --check: create and change nothing. */
bool		 daemon_is_checking(void);

#endif
