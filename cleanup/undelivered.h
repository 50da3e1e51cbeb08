#ifndef CLEANUP_UNDELIVERED_H
#define CLEANUP_UNDELIVERED_H

#include <stdbool.h>

#include "common/base/str.h"

#include "cleanup/drop.h"

/* A posted message that was refused for good. */
struct undelivered {
	const struct drop	*drop;
	const char		*to;		/* who hears of it */
	const char		*boundary;	/* not in the message */
	const char		*reply;		/* "554 5.4.6 Error: ..." */
	int64_t			 posted_us;
	const char		*content;	/* its beginning */
	size_t			 length;
};

/* Does any recipient's sender want to hear of a failure (RFC 3461 4.1)? */
bool	 undelivered_wants_report(const struct drop *);

/* The report: multipart/report (RFC 6522, 3464), with CRLF line ends. */
void	 undelivered_report(struct str *, const struct undelivered *);

#endif
