#ifndef LOCAL_SPOOL_H
#define LOCAL_SPOOL_H

#include <stdbool.h>

#include "common/base/mem.h"
#include "common/param/param.h"

/*
 * Where mailboxes are: what local sends, helper creates and mailbox guards
 * must be the same place. A path that ends with "/" is a Maildir, else mbox.
 */
struct spool {
	char	*directory;		/* mail_spool_directory */
	char	*home_mailbox;		/* "" or below the home */
};
extern struct spool		spool;
extern const struct param	spool_params[];

bool	 spool_is_maildir(const char *path);

/* The user's mailbox in the spool. */
char	*spool_path(struct pool *, const char *user);

/* May this name be one of a file in the spool? */
bool	 spool_is_name(const char *user);

#endif
