#ifndef CLEANUP_SEVENBIT_H
#define CLEANUP_SEVENBIT_H

#include "cleanup/transaction.h"

/* Is mail converted when it comes in (force_mime_input_conversion)? */
bool		 sevenbit_is_wanted(void);

/* Keep the content until it is complete: its first piece comes next. */
void		 sevenbit_open(struct transaction *);
/* A piece; a refusal is noted. */
void		 sevenbit_put(struct transaction *, const char *, size_t);
/* It is complete: begin the message, and give it the content as it is then. */
WAITS void	 sevenbit_finish(struct transaction *);
/* It is not wanted any more. */
void		 sevenbit_close(struct transaction *);

#endif
