#ifndef MASTER_SERVICES_H
#define MASTER_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/daemon/roles.h"
#include "common/net/inetaddr.h"
#include "common/param/maincf.h"
#include "common/param/mastercf.h"

/*
 * The table of services: what master.cf says, completed with what every
 * instance has. It is data; watch.c keeps processes in it running.
 */
struct listener;
struct process;
struct services;
struct unit;

enum { WORKERS_MAX = 256 };

/* What sets a unit apart from the others. */
enum unit_flags {
	UNIT_AT_ONCE = 1,	/* started with the system, not on demand */
	UNIT_ALONE = 2,		/* never two processes at the same time */
	UNIT_IN_PLACE = 4,	/* understands RELOAD */
	UNIT_PUBLIC = 8,	/* has a socket in public/, too */
	UNIT_IS_INET = 16,
	UNIT_IS_STREAM = 32	/* its callers do not speak packets */
};

/* A place in which one process runs; `keeper` sees to it. */
struct worker {
	struct unit		*unit;
	unsigned		 number;	/* from 1 */
	bool			 is_wanted;	/* called, or AT_ONCE */
	bool			 is_retired;	/* a reload made a successor */
	struct process		*process;
	struct fiber		*keeper;
	int64_t			 pause, not_before;	/* after a death */
	unsigned		 falls;		/* since one was ready */
	struct listener		**listeners;
	size_t			 listener_count;
};

/* One service. Strings live in the table's pool. */
struct unit {
	struct services		*services;
	const char		*name;		/* "submission", "slow" */
	const char		*program;	/* executable: "smtpd" */
	const char		*command;	/* "postscreen" */
	const struct role	*role;
	unsigned		 flags;
	int			 maxproc;	/* 0: no limit */
	bool			 is_verbose, is_debugged;
	struct service_option	*options;
	size_t			 option_count;
	char			**arguments;	/* behind the options */
	size_t			 argument_count;
	struct inetaddr		*addresses;	/* UNIT_IS_INET */
	size_t			 address_count;
	struct worker		*workers;
	unsigned		 worker_count;
	const char		*where;		/* "master.cf:12" */
};

struct services {
	struct pool	*pool;
	struct unit	*units;
	size_t		 count, room;
	unsigned	 keepers;	/* fibers that still use the table */
	const char	*debugger;	/* debugger_command, for a shell */
	struct maincf	*maincf;	/* what it was made from */
	const struct mastercf *mastercf;
};

/*
 * Make the table from the instance that `site` holds. Problems that stop the
 * system go to `errors`, what will not work to `warnings`, what only differs
 * from Postfix to `notes`, a line each. NULL when there is an error. The
 * table lives in the pool.
 */
struct services	*services_read(struct pool *, const struct mastercf *,
		    struct str *errors, struct str *warnings,
		    struct str *notes);

/* By name; NULL if there is none. */
struct unit	*services_find(const struct services *, const char *name);

/* The program's path: daemon_directory/PROGRAM. */
char		*services_path(struct pool *, const struct unit *);

/* The file that holds the table, master.cf beside main.cf. */
struct mastercf	*services_file(struct pool *, char **why);

/* Names that -o values use as $name are known names. */
void		 services_note_uses(const struct mastercf *, struct maincf *);

/*
 * When main.cf does not set daemon_directory and the running program lies
 * beside daemons (a build that is not installed), those are used. Returns
 * whether that is so.
 */
bool		 services_find_programs(struct maincf *);

/* Does its program get -P, to know by which name it was called? */
bool		 services_has_other_name(const struct unit *);

#endif
