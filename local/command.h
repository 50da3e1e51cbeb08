#ifndef LOCAL_COMMAND_H
#define LOCAL_COMMAND_H

#include "local/homes.h"
#include "local/local.h"

/*
 * A command that gets the message of a delivery, and what came of it.
 */
struct command {
	const char	*shown;		/* in logs and reports */
	const char	*sent;		/* text of success */
	bool		 shows_output;	/* behind that text, too */
	char		*directory;	/* "": home, or "/" */
	struct word_row	*words, *environment;
	size_t		 count, variables;
	char		*head;
	char		*eol;
	int64_t		 flags;		/* enum run_flags */
	int64_t		 time_limit;	/* milliseconds */
};

/* Run it by this process. Texts are in the pool of the delivery. */
WAITS void	 command_run(struct delivery *, struct home *,
		    const struct command *, struct verdict *);

#endif
