#ifndef CLEANUP_SUBMITTERS_H
#define CLEANUP_SUBMITTERS_H

#include <stdbool.h>

#include "common/base/mem.h"
#include "common/param/param.h"

/*
 * Which users of this machine may post, and as whom. Pure: what can be told
 * without tables.
 */
struct submitters {
	char	*users;		/* authorized_submit_users */
	char	*senders;	/* local_login_sender_maps */
	char	*null_sender;	/* its name in these tables */
};
extern struct submitters	submitters;
extern const struct param	submitters_params[];

/* Does the list say yes to everybody ("static:anyone" and nothing else)? */
bool		 submitters_is_anybody(const char *list);

/*
 * Is the user of this name in the list of names, !names and static: tables?
 * What else may stand there is a matter for who can read it.
 */
enum submitter { SUBMITTER_MAY, SUBMITTER_MAY_NOT, SUBMITTER_WHO_KNOWS };
enum submitter	 submitters_find(const char *list, const char *name);

/*
 * May a user for whom a table has these patterns post as this sender? They
 * are "*", "@domain", addresses with or without a domain, and null_sender;
 * extensions of the sender do not count, and neither does case.
 */
bool		 submitters_may_be(struct pool *, const char *patterns,
		    const char *sender, const char *delimiters);

#endif
