#ifndef SMTP_TRANSCRIPT_H
#define SMTP_TRANSCRIPT_H

#include "common/base/mem.h"
#include "common/fiber/fiber.h"

/*
 * What was said in a session, for a postmaster who wants to know of those
 * that went wrong (notify_classes). Bounded: the introduction and the last
 * transaction. NULL is a transcript that nobody wants.
 */
struct dialogue;

/* Does notify_classes ask for any of ours? Called once at the start. */
void		 transcript_prepare(void);

/* NULL when nobody wants one. */
struct dialogue *transcript_new(struct pool *);
void		 transcript_in(struct dialogue *, const char *line);
void		 transcript_out(struct dialogue *, const char *line);

/* What came so far is kept; what comes behind it is forgotten each time that
 * a transaction begins. */
void		 transcript_keep(struct dialogue *);
void		 transcript_begin(struct dialogue *);

/* Something went wrong in this class ("protocol", "resource"): tell bounce at
 * the end of the transaction. A class nobody wants is passed over. */
void		 transcript_blame(struct dialogue *, const char *class);

/* Send it, if somebody is to blame; does not wait. */
void		 transcript_post(struct dialogue *, const char *peer,
		    const char *queue_id);

#endif
