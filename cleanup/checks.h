#ifndef CLEANUP_CHECKS_H
#define CLEANUP_CHECKS_H

#include "common/mail/check.h"
#include "common/mail/mime.h"

#include "cleanup/transaction.h"

/*
 * header_checks and its kin. What a reader tells goes in; what is left of it
 * and what is added goes on to headers.c and write.c, later but in order: the
 * table is asked for many fields or lines at once.
 */
struct checks;

extern const struct param	checks_params[];

struct checks	*checks_new(struct transaction *);
/* Is there any such table? */
bool		 checks_are_wanted(void);

/* A field: of the message's head, or of a part of it. */
WAITS void	 checks_field(struct checks *, enum mime_class, bool is_head,
		    const struct header_field *);
/* What follows of a field that is cut: it passes or is dropped with it. */
void		 checks_more(struct checks *, const char *, size_t);
/* Received: of our own. */
WAITS void	 checks_received(struct checks *, const char *, size_t);
/* The message's head is over: headers.c completes it. */
WAITS void	 checks_end_head(struct checks *);
/* The empty line behind the header of a part: no table is asked for it. */
WAITS void	 checks_empty_line(struct checks *);
/* A line, a piece of one, or a boundary; another body begins. */
WAITS void	 checks_line(struct checks *, const char *, size_t,
		    bool has_end);
void		 checks_begin_body(struct checks *);
/* All that waits for an answer goes on. */
WAITS void	 checks_finish(struct checks *);

/* --- actions.c: what a table wants -------------------------------------- */

/* Where an action was found. */
struct place {
	const char	*table;		/* the parameter */
	const char	*context;	/* "header", "body" */
	const char	*text;		/* the field or line */
	size_t		 len;
};

enum action_result { ACTION_PASS, ACTION_DROP, ACTION_REPLACE,
    ACTION_PREPEND };

/*
 * Do what the table's value says, but for what is done to the text itself:
 * that is the answer, with the text in *check. What cannot be understood or
 * done postpones the message.
 */
enum action_result action_take(struct transaction *, struct pool *,
		    const struct place *, const char *value, struct check *);

/* "QID: VERB: CONTEXT TEXT from CLIENT; from=<> to=<> proto= helo=<>: WHY" */
void		 action_log(struct transaction *, const char *verb,
		    const struct place *, const char *why);

#endif
