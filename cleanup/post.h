#ifndef CLEANUP_POST_H
#define CLEANUP_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/ipc/packets.h"

#include "cleanup/drop.h"

/*
 * What the files of the sendmail command tell each other. It is an ordinary
 * program: it waits where it has to, and runs as its user.
 */

/* --- spool.c: input into an unnamed file ------------------------------- */

/* An unnamed temporary file; -1 with errno. */
int		 spool_open(void);

/* How lines end the input. */
enum { SPOOL_DOT_ENDS = 1 };

struct spooled {
	int64_t	 length;
	bool	 is_8bit;
};

/*
 * Copy `in` to one, or to sealed memory, until its end, or a line with a
 * single dot. Leading mailbox "From " lines are left out. The descriptor, or
 * -1: EFBIG beyond the limit (0 is none), else what the system says.
 */
int		 spool_input(int in, int how, int64_t limit, struct spooled *);

/* --- extract.c: recipients from headers (-t) --------------------------- */

/* Add those of To, Cc and Bcc, or of Resent- fields if there are any. NULL,
 * or what is wrong. */
const char	*extract_recipients(struct pool *, int fd, int64_t length,
		    struct drop *);
/* Add those of a list as people write them. */
const char	*extract_list(struct pool *, const char *list, struct drop *);

/* --- submit.c: to pickup, or to postdrop ------------------------------- */

struct answer {
	int	 exit_status;
	char	 queue_id[QUEUE_ID_MAX + 1];
	char	 text[512];
};

/* Post a message. EX_OK only when it is on stable storage. `directory` is
 * the option that named the configuration, or NULL. */
void		 submit(struct pool *, struct drop *, int fd,
		    const char *directory, struct answer *);

/* --- dialogue.c: SMTP on standard input (-bs) -------------------------- */

int		 dialogue(const char *directory);

#endif
