#ifndef SMTP_FOLD_H
#define SMTP_FOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

/*
 * Lines of at most `limit` bytes without their CRLF: longer ones are broken
 * by CRLF and a space. Bytes come cut anywhere; a limit of 0 is none.
 */
struct fold {
	size_t	 limit, column;
	bool	 owes_cr;	/* held back: it may end a line */
	bool	 has_broken;	/* some line was too long */
};

void		 fold_start(struct fold *, size_t limit);
/* Does all of this pass as it is? Then it counts as passed; else nothing has
 * happened. */
bool		 fold_passes(struct fold *, const char *, size_t);
void		 fold_add(struct fold *, struct str *to, const char *, size_t);
void		 fold_finish(struct fold *, struct str *to);

#endif
