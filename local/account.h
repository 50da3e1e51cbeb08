#ifndef LOCAL_ACCOUNT_H
#define LOCAL_ACCOUNT_H

#include <sys/types.h>

#include "common/base/mem.h"

/*
 * As whom spawn and token run commands of the administrator's: a user that is
 * not root and none of the mail system's, with one group, which is none of
 * theirs either.
 */
struct account {
	const char	*name;
	uid_t		 uid;
	gid_t		 gid;
};

/* "NAME" or "NAME:GROUP". NULL, or why he runs no commands, in the pool. */
const char	*account_find(struct account *, struct pool *,
		    const char *value);

/* In a child: become him for good, and see that it is so. 0, or -1. */
int		 account_become(const struct account *);

/* What the commands have in their environment: PATH, and what the list of
 * export_environment says. */
char		**account_environment(struct pool *, const char *list);

#endif
