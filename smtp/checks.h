#ifndef SMTP_CHECKS_H
#define SMTP_CHECKS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/mail/mime.h"

/*
 * smtp_header_checks and its kin. What a reader or a converter tells goes in;
 * what is left of it and what is added comes out, later but in order: the
 * table is asked for many fields or lines at once.
 */
enum check_kind { CHECKED_FIELD, CHECKED_LINE, CHECKED_OTHER };
/* A field that is cut, and its rest, are CHECKED_OTHER. */

/* To be sent: bytes with their line ends. */
typedef WAITS void	 checks_output(void *context, enum check_kind,
			    enum mime_class, const char *, size_t);

struct checks;

/* `queue_id` is for the log. */
struct checks	*checks_new(struct pool *, const char *queue_id,
		    checks_output *, void *context);
/* Is there any such table? */
bool		 checks_are_wanted(void);

WAITS void	 checks_field(struct checks *, enum mime_class,
		    const struct header_field *);
/* What follows of a field that is cut: it passes or is dropped with it. */
WAITS void	 checks_more(struct checks *, const char *, size_t);
/* A line, a piece of one, or a boundary. */
WAITS void	 checks_line(struct checks *, const char *, size_t,
		    bool has_end);
/* The empty line behind a header: no table is asked for it. */
WAITS void	 checks_empty_line(struct checks *);
/* All that waits for an answer goes out. */
WAITS void	 checks_finish(struct checks *);

/* Why it cannot go on: a table does not answer. NULL: it can. */
const char	*checks_failure(const struct checks *);

#endif
