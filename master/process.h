#ifndef MASTER_PROCESS_H
#define MASTER_PROCESS_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/ipc/channel.h"
#include "master/services.h"
#include "master/spawn.h"
#include "master/watch.h"

/*
 * A daemon's process, from its start until it has been collected; shared by
 * process.c, which owns the list, and watch.c.
 */
enum { SERVICE_NAME_SIZE = 128 };

struct process {
	TAILQ_ENTRY(process)	 entry;
	pid_t			 pid;
	char			 service[SERVICE_NAME_SIZE];
	const char		*program;	/* a role's name */
	char			*path;
	unsigned		 number;
	struct worker		*worker;	/* NULL: made old by a reload */
	struct channel		*channel;	/* NULL: it hung up */
	struct peer		 peers[2];
	struct program_file	 file;
	int64_t			 started;
	bool			 is_ready, is_leaving, is_dead;
};
TAILQ_HEAD(processes, process);

extern struct processes	 processes;

/* Start one in this place; NULL: told to the log. */
struct process	*process_start(struct worker *);
/* Tell it a packet without fields. */
void		 process_tell(struct process *, unsigned type);
/* Tell it to read its configuration again. */
void		 process_reload(struct process *);
/* Ask it to finish what it has and to leave. */
void		 process_drain(struct process *);
/* Collect who ended; `ended` is told of each before it is forgotten. */
void		 process_reap(void (*ended)(struct process *, int status));
/* "process PATH pid N exit status S", as Postfix says it. */
void		 process_describe(const struct process *, int status, char *to,
		    size_t size);

/* Something changed; process.c calls this, watch.c has it. */
void		 watch_changed(void);

#endif
