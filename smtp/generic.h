#ifndef SMTP_GENERIC_H
#define SMTP_GENERIC_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/fiber/fiber.h"
#include "common/mail/header.h"
#include "common/mail/spans.h"

/* Is the field one whose addresses are rewritten? */
bool		 generic_is_field(const struct header_field *);

/* The table's answer as an address: "@other.example" keeps the local part,
 * what has no domain gets ours, the extension is propagated if it should. NULL
 * when there is none in it. */
const char	*generic_result(struct pool *, const char *address,
		    const char *value, const char *extension);

/*
 * A value with its addresses rewritten, added to `to`: 1; 0 when none is to
 * be changed (nothing is added then); -1 when the table does not answer, with
 * *why.
 */
WAITS int	 generic_value(struct pool *, const char *value, size_t len,
		    struct str *to, const char **why);

#endif
