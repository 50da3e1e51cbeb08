#ifndef CLEANUP_INSPECT_H
#define CLEANUP_INSPECT_H

#include "cleanup/transaction.h"

/*
 * Messages that are looked at, part by part: for header_checks and its kin,
 * for what the strict_... settings forbid, for single characters.
 */
struct inspection;

extern const struct param	inspect_params[];

/* Read the sets of characters. */
void		 inspect_start(void);

/* Does this message have to be looked at? */
bool		 inspect_is_wanted(const struct transaction *);

/* Instead of a header_reader: fields go to headers_field(), the end of the
 * head to headers_end(), all else to write_content(). */
struct inspection *inspect_new(struct transaction *);
/* Received: of our own, in front. */
WAITS void	 inspect_received(struct inspection *, const char *, size_t);
/* The bytes may be changed. */
WAITS void	 inspect_feed(struct inspection *, char *, size_t);
WAITS void	 inspect_finish(struct inspection *);

#endif
