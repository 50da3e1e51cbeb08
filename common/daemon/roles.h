#ifndef DAEMON_ROLES_H
#define DAEMON_ROLES_H

#include <stdbool.h>

/*
 * Who each program is: its user, the groups that let it call others, its
 * jail, what it may still ask of the kernel. One row per program; daemon.c,
 * master (owners and modes of the sockets) and the rogue test read the same
 * rows.
 */
enum jail {
	JAIL_PRIVATE,		/* chroot into queue_directory/private */
	JAIL_QUEUE,		/* chroot into queue_directory */
	JAIL_NONE
};

enum kernel_needs {		/* beyond reading, writing, memory, time */
	NEEDS_ACCEPT = 1,	/* accept connections */
	NEEDS_UNIX = 2,		/* connect to unix sockets */
	NEEDS_INET = 4,		/* connect over TCP */
	NEEDS_DNS = 8,		/* UDP and TCP to name servers */
	NEEDS_FILES_READ = 16,
	NEEDS_FILES_WRITE = 32,
	NEEDS_THREADS = 64,	/* offload threads start after the sandbox */
	NEEDS_BECOME = 128,	/* helper, spawn: setuid, fork, exec */
	NEEDS_FILES_TIME = 256	/* qmgr: when a message is due, by name */
};

struct role {
	const char	*program;	/* executable and service default */
	const char	*user;		/* "postrider-smtpd"; NULL is root */
	const char	*calls[10];	/* services whose sockets it may open */
	enum jail	 jail;
	unsigned	 needs;
	const char	*writes[6];	/* below the queue directory */
	const char	*reads[6];
	const char	*callers[8];	/* programs that may open its socket */
};

const struct role	*role_find(const char *program);
const struct role	*role_all(void);	/* ended by program NULL */

/* The group that may open this service's socket, as its callers' users have
 * it in addition: "postrider-to-cleanup"; NULL when the only callers run as
 * one user (then the socket belongs to that user). */
const char		*role_socket_group(const char *service);
const char		*role_socket_user(const char *service);

#endif
