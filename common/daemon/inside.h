#ifndef DAEMON_INSIDE_H
#define DAEMON_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/daemon/daemon.h"
#include "common/daemon/handover.h"
#include "common/daemon/roles.h"

/*
 * What the files of this directory tell each other; nobody else includes it.
 */

/* options.c: the words on the command line. */
enum { OVERRIDES_MAX = 500, ARGUMENTS_MAX = 500 };
struct options {
	bool		 wants_parameters, wants_check;
	const char	*directory;		/* -c or NULL */
	const char	*service;		/* -n */
	unsigned	 worker, processes;	/* -w -p, from 1 */
	unsigned	 maxproc;		/* -m */
	unsigned	 verbose;
	const char	*stands_for;		/* -P */
	bool		 is_unix[HANDOVER_LISTENERS_MAX];	/* -l */
	size_t		 listeners;
	char		*overrides[OVERRIDES_MAX]; /* name=value of each -o */
	size_t		 override_count;
	char		*arguments[ARGUMENTS_MAX];	/* of each -a */
	size_t		 argument_count;
};
void		 options_parse(struct options *, int argc, char **argv,
		    const struct daemon *);

/* privs.c */
struct identity {
	uid_t	 uid;
	gid_t	 gid;
	gid_t	 groups[8];
	size_t	 group_count;
};
/* Look everything up while /etc is still there; die()s. */
void		 privs_find(const struct role *, struct identity *);
/* chroot and chdir, or only chdir when we are not root. */
void		 privs_jail(const struct role *);
/* Become the user for good, and prove it. */
void		 privs_drop(const struct role *, const struct identity *);
/* Limits that need no rights; the memory of the process is nobody's. */
void		 privs_limits(void);
/* The user of a service's program, for HELLO. */
bool		 privs_is_user_of(const char *service, uid_t);
void		 privs_learn_users(void);

/* sandbox.c: Landlock and seccomp; after privs_drop(), before any thread. */
void		 sandbox_enter(const struct role *);
/* landlock.c: the first half; seccomp.c: the second. */
void		 landlock_enter(const struct role *);
void		 seccomp_enter(const struct role *);

/* listen.c */
void		 listen_start(const struct daemon *, const struct options *);
void		 listen_stop(void);
unsigned	 listen_sessions(void);		/* fibers in session() */

/* orders.c: the channel to master. */
void		 orders_open(const char *service);
void		 orders_ready(void);
/* daemon.c: what orders ask for. */
void		 daemon_drain(bool is_stopping, int64_t milliseconds);
void		 daemon_reload(void);
unsigned	 daemon_sessions(void);

#endif
