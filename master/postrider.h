#ifndef MASTER_POSTRIDER_H
#define MASTER_POSTRIDER_H

#include "common/base/log.h"
#include "common/base/mem.h"

/*
 * What the files of the administrator's command share. Functions that do a
 * verb take its words, the verb first, and return the exit status.
 */
extern const char	*postrider_directory;	/* -c, or NULL */

_Noreturn void	 postrider_usage(void);

/* The path of a program beside this one; NULL if there is none. */
char		*postrider_beside(struct pool *, const char *name);
/* Become postrider-VERB, found beside this one or in command_directory. */
_Noreturn void	 postrider_become(struct pool *, const char *verb,
		    char **argv);

/* Load the configuration; the process that runs the system, or 0. */
int		 postrider_find_master(struct pool *);
/* The same, and the end if nobody does. */
int		 postrider_need_master(struct pool *);
/* Have master do something: its exit status, or 1. */
int		 postrider_ask_master(const char *verb);

/* The same with every verb that next() gives, until it gives NULL. */
int		 postrider_ask_master_all(const char *(*next)(void *context),
		    void *context);

/* postrider_run.c */
int		 postrider_check(struct pool *, char **argv);
int		 postrider_start(struct pool *, char **argv);
int		 postrider_start_foreground(struct pool *, char **argv);
int		 postrider_stop(struct pool *, char **argv);
int		 postrider_abort(struct pool *, char **argv);
int		 postrider_reload(struct pool *, char **argv);
int		 postrider_status(struct pool *, char **argv);
int		 postrider_set_permissions(struct pool *, char **argv);
int		 postrider_logrotate(struct pool *, char **argv);

/* postrider_log.c: show what was logged. */
int		 postrider_log(struct pool *, char **argv);

/* postrider_write.c: one line to the log, under a program's name. */
int		 postrider_write(struct pool *, enum log_level,
		    const char *tag, const char *text);

/* The commands under Postfix's names; argv as for main(). */
int		 postrider_postlog(struct pool *, int argc, char **argv);
int		 postrider_postkick(struct pool *, int argc, char **argv);
int		 postrider_postlock(struct pool *, int argc, char **argv);

#endif
