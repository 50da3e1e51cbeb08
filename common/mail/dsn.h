#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"

/* Enhanced status codes (RFC 3463) and delivery report words (RFC 3461). */

enum dsn_notify { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4,
    NOTIFY_DELAY = 8,
    NOTIFY_EXPANDED = 16	/* ours: no recipient, but an alias of several
				 * whose sender is to be told of that */
};

/* "5.1.1" at the start of text: its length, 0 if there is none. Class must
 * be that of the reply code when code is not 0. */
size_t		 dsn_find(const char *text, int code);
/* Valid "c.sss.ddd". */
bool		 dsn_is_valid(const char *);

/* NOTIFY=SUCCESS,FAILURE to bits: NULL, or what is wrong. */
const char	*dsn_parse_notify(const char *, int *bits);
/* RET=FULL or RET=HDRS, in capitals then; it is not to be changed. */
const char	*dsn_parse_ret(const char *, char **what);
/* ENVID=xtext, decoded. */
const char	*dsn_parse_envid(struct pool *, const char *, char **id);
/* ORCPT=rfc822;xtext, decoded "rfc822;address". */
const char	*dsn_parse_orcpt(struct pool *, const char *, char **orcpt);

#endif
