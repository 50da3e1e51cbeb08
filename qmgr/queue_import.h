#ifndef QMGR_QUEUE_IMPORT_H
#define QMGR_QUEUE_IMPORT_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Postfix's queue directory, as the process that stays root hands it over
 * (queue_spool.c); only queue_import.c includes this.
 */

/* A file that is there. */
struct spool_file {
	char		 queue[16];	/* "deferred"; "" at the end */
	char		 name[64];
	char		 why[128];	/* it is not to be read, "" if it is */
	bool		 is_unfinished;	/* Postfix never accepted it */
	mode_t		 mode;
	int		 fd;
};

/* Look whether this is a queue directory of Postfix's, and that Postfix does
 * not run; it cannot start until the command ends. 0, or an exit status. */
int		 spool_open(const char *directory);
/* Start the process that reads it; what calls this may become another user. */
void		 spool_start(void);
/* The next file; false at the end, or when that process is gone. */
bool		 spool_next(struct spool_file *);
/* What to do with the last one: move it aside, or leave it. 0 or an errno. */
int		 spool_done(bool is_imported);
/*
 * Post the last one, as who owns its file, with sendmail: fd is a file with
 * the words of its command line, the name first, each ended by NUL, an empty
 * one, and the message. 0 when sendmail took it.
 */
enum { SPOOL_WORDS = 60000 };
int		 spool_post(int fd);
/* Did it see everything? */
bool		 spool_end(void);

#endif
